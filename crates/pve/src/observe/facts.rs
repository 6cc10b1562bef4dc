//! What decides whether and where a guest can move: its configuration, PVE's preconditions, its snapshots.
//!
//! Four calls per guest, so a watch makes them only for guests that are new, have moved, were
//! started or stopped, or are bound by a rule to one that has moved.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::{StreamExt, stream};
use quorate_core::ids::{GuestId, GuestKind, NodeName, StorageId};
use quorate_core::observed::{Observed, WhyUnknown};
use quorate_core::snapshot::{
    AffinityRule, DiskUse, Guest, Ha, LocalDisk, LocalResource, MigrationFacts, ReplicationJob, Storage, TargetRefusal,
};
use quorate_core::version::Version;

use super::look::{Depth, Look};
use super::needs;
use super::reader::{Reader, node_path};
use super::shell::{NodeShell, QUICK};
use crate::ports::ApiError;
use crate::wire::cpu_models::{self, CpuModel};
use crate::wire::guest::{self as wire, Config, Current, Preconditions};
use crate::wire::lenient::{self, Int, List};
use crate::wire::property::{Properties, size_bytes};

/// Guests that are read at the same time, per node; the limit on requests per node applies as well. A few more than
/// that limit, so that no node is idle while another's guests come first.
const GUESTS_AT_ONCE_PER_NODE: usize = 4;

/// Keys of drives in a VM's configuration.
const VM_DRIVES: [&str; 8] = ["ide", "sata", "scsi", "virtio", "efidisk", "tpmstate", "unused", "floppy"];

/// Keys of volumes in a container's configuration besides `rootfs`.
const CT_VOLUMES: [&str; 2] = ["mp", "unused"];

/// Completes the guests.
pub(super) async fn read(
    reader: &Reader<'_>,
    guests: BTreeMap<GuestId, Guest>,
    storages: &Observed<BTreeMap<StorageId, Storage>>,
    replication: &Observed<Vec<ReplicationJob>>,
    ha: &Observed<Ha>,
    look: &Look<'_>,
) -> BTreeMap<GuestId, Guest> {
    let stirred = stirred(&guests, ha, look);
    let context = Context { reader, storages, replication };
    let (context, stirred) = (&context, &stirred);
    let nodes: BTreeSet<_> = guests.values().map(|guest| guest.node.clone()).collect();
    let at_once = GUESTS_AT_ONCE_PER_NODE * nodes.len().max(1);
    let complete = guests.into_values().map(|mut guest| async move {
        let old = unchanged(&guest, look).filter(|_| !stirred.contains(&guest.id));
        if let Observed::Unknown(why) = &guest.status {
            // Its node does not answer, or it is migrating: its facts cannot be read.
            (guest.onboot, guest.migration) = (Observed::Unknown(why.clone()), Observed::Unknown(why.clone()));
        } else if let Some(old) = old {
            (guest.onboot, guest.migration) = (old.onboot.clone(), old.migration.clone());
        } else {
            (guest.onboot, guest.migration) = context.facts(&guest).await;
            let locked = guest.lock.known().is_some_and(Option::is_some);
            // PVE refuses to answer for a locked guest; what was read before on the same node still holds.
            if let (true, Some(old)) = (locked && guest.migration.known().is_none(), known_before(&guest, look)) {
                guest.migration = old.migration.clone();
            }
        }
        guest
    });
    let done = stream::iter(complete).buffer_unordered(at_once);
    done.map(|guest| (guest.id, guest)).collect().await
}

fn known_before<'a>(guest: &Guest, look: &Look<'a>) -> Option<&'a Guest> {
    let old = look.previous?.guests.get(&guest.id)?;
    (old.node == guest.node && old.migration.known().is_some()).then_some(old)
}

/// The guest as it was, if nothing has happened since that could change its facts.
fn unchanged<'a>(guest: &Guest, look: &Look<'a>) -> Option<&'a Guest> {
    let kept = look.depth == Depth::Watch && !look.changed_guests.contains(&guest.id);
    let old = known_before(guest, look).filter(|_| kept)?;
    (old.status == guest.status && old.onboot.known().is_some()).then_some(old)
}

/// Guests whose refused targets may have changed: a guest that a rule binds them to has moved.
fn stirred(guests: &BTreeMap<GuestId, Guest>, ha: &Observed<Ha>, look: &Look<'_>) -> BTreeSet<GuestId> {
    let before = |id: &GuestId| look.previous.and_then(|previous| previous.guests.get(id));
    let moved = |id: &GuestId| before(id).map(|old| &old.node) != guests.get(id).map(|guest| &guest.node);
    let rules = ha.known().into_iter().flat_map(|ha| &ha.rules);
    let bound = rules.filter_map(|rule| match rule {
        AffinityRule::Resource(rule) => Some(&rule.guests),
        AffinityRule::Node(_) => None,
    });
    bound.filter(|bound| bound.iter().any(moved)).flatten().copied().collect()
}

struct Context<'a> {
    reader: &'a Reader<'a>,
    storages: &'a Observed<BTreeMap<StorageId, Storage>>,
    replication: &'a Observed<Vec<ReplicationJob>>,
}

impl Context<'_> {
    async fn facts(&self, guest: &Guest) -> (Observed<bool>, Observed<MigrationFacts>) {
        let below = |what: &str| format!("{}/{}/{what}", guest.id.kind.api(), guest.id.vmid);
        let (config, preconditions, current) = tokio::join!(
            async { self.reader.node_get::<Config>(&guest.node, &below("config")).await },
            self.preconditions(guest, below("migrate")),
            self.current(guest, below("status/current")),
        );
        let onboot = match &config {
            Ok(config) => Observed::Known(config.flag("onboot")),
            Err(why) => Observed::Unknown(why.clone()),
        };
        let custom_cpu = match &config {
            Ok(config) => self.custom_cpu(guest, config).await,
            Err(_) => Ok(None),
        };
        let facts = super::reader::both(config, preconditions)
            .and_then(|(config, preconditions)| Ok((config, preconditions, current?, custom_cpu?)))
            .and_then(|(config, preconditions, current, custom_cpu)| {
                let mut facts = match guest.id.kind {
                    GuestKind::Vm => self.vm(guest, &config, &preconditions)?,
                    GuestKind::Ct => self.ct(guest, &config)?,
                };
                if let Some(custom) = custom_cpu {
                    facts.cpu_flags.base = Some(custom.base);
                    facts.cpu_flags.added.extend(custom.added);
                    facts.cpu_flags.removed.extend(custom.removed);
                }
                needs::note(guest.id.kind, &config, &mut facts);
                facts.local_mounts.sort();
                facts.refused = refused(preconditions);
                facts.running_machine = current.running_machine.map(|machine| machine.0);
                facts.running_qemu = current.running_qemu.map(|version| Version::new(version.0));
                Ok(facts)
            });
        (onboot, self.with_snapshots(guest, facts, below("snapshot")).await.into())
    }

    /// A model of the cluster's own, as its file describes it; no call for any other.
    async fn custom_cpu(&self, guest: &Guest, config: &Config) -> Result<Option<CpuModel>, WhyUnknown> {
        const MODELS: [&str; 2] = ["cat", "/etc/pve/virtual-guest/cpu-models.conf"];
        let cpu = config.text("cpu").filter(|_| guest.id.kind == GuestKind::Vm);
        let name = cpu.as_deref().map(Properties::parse).and_then(|cpu| cpu.first("cputype").map(str::to_owned));
        let Some(name) = name.as_deref().and_then(|name| name.strip_prefix("custom-")) else { return Ok(None) };
        let model = |text: &str| cpu_models::find(text, name).ok_or_else(|| format!("it has no model {name}"));
        NodeShell::new(self.reader, &guest.node).parsed(&MODELS, QUICK, model).await.map(Some)
    }

    /// Snapshots matter only for disks that would be copied: a guest on shared storage needs no call.
    async fn with_snapshots(
        &self,
        guest: &Guest,
        facts: Result<MigrationFacts, WhyUnknown>,
        below: String,
    ) -> Result<MigrationFacts, WhyUnknown> {
        let mut facts = facts?;
        if !facts.local_disks.is_empty() {
            let list = self.reader.node_get::<List<wire::Snapshot>>(&guest.node, &below).await?;
            facts.has_snapshots = list.0.iter().any(|snapshot| snapshot.name.0 != "current");
        }
        Ok(facts)
    }

    /// Containers have this call since 9.0; where it is missing (501), PVE reports no objections.
    async fn preconditions(&self, guest: &Guest, below: String) -> Result<Preconditions, WhyUnknown> {
        match self.reader.node_get_raw(&guest.node, &below).await {
            Ok(value) => lenient::read(value)
                .map_err(|reason| WhyUnknown::new(format!("GET {}", node_path(&guest.node, &below)), reason)),
            Err(ApiError::Refused { status: 501, .. }) if guest.id.kind == GuestKind::Ct => {
                Ok(Preconditions::default())
            }
            Err(error) => Err(super::reader::api_why(&node_path(&guest.node, &below), &error)),
        }
    }

    /// Only a VM with a process has a machine type in effect.
    async fn current(&self, guest: &Guest, below: String) -> Result<Current, WhyUnknown> {
        if guest.id.kind == GuestKind::Ct || !guest.may_be_running() {
            return Ok(Current::default());
        }
        self.reader.node_get(&guest.node, &below).await
    }

    fn vm(&self, guest: &Guest, config: &Config, pre: &Preconditions) -> Result<MigrationFacts, WhyUnknown> {
        let mut facts = MigrationFacts { bridges: bridges(config), ..MigrationFacts::default() };
        for (key, drive) in config.numbered(&VM_DRIVES) {
            let volume = drive.first("file");
            if let (Some(volume), Some(storage)) = (volume, volume.and_then(storage_of)) {
                if !key.starts_with("unused") {
                    facts.contents.entry(storage.clone()).or_default().insert(content_of(volume).to_owned());
                }
                facts.storages.insert(storage);
            }
            if drive.get("media") == Some("cdrom") {
                facts.cd_drives.insert(key.to_owned(), drive.first("file").unwrap_or("none").to_owned());
            }
        }
        facts.storages.extend(config.text("vmstate").as_deref().and_then(storage_of));
        let first = |key: &str, name: &str| {
            config.text(key).and_then(|text| Properties::parse(&text).first(name).map(str::to_owned))
        };
        facts.cpu_model = first("cpu", "cputype");
        if let Some(flags) = config.text("cpu").and_then(|cpu| Properties::parse(&cpu).get("flags").map(str::to_owned))
        {
            (facts.cpu_flags.added, facts.cpu_flags.removed) = cpu_models::flags(&flags);
        }
        let number = |key: &str| config.text(key).and_then(|text| text.parse::<u32>().ok()).unwrap_or(1);
        facts.most_cpus = number("sockets").saturating_mul(number("cores"));
        facts.display = first("vga", "type");
        let firewall = |(_, card): (&str, Properties)| card.get("firewall").and_then(lenient::flag).unwrap_or(false);
        facts.firewalled = config.numbered(&["net"]).any(firewall);
        facts.state_storage = config.text("vmstatestorage").map(StorageId::new);
        facts.machine = first("machine", "type");
        let mediated = config.numbered(&["hostpci"]).filter(|(_, device)| device.get("mdev").is_some());
        facts.mediated_devices = mediated.map(|(key, _)| key.to_owned()).collect();
        facts.has_raw_args = config.text("args").is_some_and(|args| !args.trim().is_empty());
        for disk in &pre.local_disks.0 {
            let replicated = disk.replicate.0 && self.is_replicated(guest)?;
            facts.local_disks.push(local_disk(disk, replicated));
        }
        facts.local_disks.sort_by(|a, b| a.volid.cmp(&b.volid));
        facts.local_resources = local_resources(config, pre);
        Ok(facts)
    }

    /// PVE reports nothing about a container's volumes; its configuration and the storages do.
    fn ct(&self, guest: &Guest, config: &Config) -> Result<MigrationFacts, WhyUnknown> {
        let mut facts = MigrationFacts { bridges: bridges(config), ..MigrationFacts::default() };
        let rootfs = config.text("rootfs").map(|text| ("rootfs", Properties::parse(&text)));
        for (key, mount) in rootfs.into_iter().chain(config.numbered(&CT_VOLUMES)) {
            let Some(volume) = mount.first("volume") else { continue };
            let shared = mount.get("shared").and_then(lenient::flag).unwrap_or(false);
            let Some(storage) = storage_of(volume) else {
                // A path of the host.
                facts.local_mounts.extend((!shared).then(|| key.to_owned()));
                continue;
            };
            if !shared && !self.is_shared(&storage)? {
                facts.local_disks.push(LocalDisk {
                    volid: volume.to_owned(),
                    drive: key.to_owned(),
                    size_bytes: mount.get("size").and_then(size_bytes).unwrap_or(0),
                    usage: if key.starts_with("unused") { DiskUse::Unused } else { DiskUse::Attached },
                    replicated: self.is_replicated(guest)?,
                });
            }
            facts.contents.entry(storage.clone()).or_default().insert("rootdir".to_owned());
            facts.storages.insert(storage);
        }
        facts.old_cgroup_keys = config.raw_keys("lxc.cgroup.");
        facts.local_disks.sort_by(|a, b| a.volid.cmp(&b.volid));
        Ok(facts)
    }

    fn is_shared(&self, storage: &StorageId) -> Result<bool, WhyUnknown> {
        Ok(self.storages.read().map_err(Clone::clone)?.get(storage).is_some_and(|storage| storage.shared))
    }

    fn is_replicated(&self, guest: &Guest) -> Result<bool, WhyUnknown> {
        let jobs = self.replication.read().map_err(Clone::clone)?;
        Ok(jobs.iter().any(|job| job.vmid == guest.id.vmid && !job.disabled))
    }
}

/// `local-lvm:vm-103-disk-0` → `local-lvm`; a path, `none` and `cdrom` have no storage.
fn storage_of(volume: &str) -> Option<StorageId> {
    let (storage, _) = volume.split_once(':').filter(|(storage, _)| !storage.contains('/'))?;
    Some(StorageId::new(storage))
}

/// The content type that a VM's volume needs of its storage.
fn content_of(volume: &str) -> &str {
    let name = volume.split_once(':').map_or("", |(_, name)| name);
    ["iso", "import"].into_iter().find(|kind| name.split('/').next() == Some(kind)).unwrap_or("images")
}

fn bridges(config: &Config) -> BTreeSet<String> {
    config.numbered(&["net"]).filter_map(|(_, card)| card.get("bridge").map(str::to_owned)).collect()
}

fn local_disk(disk: &wire::LocalDisk, replicated: bool) -> LocalDisk {
    let usage = if disk.is_cloudinit.0 || (disk.cdrom.0 && disk.volid.0.contains("-cloudinit")) {
        DiskUse::CloudInit
    } else if disk.cdrom.0 || disk.volid.0 == "cdrom" {
        DiskUse::Cdrom
    } else if disk.is_unused.0 {
        DiskUse::Unused
    } else if disk.is_attached.0 && !disk.is_vmstate.0 && !disk.is_tpmstate.0 {
        DiskUse::Attached
    } else {
        DiskUse::Other
    };
    LocalDisk {
        volid: disk.volid.0.clone(),
        drive: disk.drivename.as_ref().map(|drive| drive.0.clone()).unwrap_or_default(),
        size_bytes: disk.size.map_or(0, Int::unsigned),
        usage,
        replicated,
    }
}

fn local_resources(config: &Config, pre: &Preconditions) -> Vec<LocalResource> {
    let mut resources: Vec<LocalResource> = Vec::new();
    let mapping_of = |key: &str| {
        let text = config.text(key)?;
        Properties::parse(&text).get("mapping").map(str::to_owned)
    };
    for key in &pre.local_resources.0 {
        let mapped = pre.mapped_resource_info.0.get(&key.0);
        let named = mapped.and_then(|mapped| mapped.name.as_ref()).map(|name| name.0.clone());
        resources.push(LocalResource {
            key: key.0.clone(),
            mapping: named.or_else(|| mapping_of(&key.0)),
            live_capable: mapped.is_some_and(|mapped| mapped.live_migration.0),
        });
    }
    // A mapped device that some release lists under the mappings only is no less bound to a host.
    for (key, mapped) in &pre.mapped_resource_info.0 {
        if !resources.iter().any(|resource| resource.key == *key) {
            let mapping = mapped.name.as_ref().map(|name| name.0.clone());
            resources.push(LocalResource { key: key.clone(), mapping, live_capable: mapped.live_migration.0 });
        }
    }
    resources.sort_by(|a, b| a.key.cmp(&b.key));
    resources
}

/// Every other node has an entry from 8.4 on; an empty one refuses nothing.
fn refused(pre: Preconditions) -> BTreeMap<NodeName, Vec<TargetRefusal>> {
    let texts = |list: List<lenient::Text>| list.0.into_iter().map(|text| text.0);
    let mut refused = BTreeMap::new();
    for (node, why) in pre.not_allowed_nodes.0 {
        let mut reasons = Vec::new();
        let storages: Vec<StorageId> = texts(why.unavailable_storages).map(StorageId::new).collect();
        if !storages.is_empty() {
            reasons.push(TargetRefusal::Storages(storages));
        }
        let resources: Vec<String> = texts(why.unavailable_resources).collect();
        if !resources.is_empty() {
            reasons.push(TargetRefusal::Resources(resources));
        }
        for blocker in why.blocking_ha_resources.0 {
            reasons.push(TargetRefusal::HaRule { cause: blocker.cause.0, sid: blocker.sid.0 });
        }
        for (key, value) in why.other {
            reasons.push(TargetRefusal::Other(format!("{key}: {value}")));
        }
        if !reasons.is_empty() {
            refused.insert(NodeName::new(node), reasons);
        }
    }
    refused
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_cloud_init_drive_is_not_an_obstacle_a_cd_is_and_hibernation_state_is_neither() {
        let usage = |value| local_disk(&lenient::read::<wire::LocalDisk>(value).unwrap(), false).usage;
        assert_eq!(usage(json!({"volid": "local:101/vm-101-cloudinit.qcow2", "cdrom": 1})), DiskUse::CloudInit);
        assert_eq!(usage(json!({"volid": "local:iso/x.iso", "cdrom": 1, "is_attached": 1})), DiskUse::Cdrom);
        assert_eq!(usage(json!({"volid": "cdrom", "is_attached": 1})), DiskUse::Cdrom);
        assert_eq!(usage(json!({"volid": "local:vm-1-state", "is_vmstate": 1, "is_attached": 1})), DiskUse::Other);
        assert_eq!(usage(json!({"volid": "local:vm-1-disk-0", "is_unused": 1})), DiskUse::Unused);
    }

    #[test]
    fn a_reason_of_a_later_release_is_still_a_refusal() {
        let pre: Preconditions = lenient::read(json!({"not_allowed_nodes": {
            "pve1": {}, "pve2": {"unavailable_storages": ["local-zfs"]}, "pve3": {"moon-phase": "full"},
        }}))
        .unwrap();
        let refused = refused(pre);
        assert_eq!(refused.keys().map(NodeName::as_str).collect::<Vec<_>>(), ["pve2", "pve3"]);
        assert_eq!(refused[&"pve3".into()], [TargetRefusal::Other("moon-phase: \"full\"".into())]);
    }

    #[test]
    fn a_mapped_device_has_its_name_from_pve_or_from_the_configuration() {
        let config: Config =
            lenient::read(json!({"hostpci0": "mapping=gpu,pcie=1", "hostpci1": "0000:01:00"})).unwrap();
        let pre: Preconditions = lenient::read(json!({
            "local_resources": ["hostpci0", "hostpci1"],
            "mapped-resource-info": {"hostpci2": {"name": "vgpu", "live-migration": 1}},
        }))
        .unwrap();
        let resources = local_resources(&config, &pre);
        assert_eq!(resources[0].mapping.as_deref(), Some("gpu"));
        assert_eq!(resources[1].mapping, None);
        assert!(resources[2].live_capable && resources[2].mapping.as_deref() == Some("vgpu"));
    }
}
