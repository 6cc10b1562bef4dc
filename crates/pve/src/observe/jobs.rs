//! Tasks that are running. Each node's own list of active tasks is authoritative; the cluster-wide list lags behind it.

use std::collections::BTreeMap;

use quorate_core::ids::{NodeName, UnixMs, Upid, Vmid};
use quorate_core::observed::{Observed, WhyUnknown};
use quorate_core::snapshot::{Job, JobKind};

use super::membership::Membership;
use super::node::NodeLook;
use super::rights::holds;
use crate::wire::cluster::Permissions;
use crate::wire::upid;

/// All running tasks; unknown if any node that may be up could not be asked, or hides the tasks of other users.
pub(super) fn gather(
    nodes: &BTreeMap<NodeName, NodeLook>,
    membership: &Membership,
    permissions: &Result<Permissions, WhyUnknown>,
) -> Observed<Vec<Job>> {
    read(nodes, membership, permissions).into()
}

fn read(
    nodes: &BTreeMap<NodeName, NodeLook>,
    membership: &Membership,
    permissions: &Result<Permissions, WhyUnknown>,
) -> Result<Vec<Job>, WhyUnknown> {
    let permissions = permissions.as_ref().map_err(Clone::clone)?;
    let mut jobs = Vec::new();
    // An offline node runs no tasks; what it ran has ended with it.
    for (name, seen) in nodes.iter().filter(|(name, _)| !membership.is_offline(name)) {
        let source = || format!("GET /nodes/{name}/tasks");
        if !holds(permissions, &format!("/nodes/{name}"), "Sys.Audit") {
            return Err(WhyUnknown::new(source(), "without Sys.Audit the list has our own tasks only"));
        }
        for task in seen.tasks.as_ref().map_err(Clone::clone)? {
            let parts = upid::parse(&task.upid.0);
            let parts = parts.ok_or_else(|| WhyUnknown::new(source(), format!("not a task id: {:?}", task.upid.0)))?;
            jobs.push(Job {
                node: NodeName::new(parts.node),
                kind: JobKind(parts.kind.to_owned()),
                vmid: parts.id.parse().ok().map(Vmid),
                user: parts.user.to_owned(),
                started: UnixMs(parts.started_s.saturating_mul(1000)),
                upid: Upid::new(task.upid.0.clone()),
            });
        }
    }
    jobs.sort_by(|a, b| (a.started, &a.upid).cmp(&(b.started, &b.upid)));
    jobs.dedup_by(|a, b| a.upid == b.upid);
    Ok(jobs)
}
