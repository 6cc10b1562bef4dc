//! What another process, or the operator on the way here, asks for.

use super::action::Action;
use super::hold;
use super::quorum;
use super::seen::{Asked, Seen};
use crate::ids::UnixMs;
use crate::run::event::{Event, Request};
use crate::run::pause::{Pause, PauseCause};
use crate::run::state::RunState;

/// What follows from the oldest request; if requests were not read yet, an action to read them.
pub(super) fn asked(state: &RunState, seen: &Seen, now: UnixMs) -> Option<Action> {
    let Some(Asked { request, by, .. }) = seen.asked.front() else {
        return (!seen.listened).then_some(Action::Listen);
    };
    let by = by.clone();
    let events = match request.clone() {
        Request::Pause if state.paused.is_some() => Vec::new(),
        Request::Pause => vec![Event::Paused { pause: Pause::Operator { by } }],
        Request::PauseAfterNode if state.paused.is_some() => Vec::new(),
        Request::PauseAfterNode => vec![Event::PauseAsked { by }],
        // Only who works on the node knows when that is over.
        Request::Resume if state.handed_over().is_some() => Vec::new(),
        Request::Resume => vec![Event::Resumed { by }],
        Request::Undrain => hold::given_back(state).into_iter().chain([Event::Resumed { by }]).collect(),
        Request::Waive { waiver, findings } => vec![Event::Waived { waiver, findings, by }],
        Request::Approve { kinds } => {
            let agreed = state.plan.as_ref().map(|plan| state.agreement(plan, &by, now));
            let goes_on = state.paused.as_ref().is_some_and(|pause| pause.cause() == PauseCause::NeedsConsent);
            let resumed = goes_on.then(|| Event::Resumed { by: by.clone() });
            [Event::Consented { kinds, by }].into_iter().chain(agreed).chain(resumed).collect()
        }
        Request::LowerVotes { words } => return Some(quorum::lower(state, seen, words, by, now)),
        Request::Abort => hold::given_back(state).into_iter().chain([Event::AbortBegun { by }]).collect(),
    };
    Some(Action::Hear { events })
}

/// Does the process leave the paused run? Without quorum only after waiting for as long as a node may take to boot and
/// come back: then an administrator has to look.
pub(super) fn left(state: &RunState, seen: &Seen, now: UnixMs) -> Option<Action> {
    let leaves = |pause: &&Pause| seen.leaves_when_paused || pause.cause() == PauseCause::Drained;
    let pause = state.paused.as_ref().filter(leaves)?;
    let deadlines = &state.policy.deadlines;
    let waited = now.since_s(state.last_event) > deadlines.boot_s + deadlines.rejoin_s;
    (pause.cause() != PauseCause::LostQuorum || waited).then(|| Action::Leave(pause.clone()))
}
