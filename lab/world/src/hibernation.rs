//! Suspending a VM to disk and starting it again (qemu-server: `RunState::vm_suspend`, `vm_start`).

use quorate_core::ids::{GuestId, GuestKind, NodeName, StorageId, Upid};

use super::events::Event;
use super::guest::Guest;
use super::lifecycle::config_path;
use super::{World, WorldError};

/// How fast memory is written to a storage and read from it.
const STATE_BYTES_PER_S: u64 = 400 << 20;
/// The lock of a VM whose state lies on a storage.
const SUSPENDED: &str = "suspended";
/// What PVE keeps in the configuration for the start.
const KEPT: [&str; 2] = ["vmstate", "runningmachine"];
/// What a VM may not have if its state is to be saved.
const UNSAVED: [&str; 2] = ["amd-sev", "virtiofs0"];

impl World {
    /// `POST .../status/suspend` with `todisk=1`, once privileges and the storage are settled: `qmsuspend`.
    pub fn guest_hibernate(
        &mut self,
        node: &NodeName,
        id: GuestId,
        storage: &StorageId,
        user: &str,
    ) -> Result<Upid, WorldError> {
        self.guest_here(node, id)?;
        let upid = self.new_task(node, "qmsuspend", &id.vmid.to_string(), user);
        if let Err(text) = self.begin_to_hibernate(node, id, storage) {
            self.events.at(self.now_ms + 500, Event::TaskEnds(upid.clone(), text));
            return Ok(upid);
        }
        let boots = self.nodes.get(node).map_or(0, |machine| machine.boots);
        let takes = 2_000 + self.guests.get(&id).map_or(0, state_ms);
        self.events.at(self.now_ms + takes, Event::GuestHibernated(id, node.clone(), upid.clone(), boots));
        Ok(upid)
    }

    /// What the task does first; what goes wrong goes wrong in the task.
    fn begin_to_hibernate(&mut self, node: &NodeName, id: GuestId, storage: &StorageId) -> Result<(), String> {
        let said = |error: WorldError| error.to_string();
        Self::not_locked(self.guest_here(node, id).map_err(said)?).map_err(said)?;
        if !self.writable(node) {
            return Err(said(WorldError::ReadOnly { path: config_path(node, id), pid: 4_243 }));
        }
        let guest = self.guest_here(node, id).map_err(said)?;
        if let Some(key) = UNSAVED.iter().find(|key| guest.extra.contains_key(**key)) {
            return Err(format!("Cannot live-migrate, snapshot (with RAM), or hibernate a VM with: {key}"));
        }
        let place = self.storage_enabled(storage, node).map_err(said)?;
        if !self.reaches(place, node) {
            return Err(format!("storage '{storage}' is not online"));
        }
        if let Some(why) = self.display_stays(id) {
            // It goes on as before; the lock stays for a person to see.
            self.guests.entry(id).and_modify(|guest| guest.lock = Some("suspending".to_owned()));
            return Err(format!("query-savevm failed with error '{why}'"));
        }
        let (volume, machine) =
            (format!("{storage}:vm-{}-state-suspend-2026-11-22", id.vmid), guest.running_machine.clone());
        let Some(guest) = self.guests.get_mut(&id) else { return Ok(()) };
        guest.lock = Some("suspending".to_owned());
        guest.extra.insert("vmstate".to_owned(), volume);
        guest.extra.extend(machine.map(|machine| ("runningmachine".to_owned(), machine)));
        Ok(())
    }

    /// Its memory is written: the process ends. A node that went down meanwhile took it along, and the lock stays.
    pub(crate) fn on_guest_hibernated(&mut self, id: GuestId, node: &NodeName, task: &Upid, boots: u32) {
        let is_same_boot = self.nodes.get(node).is_some_and(|machine| machine.boots == boots);
        let runs = self.guests.get(&id).is_some_and(|guest| guest.runs_on.contains(node));
        if !is_same_boot || !runs {
            return self.end_task(task, "savevm not active");
        }
        self.process_ends(id, node);
        if let Some(guest) = self.guests.get_mut(&id) {
            guest.lock = Some(SUSPENDED.to_owned());
        }
        self.task_says(task, "State saved, quitting");
        self.end_task(task, "OK");
    }

    /// A VM that hibernates is started as if it were not locked.
    pub(crate) fn may_start_locked(guest: &Guest) -> Result<(), WorldError> {
        if guest.id.kind == GuestKind::Vm && guest.lock.as_deref() == Some(SUSPENDED) {
            return Ok(());
        }
        Self::not_locked(guest)
    }

    /// How long its start reads its memory.
    pub(crate) fn resume_ms(&self, id: GuestId) -> u64 {
        self.guests.get(&id).filter(|guest| guest.state_storage().is_some()).map_or(0, state_ms)
    }

    /// It goes on with the machine that it had, and its state is removed.
    pub(crate) fn takes_up_state(&mut self, id: GuestId) {
        let Some(guest) = self.guests.get_mut(&id).filter(|guest| guest.lock.as_deref() == Some(SUSPENDED)) else {
            return;
        };
        guest.lock = None;
        guest.running_machine = guest.extra.get("runningmachine").cloned();
        KEPT.iter().for_each(|key| drop(guest.extra.remove(*key)));
    }
}

fn state_ms(guest: &Guest) -> u64 {
    guest.memory_bytes * 1000 / STATE_BYTES_PER_S
}
