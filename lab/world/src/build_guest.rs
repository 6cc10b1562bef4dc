//! Builds a guest, still without a process, from its part of a cluster file.

use std::collections::BTreeSet;

use quorate_core::ids::{GuestKind, StorageId};

use super::guest::{Activity, Disk, Guest, Media, Net};
use super::units::{GIB, MIB};
use crate::cluster_file::{ClusterFileError, GuestPart};

pub(super) fn build_guest(part: &GuestPart, now_ms: u64) -> Result<Guest, ClusterFileError> {
    if !matches!(part.state.as_str(), "running" | "stopped" | "template") {
        return Err(ClusterFileError::Contradiction(format!("{}: no state is called {:?}", part.id, part.state)));
    }
    let (key, volume) = match part.id.kind {
        GuestKind::Vm => ("scsi0", format!("vm-{}-disk-0", part.id.vmid)),
        GuestKind::Ct => ("rootfs", format!("vm-{}-disk-0", part.id.vmid)),
    };
    let mut disks = vec![Disk {
        key: key.to_owned(),
        storage: Some(part.storage.clone()),
        volume,
        size_bytes: part.disk_gib * GIB,
        media: Media::Disk,
    }];
    if let Some((storage, volume)) = part.iso.as_deref().and_then(|iso| iso.split_once(':')) {
        disks.push(Disk {
            key: "ide2".to_owned(),
            storage: Some(StorageId::new(storage)),
            volume: volume.to_owned(),
            size_bytes: 753 * MIB,
            media: Media::Cdrom,
        });
    }
    let n = part.id.vmid.0;
    Ok(Guest {
        id: part.id,
        name: part.name.clone(),
        node: part.node.clone(),
        runs_on: BTreeSet::new(),
        activity: Activity::Stopped,
        lock: part.lock.clone(),
        template: part.state == "template",
        memory_bytes: part.memory_mib * MIB,
        cores: part.cores,
        cpu: part.cpu.clone().unwrap_or_else(|| "x86-64-v2-AES".to_owned()),
        machine: None,
        ostype: if part.id.kind == GuestKind::Ct { "debian".to_owned() } else { "l26".to_owned() },
        onboot: part.onboot.unwrap_or(part.state == "running"),
        agent: part.agent && part.id.kind == GuestKind::Vm,
        disks,
        nets: vec![Net {
            key: "net0".to_owned(),
            mac: format!("BC:24:11:{:02X}:{:02X}:{:02X}", (n >> 16) & 255, (n >> 8) & 255, n & 255),
            bridge: "vmbr0".to_owned(),
        }],
        devices: part.devices.clone(),
        extra: part.config.clone(),
        tags: part.tags.clone(),
        started_ms: now_ms,
        running_qemu: None,
        running_machine: None,
        pid: 0,
        resident_bytes: None,
        dirty_bytes_per_s: part.dirty_mib_per_s * MIB,
        shutdown_ms: part.shutdown_s * 1000,
        stalled: false,
        snapshots: part.snapshots.clone(),
    })
}
