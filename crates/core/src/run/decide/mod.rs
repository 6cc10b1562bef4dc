//! The next action: the only place with control flow, and a pure function.
//!
//! It reads the run's state, which is a fold over the journal, and what this driver has seen ([`Seen`]), and returns
//! one [`Action`]. What it needs and has not seen it asks for: requests, the nodes' own views, the lock, a look, a
//! plan. So the order of the questions is defined here, in one place; the engine performs, records and asks again.
//!
//! Steps that are under way come before new ones: each is asked for its status, which is also what happens after a
//! crash. Then the next step of the lowest stage that is not done. A step that cannot start yet is recorded as waiting
//! (attempt 0), so that its wait has a deadline.

mod action;
mod before_node;
mod begin;
mod between_nodes;
mod context;
mod end;
mod follow_up;
mod goes_on;
mod hold;
mod lock;
mod next;
mod operator;
mod outside;
mod plan;
mod quorum;
mod seen;
mod undo;

pub use action::{Action, Depth, Start};
pub use context::Guard;
pub use quorum::votes_lowered;
pub use seen::{Asked, Hold, LastLook, Look, NewPlan, Seen};

use action::{POLL_CALMLY_S, POLL_S};
use context::Context;
use follow_up::{FollowUp, follow_up};

use super::pause::Pause;
use super::state::RunState;
use super::why_not_done::WhyNotDone;
use crate::ids::UnixMs;
use crate::migration_throttle::{Restraint, Throttle, restraint};
use crate::steps::{OnNode, Step};

/// Steps that can end, and plans that can change, on one and the same snapshot. More than this is a bug in Quorate.
const DECISIONS_PER_LOOK: u32 = 1000;

/// Decides the next action. `now` is the time by the run's clock.
pub fn decide(state: &RunState, seen: &Seen, now: UnixMs, guard: &Guard<'_>) -> Action {
    if let Some(outcome) = &state.ended {
        return Action::Finish(outcome.clone());
    }
    operator::asked(state, seen, now)
        .or_else(|| operator::left(state, seen, now))
        .or_else(|| hold::handed_over(state))
        .or_else(|| quorum::still_lost(state, seen))
        .or_else(|| lock::not_held(state, seen, now))
        .unwrap_or_else(|| match &seen.look {
            None => Action::Look(seen.depth(state)),
            Some(look) => on_a_look(state, seen, look, now, guard),
        })
}

/// The rest of the decision, with the lock held and the cluster seen.
fn on_a_look(state: &RunState, seen: &Seen, look: &Look, now: UnixMs, guard: &Guard<'_>) -> Action {
    if let Some(new) = &seen.new_plan {
        return plan::follow(state, seen, new, now);
    }
    if seen.decisions > DECISIONS_PER_LOOK {
        return Action::Pause(Pause::Endless);
    }
    quorum::lost(state, seen, look)
        .or_else(|| outside::noticed(state, look))
        .or_else(|| outside::unanswered(state, look))
        .or_else(|| goes_on::cause_is_gone(state, look))
        .or_else(|| throttle(state, look))
        .or_else(|| between_nodes::rests(state, seen, now))
        .or_else(|| before_node::found(state, look))
        .or_else(|| plan::to_review(state, look))
        .unwrap_or_else(|| steps(seen, &Context { state, snapshot: &look.snapshot, now, guard }))
}

/// Does the migration throttle let more or fewer guests move now? Corosync's complaints count only while some do.
fn throttle(state: &RunState, look: &Look) -> Option<Action> {
    let Restraint { throttle, signs } = match restraint(&look.snapshot, state.current_or_next_node()) {
        signs if look.moves => signs,
        _ => Restraint { throttle: Throttle::AsPlanned, signs: Vec::new() },
    };
    let why = signs.iter().map(ToString::to_string).collect();
    (throttle != state.throttle.0).then_some(Action::ChangeThrottle { throttle, why })
}

/// What to do about the steps that are under way, and which one comes next.
fn steps(seen: &Seen, context: &Context<'_>) -> Action {
    let state = context.state;
    if let Some(action) = undo::votes(context) {
        return action;
    }
    let (mut waits, mut on_everything) = (Vec::new(), goes_on::wants_to_see_everything(state));
    for (id, record) in state.under_way() {
        match follow_up(context, id, record) {
            FollowUp::Act(action) => return *action,
            FollowUp::Wait(why) => {
                on_everything |= why.iter().any(WhyNotDone::is_about_other_nodes);
                let title = record.step.kind().title();
                waits.extend(why.iter().map(|why| format!("{title}: {why}")));
            }
        }
    }
    let then = if on_everything { seen.depth_after_a_wait(context.now) } else { Depth::Changes };
    // Undo steps wait until none of our other steps is under way any more.
    let works = state.only_undoes() && state.under_way().any(|(_, record)| !record.step.is_undo());
    if state.paused.is_some() || works {
        return wait(state, waits, then);
    }
    match next::next(context) {
        next::Next::Act(action) => *action,
        next::Next::StageBusy => wait(state, waits, then),
        next::Next::Nothing => match end::still_open(context) {
            on if on.is_empty() => end::finish(state, seen),
            on => wait(state, on, then),
        },
    }
}

fn wait(state: &RunState, on: Vec<String>, then: Depth) -> Action {
    let changes_soon = |step: &Step| step.is_move() || step.on_node() == OnNode::Reboots;
    let poll_s = if state.under_way().any(|(_, record)| changes_soon(&record.step)) { POLL_S } else { POLL_CALMLY_S };
    Action::Wait { on, poll_s, then }
}
