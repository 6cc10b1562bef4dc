//! The impact report: harm to the cluster, counted in the world as it happens, from its true state.
//!
//! The world reports every relevant change to it; it never looks at what a tool believes. A run begins with
//! [`Impact::begin`], which takes the baseline, declares separately the downtime that it has consent for, and ends with
//! [`Impact::report`]. Without `begin` the baseline is the world's first moment.

mod baseline;
mod moments;

use std::collections::{BTreeMap, BTreeSet};

use quorate_core::ids::{GuestId, NodeName};
use serde::{Deserialize, Serialize};

pub use self::baseline::Baseline;
pub use self::moments::{Moments, Outage};
use crate::World;
use crate::guest::Guest;
use crate::node::Node;

/// A live migration's pause up to here is a blackout; beyond, it is downtime.
const BLACKOUT_LIMIT_MS: u64 = 2_000;

/// Harm to the cluster, counted as it happens.
#[derive(Clone, Debug, Default)]
pub struct Impact {
    /// The state at the beginning.
    pub baseline: Option<Baseline>,
    /// Consented downtime per guest, seconds.
    pub consents: BTreeMap<GuestId, u64>,
    /// What happened, for people: time (Unix ms) and text.
    pub events: Vec<(u64, String)>,
    /// Guests that an administrator stopped.
    pub excused: BTreeSet<GuestId>,
    /// Nodes that a fault took down: no run is responsible for that.
    pub excused_nodes: BTreeSet<NodeName>,
    /// Guests that ran on two nodes at once.
    pub doubled: BTreeSet<GuestId>,
    /// Nodes reset by their watchdog.
    pub fences: u32,
    /// Completed moves of guests.
    pub moves: u32,
    /// Live moves to an older release.
    pub backward_moves: u32,
    /// Bytes that Ceph copied because OSDs were put out.
    pub ceph_bytes_rebalanced: u64,
    /// Longest pause of a live migration.
    pub blackout_ms_max: u64,
    /// Rules that are broken now, by rule and subject.
    pub broken_now: BTreeSet<(String, String)>,
    /// Rules broken so far: time, rule, evidence.
    pub rules_broken: Vec<(u64, String, String)>,
    /// The same with places and moments.
    pub moments: Moments,
    down_since_ms: BTreeMap<GuestId, u64>,
    down_ms: BTreeMap<GuestId, u64>,
    no_quorum_since_ms: Option<u64>,
    no_quorum_ms: u64,
}

/// Does a guest serve?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Serving {
    Yes,
    /// Its process runs, and its storage does not answer.
    Stalled,
    No,
}

/// The counts by which a run is checked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ImpactReport {
    /// Always `ledger`.
    pub kind: String,
    /// True if there is no harm and nothing is still to undo.
    pub clean: bool,
    /// Nodes that were behind and are up to date now: packages, kernel, Ceph's daemons.
    pub nodes_upgraded: u32,
    /// Seconds in which no partition had quorum.
    pub quorum_lost_s: u64,
    /// Guests that served at the beginning and do not run now.
    pub guests_lost: u32,
    /// Guests that ran on two nodes at once.
    pub guests_doubled: u32,
    /// Downtime without consent.
    pub unconsented_downtime_s: u64,
    /// Downtime within consents.
    pub consented_downtime_s: u64,
    /// Longest pause of a live migration.
    pub blackout_ms_max: u64,
    /// Nodes reset by their watchdog.
    pub fences: u32,
    /// Bytes Ceph moved because OSDs were put out.
    pub ceph_bytes_rebalanced: u64,
    /// Rules broken.
    pub rules_broken: u32,
    /// Moves to an older release.
    pub backward_moves: u32,
    /// Changes that were not undone.
    pub still_to_undo: u32,
    /// Completed moves.
    pub moves: u32,
    /// The planner's bound, given by the caller.
    pub moves_bound: u32,
    /// Virtual seconds since the beginning.
    pub virtual_s: u64,
    /// Wall-clock seconds, given by the caller.
    pub wall_s: f64,
    /// Harm lines for people.
    pub events: Vec<String>,
}

impl Impact {
    /// A run begins: takes the baseline and clears all counts.
    pub fn begin(world: &mut World) {
        let baseline = Baseline::of(world);
        let down = world.guests.values().filter(|guest| !guest.serves()).map(|guest| (guest.id, world.now_ms));
        let down_since_ms = down.collect();
        let no_quorum_since_ms = (!world.corosync.anywhere_quorate()).then_some(world.now_ms);
        world.impact = Impact { baseline: Some(baseline), down_since_ms, no_quorum_since_ms, ..Impact::default() };
    }

    /// The run declares how many seconds in total this guest may be down.
    pub fn consent(&mut self, guest: GuestId, max_s: u64) {
        let entry = self.consents.entry(guest).or_default();
        *entry = (*entry).max(max_s);
    }

    /// An aborted run has reported to the operator that it leaves this guest's failback off. That does not count as
    /// still to undo if setting it back would do harm: another node does not have the guest's QEMU yet, or is away.
    pub fn hand_over(world: &mut World, guest: GuestId) {
        let runs = world.guests.get(&guest).and_then(|guest| guest.running_qemu.clone());
        let cannot_take = |node: &Node| !node.is_up() || node.installed("pve-qemu-kvm") < runs.as_ref();
        let harms = runs.is_some() && world.nodes.values().any(cannot_take);
        if let Some(baseline) = world.impact.baseline.as_mut().filter(|_| harms) {
            baseline.failback.remove(&guest);
        }
    }

    /// Was any downtime of this guest consented to?
    pub fn has_consent(&self, guest: GuestId) -> bool {
        self.consents.get(&guest).is_some_and(|max_s| *max_s > 0)
    }

    /// Adds a line of harm.
    pub(crate) fn event(&mut self, now_ms: u64, text: String) {
        self.events.push((now_ms, text));
    }

    /// Adds a line that is not harm by itself (a fault, an expired timeout).
    pub(crate) fn note(&mut self, now_ms: u64, text: String) {
        self.events.push((now_ms, format!("({text})")));
    }

    /// An administrator stops the guest.
    pub(crate) fn excuse(&mut self, guest: GuestId) {
        self.excused.insert(guest);
        self.down_since_ms.remove(&guest);
    }

    /// An administrator sets or clears noout: part of the baseline from now on.
    pub(crate) fn admin_noout(&mut self, set: bool) {
        let Some(baseline) = &mut self.baseline else { return };
        if set {
            baseline.flags.insert("noout".to_owned());
        } else {
            baseline.flags.remove("noout");
        }
    }

    /// An administrator puts a node into maintenance mode, or takes it out: part of the baseline from now on.
    pub(crate) fn admin_maintenance(&mut self, node: NodeName, on: bool) {
        let Some(baseline) = &mut self.baseline else { return };
        if on {
            baseline.maintenance.insert(node);
        } else {
            baseline.maintenance.remove(&node);
        }
    }

    /// The guest serves, or does not.
    pub(crate) fn note_serving(&mut self, now_ms: u64, guest: GuestId, node: &NodeName, state: Serving) {
        if state == Serving::Yes {
            if let Some(since) = self.down_since_ms.remove(&guest) {
                self.moments.ends(guest, now_ms);
                *self.down_ms.entry(guest).or_default() += now_ms.saturating_sub(since);
            }
        } else if !self.excused.contains(&guest) && !self.down_since_ms.contains_key(&guest) {
            self.down_since_ms.insert(guest, now_ms);
            let (node, stalled) = (node.clone(), state == Serving::Stalled);
            self.moments.outages.push(Outage { guest, node, from_ms: now_ms, until_ms: None, stalled });
        }
    }

    /// A live migration paused its guest.
    pub(crate) fn note_blackout(&mut self, now_ms: u64, guest: GuestId, blackout_ms: u64) {
        self.blackout_ms_max = self.blackout_ms_max.max(blackout_ms);
        if blackout_ms > BLACKOUT_LIMIT_MS {
            *self.down_ms.entry(guest).or_default() += blackout_ms;
            self.event(now_ms, format!("{guest} stood still for {blackout_ms} ms while it was moved"));
        }
    }

    /// Some partition has quorum, or none has.
    pub(crate) fn note_quorum(&mut self, now_ms: u64, any: bool) {
        match (any, self.no_quorum_since_ms) {
            (false, None) => {
                self.no_quorum_since_ms = Some(now_ms);
                self.moments.no_quorum.push((now_ms, None));
                self.event(now_ms, "no partition has quorum".to_owned());
            }
            (true, Some(since)) => {
                self.no_quorum_ms += now_ms.saturating_sub(since);
                self.no_quorum_since_ms = None;
                if let Some((_, until_ms)) = self.moments.no_quorum.last_mut() {
                    *until_ms = Some(now_ms);
                }
            }
            _ => {}
        }
    }

    /// A rule is broken for this subject; counted once until it holds again.
    pub(crate) fn rule_broken(&mut self, now_ms: u64, rule: &str, subject: &str, evidence: &str) {
        if self.broken_now.insert((rule.to_owned(), subject.to_owned())) {
            self.rules_broken.push((now_ms, rule.to_owned(), evidence.to_owned()));
            self.event(now_ms, format!("{rule}: {evidence}"));
        }
    }

    /// The rule holds again for this subject.
    pub(crate) fn rule_mended(&mut self, rule: &str, subject: &str) {
        self.broken_now.remove(&(rule.to_owned(), subject.to_owned()));
    }

    /// Downtime up to now, by guest.
    fn downtime_s(&self, now_ms: u64, of: &BTreeSet<GuestId>) -> BTreeMap<GuestId, u64> {
        let mut all = self.down_ms.clone();
        for (guest, since) in &self.down_since_ms {
            *all.entry(*guest).or_default() += now_ms.saturating_sub(*since);
        }
        all.retain(|guest, ms| of.contains(guest) && *ms > 0);
        all.into_iter().map(|(guest, ms)| (guest, ms.div_ceil(1000))).collect()
    }

    /// Downtime up to now of each guest that served at the beginning, in seconds.
    pub fn downtime_by_guest(world: &World) -> BTreeMap<GuestId, u64> {
        let running = world.impact.baseline.as_ref().map(|baseline| baseline.running.clone()).unwrap_or_default();
        world.impact.downtime_s(world.now_ms, &running)
    }

    /// The report up to now.
    pub fn report(world: &World, moves_bound: u32, wall_s: f64) -> ImpactReport {
        let impact = &world.impact;
        let first = Baseline::default();
        let baseline = impact.baseline.as_ref().unwrap_or(&first);
        let now_ms = world.now_ms;
        let (mut consented, mut unconsented) = (0, 0);
        let mut events: Vec<(u64, String)> = impact.events.clone();
        for (guest, seconds) in impact.downtime_s(now_ms, &baseline.running) {
            let allowed = impact.consents.get(&guest).copied().unwrap_or(0);
            consented += seconds.min(allowed);
            let over = seconds.saturating_sub(allowed);
            unconsented += over;
            if over > 0 {
                events.push((now_ms, format!("{guest} was down for {seconds} s, {over} s without consent")));
            }
        }
        let gone = |id: &&GuestId| !impact.excused.contains(id) && !world.guests.get(id).is_some_and(Guest::is_running);
        let lost: Vec<&GuestId> = baseline.running.iter().filter(gone).collect();
        events.extend(lost.iter().map(|id| (now_ms, format!("{id} ran at the beginning and does not run now"))));
        let open = baseline.open_changes(world);
        events.extend(open.iter().map(|text| (now_ms, text.clone())));
        let since_ms = impact.no_quorum_since_ms.map_or(0, |since| now_ms.saturating_sub(since));
        let mut report = ImpactReport {
            kind: "ledger".to_owned(),
            clean: false,
            nodes_upgraded: baseline.upgraded(world),
            quorum_lost_s: (impact.no_quorum_ms + since_ms).div_ceil(1000),
            guests_lost: lost.len() as u32,
            guests_doubled: impact.doubled.len() as u32,
            unconsented_downtime_s: unconsented,
            consented_downtime_s: consented,
            blackout_ms_max: impact.blackout_ms_max,
            fences: impact.fences,
            ceph_bytes_rebalanced: impact.ceph_bytes_rebalanced,
            rules_broken: impact.rules_broken.len() as u32,
            backward_moves: impact.backward_moves,
            still_to_undo: open.len() as u32,
            moves: impact.moves,
            moves_bound,
            virtual_s: now_ms.saturating_sub(baseline.at_ms) / 1000,
            wall_s,
            events: Vec::new(),
        };
        report.clean = report.no_harm();
        let stamp = crate::tasks::timestamp;
        report.events = events.into_iter().map(|(at, text)| format!("{} {text}", stamp(at))).collect();
        report
    }
}

impl ImpactReport {
    /// Is every count of harm zero, and nothing still to undo?
    fn no_harm(&self) -> bool {
        [
            self.quorum_lost_s,
            u64::from(self.guests_lost),
            u64::from(self.guests_doubled),
            self.unconsented_downtime_s,
            u64::from(self.fences),
            self.ceph_bytes_rebalanced,
            u64::from(self.rules_broken),
            u64::from(self.backward_moves),
            u64::from(self.still_to_undo),
        ]
        .iter()
        .all(|count| *count == 0)
    }
}
