//! The node is back: seen by the others, all links up, services and storages up, Ceph clean.

use serde::{Deserialize, Serialize};

use super::{Class, Limits, StepKind, StepStatus};
use crate::ids::NodeName;
use crate::policy::Deadlines;
use crate::snapshot::Snapshot;

/// Services without which a node is no member of the cluster.
pub const NEEDED_SERVICES: [&str; 7] =
    ["corosync", "pve-cluster", "pvedaemon", "pveproxy", "pvestatd", "pve-ha-lrm", "pve-ha-crm"];

/// Waits until a node serves again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProveBack {
    /// The node.
    pub node: NodeName,
}

impl ProveBack {
    /// Everything that is still missing; an error is a reading that is missing.
    fn missing(&self, snapshot: &Snapshot) -> Result<Vec<String>, String> {
        let mut missing = membership(snapshot, &self.node)?;
        let node = super::node(snapshot, &self.node)?;
        for service in super::read(&node.services)?.iter() {
            if NEEDED_SERVICES.contains(&service.name.as_str()) && !service.active {
                missing.push(format!("service {} on {} is {}", service.name, self.node, service.state));
            }
        }
        let here = super::read(&node.storages)?;
        for storage in super::read(&snapshot.storages)?.values().filter(|storage| storage.is_on(&self.node)) {
            if !here.get(&storage.id).is_some_and(|state| state.active) {
                missing.push(format!("storage {} is not active on {}", storage.id, self.node));
            }
        }
        if let Some(ceph) = super::read(&snapshot.ceph)? {
            missing.extend(super::ceph_unsettled(ceph));
        }
        Ok(missing)
    }
}

/// What is missing in votes and links, as the node itself and every other node sees it.
fn membership(snapshot: &Snapshot, name: &NodeName) -> Result<Vec<String>, String> {
    let mut missing = Vec::new();
    if !*super::read(&super::node(snapshot, name)?.online)? {
        missing.push(format!("the cluster does not have {name} as a member yet"));
    }
    for (viewer, view) in &snapshot.quorum {
        let other_is_down = snapshot.nodes.get(viewer).is_some_and(|node| node.online.is(&false));
        if viewer != name && other_is_down {
            continue;
        }
        let view = super::read(view)?;
        if !view.quorate {
            missing.push(format!("{viewer} is not quorate"));
        }
        if !view.members.contains_key(name) {
            missing.push(format!("{viewer} does not count {name} among the members"));
        }
        let links = if viewer == name { None } else { view.links.get(name) };
        let down = |links: &Vec<crate::snapshot::Link>| links.iter().filter(|link| !link.connected).count();
        match links {
            None if viewer == name => {}
            None => missing.push(format!("{viewer} reaches {name} over no link")),
            Some(links) if down(links) > 0 || (links.len() as u32) < view.configured_links => {
                missing.push(format!("{viewer} does not reach {name} over all links"));
            }
            Some(_) => {}
        }
    }
    Ok(missing)
}

impl StepKind for ProveBack {
    fn verb(&self) -> &'static str {
        "prove-back"
    }

    fn title(&self) -> String {
        format!("{} is back: member, links, services, storages, Ceph", self.node)
    }

    fn class(&self) -> Class {
        Class::Restoring
    }

    fn status(&self, snapshot: &Snapshot) -> StepStatus {
        super::done_when_empty(self.missing(snapshot))
    }

    // A plan that is made while the node is coming back begins here, without the reboot before it.
    fn after(&self, snapshot: &mut Snapshot) {
        super::bring_online(snapshot, &self.node);
    }

    fn limits(&self, deadlines: &Deadlines) -> Limits {
        Limits { deadline_s: deadlines.rejoin_s + deadlines.ceph_clean_s, settle_s: 0, attempts: 0 }
    }
}
