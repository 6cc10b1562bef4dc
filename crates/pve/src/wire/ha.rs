//! Answers of the HA manager.

use serde::Deserialize;
use serde_json::Value;

use super::lenient::{Flag, Int, List, Map, Text};

/// `GET /cluster/ha/status/manager_status`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct ManagerStatus {
    /// The master's state file; empty if HA was never used.
    #[serde(deserialize_with = "none_if_empty")]
    pub manager_status: Option<Manager>,
    /// Each node's local resource manager.
    pub lrm_status: Map<Option<Lrm>>,
}

/// An object, or nothing: `null`, `[]`, `{}`, `""`.
fn none_if_empty<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<Manager>, D::Error> {
    match Value::deserialize(deserializer)? {
        Value::Object(map) if !map.is_empty() => {
            serde_json::from_value(Value::Object(map)).map(Some).map_err(serde::de::Error::custom)
        }
        _ => Ok(None),
    }
}

/// The master's state.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Manager {
    /// Holder of the manager's lock.
    pub master_node: Option<Text>,
    /// Unix time of the last write.
    pub timestamp: Option<Int>,
    /// `online`, `maintenance`, `unknown`, `fence`, `gone`.
    pub node_status: Map<Text>,
    /// What the administrator asked of a node; left out if there is nothing (pve-ha-manager, `node_request`).
    pub node_request: Map<NodeRequest>,
    /// Services by id.
    pub service_status: Map<Service>,
}

/// What was asked of a node.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct NodeRequest {
    /// Maintenance mode.
    pub maintenance: Option<Flag>,
}

/// A service's state.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Service {
    /// `started`, `migrate`, …
    pub state: Text,
    /// The node it is on.
    pub node: Option<Text>,
    /// The node it moves to.
    pub target: Option<Text>,
    /// The node it will be moved back to after maintenance.
    pub maintenance_node: Option<Text>,
}

/// A node's local resource manager. It may be missing (`null`) for a node that never ran.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Lrm {
    /// `active`, `maintenance`, `restart`, `shutdown`, `disarm`.
    pub mode: Option<Text>,
    /// `active`, `wait_for_agent_lock`, `lost_agent_lock`, `maintenance`.
    pub state: Option<Text>,
    /// Unix time of the last write.
    pub timestamp: Option<Int>,
}

/// An entry of `GET /cluster/ha/resources`; the list leaves out defaults.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Resource {
    /// `vm:101`.
    pub sid: Text,
    /// `started` (the default), `stopped`, `enabled`, `disabled`, `ignored`.
    pub state: Option<Text>,
    /// 9.0 and later; the default is 1.
    pub failback: Option<Flag>,
    /// Before 9.0.
    pub group: Option<Text>,
}

/// An entry of `GET /cluster/ha/rules` (9.0 and later).
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Rule {
    /// Its id.
    pub rule: Text,
    /// `node-affinity`, `resource-affinity`.
    #[serde(rename = "type")]
    pub kind: Text,
    /// `vm:100,ct:101`.
    pub resources: Names,
    /// `pve1:2,pve2`.
    pub nodes: Names,
    /// Node affinity: guests may never run elsewhere.
    pub strict: Flag,
    /// `positive`, `negative`.
    pub affinity: Option<Text>,
    /// It is disabled.
    pub disable: Flag,
    /// Errors: the manager ignores the rule.
    pub errors: Map<Value>,
}

/// An entry of `GET /cluster/ha/groups` (before 9.0).
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Group {
    /// Its id.
    pub group: Text,
    /// `pve1:2,pve2`.
    pub nodes: Names,
    /// Guests may never run elsewhere.
    pub restricted: Flag,
    /// Members are not moved back automatically.
    pub nofailback: Flag,
}

/// Names as a text with commas, a list, or the keys of an object.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Names(pub Vec<String>);

impl<'de> Deserialize<'de> for Names {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let split = |text: &str| {
            let names = text.split([',', ';', ' ']).map(str::trim).filter(|name| !name.is_empty());
            Self(names.map(str::to_owned).collect())
        };
        match Value::deserialize(deserializer)? {
            Value::Null => Ok(Self::default()),
            Value::String(text) => Ok(split(&text)),
            Value::Object(map) => Ok(Self(map.keys().cloned().collect())),
            value => {
                let list: List<Text> = serde_json::from_value(value).map_err(serde::de::Error::custom)?;
                Ok(Self(list.0.into_iter().map(|name| name.0).collect()))
            }
        }
    }
}

/// An entry of `GET /cluster/ha/status/current`; only `fencing` (9.2 and later) is used here.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct CurrentEntry {
    /// `quorum`, `master`, `fencing`, `lrm`, `service`.
    #[serde(rename = "type")]
    pub kind: Text,
    /// `armed`, `standby`, `disarming`, `disarmed`.
    #[serde(rename = "armed-state")]
    pub armed_state: Option<Text>,
}
