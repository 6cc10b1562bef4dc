//! Will the node come up again, with all of its disks?

use std::collections::{BTreeMap, BTreeSet};

use super::check::{Asked, Check, Waivable, kinds};
use super::support::{has_turn, online, some};
use crate::ids::NodeName;
use crate::policy::Policy;
use crate::snapshot::{Disk, DiskPath, MdArray, Node, Snapshot, ZfsPool};

pub(super) struct DiskHealth;

/// Words of SMART with which there is nothing to say: all is well, or it cannot tell (a virtual disk, one behind a RAID
/// controller).
const NOTHING_TO_SAY: [&str; 5] = ["PASSED", "OK", "UNKNOWN", "N/A", ""];

/// What multipath's checkers say of a path that does not work (libmultipath).
const NOT_WORKING: [&str; 4] = ["faulty", "shaky", "timeout", "removed"];

kinds! {
    PoolImpaired { node: NodeName, pool: String, state: String, says: String, root: bool } => Blocking, node,
        ("ZFS pool {pool} of {node}{} is {state}: {says}", if root { ", with its system," } else { "" }),
        ("See which disk it is: zpool status {pool} on {node}. Replace it and wait until it is resilvered");
    PoolComplains { node: NodeName, pool: String, says: String } => Warning, node,
        ("ZFS pool {pool} of {node}: {says}"),
        ("Look at its counters: zpool status {pool} on {node}");
    ArrayImpaired { node: NodeName, array: String, works: u32, of: u32 } => Blocking, node,
        ("array {array} of {node} has {works} of its {of} disks"),
        ("See which is missing: mdadm --detail /dev/{array} on {node}. Replace it and wait until it is rebuilt: cat /proc/mdstat");
    ArrayInactive { node: NodeName, array: String } => Blocking, node,
        ("array {array} of {node} is not running: it could not be assembled"),
        ("See why: mdadm --detail /dev/{array} on {node}. One that is given up is stopped: mdadm --stop /dev/{array}");
    DiskFails { node: NodeName, device: String, model: String, serial: String, health: String } => Blocking, node,
        ("SMART says {health} of {device} of {node} ({model}, serial number {serial})"),
        ("See what it has counted: smartctl -a {device} on {node}. Replace the disk before a reboot asks the most of it");
    MapWithoutPath { node: NodeName, map: String, failed: Vec<String> } => Blocking, node,
        ("no path to multipath device {map} of {node} works: {}", some(&failed)),
        ("Look at them: multipath -ll {map} on {node}");
    PathsFailed { node: NodeName, map: String, failed: Vec<String>, left: usize } => Warning, node,
        ("paths to multipath device {map} of {node} do not work: {}; {left} left", some(&failed)),
        ("Look at them: multipath -ll {map} on {node}");
}

impl Check for DiskHealth {
    const ID: &'static str = "disk-health";
    const EXPLAIN: &'static str =
        "A reboot asks the most of disks, and a mirror that has lost one disk may lose the other one then: the node does \
         not come up. Blocking are a ZFS pool that is not ONLINE, an array of the kernel's RAID that lacks a disk or \
         does not run, a disk of which SMART says that it fails, and a multipath device without a path. A pool with \
         errors that is ONLINE, and a path that failed while others work, are warnings. Wear, and a disk of which SMART \
         says nothing (a virtual one, one behind a RAID controller), are no findings: ask the controller's own program. \
         Only nodes that are to go down are asked about. Repair it first, or waive it if you know better and have the \
         node's console at hand.";
    const WAIVABLE: Waivable = Waivable::Yes;
    const ASKED: Asked = Asked::BeforeEachNode;
    type Found = Found;

    fn look(snapshot: &Snapshot, policy: &Policy, found: &mut Vec<Found>) {
        for node in online(snapshot).filter(|node| has_turn(snapshot, node, policy)) {
            let disks = &node.host.disks;
            found.extend(disks.pools.known().into_iter().flatten().map(|pool| of_pool(node, pool)));
            found.extend(disks.arrays.known().into_iter().flatten().filter_map(|array| of_array(&node.name, array)));
            found.extend(disks.smart.known().into_iter().flatten().filter_map(|disk| of_disk(&node.name, disk)));
            of_paths(&node.name, disks.paths.known().into_iter().flatten(), found);
        }
    }
}

fn of_pool(node: &Node, pool: &ZfsPool) -> Found {
    let ZfsPool { name, state, says } = pool.clone();
    let on_it = |root: &String| root.split('/').next() == Some(name.as_str());
    let root = node.host.disks.root.known().is_some_and(on_it);
    let node = node.name.clone();
    match state.as_str() {
        "ONLINE" => Found::PoolComplains { node, pool: name, says },
        _ => Found::PoolImpaired { node, pool: name, state, says, root },
    }
}

fn of_array(node: &NodeName, array: &MdArray) -> Option<Found> {
    let (node, name) = (node.clone(), array.name.clone());
    match array.disks {
        _ if !array.active => Some(Found::ArrayInactive { node, array: name }),
        Some((of, works)) if works < of => Some(Found::ArrayImpaired { node, array: name, works, of }),
        _ => None,
    }
}

fn of_disk(node: &NodeName, disk: &Disk) -> Option<Found> {
    let Disk { device, model, serial, health } = disk.clone();
    let fails = !NOTHING_TO_SAY.contains(&health.trim());
    fails.then(|| Found::DiskFails { node: node.clone(), device, model, serial, health })
}

fn of_paths<'a>(node: &NodeName, paths: impl Iterator<Item = &'a DiskPath>, found: &mut Vec<Found>) {
    let mut maps: BTreeMap<&str, (BTreeSet<&str>, usize)> = BTreeMap::new();
    for path in paths {
        let (failed, left) = maps.entry(&path.map).or_default();
        match NOT_WORKING.contains(&path.state.as_str()) {
            true => drop(failed.insert(&path.device)),
            false => *left += 1,
        }
    }
    for (map, (failed, left)) in maps.into_iter().filter(|(_, (failed, _))| !failed.is_empty()) {
        let (node, map) = (node.clone(), map.to_owned());
        let failed = failed.into_iter().map(str::to_owned).collect();
        found.push(match left {
            0 => Found::MapWithoutPath { node, map, failed },
            left => Found::PathsFailed { node, map, failed, left },
        });
    }
}
