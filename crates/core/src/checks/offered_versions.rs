//! Is each node offered what the others have or are offered?

use std::collections::BTreeMap;

use super::check::{Asked, Check, Waivable, kinds};
use super::finding::Severity;
use super::support::{online, some};
use crate::ids::NodeName;
use crate::policy::Policy;
use crate::snapshot::{Node, Snapshot};
use crate::steps::LISTS_MAX_AGE_S;
use crate::version::Version;

pub(super) struct OfferedVersions;

kinds! {
    Behind { node: NodeName, packages: Vec<String>, severity: Severity } => severity, node,
        ("{node} is not offered what other nodes have or are offered: {}", some(&packages)),
        ("Read the lists again (quorate preflight). If it remains, find out why, on {node}: apt-get update (and \
          read its warnings), then apt-cache policy PACKAGE, there and on \
          the other node: a mirror that lags behind, another source, a pin in /etc/apt/preferences.d");
}

impl Check for OfferedVersions {
    const ID: &'static str = "offered-versions";
    const EXPLAIN: &'static str =
        "What a node has installed and what it is offered are compared with the other nodes, package by package. A node \
         that is offered less than another one has or is offered would stay behind: its mirror is stale, its sources \
         are others, or a package is pinned there. It is not up to date because nothing is pending: guests that have \
         moved to newer nodes could not come back to it. Blocking where it concerns packages that decide where guests \
         can run (PVE, QEMU, corosync, Ceph, the kernel), a warning for others, \
         and where its lists are older than those of the other node. What is held with `apt-mark hold` is \
         reported by held-packages.";
    const WAIVABLE: Waivable = Waivable::Yes;
    const ASKED: Asked = Asked::BeforeEachNode;
    type Found = Found;

    fn look(snapshot: &Snapshot, _policy: &Policy, found: &mut Vec<Found>) {
        let then: Vec<_> = online(snapshot).map(|node| (node, versions_then(node))).collect();
        let mut newest: BTreeMap<&str, (&Version, &NodeName)> = BTreeMap::new();
        for (node, versions) in &then {
            for (package, version) in versions {
                let best = newest.entry(package).or_insert((version, &node.name));
                if *version > best.0 {
                    *best = (version, &node.name);
                }
            }
        }
        for (node, versions) in &then {
            let held = node.packages.known().map_or(&[][..], |packages| &packages.held);
            let mut behind: Vec<(&str, String)> = Vec::new();
            let mut by_age = false;
            for (package, version) in versions {
                let Some((newest, on)) = newest.get(package).filter(|(newest, _)| *version < *newest) else { continue };
                if !held.iter().any(|held| held == package) {
                    by_age |= is_older(node, snapshot.nodes.get(*on));
                    behind.push((package, format!("{package} {version} ({newest} on {on})")));
                }
            }
            behind.sort_by_key(|(package, _)| rank(package));
            let severity = match behind.first() {
                None => continue,
                Some((package, _)) if rank(package) < REST && !by_age => Severity::Blocking,
                Some(_) => Severity::Warning,
            };
            let packages = behind.into_iter().map(|(_, what)| what).collect();
            found.push(Found::Behind { node: node.name.clone(), packages, severity });
        }
    }
}

/// Are the lists of a node older than those of the other one, or too old for a run to plan by? Then reading them again
/// may be all that is needed, and a run does that.
fn is_older(node: &Node, other: Option<&Node>) -> bool {
    const SAME_TIME_S: u64 = 300;
    let age_s = |node: &Node| node.packages.known()?.lists_age_s;
    let Some(mine) = age_s(node) else { return true };
    mine > LISTS_MAX_AGE_S || other.and_then(age_s).is_some_and(|theirs| mine > theirs + SAME_TIME_S)
}

/// By package: what the node has installed once everything is installed that it is offered.
fn versions_then(node: &Node) -> BTreeMap<&str, &Version> {
    let mut versions: BTreeMap<&str, &Version> = BTreeMap::new();
    let read =
        [("pve-manager", &node.pve_version), ("pve-qemu-kvm", &node.qemu_version), ("corosync", &node.corosync_version)];
    versions.extend(read.into_iter().filter_map(|(package, version)| Some((package, version.known()?))));
    let Some(packages) = node.packages.known() else { return BTreeMap::new() };
    versions.extend(packages.installed.iter().map(|(package, version)| (package.as_str(), version)));
    // A package that is new there is compared as well: others may have it installed.
    versions.extend(packages.pending.iter().map(|pending| (pending.name.as_str(), &pending.to)));
    versions
}

/// Packages that decide where guests can run, and what serves their data: these first, and then their families.
const DECIDE: [&str; 8] = [
    "pve-manager",
    "pve-qemu-kvm",
    "qemu-server",
    "corosync",
    "pve-cluster",
    "pve-ha-manager",
    "proxmox-ve",
    "proxmox-default-kernel",
];
const FAMILIES: [&str; 3] = ["proxmox-kernel-", "pve-kernel-", "ceph"];

/// The rank of all other packages.
const REST: usize = DECIDE.len() + 1;

fn rank(package: &str) -> usize {
    let family = FAMILIES.iter().any(|family| package.starts_with(family));
    DECIDE.iter().position(|one| *one == package).unwrap_or(if family { DECIDE.len() } else { REST })
}
