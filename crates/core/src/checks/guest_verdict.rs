//! What each guest will experience, and what keeps it from moving.

use super::support::{Report, gib, has_turn};
use super::{Check, Finding, Severity};
use crate::ids::GuestKind;
use crate::observed::Observed;
use crate::placement::{Obstacle, disk_bytes, obstacle_here, obstacle_there};
use crate::policy::{ConsentKind, GuestPolicy, Policy, tags};
use crate::snapshot::{DiskUse, Guest, Snapshot};

pub(super) struct GuestVerdict;

impl Check for GuestVerdict {
    fn id(&self) -> &'static str {
        "guest-verdict"
    }

    fn explain(&self) -> &'static str {
        "Every running guest on a node that has a turn is judged by its configuration, by PVE's precondition call and by \
         what that call does not test: bridges, CPU features, active storages. A VM that moves live is no finding. A \
         container moves by restart, seconds of downtime: consent. A guest that nothing can move is blocking until the \
         policy says what to do: [policy.guests] \"vm:116\" = \"shutdown\" takes it down for its node's reboot, \
         \"eject\" empties a CD drive that holds a local image. A lock is blocking; if its task is long dead: qm unlock ID. Raw QEMU \
         arguments are a warning, because nobody tests them."
    }

    fn run(&self, snapshot: &Snapshot, policy: &Policy) -> Vec<Finding> {
        let mut report = Report::of(self);
        for guest in snapshot.guests.values().filter(|guest| guest.may_be_running()) {
            if snapshot.nodes.get(&guest.node).is_none_or(|node| has_turn(node, policy)) {
                judge(snapshot, policy, guest, &mut report);
            }
        }
        report.findings()
    }
}

fn judge(snapshot: &Snapshot, policy: &Policy, guest: &Guest, report: &mut Report) {
    let id = guest.id;
    if let Observed::Known(Some(lock)) = &guest.lock {
        let remedy = format!("Wait for its task. If that is long dead: {} unlock {}", tool(guest), id.vmid);
        report.add(Severity::Blocking, id, format!("{id} is locked ({}) and cannot move", lock.0), remedy);
    }
    if let Some(stuck) = stuck(snapshot, policy, guest) {
        if may_be_shut_down(policy, guest) {
            consent(policy, guest, ConsentKind::ShutdownGuests, "is shut down while its node is upgraded", report);
            return;
        }
        let problem = format!("{id} {} cannot leave {}: {stuck}", guest.name, guest.node);
        report.add(Severity::Blocking, id, problem, remedy(snapshot, guest));
        return;
    }
    let Some(facts) = guest.migration.known() else { return };
    let ejected = facts.local_disks.iter().find(|disk| disk.usage == DiskUse::Cdrom);
    if let Some(disk) = ejected {
        let what = format!("has {} ejected from {}, and it is not put back", disk.volid, disk.drive);
        consent(policy, guest, ConsentKind::EjectMedia, &what, report);
    }
    if id.kind == GuestKind::Ct {
        consent(policy, guest, ConsentKind::RestartContainers, "is restarted when it moves", report);
    }
    if facts.has_raw_args {
        let remedy = "Try a migration by hand, or shut it down for the run";
        let problem = format!("{id} has raw QEMU arguments (args), which nobody tests against the target");
        report.add(Severity::Warning, id, problem, remedy);
    }
    let copied = disk_bytes(facts);
    if copied > 0 {
        let problem = format!("{id} takes {} of local disks along on each of its moves", gib(copied));
        report.add(Severity::Info, id, problem, "Nothing to do.");
    }
}

/// The operator allows it to be shut down, should nothing move it.
pub(super) fn may_be_shut_down(policy: &Policy, guest: &Guest) -> bool {
    policy.of(guest) == Some(GuestPolicy::Shutdown) && !guest.tags.contains(tags::SKIP)
}

/// Why the guest cannot go anywhere. A reading that is missing is not for this check to tell.
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
        match obstacle_there(snapshot, guest, target) {
            Err(Obstacle::No(why)) => refused.push(format!("{}: {why}", target.name)),
            Err(Obstacle::Unknown(_)) | Ok(()) => return None,
        }
    }
    Some(if refused.is_empty() { "there is no other node".to_owned() } else { refused.join("; ") })
}

fn remedy(snapshot: &Snapshot, guest: &Guest) -> String {
    let id = guest.id;
    let facts = snapshot.guests.get(&id).and_then(|guest| guest.migration.known());
    let image = facts.is_some_and(|facts| facts.local_disks.iter().any(|disk| disk.usage == DiskUse::Cdrom));
    let devices = facts.is_some_and(|facts| !facts.local_resources.is_empty());
    if image && !devices {
        return format!("Allow it to be ejected in the configuration: [policy.guests] \"{id}\" = \"eject\"");
    }
    format!("Remove what binds it to its node, or allow it in the configuration: [policy.guests] \"{id}\" = \"shutdown\"")
}

/// A cost: to be agreed to, or for information if it has been.
fn consent(policy: &Policy, guest: &Guest, kind: ConsentKind, what: &str, report: &mut Report) {
    let (severity, remedy) = match policy.consents.contains(&kind) {
        true => (Severity::Info, "Nothing to do: you have agreed to this."),
        false => (Severity::Consent, "Agree to it with the plan, or name it under consents in the configuration"),
    };
    report.add(severity, guest.id, format!("{} {} {what}", guest.id, guest.name), remedy);
}

fn tool(guest: &Guest) -> &'static str {
    match guest.id.kind {
        GuestKind::Vm => "qm",
        GuestKind::Ct => "pct",
    }
}
