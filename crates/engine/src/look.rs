//! Looks at the cluster, as deep as was decided.

use std::sync::Arc;

use quorate_core::checks;
use quorate_core::ids::{GuestId, NodeName};
use quorate_core::observed::Observed;
use quorate_core::run::{Depth, RunState};
use quorate_core::snapshot::Snapshot;
use quorate_core::steps::Step;
use quorate_pve::observe::{Hosts, Look, observe};
use quorate_pve::ports::Ports;

/// Remembers the last snapshot, so that a look between steps costs calls per node and not per guest.
#[derive(Default)]
pub(crate) struct Looker {
    last: Option<Arc<Snapshot>>,
    configured: Vec<NodeName>,
}

impl Looker {
    /// Nodes of the configuration file: known even when no API answers.
    pub(crate) fn new(configured: Vec<NodeName>) -> Self {
        Self { configured, ..Self::default() }
    }

    /// Nodes of the last look, or of the configuration file.
    pub(crate) fn known_nodes(&self) -> Vec<NodeName> {
        match &self.last {
            Some(snapshot) if !snapshot.nodes.is_empty() => snapshot.nodes.keys().cloned().collect(),
            _ => self.configured.clone(),
        }
    }

    /// Looks: at everything, or only at what can have changed.
    pub(crate) async fn look(&mut self, ports: &Ports, state: &RunState, depth: Depth) -> Arc<Snapshot> {
        let snapshot = match (depth, &self.last) {
            (Depth::Changes, Some(previous)) => {
                let look = Look {
                    depth: quorate_pve::observe::Depth::Watch,
                    previous: Some(previous),
                    avoid: avoid(state),
                    known_nodes: self.known_nodes(),
                    focus: focus(state),
                    changed_guests: changed_guests(state),
                    hosts: Hosts::Only(Vec::new(), previous),
                };
                seen(observe(ports, look).await, state)
            }
            _ => self.look_deeply(ports, state, nodes_in_turn(state)).await,
        };
        self.last = Some(snapshot.clone());
        snapshot
    }

    /// Looks at everything, as a new plan needs it. PVE's checker plays no part in that, and is not run again.
    pub(crate) async fn look_at_everything(&mut self, ports: &Ports, state: &RunState) -> Arc<Snapshot> {
        self.look_deeply(ports, state, Vec::new()).await
    }

    /// Looks at everything, and runs PVE's checker on every node: what it said between two node steps was about
    /// a half-upgraded cluster, with daemons of different versions for example.
    pub(crate) async fn look_at_the_end(&mut self, ports: &Ports, state: &RunState) -> Arc<Snapshot> {
        self.look_deeply(ports, state, self.known_nodes()).await
    }

    async fn look_deeply(&mut self, ports: &Ports, state: &RunState, checked: Vec<NodeName>) -> Arc<Snapshot> {
        let hosts = self.last.as_ref().map_or(Hosts::All, |last| Hosts::Only(checked, last));
        let look = Look { avoid: avoid(state), known_nodes: self.known_nodes(), hosts, ..Look::full() };
        let snapshot = seen(observe(ports, look).await, state);
        self.last = Some(snapshot.clone());
        snapshot
    }

    /// Looks at everything, as a first plan needs it; the driver's own lock is not another driver's.
    pub(crate) async fn look_before_a_run(&mut self, ports: &Ports) -> Arc<Snapshot> {
        let mut snapshot = observe(ports, Look { known_nodes: self.known_nodes(), ..Look::full() }).await;
        snapshot.driver = Observed::Known(None);
        let snapshot = Arc::new(snapshot);
        self.last = Some(snapshot.clone());
        snapshot
    }

    /// What was seen before the run started, so that not all of it is read again at the first step.
    pub(crate) fn has_seen(&mut self, snapshot: Snapshot) {
        self.last = Some(Arc::new(snapshot));
    }
}

/// The snapshot, with what the operator has accepted by now.
fn seen(mut snapshot: Snapshot, state: &RunState) -> Arc<Snapshot> {
    checks::accept_health(&mut snapshot, &state.policy);
    Arc::new(snapshot)
}

/// The node that was upgraded last and the one that is next: PVE's checker is run on both between the node steps.
/// Before the first node step it has just been run, and after the last one the final check runs it.
fn nodes_in_turn(state: &RunState) -> Vec<NodeName> {
    let node_steps = state.plan.iter().flat_map(|plan| &plan.node_steps);
    let next = node_steps
        .filter(|node_step| node_step.steps.iter().any(|step| !state.is_done(&step.id)))
        .find_map(|node_step| node_step.node.clone());
    match (next, state.node_done_last()) {
        (Some(next), Some(done)) => vec![next, done.clone()],
        _ => Vec::new(),
    }
}

/// The current node may go away in the middle of a call.
fn avoid(state: &RunState) -> Vec<NodeName> {
    state.current_or_next_node().cloned().into_iter().collect()
}

/// The current node is read in full, packages and `ok-to-stop` included, except while guests are moving: an upgrade
/// simulation at each look would slow the drain down and show nothing new.
fn focus(state: &RunState) -> Vec<NodeName> {
    let next = state.plan.iter().flat_map(|plan| plan.steps()).find(|(_, planned)| !state.is_done(&planned.id));
    let next_moves = next.is_some_and(|(_, planned)| planned.step.is_move());
    if next_moves || state.under_way().any(|(_, record)| record.step.is_move()) {
        return Vec::new();
    }
    state.current_or_next_node().cloned().into_iter().collect()
}

/// Guests whose configuration a step of ours is changing.
fn changed_guests(state: &RunState) -> Vec<GuestId> {
    let steps = state.under_way().map(|(_, record)| &record.step);
    steps.filter_map(Step::configures).collect()
}
