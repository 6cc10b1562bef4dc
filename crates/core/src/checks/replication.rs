//! Storage replication that fails.

use super::support::Report;
use super::{Check, Finding, Severity, Subject};
use crate::policy::Policy;
use crate::snapshot::Snapshot;

pub(super) struct Replication;

impl Check for Replication {
    fn id(&self) -> &'static str {
        "replication"
    }

    fn explain(&self) -> &'static str {
        "A guest on replicated local disks can move only to the node that has its replica, and quickly only if that is \
         fresh. A job that fails is a warning: the move would copy the whole disk, or fail. Look with `pvesr status` on the \
         source, mend the cause, and start it: pvesr schedule-now JOB."
    }

    fn run(&self, snapshot: &Snapshot, _policy: &Policy) -> Vec<Finding> {
        let mut report = Report::of(self);
        for job in snapshot.replication.known().into_iter().flatten().filter(|job| !job.disabled) {
            if job.fail_count == 0 && job.error.is_none() {
                continue;
            }
            let guest = snapshot.guests.keys().find(|guest| guest.vmid == job.vmid);
            let subject = guest.map_or(Subject::Cluster, |guest| Subject::Guest(*guest));
            let error = job.error.as_deref().unwrap_or("no error text").trim();
            let (id, source, target) = (&job.id, &job.source, &job.target);
            let problem =
                format!("replication {id} from {source} to {target} failed {} times: {error}", job.fail_count);
            let remedy = format!("On {source}: pvesr status; once it is mended: pvesr schedule-now {id}");
            report.add(Severity::Warning, subject, problem, remedy);
        }
        report.findings()
    }
}
