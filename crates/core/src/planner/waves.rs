//! From the solved puzzle to steps with ids, stages, reasons and estimates.

use std::collections::{BTreeMap, BTreeSet};

use crate::ids::{BootId, GuestId, GuestKind, NodeName, StepId};
use crate::plan::{Consent, Costs, PlannedStep, Wave};
use crate::policy::{ConsentKind, RebootWhen};
use crate::snapshot::{DaemonKind, Ha, Node};
use crate::steps::{
    Failback, FinalCheck, Maintenance, Migrate, Noout, ProveBack, ProveEmpty, Rebalance, Reboot, RefreshPackages,
    SettleHa, ShutdownGuest, StartGuest, Step, Travel, UpgradePackages, kernel_release, set, undo,
};

use super::cost::{HA_ROUNDS_S, RESTART_S, migration_s};
use super::draft::Draft;
use super::instance::{Move, Solution};
use super::overlap::{self, InTime};
use super::problem::Problem;
use super::staging::{Leg, Stages};
use super::wishes::pulled_to;
use super::{Ongoing, problem};

/// What comes out beside the waves.
pub(super) struct Written {
    pub(super) waves: Vec<Wave>,
    pub(super) costs: Costs,
    pub(super) consents: Vec<Consent>,
}

pub(super) struct Writer<'a> {
    pub(super) problem: &'a Problem<'a>,
    pub(super) ha: Option<&'a Ha>,
    pub(super) ongoing: &'a Ongoing,
    /// Steps that are owed and not in the plan yet, oldest first.
    pub(super) owed: Vec<Step>,
    held: BTreeSet<GuestId>,
    pub(super) ejected: BTreeSet<GuestId>,
    /// Where guests are that have moved by now.
    pub(super) at: BTreeMap<GuestId, NodeName>,
    costs: Costs,
    pub(super) consents: BTreeMap<(ConsentKind, GuestId), (u64, String)>,
    pub(super) waves: Vec<Wave>,
    ids: BTreeMap<String, u32>,
    pub(super) upgraded: BTreeSet<usize>,
}

/// Writes the whole plan.
pub(super) fn write(problem: &Problem<'_>, solution: &Solution, ongoing: &Ongoing) -> Written {
    let mut writer = Writer {
        problem,
        ha: problem.snapshot.ha.known(),
        ongoing,
        owed: ongoing.owed.clone(),
        held: BTreeSet::new(),
        ejected: BTreeSet::new(),
        at: BTreeMap::new(),
        costs: Costs::default(),
        consents: BTreeMap::new(),
        waves: Vec::new(),
        ids: BTreeMap::new(),
        upgraded: problem.instance.ready().iter().collect(),
    };
    let mut stages = Stages::new(&problem.instance);
    let begun = usize::from(ongoing.under_work.is_some()).min(solution.turns.len());
    let turns = overlap::in_time(problem, solution, |node| writer.reboot_why(node).is_some());
    for (number, turn) in turns.iter().enumerate() {
        if number == begun {
            writer.debts();
        }
        writer.turn(turn, &mut stages);
    }
    if begun == turns.len() {
        writer.debts();
    }
    writer.last_wave();
    let say = |((kind, guest), (downtime_s, what))| Consent { kind, guest, downtime_s, what };
    Written { waves: writer.waves, costs: writer.costs, consents: writer.consents.into_iter().map(say).collect() }
}

impl<'a> Writer<'a> {
    pub(super) fn name(&self, node: usize) -> &'a NodeName {
        &self.problem.names[node]
    }

    fn node(&self, name: &NodeName) -> Option<&'a Node> {
        self.problem.snapshot.nodes.get(name)
    }

    fn ha_in_use(&self) -> bool {
        self.ha.is_some_and(|ha| ha.master.is_some() || !ha.services.is_empty())
    }

    pub(super) fn add(&mut self, draft: &mut Draft, step: impl Into<Step>, why: &str, estimate_s: Option<u64>) {
        let step = step.into();
        let kind = step.kind();
        let subject = kind.profile().about.subject().map(|subject| format!(".{subject}")).unwrap_or_default();
        let base = format!("{}.{}{subject}", draft.prefix, kind.verb());
        let count = self.ids.entry(base.clone()).or_default();
        *count += 1;
        let id = if *count == 1 { base } else { format!("{base}.{count}") };
        let estimate_s = estimate_s.unwrap_or_else(|| kind.profile().estimate_s);
        self.owed.retain(|owed| *owed != step);
        draft.steps.push(PlannedStep {
            id: StepId::new(id),
            stage: draft.stage,
            step,
            why: why.to_owned(),
            estimate_s,
            down_s: 0,
        });
    }

    /// The step that was added last takes this guest down for so long.
    pub(super) fn down(&mut self, draft: &mut Draft, guest: GuestId, down_s: u64, kind: ConsentKind, what: String) {
        if let Some(planned) = draft.steps.last_mut() {
            planned.down_s = down_s;
        }
        let total = self.costs.downtime_s.entry(guest).or_default();
        *total += down_s;
        self.consents.insert((kind, guest), (*total, what));
    }

    /// A step of its own stage.
    pub(super) fn alone(&mut self, draft: &mut Draft, step: impl Into<Step>, why: &str) {
        draft.next_stage();
        self.add(draft, step, why, None);
    }

    fn push_wave(&mut self, node: Option<NodeName>, why: &str, draft: Draft) {
        self.costs.duration_s += draft.duration_s();
        self.waves.push(Wave { node, why: why.to_owned(), steps: draft.steps });
    }

    fn turn(&mut self, InTime { turn, meanwhile, next }: &InTime, stages: &mut Stages<'_>) {
        let name = self.name(turn.node).clone();
        let mut draft = Draft::new(name.as_str());
        let refresh = RefreshPackages { node: name.clone() };
        self.add(&mut draft, refresh, "a repository that fails is found while the node is full", None);
        self.quieten(&mut draft);
        self.start_half_way(&mut draft);
        self.prepare(&mut draft, &[turn.moves.as_slice(), meanwhile].concat());
        self.travel(&mut draft, Some(turn.node), &turn.moves, stages);
        self.shut_down(&mut draft, turn.node, &name);
        self.alone(&mut draft, ProveEmpty { node: name.clone() }, "the node itself is asked before it is touched");
        let maintenance = self.enter_maintenance(&mut draft, &name);
        let noout = self.set_noout(&mut draft, &name);
        let upgrade = UpgradePackages { node: name.clone(), unit: self.ongoing.unit.clone() };
        self.alone(&mut draft, upgrade, &self.upgrade_why(&name));
        self.reboot(&mut draft, &name);
        self.travel(&mut draft, *next, meanwhile, stages);
        self.give_back(&mut draft, &name, noout, maintenance);
        let why = self.turn_why(turn, &name);
        self.upgraded.insert(turn.node);
        self.prepare(&mut draft, &turn.back);
        self.travel(&mut draft, None, &turn.back, stages);
        self.push_wave(Some(name), &why, draft);
    }

    /// HA's own balancing would move guests while we do.
    fn quieten(&mut self, draft: &mut Draft) {
        let balances = self.problem.snapshot.options.known().is_some_and(|options| options.ha_auto_rebalance);
        let back = undo(Rebalance {});
        if balances && self.ha_in_use() && !self.owes(&back) {
            self.add(draft, set(Rebalance {}), "HA would move guests about while we do", None);
            self.owed.push(back);
        }
    }

    /// What must be so before anything travels.
    fn prepare(&mut self, draft: &mut Draft, moves: &[Move]) {
        draft.next_stage();
        for step in moves {
            for mover in &self.problem.movers[step.item] {
                if self.is_pulled(mover.guest) && self.held.insert(mover.guest) {
                    let why = "HA would take it straight back to a node that its rules prefer";
                    self.add(draft, set(Failback { guest: mover.guest }), why, None);
                }
                self.eject(draft, mover.guest);
            }
        }
    }

    /// Would HA move it by itself after one of our moves?
    fn is_pulled(&self, guest: GuestId) -> bool {
        self.ha.is_some_and(|ha| pulled_to(ha, guest, &self.problem.names).is_some())
    }

    fn travel(&mut self, draft: &mut Draft, leaving: Option<usize>, moves: &[Move], stages: &mut Stages<'_>) {
        let parallel = self.problem.policy.parallel();
        for stage in stages.of_turn(moves, parallel, |item| self.problem.movers[item].len()) {
            draft.next_stage();
            let stops = |leg: &Leg| {
                self.problem.movers[leg.step.item].get(leg.mover).is_some_and(|mover| self.problem.stops_to_move(mover))
            };
            let (stopped, running): (Vec<Leg>, Vec<Leg>) = stage.into_iter().partition(stops);
            for leg in running {
                self.leg(draft, leaving, leg);
            }
            for leg in stopped {
                self.offline_leg(draft, leaving, leg);
            }
        }
    }

    pub(super) fn leg(&mut self, draft: &mut Draft, leaving: Option<usize>, leg: Leg) {
        let Move { item, from, to } = leg.step;
        let Some(mover) = self.problem.movers[item].get(leg.mover) else { return };
        let why = self.leg_why(leaving, leg.step, mover.guest);
        let estimate = migration_s(mover.bytes, mover.travel == Travel::Ha, self.problem.policy);
        self.costs.moves += 1;
        self.costs.bytes = self.costs.bytes.saturating_add(mover.bytes);
        let (from, to) = (self.name(from).clone(), self.name(to).clone());
        self.at.insert(mover.guest, to.clone());
        self.add(draft, Migrate { guest: mover.guest, from, to, travel: mover.travel }, why, Some(estimate));
        if mover.guest.kind == GuestKind::Ct && mover.travel != Travel::Offline {
            // Local volumes are copied while it is down.
            // Between its stop here and its start there lie the same rounds of HA's manager and agents.
            let rounds_s = if mover.travel == Travel::Ha { HA_ROUNDS_S } else { 0 };
            let down = RESTART_S + rounds_s + mover.bytes.div_ceil(self.problem.policy.migration_bytes_per_s.max(1));
            let what = format!("{} is restarted on another node", mover.guest);
            self.down(draft, mover.guest, down, ConsentKind::RestartContainers, what);
        }
    }

    fn shut_down(&mut self, draft: &mut Draft, node: usize, name: &NodeName) {
        draft.next_stage();
        for guest in self.problem.shut_down.get(&node).into_iter().flatten() {
            let step = ShutdownGuest { guest: *guest, node: name.clone() };
            self.add(draft, step, "it cannot move, and the operator lets it be shut down", None);
            self.owed.push(StartGuest { guest: *guest, node: name.clone() }.into());
        }
    }

    /// Is what the step changes not our doing, but the administrator's?
    fn owes(&self, step: &Step) -> bool {
        self.ongoing.owed.contains(step)
    }

    fn enter_maintenance(&mut self, draft: &mut Draft, name: &NodeName) -> bool {
        if !self.ha_in_use() {
            return false;
        }
        let why = "HA neither sends guests there nor counts on it";
        self.alone(draft, set(Maintenance { node: name.clone() }), why);
        true
    }

    fn set_noout(&mut self, draft: &mut Draft, name: &NodeName) -> bool {
        let Some(ceph) = self.problem.snapshot.ceph() else { return false };
        let theirs = ceph.noout_set_for(name) && !self.owes(&undo(Noout { node: name.clone() }));
        let begun = self.ongoing.under_work.as_ref() == Some(name);
        if ceph.osds_on(name).next().is_none() || (theirs && !begun) {
            return false;
        }
        self.alone(draft, set(Noout { node: name.clone() }), "its OSDs are away for minutes: nothing is to be rebuilt");
        true
    }

    fn upgrade_why(&self, name: &NodeName) -> String {
        let pending =
            self.node(name).and_then(|node| node.packages.known()).map_or(0, |packages| packages.pending.len());
        match pending {
            0 => "nothing is pending by the last reading".to_owned(),
            1 => "1 package".to_owned(),
            count => format!("{count} packages"),
        }
    }

    fn reboot(&mut self, draft: &mut Draft, name: &NodeName) {
        let Some((why, from_boot)) = self.reboot_why(name) else { return };
        self.costs.reboots += 1;
        self.alone(draft, Reboot { node: name.clone(), from_boot }, &why);
    }

    /// Why a node is rebooted, and the boot that it is in now; none if it is not.
    fn reboot_why(&self, name: &NodeName) -> Option<(String, BootId)> {
        let node = self.node(name)?;
        let (packages, kernel, boot) = (node.packages.known()?, node.kernel.known()?, node.boot.known()?);
        let new = packages.pending.iter().filter_map(|package| kernel_release(&package.name)).max();
        let why = match new {
            Some(release) => format!("kernel {release} is to be installed"),
            None if kernel.reboot_needed() => format!("{} runs, {} would boot", kernel.running, kernel.will_boot()),
            None if let Some(why) = self.ceph_waits(node) => why,
            None if self.problem.policy.reboot == RebootWhen::Always && !self.booted_in_this_turn(node) => {
                "the operator wants every node rebooted".to_owned()
            }
            None => return None,
        };
        Some((why, boot.clone()))
    }

    /// Packages of Ceph restart no daemon: the node is empty anyway, and its reboot does.
    fn ceph_waits(&self, node: &Node) -> Option<String> {
        let ceph = self.problem.snapshot.ceph()?;
        let comes = |kind: &str| {
            let pending = &node.packages.known()?.pending;
            pending.iter().find(|package| package.name.strip_prefix("ceph-") == Some(kind)).map(|package| &package.to)
        };
        let osd = ceph.osds_on(&node.name).next().and_then(|_| comes(DaemonKind::Osd.word()));
        let mut others = ceph.daemons.iter().filter(|daemon| daemon.node == node.name);
        match osd.or_else(|| others.find_map(|daemon| comes(daemon.kind.word()))) {
            Some(version) => {
                Some(format!("Ceph {version} is to be installed, and its daemons run it from their next start"))
            }
            None => ceph.waiting_for_a_restart(&node.name).into_iter().next(),
        }
    }

    /// With a turn that has begun and nothing left to install, a recent boot is the one of this turn.
    fn booted_in_this_turn(&self, node: &Node) -> bool {
        let deadlines = &self.problem.policy.deadlines;
        let turn_s = deadlines.boot_s + deadlines.rejoin_s + deadlines.ceph_clean_s + deadlines.ha_s;
        self.ongoing.under_work.as_ref() == Some(&node.name)
            && node.packages.known().is_some_and(|packages| packages.pending.is_empty())
            && node.uptime_s.known().is_some_and(|uptime| *uptime < turn_s)
    }

    /// The second half of a turn: the node is back, and everything that was changed for it is given back.
    fn give_back(&mut self, draft: &mut Draft, name: &NodeName, noout: bool, maintenance: bool) {
        self.alone(draft, ProveBack { node: name.clone() }, "no other node is touched before this one serves again");
        let unset = undo(Noout { node: name.clone() });
        if noout || self.owes(&unset) {
            self.alone(draft, unset, "given back");
        }
        let leave = undo(Maintenance { node: name.clone() });
        if maintenance || self.owes(&leave) {
            self.alone(draft, leave, "given back");
        }
        draft.next_stage();
        let to_start: Vec<Step> =
            self.owed.iter().filter(|step| step.starts().is_some() && step.node() == Some(name)).cloned().collect();
        let before: u64 = draft.duration_s();
        for step in to_start {
            let Some(guest) = step.starts() else { continue };
            let down_since = draft.steps.iter().position(|planned| planned.step.stops() == Some(guest));
            let since: u64 =
                down_since.map_or(0, |index| draft.steps[..index].iter().map(|step| step.estimate_s).sum());
            let down_s = before.saturating_sub(since);
            self.costs.downtime_s.insert(guest, down_s);
            if let Some(index) = down_since {
                draft.steps[index].down_s = down_s;
            }
            let what = format!("{guest} is down while {name} is upgraded");
            self.consents.insert((ConsentKind::ShutdownGuests, guest), (down_s, what));
            self.add(draft, step, "given back", None);
        }
        if self.ha_in_use() {
            self.alone(draft, SettleHa { node: name.clone() }, "HA is at rest before the next node is taken");
        }
    }

    /// Nodes that need nothing, but on which something of ours is still to be given back.
    fn debts(&mut self) {
        let nodes: BTreeSet<NodeName> = self.owed.iter().filter_map(problem::node_of).collect();
        for name in nodes {
            // A node with a turn of its own gives back in it.
            if self.node(&name).is_some_and(|node| problem::has_turn(node, self.ongoing)) {
                continue;
            }
            let mut draft = Draft::new(name.as_str());
            self.give_back(&mut draft, &name, false, false);
            self.push_wave(Some(name), "something is still owed here", draft);
        }
    }

    fn last_wave(&mut self) {
        let mut draft = Draft::new("cluster");
        let held: Vec<GuestId> = self.held.iter().copied().collect();
        for guest in held {
            self.add(&mut draft, undo(Failback { guest }), "given back: HA may take it back now", None);
        }
        self.put_back(&mut draft);
        for step in std::mem::take(&mut self.owed) {
            self.add(&mut draft, step, "given back", None);
        }
        self.alone(&mut draft, FinalCheck {}, "the whole cluster once more");
        self.push_wave(None, "what is owed to the cluster, and a last look", draft);
    }
}
