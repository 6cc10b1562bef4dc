//! What becomes of the packages of each node: from which version to which.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::ids::NodeName;
use crate::snapshot::Snapshot;
use crate::version::Version;

/// The same changes on some nodes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upgrade {
    /// The nodes.
    pub nodes: BTreeSet<NodeName>,
    /// What changes there, by the package's name.
    pub packages: Vec<PackageChange>,
}

/// A package that changes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PackageChange {
    /// The package's name.
    pub name: String,
    /// The installed version; none for a new package.
    pub from: Option<Version>,
    /// The version that it has then.
    pub to: Version,
}

/// A part of the system that people ask about first.
#[derive(Clone, Copy)]
enum Part {
    /// Proxmox VE itself, by its manager.
    Pve,
    /// The kernel that boots by default.
    Kernel,
    /// Ceph's programs.
    Ceph,
}

impl Part {
    /// All, in the order in which they are named.
    const ALL: [Self; 3] = [Self::Pve, Self::Kernel, Self::Ceph];

    /// As people name it.
    fn name(self) -> &'static str {
        match self {
            Self::Pve => "PVE",
            Self::Kernel => "kernel",
            Self::Ceph => "Ceph",
        }
    }

    /// Is this the package whose version stands for the part? A kernel comes as a package of its own, named after it
    /// (`proxmox-kernel-6.17.4-2-pve-signed`), and as `proxmox-kernel-6.17`, which names the newest of its series.
    fn is_told_by(self, package: &str) -> bool {
        let series = || package.strip_prefix("proxmox-kernel-").or_else(|| package.strip_prefix("pve-kernel-"));
        match self {
            Self::Pve => package == "pve-manager",
            Self::Kernel => series().is_some_and(|series| series.chars().all(|c| c.is_ascii_digit() || c == '.')),
            Self::Ceph => package == "ceph-common",
        }
    }
}

impl PackageChange {
    /// `9.1.1 → 9.1.4`, or `new → 9.1.4`.
    pub fn versions(&self) -> String {
        let from = self.from.as_ref().map_or_else(|| "new".to_owned(), ToString::to_string);
        format!("{from} → {}", self.to)
    }
}

impl Upgrade {
    /// The parts that change, `PVE 9.1.1 → 9.1.4`.
    pub fn parts(&self) -> impl Iterator<Item = String> {
        Part::ALL.into_iter().filter_map(|part| {
            let change = self.packages.iter().find(|package| part.is_told_by(&package.name))?;
            Some(format!("{} {}", part.name(), change.versions()))
        })
    }
}

/// What changes on these nodes, as far as it is known: nodes with the same changes together, the largest group first.
pub(crate) fn upgrades<'a>(snapshot: &Snapshot, nodes: impl IntoIterator<Item = &'a NodeName>) -> Vec<Upgrade> {
    let mut groups: BTreeMap<Vec<PackageChange>, BTreeSet<NodeName>> = BTreeMap::new();
    for node in nodes {
        let Some(packages) = snapshot.nodes.get(node).and_then(|node| node.packages.known()) else { continue };
        let mut changes: Vec<PackageChange> = packages
            .pending
            .iter()
            .map(|package| PackageChange {
                name: package.name.clone(),
                from: package.from.clone(),
                to: package.to.clone(),
            })
            .collect();
        changes.sort();
        if !changes.is_empty() {
            groups.entry(changes).or_default().insert(node.clone());
        }
    }
    let mut all: Vec<Upgrade> = groups.into_iter().map(|(packages, nodes)| Upgrade { nodes, packages }).collect();
    all.sort_by_key(|upgrade| std::cmp::Reverse(upgrade.nodes.len()));
    all
}

/// What is offered differently.
pub(super) fn differences(mine: &[Upgrade], theirs: &[Upgrade]) -> Vec<String> {
    let all = |upgrades: &[Upgrade]| -> BTreeSet<(NodeName, PackageChange)> {
        let of = |upgrade: &Upgrade| -> Vec<(NodeName, PackageChange)> {
            let each = upgrade.nodes.iter();
            each.flat_map(|node| upgrade.packages.iter().map(move |package| (node.clone(), package.clone()))).collect()
        };
        upgrades.iter().flat_map(of).collect()
    };
    let (mine, theirs) = (all(mine), all(theirs));
    let line = |(node, package): &(NodeName, PackageChange), words: &str| {
        format!("{node}: {} {words} {}", package.name, package.to)
    };
    let gone = mine.difference(&theirs).map(|change| line(change, "is not offered any more as"));
    let new = theirs.difference(&mine).map(|change| line(change, "is now offered as"));
    gone.chain(new).collect()
}
