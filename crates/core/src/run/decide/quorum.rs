//! A run without quorum: it pauses, says why, and continues by itself when quorum is back.
//!
//! Nothing of the cluster is changed here, with one exception: expected votes are lowered if that is asked for and
//! [`lowering`] allows it.

use super::action::{Action, Depth};
use super::goes_on::goes_on;
use super::seen::{Look, Seen};
use crate::command::Command;
use crate::fence;
use crate::ids::UnixMs;
use crate::recovery::{NodeReport, NotLowered, QuorumViews, diagnose, lowering};
use crate::run::event::StepOutcome;
use crate::run::pause::{Pause, PauseCause};
use crate::run::state::RunState;
use crate::snapshot::Snapshot;
use crate::steps::{ExpectedVotes, Why};

/// Seconds between two looks at the per-node quorum views while there is no quorum: a node with active HA has a minute.
const POLL_S: u64 = 5;

/// While the run is paused because quorum is lost: is it back?
pub(super) fn still_lost(state: &RunState, seen: &Seen) -> Option<Action> {
    state.paused.as_ref().filter(|pause| pause.cause() == PauseCause::LostQuorum)?;
    let Some(quorum_views) = &seen.quorum_views else { return Some(Action::QuorumViews) };
    if quorum_views.views().any(|(_, view)| view.quorate) {
        return Some(goes_on("quorum is back"));
    }
    let on = vec!["no quorum; the run continues by itself when it is back".to_owned()];
    Some(Action::Wait { on, poll_s: POLL_S, then: Depth::Changes })
}

/// Does a look show that quorum is lost, and do the nodes themselves confirm it?
pub(super) fn lost(state: &RunState, seen: &Seen, look: &Look) -> Option<Action> {
    is_lost(&look.snapshot).then(|| stands_still(state, seen))?
}

/// The run pauses, with the diagnosis, if the nodes' own views say that no node has quorum.
pub(super) fn stands_still(state: &RunState, seen: &Seen) -> Option<Action> {
    if state.paused.is_some() {
        return None;
    }
    let Some(quorum_views) = &seen.quorum_views else { return Some(Action::QuorumViews) };
    let diagnosis = quorum_views.lost_quorum().then(|| diagnose(quorum_views, &state.facts()))?;
    Some(Action::Pause(Pause::LostQuorum { diagnosis }))
}

/// Is there a view, and none with quorum?
fn is_lost(snapshot: &Snapshot) -> bool {
    let views = || snapshot.quorum.values().filter_map(|view| view.known());
    views().next().is_some() && !views().any(|view| view.quorate)
}

/// Lowers expected votes, if there is nothing at all against it.
pub(super) fn lower(state: &RunState, seen: &Seen, words: Vec<String>, by: String, now: UnixMs) -> Action {
    let Some(quorum_views) = &seen.quorum_views else { return Action::QuorumViews };
    let lowered = lowering(quorum_views, &state.facts(), &words);
    match lowered.and_then(|step| Ok((order(&step, quorum_views, now).map_err(|why| vec![why])?, step))) {
        Ok((command, step)) => Action::LowerVotes { step, command, words, by },
        Err(refusals) => {
            let record = state.paused.as_ref().is_some_and(|pause| pause.cause() == PauseCause::LostQuorum);
            Action::RefuseLowering { pause: Pause::LoweringRefused { by, refusals }, record }
        }
    }
}

/// The order to lower them, as it is really sent.
#[allow(clippy::result_large_err, reason = "there is one of it in a run, and it is looked at at once")]
fn order(step: &ExpectedVotes, quorum_views: &QuorumViews, now: UnixMs) -> Result<Command, NotLowered> {
    let nothing = NodeReport::silent("the nodes' own views", "it was not asked");
    let report = quorum_views.nodes.get(&step.node).unwrap_or(&nothing);
    let since_s = now.since_s(quorum_views.taken);
    let unfenced = |why| NotLowered::Unfenced { why };
    fence::without_quorum(step.lowers(), &report.boot, &report.uptime_s, since_s).map_err(unfenced)
}

/// Do the members expect the lowered number of votes now? If a node does not report, there is still something to undo.
pub fn votes_lowered(seen: &QuorumViews, step: &ExpectedVotes, answer: &str) -> StepOutcome {
    match seen.nodes.get(&step.node).and_then(|node| node.view.known()) {
        Some(view) if view.expected_votes > step.expected => {
            let (node, expected) = (step.node.clone(), view.expected_votes);
            StepOutcome::NoEffect(vec![Why::StillExpects { node, expected, answer: answer.to_owned() }.into()])
        }
        Some(_) => StepOutcome::Done,
        None => StepOutcome::Abandoned(vec![Why::NoViewAnyMore(step.node.clone()).into()]),
    }
}
