//! The event queue: what happens when, in one order for one seed.

use std::collections::{BTreeMap, BTreeSet};

use quorate_core::ids::{GuestId, NodeName, OsdId, UnitName, Upid};

use super::faults::FaultKind;

/// Something that will happen.
#[derive(Clone, Debug)]
pub enum Event {
    /// Corosync forms the membership again from what is really there.
    Membership,
    /// A master round of HA.
    CrmRound,
    /// A round of a local resource manager.
    LrmRound(NodeName),
    /// Has the watchdog of this node run out?
    Watchdog(NodeName),
    /// Next stage of a shutdown; `boots` guards against a later boot of the machine.
    Down(NodeName, u32),
    /// A shutdown that was scheduled is due, if it still is (guarded by boots).
    ScheduledDown(NodeName, u32),
    /// Next stage of a boot.
    Boot(NodeName, u32, BootStage),
    /// A transient unit makes progress.
    UnitStep(NodeName, UnitName, u32, usize),
    /// A move's phase is over, if the generation still fits.
    Migration(GuestId, u64),
    /// A running move reports its progress.
    MigrationTalk(GuestId, Upid),
    /// A guest's start is done.
    GuestStarted(GuestId, NodeName, Option<Upid>),
    /// A guest's shutdown is over.
    GuestStopped(GuestId, NodeName, Option<Upid>, u32),
    /// The memory of a guest that hibernates is written.
    GuestHibernated(GuestId, NodeName, Upid, u32),
    /// A guest did not go down in time.
    ShutdownTimedOut(GuestId, NodeName, Option<Upid>),
    /// A task without further effects ends with this status.
    TaskEnds(Upid, String),
    /// apt update ends.
    AptUpdated(Upid),
    /// Monitors mark the OSDs and daemons of a vanished host down.
    CephNotices(NodeName),
    /// An OSD has been down for long enough to be put out.
    OsdOut(OsdId, u64),
    /// Recovery continues.
    CephTick,
    /// Ceph daemons of a node come up (guarded by boots): all of them (`ceph`), a kind, or one.
    CephUp(NodeName, u32, String),
    /// Corosync starts on a node (guarded by boots).
    CorosyncUp(NodeName, u32),
    /// pve-guests starts onboot guests once there is quorum.
    StartAll(NodeName, u32),
    /// A backup job is due.
    BackupStarts(String),
    /// A node has backed up a guest and continues with the next; with the failures so far.
    BackupNext(NodeName, Upid, GuestId, Vec<GuestId>, u32),
    /// sshd answers again (guarded by boots).
    SshBack(NodeName, u32),
    /// dpkg's lock is released.
    DpkgUnlocked(NodeName),
    /// The LRM daemon is back after its package's restart.
    LrmStarts(NodeName, u32),
    /// An LRM that was told to stop checks whether it can exit.
    LrmLeaving(NodeName),
    /// The schedulers check which replication jobs are due.
    ReplicationMinute,
    /// A run of a replication job from this source ends.
    Replicated(String, NodeName),
    /// Packets get lost on a node's saturated link.
    CorosyncStrain(NodeName),
    /// The token does not get through to these nodes, if the storm still lasts.
    Starved(BTreeSet<NodeName>),
    /// A split brain has lasted long enough that each side assumes the other is dead; guarded by the ring.
    SplitRecovery(u32),
    /// A task for many guests checks what has ended.
    BulkStep(Box<super::bulk::Bulk>),
    /// A fault happens.
    Fault(FaultKind),
}

/// Stages of a boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BootStage {
    /// Kernel up, sshd answers.
    Ssh,
    /// pveproxy answers.
    Api,
}

/// Events by due time, then by the order in which they were scheduled.
#[derive(Clone, Debug, Default)]
pub struct Queue {
    due: BTreeMap<(u64, u64), Event>,
    seq: u64,
}

impl Queue {
    /// Schedules an event.
    pub fn at(&mut self, due_ms: u64, event: Event) {
        self.seq += 1;
        self.due.insert((due_ms, self.seq), event);
    }

    /// When the next one is due.
    pub fn next_due_ms(&self) -> Option<u64> {
        self.due.keys().next().map(|(due_ms, _)| *due_ms)
    }

    /// Takes the next one that is due by `now_ms`.
    pub fn pop(&mut self, now_ms: u64) -> Option<(u64, Event)> {
        let key = *self.due.keys().next().filter(|(due_ms, _)| *due_ms <= now_ms)?;
        self.due.remove(&key).map(|event| (key.0, event))
    }
}

/// SplitMix64: small, seeded, the same everywhere.
#[derive(Clone, Debug)]
pub struct Rng(u64);

impl Rng {
    /// From a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Next 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// From `low` to `high`, both included.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.next_u64() % (high.saturating_sub(low) + 1)
    }
}
