//! Every kind of step, when its effect never appears: the run pauses with a diagnosis soon after the deadline, and from
//! there it can be resumed, aborted or taken over.

use quorate_core::fixture::Fixture;
use quorate_core::ids::{GuestId, NodeName, RunId, StepId, UnixMs};
use quorate_core::observed::Observed::{self, Known};
use quorate_core::plan::{Bound, Costs, NodeStep, NodeWhy, Plan, PlannedStep, StepWhy};
use quorate_core::policy::Policy;
use quorate_core::recovery::QuorumViews;
use quorate_core::run::{Action, Event, PauseCause, RunKind, RunOutcome, RunState, Seen, decide};
use quorate_core::snapshot::{DiskUse, HaServiceState, LocalDisk, Snapshot};
use quorate_core::steps::*;

/// Between the end of a deadline and the next look.
const LATE_S: u64 = 30;

fn vm() -> GuestId {
    GuestId::vm(101)
}

fn pve(number: u32) -> NodeName {
    NodeName::new(format!("pve{number}"))
}

/// A step that is stuck: the step that it undoes, itself, the world in which it is, and what fixes that world.
struct Stuck {
    opener: Option<Step>,
    step: Step,
    world: Snapshot,
    mend: fn(&mut Snapshot),
}

/// Three nodes with Ceph and updates; vm:101 runs on pve1.
fn cluster() -> Fixture {
    Fixture::cluster(3).vm(101, "pve1", 4).ceph()
}

fn eject() -> EjectMedia {
    let (drive, volid) = ("ide2".to_owned(), "local:iso/x.iso".to_owned());
    EjectMedia { guest: vm(), node: pve(1), drive, volid, lies_on: [pve(1)].into() }
}

fn lowered() -> ExpectedVotes {
    ExpectedVotes { node: pve(3), expected: 1, configured: 3, off: [pve(1), pve(2)].into() }
}

/// In a world as it is.
fn plain(step: impl Into<Step>, world: Fixture) -> Stuck {
    Stuck { opener: None, step: step.into(), world: world.snapshot(), mend: |_| {} }
}

/// In a world that the opener has changed.
fn debt(opener: impl Into<Step>, step: impl Into<Step>, world: Fixture) -> Stuck {
    let opener = opener.into();
    let mut world = world.snapshot();
    opener.after(&mut world);
    Stuck { opener: Some(opener), step: step.into(), world, mend: |_| {} }
}

/// The table: one row for each kind.
fn stuck(kind: &str) -> Option<Stuck> {
    let (guest, node) = (vm(), pve(1));
    let managed = || cluster().managed(vm());
    Some(match kind {
        "refresh-packages" => {
            let old = |node: &mut quorate_core::snapshot::Node| {
                node.packages.known_mut().unwrap().lists_age_s = Some(1_000_000);
            };
            plain(RefreshPackages { node }, cluster().node("pve1", old))
        }
        "hold-failback" => plain(set(Failback { guest }), managed()),
        "restore-failback" => debt(set(Failback { guest }), undo(Failback { guest }), managed()),
        "hold-rebalance" => plain(set(Rebalance {}), cluster().change(balances)),
        "restore-rebalance" => debt(set(Rebalance {}), undo(Rebalance {}), cluster().change(balances)),
        "eject-media" => {
            let disk = LocalDisk {
                volid: eject().volid,
                drive: eject().drive,
                size_bytes: 1,
                usage: DiskUse::Cdrom,
                replicated: false,
            };
            plain(eject(), cluster().facts(guest, |facts| facts.local_disks.push(disk)))
        }
        "insert-media" => debt(eject(), eject().back(), cluster()),
        "migrate" => {
            plain(Migrate { guest, from: node, to: pve(2), mode: MoveMode::Live, storages: [].into() }, cluster())
        }
        "shutdown-guest" => plain(ShutdownGuest { guest, node }, cluster()),
        "hibernate-guest" => plain(HibernateGuest { guest, node, storage: "shared".into() }, cluster()),
        "start-guest" => debt(ShutdownGuest { guest, node: node.clone() }, StartGuest { guest, node }, cluster()),
        "stop-to-move" => plain(StopToMove { guest, node }, cluster()),
        "start-moved" => debt(StopToMove { guest, node }, StartMoved { guest }, cluster()),
        "wait-empty" => Stuck { mend: empties, ..plain(WaitEmpty { node }, cluster()) },
        "enter-maintenance" => plain(set(Maintenance { node }), managed()),
        "leave-maintenance" => debt(set(Maintenance { node: node.clone() }), undo(Maintenance { node }), managed()),
        "set-noout" => plain(set(Noout::by_host(node)), cluster()),
        "unset-noout" => debt(set(Noout::by_host(node.clone())), undo(Noout::by_host(node)), cluster()),
        "upgrade-packages" => plain(UpgradePackages { node: pve(3), unit: "quorate-upgrade-t".into() }, cluster()),
        "reboot" => {
            let world = cluster();
            let from_boot = world.clone().snapshot().nodes[&pve(3)].boot.known().unwrap().clone();
            plain(Reboot { node: pve(3), from_boot }, world)
        }
        "wait-back" => {
            let away = |node: &mut quorate_core::snapshot::Node| node.online = Known(false);
            Stuck {
                mend: brings_back,
                ..plain(WaitBack { node: pve(3), without: Default::default() }, cluster().node("pve3", away))
            }
        }
        "wait-ha-idle" => {
            let busy = |ha: &mut quorate_core::snapshot::Ha| {
                ha.services.get_mut(&vm()).unwrap().state = Some(HaServiceState::Migrate);
            };
            Stuck { mend: settles, ..plain(WaitHaIdle { node }, managed().ha(busy)) }
        }
        "final-check" => {
            let away = |node: &mut quorate_core::snapshot::Node| node.online = Known(false);
            let world = cluster().upgraded("pve1").upgraded("pve2").upgraded("pve3").node("pve3", away);
            Stuck { mend: brings_back, ..plain(FinalCheck::default(), world) }
        }
        "restore-votes" => debt(set(lowered()), undo(lowered()), cluster()),
        // Never part of a plan, and never sent twice: see the test below.
        "lower-votes" => return None,
        // A person ends it, not a deadline.
        "hand-over" => return None,
        other => panic!("{other} has no row: how does a run get away from it when its effect never appears?"),
    })
}

fn balances(world: &mut Snapshot) {
    let options = world.options.known_mut().unwrap();
    options.ha_auto_rebalance = true;
    options.crs.insert("ha-auto-rebalance".to_owned(), "1".to_owned());
}

fn empties(world: &mut Snapshot) {
    world.guests.clear();
    for node in world.nodes.values_mut() {
        node.local_guests = Known(Vec::new());
    }
}

fn brings_back(world: &mut Snapshot) {
    for node in world.nodes.values_mut() {
        node.online = Known(true);
    }
}

fn settles(world: &mut Snapshot) {
    for service in world.ha.known_mut().unwrap().services.values_mut() {
        service.state = Some(HaServiceState::Started);
    }
}

/// A run of this one step. Commands have no effect until `effective` is set.
struct Run {
    state: RunState,
    world: Snapshot,
    now: UnixMs,
    effective: bool,
}

impl Run {
    fn begin(stuck: &Stuck) -> Self {
        let now = stuck.world.taken;
        let mut run = Self { state: RunState::default(), world: stuck.world.clone(), now, effective: false };
        let policy = Policy::default();
        let (id, kind) = (RunId::new("r"), RunKind::Upgrade);
        run.write(Event::RunStarted { run: id, kind, cluster: "lab".into(), policy, version: "0".into() });
        run.write(Event::DriverTookOver { driver: "first".to_owned(), id: Some("first".into()) });
        if let Some(opener) = &stuck.opener {
            let (id, step) = (StepId::new("opener"), opener.clone());
            let (command, undo) = (opener.kind().command(&run.world), opener.undone_later_by());
            run.write(Event::StepStarted { id: id.clone(), step: step.clone(), attempt: 1, command, undo });
            run.write(Event::StepEnded { id, step, outcome: quorate_core::run::StepOutcome::Done });
        }
        let (id, step) = (StepId::new("stuck"), stuck.step.clone());
        let planned = PlannedStep { id, stage: 0, step, why: StepWhy::Undo, estimate_s: 1, down_s: 0 };
        let node_step = NodeStep { node: Some(pve(1)), why: NodeWhy::NothingMoves, steps: vec![planned] };
        let plan = Plan::new(None, now, vec![node_step], Costs::default(), Vec::new(), Bound::default());
        let far =
            Event::DowntimeAgreed { allowed_s: [(vm(), 1_000_000)].into(), margin_percent: 0, by: "test".to_owned() };
        run.write(far);
        run.write(Event::PlanAdopted { plan, why: "first plan".into() });
        run
    }

    fn write(&mut self, event: Event) {
        self.state.apply(self.now, &event);
    }

    /// One decision, performed. A new plan would be the same: there is only this step.
    fn turn(&mut self) -> Action {
        let mut seen = Seen::of(&self.state, &self.world);
        // Where a look shows no quorum, the nodes themselves do not confirm it.
        seen.quorum_views = Some(QuorumViews {
            taken: self.now,
            votes: Observed::unknown("corosync.conf", "not asked"),
            device_votes: Observed::unknown("corosync.conf", "not asked"),
            nodes: [].into(),
        });
        let action = decide(&self.state, &seen, self.now, &|_, _, _| Ok(()));
        match action.clone() {
            Action::Conclude { id, step, outcome } => self.write(Event::StepEnded { id, step, outcome }),
            Action::Perform(start) | Action::Replan { else_start: Some(start), .. } => {
                let again = matches!(action, Action::Replan { .. });
                let attempt = if again { 0 } else { start.attempt };
                let command = start.command.clone().filter(|_| !again);
                let undo = start.undo.clone().filter(|_| !again);
                let sent = command.is_some();
                let (id, step) = (start.id, start.step.clone());
                self.write(Event::StepStarted { id: id.clone(), step, attempt, command, undo });
                if sent {
                    self.write(Event::CommandAnswered { id, answer: "accepted".to_owned(), job: None });
                }
                if sent && self.effective {
                    start.step.after(&mut self.world);
                }
            }
            Action::Wait { poll_s, .. } => {
                self.now = self.now.plus_s(poll_s);
                self.world.taken = self.now;
            }
            Action::Note { events } => events.into_iter().for_each(|event| self.write(event)),
            Action::Pause(pause) => self.write(Event::Paused { pause }),
            Action::Finish(outcome) => self.write(Event::RunEnded { outcome }),
            Action::Replan { else_start: None, .. } => {}
            other => panic!("this should not have been decided: {other:?}"),
        }
        action
    }

    /// Decides until `stop` says so; the last action.
    fn until(&mut self, what: &str, stop: impl Fn(&Action, &Self) -> bool) -> Action {
        for _ in 0..20_000 {
            let action = self.turn();
            if stop(&action, self) {
                return action;
            }
        }
        panic!("{what}: no end: {:#?}", self.state.steps);
    }

    fn paused(&mut self, what: &str) -> (u64, Vec<String>) {
        let begun = self.now;
        let action = self.until(what, |action, _| matches!(action, Action::Pause(_)));
        let Action::Pause(pause) = action else { panic!("{what}: {action:?}") };
        assert_eq!(pause.cause(), PauseCause::Stuck, "{what}: {pause:?}");
        (self.now.since_s(begun), pause.lines())
    }
}

fn rows() -> impl Iterator<Item = (String, Stuck)> {
    verbs().filter_map(|verb| stuck(&verb).map(|stuck| (verb, stuck)))
}

fn limits(stuck: &Stuck) -> Limits {
    stuck.step.kind().limits(&Policy::default().deadlines)
}

#[test]
fn every_kind_of_step_whose_effect_never_appears_pauses_with_a_diagnosis_soon_after_its_deadline() {
    for (kind, stuck) in rows() {
        assert_ne!(stuck.step.kind().status(&stuck.world), StepStatus::Done, "{kind}: the row is no test");
        let mut run = Run::begin(&stuck);
        let (after_s, why) = run.paused(&kind);
        assert!(after_s <= limits(&stuck).deadline_s + LATE_S, "{kind}: {after_s} s, {why:?}");
        assert!(why[0].contains(&stuck.step.kind().title()), "{kind}: it says which step: {why:?}");
        assert!(
            why.iter().any(|line| line.contains("quorate resume") && line.contains("quorate abort")),
            "{kind}: {why:?}"
        );
    }
}

#[test]
fn a_run_that_is_stuck_at_any_kind_of_step_continues_when_it_is_resumed_and_the_effect_appears() {
    for (kind, stuck) in rows() {
        let mut run = Run::begin(&stuck);
        run.paused(&kind);
        run.write(Event::Resumed { by: "test".to_owned() });
        (stuck.mend)(&mut run.world);
        run.effective = true;
        run.until(&kind, |_, run| run.state.is_done(&StepId::new("stuck")));
        assert!(run.state.under_way().all(|(_, record)| record.step != stuck.step), "{kind}: {:#?}", run.state.steps);
    }
}

#[test]
fn a_run_that_is_stuck_at_any_kind_of_step_can_be_aborted_with_nothing_left_to_undo() {
    for (kind, stuck) in rows() {
        let mut run = Run::begin(&stuck);
        run.paused(&kind);
        run.write(Event::AbortBegun { by: "test".to_owned() });
        run.effective = true;
        let end = run.until(&kind, |action, _| matches!(action, Action::Finish(_) | Action::Pause(_)));
        // The stuck step is all that this run has to do: once it is undone, nothing else is left to undo.
        let done = run.state.is_done(&StepId::new("stuck"));
        let outcome = if done { RunOutcome::Completed } else { RunOutcome::Aborted };
        assert_eq!(end, Action::Finish(outcome), "{kind}");
        assert!(run.state.open_changes.is_empty(), "{kind}: {:?}", run.state.open_changes);
    }
}

#[test]
fn a_driver_that_takes_over_a_stuck_run_finds_it_paused_and_can_continue() {
    for (kind, stuck) in rows() {
        let mut run = Run::begin(&stuck);
        run.paused(&kind);
        run.write(Event::DriverTookOver { driver: "another".to_owned(), id: Some("another".into()) });
        for _ in 0..5 {
            let action = run.turn();
            assert!(matches!(action, Action::Wait { .. }), "{kind}: it is paused for the next driver too: {action:?}");
        }
        run.write(Event::Resumed { by: "test".to_owned() });
        let (after_s, _) = run.paused(&kind);
        assert!(after_s <= limits(&stuck).deadline_s + LATE_S, "{kind}: deadlines start again: {after_s} s");
    }
}

/// A driver that died between the journal and the command must not send it: nobody has checked that moment.
#[test]
fn lowering_votes_is_never_ready_by_itself_and_a_driver_that_comes_later_does_not_send_it() {
    let mut world = cluster().snapshot();
    for node in [pve(1), pve(2)] {
        world.quorum.insert(node, Observed::unknown("corosync-quorumtool", "no route to host"));
    }
    let view = world.quorum.get_mut(&pve(3)).and_then(Observed::known_mut).unwrap();
    (view.total_votes, view.quorate) = (1, false);
    let step = set(lowered());
    assert!(matches!(step.kind().status(&world), StepStatus::Impossible(_)), "{:?}", step.kind().status(&world));
    let mut run = Run::begin(&plain(FinalCheck::default(), cluster()));
    run.world = world;
    let (id, command) = (StepId::new("recover.lower-votes.1"), step.kind().command(&run.world));
    let undo = step.undone_later_by();
    run.write(Event::StepStarted { id: id.clone(), step, attempt: 1, command, undo });
    run.write(Event::DriverTookOver { driver: "another".to_owned(), id: None });
    for _ in 0..20 {
        let action = run.turn();
        let sends = matches!(&action, Action::Perform(start) if start.step.kind().verb() == "lower-votes");
        assert!(!sends, "{action:?}");
    }
    assert!(run.state.steps[&id].outcome.is_some(), "it is given up");
}
