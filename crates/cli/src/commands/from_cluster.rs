//! `quorate recover --from-cluster`: what is set in the cluster that Quorate sets for a while, when the journal that
//! would say so is lost, or is an older copy.

use quorate_core::recovery::{FoundSet, found_set};
use quorate_core::snapshot::{DriverLock, Snapshot};
use quorate_core::steps::Step;
use quorate_engine::{Driver, WhenPaused, look_before_a_run, new_run_id};
use quorate_journal::{Journal, Mode};
use serde_json::json;

use super::connect::{Connection, connect};
use super::preflight::demand_quorum;
use super::watch::Lines;
use super::who::{how_it_ended, this_driver};
use crate::context::{Context, Format};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::render::page::{Page, print_json};
use crate::render::units::moment;

/// The word for the lock that another journal's driver left.
const LOCK: &str = "lock";

/// Lists it, and undoes what there is a word for.
pub(super) async fn perform(words: &[String], context: &Context) -> Result<Exit, Failure> {
    let connection = connect(&context.config()?).await?;
    let snapshot = look_before_a_run(&connection.ports, connection.known_nodes()).await;
    demand_quorum(&snapshot)?;
    let lock = left_lock(&snapshot)?;
    let (found, unread) = found_set(&snapshot);
    match context.format() {
        Format::Text => page(&found, &unread, lock).print(),
        Format::Json => print_json(&json!({ "kind": "from-cluster", "set": found, "unread": unread, "lock": lock })),
    }
    let items = found.iter().map(|found| found.item.as_str()).chain(lock.map(|_| LOCK)).collect::<Vec<_>>();
    let given = if words.is_empty() { asked(&items)? } else { known(words, &items)? };
    if given.is_empty() {
        return Ok(Exit::Ok);
    }
    if lock.is_some() && !given.iter().any(|item| item == LOCK) {
        let next = "Give the word `lock` as well if that journal is lost; otherwise `quorate resume` where it is.";
        return Err(Failure::usage("the lock in the cluster belongs to a run that has not ended", next));
    }
    let steps = found.into_iter().filter(|found| given.contains(&found.item)).map(|found| found.undo).collect();
    undo(steps, &snapshot, connection, context).await
}

/// The lock of a run that has not ended, if there is one and its driver is not at work.
fn left_lock(snapshot: &Snapshot) -> Result<Option<&DriverLock>, Failure> {
    let lock = snapshot.driver.read().map_err(|why| {
        Failure::cluster(
            format!("whether a driver is at work is not known: {why}"),
            &["Try again when it can be read."],
        )
    })?;
    match lock {
        Some(lock) if lock.may_live(snapshot.taken) => Err(Failure::new(
            Exit::Driver,
            format!("{} works on run {}; its last sign of life was at {}", lock.holder, lock.run, moment(lock.renewed)),
            "Nothing was changed on the cluster.",
            &["End that run where its journal is: `quorate abort`. If its process is gone, try again in two minutes."],
        )),
        lock => Ok(lock.as_ref().filter(|lock| !lock.ended)),
    }
}

fn page(found: &[FoundSet], unread: &[String], lock: Option<&DriverLock>) -> Page {
    let mut page = Page::default();
    page.line("Set in the cluster, by Quorate or by an administrator: nothing there tells which");
    for FoundSet { item, undo } in found {
        page.line(format!("  {item}: undone by: {}", undo.kind().title()));
    }
    if let Some(DriverLock { run, holder, head, .. }) = lock {
        page.line(format!(
            "  {LOCK}: run {run} of {holder} has not ended; its journal goes up to {head}. Give it up only if"
        ));
        page.line("    that journal is lost: nothing continues that run afterwards");
    }
    if found.is_empty() && lock.is_none() {
        page.line("  nothing");
    }
    unread.iter().for_each(|why| page.line(format!("  not known, and perhaps set: {why}")));
    page.gap();
    page.line(
        "Not written in the cluster: guests that a run shut down, and images that it ejected. `quorate inspect` shows",
    );
    page.line("the guests that are stopped.");
    page
}

/// Asks for a word for each.
fn asked(items: &[&str]) -> Result<Vec<String>, Failure> {
    let mut given = Vec::new();
    for item in items {
        let mut page = Page::default();
        page.line(format!("To undo it, type exactly: {item}. Anything else leaves it as it is."));
        page.print_err();
        let mut line = String::new();
        let read = std::io::stdin().read_line(&mut line);
        read.map_err(|error| Failure::usage(format!("no answer could be read: {error}"), "Give it with --undo."))?;
        if line.trim() == *item {
            given.push((*item).to_owned());
        }
    }
    Ok(given)
}

/// The words of the command line, each of which must name something that is set.
fn known(words: &[String], items: &[&str]) -> Result<Vec<String>, Failure> {
    match words.iter().find(|word| !items.contains(&word.as_str())) {
        None => Ok(words.to_vec()),
        Some(other) => {
            let next = format!("Set are: {}.", if items.is_empty() { "none".to_owned() } else { items.join(", ") });
            Err(Failure::usage(format!("{other} is not among what is set in the cluster"), &next))
        }
    }
}

async fn undo(
    steps: Vec<Step>,
    snapshot: &Snapshot,
    connection: Connection,
    context: &Context,
) -> Result<Exit, Failure> {
    let journal = Journal::open(&context.journal_path()?, Mode::Drive)?;
    journal.verify_chain()?;
    let run = new_run_id(connection.ports.clock.now(), "from-cluster");
    let cluster = snapshot.cluster_name.known().cloned().unwrap_or_default();
    let (known_nodes, policy) = (connection.known_nodes(), connection.policy.clone());
    let mut lines = Lines::new(context.format());
    let run = (run, cluster, policy);
    let mut driver = Driver::begin_undoing(connection.ports, &journal, &this_driver(), run, steps, &mut lines)?
        .known_nodes(known_nodes)
        .when_paused(WhenPaused::Leave);
    Ok(how_it_ended(&driver.drive().await?))
}
