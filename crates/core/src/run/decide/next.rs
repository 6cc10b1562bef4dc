//! Which step comes next.

use super::action::Action;
use super::begin::begin;
use super::context::Context;
use crate::ids::StepId;
use crate::plan::{PlannedStep, StepWhy};
use crate::run::event::StepOutcome;
use crate::run::state::RunState;
use crate::run::why_not_done::WhyNotDone;
use crate::steps::OnNode;

pub(super) enum Next {
    Act(Box<Action>),
    /// Every step of the stage is under way.
    StageBusy,
    /// Nothing is left to do.
    Nothing,
}

/// The next step of the lowest stage of the first node step that is not done.
pub(super) fn next(context: &Context<'_>) -> Next {
    let state = context.state;
    let agenda = agenda(state);
    let Some((node_step, mut stage)) = agenda.first().map(|(node_step, step)| (*node_step, step.stage)) else {
        return Next::Nothing;
    };
    if let [(_, reboot), (next_node_step, next), ..] = agenda.as_slice()
        && node_step == *next_node_step
        && next.step.is_move()
        && is_rebooting(state, reboot)
    {
        stage = next.stage;
    }
    let stage = agenda.iter().filter(|(w, step)| *w == node_step && step.stage == stage).map(|(_, step)| step);
    for planned in stage {
        if state.under_way().any(|(_, record)| record.step == planned.step) {
            continue;
        }
        let outcome = state.steps.get(&planned.id).and_then(|record| record.outcome.as_ref());
        let action = match outcome.filter(|_| !state.only_undoes()) {
            Some(StepOutcome::Abandoned(why)) => Action::Replan {
                why: format!("{}: {}", planned.step.kind().title(), WhyNotDone::line(why)),
                else_start: None,
            },
            _ => begin(context, planned),
        };
        return Next::Act(Box::new(action));
    }
    Next::StageBusy
}

/// The steps that are left, in order: the plan's, or those that undo what was changed, newest first.
fn agenda(state: &RunState) -> Vec<(u32, PlannedStep)> {
    if state.only_undoes() {
        let to_undo = state.open_changes.iter().rev().enumerate().map(|(place, open)| {
            let kind = open.undo.kind();
            let subject = kind.profile().about.subject().map_or_else(String::new, |subject| format!(".{subject}"));
            let id = StepId::new(format!("abort.{}.{}{subject}", open.opened_by, kind.verb()));
            let (step, why) = (open.undo.clone(), StepWhy::Undo);
            (0, PlannedStep { id, stage: place as u32, step, why, estimate_s: 0, down_s: 0 })
        });
        return to_undo.collect();
    }
    let Some(plan) = &state.plan else { return Vec::new() };
    let node_steps = plan.node_steps.iter().enumerate();
    let steps = node_steps
        .flat_map(|(number, node_step)| node_step.steps.iter().map(move |step| (number as u32, step.clone())));
    steps.filter(|(_, step)| !state.is_done(&step.id)).collect()
}

/// Is this step a reboot whose command was sent and that has not ended? Guests that the plan moves in the stages after
/// it do not wait for it: the node is away, and no guest goes there.
fn is_rebooting(state: &RunState, planned: &PlannedStep) -> bool {
    let mut under_way = state.under_way();
    planned.step.on_node() == OnNode::Reboots
        && under_way.any(|(id, record)| *id == planned.id && record.attempts > 0 && record.command.is_some())
}
