//! Nodes, packages and kernels from a snapshot.

use std::collections::{BTreeMap, BTreeSet};

use quorate_core::ids::NodeName;
use quorate_core::observed::Observed;
use quorate_core::snapshot::{DaemonKind, Node, Snapshot};
use quorate_core::version::Version;

use super::super::plain::{Plain, plain};
use super::super::{KernelPart, NodePart};
use super::{GIB, Notes};
use crate::World;

const MEMORY_GIB: u64 = 64;
const CPUS: u32 = 16;
/// What a host needs for itself, unless it is a small one.
const HOST_GIB: u64 = 6;

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
            match (&package.from, kernel_of(&package.name)) {
                (None, Some(release)) => upcoming = upcoming.max(Some(Version::new(release))),
                (None, None) => notes.guess(&package.name, "a package that would be new is left out"),
                (Some(_), _) => {
                    let newest = archive.entry(package.name.clone()).or_insert_with(|| package.to.clone());
                    *newest = newest.clone().max(package.to.clone());
                }
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

/// Nodes of the cluster file.
pub(super) fn parts(snapshot: &Snapshot, notes: &mut Notes) -> Vec<NodePart> {
    notes.guess("corosync links", "their addresses are not known: the first is the lab's");
    let newest = newest(snapshot);
    let part = |node: &Node| {
        let name = &node.name;
        let memory =
            notes.known(name, &node.memory, "memory is not known: 64 GiB").map(|memory| memory.total_bytes / GIB);
        let memory_gib = memory.unwrap_or(MEMORY_GIB);
        let cpus = notes.known(name, &node.cpu, "processors are not known: 16").map(|cpu| cpu.count);
        NodePart {
            name: name.clone(),
            memory_gib,
            cpus: cpus.unwrap_or(CPUS),
            links: Vec::new(),
            votes: votes(snapshot, node),
            host_used_gib: HOST_GIB.min(memory_gib / 8),
            osds: snapshot.ceph().map_or(0, |ceph| ceph.osds_on(name).count() as u32),
            ceph: daemons(snapshot, node),
            crush_hosts: Vec::new(),
            compute_only: false,
            installed: installed(node, &newest, notes),
            pinned: None,
            addresses: Vec::new(),
            paths: paths(snapshot, name),
            cpu_flags: node.cpu.known().map(|cpu| cpu.flags.iter().cloned().collect()).unwrap_or_default(),
        }
    };
    let mut parts: Vec<NodePart> = snapshot.nodes.values().map(part).collect();
    let links = snapshot.quorum.values().filter_map(Observed::known).map(|view| view.configured_links).max();
    for (index, part) in parts.iter_mut().enumerate() {
        part.addresses = in_network(snapshot, index);
        part.links = (1..=links.unwrap_or(1).max(1))
            .map(|link| format!("10.{link}.{}.{}", index / 250, index % 250 + 1))
            .collect();
    }
    parts
}

/// An address in the network of migrations, if that has room for one of each node.
fn in_network(snapshot: &Snapshot, index: usize) -> Vec<String> {
    let network = snapshot.options.known().and_then(|options| options.migration_network.as_deref());
    let parts = network.and_then(|network| network.split_once('/'));
    let address = parts.and_then(|(base, prefix)| {
        let base: std::net::Ipv4Addr = base.parse().ok()?;
        let host = u32::try_from(index).ok()?.checked_add(1)?;
        Some(format!("{}/{prefix}", std::net::Ipv4Addr::from_bits(base.to_bits().checked_add(host)?)))
    });
    address.into_iter().collect()
}

/// What guests need of the node, and what it has.
fn paths(snapshot: &Snapshot, node: &NodeName) -> Vec<String> {
    let facts = snapshot.guests.values().filter_map(|guest| guest.migration.known());
    let there =
        facts.flat_map(|facts| &facts.host_needs).filter(|need| need.on.get(node).is_some_and(|on| on.is(&true)));
    let paths: BTreeSet<&String> = there.map(|need| &need.what).filter(|what| what.starts_with('/')).collect();
    paths.into_iter().cloned().collect()
}

fn votes(snapshot: &Snapshot, node: &Node) -> u32 {
    snapshot.configured_votes.known().and_then(|votes| votes.get(&node.name)).copied().unwrap_or(1)
}

fn daemons(snapshot: &Snapshot, node: &Node) -> Vec<String> {
    let all = snapshot.ceph().into_iter().flat_map(|ceph| &ceph.daemons);
    let word = |kind| match kind {
        DaemonKind::Mon => Some("mon"),
        DaemonKind::Mgr => Some("mgr"),
        DaemonKind::Mds => Some("mds"),
        DaemonKind::Osd => None,
    };
    all.filter(|daemon| daemon.node == node.name).filter_map(|daemon| Some(word(daemon.kind)?.to_owned())).collect()
}

/// The newest version of each package that any node would get.
fn newest(snapshot: &Snapshot) -> BTreeMap<String, Version> {
    let mut newest: BTreeMap<String, Version> = BTreeMap::new();
    let packages = snapshot.nodes.values().filter_map(|node| node.packages.known());
    for package in packages.flat_map(|packages| &packages.pending).filter(|package| package.from.is_some()) {
        let entry = newest.entry(package.name.clone()).or_insert_with(|| package.to.clone());
        *entry = entry.clone().max(package.to.clone());
    }
    newest
}

/// What a node has: the versions that were read; a package that is not pending is already at its newest version.
fn installed(node: &Node, newest: &BTreeMap<String, Version>, notes: &mut Notes) -> BTreeMap<String, String> {
    let mut installed: BTreeMap<String, String> = BTreeMap::new();
    if let Some(packages) = node.packages.known() {
        installed.extend(newest.iter().map(|(name, version)| (name.clone(), version.to_string())));
        let older = packages.pending.iter().filter_map(|package| Some((&package.name, package.from.as_ref()?)));
        installed.extend(older.map(|(name, version)| (name.clone(), version.to_string())));
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
    installed
}

/// Sets what a cluster file cannot express about a node.
pub(super) fn adjust(world: &mut World, snapshot: &Snapshot) {
    for (name, seen) in &snapshot.nodes {
        let Some(node) = world.nodes.get_mut(name) else { continue };
        if let Some(memory) = seen.memory.known() {
            node.memory_bytes = memory.total_bytes;
        }
        if let Some(kernel) = seen.kernel.known() {
            node.kernel.running = kernel.running.clone();
            node.kernel.installed = kernel.installed.clone();
            node.kernel.pinned = kernel.pinned.clone();
            node.kernel.next_boot = kernel.next_boot.clone();
        }
        if let Some(uptime_s) = seen.uptime_s.known() {
            node.booted_ms = world.now_ms.saturating_sub(uptime_s * 1000);
        }
        if let Some(free_bytes) = seen.root_free_bytes.known() {
            node.root_free_bytes = *free_bytes;
        }
        if let Some(free_bytes) = seen.boot_free_bytes.known() {
            node.boot_free_bytes = *free_bytes;
        }
        if let Some(cpu) = seen.cpu.known() {
            node.cpu_model = cpu.model.clone();
            node.cpu_flags = cpu.flags.iter().cloned().collect();
        }
        if let Some(bridges) = seen.bridges.known() {
            node.bridges = bridges.iter().cloned().collect();
        }
    }
}
