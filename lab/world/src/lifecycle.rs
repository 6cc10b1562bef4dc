//! Starting, stopping and changing guests. Every process begins and ends in the two functions at the bottom, so that
//! the impact report misses nothing.

use quorate_core::ids::{GuestId, GuestKind, NodeName, Upid};
use quorate_core::version::Version;

use super::events::Event;
use super::guest::{Activity, Guest};
use super::ha::RequestState;
use super::store::Storage;
use super::{World, WorldError};
use crate::impact::Serving;

/// How long a guest takes from the start task until it serves.
const VM_START_MS: u64 = 4_000;
const CT_START_MS: u64 = 2_000;

/// How long a guest has to be up before it exports a file system.
const SERVES_AFTER_S: u64 = 45;

impl World {
    /// The guest with this number.
    pub fn guest_of(&self, vmid: quorate_core::ids::Vmid) -> Option<&Guest> {
        [GuestKind::Vm, GuestKind::Ct].into_iter().find_map(|kind| self.guests.get(&GuestId { vmid, kind }))
    }

    /// The guest, if its configuration is on this node.
    pub fn guest_here(&self, node: &NodeName, id: GuestId) -> Result<&Guest, WorldError> {
        match self.guests.get(&id).filter(|guest| guest.node == *node) {
            Some(guest) => Ok(guest),
            None => Err(WorldError::NotHere { node: node.clone(), id }),
        }
    }

    /// Does HA manage it? A resource that HA ignores behaves like any other guest.
    pub fn ha_managed(&self, id: GuestId) -> bool {
        let wanted = |resource: &super::ha::Resource| resource.state != RequestState::Ignored;
        self.ha.resources.get(&id).is_some_and(wanted) && !self.ha_ignores_all()
    }

    pub(crate) fn not_locked(guest: &Guest) -> Result<(), WorldError> {
        match &guest.lock {
            Some(lock) => Err(WorldError::Locked { kind: guest.id.kind, lock: lock.clone() }),
            None => Ok(()),
        }
    }

    /// `POST .../status/start`: `qmstart`/`vzstart`, or `hastart` for an HA resource.
    pub fn guest_start(&mut self, node: &NodeName, id: GuestId, user: &str) -> Result<Upid, WorldError> {
        let guest = self.guest_here(node, id)?;
        if guest.template {
            return Err(WorldError::die(match id.kind {
                GuestKind::Vm => "you can't start a vm if it's a template",
                GuestKind::Ct => "you can't start a CT if it's a template",
            }));
        }
        if self.ha_managed(id) {
            return self.ha_request(node, id, RequestState::Started, "hastart", user);
        }
        Self::may_start_locked(guest)?;
        Ok(self.start_now(node, id, user))
    }

    /// The start task itself; what goes wrong goes wrong in the task.
    pub(crate) fn start_now(&mut self, node: &NodeName, id: GuestId, user: &str) -> Upid {
        let kind = if id.kind == GuestKind::Vm { "qmstart" } else { "vzstart" };
        let upid = self.new_task(node, kind, &id.vmid.to_string(), user);
        if let Err(text) = self.may_start(node, id) {
            self.events.at(self.now_ms + 500, Event::TaskEnds(upid.clone(), text));
            return upid;
        }
        if let Some(guest) = self.guests.get_mut(&id).filter(|guest| !guest.is_running()) {
            guest.activity = Activity::Starting;
        }
        let takes = self.resume_ms(id) + if id.kind == GuestKind::Vm { VM_START_MS } else { CT_START_MS };
        self.events.at(self.now_ms + takes, Event::GuestStarted(id, node.clone(), Some(upid.clone())));
        upid
    }

    fn may_start(&self, node: &NodeName, id: GuestId) -> Result<(), String> {
        let guest = self.guest_here(node, id).map_err(|e| e.to_string())?;
        self.need_quorum(node).map_err(|e| e.to_string())?;
        // This node cannot know whether the guest runs on another one: that is what fencing is for.
        if guest.runs_on.contains(node) || guest.activity == Activity::Starting {
            return Err(match id.kind {
                GuestKind::Vm => format!("VM {} already running", id.vmid),
                GuestKind::Ct => format!("CT {} already running", id.vmid),
            });
        }
        let disks = guest.disks.iter().filter_map(|disk| disk.storage.clone());
        for id in disks.chain(guest.state_storage()) {
            let Some(storage) = self.storages.get(&id) else { continue };
            if !storage.is_on(node) {
                return Err(format!("storage '{}' is not available on node '{node}'", storage.id));
            }
            if !self.reaches(storage, node) {
                return Err(format!("storage '{}' is not online", storage.id));
            }
            if storage.pool.as_ref().is_some_and(|pool| self.pool_is_stalled(pool)) {
                return Err("start failed: got timeout".to_owned());
            }
        }
        self.node_lacks(node, guest, false)?;
        if self.node_free_bytes(node) < guest.memory_bytes {
            return Err("start failed: QEMU exited with code 1: cannot set up guest memory: \
                        Cannot allocate memory"
                .to_owned());
        }
        Ok(())
    }

    /// Does a storage answer on a node? One that a guest serves does once that guest has booted.
    pub fn reaches(&self, storage: &Storage, node: &NodeName) -> bool {
        let served = storage
            .served_by
            .is_none_or(|id| self.guests.get(&id).is_some_and(|guest| guest.uptime_s(self.now_ms) >= SERVES_AFTER_S));
        served && !storage.inactive_on.contains(node)
    }

    /// Memory left on a node: what is installed, less the host's own, less its guests', less what is coming in.
    pub fn node_free_bytes(&self, node: &NodeName) -> u64 {
        let Some(machine) = self.nodes.get(node) else { return 0 };
        machine.memory_bytes.saturating_sub(machine.host_used_bytes).saturating_sub(self.node_committed_bytes(node))
    }

    /// Configured memory of the guests that run on a node, are starting there or are coming in live.
    pub fn node_committed_bytes(&self, node: &NodeName) -> u64 {
        let Some(machine) = self.nodes.get(node) else { return 0 };
        let memory = |id: &GuestId| self.guests.get(id).map_or(0, |guest| guest.memory_bytes);
        let running: u64 = machine.processes.iter().map(memory).sum();
        let starting = |id: &&GuestId| {
            let guest = self.guests.get(id);
            guest.is_some_and(|guest| guest.activity == Activity::Starting && !guest.is_running())
        };
        let starting: u64 = machine.guests.iter().filter(starting).map(memory).sum();
        running + starting + self.incoming_bytes(node)
    }

    /// `POST .../status/shutdown`: `qmshutdown`/`vzshutdown`, or `hastop`.
    pub fn guest_shutdown(
        &mut self,
        node: &NodeName,
        id: GuestId,
        timeout_s: u64,
        force_stop: bool,
        user: &str,
    ) -> Result<Upid, WorldError> {
        let guest = self.guest_here(node, id)?;
        if self.ha_managed(id) {
            return self.ha_request(node, id, RequestState::Stopped, "hastop", user);
        }
        Self::not_locked(guest)?;
        let kind = if id.kind == GuestKind::Vm { "qmshutdown" } else { "vzshutdown" };
        let upid = self.new_task(node, kind, &id.vmid.to_string(), user);
        if !self.guests.get(&id).is_some_and(Guest::is_running) {
            let text = if id.kind == GuestKind::Vm { "VM" } else { "CT" };
            let status = format!("{text} {} not running", id.vmid);
            self.events.at(self.now_ms + 300, Event::TaskEnds(upid.clone(), status));
            return Ok(upid);
        }
        self.shut_down(node, id, timeout_s * 1000, force_stop, Some(upid.clone()));
        Ok(upid)
    }

    /// Begins an orderly shutdown. After the timeout the guest is killed, or it keeps running and the task fails.
    pub(crate) fn shut_down(&mut self, node: &NodeName, id: GuestId, timeout_ms: u64, force: bool, task: Option<Upid>) {
        let Some(boots) = self.nodes.get(node).map(|machine| machine.boots) else { return };
        let Some(guest) = self.guests.get_mut(&id) else { return };
        let takes = guest.shutdown_ms;
        guest.activity = Activity::ShuttingDown;
        let event = if takes > timeout_ms && !force {
            Event::ShutdownTimedOut(id, node.clone(), task)
        } else {
            Event::GuestStopped(id, node.clone(), task, boots)
        };
        self.events.at(self.now_ms + takes.min(timeout_ms), event);
        self.serving_may_have_changed(id);
    }

    /// `POST .../status/stop`: `qmstop`/`vzstop`, or `hastop`.
    pub fn guest_stop(&mut self, node: &NodeName, id: GuestId, user: &str) -> Result<Upid, WorldError> {
        let guest = self.guest_here(node, id)?;
        if self.ha_managed(id) {
            return self.ha_request(node, id, RequestState::Stopped, "hastop", user);
        }
        Self::not_locked(guest)?;
        let kind = if id.kind == GuestKind::Vm { "qmstop" } else { "vzstop" };
        let upid = self.new_task(node, kind, &id.vmid.to_string(), user);
        let boots = self.nodes.get(node).map_or(0, |machine| machine.boots);
        self.events.at(self.now_ms + 1_000, Event::GuestStopped(id, node.clone(), Some(upid.clone()), boots));
        Ok(upid)
    }

    fn ha_request(
        &mut self,
        node: &NodeName,
        id: GuestId,
        state: RequestState,
        kind: &str,
        user: &str,
    ) -> Result<Upid, WorldError> {
        let upid = self.new_task(node, kind, &id.vmid.to_string(), user);
        let word = if id.kind == GuestKind::Vm { "VM" } else { "CT" };
        let verb = if state == RequestState::Started { "start" } else { "stop" };
        self.task_says(&upid, format!("Requesting HA {verb} for {word} {}", id.vmid));
        let status = if self.writable(node) {
            if let Some(resource) = self.ha.resources.get_mut(&id) {
                resource.state = state;
            }
            "OK".to_owned()
        } else {
            let verb = if state == RequestState::Started { "started" } else { "stopped" };
            format!("command 'ha-manager set {id} --state {verb}' failed: exit code 255")
        };
        self.events.at(self.now_ms + 900, Event::TaskEnds(upid.clone(), status));
        Ok(upid)
    }

    /// `PUT .../config` for one drive: `ide2=none,media=cdrom` is `set_drive(.., "ide2", "none,media=cdrom")`.
    pub fn guest_set_drive(&mut self, node: &NodeName, id: GuestId, key: &str, value: &str) -> Result<(), WorldError> {
        let guest = self.guest_here(node, id)?;
        if !self.writable(node) {
            return Err(WorldError::ReadOnly { path: config_path(node, id), pid: 4_242 });
        }
        Self::not_locked(guest)?;
        let volume = value.split(',').next().unwrap_or_default().to_owned();
        let (storage, volume) = match volume.split_once(':') {
            Some((storage, volume)) => (Some(storage.into()), volume.to_owned()),
            None => (None, volume),
        };
        // QEMU opens the medium at once.
        let files =
            storage.as_ref().and_then(|storage| self.storages.get(storage)).filter(|_| volume.starts_with("iso/"));
        if files.is_some_and(|files| !files.has_file(&volume, node)) {
            let name = volume.trim_start_matches("iso/");
            return Err(WorldError::die(format!(
                "Could not open '/var/lib/vz/template/iso/{name}': No such file or directory"
            )));
        }
        let Some(guest) = self.guests.get_mut(&id) else { return Ok(()) };
        match guest.disks.iter_mut().find(|disk| disk.key == key) {
            Some(disk) => {
                disk.storage = storage;
                disk.volume = volume;
                disk.size_bytes = 0;
            }
            None => {
                return Err(WorldError::die(format!("cannot change drive '{key}': this world does not add drives")));
            }
        }
        Ok(())
    }

    /// A start has ended.
    pub(crate) fn on_guest_started(&mut self, id: GuestId, node: &NodeName, task: Option<Upid>) {
        let wanted = self.guests.get(&id).is_some_and(|g| g.node == *node && !g.runs_on.contains(node));
        if !wanted || !self.nodes.get(node).is_some_and(super::node::Node::is_up) {
            return;
        }
        self.takes_up_state(id);
        self.process_begins(id, node);
        if let Some(guest) = self.guests.get_mut(&id) {
            guest.started_ms = self.now_ms;
        }
        if let Some(task) = task {
            self.end_task(&task, "OK");
        }
    }

    /// A shutdown or stop has ended.
    pub(crate) fn on_guest_stopped(&mut self, id: GuestId, node: &NodeName, task: Option<Upid>, boots: u32) {
        if self.nodes.get(node).is_some_and(|machine| machine.boots == boots) {
            self.process_ends(id, node);
        }
        self.lrm_goes_on(id, node);
        if let Some(task) = task {
            self.end_task(&task, "OK");
        }
    }

    /// The guest did not shut down in time.
    pub(crate) fn on_shutdown_timed_out(&mut self, id: GuestId, task: Option<Upid>) {
        if let Some(guest) = self.guests.get_mut(&id).filter(|guest| guest.activity == Activity::ShuttingDown) {
            guest.activity = Activity::Running;
        }
        self.serving_may_have_changed(id);
        if let Some(task) = task {
            let text = match id.kind {
                GuestKind::Vm => "VM quit/powerdown failed - got timeout",
                GuestKind::Ct => "container did not stop",
            };
            self.end_task(&task, text);
        }
    }

    /// A process of the guest begins on a node.
    pub(crate) fn process_begins(&mut self, id: GuestId, node: &NodeName) {
        let pid = self.new_pid(node);
        let Some(machine) = self.nodes.get_mut(node) else { return };
        machine.processes.insert(id);
        let qemu = machine.installed("pve-qemu-kvm").cloned();
        let Some(guest) = self.guests.get_mut(&id) else { return };
        guest.runs_on.insert(node.clone());
        guest.activity = Activity::Running;
        guest.pid = pid;
        if id.kind == GuestKind::Vm {
            if guest.running_machine.is_none() {
                guest.running_machine = qemu.as_ref().map(newest_machine);
            }
            guest.running_qemu = qemu;
        }
        let doubled = guest.runs_on.len() > 1;
        if doubled {
            let text = format!("{id} runs on {} nodes at once", guest.runs_on.len());
            self.impact.doubled.insert(id);
            self.impact.event(self.now_ms, text);
        }
        self.stall_of(id);
        self.serving_may_have_changed(id);
        self.safety_check_guest(id, node);
    }

    /// A process of the guest ends on a node, for whatever reason.
    pub(crate) fn process_ends(&mut self, id: GuestId, node: &NodeName) {
        if let Some(machine) = self.nodes.get_mut(node) {
            machine.processes.remove(&id);
        }
        let Some(guest) = self.guests.get_mut(&id) else { return };
        guest.runs_on.remove(node);
        if guest.runs_on.is_empty() {
            guest.activity = Activity::Stopped;
            guest.running_qemu = None;
            guest.running_machine = None;
            guest.stalled = false;
            guest.pid = 0;
        }
        self.serving_may_have_changed(id);
        self.safety_check_guest(id, node);
    }

    /// Reports to the impact report whether the guest serves now.
    pub(crate) fn serving_may_have_changed(&mut self, id: GuestId) {
        let Some(guest) = self.guests.get(&id) else { return };
        let state = match guest {
            guest if guest.serves() => Serving::Yes,
            guest if guest.stalled && guest.is_running() => Serving::Stalled,
            _ => Serving::No,
        };
        self.impact.note_serving(self.now_ms, id, &guest.node, state);
    }
}

/// The configuration file below /etc/pve.
pub(crate) fn config_path(node: &NodeName, id: GuestId) -> String {
    match id.kind {
        GuestKind::Vm => format!("nodes/{node}/qemu-server/{}.conf", id.vmid),
        GuestKind::Ct => format!("nodes/{node}/lxc/{}.conf", id.vmid),
    }
}

/// The newest machine type that a QEMU package supports: `10.1.2-4` makes `pc-i440fx-10.1+pve0`.
pub fn newest_machine(qemu: &Version) -> String {
    let mut parts = qemu.as_str().split(['.', '-']);
    let (major, minor) = (parts.next().unwrap_or("0"), parts.next().unwrap_or("0"));
    format!("pc-i440fx-{major}.{minor}+pve0")
}
