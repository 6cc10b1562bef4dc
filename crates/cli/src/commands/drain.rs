//! `quorate drain` and `undrain`: one node is emptied and handed over to its administrator, and later given back.
//!
//! It is a run of its own kind, with the same rules, journal and undo, in which nothing is upgraded.

use quorate_core::ids::NodeName;
use quorate_core::run::{Request, RunKind, RunState};
use quorate_core::snapshot::Snapshot;
use quorate_engine::{Driver, Prepared, Silent, WhenPaused, look_before_a_run, new_run_id};
use quorate_journal::{Journal, Mode};
use quorate_pve::observe::{Look, observe};

use super::ask::{self, Open};
use super::connect::{Connection, connect};
use super::driver_process::Foreground;
use super::guests;
use super::plan::no_plan;
use super::preflight::{blocks, demand_quorum};
use super::run::{Begun, WordArgs, demand_no_open_run, handed_over, nothing_begun, worded};
use super::watch::Lines;
use super::who::{how_it_ended, this_driver};
use crate::context::{Context, Format};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::render;
use crate::render::page::print_json;
use crate::render::plan::Detail;
use crate::signals::Signals;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The node
    node: String,
    /// Show what stands in the way and the plan, and change nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    word: WordArgs,
}

#[derive(Debug, clap::Args)]
pub(crate) struct UndrainArgs {
    /// The node
    node: String,
    #[command(flatten)]
    here: Foreground,
}

/// `quorate drain`.
pub(super) async fn perform(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let node = NodeName::new(args.node.clone());
    let config = context.config()?;
    if args.dry_run {
        return show(&node, args, connect(&config).await?, context).await;
    }
    args.word.demand_somebody(&format!("drain {node}"), context)?;
    let journal = Journal::open(&context.journal_path()?, Mode::Drive)?;
    demand_no_open_run(&journal)?;
    let begun = begin(&node, args, connect(&config).await?, &journal, context).await?;
    handed_over(begun, journal, &args.word, context).await
}

async fn begin(
    node: &NodeName,
    args: &Args,
    connection: Connection,
    journal: &Journal,
    context: &Context,
) -> Result<Begun, Failure> {
    let clock = connection.ports.clock.clone();
    let (run, known_nodes) = (new_run_id(clock.now(), node.as_str()), connection.known_nodes());
    let mut policy = connection.policy.clone().for_a_drain();
    policy.waive.extend(args.word.waive.iter().cloned());
    let before = look_before_a_run(&connection.ports, known_nodes.clone()).await;
    demand_quorum(&before)?;
    demand_node(&before, node)?;
    guests::ask(&with_guests_of(&before, node), &mut policy, context)?;
    let cluster = before.cluster_name.known().cloned().unwrap_or_default();
    let (mut lines, mut silent) = (Lines::new(context.format()), Silent);
    let stop = Signals::while_asking()?;
    let (this_run, watcher) = ((run, cluster, policy), args.word.watcher(&mut lines, &mut silent));
    let mut driver = Driver::open_drain(connection.ports, journal, &this_driver(), node.clone(), this_run, watcher)?
        .known_nodes(known_nodes)
        .telling()
        .when_paused(WhenPaused::Stay);
    if let Some(ended) = driver.take_lock().await? {
        return Ok(Begun::Ended(how_it_ended(&ended)));
    }
    let Some(prepared) = stop.unless(driver.prepare_drain(node)).await else {
        return nothing_begun(driver, context).await;
    };
    worded(&args.word, None, (driver, stop), &prepared?, (journal, clock.now()), context).await
}

/// What stands in the way, and the plan.
async fn show(node: &NodeName, args: &Args, connection: Connection, context: &Context) -> Result<Exit, Failure> {
    let mut policy = connection.policy.clone().for_a_drain();
    policy.waive.extend(args.word.waive.iter().cloned());
    let look = Look { known_nodes: connection.known_nodes(), ..Look::full() };
    let snapshot = observe(&connection.ports, look).await;
    demand_quorum(&snapshot)?;
    demand_node(&snapshot, node)?;
    let run = new_run_id(connection.ports.clock.now(), node.as_str());
    let Prepared { snapshot, findings, plan, .. } = Prepared::of_drain(snapshot, &policy, &run, node);
    let json = context.format() == Format::Json;
    match json {
        true => findings.iter().for_each(print_json),
        false => render::preflight::findings(&findings).print(),
    }
    let plan = match plan {
        Ok((plan, _)) => plan,
        Err(none) => return Ok(no_plan(&none, context.format())),
    };
    match json {
        true => print_json(&serde_json::json!({ "kind": "plan", "plan": plan })),
        false => render::plan::plan(&plan, &snapshot, &policy, Detail::Steps).print(),
    }
    Ok(if blocks(&findings) { Exit::Blocked } else { Exit::Ok })
}

/// `quorate undrain`.
pub(super) async fn undrain(args: &UndrainArgs, context: &Context) -> Result<Exit, Failure> {
    let open = Open::find(context)?;
    demand_drained(&open.state, &NodeName::new(args.node.clone()))?;
    ask::say(open, vec![Request::Undrain], "the node is given back", args.here, context).await
}

fn demand_drained(state: &RunState, node: &NodeName) -> Result<(), Failure> {
    let run = state.run.as_ref().map(ToString::to_string).unwrap_or_default();
    let (happened, next) = match (&state.kind, state.drain()) {
        (RunKind::Drain { node: other }, _) if other != node => {
            (format!("run {run} has drained {other}, not {node}"), format!("`quorate undrain {other}` gives it back."))
        }
        (_, Some(drain)) if drain.given_back || state.handed_over().is_some() => return Ok(()),
        (_, Some(_)) => (
            format!("run {run} is still draining {node}"),
            "`quorate status` shows how far it is; `quorate abort` takes it back.".to_owned(),
        ),
        (_, None) => (
            format!("run {run} is no drain"),
            "`quorate status` shows it; `quorate resume` continues it, `quorate abort` ends it.".to_owned(),
        ),
    };
    Err(Failure::new(Exit::Driver, happened, "Nothing was changed.", &[&next]))
}

fn demand_node(snapshot: &Snapshot, node: &NodeName) -> Result<(), Failure> {
    if snapshot.nodes.contains_key(node) {
        return Ok(());
    }
    let all: Vec<&str> = snapshot.nodes.keys().map(NodeName::as_str).collect();
    Err(Failure::usage(format!("{node} is no node of this cluster"), &format!("Its nodes: {}.", all.join(", "))))
}

/// Only guests of the node are asked about.
fn with_guests_of(snapshot: &Snapshot, node: &NodeName) -> Snapshot {
    let mut only = snapshot.clone();
    only.guests.retain(|_, guest| guest.node == *node);
    only
}
