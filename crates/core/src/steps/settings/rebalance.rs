//! HA is told not to balance guests by itself.
//!
//! From PVE 9.2 on the HA manager can move guests whenever the nodes are unevenly loaded (`ha-auto-rebalance` of the
//! datacenter's `crs`). A node that is being drained is as uneven as possible: HA would move around what we move away.
//! The other settings of the scheduler stay as they are at that moment.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Act, Reading, SettingKind};
use crate::command::Command;
use crate::policy::Deadlines;
use crate::snapshot::Snapshot;
use crate::steps::profile::{About, Class, Limits, OnNode};
use crate::steps::status::StepStatus;
use crate::steps::support::helper;
use crate::steps::why::{Why, read};

pub(super) const VERBS: [&str; 2] = ["hold-rebalance", "restore-rebalance"];

const KEY: &str = "ha-auto-rebalance";

/// `ha-auto-rebalance 0` for the datacenter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rebalance {}

impl Rebalance {
    /// The option of the cluster's resource scheduler.
    pub(crate) const KEY: &'static str = KEY;
}

fn value(act: Act) -> &'static str {
    match act {
        Act::Set => "0",
        Act::Undo => "1",
    }
}

impl SettingKind for Rebalance {
    fn title(&self, act: Act) -> String {
        match act {
            Act::Set => "switch HA's automatic rebalancing off".to_owned(),
            Act::Undo => "switch HA's automatic rebalancing on again".to_owned(),
        }
    }

    fn about(&self) -> About<'_> {
        About::Cluster
    }

    fn class(&self) -> Class {
        Class::RiskTaking
    }

    fn on_node(&self) -> OnNode {
        OnNode::Nothing
    }

    fn estimate_s(&self) -> u64 {
        2
    }

    // A synchronous configuration change: short limits.
    fn limits(&self, _act: Act, _deadlines: &Deadlines) -> Limits {
        Limits { deadline_s: 120, settle_s: 10, attempts: 3 }
    }

    fn read(&self, snapshot: &Snapshot) -> Result<Reading, Why> {
        let balances = read(&snapshot.options)?.ha_auto_rebalance;
        Ok(if balances { Reading::NotSet } else { Reading::Set })
    }

    fn may(&self, _act: Act, _snapshot: &Snapshot) -> StepStatus {
        StepStatus::Ready
    }

    // By a shell and not by the API: an order of the API has no condition where it takes effect. `PUT /cluster/options` with all settings of the scheduler: what is left out would be lost.
    fn command(&self, act: Act, snapshot: &Snapshot) -> Option<Command> {
        let mut crs: BTreeMap<&str, &str> =
            snapshot.options.known()?.crs.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
        crs.insert(KEY, value(act));
        let parts: Vec<String> = crs.into_iter().map(|(key, value)| format!("{key}={value}")).collect();
        let on = helper(snapshot, None)?;
        Some(Command::shell(&on, &["pvesh", "set", "/cluster/options", "--crs", &parts.join(",")]))
    }

    fn write(&self, act: Act, snapshot: &mut Snapshot) {
        if let Some(options) = snapshot.options.known_mut() {
            options.crs.insert(KEY.to_owned(), value(act).to_owned());
            options.ha_auto_rebalance = act == Act::Undo;
        }
    }
}
