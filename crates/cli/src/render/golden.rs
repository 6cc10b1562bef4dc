//! Whole pages for one small cluster and one run on it, so that a change of wording shows up as a diff.
//!
//! `INSTA_UPDATE=always cargo nextest run -p quorate golden` writes them again; then read the diff.

use std::collections::BTreeSet;

use quorate_core::checks;
use quorate_core::fixture::Fixture;
use quorate_core::ids::{GuestId, UnixMs};
use quorate_core::observed::Observed::Known;
use quorate_core::plan::{Plan, PlannedStep};
use quorate_core::planner::{self, Ongoing, report};
use quorate_core::policy::{ConsentKind, Policy};
use quorate_core::run::{Event, RunKind, RunOutcome, StepOutcome};
use quorate_core::snapshot::Snapshot;
use quorate_core::view::View;

use super::driver::{Standing, Works};
use super::page::Page;
use super::plan::Detail;

pub(crate) const BEGAN: UnixMs = UnixMs(1_790_000_600_000);

fn expect(name: &str, page: &Page) {
    insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_snapshot!(name, page.as_str());
    });
}

/// With Ceph, HA, a container and a guest with a wide name.
pub(crate) fn snapshot() -> Snapshot {
    Fixture::cluster(3)
        .vm(101, "pve1", 24)
        .vm(102, "pve2", 16)
        .vm(103, "pve3", 8)
        .ct(201, "pve3", 8)
        .guest(GuestId::vm(102), |guest| guest.name = "網頁伺服器".to_owned())
        .managed(GuestId::vm(101))
        .ceph()
        .snapshot()
}

pub(crate) fn policy() -> Policy {
    Policy { consents: BTreeSet::from([ConsentKind::RestartContainers]), ..Policy::default() }
}

pub(crate) fn ongoing() -> Ongoing {
    Ongoing::fresh("quorate-upgrade-golden".into())
}

pub(crate) fn a_plan() -> Plan {
    planner::plan(&snapshot(), &policy(), &ongoing()).expect("there is room for all")
}

/// A run whose steps take as long as planned, one after the other: this many of them, or all.
fn run(steps: Option<usize>) -> View {
    View::of(events(steps).iter().map(|(at, event)| (*at, event)))
}

pub(crate) fn events(steps: Option<usize>) -> Vec<(UnixMs, Event)> {
    let plan = a_plan();
    let planned: Vec<PlannedStep> = plan.node_steps.iter().flat_map(|node_step| node_step.steps.clone()).collect();
    let mut events = vec![
        (
            BEGAN,
            Event::RunStarted {
                kind: RunKind::Upgrade,
                run: "golden".into(),
                cluster: "fixture".into(),
                policy: policy(),
                version: "1".into(),
            },
        ),
        (BEGAN, Event::DriverTookOver { driver: "anna@desk, process 7".to_owned(), id: None }),
        (
            BEGAN,
            Event::DowntimeAgreed {
                allowed_s: plan.downtime_allowed_s(&policy()),
                margin_percent: policy().downtime_margin_percent,
                by: "anna@desk".to_owned(),
            },
        ),
        (BEGAN, Event::PlanAdopted { plan, why: "first plan".to_owned() }),
    ];
    let (count, mut now) = (steps.unwrap_or(planned.len()), BEGAN);
    for PlannedStep { id, step, estimate_s, .. } in planned.iter().take(count).cloned() {
        let (command, undo) = (step.kind().command(&snapshot()), step.undone_later_by());
        events.push((now, Event::StepStarted { id: id.clone(), step: step.clone(), attempt: 1, command, undo }));
        now = now.plus_s(estimate_s);
        events.push((now, Event::StepEnded { id, step, outcome: StepOutcome::Done }));
    }
    match steps {
        // The last step is still in progress.
        Some(_) => drop(events.pop()),
        None => events.push((now, Event::RunEnded { outcome: RunOutcome::Completed })),
    }
    events
}

#[test]
fn the_page_of_a_plan() {
    let (plan, snapshot, policy) = (a_plan(), snapshot(), policy());
    let about = report::report(&plan, &snapshot, &policy, &ongoing());
    expect("plan", &super::plan::with_report(&plan, &about, &snapshot, &policy, Detail::Commands));
}

#[test]
fn the_page_of_a_preflight() {
    let troubled = Fixture::cluster(3).vm(101, "pve1", 24).node("pve2", |node| node.online = Known(false)).snapshot();
    expect(
        "preflight",
        &super::preflight::findings(&checks::run_all(&troubled, &Policy::default(), checks::Asked::BeforeARun)),
    );
}

fn standing() -> Standing {
    let (since, renewed) = (BEGAN, BEGAN.plus_s(100));
    let works = Works { holder: "anna@desk, process 7".to_owned(), since, renewed, stopped: None };
    Standing { works: Some(works), last_sign: None, now: BEGAN.plus_s(112) }
}

#[test]
fn who_works_on_a_run_is_always_told() {
    let lines = |standing: Standing| standing.lines().join("\n");
    let working = lines(standing());
    assert!(working.contains("anna@desk, process 7 works on it since") && working.contains("12 s ago"), "{working}");
    let Standing { works: Some(works), now, .. } = standing() else { unreachable!() };
    let stopped = Standing { works: Some(Works { stopped: Some(7), ..works }), last_sign: None, now };
    assert!(stopped.json()["stopped"] == true && lines(stopped).contains("`kill -CONT 7`"));
    assert!(lines(Standing { now: BEGAN.plus_s(161), ..standing() }).contains("it may hang"));
    let gone = Standing { works: None, last_sign: Some(("anna@desk, process 7".to_owned(), BEGAN)), now };
    assert!(lines(gone).contains("nobody works on it; anna@desk, process 7 was the last"));
}

#[test]
fn the_page_of_a_run_in_the_middle() {
    expect("status", &super::status::status(&run(Some(8)), &standing()));
}

#[test]
fn the_page_of_a_run_that_is_over() {
    expect("report", &super::report::report(&run(None)));
}
