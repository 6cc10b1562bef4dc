//! HA rules that cannot hold with a node out. Whether they hold now is checked by the rule `rules-kept`.

use super::check::{Asked, Check, PLAN, Waivable, kinds};
use super::support::some;
use crate::ids::GuestId;
use crate::policy::Policy;
use crate::snapshot::{AffinityRule, Guest, HaRequest, Node, Snapshot};
use crate::version::Version;

pub(super) struct HaRules;

kinds! {
    KeptApart { rule: String, guests: Vec<String>, nodes_left: usize } => Blocking, Cluster,
        ("HA rule {rule}: {} are kept apart, with a node out there are {nodes_left} nodes", some(&guests)),
        ("Disable it for the run: ha-manager rules set resource-affinity {rule} --disable 1");
    OneNodeOnly { rule: String, guests: Vec<String>, is_group: bool } => Blocking, Cluster,
        ("HA {} {rule}: {} may be on one node only", if is_group { "group" } else { "rule" }, some(&guests)),
        ("{}", if is_group {
            format!("Let the others in for the run: ha-manager groupset {rule} --restricted 0")
        } else {
            format!("Disable it for the run: ha-manager rules set node-affinity {rule} --disable 1")
        });
}

impl Check for HaRules {
    const ID: &'static str = "ha-rules";
    const EXPLAIN: &'static str =
        "Guests that are kept apart need one node each. With as many of them as nodes there is nowhere to go while one \
         node is out, and HA silently leaves the guest where it is. The same holds for a strict node rule with a \
         single node. Both are blocking. Disable the rule for the run (ha-manager rules set TYPE RULE --disable 1; before PVE 9, \
         whose groups are such rules: ha-manager groupset GROUP --restricted 0), or stop one of the guests. A rule that is broken now is reported by the safety rule rules-kept.";
    const WAIVABLE: Waivable = Waivable::Never(PLAN);
    const ASKED: Asked = Asked::BeforeARun;
    type Found = Found;

    fn look(snapshot: &Snapshot, _policy: &Policy, found: &mut Vec<Found>) {
        let Some(ha) = snapshot.ha.known() else { return };
        let managed = |id: &GuestId| ha.services.get(id).is_some_and(|service| service.request == HaRequest::Started);
        let runs = |id: &&GuestId| managed(id) && snapshot.guests.get(id).is_some_and(Guest::may_be_running);
        // Rules take the place of groups once every node has 9.0.
        let before_rules = |node: &Node| node.pve_version.known().and_then(Version::major).is_some_and(|major| major < 9);
        let is_group = snapshot.nodes.values().any(before_rules);
        for rule in &ha.rules {
            match rule {
                AffinityRule::Resource(rule) if !rule.together => {
                    let guests: Vec<String> = rule.guests.iter().filter(runs).map(GuestId::to_string).collect();
                    if guests.len() >= 2 && guests.len() >= snapshot.nodes.len() {
                        let nodes_left = snapshot.nodes.len().saturating_sub(1);
                        found.push(Found::KeptApart { rule: rule.id.clone(), guests, nodes_left });
                    }
                }
                AffinityRule::Node(rule) if rule.strict && rule.nodes.len() < 2 => {
                    let guests: Vec<String> = rule.guests.iter().filter(runs).map(GuestId::to_string).collect();
                    if !guests.is_empty() {
                        found.push(Found::OneNodeOnly { rule: rule.id.clone(), guests, is_group });
                    }
                }
                AffinityRule::Resource(_) | AffinityRule::Node(_) => {}
            }
        }
    }
}
