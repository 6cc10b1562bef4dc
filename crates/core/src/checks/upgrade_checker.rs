//! What PVE's own upgrade checker says, node by node, and what it means for this run.

use super::check::{Asked, Check, UNSEEN, Waivable, kinds};
use super::support::online;
use crate::ids::NodeName;
use crate::policy::Policy;
use crate::snapshot::{CheckerLevel, CheckerLine, CheckerReport, Node, Snapshot};
use crate::version::Version;

pub(super) struct UpgradeChecker;

kinds! {
    NoChecker { node: NodeName } => Info, node,
        ("{node} has no upgrade checker (pve8to9)"),
        ("Nothing to do: it matters before a major upgrade only.");
    Unfinished { node: NodeName, tool: String, concerns: bool } => if concerns { Blocking } else { Warning }, node,
        ("{tool} on {node} died before its summary: it has not reported everything"),
        ("See why, on {node}: {tool} --full");
    Failure { node: NodeName, tool: String, text: String, concerns: bool } => if concerns { Blocking } else { Warning }, node,
        ("{tool} on {node}: {}: {text}", CheckerLevel::Fail),
        ("Do what it says, then on {node}: {tool} --full");
    Complaint { node: NodeName, tool: String, text: String } => Warning, node,
        ("{tool} on {node}: {}: {text}", CheckerLevel::Warn),
        ("Do what it says, then on {node}: {tool} --full");
    Summary { node: NodeName, tool: String, lines: usize, to_fix: usize, inherent: usize } => Info, node,
        ("{tool} on {node} reported {lines} lines: {to_fix} to fix, {inherent} that only its drain will change"),
        ("Nothing to do for this line; the matrix of `quorate preflight` shows all.");
}

impl Check for UpgradeChecker {
    const ID: &'static str = "upgrade-checker";
    const EXPLAIN: &'static str =
        "PVE's own checker (pve8to9 --full) is run on every node and each of its lines is read; its exit status is 0 \
         whatever it finds. It prepares for the next major release: where this run would install that, a failure is \
         blocking. Updates within a release do not depend on what it says, which is a warning at most then. What cannot be changed before a node is drained (guests \
         that run on it, updates that wait for this very run, noout not set) is for information. One that died before \
         its summary has not reported everything: blocking before a major upgrade. Fix each line as it says, and run \
         pve8to9 --full on the node again.";
    const WAIVABLE: Waivable = Waivable::Except("unfinished", UNSEEN);
    const ASKED: Asked = Asked::BeforeEachNode;
    type Found = Found;

    fn look(snapshot: &Snapshot, _policy: &Policy, found: &mut Vec<Found>) {
        for node in online(snapshot) {
            match node.host.checker.known() {
                Some(Some(checker)) => judge(node, checker, found),
                Some(None) => found.push(Found::NoChecker { node: node.name.clone() }),
                None => {}
            }
        }
    }
}

fn judge(node: &Node, checker: &CheckerReport, found: &mut Vec<Found>) {
    let (name, tool) = (|| node.name.clone(), || checker.tool.clone());
    let concerns = concerns_this_run(node, checker);
    if !checker.finished {
        found.push(Found::Unfinished { node: name(), tool: tool(), concerns });
    }
    let serious = checker.lines.iter().filter(|line| line.level >= CheckerLevel::Warn);
    let (inherent, to_fix): (Vec<_>, Vec<_>) = serious.partition(|line| is_inherent(line));
    found.extend(to_fix.iter().map(|line| match line.level {
        CheckerLevel::Fail => Found::Failure { node: name(), tool: tool(), text: line.text.clone(), concerns },
        _ => Found::Complaint { node: name(), tool: tool(), text: line.text.clone() },
    }));
    let (to_fix, inherent) = (to_fix.len(), inherent.len());
    found.push(Found::Summary { node: name(), tool: tool(), lines: checker.lines.len(), to_fix, inherent });
}

/// Would this run take the node to the release that the checker prepares for? Not known counts as yes.
fn concerns_this_run(node: &Node, checker: &CheckerReport) -> bool {
    let Some(target) = checker.target_major() else { return true };
    let is_there = |version: &Version| version.major().is_some_and(|major| u64::from(major) >= target);
    if node.pve_version.known().is_some_and(is_there) {
        return false;
    }
    let Some(packages) = node.packages.known() else { return true };
    packages.pending.iter().any(|package| package.name == "pve-manager" && is_there(&package.to))
}

/// What a node cannot get rid of before it is drained and upgraded. The words are the checker's own: it gives no ids.
pub fn is_inherent(line: &CheckerLine) -> bool {
    const WORDS: [&str; 5] = [
        "updates for the following packages are available",
        "running guest(s) detected",
        "'noout' flag not set",
        "noout' flag is not set",
        "a suitable kernel",
    ];
    line.level < CheckerLevel::Fail && WORDS.iter().any(|words| line.text.contains(words))
}
