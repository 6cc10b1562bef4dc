//! Moving guests: live, by restart, offline.

use std::collections::BTreeMap;

use quorate_core::ids::{GuestId, GuestKind, NodeName, Upid};

use super::target_storage::TargetStorage;
use super::{World, WorldError};

/// What a caller asks for with `POST .../migrate`.
#[derive(Clone, Debug)]
pub struct MigrateRequest {
    /// Target node.
    pub target: String,
    /// `online=1` (VM).
    pub online: bool,
    /// `restart=1` (CT).
    pub restart: bool,
    /// `with-local-disks=1`.
    pub with_local_disks: bool,
    /// `with-conntrack-state=1` (VM): state of the firewall's connections goes along.
    pub with_conntrack_state: bool,
    /// `targetstorage` (VM) or `target-storage` (CT).
    pub storages: Option<TargetStorage>,
    /// User or token.
    pub user: String,
}

/// How a guest moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// A running VM, live.
    Live,
    /// A container: shut down, move, start.
    Restart,
    /// A guest that does not run.
    Offline,
}

/// Who requested a move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// A caller of the API, who may want the state of the firewall's connections to go along.
    ByUser {
        /// `with-conntrack-state=1`.
        with_conntrack_state: bool,
    },
    /// The LRM, which may force what a caller may not.
    ByHa,
}

/// Phases of a move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Checks before the move.
    Prepare,
    /// QEMU starts on the target, and the tunnel to it.
    Target,
    /// The container shuts down.
    Shutdown,
    /// Local disks are copied.
    Disks,
    /// Memory is copied.
    Memory,
    /// Config has moved; cleaning up, or starting the container.
    Cleanup,
}

/// A running move.
#[derive(Clone, Debug)]
pub struct Migration {
    /// The move's task.
    pub upid: Upid,
    /// The guest that moves.
    pub guest: GuestId,
    /// Source node.
    pub source: NodeName,
    /// Target node.
    pub target: NodeName,
    /// Live, by restart, or offline.
    pub mode: Mode,
    /// Present phase.
    pub phase: Phase,
    /// When the task began.
    pub started_ms: u64,
    /// When the present phase began.
    pub phase_started_ms: u64,
    /// Bytes to send in this phase.
    pub phase_total_bytes: u64,
    /// Bytes still to send at `counted_ms`.
    pub phase_left_bytes: u64,
    /// When `phase_left_bytes` was last counted.
    pub counted_ms: u64,
    /// Present rate, in bytes per second.
    pub bytes_per_s: u64,
    /// Bytes of local disks to copy.
    pub disk_bytes: u64,
    /// May it copy local disks?
    pub with_local_disks: bool,
    /// Which storages are others on the target.
    pub storages: TargetStorage,
    /// Was it requested by the LRM (force, root@pam)?
    pub by_ha: bool,
    /// Does the state of the firewall's connections go along?
    pub with_conntrack_state: bool,
    /// Invalidates events of an older rate.
    pub generation: u64,
    /// Fails at the end of its memory phase (a fault).
    pub fails: bool,
    /// Makes no progress (a fault).
    pub hangs: bool,
    /// Moves the guest, and reports failure (a fault).
    pub lies: bool,
}

/// Running moves.
#[derive(Clone, Debug, Default)]
pub struct Migrations {
    /// By guest: each guest has at most one.
    pub running: BTreeMap<GuestId, Migration>,
    /// Blackout of each completed live move, milliseconds, newest last.
    pub blackouts_ms: Vec<(GuestId, u64)>,
}

/// The answer of `GET .../migrate`, in the world's own terms.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Precondition {
    /// Is the guest running?
    pub running: bool,
    /// Other nodes to which nothing prevents a move.
    pub allowed: Vec<NodeName>,
    /// Nodes to which it cannot move, with reasons.
    pub refused: BTreeMap<NodeName, TargetRefused>,
    /// Drives on local storage, by index into the guest's disks.
    pub local_disks: Vec<super::guest::Disk>,
    /// `hostpci0`, `usb1`, ...
    pub local_resources: Vec<String>,
    /// HA resources that would move with it.
    pub dependent_ha: Vec<GuestId>,
}

/// Why a guest cannot move to a node.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TargetRefused {
    /// Storages that the node does not have.
    pub unavailable_storages: Vec<String>,
    /// HA resources that prevent it, and the cause.
    pub blocking_ha: Vec<(GuestId, String)>,
}

impl World {
    /// `GET .../migrate`.
    pub fn migrate_precondition(&self, node: &NodeName, id: GuestId) -> Result<Precondition, WorldError> {
        self.need_quorum(node)?;
        let guest = self.guest_here(node, id)?;
        Self::not_locked(guest)?;
        let mut answer = Precondition { running: guest.is_running(), ..Precondition::default() };
        for disk in &guest.disks {
            let Some(storage) = disk.storage.as_ref().and_then(|s| self.storages.get(s)) else { continue };
            if !storage.shared {
                answer.local_disks.push(disk.clone());
            }
        }
        answer.local_resources = guest.devices.keys().cloned().collect();
        let used: Vec<_> = guest.disks.iter().filter_map(|disk| disk.storage.as_ref()).collect();
        for other in self.nodes.keys().filter(|other| *other != node) {
            let lacks = |id: &&quorate_core::ids::StorageId| self.storages.get(*id).is_none_or(|s| !s.is_on(other));
            let refusal = TargetRefused {
                unavailable_storages: used.iter().copied().filter(lacks).map(ToString::to_string).collect(),
                blocking_ha: self.ha_blockers(id, other),
            };
            if refusal == TargetRefused::default() {
                answer.allowed.push(other.clone());
            } else {
                answer.refused.insert(other.clone(), refusal);
            }
        }
        answer.dependent_ha = self.ha_companions(id);
        Ok(answer)
    }

    /// `POST .../migrate`: `qmigrate`/`vzmigrate`, or `hamigrate` for an HA resource.
    pub fn migrate(&mut self, node: &NodeName, id: GuestId, request: MigrateRequest) -> Result<Upid, WorldError> {
        if request.target == node.as_str() {
            let message = "target is local node.".to_owned();
            return Err(WorldError::Parameter { field: "target".to_owned(), message });
        }
        self.need_quorum(node)?;
        let target = NodeName::new(request.target.clone());
        if !self.nodes.contains_key(&target) {
            return Err(WorldError::NoSuchNode(request.target));
        }
        let guest = self.guest_here(node, id)?;
        Self::not_locked(guest)?;
        let vm = id.kind == GuestKind::Vm;
        if guest.is_running() && vm && !request.online {
            return Err(WorldError::die("can't migrate running VM without --online"));
        }
        if guest.is_running() && !vm && !request.online && !request.restart {
            return Err(WorldError::die("can't migrate running container without --online or --restart"));
        }
        // With a map, only the storages that it names are looked at before the task.
        if request.storages.as_ref().is_none_or(|map| map.identity) {
            for id in guest.disks.iter().filter_map(|disk| disk.storage.as_ref()) {
                self.storage_enabled(id, &target)?;
            }
            self.contents_allowed(guest)?;
        }
        let mut jobs = self.replication_jobs.iter().filter(|job| job.guest == id).peekable();
        if guest.is_running() && vm && jobs.peek().is_some() && !jobs.any(|job| job.target == target) {
            return Err(WorldError::die(format!(
                "Cannot live-migrate replicated VM to node '{target}' - not a replication target. Use 'force' to override."
            )));
        }
        if self.ha_managed(id) {
            return Ok(self.request_ha_move(node, id, &request));
        }
        let mode = match (guest.is_running(), vm) {
            (false, _) => Mode::Offline,
            (true, true) => Mode::Live,
            (true, false) => Mode::Restart,
        };
        let asked = Asked::ByUser { with_conntrack_state: request.with_conntrack_state };
        let storages = request.storages.unwrap_or_default();
        Ok(self.begin_migration(id, target, mode, (request.with_local_disks, storages), asked, &request.user))
    }

    /// Starts the task on the source node.
    pub(crate) fn begin_migration(
        &mut self,
        id: GuestId,
        target: NodeName,
        mode: Mode,
        (with_local_disks, storages): (bool, TargetStorage),
        asked: Asked,
        user: &str,
    ) -> Upid {
        let kind = if id.kind == GuestKind::Vm { "qmigrate" } else { "vzmigrate" };
        let source = self.guests.get(&id).map(|guest| guest.node.clone()).unwrap_or_else(|| target.clone());
        let upid = self.new_task(&source, kind, &id.vmid.to_string(), user);
        if asked == Asked::ByHa {
            self.task_says(&upid, "task started by HA resource agent");
        }
        let disk_bytes = self.local_disk_bytes(id, &target);
        let migration = Migration {
            upid: upid.clone(),
            guest: id,
            source,
            target,
            mode,
            phase: Phase::Prepare,
            started_ms: self.now_ms,
            phase_started_ms: self.now_ms,
            phase_total_bytes: 0,
            phase_left_bytes: 0,
            counted_ms: self.now_ms,
            bytes_per_s: 0,
            disk_bytes,
            with_local_disks: with_local_disks || asked == Asked::ByHa,
            storages,
            by_ha: asked == Asked::ByHa,
            with_conntrack_state: asked == Asked::ByUser { with_conntrack_state: true },
            generation: 0,
            fails: false,
            hangs: false,
            lies: false,
        };
        if mode == Mode::Live && !migration.with_conntrack_state {
            let line = "conntrack state migration not supported or disabled, active connections might get dropped";
            self.task_says_at(&upid, line);
        }
        if let Some(guest) = self.guests.get_mut(&id) {
            guest.lock = Some("migrate".to_owned());
        }
        self.migrations.running.insert(id, migration);
        self.enter(id, Phase::Prepare, 500);
        upid
    }

    /// What has to be copied of local disks: of replicated ones only what was written since the last run.
    fn local_disk_bytes(&self, id: GuestId, target: &NodeName) -> u64 {
        let Some(guest) = self.guests.get(&id) else { return 0 };
        let local = |disk: &&super::guest::Disk| {
            let storage = disk.storage.as_ref().and_then(|s| self.storages.get(s));
            disk.media == super::guest::Media::Disk && storage.is_some_and(|s| !s.shared)
        };
        let all: u64 = guest.disks.iter().filter(local).map(|disk| disk.size_bytes).sum();
        if self.has_replica(id, target) { all / super::replication::SHARE_WRITTEN } else { all }
    }

    /// A stopped guest may be starting: its start holds the lock of its configuration. Then it runs, and is not moved
    /// like one that does not (qemu-server, pve-container).
    pub(crate) fn must_be_stopped(&self, m: &Migration) -> Result<(), String> {
        let guest = self.guests.get(&m.guest).filter(|_| m.mode == Mode::Offline);
        let (vmid, vm) = (m.guest.vmid, m.guest.kind == GuestKind::Vm);
        match guest {
            Some(guest) if guest.is_running() && vm => Err("can't migrate running VM without --online".to_owned()),
            Some(guest) if guest.is_running() => {
                Err("can't migrate running container without --online or --restart".to_owned())
            }
            Some(guest) if guest.activity == super::guest::Activity::Starting && vm => {
                Err(format!("can't lock file '/var/lock/qemu-server/lock-{vmid}.conf' - got timeout"))
            }
            Some(guest) if guest.activity == super::guest::Activity::Starting => {
                Err(format!("can't lock file '/run/lock/lxc/pve-config-{vmid}.lock' - got timeout"))
            }
            _ => Ok(()),
        }
    }

    /// Memory of live moves that are coming in to a node.
    pub(crate) fn incoming_bytes(&self, node: &NodeName) -> u64 {
        let comes = |m: &&Migration| m.target == *node && m.mode == Mode::Live;
        let memory = |m: &Migration| self.guests.get(&m.guest).map_or(0, |guest| guest.memory_bytes);
        self.migrations.running.values().filter(comes).map(memory).sum()
    }

    /// Phase 1 failed: nothing has happened. A failure before that phase logs no line about its end.
    pub(crate) fn abort_early(&mut self, m: &Migration, reason: &str) {
        if reason.starts_with("Problem found") {
            self.say(m, "aborting phase 1 - cleanup resources");
        }
        let lasted = super::tasks::duration(self.now_ms.saturating_sub(m.started_ms));
        self.say(m, &format!("ERROR: migration aborted (duration {lasted}): {reason}"));
        self.forget_migration(m.guest);
        self.end_task(&m.upid, "migration aborted");
    }

    /// Phase 2 failed: the guest stays where it is.
    pub(crate) fn abort_late(&mut self, m: &Migration, reason: &str) {
        self.say(m, &format!("ERROR: {reason}"));
        self.say(m, "aborting phase 2 - cleanup resources");
        self.say(m, "migrate_cancel");
        let lasted = super::tasks::duration(self.now_ms.saturating_sub(m.started_ms));
        self.say(m, &format!("ERROR: migration finished with problems (duration {lasted})"));
        self.forget_migration(m.guest);
        self.end_task(&m.upid, "migration problems");
    }

    /// Someone stops the task, or the source goes down.
    pub(crate) fn cancel_migration(&mut self, id: GuestId) {
        self.fail_migration(id, "received interrupt");
    }

    /// Breaks off the guest's migration, with a reason that its task logs.
    pub fn fail_migration(&mut self, id: GuestId, reason: &str) {
        let Some(m) = self.migrations.running.get(&id).cloned() else { return };
        self.abort_late(&m, reason);
        self.start_again_at_home(&m);
    }

    pub(crate) fn forget_migration(&mut self, id: GuestId) {
        self.migrations.running.remove(&id);
        if let Some(guest) = self.guests.get_mut(&id) {
            guest.lock = None;
            if guest.activity == super::guest::Activity::ShuttingDown && guest.is_running() {
                guest.activity = super::guest::Activity::Running;
            }
        }
        self.serving_may_have_changed(id);
        self.rates_changed();
    }

    /// A node is gone: its outgoing moves vanish and leave the lock behind, incoming ones fail on their source.
    pub(crate) fn lose_migrations(&mut self, node: &NodeName) {
        let touched: Vec<Migration> =
            self.migrations.running.values().filter(|m| m.source == *node || m.target == *node).cloned().collect();
        for m in touched {
            if m.source == *node {
                self.migrations.running.remove(&m.guest);
                self.rates_changed();
            } else {
                self.fail_migration(m.guest, "online migrate failure - aborting");
            }
        }
    }

    /// A move that makes no progress: its end never comes.
    pub(crate) fn hang(&mut self, id: GuestId) {
        if let Some(m) = self.migrations.running.get_mut(&id) {
            m.hangs = true;
            m.generation += 1;
        }
    }

    /// A move that fails after this share of its memory.
    pub(crate) fn fail_at(&mut self, id: GuestId, percent: u8) {
        if let Some(m) = self.migrations.running.get_mut(&id) {
            m.fails = true;
            m.phase_left_bytes = m.phase_left_bytes / 100 * u64::from(percent.min(100));
            m.bytes_per_s = 0;
        }
        self.rates_changed();
    }
}
