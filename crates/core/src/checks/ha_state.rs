//! Is the HA manager alive and at rest?

use super::support::{Report, online};
use super::{Check, Finding, Severity, Subject};
use crate::ids::{GuestId, NodeName};
use crate::policy::Policy;
use crate::snapshot::{ArmedState, Ha, HaNodeState, HaRequest, HaService, HaServiceState, Snapshot};

pub(super) struct HaState;

/// The manager writes its state every ten seconds. Two minutes cover a change of master.
const STALE_S: u64 = 120;

impl Check for HaState {
    fn id(&self) -> &'static str {
        "ha-state"
    }

    fn explain(&self) -> &'static str {
        "HA moves and starts guests by itself, so a run begins when it is at rest and can be believed: a master that \
         writes its state, every node online in its view and none left in maintenance, no service in error, none under \
         way, none about to travel back, watchdogs armed. Services in error need a person: mend the guest, then `ha-manager \
         set SID --state disabled` and `--state started`. Maintenance ends with `ha-manager crm-command node-maintenance \
         disable NODE`. Automatic rebalancing (PVE 9.2) would move guests while we do: the run switches it off and on again, and \
         says so."
    }

    fn run(&self, snapshot: &Snapshot, _policy: &Policy) -> Vec<Finding> {
        let mut report = Report::of(self);
        if let Some(ha) = snapshot.ha.known() {
            master(snapshot, ha, &mut report);
            ha.nodes.iter().for_each(|(name, state)| node(name, *state, &mut report));
            ha.services.iter().for_each(|(id, state)| service(*id, state, ha, &mut report));
            for node in online(snapshot) {
                let name = &node.name;
                if ha.lrm.get(name).is_some_and(|lrm| lrm.state == "lost_agent_lock") {
                    let remedy =
                        format!("Look at quorum and at the service there: systemctl status pve-ha-lrm on {name}");
                    report.add(
                        Severity::Blocking,
                        name,
                        format!("{name} has lost its HA lock and may reset itself"),
                        remedy,
                    );
                }
            }
        }
        if snapshot.options.known().is_some_and(|options| options.ha_auto_rebalance) {
            let problem =
                "HA rebalances by itself: the run switches that off before anything moves, and on again at the end";
            let remedy = "Nothing to do; the plan has both steps (hold-rebalance, restore-rebalance).";
            report.add(Severity::Info, Subject::Cluster, problem, remedy);
        }
        report.findings()
    }
}

fn master(snapshot: &Snapshot, ha: &Ha, report: &mut Report) {
    if matches!(ha.armed, Some(ArmedState::Disarmed | ArmedState::Disarming)) {
        let problem = "HA is disarmed: it ignores maintenance mode and recovers nothing";
        report.add(Severity::Blocking, Subject::Cluster, problem, "Arm it again: ha-manager crm-command arm-ha");
    }
    // Without a single service the manager goes idle after a while, and that is well.
    if ha.services.is_empty() {
        return;
    }
    let remedy = "Look at the manager: ha-manager status; systemctl status pve-ha-crm on each node";
    match (&ha.master, ha.master_seen) {
        (None, _) => report.add(Severity::Blocking, Subject::Cluster, "HA has services and no master", remedy),
        (Some(name), Some(seen)) if snapshot.cluster_time().since_s(seen) > STALE_S => {
            let age = snapshot.cluster_time().since_s(seen);
            let problem =
                format!("the HA master {name} wrote its state {age} s ago: what it says is not to be trusted");
            report.add(Severity::Blocking, Subject::Cluster, problem, remedy);
        }
        _ => {}
    }
}

fn node(name: &NodeName, state: HaNodeState, report: &mut Report) {
    let (problem, remedy) = match state {
        HaNodeState::Online | HaNodeState::Gone => return,
        HaNodeState::Maintenance => (
            format!("{name} is in HA maintenance mode"),
            format!("End it first: ha-manager crm-command node-maintenance disable {name}"),
        ),
        HaNodeState::Unknown => {
            (format!("the HA manager does not see {name}"), format!("Look at pve-ha-lrm on {name}"))
        }
        HaNodeState::Fence => (format!("HA is fencing {name}"), "Wait until it is back and its guests run".to_owned()),
    };
    report.add(Severity::Blocking, name, problem, remedy);
}

fn service(id: GuestId, service: &HaService, ha: &Ha, report: &mut Report) {
    if service.request == HaRequest::Ignored {
        return;
    }
    match service.state {
        Some(HaServiceState::Error) => {
            let remedy = format!(
                "Mend the guest, then: ha-manager set {id} --state disabled; ha-manager set {id} --state started"
            );
            report.add(Severity::Blocking, id, format!("HA has given {id} up (state error)"), remedy);
        }
        Some(state) if !state.is_settled() => {
            let remedy = "Wait until it has settled: ha-manager status";
            report.add(Severity::Blocking, id, format!("HA has {id} under way (state {state:?})"), remedy);
        }
        None => {
            let remedy = "Wait a minute, then look at: ha-manager status";
            report.add(Severity::Blocking, id, format!("HA has not taken {id} up yet"), remedy);
        }
        Some(_) => {}
    }
    if let Some(home) = ha.goes_back(id) {
        let remedy = "Wait until it is back there: ha-manager status";
        report.add(Severity::Blocking, id, format!("{id} is about to travel back to {home} by itself"), remedy);
    }
}
