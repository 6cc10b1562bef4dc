//! What goes into a decision beside the state: each makes the run pause, wait or ask when it is there, and does not
//! when it is not.

use std::collections::BTreeMap;
use std::sync::Arc;

use quorate_core::checks::{Finding, Severity, Subject};
use quorate_core::fixture::Fixture;
use quorate_core::ids::{DriverId, GuestId, NodeName, RunId, UnixMs};
use quorate_core::migration_throttle::Throttle;
use quorate_core::observed::Observed::{self, Known};
use quorate_core::plan::{Bond, Missing, NoPlan, Plan, Reason};
use quorate_core::planner::{self, Ongoing};
use quorate_core::policy::{ConsentKind, Policy};
use quorate_core::recovery::{NodeReport, QuorumViews, words_for};
use quorate_core::run::{
    Action, Asked, Depth, Event, Guard, Hold, LastLook, NewPlan, OutsideChange, Pause, PauseCause, Planned, Request,
    RunKind, RunOutcome, RunState, Seen, Start, StepOutcome, decide, replan, upgrade_unit, votes_lowered,
};
use quorate_core::snapshot::{
    CorosyncComplaints, DriverLock, EtcPve, Ha, HaRequest, HaService, HaServiceState, JournalHead, Lock, Member,
    OlderJournal, QuorumView, Snapshot,
};
use quorate_core::steps::{ExpectedVotes, Migrate, MoveMode, Step, Why};

pub(crate) const NOW: UnixMs = UnixMs(2_000_000_000_000);

pub(crate) fn at(seconds: u64) -> UnixMs {
    NOW.plus_s(seconds)
}

/// Three nodes with updates; a container runs on pve1, and moves by restart.
pub(crate) fn world() -> Snapshot {
    Fixture::cluster(3).ct(201, "pve1", 1).vm(101, "pve1", 4).snapshot()
}

pub(crate) fn plan(world: &Snapshot) -> Plan {
    planner::plan(world, &Policy::default(), &Ongoing::fresh(upgrade_unit(&RunId::new("r")))).expect("it has a plan")
}

fn started(kind: RunKind) -> Event {
    let (run, policy) = (RunId::new("r"), Policy::default());
    Event::RunStarted { run, kind, cluster: "lab".into(), policy, version: "0".into() }
}

/// A run of which nothing is done.
pub(crate) fn state() -> RunState {
    let adopted = Event::PlanAdopted { plan: plan(&world()), why: "first plan".into() };
    RunState::of([(NOW, &started(RunKind::Upgrade)), (NOW, &adopted)])
}

pub(crate) fn with(mut state: RunState, event: Event) -> RunState {
    state.apply(NOW, &event);
    state
}

pub(crate) fn paused() -> RunState {
    with(state(), Event::Paused { pause: Pause::Operator { by: "anna".into() } })
}

fn lost() -> RunState {
    let no_quorum = decided(&state(), &and_quorum_views(seen(&state(), &alone()), &["pve3"]));
    let Action::Pause(pause) = no_quorum else { panic!("{no_quorum:?}") };
    with(state(), Event::Paused { pause })
}

/// Everything was just looked at, and the plan compared with it.
pub(crate) fn seen(state: &RunState, world: &Snapshot) -> Seen {
    let mut seen = Seen::of(state, world);
    look(&mut seen, state, world);
    seen.planned(None, None, NOW);
    seen
}

/// Looks at everything; the checks find nothing (those of a made-up cluster miss a lot).
fn look(seen: &mut Seen, state: &RunState, world: &Snapshot) {
    seen.looked(state, Arc::new(world.clone()), Depth::Everything);
    seen.look.as_mut().unwrap().findings = Some(Vec::new());
}

pub(crate) fn decided(state: &RunState, seen: &Seen) -> Action {
    decided_at(state, seen, NOW)
}

pub(crate) fn decided_at(state: &RunState, seen: &Seen, now: UnixMs) -> Action {
    noted(&mut state.clone(), seen, now)
}

/// What is decided once everything that is noted first has been.
pub(crate) fn noted(state: &mut RunState, seen: &Seen, now: UnixMs) -> Action {
    guarded(state, seen, now, &|_, _, _| Ok(()))
}

pub(crate) fn guarded(state: &mut RunState, seen: &Seen, now: UnixMs, guard: &Guard<'_>) -> Action {
    loop {
        match decide(state, seen, now, guard) {
            Action::Note { events } => events.iter().for_each(|event| state.apply(now, event)),
            action => return action,
        }
    }
}

/// Nothing is in the way: a step starts.
pub(crate) fn goes_on(action: &Action) -> bool {
    matches!(action, Action::Perform(_) | Action::Conclude { .. })
}

fn and_asked(mut seen: Seen, request: Request) -> Seen {
    seen.asked.push_back(Asked { seq: Some(1), request, by: "anna".into() });
    seen
}

fn and_quorum_views(mut seen: Seen, members: &[&str]) -> Seen {
    seen.quorum_views = Some(quorum_views(members));
    seen
}

fn asked(state: &RunState, request: Request) -> Vec<Event> {
    let seen = and_asked(seen(state, &world()), request);
    match decided(state, &seen) {
        Action::Hear { events } => events,
        other => panic!("the request is not handled: {other:?}"),
    }
}

pub(crate) fn finding(check: &str, severity: Severity) -> Finding {
    let (subject, problem, remedy) = (Subject::Node("pve1".into()), "it is so".to_owned(), "change it".to_owned());
    Finding { check: check.to_owned(), kind: "test".to_owned(), severity, subject, problem, remedy, waived: None }
}

fn view(members: &[&str]) -> QuorumView {
    let votes = members.len() as u32;
    QuorumView {
        quorate: votes >= 2,
        expected_votes: 3,
        total_votes: votes,
        quorum: 2,
        members: members.iter().map(|name| (NodeName::from(*name), Member { node_id: 1, votes: 1 })).collect(),
        qdevice: None,
        links: BTreeMap::new(),
        configured_links: 1,
        link_addresses: Vec::new(),
    }
}

/// The per-node quorum views: these are members of one partition, and the others are silent.
fn quorum_views(members: &[&str]) -> QuorumViews {
    let report = |name: &&str| match members.contains(name) {
        false => NodeReport::silent("cat /proc/uptime", "no route to host"),
        true => NodeReport {
            boot: Known("b1".into()),
            uptime_s: Known(1_000_000),
            view: Known(view(members)),
            etc_pve: Known(EtcPve::ReadOnly),
            lrm: Known(None),
            heard: Known(Vec::new()),
        },
    };
    let nodes = ["pve1", "pve2", "pve3"];
    QuorumViews {
        taken: NOW,
        votes: Known(nodes.iter().map(|name| (NodeName::from(*name), 1)).collect()),
        device_votes: Known(0),
        nodes: nodes.iter().map(|name| (NodeName::from(*name), report(name))).collect(),
    }
}

/// What pve3 shows when it is alone.
fn alone() -> Snapshot {
    let mut world = world();
    for (name, quorum) in &mut world.quorum {
        let gap = || Observed::unknown("corosync-quorumtool", "no route to host");
        *quorum = if name.as_str() == "pve3" { Known(view(&["pve3"])) } else { gap() };
    }
    world
}

#[test]
fn with_nothing_in_the_way_a_step_begins_and_what_is_missing_is_asked_for_in_order() {
    let (state, world) = (state(), world());
    assert!(goes_on(&decided(&state, &seen(&state, &world))), "{:?}", decided(&state, &seen(&state, &world)));
    let mut fresh = Seen::default();
    assert_eq!(decided(&state, &fresh), Action::Listen);
    fresh.listened([]);
    assert_eq!(decided(&state, &fresh), Action::HoldLock);
    fresh.held(Hold::Ours, NOW);
    assert_eq!(decided(&state, &fresh), Action::Look(Depth::Everything), "a driver that has just started");
    look(&mut fresh, &state, &world);
    assert_eq!(decided(&state, &fresh), Action::Review);
    fresh.planned(None, None, NOW);
    assert!(goes_on(&decided(&state, &fresh)));
    fresh.turn();
    fresh.listened([]);
    fresh.held(Hold::Ours, NOW);
    assert_eq!(decided(&state, &fresh), Action::Look(Depth::Changes));
}

#[test]
fn requests_are_handled_and_a_pause_is_recorded_only_while_the_run_continues() {
    let by = "anna".to_owned();
    let pause = Pause::Operator { by: by.clone() };
    assert_eq!(pause.cause(), PauseCause::Operator);
    assert_eq!(asked(&state(), Request::Pause), [Event::Paused { pause }]);
    assert_eq!(asked(&paused(), Request::Pause), []);
    assert_eq!(asked(&paused(), Request::Resume), [Event::Resumed { by: by.clone() }]);
    assert_eq!(asked(&state(), Request::Abort), [Event::AbortBegun { by }]);
}

#[test]
fn an_approval_continues_a_run_that_waits_for_it_and_no_other() {
    let kinds = [ConsentKind::RestartContainers].into();
    let approve = || Request::Approve { kinds: [ConsentKind::RestartContainers].into() };
    let goes_on = |events: &[Event]| events.iter().any(|event| matches!(event, Event::Resumed { .. }));
    let asks = Pause::PlanCostsMore { missing: Vec::new(), beyond: Vec::new() };
    let waits = with(state(), Event::Paused { pause: asks });
    let events = asked(&waits, approve());
    assert_eq!(events[0], Event::Consented { kinds, by: "anna".into() });
    assert!(matches!(events[1], Event::DowntimeAgreed { .. }), "{events:?}");
    assert!(goes_on(&events) && !goes_on(&asked(&paused(), approve())));
}

#[test]
fn after_a_resume_the_cluster_is_looked_at_as_if_the_driver_had_just_started() {
    let state = state();
    let mut seen = and_asked(seen(&state, &world()), Request::Resume);
    assert_eq!(seen.heard().map(|asked| asked.request), Some(Request::Resume));
    seen.turn();
    seen.listened([]);
    seen.held(Hold::Ours, NOW);
    assert_eq!(decided(&state, &seen), Action::Look(Depth::Everything));
    look(&mut seen, &state, &world());
    assert_eq!(decided(&state, &seen), Action::Review);
}

#[test]
fn a_process_told_to_leave_leaves_a_paused_run_and_stays_for_a_time_where_quorum_is_lost() {
    let leaves = |state: &RunState| {
        let mut seen = seen(state, &world());
        seen.leaves_when_paused = true;
        seen
    };
    let pause = paused().paused.unwrap();
    assert_eq!(decided(&paused(), &leaves(&paused())), Action::Leave(pause));
    assert!(goes_on(&decided(&state(), &leaves(&state()))));
    assert!(matches!(decided(&paused(), &seen(&paused(), &world())), Action::Wait { .. }), "it was not told to leave");
    assert_eq!(decided(&lost(), &leaves(&lost())), Action::QuorumViews);
    let waited = Policy::default().deadlines.boot_s + Policy::default().deadlines.rejoin_s + 1;
    assert!(matches!(decided_at(&lost(), &leaves(&lost()), at(waited)), Action::Leave(Pause::LostQuorum { .. })));
}

#[test]
fn a_lock_that_cannot_be_held_is_waited_for_and_then_the_run_pauses() {
    let state = state();
    let mut seen = seen(&state, &world());
    seen.quorum_views = Some(quorum_views(&["pve1", "pve2", "pve3"]));
    seen.held(Hold::Unsure("Permission denied".into()), NOW);
    assert!(matches!(decided_at(&state, &seen, at(599)), Action::Wait { .. }));
    seen.held(Hold::Unsure("Permission denied".into()), at(599));
    let why = "Permission denied".to_owned();
    assert_eq!(decided_at(&state, &seen, at(600)), Action::Pause(Pause::NoLock { why }));
    assert!(matches!(decided_at(&paused(), &seen, at(600)), Action::Wait { .. }), "it is already paused");
    seen.held(Hold::Ours, at(600));
    assert!(goes_on(&decided_at(&state, &seen, at(600))));
    seen.held(Hold::Theirs("ben".into()), at(600));
    assert_eq!(decided(&state, &seen), Action::GiveWay { to: "ben".into() });
    let head = |seq: u64| JournalHead { seq, hash: "ab".into() };
    let (run, holder, id, journal) = ("r1".into(), "ben".into(), DriverId::drawn(2), "cd".into());
    let lock = DriverLock { run, holder, id, head: head(9), journal, renewed: NOW, released: true, ended: false };
    let older = Box::new(OlderJournal { lock, ours: head(5) });
    seen.held(Hold::OlderJournal(older.clone()), at(600));
    assert_eq!(decided(&state, &seen), Action::RefuseJournal(older.clone()));
    let words = older.to_string();
    assert!(
        words.contains("event 9") && words.contains("event 5") && words.contains("run r1, written by ben"),
        "{words}"
    );
}

#[test]
fn quorum_counts_as_lost_only_where_the_nodes_themselves_say_so() {
    let state = state();
    let looked = seen(&state, &alone());
    assert_eq!(decided(&state, &looked), Action::QuorumViews, "the look alone is not believed");
    let views_asked = |members: &[&str]| and_quorum_views(looked.clone(), members);
    let Action::Pause(Pause::LostQuorum { diagnosis }) = decided(&state, &views_asked(&["pve3"])) else {
        panic!("no pause")
    };
    assert_eq!(diagnosis.nodes.len(), 3, "every node's view is shown");
    assert!(goes_on(&decided(&state, &views_asked(&["pve2", "pve3"]))));
    let mut unsure = views_asked(&["pve3"]);
    unsure.held(Hold::Unsure("Permission denied".into()), NOW);
    assert!(matches!(decided(&state, &unsure), Action::Pause(Pause::LostQuorum { .. })), "the lock needs quorum");
}

#[test]
fn a_run_paused_without_quorum_continues_by_itself_when_one_node_has_it() {
    let state = lost();
    let views_asked = |members: &[&str]| and_quorum_views(seen(&state, &alone()), members);
    assert_eq!(
        decided(&state, &seen(&state, &world())),
        Action::QuorumViews,
        "the nodes are asked, whatever a look shows"
    );
    assert!(matches!(decided(&state, &views_asked(&["pve3"])), Action::Wait { poll_s: 5, .. }));
    assert!(matches!(decided(&state, &views_asked(&["pve2", "pve3"])), Action::Resume { .. }));
}

#[test]
fn votes_are_lowered_only_as_the_check_allows_and_a_refusal_replaces_no_other_pause() {
    let words: Vec<String> = ["pve1", "pve2"].map(|node| words_for(&NodeName::from(node))).into();
    let asks = |state: &RunState, words: Vec<String>, members: &[&str]| {
        let seen = and_quorum_views(seen(state, &alone()), members);
        decided(state, &and_asked(seen, Request::LowerVotes { words }))
    };
    let unasked = and_asked(seen(&lost(), &alone()), Request::LowerVotes { words: words.clone() });
    assert_eq!(decided(&lost(), &unasked), Action::QuorumViews, "decided by what is true now");
    let Action::LowerVotes { step, .. } = asks(&lost(), words.clone(), &["pve3"]) else { panic!("not lowered") };
    assert_eq!((step.expected, step.configured), (1, 3));
    let refused = asks(&lost(), words[..1].to_vec(), &["pve3"]);
    let Action::RefuseLowering { pause: Pause::LoweringRefused { refusals, .. }, record: true } = refused else {
        panic!("{refused:?}")
    };
    assert_eq!(refusals.len(), 1, "{refusals:?}");
    for (state, members) in [(paused(), ["pve3"].as_slice()), (state(), &["pve2", "pve3"])] {
        let refused = asks(&state, words[..1].to_vec(), members);
        assert!(matches!(refused, Action::RefuseLowering { record: false, .. }), "{refused:?}");
    }
}

#[test]
fn votes_count_as_lowered_once_the_node_itself_expects_them() {
    let lowered = |expected: u32, node: &str| {
        let step = ExpectedVotes { node: node.into(), expected, configured: 3, off: ["pve1".into()].into() };
        votes_lowered(&quorum_views(&["pve3"]), &step, "the answer")
    };
    assert_eq!(lowered(3, "pve3"), StepOutcome::Done);
    assert!(matches!(lowered(1, "pve3"), StepOutcome::NoEffect(_)), "it still expects three");
    assert!(
        matches!(lowered(1, "pve2"), StepOutcome::Abandoned(_)),
        "it does not say: there is still something to undo"
    );
}

#[test]
fn what_is_found_before_a_node_keeps_it_from_being_drained_and_what_may_stay_does_not() {
    let found = |state: &RunState, finding: Finding| {
        let mut seen = seen(state, &world());
        seen.look.as_mut().unwrap().findings = Some(vec![finding]);
        decided(state, &seen)
    };
    let bad = || finding("upgrade-checker", Severity::Blocking);
    let Action::Pause(Pause::FoundBeforeNode { findings, .. }) = found(&state(), bad()) else { panic!("no pause") };
    assert_eq!(findings, [bad()]);
    assert!(goes_on(&found(&state(), finding("upgrade-checker", Severity::Warning))));
    assert!(goes_on(&found(&state(), finding("quorum-margin", Severity::Blocking))), "a rule checks that");
    assert!(matches!(found(&paused(), bad()), Action::Wait { .. }), "it is already paused");
    let aborted = with(state(), Event::AbortBegun { by: "anna".into() });
    assert_eq!(found(&aborted, bad()), Action::Finish(RunOutcome::Aborted));
    // A node that is being drained is no more full.
    let first = plan(&world()).node_steps.remove(0);
    let begun = first.steps.iter().find(|step| matches!(step.step, Step::WaitEmpty(_))).expect("it is proven empty");
    let (id, step) = (begun.id.clone(), begun.step.clone());
    let under_way = with(state(), Event::StepEnded { id, step, outcome: StepOutcome::FoundDone });
    assert!(goes_on(&found(&under_way, bad())));
}

/// A run in which every step is done.
fn all_done() -> RunState {
    let steps = plan(&world());
    steps.steps().fold(state(), |state, (_, planned)| {
        let (id, step) = (planned.id.clone(), planned.step.clone());
        with(state, Event::StepEnded { id, step, outcome: StepOutcome::Done })
    })
}

#[test]
fn when_every_node_is_done_the_cluster_is_looked_at_once_more_and_what_is_found_keeps_the_run_open() {
    let state = all_done();
    let whole =
        ["pve1", "pve2", "pve3"].iter().fold(Fixture::cluster(3), |world, node| world.upgraded(node)).snapshot();
    let before = seen(&state, &whole);
    assert!(matches!(decided(&state, &before), Action::LookAtTheEnd { .. }), "{:?}", decided(&state, &before));
    let ends = |world: &Snapshot, findings: Vec<Finding>| {
        let last_look = Some(LastLook { snapshot: Arc::new(world.clone()), findings });
        let mut seen = before.clone();
        seen.last_look = last_look;
        decided(&state, &seen)
    };
    assert_eq!(ends(&whole, Vec::new()), Action::Finish(RunOutcome::Completed));
    assert_eq!(ends(&whole, vec![finding("disk-space", Severity::Warning)]), Action::Finish(RunOutcome::Completed));
    let findings = vec![finding("disk-space", Severity::Blocking)];
    assert_eq!(ends(&whole, findings.clone()), Action::Pause(Pause::FoundAtTheEnd { findings }));
    let mut broken = whole.clone();
    broken.nodes.get_mut(&"pve2".into()).unwrap().online = Known(false);
    assert!(matches!(ends(&broken, Vec::new()), Action::Pause(Pause::NotWhole { .. })), "{:?}", ends(&broken, vec![]));
}

/// A new plan was made, or none.
fn replanned(state: &RunState, planned: Planned) -> Seen {
    let mut seen = seen(state, &world());
    seen.new_plan = Some(NewPlan { planned, else_start: None });
    seen
}

#[test]
fn without_a_plan_the_run_pauses_and_looks_again_first_where_only_readings_are_missing() {
    let state = state();
    let none = |reason: Reason| {
        let no_plan = NoPlan::because(vec![reason]);
        let mut seen = seen(&state, &world());
        let snapshot = Arc::new(world());
        seen.planned(Some(Planned { why: "test".into(), snapshot, made: Err((no_plan, None)) }), None, NOW);
        seen
    };
    assert!(matches!(
        decided(&state, &none(Reason::NoSuchNode("pve9".into()))),
        Action::Pause(Pause::NoPlan { by_abort: None, .. })
    ));
    let unread = none(Reason::Unknown(Missing::Guests));
    assert!(matches!(decided_at(&state, &unread, at(899)), Action::Wait { then: Depth::Everything, .. }));
    assert!(matches!(decided_at(&state, &unread, at(900)), Action::Pause(Pause::NoPlan { .. })));
    let stays = |why: &str| Reason::Immovable(GuestId::vm(101), "pve1".into(), Bond::Here(why.into()));
    assert!(matches!(decided(&state, &none(stays("it has a device"))), Action::Pause(Pause::NoPlan { .. })));
    let planned = replan(&state, &Arc::new(world()), "test".into());
    assert!(!matches!(decided(&state, &replanned(&state, planned)), Action::Pause(Pause::NoPlan { .. })));
}

/// Seen on a real cluster: an administrator's move by HA paused the run two seconds before it was over.
#[test]
fn what_ha_or_a_task_is_doing_to_a_guest_is_waited_for_before_the_run_pauses_without_a_plan() {
    let guest = GuestId::vm(101);
    let planned = |world: &Snapshot| {
        let no_plan = NoPlan::because(vec![Reason::Immovable(guest, "pve1".into(), Bond::Here("busy".into()))]);
        let mut seen = seen(&state(), world);
        let made = Err((no_plan, None));
        seen.planned(Some(Planned { why: "test".into(), snapshot: Arc::new(world.clone()), made }), None, NOW);
        seen
    };
    let by_ha = |state: Option<HaServiceState>| {
        let (request, node) = (HaRequest::Started, Some(NodeName::from("pve1")));
        let service = HaService { request, state, node, target: None, maintenance_node: None, failback: true };
        let mut world = world();
        world.ha = Known(Ha { services: [(guest, service)].into(), ..Ha::default() });
        world
    };
    let mut locked = world();
    locked.guests.get_mut(&guest).unwrap().lock = Known(Some(Lock("migrate".into())));
    for busy in [by_ha(Some(HaServiceState::Migrate)), by_ha(None), locked] {
        assert!(matches!(decided_at(&state(), &planned(&busy), at(899)), Action::Wait { .. }));
        assert!(matches!(decided_at(&state(), &planned(&busy), at(900)), Action::Pause(Pause::NoPlan { .. })));
    }
    for stays in [by_ha(Some(HaServiceState::Started)), by_ha(Some(HaServiceState::Error)), world()] {
        assert!(matches!(decided(&state(), &planned(&stays)), Action::Pause(Pause::NoPlan { .. })));
    }
}

#[test]
fn a_new_plan_that_is_the_old_one_pauses_the_run_unless_a_step_can_wait_instead() {
    let state = state();
    let planned = replan(&state, &Arc::new(world()), "vm:101 is elsewhere".into());
    let mut same = replanned(&state, planned);
    let why = "vm:101 is elsewhere".to_owned();
    assert_eq!(decided(&state, &same), Action::Pause(Pause::SamePlan { why }));
    let first = plan(&world()).node_steps.remove(0).steps.remove(0);
    let start = Start { id: first.id, step: first.step, attempt: 1, command: None, undo: None };
    same.new_plan.as_mut().unwrap().else_start = Some(start.clone());
    assert_eq!(decided(&state, &same), Action::Perform(start.waiting()));
}

#[test]
fn a_plan_that_costs_more_than_was_agreed_to_is_adopted_and_asks() {
    let first = plan(&world());
    let moved = Fixture::cluster(3).ct(201, "pve2", 1).vm(101, "pve1", 4).snapshot();
    let asks = |state: &RunState| {
        let planned = replan(state, &Arc::new(moved.clone()), "ct:201 is on pve2".into());
        match decided(state, &replanned(state, planned)) {
            Action::Adopt { asks, .. } => asks,
            other => panic!("it is not adopted: {other:?}"),
        }
    };
    let Some(Pause::PlanCostsMore { missing, beyond }) = asks(&state()) else { panic!("it does not ask") };
    assert_eq!((missing[0].guest, beyond.len()), (GuestId::ct(201), 0));
    let kinds = [ConsentKind::RestartContainers].into();
    let agreed = with(state(), Event::Consented { kinds, by: "anna".into() });
    assert_eq!(asks(&agreed), None);
    let agreement = state().agreement(&first, "anna", NOW);
    assert!(matches!(&agreement, Event::DowntimeAgreed { allowed_s, .. } if allowed_s.contains_key(&GuestId::ct(201))));
    assert_eq!(asks(&with(agreed.clone(), agreement)), None);
    let nothing = Event::DowntimeAgreed { allowed_s: BTreeMap::new(), margin_percent: 0, by: "anna".into() };
    let Some(Pause::PlanCostsMore { missing, beyond }) = asks(&with(agreed, nothing)) else { panic!("no question") };
    assert_eq!((missing.len(), beyond[0].guest), (0, GuestId::ct(201)));
}

#[test]
fn the_migration_throttle_changes_while_guests_move_and_only_then() {
    let mut noisy = world();
    noisy
        .migration_throttle
        .insert("pve2".into(), Known(CorosyncComplaints { retransmits: 9, links_lost: 0, tokens_lost: 0 }));
    assert!(goes_on(&decided(&state(), &seen(&state(), &noisy))), "no guest is moving");
    let step = Step::from(Migrate {
        guest: GuestId::vm(101),
        from: "pve1".into(),
        to: "pve2".into(),
        mode: MoveMode::Live,
        storages: [].into(),
    });
    let started = Event::StepStarted { id: "x".into(), step, attempt: 1, command: None, undo: None };
    let moves = with(state(), started);
    assert!(matches!(decided(&moves, &seen(&moves, &noisy)), Action::ChangeThrottle { throttle: Throttle::Hold, .. }));
    assert!(!matches!(decided(&moves, &seen(&moves, &world())), Action::ChangeThrottle { .. }));
}

#[test]
fn endless_decisions_on_one_look_pause_the_run() {
    let state = state();
    let mut seen = seen(&state, &world());
    (0..1000).for_each(|_| seen.decided());
    assert!(goes_on(&decided(&state, &seen)));
    seen.decided();
    assert_eq!(decided(&state, &seen), Action::Pause(Pause::Endless));
}

#[test]
fn a_recovery_ends_once_nothing_is_left_to_undo_and_is_never_planned() {
    let state = RunState::of([(NOW, &started(RunKind::Recovery))]);
    assert_eq!(decided(&state, &seen(&state, &world())), Action::Finish(RunOutcome::Recovered));
    let upgrade = RunState::of([(NOW, &started(RunKind::Upgrade))]);
    assert!(matches!(decided(&upgrade, &seen(&upgrade, &world())), Action::Replan { .. }));
}

#[test]
fn every_pause_says_what_to_do_next() {
    let by = "anna".to_owned();
    let pauses = [
        Pause::Operator { by },
        Pause::PlanCostsMore { missing: Vec::new(), beyond: Vec::new() },
        Pause::FoundBeforeNode { node: "pve1".into(), findings: vec![finding("disk-space", Severity::Blocking)] },
        Pause::FoundAtTheEnd { findings: vec![finding("disk-space", Severity::Blocking)] },
        Pause::NotWhole { why: vec![Why::NotOnline("pve2".into())] },
        Pause::NoLock { why: "Permission denied".into() },
        Pause::NoPlan { why: "test".into(), no_plan: NoPlan::because(Vec::new()), by_abort: None },
        Pause::SamePlan { why: "test".into() },
        Pause::ChangedOutside {
            changes: vec![OutsideChange::Stopped { guest: GuestId::vm(101), node: "pve1".into() }],
            down: [GuestId::vm(101)].into(),
        },
        Pause::Endless,
        lost().paused.unwrap(),
    ];
    for pause in pauses {
        let lines = pause.lines();
        assert!(lines.iter().any(|line| line.contains("`quorate ")), "{lines:#?}");
        let json = serde_json::to_string(&Event::Paused { pause: pause.clone() }).unwrap();
        assert_eq!(serde_json::from_str::<Event>(&json).unwrap(), Event::Paused { pause });
    }
}

/// A run that has handed pve1 over, and in which the driver that did it is gone.
fn handed_over() -> RunState {
    let (kind, node) = (RunKind::Drain { node: "pve1".into() }, NodeName::from("pve1"));
    let policy = Policy::default().for_a_drain();
    let drain = Ongoing::drain(node.clone(), upgrade_unit(&RunId::new("r")));
    let plan = planner::plan(&world(), &policy, &drain).expect("it has a plan");
    let (_, planned) = plan.steps().find(|(_, planned)| planned.step.kind().verb() == "hand-over").unwrap();
    let undo = planned.step.undone_later_by();
    let (id, step) = (planned.id.clone(), planned.step.clone());
    let events = [
        started(kind),
        Event::PlanAdopted { plan: plan.clone(), why: "first plan".into() },
        Event::StepStarted { id, step, attempt: 1, command: None, undo },
        Event::DriverTookOver { driver: "another".into(), id: None },
    ];
    RunState::of(events.iter().map(|event| (NOW, event)))
}

#[test]
fn a_node_that_is_handed_over_is_let_alone_until_a_person_gives_it_back() {
    let state = handed_over();
    let seen = seen(&state, &world());
    let paused = decided(&state, &seen);
    let Action::Pause(pause) = &paused else { panic!("{paused:?}") };
    assert_eq!(pause.cause(), PauseCause::Drained);
    let held = with(state, Event::Paused { pause: pause.clone() });
    // Whatever the driver was told: nobody has to wait here.
    assert!(matches!(decided(&held, &seen), Action::Leave(Pause::Drained { .. })));
    assert_eq!(asked(&held, Request::Resume), [], "only who works on the node knows when that is over");
    for (request, ends) in [(Request::Undrain, "resumed"), (Request::Abort, "abort-begun")] {
        let events = asked(&held, request);
        let kinds: Vec<&str> = events.iter().map(Event::kind).collect();
        assert_eq!(kinds, ["step-ended", ends]);
        let after = events.into_iter().fold(held.clone(), with);
        assert!(after.handed_over().is_none() && after.drain().is_some_and(|drain| drain.given_back));
        let undo: Vec<&str> = after.open_changes.iter().map(|open| open.undo.kind().verb()).collect();
        assert_eq!(undo, ["wait-back"], "the node must be seen to serve again");
        assert_eq!(after.expected, Default::default());
    }
}
