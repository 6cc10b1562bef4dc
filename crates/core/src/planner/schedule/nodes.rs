//! The steps for a node: what is set before it goes down, its upgrade and reboot, and what is undone once it is back.

use std::collections::BTreeSet;

use crate::ids::{BootId, GuestId, NodeName, StorageId};
use crate::plan::{NodeWhy, RebootWhy, StepWhy};
use crate::planner::problem::instance::Turn;
use crate::policy::{ConsentKind, RebootWhen};
use crate::snapshot::{DaemonKind, Node, Storage};
use crate::steps::{
    Maintenance, Noout, Rebalance, Reboot, StartGuest, Step, UpgradePackages, WaitBack, WaitHaIdle, is_microcode,
    kernel_release, set, undo,
};

use super::writer::{Draft, Writer};

impl Writer<'_> {
    /// Why this node has this position in the order.
    pub(super) fn turn_why(&self, turn: &Turn, name: &NodeName) -> NodeWhy {
        let policy = self.problem.policy;
        let waits =
            turn.moves.iter().filter(|step| step.from == turn.node && !self.upgraded.contains(&step.to)).count();
        let first = self.node_steps.is_empty();
        if self.ongoing.current_node.as_ref() == Some(name) {
            NodeWhy::Begun
        } else if policy.first.contains(name) {
            NodeWhy::WantedEarly
        } else if policy.last.contains(name) {
            NodeWhy::WantedLate
        } else if policy.last_nodes(self.problem.snapshot).contains(name) {
            NodeWhy::TaggedLast
        } else if turn.moves.is_empty() {
            NodeWhy::NothingMoves
        } else if waits == 0 {
            NodeWhy::AllMoveOnce
        } else if first {
            NodeWhy::SomeNodeIsFirst(waits)
        } else {
            NodeWhy::SomeMoveAgain(waits)
        }
    }

    /// Switches off HA's automatic rebalancing, which would move guests while we do.
    pub(super) fn quieten(&mut self, draft: &mut Draft) {
        let balances = self.problem.snapshot.options.known().is_some_and(|options| options.ha_auto_rebalance);
        let back = undo(Rebalance {});
        if balances && self.ha_in_use() && !self.undo(&back) {
            self.add(draft, set(Rebalance {}), StepWhy::HaBalances, None);
            self.to_undo.push(back);
        }
    }

    pub(super) fn enter_maintenance(&mut self, draft: &mut Draft, name: &NodeName) -> bool {
        if !self.ha_in_use() {
            return false;
        }
        self.alone(draft, set(Maintenance { node: name.clone() }), StepWhy::OutOfHa);
        true
    }

    pub(super) fn set_noout(&mut self, draft: &mut Draft, name: &NodeName) -> Option<Noout> {
        let noout = self.noout(name)?;
        self.alone(draft, set(noout.clone()), StepWhy::OsdsComeBack);
        Some(noout)
    }

    /// The flag as this run has set it for the node; otherwise for those of its OSDs that do not have it.
    fn noout(&self, name: &NodeName) -> Option<Noout> {
        let missing = || Noout::missing(self.problem.snapshot.ceph()?, name);
        self.own_noout(name).or_else(missing)
    }

    fn own_noout(&self, name: &NodeName) -> Option<Noout> {
        let ours = self.ongoing.to_undo.iter().filter_map(Step::noout);
        ours.into_iter().find(|noout| noout.node == *name).cloned()
    }

    /// The upgrade of its packages.
    pub(super) fn upgrade(&mut self, draft: &mut Draft, name: &NodeName) {
        let pending =
            self.node(name).and_then(|node| node.packages.known()).map_or(0, |packages| packages.pending.len());
        let upgrade = UpgradePackages { node: name.clone(), unit: self.ongoing.unit.clone() };
        self.alone(draft, upgrade, StepWhy::Packages(pending));
    }

    pub(super) fn reboot(&mut self, draft: &mut Draft, name: &NodeName) {
        let Some((why, from_boot)) = self.reboot_why(name) else { return };
        self.costs.reboots += 1;
        self.starts_at_boot(name);
        self.alone(draft, Reboot { node: name.clone(), from_boot }, StepWhy::Reboot(why));
    }

    /// Counts the stopped guests that PVE starts when the node boots.
    pub(super) fn starts_at_boot(&mut self, name: &NodeName) {
        let moves = |guest: GuestId| self.problem.movers.iter().flatten().any(|mover| mover.guest == guest);
        let starts = self.problem.snapshot.starts_with(name).filter(|guest| !moves(guest.id));
        let starts: Vec<_> = starts.map(|guest| (guest.id, name.clone())).collect();
        self.costs.starts.extend(starts);
    }

    /// Why a node is rebooted, and the boot that it is in now; none if it is not.
    pub(super) fn reboot_why(&self, name: &NodeName) -> Option<(RebootWhy, BootId)> {
        let node = self.node(name)?;
        let (packages, boot) = (node.packages.known()?, node.boot.known()?);
        let kernels = packages.pending.iter().filter_map(|package| kernel_release(&package.name));
        let microcode = packages.pending.iter().find(|package| is_microcode(&package.name));
        let outdated = self.problem.snapshot.outdated(node).into_iter().next();
        let wanted = self.problem.policy.reboot == RebootWhen::Always && !self.booted_in_this_turn(node);
        let why = (kernels.max().map(RebootWhy::NewKernel))
            .or_else(|| self.new_ceph(node))
            .or_else(|| outdated.map(RebootWhy::from))
            .or_else(|| microcode.map(|package| RebootWhy::NewMicrocode(package.name.clone())))
            .or_else(|| wanted.then_some(RebootWhy::Wanted))?;
        Some((why, boot.clone()))
    }

    /// Ceph's packages restart no daemon. The node is empty anyway, so it is rebooted for that.
    fn new_ceph(&self, node: &Node) -> Option<RebootWhy> {
        let ceph = self.problem.snapshot.ceph()?;
        let comes = |kind: &str| {
            let pending = &node.packages.known()?.pending;
            pending.iter().find(|package| package.name.strip_prefix("ceph-") == Some(kind)).map(|package| &package.to)
        };
        let osd = ceph.osds_in_use_on(&node.name).next().and_then(|_| comes(DaemonKind::Osd.word()));
        let mut others = ceph.daemons.iter().filter(|daemon| daemon.node == node.name);
        osd.or_else(|| others.find_map(|daemon| comes(daemon.kind.word()))).cloned().map(RebootWhy::NewCeph)
    }

    /// In a node step that has begun, with nothing left to install, a recent boot is the reboot of this node step.
    fn booted_in_this_turn(&self, node: &Node) -> bool {
        let deadlines = &self.problem.policy.deadlines;
        let turn_s = deadlines.boot_s + deadlines.rejoin_s + deadlines.ceph_clean_s + deadlines.ha_s;
        self.ongoing.current_node.as_ref() == Some(&node.name)
            && node.packages.known().is_some_and(|packages| packages.pending.is_empty())
            && node.uptime_s.known().is_some_and(|uptime| *uptime < turn_s)
    }

    /// Storages that the node's return does not wait for: away there before its turn; and where guests are started after
    /// it, those that no other node has, since one of the guests may be what serves them.
    pub(super) fn not_waited_for(&self, name: &NodeName, starts_guests: bool) -> BTreeSet<StorageId> {
        let snapshot = self.problem.snapshot;
        let begun = self.ongoing.current_node.as_ref() == Some(name);
        let here = self.node(name).and_then(|node| node.storages.known()).filter(|_| !begun);
        let away = |id: &StorageId| here.is_some_and(|here| !here.get(id).is_some_and(|state| state.active));
        let only_here = |storage: &Storage| !snapshot.nodes.keys().any(|other| other != name && storage.is_on(other));
        let of_it = snapshot.storages.known().into_iter().flat_map(|storages| storages.values());
        let aside = of_it
            .filter(|storage| storage.is_on(name))
            .filter(|storage| away(&storage.id) || (starts_guests && storage.shared && only_here(storage)));
        let before = if begun { self.ongoing.without.clone() } else { BTreeSet::new() };
        aside.map(|storage| storage.id.clone()).chain(before).collect()
    }

    /// The second half of a node step: the node is back, and everything that was changed for it is undone.
    pub(super) fn give_back(&mut self, draft: &mut Draft, name: &NodeName, noout: Option<Noout>, maintenance: bool) {
        let to_start: Vec<Step> =
            self.to_undo.iter().filter(|step| step.starts().is_some() && step.node() == Some(name)).cloned().collect();
        let without = self.not_waited_for(name, !to_start.is_empty());
        self.alone(draft, WaitBack { node: name.clone(), without }, StepWhy::ServesAgain);
        if let Some(noout) = noout.or_else(|| self.own_noout(name)) {
            self.alone(draft, undo(noout), StepWhy::Undo);
        }
        let leave = undo(Maintenance { node: name.clone() });
        if maintenance || self.undo(&leave) {
            self.alone(draft, leave, StepWhy::Undo);
        }
        draft.next_stage();
        let before: u64 = draft.duration_s();
        for step in to_start {
            let Some(guest) = step.starts() else { continue };
            let down_since = draft.steps.iter().position(|planned| planned.step.stops() == Some(guest));
            let since: u64 =
                down_since.map_or(0, |index| draft.steps[..index].iter().map(|step| step.estimate_s).sum());
            let read_s = if self.hibernates(guest) { self.memory_s(guest) } else { 0 };
            let down_s = before.saturating_sub(since) + read_s;
            self.costs.downtime_s.insert(guest, down_s);
            if let Some(index) = down_since {
                draft.steps[index].down_s = down_s;
            }
            let during = match self.ongoing.drain.is_some() {
                true => format!("for as long as you work on {name}"),
                false => format!("while {name} is upgraded"),
            };
            let (kind, what) = match self.hibernates(guest) {
                true => (ConsentKind::HibernateGuests, format!("{guest} hibernates {during}")),
                false => (ConsentKind::ShutdownGuests, format!("{guest} is down {during}")),
            };
            self.consents.insert((kind, guest), (down_s, what));
            self.add(draft, step, StepWhy::Undo, (read_s > 0).then_some(StartGuest::ESTIMATE_S + read_s));
        }
        if self.ha_in_use() {
            self.alone(draft, WaitHaIdle { node: name.clone() }, StepWhy::HaAtRest);
        }
    }
}
