//! A guest's configuration as the keys and values of its file, for the API and for `qm config`.

use std::collections::BTreeMap;

use quorate_core::ids::{GuestId, GuestKind};
use quorate_world::guest::{Disk, Guest, Media};
use serde_json::{Value, json};

use crate::text::config_digest;

/// `qemu` or `lxc`.
pub(crate) fn guest_kind(id: GuestId) -> &'static str {
    id.kind.api()
}

/// Keys and values of the file, without the digest.
pub(crate) fn entries(guest: &Guest) -> BTreeMap<String, Value> {
    let mut all = match guest.id.kind {
        GuestKind::Vm => vm(guest),
        GuestKind::Ct => container(guest),
    };
    if guest.onboot {
        all.insert("onboot".into(), json!(1));
    }
    if !guest.tags.is_empty() {
        all.insert("tags".into(), json!(guest.tags.join(";")));
    }
    if guest.template {
        all.insert("template".into(), json!(1));
    }
    if let Some(lock) = &guest.lock {
        all.insert("lock".into(), json!(lock));
    }
    for disk in &guest.disks {
        all.insert(disk.key.clone(), json!(drive(guest.id.kind, disk)));
    }
    for (key, value) in guest.devices.iter().chain(&guest.extra) {
        all.insert(key.clone(), json!(value));
    }
    all
}

/// Digest of the file; changes with every change of the configuration.
pub(crate) fn digest(guest: &Guest) -> String {
    let lines: Vec<_> = entries(guest).iter().map(|(key, value)| format!("{key}: {value}\n")).collect();
    config_digest(&lines.concat())
}

fn vm(guest: &Guest) -> BTreeMap<String, Value> {
    let id = u64::from(guest.id.vmid.0);
    let mut all = BTreeMap::from([
        ("name".to_owned(), json!(guest.name)),
        // A string, like any number that the schema calls a property string.
        ("memory".to_owned(), json!((guest.memory_bytes >> 20).to_string())),
        ("cores".to_owned(), json!(guest.cores)),
        ("ostype".to_owned(), json!(guest.ostype)),
        ("scsihw".to_owned(), json!("virtio-scsi-single")),
        ("meta".to_owned(), json!("creation-qemu=10.0.2,ctime=1795344502")),
        ("smbios1".to_owned(), json!(format!("uuid=00000000-0000-4000-8000-{id:012x}"))),
        ("vmgenid".to_owned(), json!(format!("00000000-0000-4000-9000-{id:012x}"))),
    ]);
    if !guest.cpu.is_empty() {
        all.insert("cpu".into(), json!(guest.cpu));
    }
    if let Some(machine) = &guest.machine {
        all.insert("machine".into(), json!(machine));
    }
    if guest.agent {
        all.insert("agent".into(), json!("1"));
    }
    if let Some(disk) = guest.disks.iter().find(|disk| disk.media == Media::Disk) {
        all.insert("boot".into(), json!(format!("order={}", disk.key)));
    }
    for net in &guest.nets {
        all.insert(net.key.clone(), json!(format!("virtio={},bridge={}", net.mac, net.bridge)));
    }
    all
}

fn container(guest: &Guest) -> BTreeMap<String, Value> {
    let mut all = BTreeMap::from([
        ("hostname".to_owned(), json!(guest.name)),
        ("memory".to_owned(), json!(guest.memory_bytes >> 20)),
        ("swap".to_owned(), json!(512)),
        ("cores".to_owned(), json!(guest.cores)),
        ("ostype".to_owned(), json!(guest.ostype)),
        ("arch".to_owned(), json!("amd64")),
        ("unprivileged".to_owned(), json!(1)),
    ]);
    for (number, net) in guest.nets.iter().enumerate() {
        let value = format!("name=eth{number},bridge={},hwaddr={},type=veth", net.bridge, net.mac);
        all.insert(net.key.clone(), json!(value));
    }
    all
}

/// A volume's id: `local-lvm:vm-103-disk-0`; `none` for an empty drive, a path for a bind mount.
pub(crate) fn volid(disk: &Disk) -> String {
    match &disk.storage {
        Some(storage) => format!("{storage}:{}", disk.volume),
        None => disk.volume.clone(),
    }
}

fn drive(kind: GuestKind, disk: &Disk) -> String {
    let mut text = volid(disk);
    if kind == GuestKind::Ct && disk.key.starts_with("mp") {
        text.push_str(&format!(",mp=/mnt/{}", disk.key));
    }
    if disk.media == Media::Cdrom {
        text.push_str(",media=cdrom");
    }
    if disk.storage.is_some() && disk.size_bytes > 0 {
        text.push_str(&format!(",size={}", size(disk.size_bytes)));
    }
    text
}

/// `32G`, `528K`: the largest unit that divides it.
fn size(bytes: u64) -> String {
    let units = [(40, "T"), (30, "G"), (20, "M"), (10, "K")];
    let unit = units.iter().find(|(shift, _)| bytes.trailing_zeros() >= *shift);
    unit.map_or_else(|| bytes.to_string(), |(shift, unit)| format!("{}{unit}", bytes >> shift))
}

/// Size of the disk that the lists show: the boot disk or the root disk.
pub(crate) fn disk_total(guest: &Guest) -> u64 {
    guest.disks.iter().find(|disk| disk.media == Media::Disk).map_or(0, |disk| disk.size_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_the_largest_unit_that_divides_them() {
        assert_eq!(size(32 << 30), "32G");
        assert_eq!(size(528 << 10), "528K");
        assert_eq!(size(1536 << 20), "1536M");
    }
}
