//! The faults of a seed: which, at which step, and what harm each may do by itself.
//!
//! A fault happens when a step begins or a while after, so that it hits the run in the middle of something. The
//! second half of this file is the heart of the attribution: what a fault can do to a cluster without any upgrade
//! is the fault's; everything else is ours (see `docs/safety/fuzz.md`).

use std::collections::BTreeSet;

use quorate_core::ids::{NodeName, StepId};
use quorate_core::plan::Plan;
use quorate_core::run::Request;
use quorate_world::World;
use quorate_world::events::Rng;
use quorate_world::faults::FaultKind;
use quorate_world::ha::{Rule, RuleKind};

use super::shape::Draw;
use crate::ports::Trouble;

/// Something that happens to the run at or after the start of a step.
#[derive(Clone, Debug)]
pub struct PlannedFault {
    /// The step's id.
    pub step: StepId,
    /// Seconds after its beginning.
    pub delay_s: u64,
    /// What happens then.
    pub what: FaultDrawn,
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
    /// The tool's own clock is set by so many seconds.
    ClockSet {
        /// Seconds, forward or back.
        seconds: i64,
    },
}

/// Kinds of harm that the impact report counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Harm {
    /// No partition had quorum.
    Quorum,
    /// A guest does not run any more.
    Lost,
    /// A guest ran twice.
    Doubled,
    /// Downtime without consent.
    Down,
    /// A node was reset by its watchdog.
    Fence,
    /// Ceph moved data.
    Rebalance,
    /// A rule was broken.
    Rules,
    /// A guest moved to an older release.
    Backward,
    /// Something is left behind.
    ToUndo,
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
        planned_faults.push(PlannedFault { step: id.clone(), delay_s, what: FaultDrawn::Fault(kind) });
    }
    let mut also = |percent: u64, rng: &mut Rng, what: FaultDrawn| {
        if let Some((_, id)) = rng.pick(&steps).copied().filter(|_| rng.between(1, 100) <= percent) {
            planned_faults.push(PlannedFault { step: id.clone(), delay_s: 0, what });
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

/// What these faults may do to a cluster by themselves. No fault doubles a guest, and none makes the tool forget what
/// it has to undo.
pub(super) fn may_do(planned_faults: &[PlannedFault], world: &World) -> BTreeSet<Harm> {
    let faults = || {
        planned_faults.iter().filter_map(|planned_fault| {
            if let FaultDrawn::Fault(kind) = &planned_fault.what { Some(kind) } else { None }
        })
    };
    let one_link = world.nodes.values().any(|node| node.links.len() < 2);
    let cut = faults().filter(|kind| matches!(kind, FaultKind::LinkDown { .. } | FaultKind::LinkFlaps { .. })).count();
    let mut harms = BTreeSet::new();
    let prefers = |rule: &Rule| matches!(rule.kind, RuleKind::NodeAffinity { .. });
    for kind in faults() {
        harms.extend(may_do_alone(kind));
        let cuts = matches!(kind, FaultKind::LinkDown { .. } | FaultKind::LinkFlaps { .. });
        if cuts && (one_link || cut > 1) {
            harms.extend(LOSS_OF_A_NODE);
        }
    }
    // HA moves a guest back to the node that it prefers as soon as that is up again, even if it is older.
    if harms.contains(&Harm::Lost) && world.ha.rules.values().any(prefers) {
        harms.insert(Harm::Backward);
    }
    harms
}

const LOSS_OF_A_NODE: &[Harm] = &[Harm::Quorum, Harm::Lost, Harm::Down, Harm::Fence, Harm::Rebalance, Harm::Rules];

fn may_do_alone(kind: &FaultKind) -> &'static [Harm] {
    match kind {
        // A node is gone: with its guests, its votes, its copies of data; HA chooses where it recovers them.
        FaultKind::PowerOff { .. } | FaultKind::BootNever { .. } | FaultKind::BootRenamesNics { .. } => LOSS_OF_A_NODE,
        // HA active on the node cannot renew its lock: the watchdog resets the node about a minute later.
        FaultKind::EtcPveReadOnly { .. } => LOSS_OF_A_NODE,
        // A guest that waits for its node is down for longer than planned; Ceph lacks a copy for as long.
        FaultKind::BootSlow { .. } => &[Harm::Down],
        FaultKind::Qdevice { .. } => &[Harm::Quorum, Harm::Down, Harm::Fence, Harm::Lost],
        FaultKind::OsdStaysDown { .. } | FaultKind::OsdFails { .. } => &[Harm::Down, Harm::Rebalance, Harm::Rules],
        // The administrator's own doing. When that maintenance ends, HA moves guests back, even if the node is older.
        FaultKind::AdminMaintenance { .. } => &[Harm::Rules, Harm::Backward],
        FaultKind::AdminStarts { .. } => &[Harm::Rules],
        // There may be no room for a container on its target: it was shut down, and does not start.
        FaultKind::AdminMoves { .. } => &[Harm::Rules, Harm::Backward, Harm::Down, Harm::Lost],
        _ => &[],
    }
}
