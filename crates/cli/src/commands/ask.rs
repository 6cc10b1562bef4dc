//! `quorate pause`, `approve`, `abort`, `resume`: a request to the process that works on the run, as a row in the
//! journal.
//!
//! It is always taken. If no process works on the run, all but `pause` take it up here, in the foreground.

use std::collections::BTreeSet;

use clap::ValueEnum;
use quorate_core::checks::parse_waiver;
use quorate_core::ids::RunId;
use quorate_core::policy::{ConsentKind, Waiver};
use quorate_core::run::{PauseCause, Request, RunState};
use quorate_engine::WhenPaused;
use quorate_journal::{Journal, Mode};

use super::driver_process::{self, Foreground};
use super::follow::follow;
use super::watch::Lines;
use super::who::speaker;
use crate::clock::wall_now;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::live::Since;
use crate::render;
use crate::render::driver::Standing;
use crate::render::page::Page;

#[derive(Debug, clap::Args)]
pub(crate) struct PauseArgs {
    /// Pause at once: what is in progress on the cluster continues, and nothing new is started. The current node may be
    /// drained or rebooting then
    #[arg(long)]
    now: bool,
    /// Pause when the current node is done, before the next one is touched (default)
    #[arg(long, conflicts_with = "now")]
    after_node: bool,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ApproveArgs {
    /// What you consent to; default: everything that the plan needs and that was not given yet
    kinds: Vec<ConsentArg>,
    #[command(flatten)]
    here: Foreground,
}

#[derive(Debug, clap::Args)]
pub(crate) struct AbortArgs {
    #[command(flatten)]
    here: Foreground,
}

#[derive(Debug, clap::Args)]
pub(crate) struct ResumeArgs {
    /// Accept a finding that paused the run, for a reason; may be repeated
    #[arg(long, value_name = "CHECK[:SUBJECT]=REASON", value_parser = parse_waiver)]
    waive: Vec<Waiver>,
    #[command(flatten)]
    here: Foreground,
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

pub(super) fn pause(args: &PauseArgs, context: &Context) -> Result<Exit, Failure> {
    let open = Open::find(context)?;
    let node = open.state.current_node.as_ref().map_or("the current node", |node| node.as_str());
    let (request, effect) = if args.now {
        (Request::Pause, "it pauses now".to_owned())
    } else {
        (Request::PauseAfterNode, format!("it pauses when {node} is done"))
    };
    let standing = note(&open, &[request], &effect)?;
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
    say(open, vec![Request::Approve { kinds }], &words, args.here, context).await
}

pub(super) async fn abort(args: &AbortArgs, context: &Context) -> Result<Exit, Failure> {
    let open = Open::find(context)?;
    say(open, vec![Request::Abort], "it undoes what is left to undo and ends", args.here, context).await
}

pub(super) async fn resume(args: &ResumeArgs, context: &Context) -> Result<Exit, Failure> {
    let open = Open::find(context)?;
    if let Some(node) = open.state.handed_over().and_then(|(_, record)| record.step.node()) {
        let next = format!("`quorate undrain {node}` gives it back.");
        return Err(Failure::new(Exit::Driver, format!("{node} is drained"), "Nothing was changed.", &[&next]));
    }
    let waivers = args.waive.iter().map(|waiver| Request::Waive { waiver: waiver.clone(), findings: Vec::new() });
    say(open, waivers.chain([Request::Resume]).collect(), "it continues", args.here, context).await
}

/// Puts the requests into the journal. If no process works on the run, it is taken up here, and handles them first.
pub(super) async fn say(
    open: Open,
    requests: Vec<Request>,
    effect: &str,
    here: Foreground,
    context: &Context,
) -> Result<Exit, Failure> {
    let standing = note(&open, &requests, effect)?;
    if standing.works.is_some() {
        return Ok(Exit::Ok);
    }
    let mut page = Page::default();
    page.line("This process takes the run up. If it cannot, the request stays, and `quorate resume` handles it first.");
    page.print_err();
    take_up(open, &requests, here, context).await
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

async fn take_up(open: Open, requests: &[Request], here: Foreground, context: &Context) -> Result<Exit, Failure> {
    let Open { journal, run, state: _ } = open;
    let path = journal.path().to_owned();
    drop(journal);
    let ended = if here.foreground {
        let journal = Journal::open(&path, Mode::Drive)?;
        driver_process::take_up(&journal, run, WhenPaused::Leave, context, &mut Lines::new(context.format())).await?
    } else {
        let driver = driver_process::start(&path, &run, WhenPaused::Leave, context)?;
        follow(driver, &run, Since::Now, context).await?
    };
    // An abort that was asked for has been done.
    Ok(if ended == Exit::Aborted && requests.contains(&Request::Abort) { Exit::Ok } else { ended })
}
