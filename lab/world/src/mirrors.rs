//! Package sources that do not answer as they should.

use quorate_core::ids::{NodeName, Upid};

use super::World;
use super::node::Repository;

impl World {
    /// An enterprise repository that is switched on, on a node without a valid subscription.
    pub(crate) fn repository_refused(&self, node: &NodeName) -> Option<String> {
        let machine = self.nodes.get(node).filter(|machine| machine.subscription != "active")?;
        let enterprise = |repository: &&Repository| {
            repository.enabled && repository.uri.starts_with("https://enterprise.proxmox.com/")
        };
        machine.repositories.iter().find(enterprise).map(|repository| repository.uri.clone())
    }

    /// A fault: the subscription has run out, and the enterprise repository is what the node uses.
    pub(crate) fn lose_subscription(&mut self, node: &NodeName) {
        let Some(machine) = self.nodes.get_mut(node) else { return };
        machine.subscription = "expired".to_owned();
        machine.repositories.push(Repository {
            path: "/etc/apt/sources.list.d/pve-enterprise.sources".to_owned(),
            enabled: true,
            uri: "https://enterprise.proxmox.com/debian/pve".to_owned(),
            suite: "trixie".to_owned(),
            component: "pve-enterprise".to_owned(),
            ..Repository::default()
        });
    }

    /// apt keeps the lists that it has, warns, and succeeds.
    pub(crate) fn keeps_old_lists(&mut self, node: &NodeName, upid: &Upid) {
        for line in [
            "Ign:1 http://download.proxmox.com/debian/pve trixie InRelease",
            "Reading package lists...",
            "W: Failed to fetch http://download.proxmox.com/debian/pve/dists/trixie/InRelease  Could not connect to \
             download.proxmox.com:80 (192.0.2.80), connection timed out",
            "W: Some index files failed to download. They have been ignored, or old ones used instead.",
        ] {
            self.task_says(upid, line);
        }
        if let Some(machine) = self.nodes.get_mut(node) {
            machine.packages.lists_at_ms = self.now_ms;
        }
        self.end_task(upid, "OK");
    }
}
