//! HA rules that cannot hold with a node out. Whether they hold now is checked by the rule `rules-kept`.

use super::check::{Asked, Check, PLAN, Waivable, kinds};
use super::support::some;
use crate::ids::GuestId;
use crate::policy::Policy;
use crate::snapshot::{AffinityRule, Guest, HaRequest, Snapshot};

pub(super) struct HaRules;

kinds! {
    KeptApart { rule: String, guests: Vec<String>, nodes_left: usize } => Blocking, Cluster,
        ("HA rule {rule}: {} are kept apart, with a node out there are {nodes_left} nodes", some(&guests)),
        ("Disable it for the run: ha-manager rules set resource-affinity {rule} --disable 1");
    OneNodeOnly { rule: String, guests: Vec<String> } => Blocking, Cluster,
        ("HA rule {rule}: {} may be on one node only", some(&guests)),
        ("Disable it for the run: ha-manager rules set node-affinity {rule} --disable 1");
}

impl Check for HaRules {
    const ID: &'static str = "ha-rules";
    const EXPLAIN: &'static str =
        "Guests that are kept apart need one node each. With as many of them as nodes there is nowhere to go while one \
         node is out, and HA silently leaves the guest where it is. The same holds for a strict node rule with a \
         single node. Both are blocking. Disable the rule for the run (ha-manager rules set TYPE RULE --disable 1), or \
         stop one of the guests. A rule that is broken now is reported by the safety rule rules-kept.";
    const WAIVABLE: Waivable = Waivable::Never(PLAN);
    const ASKED: Asked = Asked::BeforeARun;
    type Found = Found;

    fn look(snapshot: &Snapshot, _policy: &Policy, found: &mut Vec<Found>) {
        let Some(ha) = snapshot.ha.known() else { return };
        let managed = |id: &GuestId| ha.services.get(id).is_some_and(|service| service.request == HaRequest::Started);
        let runs = |id: &&GuestId| managed(id) && snapshot.guests.get(id).is_some_and(Guest::may_be_running);
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
                        found.push(Found::OneNodeOnly { rule: rule.id.clone(), guests });
                    }
                }
                AffinityRule::Resource(_) | AffinityRule::Node(_) => {}
            }
        }
    }
}
