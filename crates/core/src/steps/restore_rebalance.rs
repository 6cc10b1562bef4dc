//! HA may balance guests by itself again: pays back [`super::HoldRebalance`].

use serde::{Deserialize, Serialize};

use super::hold_rebalance::{REBALANCE_LIMITS, command, forecast, status};
use super::{Class, Limits, StepKind, StepStatus};
use crate::command::Command;
use crate::policy::Deadlines;
use crate::snapshot::Snapshot;

/// Sets `ha-auto-rebalance 1` for the datacenter; the other settings of the scheduler stay as they are by then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestoreRebalance {}

impl StepKind for RestoreRebalance {
    fn verb(&self) -> &'static str {
        "restore-rebalance"
    }

    fn title(&self) -> String {
        "switch HA's automatic rebalancing on again".to_owned()
    }

    fn class(&self) -> Class {
        Class::Restoring
    }

    fn status(&self, snapshot: &Snapshot) -> StepStatus {
        status(snapshot, "1")
    }

    fn after(&self, snapshot: &mut Snapshot) {
        forecast(snapshot, "1");
    }

    fn command(&self, snapshot: &Snapshot) -> Option<Command> {
        command(snapshot, "1")
    }

    fn limits(&self, _deadlines: &Deadlines) -> Limits {
        REBALANCE_LIMITS
    }
}
