//! How fast moves are: streams share the network of both their ends, and a busy guest dirties memory already sent.

use std::collections::BTreeMap;

use quorate_core::ids::{GuestId, NodeName, Upid};

use super::World;
use super::events::Event;
use super::migration::{Migration, Phase};
use super::migration_steps::size;

/// A stream never exceeds this, whatever the network can carry: one QEMU channel, encrypted.
const STREAM_BYTES_PER_S: u64 = 600 << 20;

impl World {
    /// Begins a phase that sends bytes over the network.
    pub(crate) fn transfer(&mut self, id: GuestId, phase: Phase, bytes: u64) {
        let now_ms = self.now_ms;
        let Some(m) = self.migrations.running.get_mut(&id) else { return };
        m.phase = phase;
        m.phase_started_ms = now_ms;
        m.counted_ms = now_ms;
        m.phase_total_bytes = bytes;
        m.phase_left_bytes = bytes;
        m.bytes_per_s = 0;
        m.generation += 1;
        let upid = m.upid.clone();
        self.events.at(now_ms + 5_000, Event::MigrationTalk(id, upid));
        self.rates_changed();
    }

    /// A line of progress every ten seconds, as QEMU's figures come in.
    pub(crate) fn on_migration_talk(&mut self, id: GuestId, upid: &Upid) {
        let now_ms = self.now_ms;
        let dirty = self.guests.get(&id).map_or(0, |guest| guest.dirty_bytes_per_s);
        let Some(m) = self.migrations.running.get(&id).filter(|m| m.upid == *upid) else { return };
        let mut counted = m.clone();
        if !m.hangs {
            counted.count(now_ms, dirty);
        }
        let done = m.phase_total_bytes.saturating_sub(counted.phase_left_bytes);
        let (done, total, speed) = (size(done), size(m.phase_total_bytes), size(m.bytes_per_s));
        match m.phase {
            Phase::Memory => {
                let line = format!("migration active, transferred {done} of {total} VM-state, {speed}/s");
                self.task_says_at(upid, &line);
            }
            Phase::Disks => self.task_says(upid, format!("mirror-scsi0: transferred {done} of {total}")),
            Phase::Prepare | Phase::Target | Phase::Shutdown | Phase::Cleanup => return,
        }
        self.events.at(now_ms + 10_000, Event::MigrationTalk(id, upid.clone()));
    }

    /// The set of streams has changed: counts what was sent, shares the links again, schedules the ends.
    pub(crate) fn rates_changed(&mut self) {
        let mut streams: BTreeMap<NodeName, u64> = BTreeMap::new();
        for m in self.migrations.running.values().filter(|m| m.sends()) {
            for node in [&m.source, &m.target] {
                *streams.entry(node.clone()).or_default() += 1;
            }
        }
        let (now_ms, link) = (self.now_ms, self.options.migration_bytes_per_s);
        let most = self.options.migration_limit_bytes_per_s.unwrap_or(STREAM_BYTES_PER_S).min(STREAM_BYTES_PER_S);
        for m in self.migrations.running.values_mut().filter(|m| m.sends()) {
            let sharing = streams.get(&m.source).max(streams.get(&m.target)).copied().unwrap_or(1);
            let rate = (link / sharing.max(1)).min(most);
            if rate == m.bytes_per_s {
                continue;
            }
            let dirty = self.guests.get(&m.guest).map_or(0, |guest| guest.dirty_bytes_per_s);
            m.count(now_ms, dirty);
            m.bytes_per_s = rate;
            m.generation += 1;
            if !m.hangs {
                let ends_ms = now_ms + m.phase_left_bytes * 1000 / m.drain(dirty).max(1) + 1;
                self.events.at(ends_ms, Event::Migration(m.guest, m.generation));
            }
        }
        self.storm_may_have_changed(&streams);
    }
}

impl Migration {
    pub(super) fn sends(&self) -> bool {
        matches!(self.phase, Phase::Disks | Phase::Memory)
    }

    /// Bytes per second by which the rest shrinks: a busy guest dirties memory that was already sent.
    fn drain(&self, dirty_bytes_per_s: u64) -> u64 {
        match self.phase {
            Phase::Memory => self.bytes_per_s.saturating_sub(dirty_bytes_per_s).max(self.bytes_per_s / 10),
            _ => self.bytes_per_s,
        }
    }

    fn count(&mut self, now_ms: u64, dirty_bytes_per_s: u64) {
        let sent = self.drain(dirty_bytes_per_s) * now_ms.saturating_sub(self.counted_ms) / 1000;
        self.phase_left_bytes = self.phase_left_bytes.saturating_sub(sent);
        self.counted_ms = now_ms;
    }
}
