//! Storages of the cluster's configuration.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::ids::{NodeName, StorageId};

/// An entry of `storage.cfg`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Storage {
    /// Its id in `storage.cfg`.
    pub id: StorageId,
    /// `dir`, `rbd`, `nfs`, `zfspool`, …
    pub kind: String,
    /// The same volumes on every node that has it.
    pub shared: bool,
    /// Nodes it is limited to; none means all.
    pub nodes: Option<BTreeSet<NodeName>>,
    /// Whether it is disabled.
    pub disabled: bool,
    /// Content types: `images`, `rootdir`, `iso`, …
    pub content: BTreeSet<String>,
}

impl Storage {
    /// Does the configuration give it to `node`?
    pub fn is_on(&self, node: &NodeName) -> bool {
        !self.disabled && self.nodes.as_ref().is_none_or(|nodes| nodes.contains(node))
    }
}
