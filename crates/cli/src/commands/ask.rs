//! `quorate pause`, `approve`, `abort`, `resume`: a request to the process that works on the run, as a row in the
//! journal.
//!
//! It is always taken. If no process works on the run, all but `pause` take it up here, in the foreground.

use std::collections::BTreeSet;

use clap::ValueEnum;
use quorate_core::checks::parse_waiver;
use quorate_core::ids::{DriverId, RunId};
use quorate_core::policy::{ConsentKind, Waiver};
use quorate_core::run::{Pause, PauseCause, Request, RunOutcome, RunState};
use quorate_engine::{Driver, Ended, WhenPaused};
use quorate_journal::{Holder, Journal, Mode};
use ring::rand::{SecureRandom, SystemRandom};

use super::connect::connect;
use super::watch::Lines;
use crate::clock::wall_now;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::render;
use crate::render::driver::Standing;
use crate::render::page::Page;

#[derive(Debug, clap::Args)]
pub(crate) struct PauseArgs {}

#[derive(Debug, clap::Args)]
pub(crate) struct ApproveArgs {
    /// What you consent to; default: everything that the plan needs and that was not given yet
    kinds: Vec<ConsentArg>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct AbortArgs {}

#[derive(Debug, clap::Args)]
pub(crate) struct ResumeArgs {
    /// Accept a finding that paused the run, for a reason; may be repeated
    #[arg(long, value_name = "CHECK[:SUBJECT]=REASON", value_parser = parse_waiver)]
    waive: Vec<Waiver>,
}

/// A consent on the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ConsentArg {
    /// Containers are restarted when they move
    RestartContainers,
    /// Guests that cannot move are down while their node is upgraded
    ShutdownGuests,
    /// Guests that cannot move while they run are shut down, moved and started again
    MoveOffline,
    /// CD images are ejected
    EjectMedia,
}

impl From<ConsentArg> for ConsentKind {
    fn from(kind: ConsentArg) -> Self {
        match kind {
            ConsentArg::RestartContainers => Self::RestartContainers,
            ConsentArg::ShutdownGuests => Self::ShutdownGuests,
            ConsentArg::MoveOffline => Self::MoveOffline,
            ConsentArg::EjectMedia => Self::EjectMedia,
        }
    }
}

/// A run that has not ended, and its journal.
pub(super) struct Open {
    journal: Journal,
    run: RunId,
    pub(super) state: RunState,
}

impl Open {
    pub(super) fn find(context: &Context) -> Result<Self, Failure> {
        let (journal, run) = context.journal_and_run(Mode::Ask, None)?;
        let entries = journal.events(&run)?;
        let state = RunState::of(entries.iter().map(|entry| (entry.at, &entry.event)));
        if let Some(outcome) = &state.ended {
            let happened = format!("run {run} has ended: {}", render::log::ended(outcome));
            return Err(Failure::new(
                Exit::Driver,
                happened,
                "Nothing is in progress.",
                &["`quorate run` starts another."],
            ));
        }
        Ok(Self { journal, run, state })
    }
}

/// Who makes the request, for the journal: `anna@desk`.
pub(crate) fn speaker() -> String {
    let user = ["SUDO_USER", "USER", "LOGNAME"].iter().find_map(|name| std::env::var(name).ok());
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    format!("{}@{}", user.unwrap_or_else(|| "unknown".to_owned()), host.trim())
}

/// This process, as the one that works on a run: by an id that is drawn anew each time.
pub(crate) fn this_driver() -> Holder {
    let mut number = [0; 8];
    SystemRandom::new().fill(&mut number).expect("the system has random numbers");
    let id = DriverId::drawn(u64::from_ne_bytes(number));
    Holder::this_process(format!("{}, process {}", speaker(), std::process::id()), id)
}

pub(super) fn pause(_: &PauseArgs, context: &Context) -> Result<Exit, Failure> {
    let open = Open::find(context)?;
    let standing = note(&open, &[Request::Pause], "it pauses at the next safe point")?;
    if standing.works.is_none() {
        let mut page = Page::default();
        page.line("Nothing new is started meanwhile, and what is in progress on the cluster continues by itself.");
        page.line("`quorate resume` or `quorate abort` takes the run up, and handles this request first.");
        page.print_err();
    }
    Ok(Exit::Ok)
}

pub(super) async fn approve(args: &ApproveArgs, context: &Context) -> Result<Exit, Failure> {
    let open = Open::find(context)?;
    let asked = open.state.plan.iter().flat_map(|plan| &plan.consents).map(|consent| consent.kind);
    let missing: BTreeSet<ConsentKind> = asked.filter(|kind| !open.state.consents.contains(kind)).collect();
    let kinds = if args.kinds.is_empty() { missing } else { args.kinds.iter().map(|kind| (*kind).into()).collect() };
    // The run may also ask because the agreed downtime is used up; no kind of consent belongs to that.
    let asked = open.state.paused.as_ref().is_some_and(|pause| pause.cause() == PauseCause::NeedsConsent);
    if kinds.is_empty() && !asked {
        return Err(Failure::usage(
            "the plan needs no consent beyond those given",
            "`quorate status` shows why it waits.",
        ));
    }
    let words: Vec<&str> = kinds.iter().map(|kind| render::log::consent(*kind)).collect();
    let words = match words[..] {
        [] => "consent to the downtime that is still planned".to_owned(),
        _ => format!("consent to {}", words.join(", ")),
    };
    say(open, vec![Request::Approve { kinds }], &words, context).await
}

pub(super) async fn abort(_: &AbortArgs, context: &Context) -> Result<Exit, Failure> {
    let open = Open::find(context)?;
    say(open, vec![Request::Abort], "it undoes what is left to undo and ends", context).await
}

pub(super) async fn resume(args: &ResumeArgs, context: &Context) -> Result<Exit, Failure> {
    let open = Open::find(context)?;
    if let Some(node) = open.state.handed_over().and_then(|(_, record)| record.step.node()) {
        let next = format!("`quorate undrain {node}` gives it back.");
        return Err(Failure::new(Exit::Driver, format!("{node} is drained"), "Nothing was changed.", &[&next]));
    }
    let waivers = args.waive.iter().map(|waiver| Request::Waive { waiver: waiver.clone(), findings: Vec::new() });
    say(open, waivers.chain([Request::Resume]).collect(), "it continues", context).await
}

/// Puts the requests into the journal. If no process works on the run, it is taken up here, and handles them first.
pub(super) async fn say(open: Open, requests: Vec<Request>, effect: &str, context: &Context) -> Result<Exit, Failure> {
    let standing = note(&open, &requests, effect)?;
    if standing.works.is_some() {
        return Ok(Exit::Ok);
    }
    let mut page = Page::default();
    page.line("This process takes the run up. If it cannot, the request stays, and `quorate resume` handles it first.");
    page.print_err();
    take_up(open, &requests, context).await
}

/// A request is a row in the journal: it is taken whether or not a process works on the run, and that is told.
fn note(open: &Open, requests: &[Request], effect: &str) -> Result<Standing, Failure> {
    for request in requests {
        open.journal.post_request(&open.run, wall_now(), &speaker(), request)?;
    }
    let standing = Standing::of(&open.journal, &open.run)?;
    let mut page = Page::default();
    match standing.holder() {
        Some(driver) => {
            page.line(format!(
                "Sent to {driver}, which works on run {}: {effect}. `quorate status` shows it.",
                open.run
            ));
        }
        None => page.line(format!("Noted in the journal for run {}: {effect}.", open.run)),
    }
    standing.lines().iter().for_each(|line| page.line(line));
    page.print_err();
    Ok(standing)
}

async fn take_up(open: Open, requests: &[Request], context: &Context) -> Result<Exit, Failure> {
    let Open { journal, run, state: _ } = open;
    let path = journal.path().to_owned();
    drop(journal);
    let journal = Journal::open(&path, Mode::Drive)?;
    journal.verify_chain()?;
    let config = context.config()?;
    let connection = connect(&config).await?;
    let mut lines = Lines::new(context.format());
    let known_nodes = connection.known_nodes();
    let mut driver = Driver::take_up(connection.ports, &journal, &this_driver(), run, &mut lines)?
        .known_nodes(known_nodes)
        .telling()
        .when_paused(WhenPaused::Leave);
    let aborts = requests.contains(&Request::Abort);
    let ended = driver.drive().await?;
    Ok(match ended {
        Ended::Over(RunOutcome::Aborted) if aborts => Exit::Ok,
        ended => how_it_ended(&ended),
    })
}

/// The exit code of a process that worked on a run.
pub(crate) fn how_it_ended(ended: &Ended) -> Exit {
    match ended {
        Ended::Over(RunOutcome::Completed | RunOutcome::Recovered) => Exit::Ok,
        Ended::Over(RunOutcome::Aborted | RunOutcome::NothingDone(_)) => Exit::Aborted,
        Ended::Paused(Pause::Drained { .. }) => Exit::Ok,
        Ended::Paused(_) => Exit::Paused,
    }
}
