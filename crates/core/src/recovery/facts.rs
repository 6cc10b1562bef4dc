//! What the journal of a run adds to what the nodes tell.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::ids::{NodeName, UnixMs};
use crate::policy::Deadlines;

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
}
