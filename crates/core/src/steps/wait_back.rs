//! The node is back: seen by the others, all links up, services and storages up, Ceph clean.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{About, Change, Class, Effect, IfImpossible, Limits, OnGuest, OnNode, Profile, StepKind, StepStatus, Undo, Why};
use super::support::{bring_online, ceph_unsettled, is_benign, node};
use super::why::read;
use crate::command::Command;
use crate::ids::{NodeName, StorageId};
use crate::policy::Deadlines;
use crate::snapshot::{Link, PgState, QuorumView, Snapshot};

/// Services without which a node is no member of the cluster.
pub const NEEDED_SERVICES: [&str; 7] =
    ["corosync", "pve-cluster", "pvedaemon", "pveproxy", "pvestatd", "pve-ha-lrm", "pve-ha-crm"];

/// Waits until a node serves again.
///
/// What the node cannot bring is no matter of its return: a storage that was away before its turn or that no node
/// reaches, one that may belong to a guest that is started after this, a link that its other end has lost to everybody.
/// It is told, and not waited for: guests would stay down meanwhile.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitBack {
    /// The node.
    pub node: NodeName,
    /// Storages that are not waited for: away before its turn, or perhaps served by a guest that is started after this.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub without: BTreeSet<StorageId>,
}

/// What is not as it should be, by whether the node can bring it.
#[derive(Default)]
struct Lacks {
    /// Waited for.
    missing: Vec<Why>,
    /// Told.
    aside: Vec<Why>,
}

impl WaitBack {
    /// What is not as it should be and no matter of this node.
    pub(super) fn not_waited_for(&self, snapshot: &Snapshot) -> Vec<Why> {
        self.lacks(snapshot).map(|lacks| lacks.aside).unwrap_or_default()
    }

    /// Everything that is not as it should be; an error is a reading that is missing.
    fn lacks(&self, snapshot: &Snapshot) -> Result<Lacks, Why> {
        let mut lacks = Lacks::default();
        membership(snapshot, &self.node, &mut lacks)?;
        let node = node(snapshot, &self.node)?;
        for service in read(&node.services)?.iter() {
            if NEEDED_SERVICES.contains(&service.name.as_str()) && !service.active {
                lacks.missing.push(Why::ServiceDown {
                    service: service.name.clone(),
                    node: self.node.clone(),
                    state: service.state.clone(),
                });
            }
        }
        let here = read(&node.storages)?;
        for storage in read(&snapshot.storages)?.values().filter(|storage| storage.is_on(&self.node)) {
            if here.get(&storage.id).is_some_and(|state| state.active) {
                continue;
            }
            if snapshot.away_elsewhere(storage, &self.node) {
                lacks.aside.push(Why::StorageAway(storage.id.clone()));
            } else {
                let inactive = Why::StorageInactive(storage.id.clone(), self.node.clone());
                let aside = self.without.contains(&storage.id);
                if aside { lacks.aside.push(inactive) } else { lacks.missing.push(inactive) }
            }
        }
        if let Some(ceph) = read(&snapshot.ceph)? {
            lacks.missing.extend(ceph_unsettled(ceph));
            lacks.missing.extend(ceph.waiting_for_a_restart(&self.node).into_iter().map(Why::CephWaitsForARestart));
        }
        Ok(lacks)
    }
}

/// What is missing in votes and links, as the node itself and every other node sees it.
fn membership(snapshot: &Snapshot, name: &NodeName, lacks: &mut Lacks) -> Result<(), Why> {
    if !*read(&node(snapshot, name)?.online)? {
        lacks.missing.push(Why::NotAMemberYet(name.clone()));
    }
    for (viewer, view) in &snapshot.quorum {
        let other_is_down = snapshot.nodes.get(viewer).is_some_and(|node| node.online.is(&false));
        if viewer != name && other_is_down {
            continue;
        }
        let view = read(view)?;
        if !view.quorate {
            lacks.missing.push(Why::NotQuorate(viewer.clone()));
        }
        if !view.members.contains_key(name) {
            lacks.missing.push(Why::NotCounted(viewer.clone(), name.clone()));
        }
        if viewer != name {
            links(viewer, view, name, lacks);
        }
    }
    Ok(())
}

/// What is missing in the links over which another node reaches this one.
fn links(viewer: &NodeName, view: &QuorumView, name: &NodeName, lacks: &mut Lacks) {
    let Some(links) = view.links.get(name) else {
        return lacks.missing.push(Why::NoLink(viewer.clone(), name.clone()));
    };
    let mut down = links.iter().filter(|link| !link.connected).peekable();
    if (links.len() as u32) >= view.configured_links && down.peek().is_none() {
        return;
    }
    let not_all = Why::NotAllLinks(viewer.clone(), name.clone());
    let listed = links.len() as u32 >= view.configured_links;
    if listed && down.all(|link| lost_to_all(view, name, link)) {
        lacks.aside.push(not_all);
    } else {
        lacks.missing.push(not_all);
    }
}

/// Does the viewer reach none of the other nodes over this link either? Then it is its own link that is down.
fn lost_to_all(view: &QuorumView, name: &NodeName, link: &Link) -> bool {
    let others: Vec<&Link> = (view.links.iter().filter(|(other, _)| *other != name))
        .flat_map(|(_, links)| links.iter().filter(|other| other.number == link.number))
        .collect();
    !others.is_empty() && others.iter().all(|other| !other.connected)
}

/// Ceph has recovered from the node's absence.
fn ceph_is_clean(snapshot: &mut Snapshot) {
    let Some(ceph) = snapshot.ceph.known_mut().and_then(Option::as_mut) else { return };
    ceph.pgs = vec![PgState { state: "active+clean".to_owned(), count: ceph.pg_count }];
    ceph.checks.retain(|code, check| check.muted || check.accepted || is_benign(code));
}

impl StepKind for WaitBack {
    fn verb(&self) -> &'static str {
        "wait-back"
    }

    fn title(&self) -> String {
        format!("wait for {} to be fully back: member, links, services, storages, Ceph", self.node)
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
        StepStatus::done_when_empty(self.lacks(snapshot).map(|lacks| lacks.missing))
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
