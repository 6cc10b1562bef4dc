//! What the journal of a run adds to what the nodes tell.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::ids::{NodeName, UnixMs};
use crate::policy::Deadlines;
use crate::run::RunState;
use crate::steps::OnNode;

/// The journal's share.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RunFacts {
    /// Nodes that this run told to reboot and that are not proven back, with the moment of the last order.
    pub reboots: BTreeMap<NodeName, UnixMs>,
    /// How long a boot may take, in seconds; the default where there is no run.
    pub boot_s: u64,
    /// From then on until the node is a whole member, in seconds.
    pub rejoin_s: u64,
}

impl RunFacts {
    /// Where there is no run: only its deadlines.
    pub fn without_a_run(deadlines: &Deadlines) -> Self {
        Self { reboots: BTreeMap::new(), boot_s: deadlines.boot_s, rejoin_s: deadlines.rejoin_s }
    }

    /// Of a run.
    pub fn of(state: &RunState) -> Self {
        let reboots = state.under_way().filter(|(_, record)| record.step.on_node() == OnNode::Reboots);
        let ordered = reboots.filter(|(_, record)| record.command.is_some());
        let ordered = ordered.filter_map(|(_, record)| Some((record.step.node()?.clone(), record.last_started)));
        Self { reboots: ordered.collect(), ..Self::without_a_run(&state.policy.deadlines) }
    }
}
