//! HA rules that cannot hold with a node out.

use super::support::{Report, some};
use super::{Check, Finding, Severity, Subject};
use crate::ids::GuestId;
use crate::invariants::{Context, RuleId, Verdict};
use crate::policy::Policy;
use crate::snapshot::{AffinityRule, Guest, HaRequest, Snapshot};

pub(super) struct HaRules;

impl Check for HaRules {
    fn id(&self) -> &'static str {
        "ha-rules"
    }

    fn explain(&self) -> &'static str {
        "Guests that are kept apart need one node each. With as many of them as nodes there is nowhere to go while one \
         node is out, and HA leaves the guest where it is without a word. The same holds for a strict node rule with a \
         single node, and for a rule that is broken already. All are blocking. Loosen the rule for the time of the run (ha-manager rules set TYPE RULE \
         --disable 1), or stop one of the guests."
    }

    fn run(&self, snapshot: &Snapshot, policy: &Policy) -> Vec<Finding> {
        let mut report = Report::of(self);
        let Some(ha) = snapshot.ha.known() else { return Vec::new() };
        let managed = |id: &GuestId| ha.services.get(id).is_some_and(|service| service.request == HaRequest::Started);
        let runs = |id: &&GuestId| managed(id) && snapshot.guests.get(id).is_some_and(Guest::may_be_running);
        for rule in &ha.rules {
            let (id, kind, problem) = match rule {
                AffinityRule::Resource(rule) if !rule.together => {
                    let guests: Vec<String> = rule.guests.iter().filter(runs).map(GuestId::to_string).collect();
                    if guests.len() < 2 || guests.len() < snapshot.nodes.len() {
                        continue;
                    }
                    let nodes = snapshot.nodes.len().saturating_sub(1);
                    (
                        &rule.id,
                        "resource-affinity",
                        format!("{} are kept apart, with a node out there are {nodes} nodes", some(&guests)),
                    )
                }
                AffinityRule::Node(rule) if rule.strict && rule.nodes.len() < 2 => {
                    let guests: Vec<String> = rule.guests.iter().filter(runs).map(GuestId::to_string).collect();
                    if guests.is_empty() {
                        continue;
                    }
                    (&rule.id, "node-affinity", format!("{} may be on one node only", some(&guests)))
                }
                AffinityRule::Resource(_) | AffinityRule::Node(_) => continue,
            };
            let remedy = format!("Loosen it for the time of the run: ha-manager rules set {kind} {id} --disable 1");
            report.add(Severity::Blocking, Subject::Cluster, format!("HA rule {id}: {problem}"), remedy);
        }
        broken_now(snapshot, policy, &mut report);
        report.findings()
    }
}

/// A rule that does not hold now: HA is about to move somebody by itself, or cannot.
fn broken_now(snapshot: &Snapshot, policy: &Policy, report: &mut Report) {
    if let Verdict::Broken(evidence) = RuleId::RulesKept.holds(snapshot, &Context::new(policy)) {
        for line in evidence.iter() {
            let remedy = "Wait until HA has moved them, or mend the rule: ha-manager rules list; ha-manager status";
            report.add(Severity::Blocking, Subject::Cluster, format!("an HA rule is broken now: {line}"), remedy);
        }
    }
}
