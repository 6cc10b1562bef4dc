//! At most one node is out: in maintenance, being upgraded or offline, whoever took it out.

use super::support::{Findings, is_upgrading};
use super::{Context, Invariant, Verdict};
use crate::ids::NodeName;
use crate::snapshot::{HaNodeState, Node, Snapshot};

/// `one-node-out`. While a node is under work, it is the only one that may be out. An administrator's own
/// maintenance of another node is respected: it has to end first.
pub(super) struct OneNodeOut;

impl Invariant for OneNodeOut {
    fn id(&self) -> &'static str {
        "one-node-out"
    }

    fn why(&self) -> &'static str {
        "A cluster is built to bear the loss of one node. With a second one out, quorum, room for guests or copies of \
         data may be gone, and nothing is left for a failure."
    }

    fn explain(&self) -> &'static str {
        "At most one node is out: in HA maintenance mode, having its packages upgraded, or offline, regardless of \
         who took it out. While a node is being worked on it is the only one that may be. An administrator's own \
         maintenance of another node is respected: the run waits until it ends."
    }

    fn remedy(&self) -> &'static str {
        "Bring the node back first: boot it and look at corosync there, or end its maintenance (ha-manager \
         crm-command node-maintenance disable NODE). One that never returns is removed for good: pvecm delnode \
         NODE"
    }

    fn holds(&self, snapshot: &Snapshot, context: &Context<'_>) -> Verdict {
        let mut findings = Findings::default();
        let mut out: Vec<(&NodeName, String)> = Vec::new();
        for node in snapshot.nodes.values() {
            if let Some(how) = how_out(snapshot, node, &mut findings) {
                out.push((&node.name, how));
            }
        }
        findings.read(&snapshot.ha);
        let allowed = |name: &NodeName| context.under_work.as_ref().is_some_and(|work| work == name);
        let too_many = match &context.under_work {
            Some(_) => out.iter().any(|(name, _)| !allowed(name)),
            None => out.len() > 1,
        };
        if too_many {
            for (name, how) in &out {
                let ours = if allowed(name) { " (the node under work)" } else { "" };
                findings.broken(format!("{name}{ours} is {how}"));
            }
            if let Some(work) = context.under_work.as_ref().filter(|work| !out.iter().any(|(name, _)| name == work)) {
                findings.broken(format!("only {work} may be out: it is the node under work"));
            }
        }
        findings.verdict()
    }
}

fn how_out(snapshot: &Snapshot, node: &Node, findings: &mut Findings) -> Option<String> {
    if !*findings.read(&node.online)? {
        return Some("offline".to_owned());
    }
    if is_upgrading(node, findings) {
        return Some("having its packages upgraded".to_owned());
    }
    match snapshot.ha.known()?.nodes.get(&node.name)? {
        HaNodeState::Online | HaNodeState::Gone => None,
        HaNodeState::Maintenance => Some("in HA maintenance mode".to_owned()),
        HaNodeState::Unknown => Some("not seen by the HA manager".to_owned()),
        HaNodeState::Fence => Some("being fenced".to_owned()),
    }
}
