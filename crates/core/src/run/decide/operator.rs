//! What another process, or the operator on the way here, asks for.

use super::action::Action;
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
        Request::Resume => vec![Event::Resumed { by }],
        Request::Waive { waiver, findings } => vec![Event::Waived { waiver, findings, by }],
        Request::Approve { kinds } => {
            let agreed = state.plan.as_ref().map(|plan| state.agreement(plan, &by, now));
            let goes_on = state.paused.as_ref().is_some_and(|pause| pause.cause() == PauseCause::NeedsConsent);
            let resumed = goes_on.then(|| Event::Resumed { by: by.clone() });
            [Event::Consented { kinds, by }].into_iter().chain(agreed).chain(resumed).collect()
        }
        Request::LowerVotes { words } => return Some(quorum::lower(state, seen, words, by, now)),
        Request::Abort => vec![Event::AbortBegun { by }],
    };
    Some(Action::Hear { events })
}

/// Does the process leave the paused run? Without quorum only after waiting for as long as a node may take to boot and
/// come back: then an administrator has to look.
pub(super) fn left(state: &RunState, seen: &Seen, now: UnixMs) -> Option<Action> {
    let pause = state.paused.as_ref().filter(|_| seen.leaves_when_paused)?;
    let deadlines = &state.policy.deadlines;
    let waited = now.since_s(state.last_event) > deadlines.boot_s + deadlines.rejoin_s;
    (pause.cause() != PauseCause::LostQuorum || waited).then(|| Action::Leave(pause.clone()))
}
