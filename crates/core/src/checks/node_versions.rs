//! Do the nodes run the same release?

use std::collections::BTreeMap;

use super::support::{Report, online};
use super::{Check, Finding, Severity, Subject};
use crate::ids::NodeName;
use crate::policy::Policy;
use crate::snapshot::{Node, Snapshot};
use crate::version::Version;

pub(super) struct NodeVersions;

impl Check for NodeVersions {
    fn id(&self) -> &'static str {
        "node-versions"
    }

    fn explain(&self) -> &'static str {
        "Different builds of one major release are what an upgrade that was begun looks like: for information. Different \
         major releases of PVE, of its corosync, or pending packages of another PVE major are blocking: a major upgrade \
         has a procedure and checks of its own, which this run does not do."
    }

    fn run(&self, snapshot: &Snapshot, _policy: &Policy) -> Vec<Finding> {
        let mut report = Report::of(self);
        let read = |node: &Node| node.pve_version.known().cloned();
        compare("PVE", &by_version(snapshot, read), &mut report);
        compare("corosync", &by_version(snapshot, |node| node.corosync_version.known().cloned()), &mut report);
        for node in online(snapshot) {
            let Some(running) = node.pve_version.known().and_then(Version::major) else { continue };
            let pending = node.packages.known().map_or(&[][..], |packages| &packages.pending);
            let manager = pending.iter().find(|package| package.name == "pve-manager");
            if let Some(package) = manager.filter(|package| package.to.major() != Some(running)) {
                report.add(
                    Severity::Blocking,
                    &node.name,
                    format!(
                        "the upgrade would take {} from PVE {running} to {}: a major upgrade",
                        node.name, package.to
                    ),
                    "Set the repositories back to the release that runs: a major upgrade is not done by this run",
                );
            }
        }
        report.findings()
    }
}

fn by_version(snapshot: &Snapshot, read: impl Fn(&Node) -> Option<Version>) -> BTreeMap<Version, Vec<&NodeName>> {
    let mut versions: BTreeMap<Version, Vec<&NodeName>> = BTreeMap::new();
    for node in online(snapshot) {
        if let Some(version) = read(node) {
            versions.entry(version).or_default().push(&node.name);
        }
    }
    versions
}

fn compare(what: &str, versions: &BTreeMap<Version, Vec<&NodeName>>, report: &mut Report) {
    if versions.len() < 2 {
        return;
    }
    let line = |(version, nodes): (&Version, &Vec<&NodeName>)| {
        format!("{version} on {}", nodes.iter().map(|node| node.as_str()).collect::<Vec<_>>().join(", "))
    };
    let list: Vec<String> = versions.iter().map(line).collect();
    let mut majors = versions.keys().map(Version::major);
    let first = majors.next();
    let (severity, word, remedy) = match majors.all(|major| Some(major) == first) {
        true => (Severity::Info, "builds", "Nothing to do: the run brings them together."),
        false => (Severity::Blocking, "major releases", "Finish the major upgrade first, by its own procedure"),
    };
    report.add(
        severity,
        Subject::Cluster,
        format!("nodes run different {word} of {what}: {}", list.join("; ")),
        remedy,
    );
}
