//! What each guest will experience in a run: one outcome, with its reason.
//!
//! Decided by the same code as the check `guest-outcome`, so that the two cannot differ.

use serde::{Deserialize, Serialize};

use super::choices::offline_downtime_s;
use super::stuck::stuck;
use super::support::{has_turn, lasting};
use crate::ids::GuestKind;
use crate::placement::{disk_bytes, state_place};
use crate::policy::{GuestPolicy, Policy};
use crate::snapshot::{DiskUse, Guest, Snapshot};

/// What a guest will experience, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GuestOutcome {
    /// What happens to it.
    pub kind: GuestOutcomeKind,
    /// Why, or what goes with it; empty where there is nothing to say.
    pub why: String,
}

/// What happens to a guest. Ordered: the worst is the greatest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum GuestOutcomeKind {
    /// Nothing: it does not run, or its node is not upgraded.
    Untouched,
    /// It is stopped and moves as it is.
    Offline,
    /// It moves while it runs.
    Live,
    /// It moves by a restart: seconds of downtime.
    Restart,
    /// It is shut down, moved and started again: a minute and more of downtime.
    MovedStopped,
    /// Its memory is written to a storage while its node is upgraded, and it goes on from there.
    Hibernates,
    /// It is shut down while its node is upgraded, and started again there.
    StaysDown,
    /// It is in the way: no run until that is changed.
    Blocked,
}

impl std::fmt::Display for GuestOutcomeKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Untouched => "untouched",
            Self::Offline => "moves stopped",
            Self::MovedStopped => "offline",
            Self::Live => "live",
            Self::Restart => "restart",
            Self::Hibernates => "hibernates",
            Self::StaysDown => "stays down",
            Self::Blocked => "BLOCKED",
        })
    }
}

/// The outcome for one guest.
pub fn guest_outcome(snapshot: &Snapshot, policy: &Policy, guest: &Guest) -> GuestOutcome {
    let is = |kind, why: &str| GuestOutcome { kind, why: why.to_owned() };
    if snapshot.nodes.get(&guest.node).is_some_and(|node| !has_turn(snapshot, node, policy)) {
        return is(GuestOutcomeKind::Untouched, "its node is up to date");
    }
    if !guest.may_be_running() {
        let wanted = policy.moves_stopped(guest);
        return match stuck(snapshot, policy, guest).filter(|_| wanted) {
            Some(reason) => is(GuestOutcomeKind::Untouched, &reason),
            None if wanted => is(GuestOutcomeKind::Offline, ""),
            None => is(GuestOutcomeKind::Untouched, "it does not run"),
        };
    }
    if let Some(Some(lock)) = guest.lock.known() {
        return is(GuestOutcomeKind::Blocked, &format!("locked: {}", lock.0));
    }
    let Some(facts) = guest.migration.known() else {
        return is(GuestOutcomeKind::Blocked, "what binds it to its node is not known");
    };
    if let Some(reason) = stuck(snapshot, policy, guest) {
        if policy.allows(guest, GuestPolicy::Shutdown) {
            return is(GuestOutcomeKind::StaysDown, &reason);
        }
        if policy.allows(guest, GuestPolicy::Hibernate) {
            return match state_place(snapshot, guest, |_| 0) {
                Ok(place) => is(GuestOutcomeKind::Hibernates, &format!("its state on {}; {reason}", place.storage)),
                Err(why) => is(GuestOutcomeKind::Blocked, &format!("{reason}; nor can it hibernate: {}", why.text())),
            };
        }
        let down_s = offline_downtime_s(snapshot, policy, guest).filter(|_| policy.allows(guest, GuestPolicy::Offline));
        return match down_s {
            Some(down_s) => {
                is(GuestOutcomeKind::MovedStopped, &format!("down for about {}; {reason}", lasting(down_s)))
            }
            None => is(GuestOutcomeKind::Blocked, &reason),
        };
    }
    if guest.id.kind == GuestKind::Ct {
        return is(GuestOutcomeKind::Restart, "containers move by a restart");
    }
    let mut with = Vec::new();
    if facts.local_disks.iter().any(|disk| disk.usage == DiskUse::Cdrom) {
        with.push("its CD image is ejected first".to_owned());
    }
    let copied = disk_bytes(facts);
    if copied > 0 {
        with.push(format!("{} of local disks are copied", super::support::gib(copied)));
    }
    is(GuestOutcomeKind::Live, &with.join("; "))
}
