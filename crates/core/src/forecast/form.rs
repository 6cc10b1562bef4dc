//! What can be checked of a plan without walking it: its order, what it leaves to undo, its consents. This applies to
//! the rest of a plan as well, when some of its steps are done.

use std::collections::BTreeSet;

use super::findings::{finding, subject_of};
use crate::checks::{Finding, Subject};
use crate::ids::GuestId;
use crate::plan::{NodeStep, Plan, PlannedStep};
use crate::policy::ConsentKind;
use crate::snapshot::{HaRequest, Snapshot};
use crate::steps::{Move, MoveMode, OnNode, Step, StepStatus};

/// Everything that is wrong with the form of the plan.
pub(super) fn faults(plan: &Plan, snapshot: &Snapshot) -> Vec<Finding> {
    let mut found = Vec::new();
    unique_ids(plan, &mut found);
    nodes_once(plan, snapshot, &mut found);
    for node_step in &plan.node_steps {
        order_in_node_step(node_step, &mut found);
    }
    debts_paid(plan, snapshot, &mut found);
    costs_consented(plan, snapshot, &mut found);
    nobody_forgotten(plan, snapshot, &mut found);
    found
}

fn bad(found: &mut Vec<Finding>, subject: Subject, problem: String) {
    found.push(finding(subject, problem, "This is a fault of the planner, not of the cluster: please report it."));
}

fn unique_ids(plan: &Plan, found: &mut Vec<Finding>) {
    let mut seen = BTreeSet::new();
    for (_, planned) in plan.steps() {
        if !seen.insert(&planned.id) {
            bad(found, subject_of(&planned.step), format!("the step {} is in the plan twice", planned.id));
        }
    }
}

fn nodes_once(plan: &Plan, snapshot: &Snapshot, found: &mut Vec<Finding>) {
    let mut seen = BTreeSet::new();
    for node in plan.node_steps.iter().filter_map(|node_step| node_step.node.as_ref()) {
        if !snapshot.nodes.contains_key(node) {
            bad(found, Subject::Node(node.clone()), format!("{node} is not a node of this cluster"));
        }
        if !seen.insert(node) {
            bad(found, Subject::Node(node.clone()), format!("{node} has two node steps"));
        }
    }
}

/// Stages go up, what is done to a node is done in its own node step, and every reboot is followed by a proof.
fn order_in_node_step(node_step: &NodeStep, found: &mut Vec<Finding>) {
    for pair in node_step.steps.windows(2) {
        if pair[1].stage < pair[0].stage {
            bad(found, Subject::Cluster, format!("{} comes before {} but has a later stage", pair[0].id, pair[1].id));
        }
    }
    for planned in &node_step.steps {
        let on_node = planned.step.on_node();
        let Some(node) = planned.step.node().filter(|_| on_node.puts_at_risk()) else { continue };
        if node_step.node.as_ref() != Some(node) {
            bad(found, Subject::Node(node.clone()), format!("{} is not in the node step of {node}", planned.id));
        }
        let is_proof =
            |later: &&PlannedStep| later.step.on_node() == OnNode::WaitsBack && later.step.node() == Some(node);
        let proof = node_step.steps.iter().filter(|later| later.stage > planned.stage).find(is_proof);
        if on_node.needs_a_later_proof() && proof.is_none() {
            bad(found, Subject::Node(node.clone()), format!("nothing after {} proves that {node} is back", planned.id));
        }
    }
}

/// What a step changes for a while is undone later in the plan. What was already so needs no undo.
fn debts_paid(plan: &Plan, snapshot: &Snapshot, found: &mut Vec<Finding>) {
    let steps: Vec<&PlannedStep> = plan.steps().map(|(_, planned)| planned).collect();
    for (index, planned) in steps.iter().enumerate() {
        let kind = planned.step.kind();
        let Some(to_undo) = planned.step.undone_later_by().filter(|_| kind.status(snapshot) != StepStatus::Done) else {
            continue;
        };
        if !steps[index + 1..].iter().any(|later| later.step == to_undo) {
            let problem = format!("{} is never undone: {} is missing", planned.id, to_undo.kind().title());
            bad(found, subject_of(&planned.step), problem);
        }
    }
}

/// Every step with a cost for a guest is in the list of consents.
fn costs_consented(plan: &Plan, snapshot: &Snapshot, found: &mut Vec<Finding>) {
    for (_, planned) in plan.steps() {
        let Some((kind, guest)) = price(&planned.step, snapshot) else { continue };
        if !plan.consents.iter().any(|consent| consent.kind == kind && consent.guest == guest) {
            let problem = format!("{} costs {guest} downtime or a drive, and the plan asks for no consent", planned.id);
            bad(found, Subject::Guest(guest), problem);
        }
    }
}

fn price(step: &Step, snapshot: &Snapshot) -> Option<(ConsentKind, GuestId)> {
    let (consent, guest) = step.kind().profile().consent.zip(step.guest())?;
    let is_stopped = snapshot.guests.get(&guest).is_some_and(|guest| !guest.may_be_running());
    // A move does not restart a guest that is stopped.
    (!(step.is_move() && is_stopped)).then_some((consent, guest))
}

/// Nodes with something to do have a node step, and HA's guests are moved by HA.
fn nobody_forgotten(plan: &Plan, snapshot: &Snapshot, found: &mut Vec<Finding>) {
    for node in snapshot.nodes.values().filter(|_| !plan.is_a_drain()) {
        let has_turn = plan.node_steps.iter().any(|node_step| node_step.node.as_ref() == Some(&node.name));
        let name = &node.name;
        match snapshot.is_up_to_date(node) {
            Some(false) if !has_turn => {
                bad(found, Subject::Node(name.clone()), format!("{name} has something to do and no node step"));
            }
            None if !has_turn => {
                let problem = format!("whether {name} is up to date is not known, and it has no node step");
                found.push(finding(Subject::Node(name.clone()), problem, "Make the node answer, then plan again."));
            }
            _ => {}
        }
    }
    for (_, planned) in plan.steps() {
        // A shutdown and the move of a stopped guest are passed on to HA by PVE itself; that of a running one by us.
        let Some(Move { guest, mode, .. }) = planned.step.moves() else { continue };
        let managed = snapshot.ha_service(guest).is_some_and(|service| service.request == HaRequest::Started);
        if managed && !matches!(mode, MoveMode::Ha | MoveMode::Offline) {
            let problem = format!("{} bypasses HA, which keeps {guest} started and would react", planned.id);
            bad(found, Subject::Guest(guest), problem);
        }
    }
}
