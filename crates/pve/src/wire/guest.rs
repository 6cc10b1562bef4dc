//! Answers about one guest: configuration, state, migration preconditions, snapshots.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use super::lenient::{Flag, Int, List, Map, Text};
use super::property::Properties;

/// `GET /nodes/N/{qemu|lxc}/ID/config`: a flat object of texts and numbers.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Config(Map<Value>);

impl Config {
    /// A value as text.
    pub fn text(&self, key: &str) -> Option<String> {
        self.0.0.get(key).and_then(plain)
    }

    /// Is a flag set? Missing and invalid values are false.
    pub fn flag(&self, key: &str) -> bool {
        self.text(key).and_then(|text| super::lenient::flag(&text)).unwrap_or(false)
    }

    /// Raw settings of a container (`lxc: [[key, value], …]`) whose key begins like this.
    pub fn raw_keys(&self, prefix: &str) -> Vec<String> {
        let rows = self.0.0.get("lxc").and_then(Value::as_array);
        let keys = rows.into_iter().flatten().filter_map(|row| row.get(0)?.as_str());
        keys.filter(|key| key.starts_with(prefix)).map(str::to_owned).collect()
    }

    /// All of its keys.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.0.0.keys().map(String::as_str)
    }

    /// All raw settings of a container, in order.
    pub fn raw(&self) -> Vec<(String, String)> {
        let rows = self.0.0.get("lxc").and_then(Value::as_array);
        rows.into_iter().flatten().filter_map(|row| Some((plain(row.get(0)?)?, plain(row.get(1)?)?))).collect()
    }

    /// All keys that are one of these prefixes and a number, with their values parsed: `scsi0`, `net1`.
    pub fn numbered<'a>(&'a self, prefixes: &'a [&str]) -> impl Iterator<Item = (&'a str, Properties)> + 'a {
        self.0.0.iter().filter_map(move |(key, value)| {
            let number = prefixes.iter().find_map(|prefix| key.strip_prefix(prefix))?;
            let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
            let text = plain(value)?;
            is_number.then(|| (key.as_str(), Properties::parse(&text)))
        })
    }
}

fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(flag) => Some(if *flag { "1" } else { "0" }.to_owned()),
        _ => None,
    }
}

/// `GET /nodes/N/{qemu|lxc}/ID/status/current`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Current {
    /// `running`, `stopped`.
    pub status: Option<Text>,
    /// Seconds since its process began; 0 while it is stopped.
    pub uptime: Option<Int>,
    /// QEMU's own state: `paused`, …
    pub qmpstatus: Option<Text>,
    /// `pc-q35-9.2+pve1`; only while it runs.
    #[serde(rename = "running-machine")]
    pub running_machine: Option<Text>,
    /// `10.1.2`; only while it runs.
    #[serde(rename = "running-qemu")]
    pub running_qemu: Option<Text>,
    /// Lock in its configuration.
    pub lock: Option<Text>,
}

/// `GET /nodes/N/qemu/ID/migrate`, and for containers (9.0 and later) with hyphens and without disks.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Preconditions {
    /// From 8.4 on there is an entry for every other node; an empty one means allowed.
    #[serde(alias = "not-allowed-nodes")]
    pub not_allowed_nodes: Map<RefusedTarget>,
    /// Volumes on storages that are not shared.
    pub local_disks: List<LocalDisk>,
    /// `hostpci0`, `usb1`, …
    pub local_resources: List<Text>,
    /// Mapped devices by configuration key (8.4 and later).
    #[serde(rename = "mapped-resource-info")]
    pub mapped_resource_info: Map<MappedResource>,
}

/// Why a target is refused; empty for an allowed one.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct RefusedTarget {
    /// Storages that the target lacks.
    pub unavailable_storages: List<Text>,
    /// Configuration keys whose mapping has no entry for it.
    #[serde(rename = "unavailable-resources")]
    pub unavailable_resources: List<Text>,
    /// HA rules that forbid it.
    #[serde(rename = "blocking-ha-resources")]
    pub blocking_ha_resources: List<HaBlocker>,
    /// Reasons of a later release.
    #[serde(flatten)]
    pub other: BTreeMap<String, Value>,
}

/// A guest or rule that forbids a target.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct HaBlocker {
    /// `vm:102`.
    pub sid: Text,
    /// `resource-affinity`, `node-affinity`.
    pub cause: Text,
}

/// A volume on a storage that is not shared.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct LocalDisk {
    /// `local-lvm:vm-103-disk-0`; `cdrom` for the physical drive.
    pub volid: Text,
    /// `scsi0`.
    pub drivename: Option<Text>,
    /// Bytes.
    pub size: Option<Int>,
    /// It is a CD drive.
    pub cdrom: Flag,
    /// The generated cloud-init drive (9.x says so).
    pub is_cloudinit: Flag,
    /// Not attached.
    pub is_unused: Flag,
    /// Attached.
    pub is_attached: Flag,
    /// State of a hibernated or snapshotted guest.
    pub is_vmstate: Flag,
    /// TPM state.
    pub is_tpmstate: Flag,
    /// It is replicated.
    pub replicate: Flag,
}

/// A mapped device.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct MappedResource {
    /// The mapping's name.
    pub name: Option<Text>,
    /// It can be live-migrated.
    #[serde(rename = "live-migration")]
    pub live_migration: Flag,
}

/// An entry of `GET /nodes/N/storage/S/content`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Volume {
    /// `local:iso/debian.iso`.
    pub volid: Text,
}

/// An entry of `GET /nodes/N/{qemu|lxc}/ID/snapshot`; `current` is not a snapshot.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Snapshot {
    /// Its name.
    pub name: Text,
}
