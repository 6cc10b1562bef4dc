//! Questions that several steps ask of a snapshot. Every missing reading is an error with its reason.

use std::collections::BTreeSet;

use super::status::StepStatus;
use super::why::{Why, read};
use crate::command::{Command, Method};
use crate::ids::{GuestId, GuestKind, NodeName, Upid};
use crate::observed::Observed;
use crate::snapshot::{
    Ceph, EtcPve, Guest, GuestStatus, HaNodeState, HaRequest, HaServiceState, Lock, Node, SUSPENDED, Snapshot,
};

/// Codes of health checks (Ceph, "Health checks") that say nothing about copies of data or about what serves them. That
/// daemons run an older version than others is what a run ends.
const BENIGN_CEPH_CHECKS: [&str; 31] = [
    "DAEMON_OLD_VERSION",
    "OSD_UPGRADE_FINISHED",
    "RECENT_MGR_MODULE_CRASH",
    "TELEMETRY_NOT_SENT",
    "DASHBOARD_DEBUG",
    "POOL_APP_NOT_ENABLED",
    "POOL_PG_NUM_NOT_POWER_OF_TWO",
    "POOL_TOO_FEW_PGS",
    "POOL_TOO_MANY_PGS",
    "TOO_FEW_PGS",
    "TOO_MANY_PGS",
    "MANY_OBJECTS_PER_PG",
    "BLUEFS_SPILLOVER",
    "BLUESTORE_LEGACY_STATFS",
    "BLUESTORE_NO_PER_POOL_OMAP",
    "BLUESTORE_NO_PER_PG_OMAP",
    "OLD_CRUSH_TUNABLES",
    "OLD_CRUSH_STRAW_CALC_VERSION",
    "MON_MSGR2_NOT_ENABLED",
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

/// What the configuration says of an empty CD drive.
pub(super) const EMPTY_DRIVE: &str = "none";

/// Is this health check no obstacle? It says that a flag of ours is set, or nothing about redundancy.
pub fn is_benign(code: &str) -> bool {
    BENIGN_CEPH_CHECKS.contains(&code)
}

/// A node of the cluster.
pub(super) fn node<'a>(snapshot: &'a Snapshot, name: &NodeName) -> Result<&'a Node, Why> {
    snapshot.nodes.get(name).ok_or_else(|| Why::NoSuchNode(name.clone()))
}

/// A node, to be changed by a forecast.
pub(super) fn node_mut<'a>(snapshot: &'a mut Snapshot, name: &NodeName) -> Option<&'a mut Node> {
    snapshot.nodes.get_mut(name)
}

/// A guest.
pub(super) fn guest(snapshot: &Snapshot, id: GuestId) -> Result<&Guest, Why> {
    snapshot.guests.get(&id).ok_or(Why::GuestNotSeen(id))
}

/// Is the list of guests complete?
pub(super) fn all_guests_seen(snapshot: &Snapshot) -> Result<(), Why> {
    match read(&snapshot.sees_all_guests)? {
        true => Ok(()),
        false => Err(Why::NotAllGuestsSeen),
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
    let guest = guest(snapshot, id).map_err(StepStatus::blocked)?;
    if guest.node != *node {
        return Err(StepStatus::Impossible(Why::GuestElsewhere {
            guest: id,
            is: guest.node.clone(),
            should: node.clone(),
        }));
    }
    read(&guest.status).copied().map_err(StepStatus::blocked)
}

/// What HA is asked to do with a guest, and where it stands; `None` where HA was not read or does not manage it.
pub(super) fn ha_wants(snapshot: &Snapshot, id: GuestId) -> Option<(HaRequest, Option<HaServiceState>)> {
    snapshot.ha_service(id).map(|service| (service.request, service.state))
}

/// Ready if PVE starts the guest: it is not locked, or hibernates.
pub(super) fn can_start(snapshot: &Snapshot, id: GuestId) -> StepStatus {
    let lock = guest(snapshot, id).ok().and_then(|guest| guest.lock.known()).and_then(Option::as_ref);
    match lock {
        Some(lock) if lock.0 == SUSPENDED && id.kind == GuestKind::Vm => StepStatus::Ready,
        _ => not_locked(snapshot, id),
    }
}

/// Ready if the guest is not locked.
pub(super) fn not_locked(snapshot: &Snapshot, id: GuestId) -> StepStatus {
    match guest(snapshot, id).and_then(|guest| read(&guest.lock)) {
        Ok(None) => StepStatus::Ready,
        Ok(Some(lock)) => StepStatus::blocked(Why::Locked(id, lock.0.clone())),
        Err(why) => StepStatus::blocked(why),
    }
}

/// Everything that runs on a node: guests as the node lists them, guests as the cluster places them, HA
/// services there or on their way there, tasks. An error is a reading that is missing.
pub fn what_runs_on(snapshot: &Snapshot, name: &NodeName) -> Result<Vec<Why>, Why> {
    let mut left = Vec::new();
    let mut named = BTreeSet::new();
    for listed in read(&node(snapshot, name)?.local_guests)? {
        if listed.running {
            named.insert(listed.vmid);
            left.push(Why::GuestRuns(GuestId { vmid: listed.vmid, kind: listed.kind }, name.clone()));
        }
    }
    for guest in snapshot.guests_on(name) {
        if guest.may_be_running() && !named.contains(&guest.id.vmid) {
            left.push(Why::GuestMayRun(guest.id, name.clone()));
        }
    }
    for (guest, service) in &read(&snapshot.ha)?.services {
        let idle =
            matches!(service.state, Some(HaServiceState::Stopped | HaServiceState::Error | HaServiceState::Freeze));
        let here = service.node.as_ref() == Some(name) || service.target.as_ref() == Some(name);
        if here && !idle && !named.contains(&guest.vmid) {
            left.push(Why::HaServiceThere { guest: *guest, node: name.clone(), state: service.state });
        }
    }
    for job in read(&snapshot.jobs)?.iter().filter(|job| job.node == *name) {
        let (task, kind) = (job.upid.clone(), job.kind.0.clone());
        left.push(Why::TaskThere { task, kind, node: name.clone() });
    }
    Ok(left)
}

/// What HA still has to do.
pub(super) fn ha_unsettled(snapshot: &Snapshot) -> Result<Vec<Why>, Why> {
    let ha = read(&snapshot.ha)?;
    let mut left = Vec::new();
    for (node, state) in &ha.nodes {
        if *state != HaNodeState::Online && *state != HaNodeState::Gone {
            left.push(Why::HaNode(node.clone(), *state));
        }
    }
    for (guest, service) in &ha.services {
        if service.request == HaRequest::Ignored {
            continue;
        }
        let wanted = match service.request {
            HaRequest::Started => HaServiceState::Started,
            _ => HaServiceState::Stopped,
        };
        match service.state {
            Some(state) if state == wanted => {}
            Some(HaServiceState::Error) => left.push(Why::HaGaveUp(*guest)),
            Some(state) => left.push(Why::HaState(*guest, Some(state))),
            None => left.push(Why::HaHasNotTaken(*guest)),
        }
        if let Some(home) = ha.goes_back(*guest) {
            left.push(Why::AboutToReturn(*guest, home.clone()));
        }
    }
    Ok(left)
}

/// A node to give a cluster-wide command on: preferably one that is online and can write to /etc/pve, and not the one
/// that may be going down. None where no node was seen.
pub(super) fn helper(snapshot: &Snapshot, avoid: Option<&NodeName>) -> Option<NodeName> {
    let writable = |name: &NodeName| snapshot.etc_pve.get(name).is_some_and(|state| state.is(&EtcPve::Writable));
    let worse = |node: &&Node| (!node.online.is(&true), !writable(&node.name), Some(&node.name) == avoid);
    snapshot.nodes.values().min_by_key(worse).map(|node| node.name.clone())
}

/// The same for Ceph's commands: a node that has daemons of Ceph, and so its keyring.
pub(super) fn ceph_helper_for(snapshot: &Snapshot, node: &NodeName) -> NodeName {
    let has_daemon =
        |name: &NodeName| snapshot.ceph().is_some_and(|ceph| ceph.daemons.iter().any(|daemon| daemon.node == *name));
    let online = |other: &&Node| other.name != *node && other.online.is(&true) && has_daemon(&other.name);
    snapshot.nodes.values().find(online).map_or_else(|| node.clone(), |other| other.name.clone())
}

/// What keeps Ceph from being clean, apart from flags: health checks that are not benign, placement groups, OSDs.
pub fn ceph_unsettled(ceph: &Ceph) -> Vec<Why> {
    let mut left = Vec::new();
    for (code, check) in &ceph.checks {
        if !check.muted && !check.accepted && !is_benign(code) {
            left.push(Why::CephCheck(code.clone(), check.message.clone()));
        }
    }
    if !ceph.all_pgs_clean() {
        let states = ceph.pgs.iter().map(|pg| format!("{} {}", pg.count, pg.state)).collect();
        left.push(Why::CephUnclean(ceph.pg_count, states));
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
        // One that was given up before does not come back with its node.
        for osd in ceph.osds.values_mut().filter(|osd| osd.node == *name && osd.weighted_in) {
            osd.up = online;
        }
    }
}

/// A power command for a guest, to the node on which it is.
pub(super) fn power(guest: GuestId, node: &NodeName, verb: &str, params: &[(&str, &str)]) -> Command {
    Command::api(Method::Post, format!("/nodes/{node}/{}/{}/status/{verb}", guest.kind.api(), guest.vmid), params)
}

/// How far HA is with a guest whose state it was asked to change; nothing where it does not manage it.
pub(super) fn set_ha(snapshot: &mut Snapshot, guest: GuestId, request: HaRequest, state: HaServiceState) {
    let service = snapshot.ha.known_mut().and_then(|ha| ha.services.get_mut(&guest));
    if let Some(service) = service.filter(|service| service.request != HaRequest::Ignored) {
        service.request = request;
        service.state = Some(state);
    }
}

/// Forecast of a guest's lock.
pub(super) fn set_lock(snapshot: &mut Snapshot, guest: GuestId, lock: Option<Lock>) {
    if let Some(guest) = snapshot.guests.get_mut(&guest) {
        guest.lock = Observed::Known(lock);
    }
}

/// Forecast of a guest that was stopped or started.
pub(crate) fn set_status(snapshot: &mut Snapshot, guest: GuestId, node: &NodeName, status: GuestStatus) {
    if let Some(guest) = snapshot.guests.get_mut(&guest) {
        guest.status = Observed::Known(status);
    }
    let local = node_mut(snapshot, node).and_then(|node| node.local_guests.known_mut());
    if let Some(listed) = local.and_then(|local| local.iter_mut().find(|listed| listed.vmid == guest.vmid)) {
        listed.running = status != GuestStatus::Stopped;
    }
}
