//! The next action: the only place with control flow, and a pure function.
//!
//! It reads the run's state and a fresh snapshot and returns one [`Action`]. Steps that are under way come first:
//! each is asked for its status, which is also what happens after a crash. Then the next step of the lowest stage
//! that is not done. A step that cannot begin yet is *begun waiting* (attempt 0), so that its wait has a deadline.

use super::event::{PauseCause, RunOutcome, StepOutcome};
use super::state::{RunState, StepRecord};
use crate::command::Command;
use crate::ids::{GuestKind, StepId, UnixMs};
use crate::plan::PlannedStep;
use crate::snapshot::Snapshot;
use crate::steps::{IfImpossible, OnNode, Step, StepStatus, Undo, Why, what_runs_on};

/// The one thing to do next.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Record that a step has ended; then decide again on the same snapshot.
    Conclude {
        /// Which.
        id: StepId,
        /// The step.
        step: Step,
        /// How.
        outcome: StepOutcome,
    },
    /// Record that a step begins, then send its command.
    Perform(Start),
    /// Nothing to do but to wait and look again.
    Wait {
        /// What for: one line each.
        on: Vec<String>,
        /// Look again after this many seconds.
        poll_s: u64,
    },
    /// The plan does not fit the world any more.
    Replan {
        /// Why.
        why: String,
        /// What to do if the new plan is the old one.
        else_start: Option<Start>,
    },
    /// Stand still and tell the operator.
    Pause {
        /// What kind of pause.
        cause: PauseCause,
        /// What happened, what it means, what to do.
        why: Vec<String>,
    },
    /// Everything is done and nothing is owed.
    Finish(RunOutcome),
}

/// A step that begins, or is tried again.
#[derive(Clone, Debug, PartialEq)]
pub struct Start {
    /// Its id.
    pub id: StepId,
    /// The step.
    pub step: Step,
    /// 0: begun waiting, nothing is sent. 1 and more: the command is sent for the n-th time.
    pub attempt: u32,
    /// What to send.
    pub command: Option<Command>,
    /// What is owed from now on.
    pub owes: Option<Step>,
}

/// May this step be begun now, with those others under way? The reasons against it, one line each.
pub type Guard<'a> = dyn Fn(&Step, &[&Step], &Snapshot) -> Result<(), Vec<String>> + 'a;

/// The rule that refuses a step for a guest that runs on its node.
const A_GUEST_IS_THERE: &str = "no-guest-on-a-node-we-stop";

/// How long to wait between looks, in seconds, while guests travel: that takes seconds.
const POLL_S: u64 = 5;

/// How long while nothing travels: everything else takes minutes, and a look is dozens of calls to every node.
const POLL_CALMLY_S: u64 = 10;

/// Decides. `now` is the moment of the snapshot by the run's clock.
pub fn decide(state: &RunState, snapshot: &Snapshot, now: UnixMs, guard: &Guard<'_>) -> Action {
    if let Some(outcome) = &state.ended {
        return Action::Finish(outcome.clone());
    }
    if let Some(action) = votes_back(state, snapshot) {
        return action;
    }
    let mut waits = Vec::new();
    for (id, record) in state.under_way() {
        match follow_up(state, snapshot, now, guard, id, record) {
            FollowUp::Act(action) => return *action,
            FollowUp::Wait(why) => waits.extend(why),
        }
    }
    // An abort gives back only once nothing of ours is at work any more.
    let works = state.aborting && state.under_way().any(|(_, record)| !record.step.is_undo());
    if state.paused.is_some() || works {
        return wait(state, waits);
    }
    match next(state, snapshot, guard) {
        Next::Act(action) => *action,
        Next::StageBusy => wait(state, waits),
        Next::Nothing => finish(state),
    }
}

/// Lowered votes are given back before anything else, whatever the plan says: as soon as it can be done, or is seen to
/// be done, which corosync does by itself with every node that joins.
fn votes_back(state: &RunState, snapshot: &Snapshot) -> Option<Action> {
    let owed = state.obligations.iter().find(|open| open.pays.expected_votes().is_some())?;
    if state.under_way().any(|(_, record)| record.step == owed.pays) {
        return None;
    }
    let (id, step) = (StepId::new(format!("{}.{}", owed.opened_by, owed.pays.kind().verb())), owed.pays.clone());
    match step.kind().status(snapshot) {
        StepStatus::Done => Some(Action::Conclude { id, step, outcome: StepOutcome::FoundDone }),
        StepStatus::Ready if state.paused.is_none() => Some(Action::Perform(start(&id, &step, 1, snapshot))),
        _ => None,
    }
}

fn wait(state: &RunState, on: Vec<String>) -> Action {
    let travels = state.under_way().any(|(_, record)| record.step.is_move());
    Action::Wait { on, poll_s: if travels { POLL_S } else { POLL_CALMLY_S } }
}

fn finish(state: &RunState) -> Action {
    // Whoever ends a run that only waits for a word at its end has no node left undone.
    let all_done = state.plan.as_ref().is_some_and(|plan| plan.steps().all(|(_, step)| state.is_done(&step.id)));
    if state.aborting && !(all_done && state.obligations.is_empty()) {
        return Action::Finish(RunOutcome::Aborted);
    }
    if state.plan.is_none() {
        // The driver was killed between the run's first events: nothing is planned, which is not the same as done.
        let why = "the run was begun, and its driver ended before it had a plan".to_owned();
        return Action::Replan { why, else_start: None };
    }
    match state.obligations.first() {
        None => Action::Finish(RunOutcome::Completed),
        Some(open) => Action::Replan { why: format!("still owed: {}", open.pays.kind().title()), else_start: None },
    }
}

enum FollowUp {
    Act(Box<Action>),
    Wait(Vec<String>),
}

fn act(action: Action) -> FollowUp {
    FollowUp::Act(Box::new(action))
}

/// What to do about a step that was begun.
fn follow_up(
    state: &RunState,
    snapshot: &Snapshot,
    now: UnixMs,
    guard: &Guard<'_>,
    id: &StepId,
    record: &StepRecord,
) -> FollowUp {
    let step = &record.step;
    let limits = step.kind().limits(&state.policy.deadlines);
    let conclude = |outcome| act(Action::Conclude { id: id.clone(), step: step.clone(), outcome });
    let title = step.kind().title();
    let if_impossible = step.kind().profile().if_impossible;
    let waiting = match step.kind().status(snapshot) {
        StepStatus::Done => return conclude(done(record)),
        // A node that came up with the wrong kernel would do so again: not a matter for a new plan, but for a person.
        StepStatus::Impossible(why) if if_impossible == IfImpossible::StandStill && record.attempts > 0 => {
            return act(Action::Pause { cause: PauseCause::Stuck, why: diagnosis(record, vec![why.to_string()]) });
        }
        StepStatus::Impossible(why) if left_to_the_operator(state, step) => {
            return conclude(StepOutcome::HandedOver(why));
        }
        StepStatus::Impossible(why) => return conclude(StepOutcome::Abandoned(vec![why])),
        StepStatus::Running(why) => vec![format!("{title}: {why}")],
        StepStatus::Blocked(why) if state.aborting && record.command.is_none() && !pays_a_debt(state, step) => {
            return conclude(StepOutcome::NoEffect(why));
        }
        StepStatus::Blocked(why) => why.into_iter().map(|why| format!("{title}: {why}")).collect(),
        StepStatus::Ready | StepStatus::HalfDone
            if record.command.is_some() && now < record.last_started.plus_s(limits.settle_s) =>
        {
            vec![format!("{title}: no effect to be seen yet")]
        }
        StepStatus::HalfDone if record.command.is_none() => {
            vec![format!("{title}: it is there and does not run; start it, and the run goes on")]
        }
        StepStatus::Ready if state.aborting && !pays_a_debt(state, step) => {
            return conclude(StepOutcome::NoEffect(vec![Why::Aborted]));
        }
        StepStatus::Ready | StepStatus::HalfDone if state.paused.is_some() => return FollowUp::Wait(Vec::new()),
        StepStatus::Ready | StepStatus::HalfDone if record.attempts >= limits.attempts => {
            let why = vec![format!("sent {} times without the effect: {title}", record.attempts)];
            return act(Action::Pause { cause: PauseCause::Stuck, why: diagnosis(record, why) });
        }
        status @ (StepStatus::Ready | StepStatus::HalfDone) => match may_send(state, snapshot, guard, id, step) {
            Ok(()) => match state.step_beyond_budget(id, step, now) {
                // What is stopped already is not left so for want of a word.
                Some(why) if status == StepStatus::Ready => return act(more_downtime(why)),
                _ => return act(Action::Perform(start(id, step, record.attempts + 1, snapshot))),
            },
            // Somebody has started a guest again: taking it off the node once more is for a new plan, not for waiting.
            // Other reasons pass by themselves, and no plan can be made while they last.
            Err(why) if !state.aborting && why.iter().all(|line| line.starts_with(A_GUEST_IS_THERE)) => {
                return conclude(StepOutcome::Abandoned(vec![Why::Refused(why)]));
            }
            Err(why) => why.into_iter().map(|why| format!("{title}: {why}")).collect(),
        },
    };
    let deadline = record.first_started.plus_s(limits.deadline_s);
    if now >= deadline && state.paused.is_none() {
        let mut why = vec![format!("not done within {} s: {title}", limits.deadline_s)];
        why.extend(waiting);
        return act(Action::Pause { cause: PauseCause::Stuck, why: diagnosis(record, why) });
    }
    FollowUp::Wait(waiting)
}

/// A debt that cannot be paid. Nothing that an aborted run still does would make it possible, and no new plan brings
/// an image to where the guest is.
fn left_to_the_operator(state: &RunState, step: &Step) -> bool {
    let hand_over = step.kind().profile().if_impossible == IfImpossible::HandOver;
    pays_a_debt(state, step) && (state.aborting || hand_over)
}

/// A guest is not stopped for longer than was agreed to without being asked.
fn more_downtime(why: String) -> Action {
    let ask = "nothing else is begun; guests run where they are. `quorate approve` agrees to what is still planned, with \
               the margin of the configuration; `quorate abort` pays back what is owed and stops";
    Action::Pause { cause: PauseCause::NeedsConsent, why: vec![why, ask.to_owned()] }
}

fn done(record: &StepRecord) -> StepOutcome {
    let changes = record.step.undone_later_by().is_some();
    if changes && record.command.is_none() { StepOutcome::FoundDone } else { StepOutcome::Done }
}

fn pays_a_debt(state: &RunState, step: &Step) -> bool {
    state.obligations.iter().any(|open| open.pays == *step)
}

fn may_send(
    state: &RunState,
    snapshot: &Snapshot,
    guard: &Guard<'_>,
    id: &StepId,
    step: &Step,
) -> Result<(), Vec<String>> {
    let others: Vec<&Step> =
        state.under_way().filter(|(other, _)| *other != id).map(|(_, record)| &record.step).collect();
    guard(step, &others, snapshot)
}

/// What happened, what it means for the cluster, what to do.
fn diagnosis(record: &StepRecord, mut why: Vec<String>) -> Vec<String> {
    if let Some(answer) = &record.answer {
        why.push(format!("the cluster's last answer: {answer}"));
    }
    if let Some(step) = record.step.moves() {
        let (tool, vmid) = (if step.guest.kind == GuestKind::Vm { "qm" } else { "pct" }, step.guest.vmid);
        why.push(format!(
            "if it is locked for a migration and no task moves it, a node that died has left the lock behind: \
             `{tool} unlock {vmid}` on its node"
        ));
    }
    why.push("nothing else is begun; guests run where they are".to_owned());
    why.push("mend the cause, then `quorate resume`; or `quorate abort` to pay back what is owed and stop".to_owned());
    why
}

fn start(id: &StepId, step: &Step, attempt: u32, snapshot: &Snapshot) -> Start {
    let sends = attempt > 0;
    Start {
        id: id.clone(),
        step: step.clone(),
        attempt,
        command: if sends { step.kind().command(snapshot) } else { None },
        owes: if sends { from_now_on(step.kind().undo()) } else { None },
    }
}

/// What is owed once its command is sent.
fn from_now_on(undo: Undo) -> Option<Step> {
    match undo {
        Undo::Later(step) | Undo::UnlessDone(step) => Some(step),
        Undo::Nothing | Undo::ThisIsOne => None,
    }
}

enum Next {
    Act(Box<Action>),
    StageBusy,
    Nothing,
}

/// The steps that are left, in order: the plan's, or those that pay back what is owed, newest first.
fn agenda(state: &RunState) -> Vec<(u32, PlannedStep)> {
    if state.aborting {
        let owed = state.obligations.iter().rev().enumerate().map(|(place, open)| {
            let kind = open.pays.kind();
            let subject = kind.profile().about.subject().map_or_else(String::new, |subject| format!(".{subject}"));
            let id = StepId::new(format!("abort.{}.{}{subject}", open.opened_by, kind.verb()));
            let why = "owed".to_owned();
            (0, PlannedStep { id, stage: place as u32, step: open.pays.clone(), why, estimate_s: 0, down_s: 0 })
        });
        return owed.collect();
    }
    let Some(plan) = &state.plan else { return Vec::new() };
    let waves = plan.waves.iter().enumerate();
    let steps = waves.flat_map(|(number, wave)| wave.steps.iter().map(move |step| (number as u32, step.clone())));
    steps.filter(|(_, step)| !state.is_done(&step.id)).collect()
}

/// Is this step a reboot whose order has been sent and that has not ended? What the plan has travel in the stages after
/// it does not wait for it: the node is away, and no guest goes there.
fn is_rebooting(state: &RunState, planned: &PlannedStep) -> bool {
    let mut under_way = state.under_way();
    planned.step.on_node() == OnNode::Reboots
        && under_way.any(|(id, record)| *id == planned.id && record.attempts > 0 && record.command.is_some())
}

/// The next step of the lowest stage of the first wave that is not done.
fn next(state: &RunState, snapshot: &Snapshot, guard: &Guard<'_>) -> Next {
    let agenda = agenda(state);
    let Some((wave, mut stage)) = agenda.first().map(|(wave, step)| (*wave, step.stage)) else {
        return Next::Nothing;
    };
    if let [(_, reboot), (next_wave, next), ..] = agenda.as_slice()
        && wave == *next_wave
        && next.step.is_move()
        && is_rebooting(state, reboot)
    {
        stage = next.stage;
    }
    let stage = agenda.iter().filter(|(w, step)| *w == wave && step.stage == stage).map(|(_, step)| step);
    for planned in stage {
        if state.under_way().any(|(_, record)| record.step == planned.step) {
            continue;
        }
        let outcome = state.steps.get(&planned.id).and_then(|record| record.outcome.as_ref());
        if let Some(StepOutcome::Abandoned(why)) = outcome.filter(|_| !state.aborting) {
            return replan(format!("{}: {}", planned.step.kind().title(), Why::line(why)), None);
        }
        return begin(state, snapshot, guard, planned);
    }
    Next::StageBusy
}

fn replan(why: String, else_start: Option<Start>) -> Next {
    Next::Act(Box::new(Action::Replan { why, else_start }))
}

/// Does something run on the node that this step wants empty? It came there after the plan was made, and no waiting
/// makes it leave.
fn came_since(state: &RunState, snapshot: &Snapshot, step: &Step) -> bool {
    let Some(node) = step.node().filter(|_| step.on_node().needs_it_empty()) else { return false };
    !state.aborting && what_runs_on(snapshot, node).is_ok_and(|left| !left.is_empty())
}

/// Begins a step: sends its command, or begins waiting, or finds that there is nothing to do.
fn begin(state: &RunState, snapshot: &Snapshot, guard: &Guard<'_>, planned: &PlannedStep) -> Next {
    let PlannedStep { id, step, .. } = planned;
    let perform = |attempt| Next::Act(Box::new(Action::Perform(start(id, step, attempt, snapshot))));
    let conclude = |outcome| Next::Act(Box::new(Action::Conclude { id: id.clone(), step: step.clone(), outcome }));
    if step.is_undo() && !pays_a_debt(state, step) {
        // What an administrator set is not ours to clear.
        return conclude(StepOutcome::FoundDone);
    }
    match step.kind().status(snapshot) {
        StepStatus::Done => {
            let only_waits = step.kind().command(snapshot).is_none();
            conclude(if only_waits { StepOutcome::Done } else { StepOutcome::FoundDone })
        }
        StepStatus::Impossible(why) if left_to_the_operator(state, step) => conclude(StepOutcome::HandedOver(why)),
        StepStatus::Impossible(why) => {
            replan(format!("{}: {why}", step.kind().title()), Some(start(id, step, 0, snapshot)))
        }
        StepStatus::Blocked(why) if came_since(state, snapshot, step) => {
            replan(Why::line(&why), Some(start(id, step, 0, snapshot)))
        }
        StepStatus::Blocked(_) | StepStatus::Running(_) => perform(0),
        // This step has sent nothing, so it does not know why the guest is down: a person is to start it.
        StepStatus::HalfDone => perform(0),
        StepStatus::Ready => match may_send(state, snapshot, guard, id, step) {
            Ok(()) => match state.step_beyond_budget(id, step, snapshot.taken) {
                Some(why) => Next::Act(Box::new(more_downtime(why))),
                None => perform(1),
            },
            Err(why) if came_since(state, snapshot, step) => replan(why.join("; "), Some(start(id, step, 0, snapshot))),
            Err(_) => perform(0),
        },
    }
}
