//! The abstract cluster that is explored: where guests are, what each node is doing, what has failed.
//!
//! A state is small and can be counted. What the rules see of it is a snapshot, made from it by [`State::snapshot`];
//! whether something bad has happened is read from the state itself, so that rules and harm are judged independently.

use std::collections::BTreeSet;

use crate::fixture::Fixture;
use crate::ids::{GuestId, NodeName};
use crate::observed::Observed::Known;
use crate::snapshot::{
    GuestStatus, HaNodeState, Link, Node, PendingPackage, PgState, SafeToStop, Snapshot, UnitState, UpgradeUnit,
};

/// What a node is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Phase {
    Up,
    Upgrading,
    Rebooting,
    /// A fault has taken it away.
    Dead,
}

/// One node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct NodeAt {
    pub(super) phase: Phase,
    pub(super) packages_new: bool,
    pub(super) rebooted: bool,
    /// In HA maintenance, set by us.
    pub(super) ours: bool,
    /// In HA maintenance, set by an administrator.
    pub(super) foreign: bool,
    pub(super) noout: bool,
    /// Its OSD has failed.
    pub(super) osd_failed: bool,
    /// One of its two links is down.
    pub(super) link_down: bool,
}

/// Where a guest is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum GuestAt {
    Runs(usize),
    Moves {
        from: usize,
        to: usize,
    },
    Stopped(usize),
    /// Dead with its node, by a fault.
    Lost,
}

/// A whole cluster.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct State {
    pub(super) nodes: Vec<NodeAt>,
    pub(super) guests: Vec<GuestAt>,
    /// The current node.
    pub(super) turn: Option<usize>,
    pub(super) faults: u8,
    /// The node that is cut off from the others. We are on its side, and cannot reach any other.
    pub(super) cut_off: Option<usize>,
    /// Expected votes were lowered there.
    pub(super) lowered: bool,
}

/// What does not change: how the cluster is built.
#[derive(Clone, Debug)]
pub(super) struct Shape {
    pub(super) name: &'static str,
    pub(super) votes: &'static [u32],
    pub(super) has_ceph: bool,
    /// Guests: memory in GiB, home node, whether HA manages it.
    pub(super) guests: &'static [(u64, usize, bool)],
    /// The last guest is stopped; an administrator may start it.
    pub(super) last_is_stopped: bool,
    /// HA keeps the first two apart.
    pub(super) apart: bool,
    /// The pending packages of Ceph are of a newer major release.
    pub(super) ceph_major: bool,
    /// A node may be cut off, and we with it.
    pub(super) may_split: bool,
}

pub(super) fn name(node: usize) -> NodeName {
    NodeName::new(format!("pve{}", node + 1))
}

pub(super) fn guest_id(guest: usize) -> GuestId {
    GuestId::vm(101 + guest as u32)
}

impl NodeAt {
    const FRESH: Self = Self {
        phase: Phase::Up,
        packages_new: false,
        rebooted: false,
        ours: false,
        foreign: false,
        noout: false,
        osd_failed: false,
        link_down: false,
    };

    /// Is it in service: up, and not taken out by anyone?
    pub(super) fn serves(&self) -> bool {
        self.phase == Phase::Up && !self.ours && !self.foreign
    }

    pub(super) fn is_member(&self) -> bool {
        matches!(self.phase, Phase::Up | Phase::Upgrading)
    }

    pub(super) fn is_done(&self) -> bool {
        self.phase == Phase::Up && self.rebooted && !self.ours && !self.noout
    }
}

impl Shape {
    pub(super) fn start(&self) -> State {
        let last = self.guests.len() - 1;
        let at = |(index, (_, home, _)): (usize, &(u64, usize, bool))| {
            if self.last_is_stopped && index == last { GuestAt::Stopped(*home) } else { GuestAt::Runs(*home) }
        };
        State {
            nodes: vec![NodeAt::FRESH; self.votes.len()],
            guests: self.guests.iter().enumerate().map(at).collect(),
            turn: None,
            faults: 0,
            cut_off: None,
            lowered: false,
        }
    }

    /// The cluster at rest; each state is a change to it.
    pub(super) fn base(&self) -> Snapshot {
        let mut fixture = Fixture::cluster(self.votes.len() as u32);
        for (index, (gib, home, _)) in self.guests.iter().enumerate() {
            fixture = fixture.vm(101 + index as u32, name(*home).as_str(), *gib);
        }
        for (index, _) in self.guests.iter().enumerate().filter(|(_, (_, _, managed))| *managed) {
            fixture = fixture.managed(guest_id(index));
        }
        if self.apart {
            fixture = fixture.apart("apart", &[guest_id(0), guest_id(1)]);
        }
        if self.has_ceph {
            fixture = fixture.ceph();
        }
        let mut snapshot = fixture.snapshot();
        let total: u32 = self.votes.iter().sum();
        for (viewer, view) in &mut snapshot.quorum {
            let Some(view) = view.known_mut() else { continue };
            (view.expected_votes, view.total_votes, view.quorum) = (total, total, total / 2 + 1);
            view.configured_links = 2;
            for (index, votes) in self.votes.iter().enumerate() {
                view.members.get_mut(&name(index)).expect("every node is a member").votes = *votes;
                if name(index) != *viewer {
                    view.links.insert(name(index), two_links(true));
                }
            }
        }
        let votes = self.votes.iter().enumerate().map(|(index, votes)| (name(index), *votes));
        snapshot.configured_votes = Known(votes.collect());
        let ceph = if self.ceph_major { "20.2.0" } else { "19.2.3" };
        for node in snapshot.nodes.values_mut() {
            let packages = node.packages.known_mut().expect("a fixture's packages are known");
            packages.pending.push(pending("corosync", "3.1.9-pve2", "3.1.10-pve1"));
            if self.has_ceph {
                packages.pending.push(pending("ceph-mon", "19.2.2", ceph));
                packages.pending.push(pending("ceph-osd", "19.2.2", ceph));
            }
        }
        snapshot
    }
}

fn pending(name: &str, from: &str, to: &str) -> PendingPackage {
    PendingPackage { name: name.to_owned(), from: Some(from.into()), to: to.into(), origin: "Proxmox".to_owned() }
}

fn two_links(both: bool) -> Vec<Link> {
    vec![Link { number: 0, connected: both }, Link { number: 1, connected: true }]
}

impl State {
    /// As the tool would see it.
    pub(super) fn snapshot(&self, base: &Snapshot) -> Snapshot {
        let mut snapshot = base.clone();
        for (index, at) in self.guests.iter().enumerate() {
            self.place(&mut snapshot, index, *at);
        }
        for (index, node) in self.nodes.iter().enumerate() {
            self.show(&mut snapshot, index, node);
        }
        self.show_ceph(&mut snapshot);
        snapshot
    }

    fn place(&self, snapshot: &mut Snapshot, index: usize, at: GuestAt) {
        let id = guest_id(index);
        let (on, runs) = match at {
            GuestAt::Runs(on) | GuestAt::Moves { from: on, .. } => (on, true),
            GuestAt::Stopped(on) => (on, false),
            GuestAt::Lost => {
                snapshot.guests.remove(&id);
                snapshot.ha.known_mut().map(|ha| ha.services.remove(&id));
                for node in snapshot.nodes.values_mut() {
                    if let Some(local) = node.local_guests.known_mut() {
                        local.retain(|listed| listed.vmid != id.vmid);
                    }
                }
                return;
            }
        };
        let mut listed = None;
        for node in snapshot.nodes.values_mut() {
            let local = node.local_guests.known_mut().expect("a fixture's lists are known");
            if let Some(place) = local.iter().position(|listed| listed.vmid == id.vmid) {
                listed = Some(local.remove(place));
            }
        }
        if let (Some(mut listed), Some(node)) = (listed, snapshot.nodes.get_mut(&name(on))) {
            listed.running = runs;
            node.local_guests.known_mut().expect("a fixture's lists are known").push(listed);
        }
        if let Some(guest) = snapshot.guests.get_mut(&id) {
            guest.node = name(on);
            let status = if runs { GuestStatus::Running } else { GuestStatus::Stopped };
            guest.status = Known(status);
        }
        if let Some(service) = snapshot.ha.known_mut().and_then(|ha| ha.services.get_mut(&id)) {
            service.node = Some(name(on));
        }
    }

    fn show(&self, snapshot: &mut Snapshot, index: usize, at: &NodeAt) {
        let this = name(index);
        let node = snapshot.nodes.get_mut(&this).expect("every node is in the snapshot");
        if at.packages_new {
            node.packages.known_mut().expect("a fixture's packages are known").pending.clear();
            node.qemu_version = Known("10.1.2-5".into());
            node.pve_version = Known("9.1.4".into());
            node.kernel.known_mut().expect("a fixture's kernel is known").installed.push("6.17.4-1-pve".into());
        }
        if at.rebooted {
            node.boot = Known("after".into());
            node.kernel.known_mut().expect("a fixture's kernel is known").running = "6.17.4-1-pve".into();
        }
        if at.phase == Phase::Upgrading {
            node.upgrade_unit =
                Known(Some(UpgradeUnit { unit: "quorate-upgrade-x".into(), state: UnitState::Running }));
        }
        if let Some(ha) = snapshot.ha.known_mut().filter(|ha| ha.master.is_some()) {
            let state = if at.ours || at.foreign { HaNodeState::Maintenance } else { HaNodeState::Online };
            let state = if at.is_member() { state } else { HaNodeState::Unknown };
            ha.nodes.insert(this.clone(), state);
        }
        if self.lowered && self.cut_off == Some(index) {
            let view = snapshot.quorum.get_mut(&this).and_then(|view| view.known_mut());
            view.into_iter().for_each(|view| (view.expected_votes, view.quorum) = (1, 1));
        }
        if !at.is_member() || self.cut_off.is_some_and(|here| here != index) {
            show_gone(snapshot, this);
        } else if at.link_down {
            for (viewer, view) in &mut snapshot.quorum {
                let Some(view) = view.known_mut() else { continue };
                for (other, links) in &mut view.links {
                    if *viewer == this || *other == this {
                        *links = two_links(false);
                    }
                }
            }
        }
    }

    fn show_ceph(&self, snapshot: &mut Snapshot) {
        let up: BTreeSet<NodeName> = (0..self.nodes.len()).filter(|index| self.osd_serves(*index)).map(name).collect();
        let missing = self.nodes.len() - up.len();
        let Some(ceph) = snapshot.ceph.known_mut().and_then(Option::as_mut) else { return };
        for osd in ceph.osds.values_mut() {
            osd.up = up.contains(&osd.node);
        }
        for (index, node) in self.nodes.iter().enumerate() {
            if node.noout {
                ceph.node_flags.entry(name(index).to_string()).or_default().insert("noout".to_owned());
            }
            if !node.is_member() {
                ceph.mon_quorum.remove(name(index).as_str());
            }
        }
        let word = match missing {
            0 => "active+clean",
            1 => "active+undersized+degraded",
            _ => "undersized+degraded+peered",
        };
        ceph.pgs = vec![PgState { state: word.to_owned(), count: ceph.pg_count }];
        for (node, outcome) in &mut ceph.osds_ok_to_stop {
            let less = up.iter().filter(|other| *other != node).count();
            let safe = less >= 2;
            *outcome =
                Known(if safe { SafeToStop::Safe } else { SafeToStop::Unsafe("data would be inactive".to_owned()) });
        }
    }

    pub(super) fn osd_serves(&self, index: usize) -> bool {
        self.nodes[index].is_member() && !self.nodes[index].osd_failed
    }
}

/// No other node hears this one.
fn show_gone(snapshot: &mut Snapshot, this: NodeName) {
    let gone = Node { online: Known(false), ..Node::unseen(this.clone(), "it is down") };
    snapshot.nodes.insert(this.clone(), gone);
    for view in snapshot.quorum.values_mut().filter_map(|view| view.known_mut()) {
        if let Some(member) = view.members.remove(&this) {
            view.total_votes -= member.votes;
        }
        view.links.remove(&this);
        view.quorate = view.total_votes >= view.quorum;
    }
    snapshot.quorum.insert(this, crate::observed::Observed::unknown("corosync-quorumtool", "it is down"));
}
