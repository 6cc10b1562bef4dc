//! What has changed since the last look by another hand than ours: a node that rebooted, a guest that stopped or moved.
//!
//! It is noted first, so that no crash loses it, and then the run pauses until the operator has answered. What is not
//! known is no change: it is compared once it is read.

use std::collections::{BTreeMap, BTreeSet};

use super::action::Action;
use super::seen::Look;
use crate::ids::{BootId, GuestId, NodeName};
use crate::observed::Observed::Known;
use crate::run::event::{Event, RunKind};
use crate::run::outside::OutsideChange;
use crate::run::pause::Pause;
use crate::run::state::RunState;
use crate::snapshot::{ArmedState, Guest, GuestStatus, HaNodeState, HaRequest, HaServiceState, Node, Snapshot};
use crate::steps::OnNode;

/// Notes what another hand has done, then what is seen for the first time.
pub(super) fn noticed(state: &RunState, look: &Look) -> Option<Action> {
    let snapshot = &*look.snapshot;
    if state.kind == RunKind::Recovery {
        return None;
    }
    // One after the other: a guest that went down with its node did not stop by itself.
    let changes = [rebooted, stopped, moved].into_iter();
    let noted = changes.map(|changes| changes(state, snapshot)).find(|changes| !changes.is_empty());
    let events = noted.map(|changes| changes.into_iter().map(|change| Event::ChangedOutside { change }).collect());
    events.or_else(|| first_seen(state, snapshot).map(|event| vec![event])).map(|events| Action::Note { events })
}

/// Pauses the run for what was noted, unless it only undoes: that goes on.
pub(super) fn unanswered(state: &RunState, look: &Look) -> Option<Action> {
    if state.unanswered.is_empty() || state.paused.is_some() || state.only_undoes() {
        return None;
    }
    let changes = state.unanswered.clone();
    let runs = |guest: &GuestId| look.snapshot.guests.get(guest).is_some_and(|guest| runs(guest).is_some());
    let taken_down: BTreeSet<GuestId> = changes.iter().flat_map(OutsideChange::takes_down).collect();
    let down = taken_down.into_iter().filter(|guest| !runs(guest)).collect();
    Some(Action::Pause(Pause::ChangedOutside { changes, down }))
}

fn rebooted(state: &RunState, snapshot: &Snapshot) -> Vec<OutsideChange> {
    let other_boot = |node: &&Node| match (state.expected.boots.get(&node.name), node.boot.known()) {
        (Some(before), Some(now)) => before != now && !is_rebooted_by_us(state, &node.name),
        _ => false,
    };
    let changed = snapshot.nodes.values().filter(other_boot).map(|node| {
        let ran_there = state.expected.running.iter().filter(|(_, at)| **at == node.name).map(|(guest, _)| *guest);
        let (name, up_s) = (node.name.clone(), node.uptime_s.known().copied());
        OutsideChange::Rebooted { node: name, up_s, guests: ran_there.collect() }
    });
    changed.collect()
}

fn stopped(state: &RunState, snapshot: &Snapshot) -> Vec<OutsideChange> {
    let before = state.expected.running.keys().filter_map(|guest| snapshot.guests.get(guest));
    let stopped = before.filter(|guest| {
        guest.status.is(&GuestStatus::Stopped)
            && !is_ours(state, guest.id)
            && is_at_rest(snapshot, guest)
            && will_ha_start(snapshot, guest.id) == Some(false)
    });
    stopped.map(|guest| OutsideChange::Stopped { guest: guest.id, node: guest.node.clone() }).collect()
}

fn moved(state: &RunState, snapshot: &Snapshot) -> Vec<OutsideChange> {
    let moved = state.expected.running.iter().filter_map(|(guest, from)| {
        let to = runs(snapshot.guests.get(guest)?)?;
        let by_others = to != from && !is_ours(state, *guest) && !is_where_ha_wants_it(snapshot, *guest, from, to);
        by_others.then(|| OutsideChange::Moved { guest: *guest, from: from.clone(), to: to.clone() })
    });
    moved.collect()
}

/// Nodes and guests of which the run does not know yet what they were like, and guests that HA has moved to where its
/// rules want them.
fn first_seen(state: &RunState, snapshot: &Snapshot) -> Option<Event> {
    let new_boot =
        |node: &&Node| !state.expected.boots.contains_key(&node.name) && !is_rebooted_by_us(state, &node.name);
    let nodes = snapshot.nodes.values().filter(new_boot);
    let boots: BTreeMap<NodeName, BootId> =
        nodes.filter_map(|node| Some((node.name.clone(), node.boot.known()?.clone()))).collect();
    let runs_there = snapshot.guests.values().filter_map(|guest| Some((guest.id, runs(guest)?)));
    let new_there = runs_there.filter(|(guest, node)| state.expected.running.get(guest) != Some(*node));
    let by_others = new_there.filter(|(guest, _)| !is_ours(state, *guest));
    let running: BTreeMap<GuestId, NodeName> = by_others.map(|(guest, node)| (guest, node.clone())).collect();
    (!boots.is_empty() || !running.is_empty()).then_some(Event::FirstSeen { boots, running })
}

/// The node on which it runs; none if it does not, or if that is not known.
fn runs(guest: &Guest) -> Option<&NodeName> {
    let runs = matches!(guest.status, Known(GuestStatus::Running | GuestStatus::Paused));
    (runs && !guest.template).then_some(&guest.node)
}

/// Has this run sent a reboot to the node, and not seen it done yet?
fn is_rebooted_by_us(state: &RunState, node: &NodeName) -> bool {
    state.under_way().any(|(_, record)| {
        record.step.on_node() == OnNode::Reboots && record.step.node() == Some(node) && record.command.is_some()
    })
}

/// Is a step of this run about the guest under way, or is it down because of us?
fn is_ours(state: &RunState, guest: GuestId) -> bool {
    state.under_way().any(|(_, record)| record.step.guest() == Some(guest))
        || state.guests_down_by_us().contains(&guest)
}

/// No task is about it, and no lock says that one is: a backup starts again what it stopped.
fn is_at_rest(snapshot: &Snapshot, guest: &Guest) -> bool {
    let idle = snapshot.jobs.known().is_some_and(|jobs| jobs.iter().all(|job| job.vmid != Some(guest.id.vmid)));
    idle && guest.lock.known().is_some_and(|lock| lock.as_ref().is_none_or(|lock| lock.0 == "suspended"))
}

/// Does HA start the guest again? Not known where HA was not read.
fn will_ha_start(snapshot: &Snapshot, guest: GuestId) -> Option<bool> {
    let ha = snapshot.ha.known()?;
    let starts = ha
        .services
        .get(&guest)
        .is_some_and(|service| service.request == HaRequest::Started && service.state != Some(HaServiceState::Error));
    Some(starts && ha.armed != Some(ArmedState::Disarmed))
}

/// Has HA moved the guest to a node that its rule prefers to the one where it was? The plan counts on that.
fn is_where_ha_wants_it(snapshot: &Snapshot, guest: GuestId, from: &NodeName, to: &NodeName) -> bool {
    let Some(ha) = snapshot.ha.known().filter(|ha| ha.services.contains_key(&guest)) else { return false };
    let online = ha.nodes.iter().filter(|(_, state)| **state == HaNodeState::Online).map(|(node, _)| node);
    let preferred = ha.preferred(guest, &online.chain([from]).collect());
    preferred.is_some_and(|preferred| preferred.contains(to) && !preferred.contains(from))
}
