//! What to do about a step that was started.

use super::action::Action;
use super::context::{Context, conclude, more_downtime};
use super::goes_on;
use crate::ids::StepId;
use crate::run::event::StepOutcome;
use crate::run::objection::Objection;
use crate::run::pause::{Pause, Stuck};
use crate::run::state::StepRecord;
use crate::run::why_not_done::WhyNotDone;
use crate::steps::{IfImpossible, StepStatus, Why};

/// A command that did nothing by its own condition does not count as an attempt, so many times: what stood in its way
/// is looked at anew each time.
const REFUSALS: u32 = 2;

pub(super) enum FollowUp {
    Act(Box<Action>),
    /// For these reasons.
    Wait(Vec<WhyNotDone>),
}

fn act(action: Action) -> FollowUp {
    FollowUp::Act(Box::new(action))
}

/// Asks a started step where it stands. One that waits for longer than it may pauses the run.
pub(super) fn follow_up(context: &Context<'_>, id: &StepId, record: &StepRecord) -> FollowUp {
    let Context { state, now, .. } = *context;
    let step = &record.step;
    let waiting = match step.kind().status(context.snapshot) {
        StepStatus::Done => match context.may_still_harm(id, step) {
            against if step.is_undo() && !against.is_empty() => WhyNotDone::all(against),
            _ => return act(conclude(id, step, done(context, record))),
        },
        StepStatus::Impossible(why) => return impossible(context, id, record, why),
        StepStatus::Running(why) => vec![why.into()],
        StepStatus::Blocked(why) if state.only_undoes() && record.command.is_none() && !context.is_to_undo(step) => {
            return act(conclude(id, step, StepOutcome::NoEffect(WhyNotDone::all(why))));
        }
        StepStatus::Blocked(why) => WhyNotDone::all(why),
        status @ (StepStatus::Ready | StepStatus::HalfDone) => match ready(context, id, record, &status) {
            FollowUp::Wait(why) => why,
            action => return action,
        },
    };
    let deadline_s = step.kind().limits(&state.policy.deadlines).deadline_s;
    // That an order is settled is waited for however long the step may take: it has a bound of its own.
    let settles = waiting.iter().any(|why| matches!(why, WhyNotDone::Objection(Objection::Unsettled(_))));
    if now >= record.first_started.plus_s(deadline_s) && state.paused.is_none() && !settles {
        return act(stuck(record, Stuck::Deadline { deadline_s, waiting }));
    }
    FollowUp::Wait(waiting)
}

/// It can never be done as it stands.
fn impossible(context: &Context<'_>, id: &StepId, record: &StepRecord, why: Why) -> FollowUp {
    let step = &record.step;
    // A node that came up with the wrong kernel would do so again: not a matter for a new plan, but for an
    // administrator.
    if step.kind().profile().if_impossible == IfImpossible::StandStill && record.attempts > 0 {
        return match context.state.paused {
            Some(_) => FollowUp::Wait(vec![why.into()]),
            None => act(stuck(record, Stuck::WrongEffect { why })),
        };
    }
    let left = context.left_to_the_operator(step);
    let outcome = if left { StepOutcome::HandedOver(why) } else { StepOutcome::Abandoned(vec![why.into()]) };
    act(conclude(id, step, outcome))
}

/// It could be sent: for the first time, or again.
fn ready(context: &Context<'_>, id: &StepId, record: &StepRecord, status: &StepStatus) -> FollowUp {
    let Context { state, now, .. } = *context;
    let step = &record.step;
    let limits = step.kind().limits(&state.policy.deadlines);
    let half_done = *status == StepStatus::HalfDone;
    if record.command.is_some() && now < record.last_started.plus_s(limits.settle_s) {
        return FollowUp::Wait(vec![WhyNotDone::NoEffectYet]);
    }
    if half_done && record.command.is_none() {
        return FollowUp::Wait(vec![WhyNotDone::StartItYourself]);
    }
    if state.only_undoes() && !context.is_to_undo(step) && !half_done {
        // As long as it may still happen, what would undo it is kept.
        return match context.may_still_happen(id) {
            open if open.is_empty() => act(conclude(id, step, StepOutcome::NoEffect(vec![WhyNotDone::Aborted]))),
            open => FollowUp::Wait(WhyNotDone::all(open)),
        };
    }
    if state.paused.is_some() {
        let may_go_on = goes_on::waits_only_for(state, record) && context.may_send(id, step).is_ok();
        let title = step.kind().title();
        return match may_go_on {
            true => act(goes_on::goes_on(&format!("nothing stands in the way any more: {title}"))),
            false => FollowUp::Wait(Vec::new()),
        };
    }
    if record.attempts >= limits.attempts + record.refused.min(REFUSALS) {
        return act(stuck(record, Stuck::Attempts { attempts: record.attempts }));
    }
    match context.may_send(id, step) {
        Ok(()) => match state.step_beyond_budget(id, step, now) {
            // A guest that is already stopped is not left down because consent is missing.
            Some(beyond) if !half_done => act(more_downtime(beyond)),
            _ => act(Action::Perform(context.start(id, step, record.attempts + 1))),
        },
        // A guest was started again: taking it off the node once more is for a new plan, not for waiting. Other reasons
        // pass by themselves, and no plan can be made while they last.
        Err(why) if !state.only_undoes() && why.iter().all(Objection::is_a_guest_there) => {
            act(conclude(id, step, StepOutcome::Abandoned(WhyNotDone::all(why))))
        }
        Err(why) => FollowUp::Wait(WhyNotDone::all(why)),
    }
}

fn done(context: &Context<'_>, record: &StepRecord) -> StepOutcome {
    let changes = record.step.undone_later_by().is_some();
    if changes && record.command.is_none() { StepOutcome::FoundDone } else { context.done(&record.step) }
}

fn stuck(record: &StepRecord, how: Stuck) -> Action {
    Action::Pause(Pause::StepStuck { step: record.step.clone(), how, answer: record.answer.clone() })
}
