//! Packages and kernels from a snapshot: what nodes run, have installed and are offered.

use std::collections::{BTreeMap, BTreeSet};

use quorate_core::ids::NodeName;
use quorate_core::snapshot::{Node, Packages, Snapshot};
use quorate_core::version::Version;

use super::super::KernelPart;
use super::super::plain::{Plain, plain};
use super::Notes;
use crate::World;
use crate::events::Event;
use crate::node::{Unit, UnitState};

/// A process of nobody in particular.
const PID: u32 = 4_711;
/// How long apt is at work on a node where it was.
const LOCKED_MS: u64 = 600_000;
/// Since then, `ha-manager status` says whether fencing is armed.
const SAYS_ARMED: &str = "5.1.3";

/// Packages of all nodes, what is newer in the repositories, and kernels.
pub(super) fn packages(
    snapshot: &Snapshot,
    notes: &mut Notes,
) -> (BTreeMap<String, String>, BTreeMap<String, String>, KernelPart) {
    let Plain { mut installed, kernel, ceph } = plain();
    if snapshot.ceph().is_some() {
        installed.extend(ceph.installed);
    }
    let mut archive: BTreeMap<String, Version> = BTreeMap::new();
    let mut upcoming: Option<Version> = None;
    for node in snapshot.nodes.values() {
        let known = notes.known(&node.name, &node.packages, "pending updates are not known: none");
        for package in known.into_iter().flat_map(|packages| &packages.pending) {
            if let (None, Some(release)) = (&package.from, kernel_of(&package.name)) {
                upcoming = upcoming.max(Some(Version::new(release)));
            } else if package.from.is_some() {
                let newest = archive.entry(package.name.clone()).or_insert_with(|| package.to.clone());
                *newest = newest.clone().max(package.to.clone());
            }
        }
    }
    let running = snapshot.nodes.values().find_map(|node| Some(node.kernel.known()?.running.to_string()));
    let kernel =
        KernelPart { running: running.unwrap_or(kernel.running), upcoming: upcoming.map(|v| v.to_string()), ..kernel };
    (installed, archive.into_iter().map(|(name, version)| (name, version.to_string())).collect(), kernel)
}

/// The release that a package `proxmox-kernel-RELEASE-signed` brings.
fn kernel_of(package: &str) -> Option<&str> {
    package.strip_prefix("proxmox-kernel-")?.strip_suffix("-signed")
}

/// What a node has besides what all have: the versions that were read. Snapshots of older versions only know what is
/// pending, and what is not is at its newest version.
pub(super) fn installed(snapshot: &Snapshot, node: &Node, notes: &mut Notes) -> BTreeMap<String, String> {
    let mut installed: BTreeMap<String, String> = ceph_packages(snapshot, &node.name);
    if let Some(packages) = node.packages.known() {
        let newest = snapshot.nodes.values().filter_map(|node| node.packages.known());
        let newest = newest.flat_map(|packages| &packages.pending).filter(|package| package.from.is_some());
        installed.extend(newest.map(|package| (package.name.clone(), package.to.to_string())));
        let older = packages.pending.iter().filter_map(|package| Some((&package.name, package.from.as_ref()?)));
        installed.extend(older.chain(&packages.installed).map(|(name, version)| (name.clone(), version.to_string())));
    }
    let read = [
        ("pve-manager", &node.pve_version),
        ("pve-qemu-kvm", &node.qemu_version),
        ("corosync", &node.corosync_version),
    ];
    for (package, version) in read {
        let guess = format!("the version of {package} is not known: that of a plain PVE 9.1");
        let version = notes.known(&node.name, version, &guess);
        installed.extend(version.map(|version| (package.to_owned(), version.to_string())));
    }
    // What is not listed is the same everywhere.
    let newest = snapshot.nodes.values().filter_map(|node| node.pve_version.known()).max();
    if let Some(manager) = newest {
        let release: Vec<&str> = manager.as_str().split(['.', '-']).take(2).collect();
        installed.entry("proxmox-ve".to_owned()).or_insert(format!("{}.0", release.join(".")));
    }
    if snapshot.ha.known().is_some_and(|ha| ha.armed.is_some()) {
        installed.entry("pve-ha-manager".to_owned()).or_insert(SAYS_ARMED.to_owned());
    }
    installed
}

/// Ceph's packages have the version that Ceph reports of the node.
fn ceph_packages(snapshot: &Snapshot, node: &NodeName) -> BTreeMap<String, String> {
    let Some(version) = snapshot.ceph().and_then(|ceph| ceph.installed.get(node)) else { return BTreeMap::new() };
    plain().ceph.installed.into_keys().map(|name| (name, format!("{version}-pve1"))).collect()
}

/// Sets what each node has, is offered, holds and works on.
pub(super) fn adjust(world: &mut World, snapshot: &Snapshot) {
    let compared: BTreeSet<&String> =
        snapshot.nodes.values().filter_map(|node| node.packages.known()).flat_map(|all| all.installed.keys()).collect();
    for (name, seen) in &snapshot.nodes {
        without_ceph(world, snapshot, name);
        if let Some(packages) = seen.packages.known() {
            of_node(world, name, packages, &compared);
            offers(world, name, packages);
        }
        let Some(node) = world.nodes.get_mut(name) else { continue };
        if let (Some(runs), Some(installed)) = (seen.running_manager.known(), seen.pve_version.known()) {
            node.old_manager = (runs != installed).then(|| runs.clone());
        }
        if let Some(kernel) = seen.kernel.known() {
            node.kernel.running = kernel.running.clone();
            node.kernel.installed = kernel.installed.clone();
            node.kernel.pinned = kernel.pinned.clone();
            node.kernel.next_boot = kernel.next_boot.clone();
        }
        if let Some(Some(unit)) = seen.upgrade_unit.known() {
            upgrade_unit(world, name, unit);
        }
    }
}

/// A node of which Ceph knows no version has none of its daemons' packages.
fn without_ceph(world: &mut World, snapshot: &Snapshot, name: &NodeName) {
    let Some(ceph) = snapshot.ceph().filter(|ceph| !ceph.installed.is_empty()) else { return };
    let Some(node) = world.nodes.get_mut(name).filter(|_| !ceph.installed.contains_key(name)) else { return };
    node.compute_only = true;
    for package in plain().ceph.installed.into_keys() {
        node.packages.installed.remove(&package);
    }
}

fn of_node(world: &mut World, name: &NodeName, seen: &Packages, compared: &BTreeSet<&String>) {
    let clock_ms = world.clock_ms(name);
    let Some(here) = world.nodes.get_mut(name).map(|node| &mut node.packages) else { return };
    let before = here.installed.clone();
    here.installed.retain(|package, _| !compared.contains(package) || seen.installed.contains_key(package));
    here.held = seen.held.iter().cloned().collect();
    here.removals = seen.removals.iter().cloned().collect();
    here.kept = seen.kept_back.iter().cloned().collect();
    here.broken = seen.broken.clone();
    here.interrupted = !seen.broken.is_empty();
    // A package that is named there is installed there, though not listed with those that are whole.
    let named = seen.held.iter().chain(&seen.removals).chain(&seen.kept_back).chain(&seen.broken);
    for package in named {
        let version = || before.get(package).cloned().unwrap_or_else(|| Version::new("1.0"));
        here.installed.entry(package.clone()).or_insert_with(version);
    }
    here.lists_at_ms = seen.lists_age_s.map_or(0, |age_s| clock_ms.saturating_sub(age_s * 1000));
    if seen.locked {
        here.locked_by = Some(PID);
        world.events.at(world.now_ms + LOCKED_MS, Event::DpkgUnlocked(name.clone()));
    }
}

/// What the node's own lists offer; the repositories have the newest of it all.
fn offers(world: &mut World, name: &NodeName, seen: &Packages) {
    let Some(here) = world.nodes.get_mut(name).map(|node| &mut node.packages) else { return };
    here.lists = here.installed.clone();
    for package in &seen.pending {
        here.lists.insert(package.name.clone(), package.to.clone());
        world.archive.origins.insert(package.name.clone(), package.origin.clone());
        if package.from.is_none() {
            world.archive.kernels.insert(package.name.clone(), package.to.clone());
        }
    }
}

/// Quorate's own upgrade of a run that was under way.
fn upgrade_unit(world: &mut World, name: &NodeName, seen: &quorate_core::snapshot::UpgradeUnit) {
    use quorate_core::snapshot::{UnitOutcome, UnitState as Seen};
    let status = |how: &str| how.rsplit(' ').next().and_then(|word| word.parse().ok()).unwrap_or(1);
    let log_path = format!("/var/log/{}.log", seen.unit);
    let (state, tail) = match &seen.state {
        Seen::Running => (UnitState::Running, &Vec::new()),
        Seen::Ended(UnitOutcome::Success) => (UnitState::Exited(0), &Vec::new()),
        Seen::Ended(UnitOutcome::Failed { how, tail }) => (UnitState::Exited(status(how)), tail),
    };
    let (name_of_unit, started_ms) = (seen.unit.clone(), world.now_ms);
    let Some(node) = world.nodes.get_mut(name) else { return };
    node.unit_logs.insert(log_path.clone(), tail.clone());
    let unit =
        Unit { name: seen.unit.clone(), log_path: Some(log_path), started_ms, pid: PID, answers_itself: true, state };
    node.units.insert(seen.unit.clone(), unit);
    if state == UnitState::Running {
        let boots = node.boots;
        world.events.at(started_ms + 1_500, Event::UnitStep(name.clone(), name_of_unit, boots, 0));
    }
}
