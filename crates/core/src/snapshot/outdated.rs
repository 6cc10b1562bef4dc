//! What a node runs, what it has installed and what it is offered are three things. Only a node in which all three
//! agree has nothing to do.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::{Node, Snapshot};
use crate::version::Version;

/// Lists older than this, in seconds, say nothing about what is offered: PVE refreshes them every day.
pub const LISTS_TRUSTED_S: u64 = 24 * 3600;

/// Something that runs on a node and is not what is installed there: its next boot brings the two together.
#[derive(Clone, Debug, PartialEq, Eq, Error, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outdated {
    /// Another kernel would boot.
    #[error("{running} runs, {next} would boot")]
    Kernel {
        /// The one that runs.
        running: Version,
        /// The one that would boot.
        next: Version,
    },
    /// A daemon of Ceph: `osd.3 runs 19.2.1, 19.2.3 is installed`.
    #[error("{0}")]
    Daemon(String),
    /// PVE's own services.
    #[error("PVE's services run pve-manager {runs}, {installed} is installed")]
    Manager {
        /// The version that answers.
        runs: Version,
        /// The version that is installed.
        installed: Version,
    },
    /// A package has asked for a reboot: those that have, where they left their names.
    #[error("a reboot was asked for (/run/reboot-required{})", of(.0))]
    Asked(Vec<String>),
}

fn of(packages: &[String]) -> String {
    if packages.is_empty() { String::new() } else { format!(": {}", packages.join(", ")) }
}

impl Snapshot {
    /// What runs on the node and is not what is installed there, as far as it was read: the kernel first.
    pub fn outdated(&self, node: &Node) -> Vec<Outdated> {
        let kernel = node.kernel.known().filter(|kernel| kernel.reboot_needed());
        let kernel =
            kernel.map(|kernel| Outdated::Kernel { running: kernel.running.clone(), next: kernel.will_boot().clone() });
        let daemons = self.ceph().into_iter().flat_map(|ceph| ceph.waiting_for_a_restart(&node.name));
        let manager = node.running_manager.known().zip(node.pve_version.known());
        let manager = manager.filter(|(runs, installed)| runs < installed);
        let manager =
            manager.map(|(runs, installed)| Outdated::Manager { runs: runs.clone(), installed: installed.clone() });
        let asked = node.reboot_required.known().and_then(Option::as_ref).cloned().map(Outdated::Asked);
        kernel.into_iter().chain(daemons.map(Outdated::Daemon)).chain(manager).chain(asked).collect()
    }

    /// Is nothing left to install on the node, and does it run what is installed? `None` where that is not known.
    pub fn is_up_to_date(&self, node: &Node) -> Option<bool> {
        let packages = node.packages.known()?;
        if !packages.pending.is_empty() || !self.outdated(node).is_empty() {
            return Some(false);
        }
        (node.kernel.known().is_some() && self.ceph.known().is_some()).then_some(true)
    }
}
