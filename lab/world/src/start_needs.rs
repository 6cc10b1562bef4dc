//! What a guest's start fails for that is its node's own: hook scripts, devices, processors. PVE tests none of it before
//! it moves a guest there.

use quorate_core::ids::{GuestId, GuestKind, NodeName, StorageId};

use super::guest::Guest;
use super::{World, WorldError};

/// Flags of processors by the models of QEMU that a lab may use, those only that tell generations apart.
const MODELS: [(&str, &str); 8] = [
    ("x86-64-v2-AES", "aes"),
    ("x86-64-v3", "avx2"),
    ("x86-64-v4", "avx512f"),
    ("Haswell", "avx2"),
    ("Skylake-Server", "avx512f"),
    ("Cascadelake-Server", "avx512f"),
    ("Icelake-Server", "avx512f"),
    ("EPYC-Genoa", "avx512f"),
];

impl World {
    /// Why the guest does not start on this node, in PVE's words. A VM that comes in live is started there as well, but
    /// what cloud-init reads is not read again.
    pub(crate) fn node_lacks(&self, name: &NodeName, guest: &Guest, comes_live: bool) -> Result<(), String> {
        let Some(node) = self.nodes.get(name) else { return Ok(()) };
        let vmid = guest.id.vmid;
        if let Some(script) = guest.extra.get("hookscript").filter(|volume| !self.has_volume(name, volume)) {
            return Err(format!("hookscript error for {vmid} on pre-start: script '{script}' does not exist"));
        }
        if guest.id.kind == GuestKind::Ct {
            let there = |path: &str| node.surroundings.paths.contains_key(path);
            let bound = guest.extra.iter().filter_map(|(key, value)| bound_path(key, value));
            return match bound.into_iter().find(|path| !there(path)) {
                Some(_) => Err(format!("startup for container '{vmid}' failed")),
                None => Ok(()),
            };
        }
        let snippets = guest.extra.get("cicustom").into_iter().flat_map(|text| text.split(','));
        let mut volumes = snippets.filter_map(|part| Some(part.split_once('=')?.1)).filter(|_| !comes_live);
        if let Some(volume) = volumes.find(|volume| !self.has_volume(name, volume)) {
            return Err(format!("can't open '{}' - No such file or directory", path_of(volume)));
        }
        if guest.cores > node.cpus {
            return Err(format!("MAX {} vcpus allowed per VM on this node", node.cpus));
        }
        let model = MODELS.iter().find(|(model, _)| *model == guest.cpu);
        if model.is_some_and(|(_, needed)| !node.cpu_flags().any(|flag| flag == needed)) {
            return Err("start failed: QEMU exited with code 1: Host doesn't support requested features".to_owned());
        }
        Ok(())
    }

    /// A VM's volumes are refused by the call; a container's, in the task.
    pub(crate) fn contents_allowed(&self, guest: &Guest) -> Result<(), WorldError> {
        if guest.id.kind == GuestKind::Ct {
            return Ok(());
        }
        for disk in &guest.disks {
            let Some(storage) = disk.storage.as_ref().and_then(|storage| self.storages.get(storage)) else { continue };
            let kind = if disk.volume.starts_with("iso/") { "iso" } else { "images" };
            if !storage.content.iter().any(|content| content == kind) {
                let (id, volume) = (&storage.id, &disk.volume);
                let text = format!("{id}:{volume}: content type '{kind}' is not available on storage '{id}'");
                return Err(WorldError::die(text));
            }
        }
        Ok(())
    }

    /// A display that QEMU has no way to send.
    pub(crate) fn display_stays(&self, id: GuestId) -> Option<String> {
        let display = self.guests.get(&id)?.extra.get("vga")?.split(',').next()?;
        let why = format!("VM {} qmp command 'migrate' failed - virgl is not yet migratable", id.vmid);
        (display == "virtio-gl").then(|| format!("online migrate failure - {why}"))
    }

    fn has_volume(&self, node: &NodeName, volid: &str) -> bool {
        let parts = volid.split_once(':');
        parts.is_some_and(|(id, volume)| {
            self.storages.get(&StorageId::new(id)).is_some_and(|storage| storage.has_file(volume, node))
        })
    }
}

/// The host's path that a line of a container's configuration binds.
fn bound_path<'a>(key: &str, value: &'a str) -> Option<&'a str> {
    match key {
        "lxc.mount.entry" => value.split_whitespace().next().filter(|path| path.starts_with("/dev/")),
        key if key.strip_prefix("dev").is_some_and(|number| number.parse::<u32>().is_ok()) => value.split(',').next(),
        _ => None,
    }
}

/// Where a snippet lies: below /var/lib/vz on `local`, below /mnt/pve on others.
pub fn path_of(volid: &str) -> String {
    match volid.split_once(':') {
        Some(("local", volume)) => format!("/var/lib/vz/{volume}"),
        Some((storage, volume)) => format!("/mnt/pve/{storage}/{volume}"),
        None => volid.to_owned(),
    }
}
