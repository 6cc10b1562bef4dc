//! Cluster-wide answers: status, corosync's node list, resources, options, permissions, storage, backups.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::lenient::{Flag, Int, List, Map, Text, flag};
use super::property::Properties;

/// An entry of `GET /cluster/status`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct StatusEntry {
    /// `cluster` or `node`.
    #[serde(rename = "type")]
    pub kind: Text,
    /// The cluster's or the node's name.
    pub name: Text,
    /// Cluster entry: is the answering node's partition quorate?
    pub quorate: Option<Flag>,
    /// Node entry: does the answering node see it as a member?
    pub online: Option<Flag>,
    /// Node entry: is this the node that answers?
    pub local: Option<Flag>,
    /// Node entry: corosync's id.
    pub nodeid: Option<Int>,
    /// Node entry: the address at which the others reach it.
    pub ip: Option<Text>,
}

/// An entry of `GET /cluster/config/nodes`; corosync's data come as texts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct ConfigNode {
    /// Its name.
    pub name: Text,
    /// corosync's id.
    pub nodeid: Option<Int>,
    /// Its votes; corosync's default is 1.
    pub quorum_votes: Option<Int>,
    /// `ring0_addr`, `ring1_addr`, …
    #[serde(flatten)]
    pub rest: BTreeMap<String, Value>,
}

impl ConfigNode {
    /// Its addresses, one for each link, in their order.
    pub fn links(&self) -> Vec<String> {
        let address = |number: usize| Some(self.rest.get(&format!("ring{number}_addr"))?.as_str()?.to_owned());
        // knet has eight links at most, and their numbers may have gaps.
        (0..8).filter_map(address).collect()
    }
}

/// A guest, as `GET /cluster/resources?type=vm` and the nodes' own lists give it.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct GuestEntry {
    /// `qemu` or `lxc` (cluster list only).
    #[serde(rename = "type")]
    pub kind: Option<Text>,
    /// Its number.
    pub vmid: Option<Int>,
    /// The node (cluster list only).
    pub node: Option<Text>,
    /// Its name.
    pub name: Option<Text>,
    /// `running`, `stopped`, `unknown`.
    pub status: Option<Text>,
    /// QEMU's own state, where the list has it.
    pub qmpstatus: Option<Text>,
    /// Configured memory in bytes.
    pub maxmem: Option<Int>,
    /// Memory in use as the guest sees it, in bytes.
    pub mem: Option<Int>,
    /// Memory in use as the host sees it, in bytes (VMs, since PVE 9).
    pub memhost: Option<Int>,
    /// Configured processors (cluster list).
    pub maxcpu: Option<Int>,
    /// Configured processors (node list).
    pub cpus: Option<Int>,
    /// A template.
    pub template: Flag,
    /// `prod;web`.
    pub tags: Option<Text>,
    /// Lock in its configuration.
    pub lock: Option<Text>,
}

/// `GET /cluster/options`; sub-objects may come as property strings.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Options {
    /// `type`, `network`.
    pub migration: Option<Parts>,
    /// `shutdown_policy`.
    pub ha: Option<Parts>,
    /// Scheduler: `ha`, `ha-rebalance-on-start`, `ha-auto-rebalance`.
    pub crs: Option<Parts>,
    /// Parallel HA jobs per node.
    pub max_workers: Option<Int>,
}

/// An option with parts: an object or a property string.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parts(pub BTreeMap<String, String>);

impl Parts {
    /// One part.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str).filter(|text| !text.is_empty())
    }

    /// A part that is a flag; missing is false.
    pub fn flag(&self, key: &str) -> bool {
        self.get(key).and_then(flag).unwrap_or(false)
    }
}

impl<'de> Deserialize<'de> for Parts {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::String(text) => {
                let parsed = Properties::parse(&text);
                Ok(Self(parsed.named))
            }
            value => {
                let map: Map<Value> = serde_json::from_value(value).map_err(serde::de::Error::custom)?;
                let text = |value: Value| serde_json::from_value::<Text>(value).map(|text| text.0).unwrap_or_default();
                Ok(Self(map.0.into_iter().map(|(key, value)| (key, text(value))).collect()))
            }
        }
    }
}

/// `GET /access/permissions`: path → privilege → does it propagate?
pub type Permissions = Map<Map<Flag>>;

/// An entry of `GET /storage`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct StorageEntry {
    /// Its id.
    pub storage: Text,
    /// `dir`, `rbd`, …
    #[serde(rename = "type")]
    pub kind: Text,
    /// `images,iso`.
    pub content: Option<Text>,
    /// Marked as shared.
    pub shared: Flag,
    /// `pve1,pve2`; none means all.
    pub nodes: Option<Text>,
    /// It is disabled.
    pub disable: Flag,
}

impl StorageEntry {
    /// The same volumes on every node: by its type, or by its mark.
    pub fn is_shared(&self) -> bool {
        const SHARED: [&str; 10] =
            ["nfs", "cifs", "rbd", "cephfs", "iscsi", "iscsidirect", "pbs", "esxi", "zfs", "glusterfs"];
        self.shared.0 || SHARED.contains(&self.kind.0.as_str())
    }
}

/// An entry of `GET /cluster/backup`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct BackupEntry {
    /// Its id.
    pub id: Text,
    /// Missing means enabled.
    pub enabled: Option<Flag>,
    /// Unix time in seconds.
    #[serde(rename = "next-run")]
    pub next_run: Option<Int>,
    /// Limited to this node.
    pub node: Option<Text>,
}

/// A job of `GET /cluster/replication`, and with its state of `GET /nodes/N/replication`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct ReplicationEntry {
    /// `100-0`.
    pub id: Text,
    /// The guest's number.
    pub guest: Option<Int>,
    /// The source node.
    pub source: Option<Text>,
    /// The target node.
    pub target: Option<Text>,
    /// It is disabled.
    pub disable: Flag,
    /// Failures in a row (state only).
    pub fail_count: Option<Int>,
    /// The last error (state only).
    pub error: Option<Text>,
    /// Unix time of the last success, 0 for never (state only).
    pub last_sync: Option<Int>,
}

/// Lists.
pub type Status = List<StatusEntry>;
