//! From a snapshot to the puzzle: which nodes have a turn, what moves and how, what stays.
//!
//! Whatever cannot be read and matters is a finding. Whatever does not have to move and cannot be judged is taken as
//! immovable: it keeps its memory, and nothing is planned for it.

use std::collections::{BTreeMap, BTreeSet};

use crate::checks::{Finding, Subject};
use crate::ids::{GuestId, GuestKind, NodeName};
use crate::placement::{disk_bytes, footprint_bytes, obstacle_here, obstacle_there, travels_with_disks, usable_bytes};
use crate::policy::{GuestPolicy, Policy, StoppedGuests};
use crate::snapshot::{
    AffinityRule, DiskUse, Guest, GuestStatus, Ha, HaNodeState, HaRequest, HaService, HaServiceState, Node, Snapshot,
};
use crate::steps::{Step, Travel};
use crate::version::Version;

use super::cost::{PER_MOVE, PER_RESTART};
use super::findings::{blocking, immovable, remedy_immovable, unknown};
use super::instance::{Instance, Item, MOST_NODES, NodeSet, Place};
use super::{Ongoing, releases};

/// More than any guest has, and little enough that the sums of a whole cluster do not overflow.
const MOST_BYTES: u64 = 1 << 46;

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
}

/// A guest on its way to become an item.
struct Candidate {
    mover: Mover,
    spec: Item,
    refusals: BTreeMap<usize, String>,
}

struct Reader<'a> {
    snapshot: &'a Snapshot,
    policy: &'a Policy,
    ha: &'a Ha,
    under_work: Option<NodeName>,
    /// Guests that we shut down and still have to start.
    to_start: BTreeSet<GuestId>,
    number: BTreeMap<&'a NodeName, usize>,
    names: Vec<NodeName>,
    places: Vec<Place>,
    ranks: releases::Ranks,
    findings: Vec<Finding>,
    candidates: BTreeMap<GuestId, Candidate>,
    /// Running guests that stay, with their node.
    stay: BTreeMap<GuestId, usize>,
    shut_down: BTreeMap<usize, Vec<GuestId>>,
}

/// Reads the snapshot.
///
/// # Errors
/// Everything that is missing or in the way, at once.
pub(super) fn read<'a>(
    snapshot: &'a Snapshot,
    policy: &'a Policy,
    ongoing: &Ongoing,
) -> Result<Problem<'a>, Vec<Finding>> {
    let mut findings = cluster_findings(snapshot, ongoing);
    findings.extend(snapshot.nodes.values().flat_map(|node| node_findings(node, ongoing)));
    let Some(ha) = snapshot.ha.known().filter(|_| findings.is_empty()) else { return Err(findings) };
    let names: Vec<NodeName> = snapshot.nodes.keys().cloned().collect();
    let number = snapshot.nodes.keys().enumerate().map(|(number, name)| (name, number)).collect();
    let ranks = releases::Ranks::of(snapshot);
    let places = snapshot.nodes.values().map(|node| place(node, policy, ongoing, &ranks)).collect();
    let mut reader = Reader {
        snapshot,
        policy,
        ha,
        under_work: ongoing.under_work.clone(),
        to_start: ongoing
            .owed
            .iter()
            .filter_map(|step| if let Step::StartGuest(start) = step { Some(start.guest) } else { None })
            .collect(),
        number,
        names,
        places,
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

fn cluster_findings(snapshot: &Snapshot, ongoing: &Ongoing) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut need = |missing: Option<&crate::observed::WhyUnknown>, what: &str| {
        if let Some(why) = missing {
            findings.push(unknown(Subject::Cluster, &format!("{what} is not known: {why}")));
        }
    };
    need(snapshot.ha.read().err(), "the state of HA");
    need(snapshot.ceph.read().err(), "whether there is Ceph");
    need(snapshot.storages.read().err(), "the storage configuration");
    need(snapshot.sees_all_guests.read().err(), "whether the token sees all guests");
    if snapshot.sees_all_guests.is(&false) {
        findings.push(unknown(Subject::Cluster, "the token does not see all guests: some may be in the way unseen"));
    }
    if snapshot.nodes.is_empty() {
        findings.push(unknown(Subject::Cluster, "no node was seen"));
    }
    if snapshot.nodes.len() > MOST_NODES {
        let what = format!("{} nodes; a plan can have {MOST_NODES}", snapshot.nodes.len());
        findings.push(blocking("plan-too-big", Subject::Cluster, what, "upgrade this cluster in parts by hand".into()));
    }
    for name in ongoing.under_work.iter().filter(|name| !snapshot.nodes.contains_key(name)) {
        findings.push(unknown(Subject::Node(name.clone()), &format!("{name} is under work, but not a node any more")));
    }
    for (name, state) in snapshot.ha.known().iter().flat_map(|ha| &ha.nodes) {
        let ours = ongoing.under_work.as_ref() == Some(name)
            || ongoing.owed.iter().any(|step| matches!(step, Step::LeaveMaintenance(leave) if leave.node == *name));
        if !matches!(state, HaNodeState::Online | HaNodeState::Gone) && !ours && snapshot.nodes.contains_key(name) {
            let what = format!("HA has {name} as {state:?}, and not because of this run");
            let remedy = format!("ha-manager crm-command node-maintenance disable {name}, or bring it back");
            findings.push(blocking("plan-node-out", Subject::Node(name.clone()), what, remedy));
        }
    }
    findings
}

fn node_findings(node: &Node, ongoing: &Ongoing) -> Vec<Finding> {
    let subject = || Subject::Node(node.name.clone());
    if node.online.is(&false) {
        let what = format!("{} is not a member of the cluster now", node.name);
        let remedy = "bring it back first: with one node out no other may be taken".to_owned();
        return vec![blocking("plan-node-out", subject(), what, remedy)];
    }
    let mut missing = vec![
        ("membership", node.online.read().err()),
        ("memory", node.memory.read().err()),
        ("PVE version", node.pve_version.read().err()),
        ("QEMU version", node.qemu_version.read().err()),
        ("state of packages", node.packages.read().err()),
        ("kernels", node.kernel.read().err()),
    ];
    if has_turn(node, ongoing) {
        missing.push(("boot id", node.boot.read().err()));
    }
    let missing = missing.into_iter().filter_map(|(what, why)| why.map(|why| (what, why)));
    missing.map(|(what, why)| unknown(subject(), &format!("the {what} of {} is not known: {why}", node.name))).collect()
}

/// Has the node a turn: packages to upgrade, a kernel to boot, or a turn that has begun?
pub(super) fn has_turn(node: &Node, ongoing: &Ongoing) -> bool {
    let broken = node.packages.known().is_some_and(|packages| !packages.broken.is_empty());
    ongoing.under_work.as_ref() == Some(&node.name) || node.is_up_to_date() == Some(false) || broken
}

fn place(node: &Node, policy: &Policy, ongoing: &Ongoing, ranks: &releases::Ranks) -> Place {
    Place {
        capacity_bytes: node.memory.known().map_or(0, |memory| usable_bytes(memory, policy)),
        has_turn: has_turn(node, ongoing),
        before: ranks.before(node),
        after: ranks.after(node),
    }
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
        let finding = match guest.status.read() {
            Err(why) => {
                Some(unknown(Subject::Guest(guest.id), &format!("whether {} runs is not known: {why}", guest.id)))
            }
            Ok(GuestStatus::Stopped) => return self.stopped(guest, home),
            Ok(GuestStatus::Running | GuestStatus::Paused) => self.running(guest, home).err(),
        };
        if let Some(finding) = finding {
            self.stay.insert(guest.id, home);
            if must_leave {
                self.findings.push(finding);
            }
        }
    }

    /// A guest with a live process: an item, a guest to be shut down, or the reason why neither is possible.
    fn running(&mut self, guest: &Guest, home: usize) -> Result<(), Finding> {
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
            return Err(immovable(guest.id, &guest.node, &why, remedy));
        }
        let candidate = self.candidate(guest, home, travel(guest, service.is_some()));
        let why = match candidate {
            Ok(candidate) if candidate.spec.allowed.len() > 1 || self.names.len() == 1 => {
                self.candidates.insert(guest.id, candidate);
                return Ok(());
            }
            Ok(candidate) => {
                let name = |node: &usize| self.names[*node].as_str();
                let each: Vec<String> =
                    candidate.refusals.iter().map(|(node, why)| format!("{}: {why}", name(node))).collect();
                each.join("; ")
            }
            Err(crate::placement::Obstacle::Unknown(why)) => {
                return Err(unknown(Subject::Guest(guest.id), &format!("where {} may go is {why}", guest.id)));
            }
            Err(crate::placement::Obstacle::No(why)) => why,
        };
        let touchable = !guest.tags.contains(crate::placement::SKIP_TAG);
        let may_shut_down = self.policy.guests.get(&guest.id) == Some(&GuestPolicy::Shutdown) && touchable;
        if may_shut_down && service.is_none() && guest.status.is(&GuestStatus::Running) {
            self.stay.insert(guest.id, home);
            self.shut_down.entry(home).or_default().push(guest.id);
            return Ok(());
        }
        Err(immovable(guest.id, &guest.node, &why, remedy_immovable(guest.id, service.is_some())))
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
            && candidate.spec.allowed.len() > 1
        {
            self.candidates.insert(guest.id, candidate);
        }
    }

    fn candidate(&self, guest: &Guest, home: usize, travel: Travel) -> Result<Candidate, crate::placement::Obstacle> {
        obstacle_here(guest, self.policy)?;
        let mut refusals = BTreeMap::new();
        let mut allowed = NodeSet::EMPTY.with(home);
        for (number, node) in self.snapshot.nodes.values().enumerate().filter(|(number, _)| *number != home) {
            let why = obstacle_there(self.snapshot, guest, node).err().map(|obstacle| obstacle.text().to_owned());
            match why.or_else(|| self.strict_rule(guest.id, &node.name)) {
                None => allowed = allowed.with(number),
                Some(why) => drop(refusals.insert(number, why)),
            }
        }
        let facts = guest.migration.known();
        let running = guest.may_be_running();
        let disks = facts.map_or(0, disk_bytes);
        let memory = if running && guest.id.kind == GuestKind::Vm { guest.memory_bytes } else { 0 };
        let bytes = disks.saturating_add(memory).min(MOST_BYTES);
        let restart = if running && guest.id.kind == GuestKind::Ct { PER_RESTART } else { 0 };
        let live_vm = running && guest.id.kind == GuestKind::Vm;
        let machine = facts.and_then(|facts| facts.running_machine.as_deref()).filter(|_| live_vm);
        let spec = Item {
            memory_bytes: if running { footprint_bytes(guest).min(MOST_BYTES) } else { 0 },
            cost: bytes + PER_MOVE + restart,
            home,
            allowed,
            apart: Vec::new(),
            forward_only: live_vm,
            least_qemu: machine.and_then(machine_version).map_or(0, |version| self.ranks.least_qemu(&version)),
        };
        Ok(Candidate { mover: Mover { guest: guest.id, travel, bytes }, spec, refusals })
    }

    /// A rule that forbids a node outright.
    fn strict_rule(&self, guest: GuestId, node: &NodeName) -> Option<String> {
        let forbids = |rule: &&AffinityRule| {
            matches!(rule, AffinityRule::Node(rule)
                if rule.strict && rule.guests.contains(&guest) && !rule.nodes.contains_key(node))
        };
        match self.ha.rules.iter().find(forbids)? {
            AffinityRule::Node(rule) => Some(format!("the HA rule {} does not allow it", rule.id)),
            AffinityRule::Resource(_) => None,
        }
    }

    fn finish(mut self) -> Result<Problem<'a>, Vec<Finding>> {
        self.operator_order();
        for (guest, node) in &self.stay {
            let bytes = self.snapshot.guests.get(guest).map_or(0, footprint_bytes);
            let place = &mut self.places[*node];
            place.capacity_bytes = place.capacity_bytes.saturating_sub(bytes);
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
        };
        let mut item_of: BTreeMap<GuestId, usize> = BTreeMap::new();
        for group in groups {
            self.merge(&group, &mut problem, &mut item_of);
        }
        self.keep_apart(&mut problem, &item_of);
        problem.instance.places = std::mem::take(&mut self.places);
        let numbers = |names: &[NodeName]| names.iter().filter_map(|name| self.number.get(name).copied()).collect();
        problem.instance.first =
            numbers(&self.under_work.iter().chain(&self.policy.first).cloned().collect::<Vec<_>>());
        problem.instance.last = numbers(&self.policy.last);
        if self.findings.is_empty() { Ok(problem) } else { Err(self.findings) }
    }

    fn operator_order(&mut self) {
        for name in self.policy.first.iter().chain(&self.policy.last) {
            if !self.number.contains_key(name) {
                let remedy = "correct `first` and `last` in the configuration".to_owned();
                let what = format!("the configuration orders {name}, which is not a node of this cluster");
                self.findings.push(blocking("plan-order", Subject::Node(name.clone()), what, remedy));
            }
        }
    }

    /// Guests by what must stay together; every candidate is in exactly one group.
    fn groups(&mut self) -> Vec<BTreeSet<GuestId>> {
        let mut groups: Vec<BTreeSet<GuestId>> = self.candidates.keys().map(|guest| BTreeSet::from([*guest])).collect();
        for rule in &self.ha.rules {
            let AffinityRule::Resource(rule) = rule else { continue };
            let running = |guest: &&GuestId| self.snapshot.guests.get(guest).is_some_and(Guest::may_be_running);
            let members: BTreeSet<GuestId> = rule.guests.iter().filter(running).copied().collect();
            let homes: BTreeSet<&NodeName> = members.iter().map(|guest| &self.snapshot.guests[guest].node).collect();
            if !rule.together || members.len() < 2 {
                continue;
            }
            if homes.len() > 1 {
                let what = format!("the HA rule {} wants its guests on one node, and they are on several", rule.id);
                let remedy =
                    "wait until HA has brought them together, or mend the rule: ha-manager rules list".to_owned();
                self.findings.push(blocking("plan-rules", Subject::Cluster, what, remedy));
                continue;
            }
            if let Some(fixed) = members.iter().find(|guest| self.stay.contains_key(guest)).copied() {
                self.hold_together(&members, fixed);
                groups.retain(|group| group.is_disjoint(&members));
                continue;
            }
            let (joined, rest): (Vec<_>, Vec<_>) = groups.into_iter().partition(|group| !group.is_disjoint(&members));
            groups = rest;
            groups.push(joined.into_iter().flatten().collect());
        }
        groups.retain(|group| group.iter().any(|guest| self.candidates.contains_key(guest)));
        groups.sort();
        groups
    }

    /// Those that must stay with a guest that cannot move cannot move either.
    fn hold_together(&mut self, members: &BTreeSet<GuestId>, fixed: GuestId) {
        for guest in members {
            let Some(candidate) = self.candidates.remove(guest) else { continue };
            let home = candidate.spec.home;
            let bytes = candidate.spec.memory_bytes;
            self.places[home].capacity_bytes = self.places[home].capacity_bytes.saturating_sub(bytes);
            if self.places[home].has_turn {
                let why = format!("an HA rule keeps it with {fixed}, which cannot move");
                let remedy = format!("move or shut down {fixed} by hand, or lift the rule for the run");
                self.findings.push(immovable(*guest, &self.names[home], &why, remedy));
            }
            self.stay.insert(*guest, home);
        }
    }

    fn merge(&mut self, group: &BTreeSet<GuestId>, problem: &mut Problem<'_>, item_of: &mut BTreeMap<GuestId, usize>) {
        let mut item: Option<Item> = None;
        let mut movers = Vec::new();
        let mut refusals = BTreeMap::new();
        for guest in group {
            let Some(candidate) = self.candidates.remove(guest) else { continue };
            item_of.insert(*guest, problem.instance.items.len());
            refusals.extend(candidate.refusals);
            movers.push(candidate.mover);
            item = Some(match item {
                None => candidate.spec,
                Some(so_far) => Item {
                    memory_bytes: so_far.memory_bytes + candidate.spec.memory_bytes,
                    cost: so_far.cost + candidate.spec.cost,
                    home: so_far.home,
                    allowed: so_far.allowed.and(candidate.spec.allowed),
                    apart: Vec::new(),
                    forward_only: so_far.forward_only || candidate.spec.forward_only,
                    least_qemu: so_far.least_qemu.max(candidate.spec.least_qemu),
                },
            });
        }
        let Some(item) = item else { return };
        if item.allowed.len() < 2 && problem.names.len() > 1 && self.places[item.home].has_turn {
            let node = &problem.names[item.home];
            for mover in &movers {
                let why = "guests that HA keeps together with it may go nowhere that it may go".to_owned();
                let remedy = remedy_immovable(mover.guest, true);
                self.findings.push(immovable(mover.guest, node, &why, remedy));
            }
        }
        problem.instance.items.push(item);
        problem.movers.push(movers);
        problem.refusals.push(refusals);
    }

    fn keep_apart(&mut self, problem: &mut Problem<'_>, item_of: &BTreeMap<GuestId, usize>) {
        let mut apart: BTreeSet<(usize, usize)> = BTreeSet::new();
        for rule in &self.ha.rules {
            let AffinityRule::Resource(rule) = rule else { continue };
            if rule.together {
                continue;
            }
            for one in &rule.guests {
                let Some(item) = item_of.get(one).copied() else { continue };
                if problem.instance.items[item].memory_bytes == 0 {
                    continue;
                }
                for other in rule.guests.iter().filter(|other| *other != one) {
                    if let Some(node) = self.stay.get(other) {
                        problem.instance.items[item].allowed = problem.instance.items[item].allowed.without(*node);
                        problem.refusals[item]
                            .insert(*node, format!("{other} is there, and the rule {} keeps them apart", rule.id));
                    } else if let Some(other) = item_of.get(other).filter(|other| **other != item) {
                        apart.insert((item, *other));
                    }
                }
            }
        }
        for (item, other) in apart {
            problem.instance.items[item].apart.push(other);
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

/// `9.2` from `pc-q35-9.2+pve1`.
fn machine_version(machine: &str) -> Option<Version> {
    let version = machine.rsplit('-').next()?.split('+').next()?;
    version.starts_with(|c: char| c.is_ascii_digit()).then(|| Version::new(version))
}

/// CD images of a guest that are ejected before it moves, as drive and image.
pub(super) fn media(guest: &Guest, policy: &Policy) -> Vec<(String, String)> {
    if policy.guests.get(&guest.id) != Some(&GuestPolicy::Eject) {
        return Vec::new();
    }
    let disks = guest.migration.known().into_iter().flat_map(|facts| &facts.local_disks);
    disks.filter(|disk| disk.usage == DiskUse::Cdrom).map(|disk| (disk.drive.clone(), disk.volid.clone())).collect()
}
