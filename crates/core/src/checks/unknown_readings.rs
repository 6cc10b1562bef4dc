//! Readings that are missing.

use std::collections::BTreeMap;

use super::check::{Asked, Check, UNSEEN, Waivable, kinds};
use super::finding::{Severity, Subject};
use super::support::some;
use crate::ids::{GuestId, NodeName};
use crate::policy::{Policy, StoppedGuests};
use crate::snapshot::{Gap, GuestStatus, Snapshot};

pub(super) struct UnknownReadings;

/// Readings that no decision of a run depends on: they serve forecasts and hints.
const SERVE_HINTS_ONLY: [&str; 11] = [
    "uptime_s",
    "subscription",
    "boot_free_bytes",
    "failed_units",
    "running_manager",
    "reboot_required",
    "moves_connections",
    "onboot",
    "backups",
    "options",
    "host",
];

/// Packages and configuration of a Ceph that was given up look like one whose monitors are all silent.
const CEPH_GIVEN_UP: &str = ". If Ceph was given up and no monitor is left, take its remains away: pveceph purge on each \
                             node that has its packages, and rm /etc/pve/ceph.conf if that is still there";

kinds! {
    Missing {
        severity: Severity, subject: Subject, places: Vec<String>, source: String, reason: String, beside: &'static str
    } => severity, subject,
        ("{} {} not known: {source}: {reason}", some(&places), if places.len() == 1 { "is" } else { "are" }),
        ("Make this work, then check again: {source}{beside}");
}

impl Check for UnknownReadings {
    const ID: &'static str = "unknown-readings";
    const EXPLAIN: &'static str =
        "What could not be read is never assumed to be good. A reading that a decision of the run depends on is \
         blocking; one that serves a hint only (uptime, subscription, space on /boot, failed units, whether a reboot was asked for, start at boot, \
         backup times, options, the checker of PVE and the like) is a warning, and what is missing of a guest that is \
         never touched is for information. Readings of a node that is offline are left out: the rule one-node-out is \
         about it. Each finding names the call or command that should have answered, and what came instead. Fix what \
         it names: an address, a privilege of the token, a service that hangs. Then check again.";
    const WAIVABLE: Waivable = Waivable::Never(UNSEEN);
    const ASKED: Asked = Asked::BeforeARun;
    type Found = Found;

    fn look(snapshot: &Snapshot, policy: &Policy, found: &mut Vec<Found>) {
        // One cause often hides many readings: one finding per cause and subject, and one in all for many guests.
        let mut causes: BTreeMap<(Severity, Subject, String), Vec<Gap>> = BTreeMap::new();
        for gap in snapshot.gaps().into_iter().filter(|gap| !is_hidden_by_a_greeting(gap, snapshot)) {
            let Some((severity, subject)) = judge(&gap, snapshot, policy) else { continue };
            let subject = if matches!(subject, Subject::Guest(_)) { Subject::Cluster } else { subject };
            causes.entry((severity, subject, gap.why.reason.clone())).or_default().push(gap);
        }
        for ((severity, subject, reason), gaps) in causes {
            let source = gaps[0].why.source.clone();
            let beside = if gaps.iter().any(|gap| gap.place == "ceph") { CEPH_GIVEN_UP } else { "" };
            let places = gaps.into_iter().map(|gap| gap.place).collect();
            found.push(Found::Missing { severity, subject, places, source, reason, beside });
        }
    }
}

/// Is it missing because of what the node's login shell prints? The check `login-text` is about that.
fn is_hidden_by_a_greeting(gap: &Gap, snapshot: &Snapshot) -> bool {
    let mut parts = gap.place.split('/');
    let (area, name) = (parts.next().unwrap_or(""), parts.next().unwrap_or(""));
    matches!(area, "nodes" | "quorum" | "etc_pve")
        && snapshot.nodes.get(&NodeName::new(name)).is_some_and(|node| node.login_text.is_some())
}

/// Is a reading missing that a decision depends on?
pub(super) fn blind(snapshot: &Snapshot, policy: &Policy) -> bool {
    let blocks = |gap: &Gap| judge(gap, snapshot, policy).is_some_and(|(severity, _)| severity == Severity::Blocking);
    snapshot.gaps().iter().any(blocks)
}

fn judge(gap: &Gap, snapshot: &Snapshot, policy: &Policy) -> Option<(Severity, Subject)> {
    let mut parts = gap.place.split('/');
    let (area, name, what) = (parts.next().unwrap_or(""), parts.next().unwrap_or(""), parts.next().unwrap_or(""));
    let hint = |what: &str| if SERVE_HINTS_ONLY.contains(&what) { Severity::Warning } else { Severity::Blocking };
    match area {
        "nodes" | "quorum" => {
            let name = NodeName::new(name);
            let offline = snapshot.nodes.get(&name).is_some_and(|node| node.online.is(&false));
            (!offline).then(|| (hint(what), Subject::Node(name)))
        }
        "guests" => {
            let id = GuestId::parse(name)?;
            let guest = snapshot.guests.get(&id)?;
            let stays = policy.stopped_guests != StoppedGuests::Move && guest.status.is(&GuestStatus::Stopped);
            let untouched = guest.template || stays;
            let severity = if untouched && what != "status" { Severity::Info } else { hint(what) };
            Some((severity, Subject::Guest(id)))
        }
        whole => Some((hint(whole), Subject::Cluster)),
    }
}
