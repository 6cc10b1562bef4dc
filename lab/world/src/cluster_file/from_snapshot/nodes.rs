//! Nodes from a snapshot: their parts of the cluster file.

use std::collections::{BTreeMap, BTreeSet};

use quorate_core::ids::NodeName;
use quorate_core::observed::Observed;
use quorate_core::snapshot::{DaemonKind, MdArray, Node, Snapshot};

use super::super::NodePart;
use super::{GIB, Notes};
use crate::disks::{Disks, RecordedDisk};

const MEMORY_GIB: u64 = 64;
const CPUS: u32 = 16;
/// What a host needs for itself, unless it is a small one.
const HOST_GIB: u64 = 6;

/// Nodes of the cluster file.
pub(super) fn parts(snapshot: &Snapshot, notes: &mut Notes) -> Vec<NodePart> {
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
            installed: super::packages::installed(snapshot, node, notes),
            pinned: None,
            addresses: Vec::new(),
            paths: paths(snapshot, name),
            cpu_flags: node.cpu.known().map(|cpu| cpu.flags.iter().cloned().collect()).unwrap_or_default(),
            disks: disks(&node.host.disks),
        }
    };
    let mut parts: Vec<NodePart> = snapshot.nodes.values().map(part).collect();
    let links = snapshot.quorum.values().filter_map(Observed::known).map(|view| view.configured_links).max();
    for (index, part) in parts.iter_mut().enumerate() {
        part.addresses = in_network(snapshot, index);
        part.links = link_addresses(snapshot, &part.name);
        let made_up = |link| format!("10.{link}.{}.{}", index / 250, index % 250 + 1);
        let lacking: Vec<String> = (1..=links.unwrap_or(1).max(1)).skip(part.links.len()).map(made_up).collect();
        if !lacking.is_empty() {
            notes.guess(&part.name, "not all addresses of its corosync links are known: made up");
        }
        part.links.extend(lacking);
    }
    parts
}

/// The addresses of a node's links, as it has them itself; its own address at least.
fn link_addresses(snapshot: &Snapshot, node: &NodeName) -> Vec<String> {
    let view = snapshot.quorum.get(node).and_then(Observed::known);
    let links = view.map(|view| view.link_addresses.clone()).filter(|links| !links.is_empty());
    let own = || snapshot.nodes.get(node)?.host.network.own.known().map(ToString::to_string);
    links.unwrap_or_else(|| own().into_iter().collect())
}

/// What the node's disks say: what is well is the lab's default.
fn disks(seen: &quorate_core::snapshot::Disks) -> Disks {
    let pools = seen.pools.known().into_iter().flatten().map(|pool| (pool.name.clone(), pool.state.clone()));
    let shown = |array: &MdArray| match array.disks.filter(|_| array.active) {
        Some((of, works)) => {
            let of = of.min(64) as usize;
            format!("{:_<of$}", "U".repeat((works as usize).min(of)))
        }
        None => String::new(),
    };
    let counted = |array: &&MdArray| array.disks.is_some() || !array.active;
    let arrays = seen.arrays.known().into_iter().flatten().filter(counted);
    let recorded = seen.smart.known().into_iter().flatten().map(|disk| RecordedDisk {
        device: disk.device.clone(),
        model: disk.model.clone(),
        serial: disk.serial.clone(),
        health: disk.health.clone(),
    });
    let paths = seen.paths.known().into_iter().flatten();
    Disks {
        pools: pools.collect(),
        arrays: arrays.map(|array| (array.name.clone(), shown(array))).collect(),
        smart: BTreeMap::new(),
        recorded: recorded.collect(),
        paths: paths.map(|path| (path.device.clone(), format!("{} {}", path.map, path.state))).collect(),
    }
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
