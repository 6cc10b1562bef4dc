//! What each guest will experience, and what keeps it from moving.

use super::choices::{Choice, choices, config_line, offline_downtime_s};
use super::support::{Report, gib, has_turn, lasting};
use super::{Check, Finding, Severity};
use crate::ids::GuestKind;
use crate::observed::Observed;
use crate::placement::{Obstacle, as_stopped, disk_bytes, obstacle_here, obstacle_there};
use crate::policy::{ConsentKind, GuestPolicy, Policy};
use crate::snapshot::{DiskUse, Guest, Snapshot};
use crate::version::Version;

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
         \"offline\" shuts it down, moves it and starts it again, \"eject\" empties a CD drive that holds a local image, \
         \"copy\" copies its local disks, \"refuse\" leaves it alone. A lock is blocking; if its task is long dead: qm unlock ID. Raw QEMU \
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
        if policy.allows(guest, GuestPolicy::Shutdown) {
            consent(policy, guest, ConsentKind::ShutdownGuests, "is shut down while its node is upgraded", report);
            return;
        }
        let down_s = offline_downtime_s(snapshot, policy, guest).filter(|_| policy.allows(guest, GuestPolicy::Offline));
        if let Some(down_s) = down_s {
            let what =
                format!("is shut down, moved and started again, down for about {}: {stuck}", lasting(down_s));
            consent(policy, guest, ConsentKind::MoveOffline, &what, report);
            return;
        }
        let problem = format!("{id} {} cannot leave {}: {stuck}", guest.name, guest.node);
        report.add(Severity::Blocking, id, problem, remedy(snapshot, policy, guest));
        return;
    }
    let Some(facts) = guest.migration.known() else { return };
    let ejected = facts.local_disks.iter().find(|disk| disk.usage == DiskUse::Cdrom);
    if let Some(disk) = ejected {
        let what = format!("has {} ejected from {}; the plan says whether it is put back", disk.volid, disk.drive);
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
        let seconds = copied.div_ceil(policy.migration_bytes_per_s.max(1));
        let problem =
            format!("{id} takes {} of local disks along on each of its moves, about {}", gib(copied), lasting(seconds));
        report.add(Severity::Info, id, problem, "Nothing to do.");
    }
    if facts.local_disks.iter().any(|disk| disk.replicated) {
        let jobs = snapshot.replication.known().into_iter().flatten().filter(|job| job.vmid == id.vmid);
        let to: Vec<&str> = jobs.map(|job| job.target.as_str()).collect();
        let problem = format!("{id} moves only to where its disks are replicated: {}", to.join(", "));
        report.add(Severity::Info, id, problem, "Nothing to do.");
    }
    if let Some(problem) = too_new_a_machine(snapshot, guest) {
        report.add(Severity::Info, id, problem, "Nothing to do: the plan takes it to upgraded nodes only.");
    }
}

/// A machine type that the QEMU of no other node knows yet: the guest was started after its node's last upgrade.
fn too_new_a_machine(snapshot: &Snapshot, guest: &Guest) -> Option<String> {
    let machine = guest.migration.known()?.running_machine.as_deref()?;
    let version = machine.rsplit('-').next()?.split('+').next()?;
    version.starts_with(|c: char| c.is_ascii_digit()).then_some(())?;
    let needed = Version::new(version);
    let others = snapshot.nodes.values().filter(|node| node.name != guest.node);
    let known: Vec<&Version> = others.filter_map(|node| node.qemu_version.known()).collect();
    let newest = known.iter().max()?;
    (**newest < needed).then(|| {
        format!("{} runs with the machine type {machine}, and the newest QEMU of the other nodes is {newest}", guest.id)
    })
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

/// The same once it is shut down.
pub(super) fn stuck_stopped(snapshot: &Snapshot, policy: &Policy, guest: &Guest) -> Option<String> {
    stuck(snapshot, policy, &as_stopped(guest))
}

/// Every policy that helps, as the line that says so.
fn remedy(snapshot: &Snapshot, policy: &Policy, guest: &Guest) -> String {
    let told = |choice: &Choice| {
        let down =
            if choice.downtime_s == 0 { "no downtime".to_owned() } else { format!("down ~{}", lasting(choice.downtime_s)) };
        format!("{} ({down})", config_line(guest.id, choice.policy))
    };
    let lines: Vec<String> = choices(snapshot, policy, guest).iter().map(told).collect();
    if lines.is_empty() {
        return "Remove what binds it to its node".to_owned();
    }
    format!(
        "Remove what binds it to its node, or say under [policy.guests] what to do with it: {}",
        lines.join(", or ")
    )
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
