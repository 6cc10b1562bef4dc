//! Disks, cards and settings of guests from a snapshot: what a cluster file cannot express about a guest.

use std::collections::BTreeSet;

use quorate_core::ids::{GuestId, GuestKind, StorageId};
use quorate_core::snapshot::{DiskUse, Guest as Seen, GuestStatus, MigrationFacts, Snapshot};

use super::super::defaults::thirty_two;
use super::{GIB, Notes};
use crate::World;
use crate::guest::{Disk, Guest, Media, Net};
use crate::pmxcfs::File;
use crate::units::MIB;

/// Size of a CD image that is not known.
const IMAGE_BYTES: u64 = 753 * MIB;
/// In place of a setting's value that is not in a snapshot.
const UNKNOWN: &str = "not-exported";

/// Sets what was read of each guest.
pub(super) fn adjust(world: &mut World, snapshot: &Snapshot, notes: &mut Notes) {
    for (id, seen) in &snapshot.guests {
        if let Some(Some(name)) = seen.migration.known().map(custom_model) {
            cpu_model(world, &name, seen);
        }
        let Some(guest) = world.guests.get_mut(id) else { continue };
        guest.memory_bytes = seen.memory_bytes;
        guest.lock = seen.lock.known().and_then(Option::as_ref).map(|lock| lock.0.clone());
        if let Some(onboot) = seen.onboot.known() {
            guest.onboot = *onboot;
        }
        if seen.status.is(&GuestStatus::Paused) {
            notes.guess(id, "it was paused; no guest of the lab ever is: it runs");
        }
        if let Some(facts) = seen.migration.known() {
            guest.disks = disks(*id, facts, notes);
            hardware(guest, seen, facts);
            left_out(*id, facts, notes);
        }
    }
}

fn hardware(guest: &mut Guest, seen: &Seen, facts: &MigrationFacts) {
    let card = |(number, bridge): (usize, &String)| Net {
        key: format!("net{number}"),
        mac: guest.nets.first().map(|net| net.mac.clone()).unwrap_or_default(),
        bridge: bridge.clone(),
    };
    let nets: Vec<Net> = facts.bridges.iter().enumerate().map(card).collect();
    guest.nets = nets;
    guest.machine = facts.machine.clone();
    guest.snapshots = if facts.has_snapshots { vec!["snapshot".to_owned()] } else { Vec::new() };
    if guest.is_running() {
        guest.running_qemu = facts.running_qemu.clone().or(guest.running_qemu.take());
        guest.running_machine = facts.running_machine.clone().or(guest.running_machine.take());
    }
    for key in &facts.mediated_devices {
        let device = guest.devices.entry(key.clone()).or_insert_with(|| "0000:01:00.0".to_owned());
        device.push_str(",mdev=");
        device.push_str(UNKNOWN);
    }
    settings(guest, seen, facts);
}

/// Lines of its configuration that have no place of their own in the world.
fn settings(guest: &mut Guest, seen: &Seen, facts: &MigrationFacts) {
    if guest.id.kind == GuestKind::Vm {
        guest.cpu = cpu(facts);
        if facts.most_cpus > seen.cpus {
            guest.extra.insert("cores".to_owned(), facts.most_cpus.to_string());
            guest.extra.insert("vcpus".to_owned(), seen.cpus.to_string());
        }
        if let Some(net) = guest.nets.first().filter(|_| facts.firewalled) {
            guest.extra.insert(net.key.clone(), format!("virtio={},bridge={},firewall=1", net.mac, net.bridge));
        }
        if facts.has_raw_args {
            guest.extra.insert("args".to_owned(), UNKNOWN.to_owned());
        }
        if facts.local_resources.iter().any(|resource| resource.key == "clipboard=vnc") {
            let display = facts.display.as_deref().unwrap_or("std");
            guest.extra.insert("vga".to_owned(), format!("{display},clipboard=vnc"));
        }
    }
    let bound = facts.local_mounts.iter().filter_map(|mount| mount.split_once(' '));
    for (key, path) in bound {
        guest.extra.insert(key.to_owned(), format!("{path} {} none bind", path.trim_start_matches('/')));
    }
    for key in facts.untested.iter().chain(&facts.old_cgroup_keys) {
        guest.extra.entry(key.clone()).or_insert_with(|| in_place_of(key).to_owned());
    }
}

/// A value of a setting that nobody can test against another node.
fn in_place_of(key: &str) -> &'static str {
    match key {
        // Memory of one node of the host.
        _ if key.starts_with("numa") => "cpus=0,hostnodes=0,policy=bind",
        // A number that drivers get as they come.
        "lxc.cgroup2.devices.allow" => "c 240:* rwm",
        _ => UNKNOWN,
    }
}

/// As in the configuration; empty for PVE's default.
fn cpu(facts: &MigrationFacts) -> String {
    let Some(model) = &facts.cpu_model else { return String::new() };
    let custom = facts.cpu_flags.base.is_some();
    let added = facts.cpu_flags.added.iter().map(|flag| format!("+{flag}"));
    let flags: Vec<String> = added.chain(facts.cpu_flags.removed.iter().map(|flag| format!("-{flag}"))).collect();
    if custom || flags.is_empty() { model.clone() } else { format!("{model},flags={}", flags.join(";")) }
}

fn custom_model(facts: &MigrationFacts) -> Option<String> {
    facts.cpu_flags.base.as_ref()?;
    facts.cpu_model.as_deref()?.strip_prefix("custom-").map(str::to_owned)
}

/// Adds a model of the cluster's own to its file.
fn cpu_model(world: &mut World, name: &str, seen: &Seen) {
    const FILE: &str = "/etc/pve/virtual-guest/cpu-models.conf";
    let Some(facts) = seen.migration.known() else { return };
    let added = facts.cpu_flags.added.iter().map(|flag| format!("+{flag}"));
    let flags: Vec<String> = added.chain(facts.cpu_flags.removed.iter().map(|flag| format!("-{flag}"))).collect();
    let changed_ms = world.now_ms;
    let file = world.files.entry(FILE.to_owned()).or_insert(File { text: Some(String::new()), changed_ms });
    let text = file.text.get_or_insert_default();
    if text.contains(&format!("cpu-model: {name}\n")) {
        return;
    }
    let base = facts.cpu_flags.base.as_deref().unwrap_or("kvm64");
    text.push_str(&format!("cpu-model: {name}\n\treported-model {base}\n"));
    if !flags.is_empty() {
        text.push_str(&format!("\tflags {}\n", flags.join(";")));
    }
    text.push('\n');
}

/// Its volumes: those on local storage and in CD drives as they were read; of any other only the storage is known.
fn disks(id: GuestId, facts: &MigrationFacts, notes: &mut Notes) -> Vec<Disk> {
    let mut disks: Vec<Disk> = Vec::new();
    for seen in &facts.local_disks {
        let Some((storage, volume)) = seen.volid.split_once(':') else { continue };
        let is_cd = matches!(seen.usage, DiskUse::Cdrom | DiskUse::CloudInit);
        disks.push(Disk {
            key: seen.drive.clone(),
            storage: Some(StorageId::new(storage)),
            volume: volume.to_owned(),
            size_bytes: seen.size_bytes,
            media: if is_cd { Media::Cdrom } else { Media::Disk },
        });
    }
    for (key, what) in &facts.cd_drives {
        if disks.iter().any(|disk| disk.key == *key) {
            continue;
        }
        let volume = what.split_once(':').map(|(storage, volume)| (Some(StorageId::new(storage)), volume));
        let (storage, volume) = volume.unwrap_or((None, what));
        let size_bytes = if storage.is_some() { IMAGE_BYTES } else { 0 };
        disks.push(Disk { key: key.clone(), storage, volume: volume.to_owned(), size_bytes, media: Media::Cdrom });
    }
    let taken: BTreeSet<StorageId> = disks.iter().filter_map(|disk| disk.storage.clone()).collect();
    let only_images = |storage: &&StorageId| {
        let kinds = facts.contents.get(*storage);
        taken.contains(*storage) && kinds.is_none_or(|kinds| kinds.iter().all(|kind| kind == "iso"))
    };
    for storage in facts.storages.iter().filter(|storage| !taken.contains(*storage)).filter(|one| !only_images(one)) {
        notes.guess(
            id,
            "how many disks it has on shared storage, and how large they are, is not known: one of 32 GiB each",
        );
        let key = free_key(id, &disks);
        let volume = format!("vm-{}-disk-{}", id.vmid, disks.len());
        let size_bytes = thirty_two() * GIB;
        disks.insert(0, Disk { key, storage: Some(storage.clone()), volume, size_bytes, media: Media::Disk });
    }
    for (number, key) in facts.local_mounts.iter().filter(|mount| !mount.contains(' ')).enumerate() {
        let volume = format!("/srv/{UNKNOWN}{number}");
        disks.push(Disk { key: key.clone(), storage: None, volume, size_bytes: 0, media: Media::Disk });
    }
    disks
}

/// The first drive or mount point that nothing is in.
fn free_key(id: GuestId, disks: &[Disk]) -> String {
    let mut keys: Vec<String> = match id.kind {
        GuestKind::Vm => Vec::new(),
        GuestKind::Ct => vec!["rootfs".to_owned()],
    };
    let word = if id.kind == GuestKind::Vm { "scsi" } else { "mp" };
    keys.extend((0..31).map(|number| format!("{word}{number}")));
    keys.into_iter().find(|key| disks.iter().all(|disk| disk.key != *key)).unwrap_or_else(|| format!("{word}31"))
}

/// What the lab has no way to show.
fn left_out(id: GuestId, facts: &MigrationFacts, notes: &mut Notes) {
    use quorate_core::snapshot::TargetRefusal;
    if facts.local_resources.iter().any(|resource| resource.live_capable) {
        notes.guess(id, "a device that may be moved live is one that may not in the lab");
    }
    let odd = |refusal: &TargetRefusal| matches!(refusal, TargetRefusal::Resources(_) | TargetRefusal::Other(_));
    if facts.refused.values().flatten().any(odd) {
        notes.guess(id, "PVE refuses a target for a reason that the lab does not know: it does not refuse it");
    }
}
