//! What was fine when a run began is checked again before each node and after the last, with PVE's checker; and that is
//! run no more often.

#![allow(clippy::disallowed_methods, reason = "a journal of its own for each run")]

#[allow(dead_code, reason = "each program of tests uses its part of what they share")]
use crate::common;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use quorate_core::checks::Severity;
use quorate_core::ids::{DriverId, NodeName, RunId, UnixMs};
use quorate_core::policy::Waiver;
use quorate_core::run::{Event, PauseCause, Request, RunOutcome};
use quorate_core::snapshot::Snapshot;
use quorate_core::steps::Step;
use quorate_engine::{Beginning, Driver, Ended, Lists, Watcher, WhenPaused, new_run_id, prepare};
use quorate_journal::{Holder, Journal, Mode};
use quorate_pve::ports::{Bound, PortFuture, Ports, Shell, ShellError, ShellOutput};
use quorate_trials::ports::SimPorts;
use quorate_world::faults::{Fault, FaultKind};
use quorate_world::node::Service;

/// Counts on which nodes PVE's checker is run.
struct Counting {
    inner: Arc<dyn Shell>,
    checked: Arc<Mutex<Vec<String>>>,
}

impl Shell for Counting {
    fn run_bounded<'a>(
        &'a self,
        node: &'a NodeName,
        argv: &'a [String],
        deadline: Duration,
        bound: Bound,
    ) -> PortFuture<'a, Result<ShellOutput, ShellError>> {
        if argv.iter().any(|word| word == "pve8to9") {
            self.checked.lock().unwrap().push(node.to_string());
        }
        self.inner.run_bounded(node, argv, deadline, bound)
    }
}

#[derive(Default)]
struct Listens(Vec<Event>);

impl Watcher for Listens {
    fn event(&mut self, _: u64, _: UnixMs, event: &Event) {
        self.0.push(event.clone());
    }
    fn waiting(&mut self, _: UnixMs, _: &[String]) {}
}

/// A run of the demo before it begins.
struct Ready {
    nodes: Vec<NodeName>,
    beginning: Beginning,
    seen: Snapshot,
}

impl Ready {
    /// The nodes in the order of the plan.
    fn order(&self) -> impl DoubleEndedIterator<Item = &NodeName> {
        self.beginning.plan.node_steps.iter().filter_map(|node_step| node_step.node.as_ref())
    }
}

async fn ready(ports: &Ports, name: &str) -> Ready {
    let (policy, run) = (common::policy(), new_run_id(ports.clock.now(), name));
    let nodes: Vec<NodeName> = common::demo().nodes.keys().cloned().collect();
    let prepared = prepare(ports, nodes.clone(), &policy, &run, Lists::Refresh).await;
    let (plan, _) = prepared.plan.expect("the demo has a plan");
    let beginning = Beginning { run, cluster: "demo".to_owned(), policy, plan };
    Ready { nodes, beginning, seen: prepared.snapshot }
}

/// Drives it to its end or its first pause.
async fn driven(ready: Ready, ports: &Ports, journal: &Journal, watcher: &mut dyn Watcher) -> Ended {
    let Ready { nodes, beginning, seen } = ready;
    let holder = Holder::this_process(beginning.run.as_str(), DriverId::drawn(1));
    let mut driver = Driver::begin(ports.clone(), journal, &holder, beginning, watcher)
        .unwrap()
        .known_nodes(nodes)
        .having_seen(seen)
        .when_paused(WhenPaused::Leave);
    driver.drive().await.unwrap()
}

/// Resumes the run with these requests, and drives to its end or the next pause.
async fn goes_on(ports: &Ports, journal: &Journal, run: &RunId, words: Vec<Request>) -> (Ended, Vec<Event>) {
    let mut watcher = Listens::default();
    let holder = Holder::this_process("again", DriverId::drawn(1));
    let mut driver = Driver::take_up(ports.clone(), journal, &holder, run.clone(), &mut watcher)
        .unwrap()
        .known_nodes(["pve1", "pve2", "pve3"].map(NodeName::from).to_vec())
        .when_paused(WhenPaused::Leave);
    for word in words {
        driver.say(word, "ben").unwrap();
    }
    let ended = driver.drive().await.unwrap();
    drop(driver);
    (ended, watcher.0)
}

fn found(ended: &Ended) -> Vec<String> {
    match ended {
        Ended::Paused(pause) if pause.cause() == PauseCause::Findings => pause.lines(),
        other => panic!("it did not pause over a finding: {other:?}"),
    }
}

#[test]
fn a_new_finding_pauses_the_run_before_the_next_node_and_a_waiver_lets_it_continue() {
    common::block_on(async {
        let mut world = common::demo();
        // The first node is done after some nine minutes.
        world.inject(Fault { at_s: 300, kind: FaultKind::DiskFull { node: "pve1".into(), free_bytes: 1 << 30 } });
        let sim = SimPorts::new(Arc::new(Mutex::new(world)));
        let plain = sim.ports();
        let checked = Arc::new(Mutex::new(Vec::new()));
        let shell = Arc::new(Counting { inner: plain.shell.clone(), checked: checked.clone() });
        let ports = Ports { shell, ..plain };
        let ready = ready(&ports, "each").await;
        let (run, nodes) = (ready.beginning.run.clone(), ready.nodes.clone());
        let order: Vec<String> = ready.order().map(ToString::to_string).collect();
        let file = common::JournalFile::new();
        let journal = Journal::open(&file.0, Mode::Drive).unwrap();
        let mut watcher = Listens::default();
        let ended = driven(ready, &ports, &journal, &mut watcher).await;

        let why = found(&ended).join("\n");
        assert!(why.contains(&format!("{} is not drained", order[1])), "{why}");
        // Once on every node before the run, then on the node that is done and on the next one.
        let mut expected: Vec<String> = nodes.iter().map(ToString::to_string).collect();
        let mut between = order[..2].to_vec();
        between.sort();
        let mut counted = checked.lock().unwrap().clone();
        counted[..3].sort();
        counted[3..].sort();
        expected.extend(between);
        assert_eq!(counted, expected);
        assert!(why.contains("pve1: / on pve1 has 1.0 GiB free"), "{why}");
        assert!(!why.contains("--waive"), "what is never waived is not offered: {why}");
        let moved_from_the_next = |events: &[Event]| {
            events.iter().any(|event| {
                matches!(event, Event::StepStarted { id, .. } if id.as_str().starts_with(&format!("{}.migrate", order[1])))
            })
        };
        assert!(!moved_from_the_next(&watcher.0), "the next node was not drained");

        // The disk is fixed; a user has started ProxLB meanwhile. A resume alone looks again and stops again.
        {
            let mut world = sim.world();
            let node = world.nodes.get_mut(&NodeName::from("pve1")).unwrap();
            node.root_free_bytes = 30 << 30;
            let service = Service {
                active_state: "active".into(),
                sub_state: "running".into(),
                unit_state: "enabled".into(),
                description: "ProxLB".into(),
            };
            node.services.insert("proxlb".into(), service);
        }
        let (ended, _) = goes_on(&ports, &journal, &run, vec![Request::Resume]).await;
        let why = found(&ended).join("\n");
        assert!(why.contains("proxlb is running on pve1") && !why.contains("GiB free"), "{why}");
        assert!(why.contains("quorate resume --waive other-movers:pve1=REASON"), "{why}");

        let waiver = Waiver::parse("other-movers:pve1=it ignores tagged guests").unwrap();
        let words = vec![Request::Waive { waiver: waiver.clone(), findings: Vec::new() }, Request::Resume];
        let (ended, events) = goes_on(&ports, &journal, &run, words).await;
        assert!(matches!(ended, Ended::Over(RunOutcome::Completed)), "{ended:?}");
        let waived =
            |event: &Event| matches!(event, Event::Waived { waiver: given, by, .. } if *given == waiver && by == "ben");
        assert!(events.iter().any(waived), "the reason is in the journal");
    });
}

/// Fills the disk of a node when the proof that it is back has ended.
struct FillsTheDiskOf(NodeName, SimPorts, Vec<Event>);

impl Watcher for FillsTheDiskOf {
    fn event(&mut self, _: u64, _: UnixMs, event: &Event) {
        let Self(node, sim, seen) = self;
        if matches!(event, Event::StepEnded { step: Step::WaitBack(back), .. } if back.node == *node) {
            sim.world().nodes.get_mut(node).unwrap().root_free_bytes = 1 << 30;
        }
        seen.push(event.clone());
    }
    fn waiting(&mut self, _: UnixMs, _: &[String]) {}
}

#[test]
fn after_the_last_node_the_checks_run_once_more_and_a_finding_keeps_the_run_from_being_complete() {
    common::block_on(async {
        let sim = SimPorts::new(Arc::new(Mutex::new(common::demo())));
        let plain = sim.ports();
        let checked = Arc::new(Mutex::new(Vec::new()));
        let shell = Arc::new(Counting { inner: plain.shell.clone(), checked: checked.clone() });
        let ports = Ports { shell, ..plain };
        let ready = ready(&ports, "last").await;
        let (run, last) = (ready.beginning.run.clone(), ready.order().last().unwrap().clone());
        let file = common::JournalFile::new();
        let journal = Journal::open(&file.0, Mode::Drive).unwrap();
        let mut watcher = FillsTheDiskOf(last.clone(), sim.clone(), Vec::new());
        let ended = driven(ready, &ports, &journal, &mut watcher).await;
        let full = format!("{last}: / on {last} has 1.0 GiB free");
        let why = found(&ended).join("\n");
        assert!(why.contains("every node is upgraded, and this was found at the end") && why.contains(&full), "{why}");
        // Three before the run, two before each of the second and the third node, and all of them at the end.
        assert_eq!(checked.lock().unwrap().len(), 3 + 2 + 2 + 3);
        assert!(matches!(watcher.2.last(), Some(Event::Paused { .. })), "{:?}", watcher.2.last());

        let (ended, _) = goes_on(&ports, &journal, &run, vec![Request::Resume]).await;
        assert!(found(&ended).join("\n").contains(&full), "it has not been fixed");
        sim.world().nodes.get_mut(&last).unwrap().root_free_bytes = 30 << 30;
        let (ended, events) = goes_on(&ports, &journal, &run, vec![Request::Resume]).await;
        assert!(matches!(ended, Ended::Over(RunOutcome::Completed)), "{ended:?}");
        let at_the_end = |event: &Event| matches!(event, Event::FinalCheck { node, findings } if *node == last && !findings.iter().any(|finding| finding.severity == Severity::Blocking));
        assert!(events.iter().any(at_the_end), "{events:?}");
    });
}

#[test]
fn a_run_aborted_over_a_finding_of_the_final_check_leaves_no_node_undone() {
    common::block_on(async {
        let sim = SimPorts::new(Arc::new(Mutex::new(common::demo())));
        let ports = sim.ports();
        let ready = ready(&ports, "word").await;
        let (run, last) = (ready.beginning.run.clone(), ready.order().last().unwrap().clone());
        let file = common::JournalFile::new();
        let journal = Journal::open(&file.0, Mode::Drive).unwrap();
        let mut watcher = FillsTheDiskOf(last, sim.clone(), Vec::new());
        found(&driven(ready, &ports, &journal, &mut watcher).await);
        let (ended, _) = goes_on(&ports, &journal, &run, vec![Request::Abort]).await;
        assert!(matches!(ended, Ended::Over(RunOutcome::Completed)), "{ended:?}");
    });
}

/// A node comes back from its boot with another host key, of which another one knows nothing.
struct ChangesTheKeyOf {
    node: NodeName,
    other: NodeName,
    sim: SimPorts,
}

impl Watcher for ChangesTheKeyOf {
    fn event(&mut self, _: u64, _: UnixMs, event: &Event) {
        let Self { node, other, sim } = self;
        if matches!(event, Event::StepStarted { step: Step::Reboot(reboot), .. } if reboot.node == *node) {
            let mut world = sim.world();
            let other = world.nodes.get_mut(other).unwrap();
            other.surroundings.login_fails.insert(node.clone(), "Host key verification failed.".to_owned());
        }
    }
    fn waiting(&mut self, _: UnixMs, _: &[String]) {}
}

#[test]
fn a_way_that_a_boot_has_closed_is_found_before_the_next_node_is_drained() {
    common::block_on(async {
        let sim = SimPorts::new(Arc::new(Mutex::new(common::demo())));
        let ports = sim.ports();
        let ready = ready(&ports, "ways").await;
        // The last one, which has not booted and is not the next one.
        let order: Vec<NodeName> = ready.order().cloned().collect();
        let (first, last) = (order[0].clone(), order[2].clone());
        let file = common::JournalFile::new();
        let journal = Journal::open(&file.0, Mode::Drive).unwrap();
        let mut watcher = ChangesTheKeyOf { node: first.clone(), other: last.clone(), sim: sim.clone() };
        let ended = driven(ready, &ports, &journal, &mut watcher).await;
        let why = found(&ended).join("\n");
        assert!(why.contains(&format!("{} is not drained", order[1])), "{why}");
        assert!(
            why.contains(&format!("{last} cannot log in at {first}")) && why.contains("Host key verification failed"),
            "{why}"
        );
        assert!(why.contains("--waive migration-ways"), "{why}");
    });
}
