//! Backups that would begin while the run is under way.

use super::support::{Report, has_turn};
use super::{Check, Finding, Severity, Subject};
use crate::policy::Policy;
use crate::snapshot::Snapshot;

pub(super) struct UpcomingBackups;

/// What one node's turn takes besides the moves: upgrade, reboot, proof.
const TURN_S: u64 = 20 * 60;

impl Check for UpcomingBackups {
    fn id(&self) -> &'static str {
        "upcoming-backups"
    }

    fn explain(&self) -> &'static str {
        "A backup locks its guest, and a locked guest does not move: the run waits for it, a node half drained. A backup \
         job that begins within the expected time of the run is a warning. Begin after it, or move its schedule for the \
         time of the run (Datacenter, Backup)."
    }

    fn run(&self, snapshot: &Snapshot, policy: &Policy) -> Vec<Finding> {
        let mut report = Report::of(self);
        let now = snapshot.cluster_time();
        let end = now.plus_s(expected_s(snapshot, policy));
        for job in snapshot.backups.known().into_iter().flatten().filter(|job| job.enabled) {
            if let Some(next) = job.next_run.filter(|next| *next <= end) {
                let minutes = next.since_s(now) / 60;
                let problem = format!("backup {} begins in {minutes} min, within the expected time of a run", job.id);
                let remedy = "Begin after it, or move its schedule for the time of the run (Datacenter, Backup)";
                report.add(Severity::Warning, Subject::Cluster, problem, remedy);
            }
        }
        report.findings()
    }
}

/// Every node's turn, and every guest's memory once or twice over the wire.
fn expected_s(snapshot: &Snapshot, policy: &Policy) -> u64 {
    let turns = snapshot.nodes.values().filter(|node| has_turn(node, policy)).count() as u64;
    let running = snapshot.guests.values().filter(|guest| guest.may_be_running());
    let memory = running.map(|guest| guest.memory_bytes).fold(0, u64::saturating_add);
    turns * TURN_S + memory.saturating_mul(2) / policy.migration_bytes_per_s.max(1)
}
