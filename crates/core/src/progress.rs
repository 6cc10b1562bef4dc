//! What is worth showing while a run goes on, and not worth an event: what it waits for, how far guests and packages
//! are, what the last look saw of the cluster. Each is overwritten by the next; nothing is ever decided upon it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::ids::{GuestId, NodeName, UnixMs};
use crate::run::RunState;
use crate::snapshot::{Ceph, GuestStatus, Ha, HaServiceState, HealthLevel, Node, QuorumView, Snapshot};
use crate::version::Version;

/// How far a run is at one moment. What a reader does not find in it is unknown.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct Progress {
    /// When, by the clock of the run.
    pub at: UnixMs,
    /// The same moment by the wall clock of the driver's machine: in a lab, time runs faster.
    pub wall: UnixMs,
    /// What the run waits for.
    pub waiting: Vec<String>,
    /// Guests that travel.
    pub moving: BTreeMap<GuestId, Transfer>,
    /// The last line of the upgrade that is under way.
    pub packages: Option<String>,
    /// The cluster at the last look.
    pub glance: Option<Glance>,
}

/// How far a guest's migration is, in its present part: a disk, or its memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Transfer {
    /// Bytes that are on the target.
    pub done: u64,
    /// Bytes in all. What the guest changes meanwhile is sent again, so that `done` may become more.
    pub total: u64,
    /// Bytes in a second.
    pub rate: Option<u64>,
}

/// The cluster at a glance, as far as it was seen.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct Glance {
    /// When it was seen, by the clock of the run.
    pub taken: UnixMs,
    /// Each node.
    pub nodes: BTreeMap<NodeName, NodeGlance>,
    /// Names of the guests that this run has, or had, in hand.
    pub names: BTreeMap<GuestId, String>,
    /// Votes, by the node that sees most of them, a quorate one if there is one; none if no node was asked.
    pub votes: Option<Votes>,
    /// Corosync's links.
    pub links: Option<Links>,
    /// Is there Ceph?
    pub has_ceph: Option<bool>,
    /// What it says.
    pub ceph: Option<CephGlance>,
    /// HA.
    pub ha: Option<HaGlance>,
}

/// A node at a glance.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct NodeGlance {
    /// Is it a member of the cluster?
    pub online: Option<bool>,
    /// Guests that run on it.
    pub guests: Option<usize>,
    /// Its memory in use, in percent.
    pub memory_percent: Option<u8>,
    /// PVE when this run first saw it.
    pub from: Option<Version>,
    /// PVE as it will be, or is.
    pub to: Option<Version>,
}

/// Votes at a glance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Votes {
    /// Votes that are present.
    pub present: u32,
    /// Votes that the cluster expects.
    pub expected: u32,
    /// Votes that are needed.
    pub needed: u32,
    /// Is there a node that has quorum?
    pub quorate: bool,
}

/// Corosync's links at a glance.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Links {
    /// Links that each node should have to each other one.
    pub configured: u32,
    /// Links that are down, by the node at their far end, as any node sees them.
    pub down: BTreeMap<NodeName, BTreeSet<u32>>,
}

/// Ceph at a glance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct CephGlance {
    /// Its own verdict.
    pub health: HealthLevel,
    /// OSDs in use.
    pub osds: usize,
    /// Those of them that are down, by node.
    pub down: BTreeMap<NodeName, usize>,
    /// What has `noout`: nodes, OSDs, or `all OSDs`.
    pub noout: BTreeSet<String>,
    /// Placement groups that are not active and clean; none if their states are not complete.
    pub unclean_pgs: Option<u64>,
    /// Placement groups in all.
    pub pgs: u32,
}

/// HA at a glance.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct HaGlance {
    /// Guests that it has in hand now.
    pub under_way: usize,
    /// Guests that it has given up.
    pub in_error: BTreeSet<GuestId>,
    /// Nodes in maintenance mode, or asked to be.
    pub maintenance: BTreeSet<NodeName>,
}

impl Transfer {
    /// How far it is, in percent; never more than 99 before it is over.
    pub fn percent(&self) -> u8 {
        let percent = u128::from(self.done) * 100 / u128::from(self.total.max(1));
        u8::try_from(percent.min(99)).unwrap_or(99)
    }
}

impl Glance {
    /// What a look saw. What an earlier one of this run saw is kept where a node is not read again: the version that it
    /// had, and the one that it will have.
    pub fn of(snapshot: &Snapshot, state: &RunState, before: Option<&Self>) -> Self {
        let seen_before = |name: &NodeName| before.and_then(|before| before.nodes.get(name));
        let node = |name: &NodeName, node: &Node| node_glance(snapshot, name, node, seen_before(name));
        let in_turn = state.current_or_next_node();
        let planned = state.plan.iter().flat_map(|plan| plan.steps()).filter(|(node, _)| *node == in_turn);
        let in_hand = state.under_way().filter_map(|(_, record)| record.step.guest());
        let in_hand = planned.filter_map(|(_, planned)| planned.step.guest()).chain(in_hand);
        let lying = state.spent.iter().filter(|(_, spent)| spent.since.is_some()).map(|(guest, _)| *guest);
        let name = |guest: GuestId| Some((guest, snapshot.guests.get(&guest)?.name.clone()));
        let known = before.map(|before| before.names.clone()).unwrap_or_default();
        let views: Vec<&QuorumView> = snapshot.quorum.values().filter_map(|view| view.known()).collect();
        Self {
            taken: snapshot.taken,
            nodes: snapshot.nodes.iter().map(|(each, seen)| (each.clone(), node(each, seen))).collect(),
            names: known.into_iter().chain(in_hand.chain(lying).filter_map(name)).collect(),
            votes: votes(&views),
            links: (!views.is_empty()).then(|| links(&views)),
            has_ceph: snapshot.ceph.known().map(Option::is_some),
            ceph: snapshot.ceph().map(ceph),
            ha: snapshot.ha.known().map(ha),
        }
    }
}

fn node_glance(snapshot: &Snapshot, name: &NodeName, node: &Node, before: Option<&NodeGlance>) -> NodeGlance {
    let percent = |used: u64, total: u64| u8::try_from(used.saturating_mul(100) / total.max(1)).unwrap_or(100);
    let here = || snapshot.guests.values().filter(|guest| guest.node == *name && !guest.template);
    let all_read = here().all(|guest| guest.status.known().is_some());
    let running = || here().filter(|guest| guest.status.known() == Some(&GuestStatus::Running)).count();
    let online = node.online.known().copied();
    let installed = node.pve_version.known();
    let pending = node.packages.known().and_then(|packages| {
        packages.pending.iter().find(|package| package.name == "pve-manager").map(|package| &package.to)
    });
    NodeGlance {
        online,
        guests: (all_read && online == Some(true)).then(running),
        memory_percent: node.memory.known().map(|memory| percent(memory.used_bytes, memory.total_bytes)),
        from: before.and_then(|before| before.from.clone()).or_else(|| installed.cloned()),
        to: later(pending.cloned().or_else(|| before.and_then(|before| before.to.clone())), installed.cloned()),
    }
}

/// A node will have what it is offered, or was when it was asked last, or has it already.
fn later(offered: Option<Version>, installed: Option<Version>) -> Option<Version> {
    match (offered, installed) {
        (Some(offered), Some(installed)) => Some(if installed > offered { installed } else { offered }),
        (offered, installed) => offered.or(installed),
    }
}

fn votes(views: &[&QuorumView]) -> Option<Votes> {
    let seen = views.iter().max_by_key(|view| (view.quorate, view.total_votes))?;
    let QuorumView { total_votes: present, expected_votes: expected, quorum: needed, quorate, .. } = **seen;
    Some(Votes { present, expected, needed, quorate })
}

fn links(views: &[&QuorumView]) -> Links {
    let mut links = Links { configured: 0, down: BTreeMap::new() };
    for view in views {
        links.configured = links.configured.max(view.configured_links);
        for (to, seen) in &view.links {
            for link in seen.iter().filter(|link| !link.connected) {
                links.down.entry(to.clone()).or_default().insert(link.number);
            }
        }
    }
    links
}

fn ceph(ceph: &Ceph) -> CephGlance {
    let in_use = || ceph.osds.values().filter(|osd| !osd.is_given_up());
    let mut down: BTreeMap<NodeName, usize> = BTreeMap::new();
    in_use().filter(|osd| !osd.up).for_each(|osd| *down.entry(osd.node.clone()).or_default() += 1);
    let everywhere = ceph.flags.contains("noout").then(|| "all OSDs".to_owned());
    let some = ceph.node_flags.iter().filter(|(_, flags)| flags.contains("noout")).map(|(name, _)| name.clone());
    let counted: u64 = ceph.pgs.iter().map(|pg| u64::from(pg.count)).sum();
    let unclean = ceph.pgs.iter().filter(|pg| !pg.is_clean()).map(|pg| u64::from(pg.count)).sum();
    CephGlance {
        health: ceph.health,
        osds: in_use().count(),
        down,
        noout: everywhere.into_iter().chain(some).collect(),
        unclean_pgs: (counted == u64::from(ceph.pg_count)).then_some(unclean),
        pgs: ceph.pg_count,
    }
}

fn ha(ha: &Ha) -> HaGlance {
    use crate::snapshot::HaNodeState::Maintenance;
    let state = |state: HaServiceState| move |of: &Option<HaServiceState>| *of == Some(state);
    let is_error = state(HaServiceState::Error);
    let in_maintenance = ha.nodes.iter().filter(|(_, state)| **state == Maintenance).map(|(node, _)| node.clone());
    HaGlance {
        under_way: ha.services.values().filter(|of| of.state.is_some_and(HaServiceState::is_under_way)).count(),
        in_error: ha.services.iter().filter(|(_, of)| is_error(&of.state)).map(|(guest, _)| *guest).collect(),
        maintenance: ha.maintenance_requested.iter().cloned().chain(in_maintenance).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Fixture;
    use crate::observed::Observed::{self, Known};

    fn seen(snapshot: &Snapshot) -> Glance {
        Glance::of(snapshot, &RunState::default(), None)
    }

    #[test]
    fn what_was_not_read_is_not_there_and_nothing_is_made_up_for_it() {
        let fixture = || Fixture::cluster(3).vm(101, "pve1", 24).ceph();
        let all = seen(&fixture().snapshot());
        assert_eq!(all.votes, Some(Votes { present: 3, expected: 3, needed: 2, quorate: true }));
        assert_eq!(all.nodes[&NodeName::new("pve1")].guests, Some(1));
        assert_eq!(all.ceph.as_ref().map(|ceph| ceph.down.len()), Some(0));
        let mut blind = fixture().snapshot();
        let gap = || Observed::unknown("a call", "no answer");
        blind.quorum.values_mut().for_each(|view| *view = Observed::unknown("a call", "no answer"));
        blind.guests.values_mut().for_each(|guest| guest.status = Observed::unknown("a call", "no answer"));
        blind.nodes.values_mut().for_each(|node| node.memory = Observed::unknown("a call", "no answer"));
        (blind.ceph, blind.ha) = (gap(), Observed::unknown("a call", "no answer"));
        let none = seen(&blind);
        assert_eq!((all.has_ceph, none.has_ceph), (Some(true), None), "not read is not \"there is none\"");
        assert_eq!((none.votes, none.links, none.ceph, none.ha), (None, None, None, None));
        assert_eq!(
            (none.nodes[&NodeName::new("pve1")].guests, none.nodes[&NodeName::new("pve1")].memory_percent),
            (None, None)
        );
        assert_eq!(none.nodes[&NodeName::new("pve2")].guests, Some(0), "none is there, and that is known");
    }

    #[test]
    fn the_version_that_a_node_had_is_kept_when_it_has_another() {
        let before = seen(&Fixture::cluster(3).snapshot());
        let newer = Version::new("99.1");
        let after = Fixture::cluster(3).node("pve1", |node| node.pve_version = Known(newer.clone())).snapshot();
        let after = Glance::of(&after, &RunState::default(), Some(&before));
        assert_eq!(after.nodes[&NodeName::new("pve1")].from, before.nodes[&NodeName::new("pve1")].from);
        assert_eq!(after.nodes[&NodeName::new("pve1")].to, Some(newer));
        assert_ne!(after.nodes[&NodeName::new("pve1")].from, after.nodes[&NodeName::new("pve1")].to);
    }

    #[test]
    fn a_migration_is_never_shown_as_over_before_it_is() {
        let percent = |done, total| Transfer { done, total, rate: None }.percent();
        assert_eq!((percent(0, 0), percent(1, 2), percent(5, 4)), (0, 50, 99));
        assert_eq!(percent(u64::MAX, u64::MAX), 99);
    }
}
