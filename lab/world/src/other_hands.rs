//! What others do to the cluster in the middle of a run: reboot or upgrade a node, back a guest up, create one; and
//! a storage that is gone.

use std::collections::{BTreeMap, BTreeSet};

use quorate_core::ids::{GuestId, GuestKind, NodeName, StorageId, UnitName, Vmid};

use super::World;
use super::events::Event;
use super::guest::{Activity, Guest};
use super::node::AfterDown;

const USER: &str = "root@pam";

impl World {
    /// `reboot` on the node: nobody is asked.
    pub(crate) fn admin_reboots(&mut self, node: &NodeName) {
        self.impact.excused_nodes.insert(node.clone());
        // A node that is away has nobody who could type it.
        let _ = self.node_power(node, AfterDown::Reboot);
    }

    /// `apt-get dist-upgrade` on the node, with the package lists that it has.
    pub(crate) fn admin_upgrades(&mut self, node: &NodeName) {
        if !self.nodes.get(node).is_some_and(|machine| machine.is_up() && machine.ssh_up) {
            return;
        }
        self.counter += 1;
        let unit = UnitName::new(format!("apt-by-hand-{}", self.counter));
        let argv = ["apt-get", "-o", "Dpkg::Options::=--force-confold", "-y", "dist-upgrade"].map(str::to_owned);
        let log = format!("/var/log/{unit}.log");
        // Its name is new.
        let _ = self.systemd_run(node, unit, Some(log), &argv);
    }

    /// `vzdump GUEST`: refused if the guest is locked already.
    pub(crate) fn back_up(&mut self, id: GuestId, seconds: u64) {
        let Some(node) = self.guests.get(&id).filter(|guest| guest.lock.is_none()).map(|guest| guest.node.clone())
        else {
            return;
        };
        if !self.writable(&node) || !self.nodes.get(&node).is_some_and(super::node::Node::is_up) {
            return;
        }
        let upid = self.new_task(&node, "vzdump", &id.vmid.to_string(), USER);
        self.task_says(&upid, format!("INFO: starting new backup job: vzdump {} --mode snapshot", id.vmid));
        if let Some(guest) = self.guests.get_mut(&id) {
            guest.lock = Some("backup".to_owned());
        }
        self.events.at(self.now_ms + seconds * 1000, Event::BackupNext(node, upid, id, Vec::new(), 0));
    }

    /// `qm create` and `qm start`, with a disk where another VM has one.
    pub(crate) fn create_guest(&mut self, node: &NodeName, memory_mib: u64) {
        let movable = |guest: &&Guest| guest.id.kind == GuestKind::Vm && !guest.template && guest.devices.is_empty();
        let Some(model) = self.guests.values().find(movable).cloned() else { return };
        if !self.writable(node) || !self.nodes.get(node).is_some_and(super::node::Node::is_up) {
            return;
        }
        let number = self.guests.keys().map(|id| id.vmid.0).max().unwrap_or(100) + 1;
        let id = GuestId { vmid: Vmid(number), kind: GuestKind::Vm };
        let mut disks = model.disks;
        disks.truncate(1);
        for disk in &mut disks {
            disk.volume = format!("vm-{number}-disk-0");
        }
        let guest = Guest {
            id,
            name: format!("new{number}"),
            node: node.clone(),
            runs_on: BTreeSet::new(),
            activity: Activity::Stopped,
            lock: None,
            memory_bytes: memory_mib << 20,
            resident_bytes: None,
            onboot: true,
            disks,
            extra: BTreeMap::new(),
            running_qemu: None,
            running_machine: None,
            pid: 0,
            stalled: false,
            snapshots: Vec::new(),
            ..model
        };
        self.guests.insert(id, guest);
        if let Some(machine) = self.nodes.get_mut(node) {
            machine.guests.insert(id);
        }
        self.start_now(node, id, USER);
    }

    /// The storage does not answer on the node any more, or does again.
    pub(crate) fn storage_gone(&mut self, node: &NodeName, storage: &StorageId, gone: bool) {
        let Some(storage) = self.storages.get_mut(storage) else { return };
        let changed = if gone { storage.inactive_on.insert(node.clone()) } else { storage.inactive_on.remove(node) };
        let here: Vec<GuestId> =
            self.nodes.get(node).into_iter().flat_map(|machine| machine.processes.clone()).collect();
        for id in here.into_iter().filter(|_| changed) {
            self.stall_of(id);
        }
    }
}
