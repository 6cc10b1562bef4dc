//! Is the HA manager alive and idle?

use super::check::{Asked, Check, Waivable, kinds};
use super::support::online;
use crate::ids::{GuestId, NodeName};
use crate::policy::Policy;
use crate::snapshot::{ArmedState, Ha, HaRequest, HaService, HaServiceState, Snapshot};

pub(super) struct HaState;

/// The manager writes its state every ten seconds. Two minutes cover a change of master.
const STALE_S: u64 = 120;

kinds! {
    Disarmed => Blocking, Cluster,
        ("HA is disarmed: it ignores maintenance mode and recovers nothing"),
        ("Arm it again: ha-manager crm-command arm-ha");
    NoMaster => Blocking, Cluster,
        ("HA has services and no master"),
        ("Look at the manager: ha-manager status; systemctl status pve-ha-crm on each node");
    MasterStale { master: NodeName, age_s: u64 } => Blocking, Cluster,
        ("the HA master {master} wrote its state {age_s} s ago: what it says cannot be trusted"),
        ("Look at the manager: ha-manager status; systemctl status pve-ha-crm on each node");
    InError { guest: GuestId } => Blocking, guest,
        ("HA has given {guest} up (state error)"),
        ("Fix the guest, then: ha-manager set {guest} --state disabled; ha-manager set {guest} --state started");
    UnderWay { guest: GuestId, state: HaServiceState } => Blocking, guest,
        ("HA is still working on {guest} (state {state})"),
        ("Wait until it has settled: ha-manager status{}", match state {
            HaServiceState::Recovery => ". If it stays so, no node that its rules allow is there: ha-manager rules list",
            _ => "",
        });
    LeftOver { guest: GuestId } => Warning, guest,
        ("HA has {guest} among its resources, and there is no such guest"),
        ("Take it out: ha-manager remove {guest}");
    GuestGone { guest: GuestId } => Blocking, guest,
        ("HA still manages {guest}, and there is no such guest: it can neither start nor move it"),
        ("Take it out: ha-manager remove {guest}");
    NotTakenUp { guest: GuestId } => Blocking, guest,
        ("HA has not picked {guest} up yet"),
        ("Wait a minute, then look at: ha-manager status");
    GoesBack { guest: GuestId, home: NodeName } => Blocking, guest,
        ("{guest} is about to move back to {home} by itself"),
        ("Wait until it is back there: ha-manager status");
    LockLost { node: NodeName } => Blocking, node,
        ("{node} has lost its HA lock and may reset itself"),
        ("Look at quorum and at the service there: systemctl status pve-ha-lrm on {node}");
    Rebalances => Info, Cluster,
        ("HA rebalances by itself: the run switches that off before anything moves, and on again at the end"),
        ("Nothing to do; the plan has both steps (hold-rebalance, restore-rebalance).");
}

impl Check for HaState {
    const ID: &'static str = "ha-state";
    const EXPLAIN: &'static str =
        "HA moves and starts guests by itself, so a run begins when it is idle and can be trusted: a master that \
         writes its state, no service in error, none under way, none about to move back, watchdogs armed. Services in \
         error need a person: fix the guest, then `ha-manager set SID --state disabled` and `--state started`. A resource whose guest is gone is taken out by \
         `ha-manager remove SID`. A node \
         that HA has in maintenance, or does not see, is reported by the rule one-node-out. Automatic rebalancing (PVE \
         9.2) would move guests at the same time: the run switches it off and on again, and says so.";
    const WAIVABLE: Waivable = Waivable::WarningsOnly("HA would move, start or fence by itself in the middle of the run");
    const ASKED: Asked = Asked::BeforeARun;
    type Found = Found;

    fn look(snapshot: &Snapshot, _policy: &Policy, found: &mut Vec<Found>) {
        if let Some(ha) = snapshot.ha.known() {
            master(snapshot, ha, found);
            found.extend(ha.left_over.iter().map(|guest| Found::LeftOver { guest: *guest }));
            for (id, state) in &ha.services {
                if snapshot.is_gone(*id) {
                    found.push(Found::GuestGone { guest: *id });
                } else {
                    service(*id, state, ha, found);
                }
            }
            let lost =
                |name: &NodeName| ha.lrm.get(name).is_some_and(|lrm| lrm.state == "lost_agent_lock");
            let lost = online(snapshot).filter(|node| lost(&node.name));
            found.extend(lost.map(|node| Found::LockLost { node: node.name.clone() }));
        }
        if snapshot.options.known().is_some_and(|options| options.ha_auto_rebalance) {
            found.push(Found::Rebalances);
        }
    }
}

fn master(snapshot: &Snapshot, ha: &Ha, found: &mut Vec<Found>) {
    if matches!(ha.armed, Some(ArmedState::Disarmed | ArmedState::Disarming)) {
        found.push(Found::Disarmed);
    }
    // Without a single service the manager goes idle after a while, and that is fine.
    if ha.services.is_empty() {
        return;
    }
    match (&ha.master, ha.master_seen) {
        (None, _) => found.push(Found::NoMaster),
        (Some(master), Some(seen)) if snapshot.cluster_time().since_s(seen) > STALE_S => {
            let age_s = snapshot.cluster_time().since_s(seen);
            found.push(Found::MasterStale { master: master.clone(), age_s });
        }
        _ => {}
    }
}

fn service(guest: GuestId, service: &HaService, ha: &Ha, found: &mut Vec<Found>) {
    if service.request == HaRequest::Ignored {
        return;
    }
    match service.state {
        Some(HaServiceState::Error) => found.push(Found::InError { guest }),
        Some(state) if !state.is_settled() => found.push(Found::UnderWay { guest, state }),
        None => found.push(Found::NotTakenUp { guest }),
        Some(_) => {}
    }
    found.extend(ha.goes_back(guest).map(|home| Found::GoesBack { guest, home: home.clone() }));
}
