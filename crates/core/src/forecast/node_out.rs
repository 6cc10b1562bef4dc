//! Forecast of a cluster while one of its nodes reboots: by the steps' own forecasts, with the node drained first.

use crate::ids::{GuestId, NodeName};
use crate::observed::Observed;
use crate::snapshot::Snapshot;
use crate::steps::{Maintenance, Noout, set, take_offline};

/// The cluster as it will be while the node reboots, whatever becomes of its guests: they are left out, because where
/// they go is for a plan to say.
pub(crate) fn node_out(snapshot: &Snapshot, name: &NodeName) -> Snapshot {
    let mut state = snapshot.clone();
    let guests: Vec<GuestId> = state.guests_on(name).map(|guest| guest.id).collect();
    guests.iter().for_each(|guest| drop(state.guests.remove(guest)));
    if let Some(node) = state.nodes.get_mut(name) {
        node.local_guests = Observed::Known(Vec::new());
    }
    if let Some(jobs) = state.jobs.known_mut() {
        jobs.retain(|job| job.node != *name);
    }
    // Another's apt ends by itself, before any node goes down: each step waits for it.
    state.nodes.values_mut().filter_map(|node| node.packages.known_mut()).for_each(|packages| packages.locked = false);
    if let Some(ha) = state.ha.known_mut() {
        ha.services.retain(|_, service| service.node.as_ref() != Some(name) && service.target.as_ref() != Some(name));
    }
    for step in [set(Noout::by_host(name.clone())), set(Maintenance { node: name.clone() })] {
        step.kind().effect().after.apply(&mut state);
    }
    take_offline(&mut state, name);
    state
}
