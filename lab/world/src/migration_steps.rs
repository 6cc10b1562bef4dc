//! A move from its task's first line to its last.

use quorate_core::ids::{GuestId, GuestKind, NodeName};

use super::World;
use super::events::Event;
use super::faults::MigrationOutcome;
use super::guest::Media;
use super::lifecycle::newest_machine;
use super::migration::{Migration, Mode, Phase};
use super::migration_versions::machine_number;
use super::units::{GIB, MIB};

/// The pause that QEMU is allowed at first.
const DOWNTIME_LIMIT_MS: u64 = 100;
/// How long a migration waits for the lock that it shares with replication.
const LOCK_WAIT_MS: u64 = 10_000;
/// Until QEMU waits on the target and the tunnel is up: 6, 6, 9 and 9 s in four recorded logs of a genuine cluster.
const TARGET_MS: u64 = 7_500;
/// From the end of the memory phase to the end of the task: 5, 5 and 6 s there.
const CLEANUP_MS: u64 = 5_000;
/// What copies of local disks add to that on the source: 10 s in total there.
const CLEANUP_DISKS_MS: u64 = 5_000;

impl World {
    /// The present phase of a guest's move is over, unless its rate has changed since.
    pub(crate) fn on_migration(&mut self, id: GuestId, generation: u64) {
        let Some(migration) = self.migrations.running.get(&id).filter(|m| m.generation == generation) else { return };
        let migration = migration.clone();
        match migration.phase {
            Phase::Prepare => self.prepared(&migration),
            Phase::Target => self.target_is_ready(&migration),
            Phase::Shutdown => self.shut_for_move(&migration),
            Phase::Disks => self.disks_copied(&migration),
            Phase::Memory => self.memory_copied(&migration),
            Phase::Cleanup => self.cleaned_up(&migration),
        }
    }

    fn prepared(&mut self, m: &Migration) {
        // A replication run holds the lock; a migration waits ten seconds for it.
        if let Some(until_ms) = self.replicating_until_ms(m.guest) {
            if until_ms > m.started_ms + LOCK_WAIT_MS {
                let lock = format!("/var/lock/pve-manager/pve-migrate-{}", m.guest.vmid);
                return self.abort_early(m, &format!("can't lock file '{lock}' - got timeout"));
            }
            return self.enter(m.guest, Phase::Prepare, until_ms.saturating_sub(self.now_ms) + 100);
        }
        if let Err(reason) = self.has_way(m) {
            return self.no_way(m, &reason);
        }
        let blockers = self.must_be_stopped(m).and_then(|()| self.disks_land(m)).and_then(|_| self.task_blockers(m));
        if let Err(reason) = blockers {
            return self.abort_early(m, &reason);
        }
        match m.mode {
            Mode::Restart => {
                let takes = self.guests.get(&m.guest).map_or(0, |g| g.shutdown_ms).min(180_000);
                self.say(m, &format!("shutdown CT {}", m.guest.vmid));
                if let Some(guest) = self.guests.get_mut(&m.guest) {
                    guest.activity = super::guest::Activity::ShuttingDown;
                }
                self.serving_may_have_changed(m.guest);
                self.enter(m.guest, Phase::Shutdown, takes);
            }
            Mode::Live => {
                self.say(m, &format!("starting VM {} on remote node '{}'", m.guest.vmid, m.target));
                self.enter(m.guest, Phase::Target, TARGET_MS);
            }
            Mode::Offline => self.copy_disks(m),
        }
    }

    fn target_is_ready(&mut self, m: &Migration) {
        if let Err(reason) = self.target_refuses(m) {
            self.say(m, &format!("[{}] {reason}", m.target));
            return self.abort_late(m, &format!("online migrate failure - remote command failed: {reason}"));
        }
        self.say(m, "start remote tunnel");
        // `qm mtunnel` on the target asks for quorum before anything else (qemu-server).
        if !self.writable(&m.target) {
            return self.abort_late(m, "online migrate failure - no quorum on target host");
        }
        self.say(m, "ssh tunnel ver 1");
        self.copy_disks(m);
    }

    fn says_start(&mut self, m: &Migration) {
        let word = if m.guest.kind == GuestKind::Vm { "VM" } else { "CT" };
        let address = self.address(m);
        if m.mode == Mode::Live && self.options.migration_network.is_some() {
            self.say(m, &format!("use dedicated network address for sending migration traffic ({address})"));
        }
        self.say(m, &format!("starting migration of {word} {} to node '{}' ({address})", m.guest.vmid, m.target));
    }

    /// What the checks of phase 1 find, with PVE's texts.
    fn task_blockers(&mut self, m: &Migration) -> Result<(), String> {
        let guest = self.guests.get(&m.guest).ok_or("no such guest")?.clone();
        let vm = m.guest.kind == GuestKind::Vm;
        let raw: Vec<&str> = guest.devices.keys().map(String::as_str).collect();
        if vm && !raw.is_empty() && !m.by_ha {
            return Err(format!("can't migrate VM which uses local devices: {}", raw.join(", ")));
        }
        if let Err(said) = self.ssh_to(&m.source, &m.target) {
            self.say(m, &said);
            return Err("Can't connect to destination address using public key".to_owned());
        }
        if m.mode != Mode::Restart {
            self.says_start(m);
        }
        let mut found = false;
        for disk in &guest.disks {
            let Some(storage) = disk.storage.as_ref().and_then(|s| self.storages.get(s)) else { continue };
            if storage.shared {
                continue;
            }
            let volid = format!("{}:{}", storage.id, disk.volume);
            if disk.media == Media::Cdrom {
                self.say(m, &format!("can't migrate local disk '{volid}': local cdrom image"));
                found = true;
            } else if m.mode == Mode::Live && !m.with_local_disks {
                let why = "can't live migrate attached local disks without with-local-disks option";
                self.say(m, &format!("can't migrate local disk '{volid}': {why}"));
                found = true;
            } else if m.mode == Mode::Live && !guest.snapshots.is_empty() {
                let why = "online storage migration not possible if non-replicated snapshot exists";
                self.say(m, &format!("can't migrate local disk '{volid}': {why}"));
                found = true;
            } else {
                let word = if self.has_replica(m.guest, &m.target) { ", replicated" } else { "" };
                self.say(m, &format!("found local{word} disk '{volid}' (attached)"));
            }
        }
        if found {
            self.say(m, "ERROR: Problem found while scanning volumes - can't migrate VM - check log");
            return Err("Problem found while scanning volumes - can't migrate VM - check log".to_owned());
        }
        Ok(())
    }

    /// Why QEMU does not start on the target.
    fn target_refuses(&self, m: &Migration) -> Result<(), String> {
        let guest = self.guests.get(&m.guest).ok_or("no such guest")?;
        let landed = self.disks_land(m)?;
        let there = |(number, disk): (usize, &super::guest::Disk)| {
            let other = landed.iter().find(|(landed, _)| *landed == number).map(|(_, id)| id);
            self.storages.get(other.or(disk.storage.as_ref())?)
        };
        let mut storages = guest.disks.iter().enumerate().filter_map(there);
        if let Some(gone) = storages.find(|storage| !self.reaches(storage, &m.target)) {
            return Err(format!("storage '{}' is not online", gone.id));
        }
        let Some(guest) = self.guests.get(&m.guest) else { return Ok(()) };
        if m.by_ha && !guest.devices.is_empty() {
            return Err("start failed: QEMU exited with code 1: VFIO migration is not supported".to_owned());
        }
        self.node_lacks(&m.target, guest, true)?;
        self.target_knows_options(m)?;
        let newest = self.nodes.get(&m.target).and_then(|n| n.installed("pve-qemu-kvm")).map(newest_machine);
        if let (Some(machine), Some(newest)) = (&guest.running_machine, newest)
            && machine_number(machine) > machine_number(&newest)
        {
            return Err(format!("start failed: QEMU exited with code 1: unsupported machine type '{machine}'"));
        }
        // Guests that are coming in live are already counted, including this one.
        let used = self.node_committed_bytes(&m.target);
        let fits = |node: &super::node::Node| node.host_used_bytes + used <= node.memory_bytes;
        if !self.nodes.get(&m.target).is_some_and(fits) {
            return Err("start failed: QEMU exited with code 1: cannot set up guest memory 'ram0': \
                        Cannot allocate memory"
                .to_owned());
        }
        Ok(())
    }

    fn shut_for_move(&mut self, m: &Migration) {
        self.process_ends(m.guest, &m.source);
        self.says_start(m);
        self.copy_disks(m);
    }

    fn copy_disks(&mut self, m: &Migration) {
        if m.disk_bytes == 0 {
            return self.copy_memory(m);
        }
        if let Err(reason) = self.streams(m) {
            self.abort_late(m, &reason);
            return self.start_again_at_home(m);
        }
        self.say(m, "starting storage migration");
        let export = format!("nbd:unix:/run/qemu-server/{}_nbd.migrate:exportname=drive-scsi0", m.guest.vmid);
        if m.mode == Mode::Live {
            self.say(m, &format!("scsi0: start migration to {export}"));
            self.task_says(&m.upid, "drive mirror is starting for drive-scsi0");
        }
        self.transfer(m.guest, Phase::Disks, m.disk_bytes);
    }

    fn disks_copied(&mut self, m: &Migration) {
        if m.mode == Mode::Live {
            let (all, lasted_s) = (size(m.disk_bytes), self.now_ms.saturating_sub(m.phase_started_ms) / 1000);
            let line = format!("mirror-scsi0: transferred {all} of {all} (100.00%) in {lasted_s}s, ready");
            self.task_says(&m.upid, line);
            self.task_says(&m.upid, "all 'mirror' jobs are ready");
            self.say(m, "switching mirror jobs to actively synced mode");
            self.task_says(&m.upid, "mirror-scsi0: successfully switched to actively synced mode");
        }
        self.copy_memory(m);
    }

    fn copy_memory(&mut self, m: &Migration) {
        if m.mode != Mode::Live {
            return self.enter(m.guest, Phase::Cleanup, 2_000);
        }
        let channel = format!("unix:/run/qemu-server/{}.migrate", m.guest.vmid);
        for line in [
            &format!("starting online/live migration on {channel}"),
            "set migration capabilities",
            &format!("migration downtime limit: {DOWNTIME_LIMIT_MS} ms"),
            "migration cachesize: 512.0 MiB",
            "set migration parameters",
            &format!("start migrate command to {channel}"),
        ] {
            self.say(m, line);
        }
        if let Some(why) = self.display_stays(m.guest) {
            return self.abort_late(m, &why);
        }
        let used = self.guests.get(&m.guest).map_or(GIB, |guest| guest.held_bytes());
        self.transfer(m.guest, Phase::Memory, used);
        match self.armed.take_migration_outcome(m.guest) {
            Some(MigrationOutcome::Hang) => self.hang(m.guest),
            Some(MigrationOutcome::Fail(percent)) => self.fail_at(m.guest, percent),
            Some(MigrationOutcome::Lie) => {
                if let Some(m) = self.migrations.running.get_mut(&m.guest) {
                    m.lies = true;
                }
            }
            None if self.packets_are_lost(m) => self.hang(m.guest),
            None => {}
        }
    }

    fn memory_copied(&mut self, m: &Migration) {
        if !self.guests.get(&m.guest).is_some_and(|guest| guest.runs_on.contains(&m.source)) {
            return self.abort_late(m, "online migrate failure - VM is not running any more");
        }
        if m.fails {
            self.say(m, "migration status error: failed - Unable to write to socket: Broken pipe");
            return self.abort_late(m, "online migrate failure - aborting");
        }
        let Some(guest) = self.guests.get(&m.guest) else { return };
        let (memory, dirty) = (guest.memory_bytes, guest.dirty_bytes_per_s);
        // The last pass: what was dirtied meanwhile, at the present rate, and QEMU's own switch.
        let switch_ms = self.rng.between(25, 70);
        let tail_ms = if dirty * 2 < m.bytes_per_s { 0 } else { (dirty * 400 / m.bytes_per_s.max(1)).min(4_000) };
        let blackout_ms = switch_ms + tail_ms;
        // What is left does not fit into the allowed pause: QEMU is given twice as long, again and again.
        let mut allowed_ms = DOWNTIME_LIMIT_MS;
        while allowed_ms < tail_ms {
            allowed_ms *= 2;
            self.say(m, &format!("auto-increased downtime to continue migration: {allowed_ms} ms"));
        }
        let seconds = (self.now_ms.saturating_sub(m.phase_started_ms) / 1000).max(1);
        let speed = size(memory / seconds);
        self.say(m, &format!("average migration speed: {speed}/s - downtime {blackout_ms} ms"));
        self.say(m, &format!("migration completed, transferred {} VM-state", size(m.phase_total_bytes)));
        self.say(m, "migration status: completed");
        if m.disk_bytes > 0 {
            for line in ["Completing block job...", "Completed successfully.", "mirror-job finished"] {
                self.task_says(&m.upid, format!("mirror-scsi0: {line}"));
            }
            self.say(m, "stopping NBD storage migration server on target.");
        }
        self.migrations.blackouts_ms.push((m.guest, blackout_ms));
        self.impact.note_blackout(self.now_ms, m.guest, blackout_ms);
        let copies_ms = if m.disk_bytes > 0 { CLEANUP_DISKS_MS } else { 0 };
        self.enter(m.guest, Phase::Cleanup, CLEANUP_MS + copies_ms);
    }

    /// The configuration file moves, and with it the guest.
    fn cleaned_up(&mut self, m: &Migration) {
        self.migrations.running.remove(&m.guest);
        self.rates_changed();
        self.note_direction(m);
        let landed = self.disks_land(m).unwrap_or_default();
        self.disks_landed(m.guest, &landed);
        self.config_moves(m.guest, &m.target);
        if let Some(guest) = self.guests.get_mut(&m.guest) {
            guest.lock = None;
        }
        // A replication job to the new node reverses its direction automatically.
        for job in self.replication_jobs.iter_mut().filter(|job| job.guest == m.guest && job.target == m.target) {
            std::mem::swap(&mut job.source, &mut job.target);
        }
        match m.mode {
            Mode::Live => {
                if m.with_conntrack_state {
                    self.say(m, "migrated 12 conntrack state entries");
                }
                self.hand_over(m);
            }
            Mode::Restart => {
                self.say(m, "start container on target node");
                self.start_now(&m.target, m.guest, "root@pam");
            }
            Mode::Offline => {}
        }
        self.impact.moves += 1;
        let lasted = super::tasks::duration(self.now_ms.saturating_sub(m.started_ms));
        if m.lies {
            self.say(m, &format!("ERROR: migration finished with problems (duration {lasted})"));
            self.end_task(&m.upid, "migration problems");
        } else {
            self.say(m, &format!("migration finished successfully (duration {lasted})"));
            self.end_task(&m.upid, "OK");
        }
    }

    /// The process on the target takes over in the same moment; QEMU's pause is already in the impact report.
    fn hand_over(&mut self, m: &Migration) {
        let qemu = self.nodes.get(&m.target).and_then(|n| n.installed("pve-qemu-kvm").cloned());
        let pid = self.new_pid(&m.target);
        for (name, lives) in [(&m.source, false), (&m.target, true)] {
            let Some(node) = self.nodes.get_mut(name) else { continue };
            if lives {
                node.processes.insert(m.guest);
            } else {
                node.processes.remove(&m.guest);
            }
        }
        if let Some(guest) = self.guests.get_mut(&m.guest) {
            guest.runs_on.remove(&m.source);
            guest.runs_on.insert(m.target.clone());
            guest.running_qemu = qemu;
            guest.pid = pid;
        }
        self.stall_of(m.guest);
        self.serving_may_have_changed(m.guest);
        self.safety_check_guest(m.guest, &m.target);
    }

    /// The file below /etc/pve moves to another node's directory.
    pub(crate) fn config_moves(&mut self, id: GuestId, target: &NodeName) {
        let Some(guest) = self.guests.get_mut(&id) else { return };
        let source = std::mem::replace(&mut guest.node, target.clone());
        if let Some(node) = self.nodes.get_mut(&source) {
            node.guests.remove(&id);
        }
        if let Some(node) = self.nodes.get_mut(target) {
            node.guests.insert(id);
        }
    }

    /// A container that was shut down for the move is started again on the source.
    pub(crate) fn start_again_at_home(&mut self, m: &Migration) {
        let id = m.guest;
        if m.mode == Mode::Restart && !self.guests.get(&id).is_some_and(super::guest::Guest::is_running) {
            self.start_now(&m.source, id, "root@pam");
        }
    }

    pub(crate) fn say(&mut self, m: &Migration, line: &str) {
        self.task_says_at(&m.upid, line);
    }
}

/// `1.2 GiB`, `113.4 MiB`.
pub(super) fn size(bytes: u64) -> String {
    if bytes >= GIB {
        format!("{:.1} GiB", bytes as f64 / GIB as f64)
    } else {
        format!("{:.1} MiB", bytes as f64 / MIB as f64)
    }
}

impl World {
    /// Starts a phase of fixed length.
    pub(crate) fn enter(&mut self, id: GuestId, phase: Phase, takes_ms: u64) {
        let now_ms = self.now_ms;
        let Some(m) = self.migrations.running.get_mut(&id) else { return };
        m.phase = phase;
        m.phase_started_ms = now_ms;
        m.bytes_per_s = 0;
        m.phase_left_bytes = 0;
        m.generation += 1;
        let generation = m.generation;
        self.events.at(now_ms + takes_ms, Event::Migration(id, generation));
        self.rates_changed();
    }
}
