//! What the journal of a run adds to what the nodes report.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::ids::{NodeName, UnixMs};
use crate::policy::Deadlines;

/// What the journal contributes to a diagnosis.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct RunFacts {
    /// Nodes that this run told to reboot and that are not known to be back, with the moment of the last command.
    pub reboots: BTreeMap<NodeName, UnixMs>,
    /// How long a boot may take, in seconds; the default where there is no run.
    pub boot_s: u64,
    /// How long it may take from then until the node is a full member, in seconds.
    pub rejoin_s: u64,
}

impl RunFacts {
    /// The facts where there is no run: only the deadlines.
    pub fn without_a_run(deadlines: &Deadlines) -> Self {
        Self { reboots: BTreeMap::new(), boot_s: deadlines.boot_s, rejoin_s: deadlines.rejoin_s }
    }
}
