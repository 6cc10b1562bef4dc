//! The part about one storage.

use std::collections::BTreeMap;

use quorate_core::ids::{GuestId, NodeName, StorageId};
use serde::{Deserialize, Serialize};

/// `[[storage]]`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoragePart {
    /// Id.
    pub id: StorageId,
    /// Type.
    pub kind: String,
    /// Is it shared by all nodes?
    #[serde(default)]
    pub shared: bool,
    /// Content types.
    pub content: Vec<String>,
    /// Only on these nodes.
    #[serde(default)]
    pub nodes: Vec<NodeName>,
    /// Ceph pool.
    pub pool: Option<String>,
    /// Size.
    pub total_gib: u64,
    /// Space used by other things.
    #[serde(default)]
    pub used_gib: u64,
    /// Files and their size in MiB: `iso/debian.iso`.
    #[serde(default)]
    pub files: BTreeMap<String, u64>,
    /// Files of a storage that is not shared which only these nodes have: `iso/debian.iso`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub only_on: BTreeMap<String, Vec<NodeName>>,
    /// The guest of this cluster that serves it, if one does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub served_by: Option<GuestId>,
}
