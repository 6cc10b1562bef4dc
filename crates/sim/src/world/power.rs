//! Power, shutdown and boot of a machine.

use quorate_core::ids::NodeName;

use super::node::AfterDown;
use super::{World, WorldError};

impl World {
    /// `POST /nodes/N/status command=reboot|shutdown`: answers at once.
    pub fn node_power(&mut self, node: &NodeName, then: AfterDown) -> Result<(), WorldError> {
        let _ = (node, then);
        Err(WorldError::die("not yet"))
    }

    /// The machine loses power this moment.
    pub fn power_off(&mut self, node: &NodeName) {
        let _ = node;
    }

    /// The machine gets power.
    pub fn power_on(&mut self, node: &NodeName) {
        let _ = node;
    }
}
