//! A run without quorum: it stands still, says why, and goes on by itself when quorum is back.
//!
//! Nothing of the cluster is changed here, with one exception: expected votes are lowered if that is asked for and
//! [`lowering`] has nothing against it.

use super::action::{Action, Depth};
use super::seen::{Look, Seen};
use crate::recovery::{QuorumViews, diagnose, lowering};
use crate::run::event::StepOutcome;
use crate::run::pause::{Pause, PauseCause};
use crate::run::state::RunState;
use crate::snapshot::Snapshot;
use crate::steps::{ExpectedVotes, Why};

/// Between two surveys while there is no quorum, in seconds: a node with active HA has a minute.
const POLL_S: u64 = 5;

/// While the run stands still for want of quorum: is it back?
pub(super) fn still_lost(state: &RunState, seen: &Seen) -> Option<Action> {
    state.paused.as_ref().filter(|pause| pause.cause() == PauseCause::LostQuorum)?;
    let Some(quorum_views) = &seen.quorum_views else { return Some(Action::QuorumViews) };
    if quorum_views.views().any(|(_, view)| view.quorate) {
        return Some(Action::Resume { by: "Quorate itself: quorum is back".to_owned() });
    }
    let on = vec!["no quorum; the run goes on by itself when it is back".to_owned()];
    Some(Action::Wait { on, poll_s: POLL_S, then: Depth::Changes })
}

/// Does a look show that quorum is lost, and do the nodes themselves confirm it?
pub(super) fn lost(state: &RunState, seen: &Seen, look: &Look) -> Option<Action> {
    is_lost(&look.snapshot).then(|| stands_still(state, seen))?
}

/// The run stands still, with the diagnosis, if the nodes' own views say that no node has quorum.
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

/// Lowers expected votes, if nothing at all speaks against it.
pub(super) fn lower(state: &RunState, seen: &Seen, words: Vec<String>, by: String) -> Action {
    let Some(quorum_views) = &seen.quorum_views else { return Action::QuorumViews };
    match lowering(quorum_views, &state.facts(), &words) {
        Ok(step) => Action::LowerVotes { step, words, by },
        Err(refusals) => {
            let record = state.paused.as_ref().is_some_and(|pause| pause.cause() == PauseCause::LostQuorum);
            Action::RefuseLowering { pause: Pause::LoweringRefused { by, refusals }, record }
        }
    }
}

/// Do the members expect so few votes now? A node that does not report leaves it to be undone.
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
