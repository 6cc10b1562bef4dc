//! What the safety rules say before a run: now, and with each node out in turn, as it will be during its reboot.
//!
//! The rules themselves are asked (`invariants`): nothing of them is repeated here. Each reports its worst finding
//! once: a rule that is broken now is not evaluated again with a node out.

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

/// Every rule that does not hold, with its own evidence.
pub(super) fn findings(snapshot: &Snapshot, policy: &Policy) -> Vec<Finding> {
    let online = snapshot.nodes.values().filter(|node| !node.online.is(&false));
    let out: Vec<(&NodeName, Snapshot)> = online.map(|node| (&node.name, node_out(snapshot, &node.name))).collect();
    let blind = blind(snapshot, policy);
    let mut findings = Vec::new();
    for rule in ALL {
        match rule.holds(snapshot, &Context::new(policy)) {
            RuleOutcome::Holds => with_a_node_out(*rule, &out, policy, &mut findings),
            broken @ RuleOutcome::Broken(_) => {
                findings.push(finding(*rule, "now", Subject::Cluster, evidence(&broken)));
            }
            // What is missing is reported by unknown-readings, once; this is for whatever else a rule cannot determine.
            RuleOutcome::Unknown(_) if blind => with_a_node_out(*rule, &out, policy, &mut findings),
            unknown @ RuleOutcome::Unknown(_) => {
                let problem = format!("cannot be determined: {}", evidence(&unknown));
                findings.push(finding(*rule, "cannot-tell", Subject::Cluster, problem));
            }
        }
    }
    findings
}

fn with_a_node_out(rule: RuleId, out: &[(&NodeName, Snapshot)], policy: &Policy, findings: &mut Vec<Finding>) {
    let broken: Vec<(&NodeName, String)> = out
        .iter()
        .filter_map(|(node, state)| {
            let context = Context { current_node: Some((*node).clone()), ..Context::new(policy) };
            let outcome = rule.holds(state, &context);
            matches!(outcome, RuleOutcome::Broken(_)).then(|| (*node, evidence(&outcome)))
        })
        .collect();
    match &broken[..] {
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
