//! Large made-up clusters, for tests of scale and large simulated runs.

use std::collections::BTreeMap;

use quorate_core::ids::{GuestId, NodeName, StorageId};

use crate::cluster_file::{ClusterFile, ClusterFileError, DEMO, GuestPart, NodePart, running};

/// A large cluster: `nodes` machines, `guests` guests spread evenly, every third one HA-managed, on one shared pool.
pub fn synthetic(nodes: u32, guests: u32) -> Result<ClusterFile, ClusterFileError> {
    let mut file = ClusterFile::parse(DEMO)?;
    let template = file.nodes.first().cloned().ok_or_else(|| ClusterFileError::Contradiction("no node".to_owned()))?;
    let name = |i: u32| NodeName::new(format!("pve{}", i + 1));
    file.cluster.name = format!("large-{nodes}");
    // Clusters created by recent releases write `token_coefficient: 125`; with 650 a large ring forms too slowly.
    file.cluster.token_ms = Some(3_000 + 125 * u64::from(nodes.saturating_sub(2)));
    file.nodes = (0..nodes)
        .map(|i| NodePart {
            name: name(i),
            memory_gib: 512,
            cpus: 64,
            links: (1..=2).map(|net| format!("10.{net}.{}.{}", (i + 1) / 250, (i + 1) % 250)).collect(),
            addresses: vec![format!("10.10.3.{}/24", i + 1)],
            ceph: if i < 3 { template.ceph.clone() } else { Vec::new() },
            ..template.clone()
        })
        .collect();
    file.guests = (0..guests)
        .map(|i| GuestPart {
            id: if i % 5 == 4 { GuestId::ct(1000 + i) } else { GuestId::vm(1000 + i) },
            name: format!("guest-{i}"),
            node: name(i % nodes),
            memory_mib: 2048 + u64::from(i % 3) * 1024,
            cores: 2,
            state: running(),
            storage: StorageId::new("vms"),
            disk_gib: 32,
            iso: None,
            devices: BTreeMap::new(),
            ha: (i % 3 == 0).then(|| "started".to_owned()),
            failback: true,
            onboot: None,
            agent: true,
            dirty_mib_per_s: 20,
            shutdown_s: 8,
            cpu: None,
            tags: Vec::new(),
            snapshots: Vec::new(),
            lock: None,
            config: BTreeMap::new(),
        })
        .collect();
    file.rules.clear();
    if let Some(ceph) = &mut file.ceph {
        let wanted = (nodes * 2 * 100 / 3).next_power_of_two().clamp(64, 4096);
        if let Some(pool) = ceph.pools.iter_mut().find(|pool| pool.name == "vms") {
            pool.pg_num = wanted;
            pool.stored_gib = u64::from(guests) * 16;
        }
    }
    Ok(file)
}
