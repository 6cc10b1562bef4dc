//! `quorate recover`: why quorum is lost, what is at risk, and what can be done, least risk first.
//!
//! Nothing is changed unless `--lower-expected-votes` is given, and then only if nothing at all speaks against it, as
//! decided by [`lowering`]. It is called here, so that all reasons can be shown, and called again by the process that
//! works on the run, which alone sends the command and records that it must be undone.

use quorate_core::ids::NodeName;
use quorate_core::recovery::{Diagnosis, QuorumViews, RunFacts, Standing, diagnose, lowering, words_for};
use quorate_core::run::{Request, RunState};
use quorate_engine::{Driver, Lowered, WhenPaused, new_run_id};
use quorate_journal::{Journal, Mode};
use quorate_pve::observe::quorum_views;
use serde_json::json;

use super::connect::{Connection, connect_alone};
use super::watch::Lines;
use super::who::{speaker, this_driver};
use crate::clock::wall_now;
use crate::context::{Context, Format};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::render;
use crate::render::page::{Page, print_json};

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Lower the expected votes so that the remaining nodes have quorum. The last resort
    #[arg(long)]
    lower_expected_votes: bool,
    /// "I have seen that NODE is off", once per absent node; without it you are asked for each
    #[arg(long, value_name = "WORDS", requires = "lower_expected_votes")]
    confirm_off: Vec<String>,
    /// The journal is lost or an older copy: list what is set in the cluster, and offer to undo each
    #[arg(long, conflicts_with = "lower_expected_votes")]
    from_cluster: bool,
    /// Undo this, as listed; may be repeated. Without it you are asked for each
    #[arg(long, value_name = "ITEM", requires = "from_cluster")]
    undo: Vec<String>,
}

pub(super) async fn perform(args: &Args, context: &Context) -> Result<Exit, Failure> {
    if args.from_cluster {
        return super::from_cluster::perform(&args.undo, context).await;
    }
    let connection = connect_alone(&context.config()?)?;
    let state = open_run(context)?;
    let facts = match &state {
        Some(state) => state.facts(),
        None => RunFacts::without_a_run(&connection.policy.deadlines),
    };
    let seen = quorum_views(&connection.ports, &connection.known_nodes()).await;
    let diagnosis = diagnose(&seen, &facts);
    match context.format() {
        Format::Text => render::recover::page(&diagnosis).print(),
        Format::Json => print_json(&json!({ "kind": "recover", "diagnosis": diagnosis, "survey": seen })),
    }
    if !args.lower_expected_votes {
        return exit_of(&diagnosis);
    }
    let words = confirmed_off(args, &seen)?;
    if let Err(refusals) = lowering(&seen, &facts, &words) {
        let reasons: Vec<String> = refusals.iter().map(ToString::to_string).collect();
        let next: Vec<&str> = reasons.iter().map(String::as_str).chain(["None of these can be waived."]).collect();
        let what = "expected votes are not lowered";
        return Err(Failure::new(Exit::Blocked, what, "Nothing was changed on the cluster. The reasons:", &next));
    }
    lower(words, connection, state, context).await
}

/// With quorum, all is well. Without it there is something to do; if no node answers, not even that is known.
fn exit_of(diagnosis: &Diagnosis) -> Result<Exit, Failure> {
    match diagnosis.standing {
        Standing::Quorate { .. } => Ok(Exit::Ok),
        Standing::Lost { .. } => Ok(Exit::NoQuorum),
        Standing::NotKnown => Err(Failure::cluster(
            "no node answers whether there is quorum",
            &["Check the network and `ssh` in the configuration; then go to the machines."],
        )),
    }
}

/// The run that has not ended, if there is one.
fn open_run(context: &Context) -> Result<Option<RunState>, Failure> {
    let path = context.journal_path()?;
    if !path.exists() {
        return Ok(None);
    }
    let journal = Journal::open(&path, Mode::Read)?;
    let Some(run) = journal.latest_run()? else { return Ok(None) };
    let entries = journal.events(&run)?;
    let state = RunState::of(entries.iter().map(|entry| (entry.at, &entry.event)));
    Ok(Some(state).filter(|state| state.ended.is_none()))
}

/// The sentences: from the command line, or typed one by one.
fn confirmed_off(args: &Args, seen: &QuorumViews) -> Result<Vec<String>, Failure> {
    if !args.confirm_off.is_empty() {
        return Ok(args.confirm_off.clone());
    }
    let absent: Vec<NodeName> = seen.absent().into_iter().cloned().collect();
    let mut words = Vec::new();
    for node in absent {
        let mut page = Page::default();
        page.line(format!("{node} is absent. If it is still running, the next step destroys its guests' disks."));
        page.line(format!("Go and look at the machine. Then type exactly: {}", words_for(&node)));
        page.print_err();
        let mut line = String::new();
        let read = std::io::stdin().read_line(&mut line);
        read.map_err(|error| {
            Failure::usage(format!("no answer could be read: {error}"), "Give it with --confirm-off.")
        })?;
        words.push(line.trim_end_matches(['\n', '\r']).to_owned());
    }
    Ok(words)
}

/// Sends the request to the process that works on the run, or continues the run here, or starts one that only undoes
/// this.
async fn lower(
    words: Vec<String>,
    connection: Connection,
    state: Option<RunState>,
    context: &Context,
) -> Result<Exit, Failure> {
    let path = context.journal_path()?;
    let run = state.as_ref().and_then(|state| state.run.clone());
    if let Some(run) = &run {
        let journal = Journal::open(&path, Mode::Ask)?;
        if let Some(lease) = journal.driver(wall_now())?.filter(|lease| lease.run == *run) {
            journal.post_request(run, wall_now(), &speaker(), &Request::LowerVotes { words })?;
            let mut page = Page::default();
            let holder = &lease.holder.text;
            page.line(format!("Sent to {holder}, which works on run {run}: it checks once more, then lowers them."));
            page.print_err();
            return Ok(Exit::Ok);
        }
    }
    let journal = Journal::open(&path, Mode::Drive)?;
    journal.verify_chain()?;
    let known_nodes = connection.known_nodes();
    let mut lines = Lines::new(context.format());
    let holder = this_driver();
    let driver = match run {
        Some(run) => Driver::take_up(connection.ports, &journal, &holder, run, &mut lines)?,
        None => {
            let now = connection.ports.clock.now();
            let run = new_run_id(now, "recover");
            Driver::begin_recovery(connection.ports, &journal, &holder, run, connection.policy, &mut lines)?
        }
    };
    let mut driver = driver.known_nodes(known_nodes).when_paused(WhenPaused::Leave);
    let lowered = driver.lower_votes(words, speaker()).await?;
    driver.leave();
    let mut page = Page::default();
    if let Lowered::Not(why) = lowered {
        let why: Vec<&str> = why.iter().map(String::as_str).collect();
        return Err(Failure::new(Exit::Blocked, "expected votes were not lowered", "The cluster is as it was.", &why));
    }
    page.line("The expected votes are lowered. This must be undone: corosync raises them by itself as nodes join, and");
    page.line("`quorate resume` does the rest. Until then no other run can start.");
    page.print_err();
    Ok(Exit::Ok)
}
