//! What bears on a drain: one node goes out, and nothing is upgraded.

use super::finding::{Finding, Subject};
use crate::ids::NodeName;
use crate::snapshot::Snapshot;

/// Checks about what an upgrade installs, and whether it can.
const OF_AN_UPGRADE: [&str; 15] = [
    "ceph-versions",
    "container-cgroups",
    "disk-space",
    "dpkg-state",
    "held-packages",
    "machine-versions",
    "node-versions",
    "offered-versions",
    "old-package-lists",
    "pending-updates",
    "repositories",
    "running-qemu",
    "third-party-sources",
    "upgrade-checker",
    "upgrade-unit",
];

/// Checks about a node that goes down, is emptied or boots: of the others they say nothing that matters now.
const OF_THE_NODE: [&str; 8] = [
    "boot-loader",
    "capacity",
    "disk-health",
    "dkms-modules",
    "failed-units",
    "kernel-pins",
    "nic-names",
    "spare-votes",
];

/// Does it bear on this node's going out?
pub(super) fn bears_on(finding: &Finding, snapshot: &Snapshot, node: &NodeName) -> bool {
    if OF_AN_UPGRADE.contains(&finding.check.as_str()) {
        return false;
    }
    match &finding.subject {
        Subject::Node(other) if OF_THE_NODE.contains(&finding.check.as_str()) => other == node,
        Subject::Guest(guest) => snapshot.guests.get(guest).is_none_or(|guest| guest.node == *node),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_check_that_is_named_here_exists() {
        for id in OF_AN_UPGRADE.iter().chain(&OF_THE_NODE) {
            assert!(super::super::by_id(id).is_some(), "{id}");
        }
    }
}
