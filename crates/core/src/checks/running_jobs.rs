//! Tasks that run now.

use super::check::{Asked, Check, Waivable, kinds};
use super::support::{gib, has_turn};
use crate::ids::{GuestId, NodeName};
use crate::policy::Policy;
use crate::snapshot::{Guest, Job, Snapshot};

pub(super) struct RunningJobs;

/// Tasks that hold a guest's lock until they end: it cannot move meanwhile. An open console does not.
const LOCKING: [&str; 16] = [
    "vzdump",
    "qmigrate",
    "vzmigrate",
    "qmclone",
    "vzclone",
    "qmsnapshot",
    "vzsnapshot",
    "qmdelsnapshot",
    "vzdelsnapshot",
    "qmrollback",
    "vzrollback",
    "qmrestore",
    "vzrestore",
    "qmmove",
    "move_volume",
    "resize",
];

kinds! {
    GuestLocked { guest: GuestId, memory_bytes: u64, task: String } => Blocking, guest,
        ("{guest} ({}) cannot move while a task works on it: {task}", gib(memory_bytes)),
        ("Wait until it has ended, then look again");
    TaskRuns { node: NodeName, task: String } => Warning, node,
        ("a task runs: {task}"),
        ("Let it end before {node} is drained");
}

impl Check for RunningJobs {
    const ID: &'static str = "running-jobs";
    const EXPLAIN: &'static str =
        "A guest that is being backed up, migrated, cloned or snapshotted is locked and cannot move: blocking until \
         the task has ended. Any other task is a warning, also a console that is open: a node is rebooted only when no \
         task runs on it, and the run waits. See `pvesh get /cluster/tasks`.";
    const WAIVABLE: Waivable = Waivable::WarningsOnly("a node is not touched while a task runs on it");
    const ASKED: Asked = Asked::BeforeARun;
    type Found = Found;

    fn look(snapshot: &Snapshot, policy: &Policy, found: &mut Vec<Found>) {
        for job in snapshot.jobs.known().into_iter().flatten() {
            let age = snapshot.cluster_time().since_s(job.started);
            let task = format!("{} by {} on {}, for {age} s", job.kind.0, job.user, job.node);
            found.push(match locked_guest(job, snapshot, policy) {
                Some(guest) => Found::GuestLocked { guest: guest.id, memory_bytes: guest.memory_bytes, task },
                None => Found::TaskRuns { node: job.node.clone(), task },
            });
        }
    }
}

/// The running guest that the task keeps from moving, if its node is to be upgraded.
fn locked_guest<'a>(job: &Job, snapshot: &'a Snapshot, policy: &Policy) -> Option<&'a Guest> {
    let guest = snapshot.guests.values().find(|guest| Some(guest.id.vmid) == job.vmid)?;
    let moves = snapshot.nodes.get(&guest.node).is_none_or(|node| has_turn(snapshot, node, policy));
    (LOCKING.contains(&job.kind.0.as_str()) && guest.may_be_running() && moves).then_some(guest)
}
