//! The faults of a seed: which, and at which step.
//!
//! A fault happens when a step begins or a while after, so that it hits the run in the middle of something.

use std::fmt;

use quorate_core::ids::{NodeName, StepId};
use quorate_core::plan::Plan;
use quorate_core::run::Request;
use quorate_world::World;
use quorate_world::events::Rng;
use quorate_world::faults::FaultKind;

use super::shape::Draw;
use crate::ports::Trouble;

/// Something that happens to the run at or after the start of a step.
#[derive(Clone, Debug)]
pub struct PlannedFault {
    /// Which step.
    pub when: When,
    /// Seconds after its beginning.
    pub delay_s: u64,
    /// What happens then.
    pub what: FaultDrawn,
}

/// The step at whose beginning something happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum When {
    /// This one, when it is begun for the first time.
    Step(StepId),
    /// The so many-th that is begun, also again, in a plan made anew or in an undoing.
    Begun(u64),
    /// The so many-th that is begun after the operator has asked to abort.
    Aborting(u64),
}

impl fmt::Display for When {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Step(id) => id.fmt(f),
            Self::Begun(number) => write!(f, "step number {number}"),
            Self::Aborting(number) => write!(f, "step number {number} of the abort"),
        }
    }
}

/// What can happen to a run.
#[derive(Clone, Debug)]
pub enum FaultDrawn {
    /// A fault of the cluster.
    Fault(FaultKind),
    /// The tool dies after so many more calls, and is started again after so many seconds.
    Dies {
        /// Calls that are still answered.
        after_calls: u64,
        /// Seconds until the tool is started again.
        back_after_s: u64,
    },
    /// The operator says something.
    Says(Request),
    /// The next calls of the tool go wrong on their way.
    Wire {
        /// How many calls.
        calls: u64,
        /// What happens to each.
        trouble: Trouble,
    },
    /// The API of a node takes connections and answers nothing.
    Hangs {
        /// The node.
        node: NodeName,
        /// Seconds that it lasts.
        seconds: u64,
    },
    /// The driver is frozen; a successor on another machine continues with a copy of its journal, until it wakes.
    Freezes {
        /// Calls that are still answered.
        after_calls: u64,
        /// The last call was handed to the network, and arrives so many seconds later.
        on_its_way_s: Option<u64>,
        /// Seconds until the successor starts.
        successor_after_s: u64,
        /// Seconds until it wakes.
        wakes_after_s: u64,
    },
    /// The journal's disk is full: the driver stops. Somebody makes room and resumes.
    JournalFull {
        /// Seconds until the tool is started again.
        back_after_s: u64,
    },
    /// The tool's own clock is set by so many seconds.
    ClockSet {
        /// Seconds, forward or back.
        seconds: i64,
    },
}

/// Draws the faults of a run that follows this plan.
pub(super) fn draw(rng: &mut Rng, world: &World, plan: &Plan) -> Vec<PlannedFault> {
    let steps: Vec<(Option<&NodeName>, &StepId)> = plan.steps().map(|(node, step)| (node, &step.id)).collect();
    let nodes: Vec<NodeName> = world.nodes.keys().cloned().collect();
    let count = match rng.between(1, 100) {
        1..=15 => 0,
        16..=55 => 1,
        56..=85 => 2,
        _ => 3,
    };
    let mut planned_faults = Vec::new();
    for _ in 0..count {
        let Some((node, id)) = rng.pick(&steps).copied() else { break };
        let delay_s = if rng.percent(50) { rng.between(0, 5) } else { rng.between(0, 240) };
        let at_work = node.or(nodes.first());
        let target = if rng.percent(60) { at_work } else { rng.pick(&nodes) };
        let Some(kind) = target.and_then(|target| fault(rng, world, target)) else { continue };
        planned_faults.push(PlannedFault { when: When::Step(id.clone()), delay_s, what: FaultDrawn::Fault(kind) });
    }
    let mut also = |percent: u64, rng: &mut Rng, what: FaultDrawn| {
        if let Some((_, id)) = rng.pick(&steps).copied().filter(|_| rng.between(1, 100) <= percent) {
            planned_faults.push(PlannedFault { when: When::Step(id.clone()), delay_s: 0, what });
        }
    };
    let dies = FaultDrawn::Dies { after_calls: rng.between(0, 150), back_after_s: rng.between(1, 1_800) };
    also(30, rng, dies);
    also(6, rng, FaultDrawn::Says(Request::Abort));
    also(6, rng, FaultDrawn::Says(Request::Pause));
    let calls = if rng.percent(70) { rng.between(1, 5) } else { rng.between(5, 400) };
    let troubles = [401, 500, 595, 596].map(Trouble::Refuses);
    let trouble = if rng.percent(50) { Some(Trouble::LosesAnswer) } else { rng.pick(&troubles).copied() };
    if let Some(trouble) = trouble {
        also(20, rng, FaultDrawn::Wire { calls, trouble });
    }
    let seconds = i64::try_from(rng.between(1, 7_200)).unwrap_or(0) - 3_600;
    also(5, rng, FaultDrawn::ClockSet { seconds });
    planned_faults
}

fn fault(rng: &mut Rng, world: &World, target: &NodeName) -> Option<FaultKind> {
    let node = target.clone();
    let guests: Vec<_> = world.guests.values().filter(|guest| !guest.template).map(|guest| guest.id).collect();
    let any = rng.pick(&guests).copied();
    let guest = any.filter(|_| rng.percent(40));
    let times = u32::try_from(rng.between(1, 4)).unwrap_or(1);
    let osds: Vec<_> = world.ceph.iter().flat_map(|ceph| ceph.osds.keys().copied()).collect();
    Some(match rng.between(1, 35) {
        1..=2 => FaultKind::PowerOff { node },
        3 => FaultKind::BootSlow { node, seconds: rng.between(200, 2_400) },
        4..=5 => FaultKind::BootOldKernel { node },
        6 => FaultKind::BootNever { node },
        7 => FaultKind::MigrationFail { guest, percent: u8::try_from(rng.between(0, 99)).unwrap_or(80), times },
        8 => FaultKind::MigrationHang { guest, times },
        9 => FaultKind::MigrationLies { guest },
        10 => FaultKind::AptUpdateFail { node, times },
        11..=12 => FaultKind::AptFail { node, package: "pve-manager".to_owned(), times },
        13 => FaultKind::DiskFull { node, free_bytes: 20 << 20 },
        14..=15 => FaultKind::SshDown { node, seconds: rng.between(10, 1_500) },
        16 => FaultKind::Qdevice { alive: false },
        17 => FaultKind::AptLocked { node, seconds: rng.between(10, 900) },
        18..=19 => FaultKind::LinkDown { node, link: usize::try_from(rng.between(0, 1)).unwrap_or(0) },
        20 => FaultKind::OsdStaysDown { osd: *rng.pick(&osds)? },
        21 => FaultKind::OsdFails { osd: *rng.pick(&osds)? },
        22 => FaultKind::AdminMaintenance { node, on: true },
        23 => FaultKind::AdminStarts { guest: any? },
        24 => FaultKind::AdminStops { guest: any? },
        25..=26 => FaultKind::AdminMoves { guest: any?, target: node },
        27 => FaultKind::AdminNoout { set: rng.percent(60) },
        28 => FaultKind::ApiError { node, text: Some("unable to open file - No space left on device".to_owned()) },
        29 => FaultKind::BootRenamesNics { node },
        30 => FaultKind::AptAsks { node, package: "pve-manager".to_owned() },
        31..=32 => FaultKind::LinkFlaps {
            node,
            link: usize::try_from(rng.between(0, 1)).unwrap_or(0),
            times: u32::try_from(rng.between(2, 6)).unwrap_or(2),
            every_s: rng.between(4, 90),
        },
        33 => FaultKind::EtcPveReadOnly { node },
        _ => FaultKind::ClockSkew { node, skew_ms: if rng.percent(50) { 90_000 } else { -4_000 } },
    })
}
