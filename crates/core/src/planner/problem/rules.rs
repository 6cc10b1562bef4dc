//! HA's rules between guests, added to the placement problem: which guests move together, and which must not meet.

use std::collections::{BTreeMap, BTreeSet};

use crate::ids::{GuestId, NodeName};
use crate::plan::{Bond, Hindrance, Reason};
use crate::snapshot::{AffinityRule, Guest, GuestStatus};

use super::instance::{Item, NodeSet};
use super::reader::Reader;
use super::{Problem, managed};

/// The nodes that meet both preferences for the end; none if they cannot both be met.
fn both(one: Option<NodeSet>, other: Option<NodeSet>) -> Option<NodeSet> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.and(other)).filter(|both| !both.is_empty()),
        (one, other) => one.or(other),
    }
}

impl Reader<'_> {
    /// Groups of guests that must stay together; every candidate is in exactly one group.
    pub(super) fn groups(&mut self) -> Vec<BTreeSet<GuestId>> {
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
                self.reasons.push(Reason::NotTogether(rule.id.clone()));
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

    /// Guests that must stay with one that cannot move cannot move either.
    fn hold_together(&mut self, members: &BTreeSet<GuestId>, fixed: GuestId) {
        for guest in members {
            let Some(candidate) = self.candidates.remove(guest) else { continue };
            let home = candidate.spec.home;
            self.places[home].keep(candidate.spec.memory_bytes, candidate.spec.cpus);
            if self.places[home].has_turn {
                self.reasons.push(Reason::Immovable(*guest, self.names[home].clone(), Bond::KeptWith(fixed)));
            }
            self.stay.insert(*guest, home);
        }
    }

    pub(super) fn merge(
        &mut self,
        group: &BTreeSet<GuestId>,
        problem: &mut Problem<'_>,
        item_of: &mut BTreeMap<GuestId, usize>,
    ) {
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
                    disks: [so_far.disks, candidate.spec.disks].concat(),
                    memory_bytes: so_far.memory_bytes + candidate.spec.memory_bytes,
                    cpus: so_far.cpus + candidate.spec.cpus,
                    cost: so_far.cost + candidate.spec.cost,
                    home: so_far.home,
                    allowed: so_far.allowed.and(candidate.spec.allowed),
                    ends: both(so_far.ends, candidate.spec.ends),
                    apart: Vec::new(),
                    forward_only: so_far.forward_only || candidate.spec.forward_only,
                    least_qemu: so_far.least_qemu.max(candidate.spec.least_qemu),
                },
            });
        }
        let Some(item) = item else { return };
        if item.allowed.without(item.home).is_empty() && problem.names.len() > 1 && self.places[item.home].has_turn {
            let node = &problem.names[item.home];
            for mover in &movers {
                self.reasons.push(Reason::Immovable(mover.guest, node.clone(), Bond::NothingInCommon));
            }
        }
        problem.instance.items.push(item);
        problem.movers.push(movers);
        problem.refusals.push(refusals);
    }

    /// Where a guest is that does not move, and whether it is stopped: HA counts stopped guests as well, so no guest
    /// that a rule keeps apart from it may go there.
    fn is_there(&self, guest: GuestId) -> Option<(usize, bool)> {
        if let Some(node) = self.stay.get(&guest) {
            return Some((*node, false));
        }
        let stopped = self.snapshot.guests.get(&guest).filter(|guest| guest.status.is(&GuestStatus::Stopped))?;
        managed(self.ha, guest)?;
        Some((self.number.get(&stopped.node).copied()?, true))
    }

    pub(super) fn keep_apart(&mut self, problem: &mut Problem<'_>, item_of: &BTreeMap<GuestId, usize>) {
        let mut apart: BTreeSet<(usize, usize)> = BTreeSet::new();
        let mut contradictions: BTreeSet<(String, GuestId, GuestId)> = BTreeSet::new();
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
                    if let Some(another) = item_of.get(other).copied() {
                        match another == item {
                            true => contradictions.insert((rule.id.clone(), *one.min(other), *one.max(other))),
                            false => apart.insert((item, another)),
                        };
                    } else if let Some((node, stopped)) = self.is_there(*other) {
                        problem.instance.items[item].allowed = problem.instance.items[item].allowed.without(node);
                        let apart = Hindrance::Apart { other: *other, stopped, rule: rule.id.clone() };
                        problem.refusals[item].insert(node, apart);
                    }
                }
            }
        }
        for (rule, one, other) in contradictions {
            self.reasons.push(Reason::Contradiction(rule, one, other));
        }
        for (item, other) in apart {
            problem.instance.items[item].apart.push(other);
        }
    }
}
