//! What to do about a step that was begun.

use super::action::Action;
use super::context::{Context, conclude, more_downtime};
use crate::ids::StepId;
use crate::run::event::StepOutcome;
use crate::run::objection::Objection;
use crate::run::pause::{Pause, Stuck};
use crate::run::state::StepRecord;
use crate::steps::{Step, StepStatus};

pub(super) enum FollowUp {
    Act(Box<Action>),
    /// For these reasons, one line each.
    Wait(Vec<String>),
}

fn act(action: Action) -> FollowUp {
    FollowUp::Act(Box::new(action))
}

/// Asks a step that was begun where it stands. One that waits for longer than it may makes the run stand still.
pub(super) fn follow_up(context: &Context<'_>, id: &StepId, record: &StepRecord) -> FollowUp {
    let Context { state, now, .. } = *context;
    let step = &record.step;
    let title = step.kind().title();
    let waiting = match step.kind().status(context.snapshot) {
        StepStatus::Done => return act(conclude(id, step, done(record))),
        StepStatus::Impossible(why) => return impossible(context, id, record, why),
        StepStatus::Running(why) => vec![format!("{title}: {why}")],
        StepStatus::Blocked(why) if state.only_undoes() && record.command.is_none() && !context.pays_a_debt(step) => {
            return act(conclude(id, step, StepOutcome::NoEffect(why.join("; "))));
        }
        StepStatus::Blocked(why) => why.into_iter().map(|why| format!("{title}: {why}")).collect(),
        StepStatus::Ready => match ready(context, id, record) {
            FollowUp::Wait(why) => why.into_iter().map(|why| format!("{title}: {why}")).collect(),
            action => return action,
        },
    };
    let deadline_s = step.kind().limits(&state.policy.deadlines).deadline_s;
    if now >= record.first_started.plus_s(deadline_s) && state.paused.is_none() {
        return act(stuck(record, Stuck::Deadline { deadline_s, waiting }));
    }
    FollowUp::Wait(waiting)
}

/// It can never be done as it stands.
fn impossible(context: &Context<'_>, id: &StepId, record: &StepRecord, why: String) -> FollowUp {
    let step = &record.step;
    // A node that came up with the wrong kernel would do so again: not a matter for a new plan, but for a person.
    if matches!(step, Step::Reboot(_)) && record.attempts > 0 {
        return match context.state.paused {
            Some(_) => FollowUp::Wait(vec![why]),
            None => act(stuck(record, Stuck::WrongEffect { why })),
        };
    }
    let left = context.left_to_the_operator(step);
    act(conclude(id, step, if left { StepOutcome::HandedOver(why) } else { StepOutcome::Abandoned(why) }))
}

/// It could be sent: for the first time, or again.
fn ready(context: &Context<'_>, id: &StepId, record: &StepRecord) -> FollowUp {
    let Context { state, now, .. } = *context;
    let step = &record.step;
    let limits = step.kind().limits(&state.policy.deadlines);
    let half_done = step.kind().is_half_done(context.snapshot);
    let wait = |why: &str| FollowUp::Wait(vec![why.to_owned()]);
    if record.command.is_some() && now < record.last_started.plus_s(limits.settle_s) {
        return wait("no effect to be seen yet");
    }
    if half_done && record.command.is_none() {
        return wait("it is there and does not run; start it, and the run goes on");
    }
    if state.only_undoes() && !context.pays_a_debt(step) && !half_done {
        return act(conclude(id, step, StepOutcome::NoEffect("the run is aborted".to_owned())));
    }
    if state.paused.is_some() {
        return FollowUp::Wait(Vec::new());
    }
    if record.attempts >= limits.attempts {
        return act(stuck(record, Stuck::Attempts { attempts: record.attempts }));
    }
    match context.may_send(id, step) {
        Ok(()) => match state.step_beyond_budget(id, step, now) {
            // What is stopped already is not left so for want of a word.
            Some(beyond) if !half_done => act(more_downtime(beyond)),
            _ => act(Action::Perform(context.start(id, step, record.attempts + 1))),
        },
        // A guest was started again: taking it off the node once more is for a new plan, not for waiting. Other reasons
        // pass by themselves, and no plan can be made while they last.
        Err(why) if !state.only_undoes() && why.iter().all(Objection::is_a_guest_there) => {
            act(conclude(id, step, StepOutcome::Abandoned(Objection::in_one_line(&why))))
        }
        Err(why) => FollowUp::Wait(why.iter().map(ToString::to_string).collect()),
    }
}

fn done(record: &StepRecord) -> StepOutcome {
    let sends = record.step.kind().owes().is_some();
    if sends && record.command.is_none() { StepOutcome::FoundDone } else { StepOutcome::Done }
}

fn stuck(record: &StepRecord, how: Stuck) -> Action {
    Action::Pause(Pause::StepStuck { step: record.step.clone(), how, answer: record.answer.clone() })
}
