//! From a snapshot to the puzzle: which nodes have a turn, what moves and how, what stays.
//!
//! Whatever cannot be read and matters is a finding. Whatever does not have to move and cannot be judged is taken as
//! immovable: it keeps its memory, and nothing is planned for it.

use std::collections::{BTreeMap, BTreeSet};

use crate::checks::{Finding, Subject};
use crate::ids::{GuestId, GuestKind, NodeName, StorageId};
use crate::placement::{footprint_bytes, plannable_bytes, travels_with_disks, usable_cpus};
use crate::plan::Plan;
use crate::policy::{End, GuestPolicy, Policy, StoppedGuests};
use crate::snapshot::{DiskUse, Guest, GuestStatus, Ha, HaRequest, HaService, HaServiceState, Node, Snapshot};
use crate::steps::{Step, Travel};

use super::findings::{blocking, immovable, remedy_immovable, unknown};
use super::instance::{Instance, Item, Place};
use super::{Ongoing, needs, releases};

/// More than any guest has, and little enough that the sums of a whole cluster do not overflow.
pub(super) const MOST_BYTES: u64 = 1 << 46;

/// More than any node has of memory or a storage of free space, for the same reason.
const MOST_ON_A_NODE: u64 = 1 << 56;

/// A guest that moves.
#[derive(Clone, Debug)]
pub(super) struct Mover {
    pub(super) guest: GuestId,
    pub(super) travel: Travel,
    /// Memory and local disks that travel.
    pub(super) bytes: u64,
}

/// The puzzle with its names.
#[derive(Debug)]
pub(super) struct Problem<'a> {
    pub(super) snapshot: &'a Snapshot,
    pub(super) policy: &'a Policy,
    pub(super) names: Vec<NodeName>,
    pub(super) instance: Instance,
    /// Guests of each item: one, or those that stay together.
    pub(super) movers: Vec<Vec<Mover>>,
    /// Why an item may not be on a node.
    pub(super) refusals: Vec<BTreeMap<usize, String>>,
    /// Guests that are shut down for their node's turn.
    pub(super) shut_down: BTreeMap<usize, Vec<GuestId>>,
    /// Guests that were stopped for their move and are not started yet.
    pub(super) half_way: BTreeSet<GuestId>,
}

impl Problem<'_> {
    /// Is this guest shut down for its move and started after it?
    pub(super) fn stops_to_move(&self, mover: &Mover) -> bool {
        let runs = self.snapshot.guests.get(&mover.guest).is_some_and(Guest::may_be_running);
        mover.travel == Travel::Offline && (runs || self.half_way.contains(&mover.guest))
    }

    /// What the moves of a plan cost, in the measure that plans are compared in.
    pub(super) fn cost_of(&self, plan: &Plan) -> u64 {
        self.cost_of_guests(plan.steps().filter_map(|(_, planned)| planned.step.moves()).map(|step| step.guest))
    }

    /// What it costs to move each of these once.
    pub(super) fn cost_of_guests(&self, guests: impl Iterator<Item = GuestId>) -> u64 {
        let mut item_of: BTreeMap<GuestId, usize> = BTreeMap::new();
        for (item, movers) in self.movers.iter().enumerate() {
            item_of.extend(movers.iter().map(|mover| (mover.guest, item)));
        }
        let moves = guests.filter_map(|guest| item_of.get(&guest).copied());
        // Guests that travel together are one item with the cost of all.
        let share = |item: usize| self.instance.items[item].cost / self.movers[item].len().max(1) as u64;
        moves.map(share).fold(0, u64::saturating_add)
    }
}

/// A guest on its way to become an item.
pub(super) struct Candidate {
    pub(super) mover: Mover,
    pub(super) spec: Item,
    pub(super) refusals: BTreeMap<usize, String>,
}

/// What has been read so far.
pub(super) struct Reader<'a> {
    pub(super) snapshot: &'a Snapshot,
    pub(super) policy: &'a Policy,
    pub(super) ha: &'a Ha,
    /// What is to be given back.
    pub(super) owed: &'a [Step],
    /// Where guests were when the run began.
    pub(super) homes: &'a BTreeMap<GuestId, NodeName>,
    /// Nodes that come before all others: the one under work, and those on which something is to be given back.
    pub(super) begun: Vec<NodeName>,
    /// Guests that we shut down and still have to start.
    pub(super) to_start: BTreeSet<GuestId>,
    /// Guests that we stopped to move them and still have to start.
    pub(super) half_way: BTreeSet<GuestId>,
    pub(super) number: BTreeMap<&'a NodeName, usize>,
    pub(super) names: Vec<NodeName>,
    pub(super) places: Vec<Place>,
    /// All storages of the cluster in order; their place here is their number.
    pub(super) storages: Vec<StorageId>,
    pub(super) ranks: releases::Ranks,
    pub(super) findings: Vec<Finding>,
    pub(super) candidates: BTreeMap<GuestId, Candidate>,
    /// Running guests that stay, with their node.
    pub(super) stay: BTreeMap<GuestId, usize>,
    pub(super) shut_down: BTreeMap<usize, Vec<GuestId>>,
}

/// Reads the snapshot.
///
/// # Errors
/// Everything that is missing or in the way, at once.
pub(super) fn read<'a>(
    snapshot: &'a Snapshot,
    policy: &'a Policy,
    ongoing: &'a Ongoing,
) -> Result<Problem<'a>, Vec<Finding>> {
    let mut findings = needs::cluster_findings(snapshot, ongoing);
    findings.extend(snapshot.nodes.values().flat_map(|node| needs::node_findings(node, ongoing)));
    let Some(ha) = snapshot.ha.known().filter(|_| findings.is_empty()) else { return Err(findings) };
    let names: Vec<NodeName> = snapshot.nodes.keys().cloned().collect();
    let number = snapshot.nodes.keys().enumerate().map(|(number, name)| (name, number)).collect();
    let ranks = releases::Ranks::of(snapshot);
    let storages: Vec<StorageId> = snapshot.storages.known().into_iter().flat_map(|all| all.keys().cloned()).collect();
    let places = snapshot.nodes.values().map(|node| place(node, policy, ongoing, &ranks, &storages)).collect();
    let mut reader = Reader {
        snapshot,
        policy,
        ha,
        owed: &ongoing.owed,
        homes: &ongoing.homes,
        begun: ongoing.under_work.iter().cloned().chain(ongoing.owed.iter().filter_map(node_of)).collect(),
        to_start: ongoing
            .owed
            .iter()
            .filter_map(|step| if let Step::StartGuest(start) = step { Some(start.guest) } else { None })
            .collect(),
        half_way: ongoing
            .owed
            .iter()
            .filter_map(|step| if let Step::StartMoved(start) = step { Some(start.guest) } else { None })
            .collect(),
        number,
        names,
        places,
        storages,
        ranks,
        findings,
        candidates: BTreeMap::new(),
        stay: BTreeMap::new(),
        shut_down: BTreeMap::new(),
    };
    for guest in snapshot.guests.values().filter(|guest| !guest.template) {
        reader.guest(guest);
    }
    reader.finish()
}

/// Has the node a turn: packages to upgrade, a kernel to boot, or a turn that has begun?
pub(super) fn has_turn(node: &Node, ongoing: &Ongoing) -> bool {
    let broken = node.packages.known().is_some_and(|packages| !packages.broken.is_empty());
    ongoing.under_work.as_ref() == Some(&node.name) || node.is_up_to_date() == Some(false) || broken
}

fn place(node: &Node, policy: &Policy, ongoing: &Ongoing, ranks: &releases::Ranks, storages: &[StorageId]) -> Place {
    let free =
        |storage: &StorageId| node.storages.known()?.get(storage).map(|state| state.free_bytes.min(MOST_ON_A_NODE));
    Place {
        capacity_bytes: node.memory.known().map_or(0, |memory| plannable_bytes(memory, policy).min(MOST_ON_A_NODE)),
        cpus: policy.cpu_limit_percent.zip(node.cpu.known()).map(|(percent, cpu)| usable_cpus(cpu, percent)),
        fixed_bytes: 0,
        disk_free_bytes: storages.iter().map(|storage| free(storage).unwrap_or(0)).collect(),
        has_turn: has_turn(node, ongoing),
        before: ranks.before(node),
        after: ranks.after(node),
    }
}

/// The node on which a step gives something back.
pub(super) fn node_of(owed: &Step) -> Option<NodeName> {
    owed.node().cloned()
}

/// HA looks after this guest.
pub(super) fn managed(ha: &Ha, guest: GuestId) -> Option<&HaService> {
    ha.services.get(&guest).filter(|service| service.request != HaRequest::Ignored)
}

impl<'a> Reader<'a> {
    fn guest(&mut self, guest: &Guest) {
        let Some(home) = self.number.get(&guest.node).copied() else {
            let what = format!("{} is on {}, which was not seen", guest.id, guest.node);
            self.findings.push(unknown(Subject::Guest(guest.id), &what));
            return;
        };
        if self.to_start.contains(&guest.id) && guest.status.is(&GuestStatus::Stopped) {
            // It comes back where it is, and its memory is kept for it.
            self.stay.insert(guest.id, home);
            return;
        }
        let must_leave = self.places[home].has_turn;
        let half_way = self.half_way.contains(&guest.id) && guest.status.is(&GuestStatus::Stopped);
        if half_way && guest.id.kind == GuestKind::Vm {
            let on = self.offline(guest, home).ok().filter(|_| must_leave);
            match on {
                Some(candidate) => drop(self.candidates.insert(guest.id, candidate)),
                None => drop(self.stay.insert(guest.id, home)),
            }
            return;
        }
        let finding = match guest.status.read() {
            Err(why) => {
                Some(unknown(Subject::Guest(guest.id), &format!("whether {} runs is not known: {why}", guest.id)))
            }
            // A container is started where it is, and moves as it would have.
            Ok(GuestStatus::Stopped) if half_way => self.running(guest, home),
            Ok(GuestStatus::Stopped) => return self.stopped(guest, home),
            Ok(GuestStatus::Running | GuestStatus::Paused) => self.running(guest, home),
        };
        if let Some(finding) = finding {
            self.stay.insert(guest.id, home);
            if must_leave {
                self.findings.push(finding);
            }
        }
    }

    /// A guest with a live process: an item, a guest to be shut down, or the reason why neither is possible.
    fn running(&mut self, guest: &Guest, home: usize) -> Option<Finding> {
        let service = managed(self.ha, guest.id);
        if let Some(service) = service
            .filter(|service| service.state != Some(HaServiceState::Started) || service.request != HaRequest::Started)
        {
            let state = service.state.map_or_else(|| "no state".to_owned(), |state| format!("state {state:?}"));
            let why = format!("HA has it in {state} (asked for: {:?})", service.request);
            let remedy = format!(
                "wait until HA has settled, or mend it: ha-manager status; ha-manager set {} --state started",
                guest.id
            );
            return Some(immovable(guest.id, &guest.node, &why, remedy));
        }
        let candidate = self.candidate(guest, home, travel(guest, service.is_some()));
        let why = match candidate {
            Ok(candidate) if !candidate.spec.allowed.without(home).is_empty() || self.names.len() == 1 => {
                self.candidates.insert(guest.id, candidate);
                return None;
            }
            Ok(candidate) => {
                let name = |node: &usize| self.names[*node].as_str();
                let each: Vec<String> =
                    candidate.refusals.iter().map(|(node, why)| format!("{}: {why}", name(node))).collect();
                each.join("; ")
            }
            Err(crate::placement::Obstacle::Unknown(why)) => {
                return Some(unknown(Subject::Guest(guest.id), &format!("where {} may go is {why}", guest.id)));
            }
            Err(crate::placement::Obstacle::No(why)) => why,
        };
        if guest.status.is(&GuestStatus::Running) && self.policy.allows(guest, GuestPolicy::Shutdown) {
            self.stay.insert(guest.id, home);
            self.shut_down.entry(home).or_default().push(guest.id);
            return None;
        }
        if guest.status.is(&GuestStatus::Running) && self.policy.allows(guest, GuestPolicy::Offline) {
            let stopped = self.offline(guest, home);
            return match stopped {
                Ok(candidate) => {
                    self.candidates.insert(guest.id, candidate);
                    None
                }
                Err(also) => {
                    let why = format!("{why}; nor stopped: {also}");
                    Some(immovable(guest.id, &guest.node, &why, remedy_immovable(guest.id)))
                }
            };
        }
        Some(immovable(guest.id, &guest.node, &why, remedy_immovable(guest.id)))
    }

    /// A stopped guest moves if the operator wants it and nothing is in the way; else it stays.
    fn stopped(&mut self, guest: &Guest, home: usize) {
        let wanted = self.policy.stopped_guests == StoppedGuests::Move && self.places[home].has_turn;
        let ours = managed(self.ha, guest.id).is_none();
        if !wanted || !ours {
            return;
        }
        let candidate = self.candidate(guest, home, Travel::Offline);
        if let Ok(candidate) = candidate
            && !candidate.spec.allowed.without(home).is_empty()
        {
            self.candidates.insert(guest.id, candidate);
        }
    }

    fn finish(mut self) -> Result<Problem<'a>, Vec<Finding>> {
        self.operator_order();
        self.processors_known();
        for (guest, node) in &self.stay {
            let bytes = self.snapshot.guests.get(guest).map_or(0, footprint_bytes);
            let cpus = self.snapshot.guests.get(guest).map_or(0, |guest| u64::from(guest.cpus));
            self.places[*node].keep(bytes, cpus);
        }
        let groups = self.groups();
        let mut problem = Problem {
            snapshot: self.snapshot,
            policy: self.policy,
            names: std::mem::take(&mut self.names),
            instance: Instance::default(),
            movers: Vec::new(),
            refusals: Vec::new(),
            shut_down: std::mem::take(&mut self.shut_down),
            half_way: std::mem::take(&mut self.half_way),
        };
        let mut item_of: BTreeMap<GuestId, usize> = BTreeMap::new();
        for group in groups {
            self.merge(&group, &mut problem, &mut item_of);
        }
        self.keep_apart(&mut problem, &item_of);
        problem.instance.places = std::mem::take(&mut self.places);
        let numbers = |names: &[NodeName]| names.iter().filter_map(|name| self.number.get(name).copied()).collect();
        let first = self.begun.iter().chain(&self.policy.spare).chain(&self.policy.first).cloned();
        problem.instance.first = numbers(&first.collect::<Vec<_>>());
        problem.instance.last = numbers(&self.policy.last_nodes(self.snapshot));
        let balanced = self.policy.end == End::Balanced;
        problem.instance.spread = balanced.then(|| u64::from(self.policy.balance_points) * 10);
        problem.instance.overlap = self.policy.overlap;
        if self.findings.is_empty() { Ok(problem) } else { Err(self.findings) }
    }

    /// A limit of processors is no limit where they are not known.
    fn processors_known(&mut self) {
        if self.policy.cpu_limit_percent.is_none() {
            return;
        }
        for node in self.snapshot.nodes.values() {
            if let Err(why) = node.cpu.read() {
                let what = format!(
                    "the processors of {} are not known, and cpu-limit-percent asks for them: {why}",
                    node.name
                );
                self.findings.push(unknown(Subject::Node(node.name.clone()), &what));
            }
        }
    }

    fn operator_order(&mut self) {
        for name in self.policy.first.iter().chain(&self.policy.last).chain(&self.policy.spare) {
            if !self.number.contains_key(name) {
                let remedy = "correct `first`, `last` and `spare` in the configuration".to_owned();
                let what = format!("the configuration orders {name}, which is not a node of this cluster");
                self.findings.push(blocking("plan-order", Subject::Node(name.clone()), what, remedy));
            }
        }
    }
}

/// How a running guest travels.
fn travel(guest: &Guest, managed: bool) -> Travel {
    match (managed, guest.id.kind, guest.migration.known().is_some_and(travels_with_disks)) {
        (true, _, _) => Travel::Ha,
        (false, GuestKind::Ct, _) => Travel::Restart,
        (false, GuestKind::Vm, true) => Travel::LiveWithDisks,
        (false, GuestKind::Vm, false) => Travel::Live,
    }
}

/// CD images of a guest that are ejected before it moves, as drive and image.
pub(super) fn media(guest: &Guest, policy: &Policy) -> Vec<(String, String)> {
    if policy.of(guest) != Some(GuestPolicy::Eject) {
        return Vec::new();
    }
    let disks = guest.migration.known().into_iter().flat_map(|facts| &facts.local_disks);
    disks.filter(|disk| disk.usage == DiskUse::Cdrom).map(|disk| (disk.drive.clone(), disk.volid.clone())).collect()
}
