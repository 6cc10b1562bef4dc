//! More faults of a seed: in time, by other hands, several at once, and in whichever step the run takes.
//!
//! They are drawn by a generator of their own, so that what a seed drew before they existed is what it draws now; and
//! only for seeds that are newer than they are, because a seed that once failed keeps its story.

use quorate_core::ids::{NodeName, StepId};
use quorate_core::plan::Plan;
use quorate_core::run::Request;
use quorate_world::World;
use quorate_world::events::Rng;
use quorate_world::faults::FaultKind;

use super::planned_faults::{FaultDrawn, PlannedFault, When};
use super::shape::Draw;
use crate::ports::Trouble;

/// Seeds are taken from the clock: from this one on they draw these faults too.
const SINCE: u64 = 1_796_000_000_000;

/// Draws what else happens to the run of this seed.
pub(super) fn draw(seed: u64, world: &World, plan: &Plan) -> Vec<PlannedFault> {
    if seed < SINCE {
        return Vec::new();
    }
    let mut rng = Rng::new(seed.wrapping_mul(0xD6E8_FEB8_6659_FD93));
    rng.next_u64();
    let mut later = Later { rng, world, steps: plan.steps().map(|(_, step)| &step.id).collect(), drawn: Vec::new() };
    later.time();
    later.others();
    later.drawn
}

struct Later<'a> {
    rng: Rng,
    world: &'a World,
    steps: Vec<&'a StepId>,
    drawn: Vec<PlannedFault>,
}

impl Later<'_> {
    /// Mostly a step of the first plan; sometimes whichever is the so many-th.
    fn when(&mut self) -> When {
        let any = When::Begun(self.rng.between(1, self.steps.len() as u64 * 3 / 2 + 1));
        if self.rng.percent(25) {
            return any;
        }
        self.rng.pick(&self.steps).map_or(any, |id| When::Step((*id).clone()))
    }

    fn add(&mut self, when: When, delay_s: u64, what: FaultDrawn) {
        self.drawn.push(PlannedFault { when, delay_s, what });
    }

    fn node(&mut self) -> Option<NodeName> {
        let nodes: Vec<NodeName> = self.world.nodes.keys().cloned().collect();
        self.rng.pick(&nodes).cloned()
    }

    /// Orders that are late, drivers that are frozen, endpoints that hang, a journal that cannot be written.
    fn time(&mut self) {
        if self.rng.percent(15) {
            let seconds = if self.rng.percent(50) { self.rng.between(10, 300) } else { self.rng.between(300, 3_600) };
            let what = FaultDrawn::Wire { calls: self.rng.between(1, 3), trouble: Trouble::ArrivesLate { seconds } };
            let when = self.when();
            self.add(when, 0, what);
        }
        if self.rng.percent(15) {
            let on_its_way_s = self.rng.percent(50).then(|| self.rng.between(10, 3_600));
            let successor_after_s = self.rng.between(130, 600);
            let what = FaultDrawn::Freezes {
                after_calls: if self.rng.percent(60) { 0 } else { self.rng.between(1, 60) },
                on_its_way_s,
                successor_after_s,
                wakes_after_s: successor_after_s + self.rng.between(1, 3_600),
            };
            let when = self.when();
            self.add(when, 0, what);
        }
        if self.rng.percent(10)
            && let Some(node) = self.node()
        {
            let seconds = self.rng.between(30, 1_800);
            let when = self.when();
            self.add(when, 0, FaultDrawn::Hangs { node, seconds });
        }
        if self.rng.percent(5) {
            let back_after_s = self.rng.between(1, 1_800);
            let when = self.when();
            self.add(when, 0, FaultDrawn::JournalFull { back_after_s });
        }
    }

    /// Other hands and daemons: none, one, or several at once.
    fn others(&mut self) {
        let count = match self.rng.between(1, 100) {
            1..=50 => 0,
            51..=85 => 1,
            86..=95 => 2,
            _ => 3,
        };
        let when = self.when();
        for _ in 0..count {
            let delay_s = if self.rng.percent(50) { self.rng.between(0, 5) } else { self.rng.between(0, 240) };
            if let Some(kind) = self.fault() {
                self.add(when.clone(), delay_s, FaultDrawn::Fault(kind));
            }
        }
        if self.rng.percent(4) {
            let when = self.when();
            self.add(when, 0, FaultDrawn::Says(Request::Abort));
            let undoing = When::Aborting(self.rng.between(1, 5));
            if let Some(kind) = self.fault() {
                self.add(undoing, 0, FaultDrawn::Fault(kind));
            }
        }
    }

    fn fault(&mut self) -> Option<FaultKind> {
        let node = self.node()?;
        let guests: Vec<_> = self.world.guests.values().filter(|guest| !guest.template).map(|guest| guest.id).collect();
        let osds: Vec<_> = self.world.ceph.iter().flat_map(|ceph| ceph.osds.keys().copied()).collect();
        let nfs: Vec<_> = self.world.storages.values().filter(|storage| storage.kind == "nfs").collect();
        let rng = &mut self.rng;
        Some(match rng.between(1, 24) {
            1..=4 => FaultKind::AdminReboots { node },
            5..=7 => FaultKind::Backup { guest: *rng.pick(&guests)?, seconds: rng.between(20, 1_800) },
            8..=10 => FaultKind::NewGuest { node, memory_mib: rng.between(256, 2_048) },
            11..=12 => FaultKind::ShutdownHangs { node, seconds: rng.between(60, 1_500) },
            13..=14 => FaultKind::PostinstHangs { node, package: "pve-manager".to_owned() },
            15..=16 => FaultKind::PmxcfsRestarts { node, seconds: rng.between(2, 40) },
            17 => FaultKind::StorageGone { node, storage: rng.pick(&nfs)?.id.to_string(), gone: true },
            18 => FaultKind::MirrorLost { node, times: u32::try_from(rng.between(1, 3)).unwrap_or(1) },
            19..=20 => FaultKind::AdminUpgrades { node },
            21 => FaultKind::OsdFills { osd: *rng.pick(&osds)?, percent: if rng.percent(50) { 86 } else { 92 } },
            22 => FaultKind::MonsSlow { seconds: rng.between(20, 600) },
            _ => FaultKind::PvestatdHangs { node, seconds: rng.between(20, 900) },
        })
    }
}
