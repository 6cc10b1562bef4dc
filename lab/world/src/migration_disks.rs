//! The disks of a guest that moves: which storages of the target take them, and how they get there.

use quorate_core::ids::{GuestId, GuestKind, StorageId};

use super::World;
use super::guest::{Disk, Media};
use super::migration::{Migration, Mode};

impl World {
    /// The storage of the target for each disk of the guest that moves, with what is against it there.
    pub(crate) fn disks_land(&self, m: &Migration) -> Result<Vec<(usize, StorageId)>, String> {
        let Some(guest) = self.guests.get(&m.guest) else { return Ok(Vec::new()) };
        let mut lands = Vec::new();
        for (number, disk) in guest.disks.iter().enumerate() {
            let Some(here) = disk.storage.as_ref().and_then(|id| self.storages.get(id)) else { continue };
            let there = m.storages.of(here);
            let storage = self.storage_enabled(there, &m.target).map_err(|error| error.to_string())?;
            let kind = match m.guest.kind {
                GuestKind::Ct => "rootdir",
                GuestKind::Vm if disk.volume.starts_with("iso/") => "iso",
                GuestKind::Vm => "images",
            };
            if !storage.content.iter().any(|known| known == kind) {
                let (volume, id) = (&disk.volume, &here.id);
                return Err(format!("{id}:{volume}: content type '{kind}' is not available on storage '{there}'"));
            }
            if there != &here.id {
                lands.push((number, there.clone()));
            }
        }
        Ok(lands)
    }

    /// Volumes that QEMU does not mirror go as a stream, and not all types of storages speak the same.
    pub(crate) fn streams(&self, m: &Migration) -> Result<(), String> {
        let Some(guest) = self.guests.get(&m.guest) else { return Ok(()) };
        let plain = |kind: &str| matches!(kind, "dir" | "lvm" | "lvmthin");
        for disk in guest.disks.iter().filter(|disk| disk.media == Media::Disk) {
            let Some(here) = disk.storage.as_ref().and_then(|id| self.storages.get(id)).filter(|it| !it.shared) else {
                continue;
            };
            let there = m.storages.of(here);
            let Some(other) = self.storages.get(there).filter(|_| m.mode != Mode::Live) else { continue };
            if here.kind != other.kind && !(plain(&here.kind) && plain(&other.kind)) {
                let (from, to, volume) = (&here.kind, &other.kind, &disk.volume);
                return Err(format!(
                    "storage migration for '{}:{volume}' to storage '{there}' failed - cannot migrate from storage type \
                     '{from}' to '{to}'",
                    here.id
                ));
            }
        }
        Ok(())
    }

    /// The volumes are on the storages of the target, under the first names that are free there.
    pub(crate) fn disks_landed(&mut self, id: GuestId, lands: &[(usize, StorageId)]) {
        let Some(guest) = self.guests.get_mut(&id) else { return };
        for (number, there) in lands {
            let taken: Vec<String> =
                guest.disks.iter().filter(|disk| disk.storage.as_ref() == Some(there)).map(name).collect();
            let free = (0..).map(|number| format!("vm-{}-disk-{number}", id.vmid)).find(|name| !taken.contains(name));
            let Some(disk) = guest.disks.get_mut(*number) else { continue };
            disk.storage = Some(there.clone());
            disk.volume = free.unwrap_or_default();
        }
    }
}

fn name(disk: &Disk) -> String {
    disk.volume.clone()
}
