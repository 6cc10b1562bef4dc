//! Scheduled backups: while a guest is backed up its configuration is locked, and it cannot be moved.

use quorate_core::ids::{GuestId, NodeName, Upid};

use super::World;
use super::events::Event;

/// Duration of one guest's backup: a constant, plus its disks at this speed.
const CONSTANT_MS: u64 = 10_000;
const BYTES_PER_S: u64 = 400 << 20;
/// All schedules in this world are daily.
const DAY_S: u64 = 86_400;

impl World {
    /// Schedules the next run of every enabled job.
    pub(crate) fn schedule_backups(&mut self) {
        for job in &self.backup_jobs {
            self.events.at(job.next_run_s * 1000, Event::BackupStarts(job.id.clone()));
        }
    }

    /// A job is due: each node backs up its own guests, one after another.
    pub(crate) fn on_backup_starts(&mut self, id: &str) {
        let now_ms = self.now_ms;
        let Some(job) = self.backup_jobs.iter_mut().find(|job| job.id == id) else { return };
        job.next_run_s = now_ms / 1000 + DAY_S;
        self.events.at(job.next_run_s * 1000, Event::BackupStarts(id.to_owned()));
        let job = job.clone();
        if !job.enabled {
            return;
        }
        for name in self.nodes.keys().cloned().collect::<Vec<_>>() {
            let quorate = self.writable(&name);
            let Some(machine) = self.nodes.get(&name).filter(|m| m.api_up && quorate) else { continue };
            if job.node.as_ref().is_some_and(|only| *only != name) {
                continue;
            }
            let meant = |guest: &&GuestId| job.guests.is_empty() || job.guests.contains(guest);
            let guests: Vec<GuestId> = machine.guests.iter().filter(meant).copied().collect();
            let upid = self.new_task(&name, "vzdump", "", "root@pam");
            self.task_says(
                &upid,
                format!("INFO: starting new backup job: vzdump --mode {} --storage {}", job.mode, job.storage),
            );
            self.back_up_next(&name, upid, guests, 0);
        }
    }

    /// The current guest is backed up; continue with the next.
    pub(crate) fn on_backup_next(
        &mut self,
        node: &NodeName,
        upid: Upid,
        done: GuestId,
        left: Vec<GuestId>,
        failed: u32,
    ) {
        if !self.task_runs(&upid) {
            // The node died, or someone stopped the task. vzdump unlocks on a stop; a dead node leaves the lock.
            let alive = self.nodes.get(node).is_some_and(super::node::Node::is_up);
            if alive {
                self.unlock_backup(done);
            }
            return;
        }
        self.unlock_backup(done);
        self.task_says(&upid, format!("INFO: Finished Backup of {} {}", word(done), done.vmid));
        self.back_up_next(node, upid, left, failed);
    }

    fn back_up_next(&mut self, node: &NodeName, upid: Upid, mut left: Vec<GuestId>, mut failed: u32) {
        while !left.is_empty() {
            let id = left.remove(0);
            let Some(guest) = self.guests.get_mut(&id) else { continue };
            if guest.lock.is_some() || guest.node != *node {
                failed += 1;
                let why = guest.lock.clone().map_or("it has moved".to_owned(), |lock| format!("it is locked ({lock})"));
                self.task_says(&upid, format!("ERROR: Backup of {} {} failed - {why}", word(id), id.vmid));
                continue;
            }
            guest.lock = Some("backup".to_owned());
            let bytes: u64 = guest.disks.iter().map(|disk| disk.size_bytes).sum();
            let takes_ms = CONSTANT_MS + bytes / 4 * 1000 / BYTES_PER_S;
            self.task_says(&upid, format!("INFO: Starting Backup of {} {}", word(id), id.vmid));
            self.events.at(self.now_ms + takes_ms, Event::BackupNext(node.clone(), upid, id, left, failed));
            return;
        }
        self.end_task(&upid, if failed == 0 { "OK" } else { "job errors" });
    }

    fn unlock_backup(&mut self, id: GuestId) {
        if let Some(guest) = self.guests.get_mut(&id).filter(|guest| guest.lock.as_deref() == Some("backup")) {
            guest.lock = None;
        }
    }
}

fn word(id: GuestId) -> &'static str {
    match id.kind {
        quorate_core::ids::GuestKind::Vm => "VM",
        quorate_core::ids::GuestKind::Ct => "CT",
    }
}
