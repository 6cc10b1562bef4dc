//! The verbs that talk to a running lab: `status`, `ledger`, `fault`, `consent`, `down`.

use std::path::PathBuf;

use quorate_core::ids::GuestId;
use quorate_world::fault_words::{FAULTS, read_fault};
use quorate_world::impact::ImpactReport;

use crate::lab::control::{Answer, Ask, ControlError, LabStatus, ask};
use quorate::toolkit::{Exit, Failure, Format, Page, Table, duration, print_json};
use serde_json::json;

use crate::impact_page::impact_page;

/// Where a lab's files are by default.
pub(super) const DEFAULT_DIR: &str = "quorate-lab";

#[derive(Debug, clap::Args)]
pub(crate) struct Place {
    /// Directory of the lab: its configuration, its keys, its control socket
    #[arg(long, value_name = "DIR", default_value = DEFAULT_DIR)]
    pub(super) dir: PathBuf,
}

#[derive(Debug, clap::Args)]
pub(crate) struct FaultArgs {
    #[command(flatten)]
    place: Place,
    /// Not now, but when the lab is this many seconds old, in its time
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    at: u64,
    /// The fault and its arguments: `power-off pve2`; `list` shows all
    #[arg(required = true, value_name = "FAULT", allow_negative_numbers = true)]
    words: Vec<String>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ConsentArgs {
    #[command(flatten)]
    place: Place,
    /// The guest: `vm:116`
    #[arg(value_parser = guest)]
    guest: GuestId,
    /// How many seconds it may be down in total
    seconds: u64,
}

fn guest(text: &str) -> Result<GuestId, String> {
    GuestId::parse(text).ok_or_else(|| "a guest is vm:N or ct:N".to_owned())
}

pub(super) async fn status(place: &Place, format: Format) -> Result<Exit, Failure> {
    match talk(place, &Ask::Status).await? {
        Answer::Status(status) => {
            match format {
                Format::Json => print_json(&status),
                Format::Text => status_page(&status).print(),
            }
            Ok(Exit::Ok)
        }
        other => Err(unexpected(&other)),
    }
}

pub(super) async fn impact(place: &Place, format: Format) -> Result<Exit, Failure> {
    account(talk(place, &Ask::Impact).await?, format)
}

pub(super) async fn down(place: &Place, format: Format) -> Result<Exit, Failure> {
    account(talk(place, &Ask::Down).await?, format)
}

fn account(answer: Answer, format: Format) -> Result<Exit, Failure> {
    let impact: ImpactReport = match answer {
        Answer::Impact(impact) => impact,
        other => return Err(unexpected(&other)),
    };
    match format {
        Format::Json => print_json(&impact),
        Format::Text => impact_page(&impact).print(),
    }
    Ok(if impact.clean { Exit::Ok } else { Exit::Harm })
}

pub(super) async fn fault(args: &FaultArgs, format: Format) -> Result<Exit, Failure> {
    if args.words == ["list"] {
        list(format);
        return Ok(Exit::Ok);
    }
    read_fault(&args.words).map_err(|why| Failure::new(Exit::Usage, why, UNTOUCHED, &[LIST]))?;
    done(&args.place, &Ask::Fault { at_s: args.at, words: args.words.clone() }).await
}

pub(super) async fn consent(args: &ConsentArgs) -> Result<Exit, Failure> {
    done(&args.place, &Ask::Consent { guest: args.guest, seconds: args.seconds }).await
}

const UNTOUCHED: &str = "Nothing was changed in the lab.";
const LIST: &str = "`quorate-lab fault list` shows every fault with its arguments.";

async fn done(place: &Place, what: &Ask) -> Result<Exit, Failure> {
    match talk(place, what).await? {
        Answer::Done => Ok(Exit::Ok),
        Answer::Refused(why) => Err(Failure::new(Exit::Usage, why, UNTOUCHED, &["See `quorate-lab status`."])),
        other => Err(unexpected(&other)),
    }
}

async fn talk(place: &Place, what: &Ask) -> Result<Answer, Failure> {
    ask(&place.dir, what).await.map_err(|error| match error {
        ControlError::NoLab(_) => {
            let next = "Start one with `quorate-lab up`, or name its directory with --dir.";
            Failure::new(Exit::Usage, error.to_string(), UNTOUCHED, &[next])
        }
        error => Failure::new(Exit::Internal, error.to_string(), "The lab may have acted on it.", &["Try again."]),
    })
}

fn unexpected(answer: &Answer) -> Failure {
    let what = match answer {
        Answer::Refused(why) => why.clone(),
        other => format!("the lab gave an unexpected answer: {other:?}"),
    };
    Failure::new(Exit::Internal, what, UNTOUCHED, &["Is the lab served by another version of Quorate?"])
}

fn list(format: Format) {
    if format == Format::Json {
        for form in FAULTS {
            let arguments: Vec<_> = form.arguments.iter().map(|argument| argument.name()).collect();
            print_json(&json!({ "kind": "fault", "name": form.name, "arguments": arguments, "does": form.does }));
        }
        return;
    }
    let mut table = Table::new(&["fault", "what it does"]);
    for form in FAULTS {
        table.row([form.usage(), form.does.to_owned()]);
    }
    let mut page = Page::default();
    table.write(&mut page, "");
    page.print();
}

fn status_page(status: &LabStatus) -> Page {
    let mut page = Page::default();
    let quorum = if status.quorate { "quorate" } else { "NO QUORUM" };
    page.line(format!(
        "{}: {quorum}, {} of {} guests run, {} since it started (x{}), the impact report is {}",
        status.cluster,
        status.guests_running,
        status.guests,
        duration(status.lab_s),
        status.time_factor,
        if status.clean { "clean" } else { "NOT clean" }
    ));
    let mut table = Table::new(&["node", "power", "quorum", "guests", "API", "SSH", ""]);
    for node in &status.nodes {
        let listens = |address: &Option<String>| address.clone().unwrap_or_else(|| "-".to_owned());
        table.row([
            node.name.to_string(),
            node.power.clone(),
            if node.quorate { "yes" } else { "NO" }.to_owned(),
            node.guests.to_string(),
            listens(&node.api),
            listens(&node.ssh),
            if node.out { "out" } else { "" }.to_owned(),
        ]);
    }
    table.write(&mut page, "  ");
    page
}
