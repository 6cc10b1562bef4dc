//! Backups that would begin while the run is under way.

use super::check::{Asked, Check, Waivable, kinds};
use super::support::has_turn;
use crate::policy::Policy;
use crate::snapshot::Snapshot;

pub(super) struct UpcomingBackups;

/// How long one node takes besides the moves: upgrade, reboot, the wait until it is back.
const TURN_S: u64 = 20 * 60;

kinds! {
    Begins { job: String, minutes: u64 } => Warning, Cluster,
        ("backup {job} begins in {minutes} min, within the expected time of a run"),
        ("Begin after it, or change its schedule for the run (Datacenter, Backup)");
}

impl Check for UpcomingBackups {
    const ID: &'static str = "upcoming-backups";
    const EXPLAIN: &'static str =
        "A backup locks its guest, and a locked guest does not move: the run waits for it, a node half drained. A \
         backup job that begins within the expected time of the run is a warning. Begin after it, or change its \
         schedule for the run (Datacenter, Backup).";
    const WAIVABLE: Waivable = Waivable::Yes;
    const ASKED: Asked = Asked::BeforeARun;
    type Found = Found;

    fn look(snapshot: &Snapshot, policy: &Policy, found: &mut Vec<Found>) {
        let now = snapshot.cluster_time();
        let end = now.plus_s(expected_s(snapshot, policy));
        for job in snapshot.backups.known().into_iter().flatten().filter(|job| job.enabled) {
            if let Some(next) = job.next_run.filter(|next| *next <= end) {
                found.push(Found::Begins { job: job.id.to_string(), minutes: next.since_s(now) / 60 });
            }
        }
    }
}

/// Every node's upgrade, and every guest's memory once or twice over the wire.
fn expected_s(snapshot: &Snapshot, policy: &Policy) -> u64 {
    let turns = snapshot.nodes.values().filter(|node| has_turn(snapshot, node, policy)).count() as u64;
    let running = snapshot.guests.values().filter(|guest| guest.may_be_running());
    let memory = running.map(|guest| guest.memory_bytes).fold(0, u64::saturating_add);
    turns * TURN_S + memory.saturating_mul(2) / policy.migration_bytes_per_s.max(1)
}
