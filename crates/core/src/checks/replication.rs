//! Storage replication that fails.

use super::check::{Asked, Check, Waivable, kinds};
use super::finding::Subject;
use crate::policy::Policy;
use crate::snapshot::{ReplicationJob, Snapshot};

pub(super) struct Replication;

kinds! {
    Fails { job: ReplicationJob, subject: Subject } => Warning, subject,
        ("replication {} from {} to {} failed {} times: {}", job.id, job.source, job.target, job.fail_count,
            job.error.as_deref().unwrap_or("no error text").trim()),
        ("On {}: pvesr status; once it is fixed: pvesr schedule-now {}", job.source, job.id);
}

impl Check for Replication {
    const ID: &'static str = "replication";
    const EXPLAIN: &'static str =
        "A guest on replicated local disks can move only to the node that has its replica, and quickly only if that is \
         fresh. A job that fails is a warning: the move would copy the whole disk, or fail. Look with `pvesr status` \
         on the source, fix the cause, and start it: `pvesr schedule-now JOB`.";
    const WAIVABLE: Waivable = Waivable::Yes;
    const ASKED: Asked = Asked::BeforeARun;
    type Found = Found;

    fn look(snapshot: &Snapshot, _policy: &Policy, found: &mut Vec<Found>) {
        let jobs = snapshot.replication.known().into_iter().flatten().filter(|job| !job.disabled);
        for job in jobs.filter(|job| job.fail_count > 0 || job.error.is_some()) {
            let guest = snapshot.guests.keys().find(|guest| guest.vmid == job.vmid);
            let subject = guest.map_or(Subject::Cluster, |guest| Subject::Guest(*guest));
            found.push(Found::Fails { job: job.clone(), subject });
        }
    }
}
