//! The cluster of a seed: how many nodes, whose votes count more, Ceph or not, HA or not, which releases.
//!
//! Small clusters come most often, because most faults have room in three nodes; up to sixteen occur. What is drawn is
//! a cluster file, so that a seed's cluster can be written down and looked at.

use std::collections::{BTreeMap, BTreeSet};

use quorate_core::ids::{GuestId, NodeName};
use quorate_core::policy::{ConsentKind, GuestPolicy, Policy, RebootWhen, StoppedGuests};

use quorate_world::cluster_file::{
    CephPart, ClusterFile, ClusterFileError, DEMO, GuestPart, NodePart, RulePart, StoragePart,
};
use quorate_world::events::Rng;

/// Draws with words instead of sums.
pub(super) trait Draw {
    /// True in so many of a hundred cases.
    fn percent(&mut self, percent: u64) -> bool;
    /// One of these.
    fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T>;
}

impl Draw for Rng {
    fn percent(&mut self, percent: u64) -> bool {
        self.between(1, 100) <= percent
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        let last = u64::try_from(from.len()).ok()?.checked_sub(1)?;
        from.get(usize::try_from(self.between(0, last)).ok()?)
    }
}

/// Memory of each node, GiB; six are the host's own.
const NODE_GIB: u64 = 32;

/// Draws a cluster.
///
/// # Errors
/// The demo's file, from which releases and packages are taken, cannot be read.
pub(super) fn cluster(rng: &mut Rng) -> Result<ClusterFile, ClusterFileError> {
    let mut file = ClusterFile::parse(DEMO)?;
    let count = match rng.between(1, 100) {
        1..=3 => 2,
        4..=64 => 3,
        65..=82 => 4,
        83..=92 => 5,
        93..=97 => rng.between(6, 8),
        _ => rng.between(9, 16),
    };
    let has_ceph = count >= 3 && rng.percent(50);
    let links = rng.between(1, 2);
    file.cluster.name = "swarm".to_owned();
    file.cluster.qdevice_votes = (count == 2 || (count % 2 == 0 && rng.percent(40))).then_some(1);
    file.nodes = (1..=count).map(|number| node(rng, number, links, has_ceph)).collect();
    if count >= 4 && rng.percent(15) {
        file.nodes[0].votes = 2;
    }
    if rng.percent(20) {
        half_way(rng, &mut file);
    }
    file.options.shutdown_policy =
        rng.pick(&[None, Some("freeze"), Some("failover"), Some("migrate")]).copied().flatten().map(str::to_owned);
    storages(&mut file, has_ceph);
    guests(rng, &mut file, has_ceph);
    rules(rng, &mut file);
    file.backups.clear();
    Ok(file)
}

fn node(rng: &mut Rng, number: u64, links: u64, has_ceph: bool) -> NodePart {
    let hosts_osds = has_ceph && (number <= 3 || rng.percent(50));
    let daemons: &[&str] = if has_ceph && number <= 3 { &["mon", "mgr"] } else { &[] };
    NodePart {
        name: NodeName::new(format!("pve{number}")),
        memory_gib: NODE_GIB,
        cpus: 16,
        links: (1..=links).map(|net| format!("10.10.{net}.{number}")).collect(),
        votes: 1,
        host_used_gib: 6,
        osds: if hosts_osds { 1 } else { 0 },
        ceph: daemons.iter().map(|kind| (*kind).to_owned()).collect(),
        crush_hosts: Vec::new(),
        compute_only: false,
        installed: BTreeMap::new(),
        pinned: None,
        addresses: vec![format!("10.10.3.{number}/24")],
        paths: Vec::new(),
        cpu_flags: Vec::new(),
        disks: quorate_world::disks::Disks::default(),
    }
}

/// An upgrade was begun by hand before: some nodes have some of the new packages.
fn half_way(rng: &mut Rng, file: &mut ClusterFile) {
    let newer: Vec<(String, String)> = file
        .archive
        .iter()
        .filter(|(name, _)| !name.starts_with("ceph") && !name.starts_with("proxmox-kernel"))
        .map(|(name, version)| (name.clone(), version.clone()))
        .collect();
    for node in &mut file.nodes {
        if rng.percent(30) {
            node.installed = newer.iter().cloned().collect();
        }
    }
}

fn storages(file: &mut ClusterFile, has_ceph: bool) {
    if has_ceph {
        if let Some(CephPart { fs, pools, .. }) = &mut file.ceph {
            *fs = None;
            pools.retain(|pool| pool.name == "vms" || pool.name == ".mgr");
            for pool in pools.iter_mut().filter(|pool| pool.name == "vms") {
                (pool.pg_num, pool.stored_gib) = (16, 200);
            }
        }
        file.storages.retain(|storage| storage.kind != "cephfs");
        return;
    }
    file.ceph = None;
    file.storages.retain(|storage| !storage.shared);
    let shared = StoragePart {
        id: "vms".into(),
        kind: "nfs".to_owned(),
        shared: true,
        content: vec!["images".to_owned(), "rootdir".to_owned()],
        nodes: Vec::new(),
        pool: None,
        total_gib: 4_000,
        used_gib: 100,
        files: BTreeMap::new(),
        only_on: BTreeMap::new(),
        served_by: None,
    };
    file.storages.push(shared);
}

fn guests(rng: &mut Rng, file: &mut ClusterFile, has_ceph: bool) {
    let template = file.guests.first().cloned();
    file.guests.clear();
    let Some(template) = template else { return };
    let count = file.nodes.len() as u64;
    let has_ha = rng.percent(70);
    let each = if count > 8 { 2 } else { rng.between(1, 4) };
    // At most half of what is left when the largest node is out.
    let most_mib = (NODE_GIB - 8) * 1024 * (count - 1) / (2 * count * each);
    for index in 0..count * each {
        let is_vm = rng.percent(75);
        let number = 100 + u32::try_from(index).unwrap_or(0);
        let id = if is_vm { GuestId::vm(number) } else { GuestId::ct(number) };
        let plain = GuestPart {
            id,
            name: format!("g{number}"),
            node: file.nodes[usize::try_from(index % count).unwrap_or(0)].name.clone(),
            memory_mib: rng.between(512, most_mib.max(1024)) / 256 * 256,
            storage: "vms".into(),
            disk_gib: 8,
            iso: None,
            devices: BTreeMap::new(),
            ha: (has_ha && rng.percent(50)).then(|| "started".to_owned()),
            failback: rng.percent(70),
            dirty_mib_per_s: rng.between(5, 120),
            shutdown_s: rng.between(2, 20),
            tags: Vec::new(),
            state: if rng.percent(10) { "stopped".to_owned() } else { "running".to_owned() },
            ..template.clone()
        };
        file.guests.push(unusual(rng, plain, has_ceph));
    }
}

/// A few guests cannot simply move.
fn unusual(rng: &mut Rng, mut guest: GuestPart, has_ceph: bool) -> GuestPart {
    if guest.state != "running" {
        guest.ha = None;
        guest.onboot = Some(false);
        return guest;
    }
    if guest.ha.is_some() || guest.id.kind == quorate_core::ids::GuestKind::Ct {
        return guest;
    }
    match rng.between(1, 100) {
        1..=6 => guest.storage = "local-lvm".into(),
        7..=10 => guest.iso = Some("local:iso/virtio-win-0.1.285.iso".to_owned()),
        11..=14 if has_ceph => guest.devices = [("hostpci0".to_owned(), "0000:01:00.0".to_owned())].into(),
        _ => {}
    }
    guest
}

fn rules(rng: &mut Rng, file: &mut ClusterFile) {
    file.rules.clear();
    let managed: Vec<&GuestPart> = file.guests.iter().filter(|guest| guest.ha.is_some()).collect();
    let pair = managed.iter().find_map(|a| managed.iter().find(|b| a.node != b.node).map(|b| vec![a.id, b.id]));
    let mut rule = |id: &str, kind: &str, resources: Vec<GuestId>, nodes: BTreeMap<NodeName, u32>| {
        file.rules.push(RulePart { id: id.to_owned(), kind: kind.to_owned(), resources, nodes, strict: false });
    };
    if let Some(pair) = pair.filter(|_| file.nodes.len() >= 3 && rng.percent(25)) {
        rule("apart", "keep-apart", pair, BTreeMap::new());
    }
    if let (Some(guest), Some(last)) = (managed.last(), file.nodes.last().filter(|_| rng.percent(20))) {
        // Once HA is idle, a guest that fails back is where it is preferred.
        let node = if guest.failback { &guest.node } else { &last.name };
        rule("prefers", "node-affinity", vec![guest.id], [(node.clone(), 1)].into());
    }
}

/// What the operator allows in a cluster of that kind. The policy agrees to everything in advance;
/// what comes up in the middle of a run is asked of the scripted operator.
pub(super) fn policy(rng: &mut Rng, file: &ClusterFile) -> Policy {
    let ways = file.guests.iter().filter_map(|guest| {
        let way = if guest.iso.is_some() {
            GuestPolicy::Eject
        } else if !guest.devices.is_empty() {
            GuestPolicy::Shutdown
        } else {
            return None;
        };
        Some((guest.id, way))
    });
    Policy {
        guests: ways.collect(),
        consents: BTreeSet::from([
            ConsentKind::RestartContainers,
            ConsentKind::ShutdownGuests,
            ConsentKind::EjectMedia,
        ]),
        // The host itself takes six of 32 GiB.
        headroom_percent: if rng.percent(50) { 20 } else { 30 },
        parallel_migrations: u8::try_from(rng.between(1, 4)).unwrap_or(1).into(),
        reboot: if rng.percent(25) { RebootWhen::Always } else { RebootWhen::Needed },
        stopped_guests: if rng.percent(20) { StoppedGuests::Move } else { StoppedGuests::Leave },
        ..Policy::default()
    }
}
