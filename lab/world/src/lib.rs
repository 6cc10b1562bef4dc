//! The true state of a simulated cluster: nodes, quorum, HA, guests, Ceph, packages, tasks, in virtual time.
//!
//! A deterministic discrete-event world. It does no I/O and reads no clock: [`World::advance_to`] is given the time
//! (Unix milliseconds, virtual) and processes what is due, in order. The same seed and the same calls give the same
//! world. It is written from the facts about Proxmox VE and knows nothing about the tool under test; harm is
//! counted from what really happened ([`crate::impact`]), never from what a tool reports.

pub mod access;
mod armed;
mod backup;
pub(crate) mod build;
mod build_ceph;
mod build_guest;
pub mod bulk;
mod bulk_steps;
pub mod ceph;
mod ceph_health;
mod ceph_map;
mod ceph_ops;
pub mod cluster_file;
pub mod corosync;
pub mod corosync_journal;
pub mod disks;
pub mod error;
pub mod events;
mod fault_effects;
pub mod fault_words;
pub mod faults;
pub mod guest;
pub mod ha;
mod hibernation;
pub mod impact;
pub mod lifecycle;
pub mod migration;
mod migration_disks;
pub mod migration_network;
mod migration_rates;
mod migration_steps;
mod migration_versions;
mod mirrors;
pub mod node;
mod other_hands;
pub mod packages;
pub mod pmxcfs;
pub mod power;
pub mod replication;
pub mod safety_checker;
pub mod services;
pub mod speed;
mod split;
mod start_needs;
pub mod store;
pub mod storm;
mod surroundings;
pub mod target_storage;
pub mod tasks;
#[cfg(test)]
mod tests;
mod units;

use std::collections::BTreeMap;

use quorate_core::ids::{GuestId, NodeName, StorageId};

pub use error::WorldError;
use events::Event;
pub use start_needs::path_of;

/// Ground truth.
#[derive(Clone, Debug)]
pub struct World {
    /// Virtual time, Unix milliseconds.
    pub now_ms: u64,
    /// When the world started.
    pub started_ms: u64,
    /// Seeded randomness.
    pub rng: events::Rng,
    /// The nodes' machines.
    pub nodes: BTreeMap<NodeName, node::Node>,
    /// Guests.
    pub guests: BTreeMap<GuestId, guest::Guest>,
    /// Storages by id.
    pub storages: BTreeMap<StorageId, store::Storage>,
    /// The HA manager's state.
    pub ha: ha::Ha,
    /// Ceph, if it is hyper-converged.
    pub ceph: Option<ceph::Ceph>,
    /// Membership and quorum.
    pub corosync: corosync::Corosync,
    /// PVE's tasks.
    pub tasks: tasks::Tasks,
    /// Running moves.
    pub migrations: migration::Migrations,
    /// `datacenter.cfg`.
    pub options: store::Options,
    /// Users, tokens, roles.
    pub access: access::Access,
    /// What the repositories offer.
    pub archive: packages::Archive,
    /// Backup jobs.
    pub backup_jobs: Vec<store::BackupJob>,
    /// Replication jobs.
    pub replication_jobs: Vec<store::ReplicationJob>,
    /// What the schedulers remember about those jobs.
    pub replication_runs: replication::Runs,
    /// Faults that wait for an event.
    pub armed: faults::Armed,
    /// How fast its machines are.
    pub speed: speed::MachineSpeed,
    /// The queue of future events.
    pub events: events::Queue,
    /// Harm so far.
    pub impact: crate::impact::Impact,
    /// Files and locks that clients put below `/etc/pve/priv`.
    pub files: pmxcfs::Files,
    /// A counter for ids that need a number.
    pub counter: u64,
}

impl World {
    /// Advances to this moment and processes what is due, in order. Time never goes back.
    pub fn advance_to(&mut self, now_ms: u64) {
        while let Some((due_ms, event)) = self.events.pop(now_ms) {
            self.now_ms = self.now_ms.max(due_ms);
            self.happen(event);
        }
        self.now_ms = self.now_ms.max(now_ms);
    }

    /// When the next event is due.
    pub fn next_due_ms(&self) -> Option<u64> {
        self.events.next_due_ms()
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Membership => self.form_membership(),
            Event::CrmRound => self.on_crm_round(),
            Event::LrmRound(node) => self.on_lrm_round(&node),
            Event::Watchdog(node) => self.on_watchdog(&node),
            Event::Down(node, boots) => self.on_down(&node, boots),
            Event::ScheduledDown(node, boots) => self.on_scheduled_down(&node, boots),
            Event::Boot(node, boots, stage) => self.on_boot(&node, boots, stage),
            Event::UnitStep(node, unit, boots, step) => self.on_unit_step(&node, &unit, boots, step),
            Event::Migration(guest, generation) => self.on_migration(guest, generation),
            Event::MigrationTalk(guest, upid) => self.on_migration_talk(guest, &upid),
            Event::GuestStarted(guest, node, task) => self.on_guest_started(guest, &node, task),
            Event::GuestHibernated(guest, node, task, boots) => self.on_guest_hibernated(guest, &node, &task, boots),
            Event::GuestStopped(guest, node, task, boots) => self.on_guest_stopped(guest, &node, task, boots),
            Event::ShutdownTimedOut(guest, _, task) => self.on_shutdown_timed_out(guest, task),
            Event::TaskEnds(upid, status) => self.end_task(&upid, &status),
            Event::AptUpdated(upid) => self.on_apt_updated(&upid),
            Event::CephNotices(node) => self.ceph_marks_down(&node),
            Event::OsdOut(osd, since_ms) => self.on_osd_out(osd, since_ms),
            Event::CephTick => self.on_ceph_tick(),
            Event::CephUp(node, boots, which) => self.on_ceph_up(&node, boots, &which),
            Event::CorosyncUp(node, boots) => {
                if self.nodes.get(&node).is_some_and(|machine| machine.boots == boots) {
                    self.set_corosync(&node, true);
                }
            }
            Event::StartAll(node, boots) => self.on_start_all(&node, boots),
            Event::BackupStarts(job) => self.on_backup_starts(&job),
            Event::BackupNext(node, upid, done, left, failed) => {
                self.on_backup_next(&node, upid, done, left, failed);
            }
            Event::BulkStep(bulk) => self.on_bulk_step(*bulk),
            Event::SshBack(node, boots) => self.on_ssh_back(&node, boots),
            Event::DpkgUnlocked(node) => self.on_dpkg_unlocked(&node),
            Event::LrmStarts(node, boots) => {
                if self.nodes.get(&node).is_some_and(|machine| machine.boots == boots && machine.is_up()) {
                    self.lrm_starts(&node);
                }
            }
            Event::LrmLeaving(node) => self.on_lrm_leaving(&node),
            Event::ReplicationMinute => self.on_replication_minute(),
            Event::Replicated(job, source) => self.on_replicated(&job, &source),
            Event::CorosyncStrain(node) => self.on_corosync_strain(&node),
            Event::Starved(nodes) => self.on_starved(&nodes),
            Event::SplitRecovery(ring_seq) => self.on_split_recovery(ring_seq),
            Event::Fault(fault) => self.on_fault(fault),
        }
    }

    /// A guest came to or left a node: checks the rules about that.
    pub(crate) fn safety_check_guest(&mut self, guest: GuestId, node: &NodeName) {
        crate::safety_checker::guest_placed(self, guest, node);
    }
}
