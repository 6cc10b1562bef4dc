//! May one more guest start to migrate?

use super::held_back::HeldBack;
use super::signs::{Restraint, restraint};
use super::throttle::Throttle;
use crate::ids::UnixMs;
use crate::run::RunState;
use crate::snapshot::Snapshot;
use crate::steps::{Move, MoveMode, Step};

/// On a single link the next guest starts so much later: three times what corosync on a saturated link takes to
/// complain.
const RAMP_S: u64 = 15;

/// HA only notes a command, and starts the migration some rounds later: so much more.
const HA_ROUNDS_S: u64 = 45;

/// What speaks against beginning this step now: one for each sign. Only guests that would start to move are held back.
pub fn against(state: &RunState, step: &Step, snapshot: &Snapshot) -> Vec<HeldBack> {
    if !step.is_move() {
        return Vec::new();
    }
    let moving = state
        .under_way()
        .filter(|(_, record)| record.step.is_move() && record.command.is_some() && record.step != *step);
    let set_out: Vec<UnixMs> = moving
        .map(|(_, record)| match record.step.moves() {
            Some(Move { mode: MoveMode::Ha, .. }) => record.last_started.plus_s(HA_ROUNDS_S),
            _ => record.last_started,
        })
        .collect();
    let Restraint { throttle, signs } = restraint(snapshot, state.current_or_next_node());
    let refused = match throttle {
        Throttle::AsPlanned => false,
        Throttle::OneAtATime => !set_out.is_empty(),
        Throttle::Hold => true,
    };
    if refused {
        return signs.into_iter().map(|sign| HeldBack::BySign { throttle, sign }).collect();
    }
    let heard = set_out.iter().max().is_none_or(|last| snapshot.taken >= last.plus_s(RAMP_S));
    if heard || !has_one_link(snapshot) {
        return Vec::new();
    }
    vec![HeldBack::LastOneJustSetOut]
}

/// Has some node one corosync link only? Migrations may have to share it.
fn has_one_link(snapshot: &Snapshot) -> bool {
    snapshot.quorum.values().filter_map(|view| view.known()).any(|view| view.configured_links <= 1)
}
