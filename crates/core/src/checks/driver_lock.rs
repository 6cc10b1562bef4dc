//! Is another driver running on this cluster?

use super::check::{Asked, Check, Waivable, kinds};
use crate::policy::Policy;
use crate::snapshot::{DriverLock, Snapshot};

pub(super) struct DriverLockHeld;

kinds! {
    Held { lock: DriverLock, age_s: u64 } => Blocking, Cluster,
        ("the cluster is being upgraded: run {} by {}, renewed {age_s} s ago", lock.run, lock.holder),
        ("Wait until that run has ended, or end it there: quorate abort");
    LeftBehind { lock: DriverLock, age_s: u64 } => Warning, Cluster,
        ("run {} was left unfinished by {}, whose last sign of life is {age_s} s old", lock.run, lock.holder),
        ("Continue it where its journal is: quorate resume. If that journal is lost: quorate recover --from-cluster");
}

impl Check for DriverLockHeld {
    const ID: &'static str = "driver-lock";
    const EXPLAIN: &'static str =
        "Two administrators on two laptops must not both upgrade one cluster: each would drain onto the node that the \
         other reboots. A driver keeps a lock in the cluster itself and renews it. A lock that was renewed a moment \
         ago is blocking, and nothing else is said then, because what the other run has under way looks like damage: wait, \
         or end the other run. An old one, or one that was released before its run had \
         ended, was left by a driver that died or was told to leave, and is a warning: it is best to continue its run \
         with `quorate resume` where its journal is, and what it has set is still set.";
    const WAIVABLE: Waivable = Waivable::Never("two drivers would upgrade one cluster");
    const ASKED: Asked = Asked::BeforeARun;
    type Found = Found;

    fn look(snapshot: &Snapshot, _policy: &Policy, found: &mut Vec<Found>) {
        let Some(Some(lock)) = snapshot.driver.known() else { return };
        let (lock, age_s) = (lock.clone(), snapshot.taken.since_s(lock.renewed));
        if lock.may_live(snapshot.taken) {
            found.push(Found::Held { lock, age_s });
        } else if !lock.ended {
            found.push(Found::LeftBehind { lock, age_s });
        }
    }
}
