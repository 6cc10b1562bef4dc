//! What the safety rules say before a run: now, and with each node out in turn, as it will be during its reboot.
//!
//! The rules themselves are asked (`invariants`): nothing of them is repeated here. Each reports its worst finding
//! once: a rule that is broken now is not evaluated again with a node out.

use std::collections::BTreeMap;

use super::finding::{Finding, Severity, Subject};
use super::support::some;
use super::unknown_readings::blind;
use crate::forecast::node_out;
use crate::ids::NodeName;
use crate::invariants::{ALL, Context, Evidence, Grounds, RuleId, RuleOutcome};
use crate::policy::Policy;
use crate::snapshot::Snapshot;

/// What breaks with more nodes out than these has one cause: one finding is enough, with the evidence of the first.
const ONE_BY_ONE: usize = 3;
/// Sentences of evidence in one finding.
const EVIDENCE: usize = 4;

/// Every rule that does not hold, with its own evidence; with only this node out, if one is named.
pub(super) fn findings(snapshot: &Snapshot, policy: &Policy, only: Option<&NodeName>) -> Vec<Finding> {
    let blind = blind(snapshot, policy);
    let now: Vec<_> = ALL.iter().map(|rule| rule.holds(snapshot, &Context::new(policy))).collect();
    // What is missing is reported by unknown-readings, once; this is for what else a rule cannot determine.
    let asked: Vec<RuleId> = ALL
        .iter()
        .zip(&now)
        .filter(|(_, outcome)| {
            matches!(outcome, RuleOutcome::Holds) || blind && matches!(outcome, RuleOutcome::Unknown(_))
        })
        .map(|(rule, _)| *rule)
        .collect();
    let mut broken = broken_with_a_node_out(&asked, snapshot, policy, only);
    let mut findings = Vec::new();
    for (rule, outcome) in ALL.iter().zip(&now) {
        match outcome {
            _ if asked.contains(rule) => {
                with_a_node_out(*rule, &broken.remove(rule).unwrap_or_default(), &mut findings)
            }
            RuleOutcome::Unknown(_) => {
                let problem = format!("cannot be determined: {}", evidence(outcome));
                findings.push(finding(*rule, "cannot-tell", Subject::Cluster, problem));
            }
            RuleOutcome::Holds | RuleOutcome::Broken(_) => {
                findings.push(finding(*rule, "now", Subject::Cluster, evidence(outcome)));
            }
        }
    }
    findings
}

/// The evidence of each of these rules with one node out after the other. One forecast is held at a time: a large
/// cluster has thousands of guests in each.
fn broken_with_a_node_out<'a>(
    rules: &[RuleId],
    snapshot: &'a Snapshot,
    policy: &Policy,
    only: Option<&NodeName>,
) -> BTreeMap<RuleId, Vec<(&'a NodeName, String)>> {
    let mut broken: BTreeMap<RuleId, Vec<(&NodeName, String)>> = BTreeMap::new();
    let up = snapshot.nodes.values().filter(|node| !node.online.is(&false)).map(|node| &node.name);
    for node in up.filter(|node| only.is_none_or(|only| only == *node)) {
        let state = node_out(snapshot, node);
        let context = Context { current_node: Some(node.clone()), ..Context::new(policy) };
        for rule in rules {
            let outcome = rule.holds(&state, &context);
            if matches!(outcome, RuleOutcome::Broken(_)) {
                broken.entry(*rule).or_default().push((node, evidence(&outcome)));
            }
        }
    }
    broken
}

fn with_a_node_out(rule: RuleId, broken: &[(&NodeName, String)], findings: &mut Vec<Finding>) {
    match broken {
        [(first, evidence), others @ ..] if broken.len() > ONE_BY_ONE => {
            let others: Vec<String> = others.iter().map(|(node, _)| node.to_string()).collect();
            let problem = format!("with {first} out: {evidence}. The same rule breaks with {} out", some(&others));
            findings.push(finding(rule, "node-out", Subject::Cluster, problem));
        }
        few => findings.extend(few.iter().map(|(node, evidence)| {
            let problem = format!("with {node} out: {evidence}");
            finding(rule, "node-out", Subject::Node((*node).clone()), problem)
        })),
    }
}

fn evidence(outcome: &RuleOutcome<Evidence>) -> String {
    let lines: Vec<String> = outcome.grounds().into_iter().flat_map(Grounds::iter).map(ToString::to_string).collect();
    match lines.len().checked_sub(EVIDENCE) {
        None | Some(0) => lines.join("; "),
        Some(more) => format!("{}; and {more} more like this", lines[..EVIDENCE].join("; ")),
    }
}

fn finding(rule: RuleId, kind: &str, subject: Subject, problem: String) -> Finding {
    Finding {
        check: rule.id().to_owned(),
        kind: kind.to_owned(),
        severity: Severity::Blocking,
        subject,
        problem,
        remedy: rule.remedy().to_owned(),
        waived: None,
    }
}
