//! HA is told not to balance guests by itself.
//!
//! From PVE 9.2 on the HA manager can move guests whenever the nodes are unevenly loaded (`ha-auto-rebalance` of the
//! datacenter's `crs`). A node that is being drained is as uneven as can be: what we move away would be moved about.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Class, Limits, RestoreRebalance, Step, StepKind, StepStatus};
use crate::command::{Command, Method};
use crate::policy::Deadlines;
use crate::snapshot::Snapshot;

/// Sets `ha-auto-rebalance 0` for the datacenter; the other settings of the scheduler stay as they are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HoldRebalance {}

impl StepKind for HoldRebalance {
    fn verb(&self) -> &'static str {
        "hold-rebalance"
    }

    fn title(&self) -> String {
        "switch HA's automatic rebalancing off".to_owned()
    }

    fn class(&self) -> Class {
        Class::RiskTaking
    }

    fn status(&self, snapshot: &Snapshot) -> StepStatus {
        status(snapshot, "0")
    }

    fn after(&self, snapshot: &mut Snapshot) {
        forecast(snapshot, "0");
    }

    fn command(&self, snapshot: &Snapshot) -> Option<Command> {
        command(snapshot, "0")
    }

    fn owes(&self) -> Option<Step> {
        Some(RestoreRebalance {}.into())
    }

    fn limits(&self, _deadlines: &Deadlines) -> Limits {
        REBALANCE_LIMITS
    }
}

const KEY: &str = "ha-auto-rebalance";

/// A synchronous configuration change: short limits.
pub(super) const REBALANCE_LIMITS: Limits = Limits { deadline_s: 120, settle_s: 10, attempts: 3 };

pub(super) fn status(snapshot: &Snapshot, wanted: &str) -> StepStatus {
    match super::read(&snapshot.options) {
        Ok(options) if options.ha_auto_rebalance == (wanted == "1") => StepStatus::Done,
        Ok(_) => StepStatus::Ready,
        Err(why) => StepStatus::Blocked(vec![why]),
    }
}

pub(super) fn forecast(snapshot: &mut Snapshot, value: &str) {
    if let Some(options) = snapshot.options.known_mut() {
        options.crs.insert(KEY.to_owned(), value.to_owned());
        options.ha_auto_rebalance = value == "1";
    }
}

/// `PUT /cluster/options` with all settings of the scheduler: what is left out would be lost.
pub(super) fn command(snapshot: &Snapshot, value: &str) -> Option<Command> {
    let mut crs: BTreeMap<&str, &str> =
        snapshot.options.known()?.crs.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    crs.insert(KEY, value);
    let parts: Vec<String> = crs.into_iter().map(|(key, value)| format!("{key}={value}")).collect();
    Some(Command::api(Method::Put, "/cluster/options", &[("crs", &parts.join(","))]))
}
