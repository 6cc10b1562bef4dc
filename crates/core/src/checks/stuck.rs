//! What keeps a guest from moving.

use crate::placement::{Obstacle, as_stopped, obstacle_here, obstacle_there};
use crate::policy::{GuestPolicy, Policy};
use crate::snapshot::{Guest, Snapshot};

/// Why the guest cannot go anywhere. A reading that is missing is not reported here.
pub(super) fn stuck(snapshot: &Snapshot, policy: &Policy, guest: &Guest) -> Option<String> {
    if policy.of(guest) == Some(GuestPolicy::Refuse) {
        return Some("the policy says that it is not touched".to_owned());
    }
    match obstacle_here(guest, policy) {
        Err(Obstacle::No(why)) => return Some(why),
        Err(Obstacle::Unknown(_)) => return None,
        Ok(()) => {}
    }
    let mut refused = Vec::new();
    for target in snapshot.nodes.values().filter(|node| node.name != guest.node && !node.online.is(&false)) {
        match obstacle_there(snapshot, policy, guest, target) {
            Err(Obstacle::No(why)) => refused.push(format!("{}: {why}", target.name)),
            Err(Obstacle::Unknown(_)) | Ok(()) => return None,
        }
    }
    Some(if refused.is_empty() { "there is no other node".to_owned() } else { refused.join("; ") })
}

/// The same once it is shut down.
pub(super) fn stuck_stopped(snapshot: &Snapshot, policy: &Policy, guest: &Guest) -> Option<String> {
    stuck(snapshot, policy, &as_stopped(guest))
}
