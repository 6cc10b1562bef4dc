//! Is this the only driver of the cluster? If that is not known, nothing is started.

use super::action::{Action, Depth, POLL_CALMLY_S};
use super::quorum;
use super::seen::{Hold, Seen};
use crate::ids::UnixMs;
use crate::run::pause::Pause;
use crate::run::state::RunState;

/// After this long without the lock in the cluster the run pauses: as long as a node may take to rejoin.
const DEADLINE_S: u64 = 600;

/// What to do while the lock is not held; nothing if it is.
pub(super) fn not_held(state: &RunState, seen: &Seen, now: UnixMs) -> Option<Action> {
    let why = match &seen.lock {
        None => return Some(Action::HoldLock),
        Some(Hold::Ours) => return None,
        Some(Hold::Theirs(to)) => return Some(Action::GiveWay { to: to.clone() }),
        Some(Hold::OlderJournal(older)) => return Some(Action::RefuseJournal(older.clone())),
        Some(Hold::Unsure(why)) => why.clone(),
    };
    // It needs quorum: where that is lost, the run pauses for that.
    if let Some(action) = quorum::stands_still(state, seen) {
        return Some(action);
    }
    let since = seen.unsure_since.unwrap_or(now);
    if now.since_s(since) >= DEADLINE_S && state.paused.is_none() {
        return Some(Action::Pause(Pause::NoLock { why }));
    }
    let on = vec![format!("the driver's lock in the cluster cannot be held: {why}")];
    Some(Action::Wait { on, poll_s: POLL_CALMLY_S, then: Depth::Changes })
}
