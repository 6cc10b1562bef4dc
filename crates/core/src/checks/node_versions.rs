//! Do the nodes run the same release?

use std::collections::BTreeMap;

use super::check::{Asked, Check, Waivable, kinds};
use super::support::online;
use crate::ids::NodeName;
use crate::observed::Observed;
use crate::policy::Policy;
use crate::snapshot::{Node, Snapshot};
use crate::version::Version;

pub(super) struct NodeVersions;

kinds! {
    BuildsMixed { what: &'static str, run: String } => Info, Cluster,
        ("nodes run different builds of {what}: {run}"),
        ("Nothing to do: the run brings them together.");
    BuildsStayMixed { what: &'static str, run: String } => Warning, Cluster,
        ("nodes run different builds of {what}, and are not offered the same: {run}"),
        ("Find out why, on the older nodes: apt-get update (and read its warnings), then apt-cache policy");
    MajorsMixed { what: &'static str, run: String } => Blocking, Cluster,
        ("nodes run different major releases of {what}: {run}"),
        ("Finish the major upgrade first, by its own procedure");
    MajorPending { node: NodeName, running: u32, to: Version } => Blocking, node,
        ("the upgrade would take {node} from PVE {running} to {to}: a major upgrade"),
        ("Set the repositories back to the release that runs: a major upgrade is not done by this run");
}

impl Check for NodeVersions {
    const ID: &'static str = "node-versions";
    const EXPLAIN: &'static str =
        "Different builds of one major release are what an upgrade that is under way looks like: for information where \
         a run ends it, a warning where the nodes are not offered the same. \
         Different major releases of PVE, of its corosync, or pending packages of another PVE major are blocking: a \
         major upgrade has a procedure and checks of its own, which this run does not do.";
    const WAIVABLE: Waivable = Waivable::WarningsOnly("a major upgrade is not what this run does");
    const ASKED: Asked = Asked::BeforeARun;
    type Found = Found;

    fn look(snapshot: &Snapshot, _policy: &Policy, found: &mut Vec<Found>) {
        let pve = by_version(snapshot, |node| node.pve_version.known().cloned());
        let corosync = by_version(snapshot, |node| node.corosync_version.known().cloned());
        let end_alike = |package, now: fn(&Node) -> &Observed<Version>| {
            let then = |node: &Node| packages_then(node, package).or(now(node).known()).cloned();
            by_version(snapshot, then).len() < 2
        };
        found.extend(compare("PVE", &pve, end_alike("pve-manager", |node| &node.pve_version)));
        found.extend(compare("corosync", &corosync, end_alike("corosync", |node| &node.corosync_version)));
        for node in online(snapshot) {
            let Some(running) = node.pve_version.known().and_then(Version::major) else { continue };
            let pending = node.packages.known().map_or(&[][..], |packages| &packages.pending);
            let manager = pending.iter().find(|package| package.name == "pve-manager");
            if let Some(package) = manager.filter(|package| package.to.major() != Some(running)) {
                found.push(Found::MajorPending { node: node.name.clone(), running, to: package.to.clone() });
            }
        }
    }
}

/// The version of a package that is pending on a node.
fn packages_then<'a>(node: &'a Node, package: &str) -> Option<&'a Version> {
    let pending = &node.packages.known()?.pending;
    pending.iter().find(|pending| pending.name == package).map(|pending| &pending.to)
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

fn compare(what: &'static str, versions: &BTreeMap<Version, Vec<&NodeName>>, end_alike: bool) -> Option<Found> {
    if versions.len() < 2 {
        return None;
    }
    let line = |(version, nodes): (&Version, &Vec<&NodeName>)| {
        format!("{version} on {}", nodes.iter().map(|node| node.as_str()).collect::<Vec<_>>().join(", "))
    };
    let run = versions.iter().map(line).collect::<Vec<_>>().join("; ");
    let mut majors = versions.keys().map(Version::major);
    let first = majors.next();
    let one_major = majors.all(|major| Some(major) == first);
    Some(match (one_major, end_alike) {
        (false, _) => Found::MajorsMixed { what, run },
        (true, true) => Found::BuildsMixed { what, run },
        (true, false) => Found::BuildsStayMixed { what, run },
    })
}
