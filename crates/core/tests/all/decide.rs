//! The decision, over small snapshots: what is sent, when it is sent again, what is to be undone, when the run pauses.

use std::collections::BTreeMap;

use quorate_core::fixture::Fixture;
use quorate_core::ids::{GuestId, NodeName, RunId, StepId, UnixMs};
use quorate_core::invariants::no_guest_on_a_node_we_stop::{StillThere, Stop};
use quorate_core::invariants::{Evidence, Grounds, Moment, Refusal, RuleId};
use quorate_core::migration_throttle::HeldBack;
use quorate_core::observed::Observed;
use quorate_core::plan::{Bound, Costs, NodeStep, NodeWhy, Plan, PlannedStep, StepWhy};
use quorate_core::policy::Policy;
use quorate_core::run::{
    Action, Event, Guard, Objection, Pause, PauseCause, RunKind, RunOutcome, RunState, Seen, Start, StepOutcome, decide,
};
use quorate_core::snapshot::{
    GuestStatus, Ha, HaNodeState, HaRequest, HaService, HaServiceState, Kernel, Lock, Node, Snapshot,
};
use quorate_core::steps::{
    Failback, Maintenance, Migrate, MoveMode, Reboot, ShutdownGuest, StartMoved, Step, StepKind, StepStatus,
    StopToMove, WaitEmpty, set, undo,
};
use quorate_core::version::Version;

pub(crate) fn guest() -> GuestId {
    GuestId::vm(101)
}

pub(crate) fn node() -> NodeName {
    "pve1".into()
}

fn ha_service() -> HaService {
    HaService {
        request: HaRequest::Started,
        state: Some(HaServiceState::Started),
        node: Some(node()),
        target: None,
        maintenance_node: None,
        failback: true,
    }
}

pub(crate) fn snapshot() -> Snapshot {
    let mut snapshot = Fixture::cluster(1).snapshot();
    snapshot.taken = UnixMs(0);
    snapshot.ha = Observed::Known(Ha {
        nodes: BTreeMap::from([(node(), HaNodeState::Online)]),
        services: BTreeMap::from([(guest(), ha_service())]),
        ..Ha::default()
    });
    snapshot
}

/// Hold failback, enter maintenance, leave maintenance, restore failback: each with what is to be undone for it.
fn plan() -> Plan {
    let steps: [(&str, Step); 4] = [
        ("pve1.hold-failback.vm:101", set(Failback { guest: guest() })),
        ("pve1.enter-maintenance", set(Maintenance { node: node() })),
        ("pve1.leave-maintenance", undo(Maintenance { node: node() })),
        ("cluster.restore-failback.vm:101", undo(Failback { guest: guest() })),
    ];
    plan_of(&steps)
}

pub(crate) fn plan_of(steps: &[(&str, Step)]) -> Plan {
    let planned = steps.iter().cloned().enumerate().map(|(stage, (id, step))| PlannedStep {
        id: StepId::new(id),
        stage: stage as u32,
        step,
        why: StepWhy::Undo,
        estimate_s: 1,
        down_s: 0,
    });
    let node_step = NodeStep { node: Some(node()), why: NodeWhy::NothingMoves, steps: planned.collect() };
    Plan::new(None, UnixMs(0), vec![node_step], Costs::default(), Vec::new(), Bound::default())
}

pub(crate) fn started(policy: Policy) -> Event {
    let (run, kind) = (RunId::new("r"), RunKind::Upgrade);
    Event::RunStarted { run, kind, cluster: "lab".into(), policy, version: "0".into() }
}

pub(crate) fn taken_over() -> Event {
    Event::DriverTookOver { driver: "first".into(), id: Some("first".into()) }
}

/// What is decided about a cluster that was just seen.
fn decided(state: &RunState, world: &Snapshot, now: UnixMs, guard: &Guard<'_>) -> Action {
    let mut state = state.clone();
    loop {
        match decide(&state, &Seen::of(&state, world), now, guard) {
            Action::Note { events } => events.iter().for_each(|event| state.apply(now, event)),
            action => return action,
        }
    }
}

/// The same with no rule against anything.
pub(crate) fn allowed(state: &RunState, world: &Snapshot, now: UnixMs) -> Action {
    decided(state, world, now, &|_, _, _| Ok(()))
}

/// The lines of a pause because a step does not end.
pub(crate) fn stuck(action: Action) -> Vec<String> {
    match action {
        Action::Pause(pause) if pause.cause() == PauseCause::Stuck => pause.lines(),
        other => panic!("it is not stuck: {other:?}"),
    }
}

#[test]
fn a_guest_is_not_stopped_for_longer_than_was_agreed_to() {
    let (guest, step) = (guest(), Step::from(ShutdownGuest { guest: guest(), node: node() }));
    let world = Fixture::cluster(3).vm(101, "pve1", 4).snapshot();
    let mut plan = plan_of(&[("pve1.shutdown-guest.vm:101", step.clone())]);
    plan.node_steps[0].steps[0].down_s = 100;
    let decided = |allowed_s: Option<u64>, spent_s: u64| {
        let mut state = RunState::default();
        let policy = Policy::default();
        state.apply(UnixMs(0), &started(policy));
        if let Some(allowed_s) = allowed_s {
            let allowed_s = BTreeMap::from([(guest, allowed_s)]);
            state.apply(UnixMs(0), &Event::DowntimeAgreed { allowed_s, margin_percent: 0, by: "ben".into() });
        }
        state.apply(UnixMs(0), &Event::PlanAdopted { plan: plan.clone(), why: "first plan".into() });
        let down = Step::from(StopToMove { guest, node: node() });
        let (id, before) = (StepId::new("before"), UnixMs(1_000));
        let begun = Event::StepStarted { id: id.clone(), step: down, attempt: 1, command: None, undo: None };
        state.apply(before, &begun);
        let start = Step::from(StartMoved { guest });
        state.apply(before.plus_s(spent_s), &Event::StepEnded { id, step: start, outcome: StepOutcome::Done });
        assert_eq!(state.downtime_s(guest, UnixMs(9_999_000)), spent_s, "an outage that is over does not grow");
        (allowed(&state, &world, world.taken), state)
    };
    assert!(matches!(decided(None, 1000).0, Action::Perform(_)), "no budget was set: a journal of an older Quorate");
    assert!(matches!(decided(Some(200), 100).0, Action::Perform(_)));
    let (asks, state) = decided(Some(199), 100);
    let Action::Pause(pause @ Pause::MoreDowntime { .. }) = asks else { panic!("{asks:?}") };
    let why = pause.lines();
    assert_eq!(pause.cause(), PauseCause::NeedsConsent);
    assert!(why[0].contains("was down for 100 s of the 199 s agreed to, and would be for about 100 s more"), "{why:?}");
    // Approving means agreeing to what is spent and what is still planned, with the margin.
    assert_eq!(state.budget_for(&plan, &Policy::default(), world.taken)[&guest], 100 + 200);
}

/// A run in which commands take effect at once, or never.
struct Run {
    state: RunState,
    world: Snapshot,
    now: UnixMs,
    effective: bool,
    allowed: bool,
    sent: Vec<String>,
}

impl Run {
    fn begin() -> Self {
        let mut run = Self {
            state: RunState::default(),
            world: snapshot(),
            now: UnixMs(0),
            effective: true,
            allowed: true,
            sent: Vec::new(),
        };
        let policy = Policy::default();
        run.write(started(policy));
        run.write(taken_over());
        run.write(Event::PlanAdopted { plan: plan(), why: "first plan".into() });
        // What is seen first is noted before anything is done.
        while let Action::Note { events } = run.decide() {
            events.into_iter().for_each(|event| run.write(event));
        }
        run
    }

    fn write(&mut self, event: Event) {
        self.state.apply(self.now, &event);
    }

    fn decide(&self) -> Action {
        let refusal = || Err(vec![Objection::CorosyncWatch(HeldBack::LastOneJustSetOut)]);
        let seen = Seen::of(&self.state, &self.world);
        decide(&self.state, &seen, self.now, &|_, _, _| if self.allowed { Ok(()) } else { refusal() })
    }

    /// One decision, performed.
    fn turn(&mut self) -> Action {
        let action = self.decide();
        match action.clone() {
            Action::Conclude { id, step, outcome } => self.write(Event::StepEnded { id, step, outcome }),
            Action::Perform(start) => {
                let (command, undo) = (start.command.clone(), start.undo.clone());
                let (id, step, attempt) = (start.id.clone(), start.step.clone(), start.attempt);
                self.write(Event::StepStarted { id, step, attempt, command, undo });
                if let Some(command) = &start.command {
                    self.write(Event::CommandAnswered { id: start.id.clone(), answer: "accepted".into(), job: None });
                    self.sent.push(command.to_string());
                    if self.effective {
                        start.step.after(&mut self.world);
                    }
                }
            }
            Action::Wait { poll_s, .. } => self.now = self.now.plus_s(poll_s),
            Action::Pause(pause) => self.write(Event::Paused { pause }),
            Action::Finish(outcome) => self.write(Event::RunEnded { outcome }),
            Action::Note { events } => events.into_iter().for_each(|event| self.write(event)),
            Action::Replan { .. } => {}
            other => panic!("this should not have been decided: {other:?}"),
        }
        action
    }

    /// Decides until `stop` says so; the last action.
    fn until(&mut self, stop: impl Fn(&Action) -> bool) -> Action {
        for _ in 0..1000 {
            let action = self.turn();
            if stop(&action) {
                return action;
            }
        }
        panic!("no end after 1000 decisions: {:?}", self.state.steps);
    }

    fn to_undo(&self) -> Vec<&'static str> {
        self.state.open_changes.iter().map(|open| open.undo.kind().verb()).collect()
    }
}

fn is_finish(action: &Action) -> bool {
    matches!(action, Action::Finish(_))
}

#[test]
fn a_run_sends_each_command_once_and_leaves_nothing_to_undo() {
    let mut run = Run::begin();
    assert_eq!(run.until(is_finish), Action::Finish(RunOutcome::Completed));
    assert_eq!(run.sent.len(), 4, "{:?}", run.sent);
    assert!(run.to_undo().is_empty());
}

#[test]
fn what_is_already_so_is_found_done_and_not_undone() {
    let mut run = Run::begin();
    set(Maintenance { node: node() }).kind_after(&mut run.world);
    run.until(is_finish);
    assert!(!run.sent.iter().any(|line| line.contains("node-maintenance")), "{:?}", run.sent);
    let outcome = run.state.steps[&StepId::new("pve1.leave-maintenance")].outcome.clone();
    assert_eq!(outcome, Some(StepOutcome::FoundDone), "the administrator's maintenance is not ours to end");
}

#[test]
fn a_command_without_effect_is_sent_again_only_after_its_settle_time_and_then_the_run_pauses() {
    let mut run = Run::begin();
    run.effective = false;
    let last = run.until(|action| matches!(action, Action::Pause(_)));
    assert_eq!(run.sent.len(), 3, "three attempts: {:?}", run.sent);
    assert!(run.now >= UnixMs(0).plus_s(2 * 10), "settle time between them");
    let why = stuck(last);
    assert!(why.iter().any(|line| line.contains("quorate resume")), "{why:?}");
}

#[test]
fn a_driver_that_died_between_record_and_command_leaves_a_step_that_is_sent_once() {
    let mut run = Run::begin();
    let Action::Perform(start) = run.decide() else { panic!("no step starts") };
    let command = start.command.clone();
    run.write(Event::StepStarted { id: start.id, step: start.step, attempt: 1, command, undo: start.undo });
    run.write(Event::DriverTookOver { driver: "next".into(), id: Some("next".into()) });
    assert!(matches!(run.decide(), Action::Wait { .. }), "its effect may still be on the way");
    run.until(is_finish);
    assert_eq!(run.sent.len(), 4, "{:?}", run.sent);
}

#[test]
fn a_driver_that_died_after_the_command_finds_it_done() {
    let mut run = Run::begin();
    run.turn();
    run.write(Event::DriverTookOver { driver: "next".into(), id: Some("next".into()) });
    run.until(is_finish);
    assert_eq!(run.sent.len(), 4, "nothing twice: {:?}", run.sent);
    assert!(run.to_undo().is_empty());
}

#[test]
fn a_paused_run_starts_nothing_and_continues_when_resumed() {
    let mut run = Run::begin();
    run.write(Event::Paused { pause: Pause::Operator { by: "admin".into() } });
    for _ in 0..10 {
        assert!(matches!(run.turn(), Action::Wait { .. }));
    }
    assert!(run.sent.is_empty());
    run.write(Event::Resumed { by: "admin".into() });
    assert_eq!(run.until(is_finish), Action::Finish(RunOutcome::Completed));
}

#[test]
fn an_abort_undoes_newest_first_and_starts_nothing_else() {
    let mut run = Run::begin();
    run.until(|action| matches!(action, Action::Perform(start) if start.step.kind().verb() == "enter-maintenance"));
    assert_eq!(run.to_undo(), ["restore-failback", "leave-maintenance"]);
    run.sent.clear();
    run.write(Event::AbortBegun { by: "admin".into() });
    assert_eq!(run.until(is_finish), Action::Finish(RunOutcome::Aborted));
    assert_eq!(run.sent.len(), 2, "{:?}", run.sent);
    assert!(run.sent[0].contains("disable"), "newest first: {:?}", run.sent);
    assert!(run.to_undo().is_empty());
}

#[test]
fn an_abort_leaves_failback_to_the_operator_while_ha_would_take_the_vm_to_an_older_node() {
    let aborted = |world: Fixture| {
        let mut run = Run::begin();
        let pulled = |fixture: Fixture| fixture.node_rule("prefer", &[guest()], &[("pve2", 1)], false);
        run.world = pulled(world.vm(101, "pve1", 2).managed(guest())).snapshot();
        run.until(|action| matches!(action, Action::Perform(start) if start.step.kind().verb() == "enter-maintenance"));
        run.sent.clear();
        run.write(Event::AbortBegun { by: "admin".into() });
        assert_eq!(run.until(is_finish), Action::Finish(RunOutcome::Aborted));
        assert!(run.to_undo().is_empty());
        let left = run.state.steps.values().filter_map(|record| match &record.outcome {
            Some(StepOutcome::HandedOver(why)) => Some(why.to_string()),
            _ => None,
        });
        (run.sent.len(), left.collect::<Vec<_>>())
    };
    assert_eq!(aborted(Fixture::cluster(2)), (2, vec![]), "nodes alike: everything is undone");
    let (sent, left) = aborted(Fixture::cluster(2).upgraded("pve1"));
    assert_eq!(sent, 1, "only maintenance is ended");
    assert!(left[0].contains("pve2, which is older") && left[0].contains("--failback 1"), "{left:?}");
    let away = |node: &mut Node| node.online = Observed::Known(false);
    let (_, left) = aborted(Fixture::cluster(2).node("pve2", away));
    assert!(left[0].contains("pve2, which is away"), "{left:?}");
}

#[test]
fn a_step_that_a_rule_forbids_waits_without_sending_and_leaves_nothing_to_undo() {
    let mut run = Run::begin();
    run.allowed = false;
    let last = run.until(|action| matches!(action, Action::Pause(_)));
    assert!(run.sent.is_empty());
    assert!(run.to_undo().is_empty());
    let why = stuck(last);
    assert!(why.iter().any(|line| line.contains("corosync has one link only")), "{why:?}");
}

#[test]
fn a_guest_that_came_since_is_for_a_new_plan_and_any_other_objection_is_waited_for() {
    let mut run = Run::begin();
    run.allowed = false;
    run.until(|action| matches!(action, Action::Wait { .. }));
    let left = StillThere::Guest { guest: guest(), node: node(), stop: Stop::Offline };
    let guest_is_there = Objection::Rule(Refusal {
        rule: RuleId::NoGuestOnANodeWeStop,
        moment: Moment::During,
        certain: true,
        why: Grounds::new(Evidence::NoGuestOnANodeWeStop(left), Vec::new()),
    });
    let held_back = Objection::CorosyncWatch(HeldBack::LastOneJustSetOut);
    let seen = Seen::of(&run.state, &run.world);
    let decided = |objections: Vec<Objection>| decide(&run.state, &seen, run.now, &|_, _, _| Err(objections.clone()));
    let Action::Conclude { outcome: StepOutcome::Abandoned(why), .. } = decided(vec![guest_is_there.clone()]) else {
        panic!("it is given up for a new plan")
    };
    let [why] = &why[..] else { panic!("{why:?}") };
    assert_eq!(why.to_string(), "no-guest-on-a-node-we-stop (while it runs): vm:101 is on pve1, which is offline");
    assert!(matches!(decided(vec![held_back.clone()]), Action::Wait { .. }));
    assert!(matches!(decided(vec![guest_is_there, held_back]), Action::Wait { .. }), "the other passes by itself");
}

#[test]
fn a_step_that_only_waited_starts_again_when_the_run_is_resumed() {
    let mut run = Run::begin();
    run.allowed = false;
    run.until(|action| matches!(action, Action::Pause(_)));
    assert_eq!(run.state.under_way().count(), 1, "it waits");
    run.write(Event::Resumed { by: "admin".into() });
    assert_eq!(run.state.under_way().count(), 0, "another plan may take its place");
    run.allowed = true;
    assert_eq!(run.until(is_finish), Action::Finish(RunOutcome::Completed));
}

#[test]
fn an_unknown_reading_is_waited_for_and_never_taken_as_done() {
    let mut run = Run::begin();
    run.world.ha = Observed::unknown("manager_status", "500");
    for _ in 0..5 {
        let action = run.turn();
        assert!(!matches!(action, Action::Conclude { .. } | Action::Finish(_)), "{action:?}");
    }
    assert!(run.sent.is_empty());
}

#[test]
fn a_node_that_boots_the_old_kernel_is_not_rebooted_again_and_again() {
    let mut run = Run::begin();
    let mut pve1 = Node::unseen(node(), "not read");
    pve1.online = Observed::Known(true);
    pve1.boot = Observed::Known("first".into());
    let (old, new) = (Version::from("6.17.2-1-pve"), Version::from("6.17.4-1-pve"));
    let kernel = Kernel { running: old.clone(), installed: vec![old, new], pinned: None, next_boot: None };
    pve1.kernel = Observed::Known(kernel);
    run.world.nodes.insert(node(), pve1);
    let reboot = Reboot { node: node(), from_boot: "first".into() };
    let id = StepId::new("pve1.reboot");
    let command = reboot.command(&run.world);
    run.write(Event::PlanAdopted { plan: plan_of(&[("pve1.reboot", reboot.clone().into())]), why: "test".into() });
    run.write(Event::StepStarted { id, step: reboot.into(), attempt: 1, command, undo: None });
    assert!(matches!(run.decide(), Action::Wait { .. }), "it answers for a while after the command");
    run.world.nodes.get_mut(&node()).unwrap().boot = Observed::Known("second".into());
    let why = stuck(run.decide());
    assert!(why[0].contains("has booted 6.17.2-1-pve"), "{why:?}");
}

/// The forecast of a step without a run.
trait After {
    fn kind_after(self, world: &mut Snapshot);
}

impl<T: Into<Step>> After for T {
    fn kind_after(self, world: &mut Snapshot) {
        let step: Step = self.into();
        step.after(world);
    }
}

#[test]
fn a_run_that_has_no_plan_yet_is_planned_and_never_called_complete() {
    let state = RunState::of([(UnixMs(0), &started(Policy::default()))]);
    let action = allowed(&state, &snapshot(), UnixMs(0));
    assert!(matches!(action, Action::Replan { .. }), "{action:?}");
}

/// A run whose plan is one step: a container moves from pve1 to pve2 by restart.
fn one_restart() -> (Step, RunState) {
    let guest = GuestId::ct(201);
    let step =
        Step::from(Migrate { guest, from: node(), to: "pve2".into(), mode: MoveMode::Restart, storages: [].into() });
    let started = started(Policy::default());
    let plan = plan_of(&[("pve1.migrate.ct:201", step.clone())]);
    let adopted = Event::PlanAdopted { plan, why: "first plan".into() };
    (step, RunState::of([(UnixMs(0), &started), (UnixMs(0), &adopted)]))
}

#[test]
fn a_restart_keeps_the_start_to_do_from_its_command_until_the_container_runs() {
    let guest = GuestId::ct(201);
    let before = Fixture::cluster(3).ct(201, "pve1", 1).snapshot();
    let down = Fixture::cluster(3).ct(201, "pve1", 1).stopped(guest).snapshot();
    let there = Fixture::cluster(3).ct(201, "pve2", 1).snapshot();
    let to_undo = vec![Step::from(StartMoved { guest })];
    for (snapshot, left) in [(&there, vec![]), (&down, to_undo.clone())] {
        let (_, mut state) = one_restart();
        let Action::Perform(start) = allowed(&state, &before, UnixMs(0)) else { panic!("no command") };
        let Start { id, step, attempt, command, undo } = start;
        state.apply(UnixMs(0), &Event::StepStarted { id, step, attempt, command, undo });
        let open = |state: &RunState| state.open_changes.iter().map(|open| open.undo.clone()).collect::<Vec<_>>();
        assert_eq!(open(&state), to_undo);
        let Action::Conclude { id, step, outcome } = allowed(&state, snapshot, UnixMs(60_000)) else {
            panic!("it keeps waiting")
        };
        state.apply(UnixMs(60_000), &Event::StepEnded { id, step, outcome });
        assert_eq!(open(&state), left);
    }
}

#[test]
fn a_guest_that_was_stopped_where_it_had_arrived_is_not_waited_for_unless_it_is_locked_still() {
    let guest = GuestId::vm(100);
    let step =
        Step::from(Migrate { guest, from: node(), to: "pve2".into(), mode: MoveMode::Live, storages: [].into() });
    let mut there = Fixture::cluster(3).vm(100, "pve2", 1).stopped(guest).snapshot();
    let StepStatus::Impossible(why) = step.kind().status(&there) else { panic!("{:?}", step.kind().status(&there)) };
    assert!(why.to_string().contains("arrived on pve2, and was stopped there"), "{why}");
    there.guests.get_mut(&guest).unwrap().lock = Observed::Known(Some(Lock("migrate".to_owned())));
    assert!(matches!(step.kind().status(&there), StepStatus::Running(_)), "{:?}", step.kind().status(&there));
    there.guests.get_mut(&guest).unwrap().lock = Observed::Known(None);
    // HA starts what crashed, and not what someone stopped.
    let through_ha = Migrate { guest, from: node(), to: "pve2".into(), mode: MoveMode::Ha, storages: [].into() };
    for (state, waits) in [(HaServiceState::Started, true), (HaServiceState::Stopped, false)] {
        let service = HaService { state: Some(state), ..ha_service() };
        there.ha = Observed::Known(Ha { services: [(guest, service)].into(), ..Ha::default() });
        let status = through_ha.status(&there);
        assert_eq!(matches!(status, StepStatus::Blocked(_)), waits, "{state:?}: {status:?}");
        assert_eq!(matches!(status, StepStatus::Impossible(_)), !waits, "{state:?}: {status:?}");
    }
    // The cluster's list is some seconds old; the node itself knows.
    let mut runs = Fixture::cluster(3).vm(100, "pve2", 1).snapshot();
    runs.guests.get_mut(&guest).unwrap().status = Observed::Known(GuestStatus::Stopped);
    assert!(matches!(step.kind().status(&runs), StepStatus::Blocked(_)), "{:?}", step.kind().status(&runs));
}

#[test]
fn a_container_whose_start_failed_after_its_move_is_started_and_one_that_someone_stopped_is_not() {
    let guest = GuestId::ct(201);
    let before = Fixture::cluster(3).ct(201, "pve1", 1).snapshot();
    let arrived = Fixture::cluster(3).ct(201, "pve2", 1).stopped(guest).snapshot();
    let id = StepId::new("pve1.migrate.ct:201");
    let decided = |attempt: u32, aborting: bool| {
        let (step, mut state) = one_restart();
        let command = step.kind().command(&before).filter(|_| attempt > 0);
        state.apply(UnixMs(0), &Event::StepStarted { id: id.clone(), step, attempt, command, undo: None });
        if aborting {
            state.apply(UnixMs(0), &Event::AbortBegun { by: "ben".into() });
        }
        allowed(&state, &arrived, UnixMs(60_000))
    };
    for aborting in [false, true] {
        let Action::Perform(start) = decided(1, aborting) else { panic!("{:?}", decided(1, aborting)) };
        let sent = start.command.map(|command| command.to_string()).unwrap_or_default();
        assert!(sent.contains("/nodes/pve2/lxc/201/status/start"), "{sent}");
    }
    assert!(matches!(decided(0, false), Action::Wait { .. }), "{:?}", decided(0, false));
    assert_eq!(decided(0, true), Action::Finish(RunOutcome::Aborted), "nor does an abort wait for it");
}

#[test]
fn what_came_to_a_node_since_the_plan_was_made_is_for_a_new_plan_and_all_else_is_waited_for() {
    let full = Fixture::cluster(3).vm(101, "pve1", 4).snapshot();
    let empty = Fixture::cluster(3).vm(101, "pve2", 4).snapshot();
    let state_of = |step: Step| {
        let mut state = RunState::default();
        state.apply(UnixMs(0), &started(Policy::default()));
        let plan = plan_of(&[("pve1.step", step)]);
        state.apply(UnixMs(0), &Event::PlanAdopted { plan, why: "first plan".into() });
        state
    };
    let refused = |state: &RunState, world: &Snapshot| {
        let objections = || vec![Objection::CorosyncWatch(HeldBack::LastOneJustSetOut)];
        decided(state, world, world.taken, &|_, _, _| Err(objections()))
    };
    let waits = |action: &Action| matches!(action, Action::Perform(Start { attempt: 0, command: None, .. }));
    let replans = |action: &Action| matches!(action, Action::Replan { .. });
    let proof = state_of(WaitEmpty { node: node() }.into());
    let action = allowed(&proof, &full, full.taken);
    assert!(matches!(&action, Action::Replan { why, .. } if why.contains("vm:101")), "{action:?}");
    assert!(matches!(allowed(&proof, &empty, full.taken), Action::Conclude { outcome: StepOutcome::Done, .. }));
    let mut unread = empty.clone();
    unread.jobs = Observed::unknown("tasks", "timed out");
    assert!(waits(&allowed(&proof, &unread, full.taken)), "not known is no guest");
    let reboot = state_of(Reboot { node: node(), from_boot: "boot-pve1".into() }.into());
    assert!(replans(&refused(&reboot, &full)) && waits(&refused(&reboot, &empty)));
    // A step that does not need its node empty only waits.
    let mode = state_of(set(Failback { guest: guest() }));
    assert!(!replans(&refused(&mode, &Fixture::cluster(3).vm(101, "pve1", 4).managed(guest()).snapshot())));
}
