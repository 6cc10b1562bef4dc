//! Questions that several steps ask of a snapshot. Every missing reading is an error with its reason.

use std::collections::BTreeSet;

use super::{Limits, StepStatus};
use crate::ids::{GuestId, NodeName, Upid};
use crate::observed::Observed;
use crate::snapshot::{Ceph, Guest, GuestStatus, HaRequest, HaServiceState, Node, Snapshot};

/// A flag is set at once; a monitor election may take some seconds.
pub(super) const NOOUT_LIMITS: Limits = Limits { deadline_s: 300, settle_s: 10, attempts: 3 };

/// Health checks that are no obstacle: they say that a flag of ours is set, or nothing about redundancy.
pub const BENIGN_CEPH_CHECKS: [&str; 12] = [
    "OSDMAP_FLAGS",
    "OSD_FLAGS",
    "RECENT_CRASH",
    "TELEMETRY_CHANGED",
    "AUTH_INSECURE_GLOBAL_ID_RECLAIM",
    "AUTH_INSECURE_GLOBAL_ID_RECLAIM_ALLOWED",
    "BLUESTORE_DISK_SIZE_MISMATCH",
    "BLUESTORE_SLOW_OP_ALERT",
    "PG_NOT_SCRUBBED",
    "PG_NOT_DEEP_SCRUBBED",
    "LARGE_OMAP_OBJECTS",
    "MGR_MODULE_DEPENDENCY",
];

/// A reading, or why it is missing.
pub(super) fn read<T>(value: &Observed<T>) -> Result<&T, String> {
    value.read().map_err(|why| format!("not known: {why}"))
}

/// The status of a step that waits until nothing is left; a missing reading is something that is left.
pub(super) fn done_when_empty(left: Result<Vec<String>, String>) -> StepStatus {
    match left {
        Ok(left) if left.is_empty() => StepStatus::Done,
        Ok(left) => StepStatus::Blocked(left),
        Err(why) => StepStatus::Blocked(vec![why]),
    }
}

/// A node of the cluster.
pub(super) fn node<'a>(snapshot: &'a Snapshot, name: &NodeName) -> Result<&'a Node, String> {
    snapshot.nodes.get(name).ok_or_else(|| format!("{name} is not a node of this cluster"))
}

/// A node, to be changed by a forecast.
pub(super) fn node_mut<'a>(snapshot: &'a mut Snapshot, name: &NodeName) -> Option<&'a mut Node> {
    snapshot.nodes.get_mut(name)
}

/// A guest.
pub(super) fn guest(snapshot: &Snapshot, id: GuestId) -> Result<&Guest, String> {
    snapshot.guests.get(&id).ok_or_else(|| format!("{id} is not among the guests that were seen"))
}

/// Is the list of guests complete?
pub(super) fn all_guests_seen(snapshot: &Snapshot) -> Result<(), String> {
    match read(&snapshot.sees_all_guests)? {
        true => Ok(()),
        false => Err("the token does not see all guests".to_owned()),
    }
}

/// A running task of a type on a node.
pub(super) fn job_on<'a>(snapshot: &'a Snapshot, node: &NodeName, kind: &str) -> Option<&'a Upid> {
    let jobs = snapshot.jobs.known()?;
    jobs.iter().find(|job| job.node == *node && job.kind.0 == kind).map(|job| &job.upid)
}

/// A running task of one of the types about a guest.
pub(super) fn guest_job<'a>(snapshot: &'a Snapshot, guest: GuestId, kinds: &[&str]) -> Option<&'a Upid> {
    let jobs = snapshot.jobs.known()?;
    let about = |job: &&crate::snapshot::Job| job.vmid == Some(guest.vmid) && kinds.contains(&job.kind.0.as_str());
    jobs.iter().find(about).map(|job| &job.upid)
}

/// A guest's state, if it is on `node`; else the status that follows for a step about it.
pub(super) fn guest_state(snapshot: &Snapshot, id: GuestId, node: &NodeName) -> Result<GuestStatus, StepStatus> {
    let guest = guest(snapshot, id).map_err(|why| StepStatus::Blocked(vec![why]))?;
    if guest.node != *node {
        return Err(StepStatus::Impossible(format!("{id} is on {}, not on {node}", guest.node)));
    }
    read(&guest.status).copied().map_err(|why| StepStatus::Blocked(vec![why]))
}

/// What HA is asked to do with a guest, and where it stands; `None` where HA was not read or does not manage it.
pub(super) fn ha_wants(snapshot: &Snapshot, id: GuestId) -> Option<(HaRequest, Option<HaServiceState>)> {
    snapshot.ha_service(id).map(|service| (service.request, service.state))
}

/// Ready if the guest is not locked.
pub(super) fn not_locked(snapshot: &Snapshot, id: GuestId) -> StepStatus {
    match guest(snapshot, id).and_then(|guest| read(&guest.lock)) {
        Ok(None) => StepStatus::Ready,
        Ok(Some(lock)) => StepStatus::Blocked(vec![format!("{id} is locked ({})", lock.0)]),
        Err(why) => StepStatus::Blocked(vec![why]),
    }
}

/// Everything that runs on a node, in words: guests as the node lists them, guests as the cluster places them, HA
/// services there or on their way there, tasks. An error is a reading that is missing.
pub fn what_runs_on(snapshot: &Snapshot, name: &NodeName) -> Result<Vec<String>, String> {
    let mut left = Vec::new();
    let mut named = BTreeSet::new();
    for listed in read(&node(snapshot, name)?.local_guests)? {
        if listed.running {
            named.insert(listed.vmid);
            left.push(format!("{} runs on {name}", GuestId { vmid: listed.vmid, kind: listed.kind }));
        }
    }
    for guest in snapshot.guests_on(name) {
        if guest.may_be_running() && !named.contains(&guest.id.vmid) {
            left.push(format!("{} is placed on {name} and not known to be stopped", guest.id));
        }
    }
    for (guest, service) in &read(&snapshot.ha)?.services {
        let idle =
            matches!(service.state, Some(HaServiceState::Stopped | HaServiceState::Error | HaServiceState::Freeze));
        let here = service.node.as_ref() == Some(name) || service.target.as_ref() == Some(name);
        if here && !idle && !named.contains(&guest.vmid) {
            left.push(format!("HA has {guest} on {name} in state {:?}", service.state));
        }
    }
    for job in read(&snapshot.jobs)?.iter().filter(|job| job.node == *name) {
        left.push(format!("task {} ({}) runs on {name}", job.upid, job.kind.0));
    }
    Ok(left)
}

/// A node to give a cluster-wide command on: rather not the one under work, which may be on its way down.
pub(super) fn helper_for(snapshot: &Snapshot, node: &NodeName) -> NodeName {
    let online = |other: &&Node| other.name != *node && other.online.is(&true);
    snapshot.nodes.values().find(online).map_or_else(|| node.clone(), |other| other.name.clone())
}

/// The same for Ceph's commands: a node that has daemons of Ceph, and so its keyring.
pub(super) fn ceph_helper_for(snapshot: &Snapshot, node: &NodeName) -> NodeName {
    let has_daemon =
        |name: &NodeName| snapshot.ceph().is_some_and(|ceph| ceph.daemons.iter().any(|daemon| daemon.node == *name));
    let online = |other: &&Node| other.name != *node && other.online.is(&true) && has_daemon(&other.name);
    snapshot.nodes.values().find(online).map_or_else(|| node.clone(), |other| other.name.clone())
}

/// Is noout set for the host itself? None where there is no Ceph.
pub(super) fn noout_set_for(snapshot: &Snapshot, node: &NodeName) -> Result<Option<bool>, String> {
    Ok(read(&snapshot.ceph)?.as_ref().map(|ceph| ceph.noout_set_for(node)))
}

/// What keeps Ceph from being clean, apart from flags: health checks that are not benign, placement groups, OSDs.
pub fn ceph_unsettled(ceph: &Ceph) -> Vec<String> {
    let mut left = Vec::new();
    for (code, check) in &ceph.checks {
        if !check.muted && !BENIGN_CEPH_CHECKS.contains(&code.as_str()) {
            left.push(format!("Ceph: {code}: {}", check.message));
        }
    }
    if !ceph.all_pgs_clean() {
        let states: Vec<String> = ceph.pgs.iter().map(|pg| format!("{} {}", pg.count, pg.state)).collect();
        left.push(format!("Ceph: not all {} placement groups are active+clean ({})", ceph.pg_count, states.join(", ")));
    }
    left
}

/// Forecast of a node that goes down: no member anywhere, its OSDs down.
pub(crate) fn take_offline(snapshot: &mut Snapshot, name: &NodeName) {
    set_online(snapshot, name, false);
}

/// Forecast of a node that comes back as it was.
pub(super) fn bring_online(snapshot: &mut Snapshot, name: &NodeName) {
    set_online(snapshot, name, true);
}

fn set_online(snapshot: &mut Snapshot, name: &NodeName, online: bool) {
    let votes = snapshot.configured_votes.known().and_then(|votes| votes.get(name).copied());
    if let Some(node) = node_mut(snapshot, name) {
        node.online = Observed::Known(online);
    }
    for (viewer, view) in &mut snapshot.quorum {
        let Some(view) = view.known_mut() else { continue };
        if !online {
            if let Some(member) = view.members.remove(name) {
                view.total_votes = view.total_votes.saturating_sub(member.votes);
            }
            view.links.remove(name);
        } else if let Some(votes) = votes
            && !view.members.contains_key(name)
        {
            view.members.insert(name.clone(), crate::snapshot::Member { node_id: 0, votes });
            view.total_votes = view.total_votes.saturating_add(votes);
            if viewer != name {
                let links = (0..view.configured_links)
                    .map(|number| crate::snapshot::Link { number, connected: true })
                    .collect();
                view.links.insert(name.clone(), links);
            }
        }
        view.quorate = view.total_votes >= view.quorum;
    }
    if let Some(ceph) = snapshot.ceph.known_mut().and_then(Option::as_mut) {
        for osd in ceph.osds.values_mut().filter(|osd| osd.node == *name) {
            osd.up = online;
        }
    }
}
