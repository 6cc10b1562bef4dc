//! The node is back: seen by the others, all links up, services and storages up, Ceph clean.

use serde::{Deserialize, Serialize};

use super::{About, Change, Class, Effect, IfImpossible, Limits, OnGuest, OnNode, Profile, StepKind, StepStatus, Undo, Why};
use super::support::{bring_online, ceph_unsettled, is_benign, node};
use super::why::read;
use crate::command::Command;
use crate::ids::NodeName;
use crate::policy::Deadlines;
use crate::snapshot::{PgState, Snapshot};

/// Services without which a node is no member of the cluster.
pub const NEEDED_SERVICES: [&str; 7] =
    ["corosync", "pve-cluster", "pvedaemon", "pveproxy", "pvestatd", "pve-ha-lrm", "pve-ha-crm"];

/// Waits until a node serves again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitBack {
    /// The node.
    pub node: NodeName,
}

impl WaitBack {
    /// Everything that is still missing; an error is a reading that is missing.
    fn missing(&self, snapshot: &Snapshot) -> Result<Vec<Why>, Why> {
        let mut missing = membership(snapshot, &self.node)?;
        let node = node(snapshot, &self.node)?;
        for service in read(&node.services)?.iter() {
            if NEEDED_SERVICES.contains(&service.name.as_str()) && !service.active {
                missing.push(Why::ServiceDown {
                    service: service.name.clone(),
                    node: self.node.clone(),
                    state: service.state.clone(),
                });
            }
        }
        let here = read(&node.storages)?;
        for storage in read(&snapshot.storages)?.values().filter(|storage| storage.is_on(&self.node)) {
            if !here.get(&storage.id).is_some_and(|state| state.active) {
                missing.push(Why::StorageInactive(storage.id.clone(), self.node.clone()));
            }
        }
        if let Some(ceph) = read(&snapshot.ceph)? {
            missing.extend(ceph_unsettled(ceph));
        }
        Ok(missing)
    }
}

/// What is missing in votes and links, as the node itself and every other node sees it.
fn membership(snapshot: &Snapshot, name: &NodeName) -> Result<Vec<Why>, Why> {
    let mut missing = Vec::new();
    if !*read(&node(snapshot, name)?.online)? {
        missing.push(Why::NotAMemberYet(name.clone()));
    }
    for (viewer, view) in &snapshot.quorum {
        let other_is_down = snapshot.nodes.get(viewer).is_some_and(|node| node.online.is(&false));
        if viewer != name && other_is_down {
            continue;
        }
        let view = read(view)?;
        if !view.quorate {
            missing.push(Why::NotQuorate(viewer.clone()));
        }
        if !view.members.contains_key(name) {
            missing.push(Why::NotCounted(viewer.clone(), name.clone()));
        }
        let links = if viewer == name { None } else { view.links.get(name) };
        let down = |links: &Vec<crate::snapshot::Link>| links.iter().filter(|link| !link.connected).count();
        match links {
            None if viewer == name => {}
            None => missing.push(Why::NoLink(viewer.clone(), name.clone())),
            Some(links) if down(links) > 0 || (links.len() as u32) < view.configured_links => {
                missing.push(Why::NotAllLinks(viewer.clone(), name.clone()));
            }
            Some(_) => {}
        }
    }
    Ok(missing)
}

/// Ceph has recovered from the node's absence.
fn ceph_is_clean(snapshot: &mut Snapshot) {
    let Some(ceph) = snapshot.ceph.known_mut().and_then(Option::as_mut) else { return };
    ceph.pgs = vec![PgState { state: "active+clean".to_owned(), count: ceph.pg_count }];
    ceph.checks.retain(|code, check| check.muted || is_benign(code));
}

impl StepKind for WaitBack {
    fn verb(&self) -> &'static str {
        "wait-back"
    }

    fn title(&self) -> String {
        format!("{} is back: member, links, services, storages, Ceph", self.node)
    }

    fn profile(&self) -> Profile<'_> {
        Profile {
            about: About::Node(&self.node),
            class: Class::Restoring,
            on_node: OnNode::WaitsBack,
            on_guest: OnGuest::Nothing,
            consent: None,
            if_impossible: IfImpossible::PlanAgain,
            estimate_s: 60,
        }
    }

    fn undo(&self) -> Undo {
        Undo::Nothing
    }

    fn status(&self, snapshot: &Snapshot) -> StepStatus {
        StepStatus::done_when_empty(self.missing(snapshot))
    }

    fn limits(&self, deadlines: &Deadlines) -> Limits {
        Limits { deadline_s: deadlines.rejoin_s + deadlines.ceph_clean_s, settle_s: 0, attempts: 0 }
    }

    fn command(&self, _snapshot: &Snapshot) -> Option<Command> {
        None
    }

    // A plan that is made while the node is coming back begins here, without the reboot before it.
    fn effect(&self) -> Effect<'_> {
        Effect {
            during: Change::Nothing,
            after: Change::cluster(|snapshot| bring_online(snapshot, &self.node)),
            promise: Change::cluster(ceph_is_clean),
        }
    }
}
