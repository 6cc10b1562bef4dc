//! Installed versions as ranks, so that "not older" is a comparison of two numbers.

use std::collections::BTreeSet;

use crate::snapshot::{Node, Snapshot};
use crate::version::Version;

use super::instance::Release;

/// All versions in a cluster, including those that the upgrade installs, in ascending order.
#[derive(Debug)]
pub(super) struct Ranks {
    qemu: Vec<Version>,
    pve: Vec<Version>,
}

/// The version of a package now, and after the upgrade.
fn versions<'a>(node: &'a Node, package: &str, now: Option<&'a Version>) -> (Option<&'a Version>, Option<&'a Version>) {
    let pending = node.packages.known().into_iter().flat_map(|packages| &packages.pending);
    let to = pending.filter(|pending| pending.name == package).map(|pending| &pending.to).next();
    (now, to.or(now))
}

fn qemu(node: &Node) -> (Option<&Version>, Option<&Version>) {
    versions(node, "pve-qemu-kvm", node.qemu_version.known())
}

fn pve(node: &Node) -> (Option<&Version>, Option<&Version>) {
    versions(node, "pve-manager", node.pve_version.known())
}

fn rank(all: &[Version], version: Option<&Version>) -> u16 {
    let Some(version) = version else { return 0 };
    u16::try_from(all.partition_point(|known| known < version)).unwrap_or(u16::MAX)
}

impl Ranks {
    pub(super) fn of(snapshot: &Snapshot) -> Self {
        let all = |of: fn(&Node) -> (Option<&Version>, Option<&Version>)| -> Vec<Version> {
            let both = snapshot.nodes.values().map(of).flat_map(|(now, then)| [now, then]);
            both.flatten().cloned().collect::<BTreeSet<_>>().into_iter().collect()
        };
        Self { qemu: all(qemu), pve: all(pve) }
    }

    pub(super) fn before(&self, node: &Node) -> Release {
        Release { qemu: rank(&self.qemu, qemu(node).0), pve: rank(&self.pve, pve(node).0) }
    }

    pub(super) fn after(&self, node: &Node) -> Release {
        Release { qemu: rank(&self.qemu, qemu(node).1), pve: rank(&self.pve, pve(node).1) }
    }

    /// The lowest rank of a QEMU that supports a machine type.
    pub(super) fn least_qemu(&self, machine: &Version) -> u16 {
        rank(&self.qemu, Some(machine))
    }
}
