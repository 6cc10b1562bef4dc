//! Storage replication: periodic runs, their failures, and what has to wait for them.
//!
//! The source's scheduler checks once a minute. A job that is due while its target is away fails once; then it is held
//! until the target is back, and tried again later: five minutes after the last try for each failure in a row, at most
//! thirty. A run takes the lock that a migration of the guest needs.

use std::collections::BTreeMap;

use quorate_core::ids::{GuestId, NodeName};

use super::World;
use super::events::Event;
use super::guest::Media;
use super::store::ReplicationJob;

const MINUTE_MS: u64 = 60_000;
/// Added to the delay for each failure in a row.
const RETRY_MS: u64 = 300_000;
/// At most this many times that.
const RETRY_AT_MOST: u64 = 6;
/// A run's constant part: snapshots on both ends.
const CONSTANT_MS: u64 = 4_000;
/// The share that a run has to send: a hundredth of the guest's local disks.
pub(super) const SHARE_WRITTEN: u64 = 100;
const BYTES_PER_S: u64 = 100 << 20;
/// A job is due every quarter of an hour unless its schedule says something else that this world understands.
const DEFAULT_MINUTES: u64 = 15;

/// Runs of the jobs, by job.
pub type Runs = BTreeMap<String, Run>;

/// What the scheduler remembers about a job.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Run {
    /// When it was last tried, Unix milliseconds.
    pub last_try_ms: u64,
    /// How long the last run took.
    pub duration_ms: u64,
    /// The running run ends at this moment.
    pub running_until_ms: Option<u64>,
}

impl World {
    /// The scheduler's check, once a minute.
    pub(crate) fn on_replication_minute(&mut self) {
        self.events.at(self.now_ms + MINUTE_MS, Event::ReplicationMinute);
        for index in 0..self.replication_jobs.len() {
            let job = self.replication_jobs[index].clone();
            if job.enabled && self.replication_is_due(&job) {
                self.replicate(index, &job);
            }
        }
    }

    fn replication_is_due(&self, job: &ReplicationJob) -> bool {
        let run = self.replication_runs.get(&job.id).copied().unwrap_or_default();
        let quorate = self.writable(&job.source);
        let scheduler = self.nodes.get(&job.source).is_some_and(|node| node.api_up && quorate);
        let moving = self.guests.get(&job.guest).is_none_or(|guest| guest.lock.is_some());
        if !scheduler || moving || run.running_until_ms.is_some() {
            return false;
        }
        if job.fail_count > 0 {
            let wait_ms = RETRY_MS * u64::from(job.fail_count).min(RETRY_AT_MOST);
            return self.can_replicate(job) && self.now_ms >= run.last_try_ms + wait_ms;
        }
        let last_s = (run.last_try_ms / 1000).max(job.last_sync_s);
        let every_s = every_minutes(&job.schedule) * 60;
        self.now_ms / 1000 >= (last_s / every_s + 1) * every_s
    }

    /// Is the target in the cluster?
    fn can_replicate(&self, job: &ReplicationJob) -> bool {
        let view = self.corosync.views.get(&job.source);
        let there = view.is_some_and(|view| view.members.contains(&job.target));
        there && self.nodes.get(&job.target).is_some_and(|node| node.ssh_up)
    }

    fn replicate(&mut self, index: usize, job: &ReplicationJob) {
        let takes_ms = CONSTANT_MS + self.replication_bytes(job.guest) * 1000 / BYTES_PER_S;
        let run = self.replication_runs.entry(job.id.clone()).or_default();
        run.last_try_ms = self.now_ms;
        let why = match (self.armed.take_replication_fail(job.guest), self.can_replicate(job)) {
            (true, _) => {
                Some("command 'set -o pipefail && pvesm export ... | ssh ...' failed: exit code 255".to_owned())
            }
            (false, false) => Some(format!(
                "command '/usr/bin/ssh root@{} -- pvesr prepare-local-job' failed: exit code 255",
                job.target
            )),
            (false, true) => None,
        };
        if let Some(error) = why {
            let job = &mut self.replication_jobs[index];
            job.fail_count += 1;
            job.error = Some(error);
            return;
        }
        if let Some(run) = self.replication_runs.get_mut(&job.id) {
            run.running_until_ms = Some(self.now_ms + takes_ms);
        }
        self.events.at(self.now_ms + takes_ms, Event::Replicated(job.id.clone(), job.source.clone()));
    }

    /// A run ends, unless its source or target is gone.
    pub(crate) fn on_replicated(&mut self, id: &str, source: &NodeName) {
        let now_ms = self.now_ms;
        let Some(run) = self.replication_runs.get_mut(id) else { return };
        run.running_until_ms = None;
        run.duration_ms = now_ms.saturating_sub(run.last_try_ms);
        let Some(job) = self.replication_jobs.iter().find(|job| job.id == id && job.source == *source).cloned() else {
            return;
        };
        let whole = self.can_replicate(&job) && self.nodes.get(source).is_some_and(super::node::Node::is_up);
        let Some(job) = self.replication_jobs.iter_mut().find(|job| job.id == id) else { return };
        if whole {
            job.last_sync_s = now_ms / 1000;
            job.fail_count = 0;
            job.error = None;
        } else {
            job.fail_count += 1;
            job.error =
                Some("command 'set -o pipefail && pvesm export ... | ssh ...' failed: exit code 255".to_owned());
        }
    }

    /// Until when a run keeps a migration of this guest waiting.
    pub(super) fn replicating_until_ms(&self, guest: GuestId) -> Option<u64> {
        let jobs = self.replication_jobs.iter().filter(|job| job.guest == guest);
        jobs.filter_map(|job| self.replication_runs.get(&job.id)?.running_until_ms).max()
    }

    /// Does this node hold a replica of the guest's local disks?
    pub(super) fn has_replica(&self, guest: GuestId, node: &NodeName) -> bool {
        self.replication_jobs.iter().any(|job| job.guest == guest && job.target == *node && job.last_sync_s > 0)
    }

    fn replication_bytes(&self, guest: GuestId) -> u64 {
        let disks = self.guests.get(&guest).into_iter().flat_map(|guest| &guest.disks);
        disks.filter(|disk| disk.media == Media::Disk).map(|disk| disk.size_bytes / SHARE_WRITTEN).sum()
    }
}

/// `*/15` is every quarter of an hour.
fn every_minutes(schedule: &str) -> u64 {
    let minutes = schedule.strip_prefix("*/").and_then(|minutes| minutes.parse().ok());
    minutes.filter(|minutes| (1..=60).contains(minutes)).unwrap_or(DEFAULT_MINUTES)
}
