//! Tasks that run now.

use super::support::{Report, gib, has_turn};
use super::{Check, Finding, Severity};
use crate::policy::Policy;
use crate::snapshot::{Job, Snapshot};

pub(super) struct RunningJobs;

/// Tasks that hold a guest's lock until they end: it cannot move meanwhile. A console that somebody has open does not.
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

impl Check for RunningJobs {
    fn id(&self) -> &'static str {
        "running-jobs"
    }

    fn explain(&self) -> &'static str {
        "A guest that is being backed up, migrated, cloned or snapshotted is locked and cannot move: blocking until the \
         task has ended. Any other task is a warning, also a console that somebody has open: a node is rebooted only when \
         no task runs on it, and the run waits. See `pvesh get /cluster/tasks`."
    }

    fn run(&self, snapshot: &Snapshot, policy: &Policy) -> Vec<Finding> {
        let mut report = Report::of(self);
        for job in snapshot.jobs.known().into_iter().flatten() {
            let age = snapshot.cluster_time().since_s(job.started);
            let task = format!("{} by {} on {}, for {age} s", job.kind.0, job.user, job.node);
            match locked_guest(job, snapshot, policy) {
                Some(guest) => {
                    let memory = gib(guest.memory_bytes);
                    let problem = format!("{} ({memory}) cannot move while a task works on it: {task}", guest.id);
                    report.add(Severity::Blocking, guest.id, problem, "Wait until it has ended, then look again");
                }
                None => {
                    let remedy = format!("Let it end before the turn of {}", job.node);
                    report.add(Severity::Warning, &job.node, format!("a task runs: {task}"), remedy);
                }
            }
        }
        report.findings()
    }
}

/// The running guest that the task keeps from moving, if its node has a turn.
fn locked_guest<'a>(job: &Job, snapshot: &'a Snapshot, policy: &Policy) -> Option<&'a crate::snapshot::Guest> {
    let guest = snapshot.guests.values().find(|guest| Some(guest.id.vmid) == job.vmid)?;
    let moves = snapshot.nodes.get(&guest.node).is_none_or(|node| has_turn(node, policy));
    (LOCKING.contains(&job.kind.0.as_str()) && guest.may_be_running() && moves).then_some(guest)
}
