//! HA affinity rules hold, and keep-apart also in transit.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::rule::{Context, Invariant};
use super::support::{Findings, names};
use super::outcome::{Missing, RuleOutcome};
use crate::ids::{GuestId, NodeName};
use crate::snapshot::{AffinityRule, Ha, HaRequest, NodeAffinity, ResourceAffinity, Snapshot};

/// `rules-kept`. Applies to guests that run and that HA manages: for others HA's rules mean nothing. A group that
/// belongs together moves guest by guest, so it may be split in two on the way; the plan check makes sure that it is
/// whole again at the end of the node step.
pub struct RulesKept;

/// HA rules about guests that are not kept.
#[derive(Clone, Debug, PartialEq, Eq, Error, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AffinityBroken {
    #[error("{guest} would be on {node}, which rule {rule} forbids")]
    Forbidden { guest: GuestId, node: NodeName, rule: String },
    #[error("{one} and {other} meet on {node}, rule {rule} keeps them apart")]
    Meet { one: GuestId, other: GuestId, node: NodeName, rule: String },
    #[error("rule {rule} keeps guests together, they are on {}", names(.nodes))]
    Scattered { rule: String, nodes: BTreeSet<NodeName> },
    #[error(transparent)]
    Missing(#[from] Missing),
}

impl Invariant for RulesKept {
    type Evidence = AffinityBroken;

    fn id(&self) -> &'static str {
        "rules-kept"
    }

    fn why(&self) -> &'static str {
        "Both halves of a redundant pair on one node die together, and HA moves a guest that breaks a rule by itself, \
         in the middle of the run."
    }

    fn explain(&self) -> &'static str {
        "HA affinity rules hold for guests that run and that HA manages: strict node affinity, keep-together, \
         keep-apart, the last also in transit. A group that is kept together moves guest by guest, so it may be split \
         in two on the way; the plan check makes sure that it is whole again when the node is done."
    }

    fn remedy(&self) -> &'static str {
        "Wait until HA has moved the guests, or fix the rule: ha-manager rules list (PVE 8: ha-manager groupconfig); \
         ha-manager status"
    }

    fn holds(&self, snapshot: &Snapshot, context: &Context<'_>) -> RuleOutcome<AffinityBroken> {
        those(snapshot, context, |_| true)
    }

    /// A rule that names none of those that moved holds as it did.
    fn still_holds(&self, snapshot: &Snapshot, context: &Context<'_>, moved: &BTreeSet<GuestId>) -> RuleOutcome<AffinityBroken> {
        those(snapshot, context, |guests| moved.iter().any(|guest| guests.contains(guest)))
    }
}

/// The outcome for the rules about guests that `asked` selects.
fn those(snapshot: &Snapshot, context: &Context<'_>, asked: impl Fn(&BTreeSet<GuestId>) -> bool) -> RuleOutcome<AffinityBroken> {
    let mut findings = Findings::new();
    let Some(ha) = findings.read(&snapshot.ha) else { return findings.outcome() };
    for rule in &ha.rules {
        match rule {
            AffinityRule::Node(rule) if asked(&rule.guests) => node_affinity(snapshot, ha, context, rule, &mut findings),
            AffinityRule::Resource(rule) if asked(&rule.guests) => match rule.together {
                true => together(snapshot, ha, context, rule, &mut findings),
                false => apart(snapshot, ha, context, rule, &mut findings),
            },
            _ => {}
        }
    }
    findings.outcome()
}

/// The nodes that a guest is on: one, or both ends of its move; none if it does not run or HA leaves it alone.
fn places<'a>(snapshot: &'a Snapshot, ha: &Ha, context: &'a Context<'_>, id: GuestId) -> BTreeSet<&'a NodeName> {
    let managed = ha.services.get(&id).is_some_and(|service| service.request != HaRequest::Ignored);
    let Some(guest) = snapshot.guests.get(&id).filter(|guest| managed && guest.may_be_running()) else {
        return BTreeSet::new();
    };
    let ends = context.moving.iter().filter(|moving| moving.guest == id).flat_map(|moving| [&moving.from, &moving.to]);
    std::iter::once(&guest.node).chain(ends).collect()
}

fn node_affinity(snapshot: &Snapshot, ha: &Ha, context: &Context<'_>, rule: &NodeAffinity, findings: &mut Findings<AffinityBroken>) {
    for id in rule.guests.iter().filter(|_| rule.strict) {
        for node in places(snapshot, ha, context, *id) {
            if !rule.nodes.contains_key(node) {
                let (node, rule) = (node.clone(), rule.id.clone());
                findings.broken(AffinityBroken::Forbidden { guest: *id, node, rule });
            }
        }
    }
}

fn apart(snapshot: &Snapshot, ha: &Ha, context: &Context<'_>, rule: &ResourceAffinity, findings: &mut Findings<AffinityBroken>) {
    let placed: Vec<_> = rule.guests.iter().map(|id| (id, places(snapshot, ha, context, *id))).collect();
    for (index, (one, here)) in placed.iter().enumerate() {
        for (other, there) in &placed[index + 1..] {
            for node in here.intersection(there) {
                let (node, rule) = ((*node).clone(), rule.id.clone());
                findings.broken(AffinityBroken::Meet { one: **one, other: **other, node, rule });
            }
        }
    }
}

fn together(snapshot: &Snapshot, ha: &Ha, context: &Context<'_>, rule: &ResourceAffinity, findings: &mut Findings<AffinityBroken>) {
    let nodes: BTreeSet<_> = rule.guests.iter().flat_map(|id| places(snapshot, ha, context, *id)).collect();
    if nodes.len() > 2 {
        let nodes = nodes.into_iter().cloned().collect();
        findings.broken(AffinityBroken::Scattered { rule: rule.id.clone(), nodes });
    }
}
