//! Frames of real runs at the moments at which one looks, in two sizes; and every frame at every size.
//!
//! `INSTA_UPDATE=always cargo nextest run -p quorate live` writes them again; then read the diff.

use std::collections::BTreeSet;

use quorate_core::ids::{GuestId, NodeName, UnixMs};
use quorate_core::observed::Observed::Known;
use quorate_core::progress::{Glance, Progress, Transfer, Votes};
use quorate_core::run::{Event, Pause, RunOutcome, RunState, Stuck};
use quorate_core::snapshot::{PendingPackage, Snapshot};
use quorate_core::view::View;
use quorate_journal::Entry;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use unicode_width::UnicodeWidthStr;

use super::facts::Facts;
use super::frame::{Frame, Over};
use super::picture::Picture;
use crate::render::driver::{Standing, Works};
use crate::render::golden::{self, BEGAN};

/// A run at one moment.
pub(crate) struct Moment {
    pub(crate) events: Vec<(UnixMs, Event)>,
    pub(crate) progress: Option<Progress>,
    pub(crate) standing: Standing,
}

impl Moment {
    pub(crate) fn picture(&self) -> Picture {
        let view = View::of(self.events.iter().map(|(at, event)| (*at, event)));
        let entry = |(seq, (at, event)): (u64, &(UnixMs, Event))| Entry {
            seq,
            run: "golden".into(),
            at: *at,
            event: event.clone(),
        };
        let entries: Vec<Entry> = (1..).zip(&self.events).map(entry).collect();
        let progress = self.progress.as_ref();
        Picture::of(&Facts { view: &view, entries: &entries, progress, standing: &self.standing, starts: false })
    }

    /// Until the first step with this verb is under way, and so many seconds more.
    fn until(verb: &str, more_s: u64) -> Self {
        let steps = golden::a_plan();
        let index = steps.steps().position(|(_, planned)| planned.step.kind().verb() == verb);
        let events = golden::events(Some(index.expect("the plan has such a step") + 1));
        let now = events.last().expect("a run has events").0.plus_s(more_s);
        let state = RunState::of(events.iter().map(|(at, event)| (*at, event)));
        let before = Glance::of(&offered(), &RunState::default(), None);
        let seen = Snapshot { taken: now, ..offered() };
        let glance = Glance::of(&seen, &state, Some(&before));
        let progress = Progress { at: now, glance: Some(glance), ..Progress::default() };
        Self { events, progress: Some(progress), standing: works(now) }
    }

    fn told(mut self, change: impl FnOnce(&mut Progress)) -> Self {
        change(self.progress.as_mut().expect("it has one"));
        self
    }

    fn then(mut self, event: Event) -> Self {
        let at = self.progress.as_ref().map_or(BEGAN, |progress| progress.at);
        self.events.push((at, event));
        self
    }
}

fn works(now: UnixMs) -> Standing {
    let works = Works { holder: "anna@desk, process 7".to_owned(), since: BEGAN, renewed: now, stopped: None };
    Standing { works: Some(works), last_sign: None, now }
}

/// The cluster with a new PVE on offer.
fn offered() -> Snapshot {
    let mut snapshot = golden::snapshot();
    snapshot.taken = BEGAN;
    for node in snapshot.nodes.values_mut() {
        let from = node.pve_version.known().cloned();
        if let Some(packages) = node.packages.known_mut() {
            packages.pending.push(PendingPackage {
                name: "pve-manager".into(),
                from,
                to: "9.9.4".into(),
                origin: "Proxmox".into(),
            });
        }
    }
    snapshot
}

/// The same while a node boots.
fn without(name: &str, state: &RunState) -> Glance {
    let node = NodeName::new(name);
    let mut snapshot = offered();
    snapshot.taken = golden::BEGAN.plus_s(300);
    let before = Glance::of(&snapshot, state, None);
    snapshot.nodes.get_mut(&node).expect("it is there").online = Known(false);
    for view in snapshot.quorum.values_mut().filter_map(|view| view.known_mut()) {
        view.members.remove(&node);
        view.total_votes -= 1;
    }
    if let Some(ceph) = snapshot.ceph.known_mut().and_then(Option::as_mut) {
        ceph.osds.values_mut().filter(|osd| osd.node == node).for_each(|osd| osd.up = false);
        ceph.node_flags.insert(name.to_owned(), BTreeSet::from(["noout".to_owned()]));
    }
    if let Some(ha) = snapshot.ha.known_mut() {
        ha.maintenance_requested.insert(node);
    }
    Glance::of(&snapshot, state, Some(&before))
}

fn moving() -> Moment {
    Moment::until("migrate", 8).told(|progress| {
        let transfer = Transfer { done: 11 << 30, total: 16 << 30, rate: Some(112 << 20) };
        for guest in [101, 102, 103] {
            progress.moving.insert(GuestId::vm(guest), transfer);
        }
        progress.waiting = vec!["vm:102 網頁伺服器 is still on pve2".to_owned()];
    })
}

fn rebooting() -> Moment {
    let moment = Moment::until("reboot", 72);
    let view = View::of(moment.events.iter().map(|(at, event)| (*at, event)));
    let node = view.state.current_node.clone().expect("one is in turn");
    let glance = without(node.as_str(), &view.state);
    moment.told(|progress| {
        progress.glance = Some(glance);
        progress.waiting = vec![format!("{node} answers again")];
    })
}

fn container_down() -> Moment {
    let plan = golden::a_plan();
    let index = plan.steps().position(|(_, planned)| planned.step.restarts().is_some()).expect("the container moves");
    let verb = Moment::until("migrate", 0);
    let events = golden::events(Some(index + 1));
    let now = events.last().expect("a run has events").0.plus_s(8);
    Moment { events, standing: works(now), ..verb }.told(|progress| {
        progress.at = now;
        if let Some(glance) = &mut progress.glance {
            glance.taken = now;
            glance.names.insert(GuestId::ct(201), "wiki".to_owned());
        }
    })
}

fn paused() -> Moment {
    let moment = rebooting();
    let step =
        golden::a_plan().steps().find(|(_, of)| of.step.kind().verb() == "reboot").expect("there").1.step.clone();
    let how = Stuck::Deadline { deadline_s: 1200, waiting: Vec::new() };
    moment.then(Event::Paused { pause: Pause::StepStuck { step, how, answer: Some("exit status 0".to_owned()) } })
}

fn dead() -> Moment {
    let moment = rebooting();
    let last_sign = Some(("anna@desk, process 7".to_owned(), moment.standing.now));
    Moment { standing: Standing { works: None, last_sign, now: moment.standing.now.plus_s(600) }, ..moment }
}

fn over(outcome: RunOutcome) -> Moment {
    let events = match outcome {
        RunOutcome::Completed => golden::events(None),
        outcome => {
            rebooting().then(Event::AbortBegun { by: "anna@desk".to_owned() }).then(Event::RunEnded { outcome }).events
        }
    };
    let now = events.last().expect("a run has events").0;
    Moment { events, standing: Standing { works: None, last_sign: None, now }, ..rebooting() }
}

fn blind() -> Moment {
    Moment::until("upgrade-packages", 30).told(|progress| {
        progress.glance = Some(Glance { taken: progress.at, ..Glance::default() });
        progress.packages = Some("Setting up pve-manager (9.9.4) ...".to_owned());
    })
}

/// Text of a frame, as a terminal of this size has it.
pub(crate) fn painted(picture: &Picture, over: &Over, (width, height): (u16, u16)) -> String {
    let log: Vec<String> = picture.events.iter().map(|(_, words, _)| words.clone()).collect();
    let frame = Frame { picture, over, said: None, log: &log, coloured: true };
    let area = Rect::new(0, 0, width, height);
    let mut buffer = Buffer::empty(area);
    frame.paint(area, &mut buffer);
    let line = |y: u16| {
        // The cell after a wide letter is its second half.
        let mut half = 0;
        let cells = (0..width).map(|x| buffer[(x, y)].symbol()).filter(|symbol| {
            let is_half = half > 0;
            half = if is_half { half - 1 } else { symbol.width().saturating_sub(1) };
            !is_half
        });
        cells.collect::<String>().trim_end().to_owned()
    };
    (0..height).map(line).map(|line| line + "\n").collect()
}

fn moments() -> Vec<(&'static str, Moment, Over)> {
    vec![
        ("moving", moving(), Over::Keys),
        ("rebooting", rebooting(), Over::Keys),
        ("container-down", container_down(), Over::Keys),
        ("menu", rebooting(), Over::Menu),
        ("paused", paused(), Over::Keys),
        ("dead", dead(), Over::Keys),
        ("completed", over(RunOutcome::Completed), Over::Keys),
        ("aborted", over(RunOutcome::Aborted), Over::Keys),
        ("blind", blind(), Over::Keys),
        ("untold", Moment { progress: None, ..moving() }, Over::Abort),
        ("help", moving(), Over::Help),
        ("log", over(RunOutcome::Completed), Over::Log(3)),
    ]
}

#[test]
fn a_frame_says_all_that_matters_in_both_sizes() {
    for (name, moment, over) in moments() {
        for size in [(80, 24), (120, 40)] {
            insta::with_settings!({ prepend_module_to_snapshot => false, omit_expression => true }, {
                insta::assert_snapshot!(format!("{name}-{}", size.0), painted(&moment.picture(), &over, size));
            });
        }
    }
}

#[test]
fn a_frame_of_any_size_is_painted_and_its_last_line_says_what_can_be_done() {
    for (name, moment, over) in moments() {
        let picture = moment.picture();
        for width in (1..=200).step_by(7).chain([79, 80, 81]) {
            for height in (1..=60).step_by(5).chain([2, 3, 4, 5, 23, 24, 25]) {
                let text = painted(&picture, &over, (width, height));
                let last = text.lines().last().unwrap_or_default().trim_start();
                let is_asking = matches!(over, Over::Keys) && width > 8 && height > 1;
                assert!(
                    !is_asking || last.starts_with("p ") || last.starts_with("r "),
                    "{name} {width}×{height}: {last:?}"
                );
            }
        }
    }
}

#[test]
fn what_the_run_brings_about_is_expected_and_what_it_does_not_is_not() {
    let text = painted(&rebooting().picture(), &Over::Keys, (120, 40));
    for words in ["votes 2/3 (2 needed), pve", "away (expected)", "down (expected)", "noout pve"] {
        assert!(text.contains(words), "{words} is not in\n{text}");
    }
    // The same readings in a run that reboots nothing.
    let glance = rebooting().progress.and_then(|progress| progress.glance);
    let text = painted(&moving().told(|progress| progress.glance = glance).picture(), &Over::Keys, (120, 40));
    assert!(!text.contains("expected)") && text.contains("not by this run"), "{text}");
}

#[test]
fn without_quorum_that_is_what_the_votes_say_and_an_old_look_says_how_old_it_is() {
    let moment = |at_s: u64, quorate: bool| {
        rebooting().told(|progress| {
            let glance = progress.glance.as_mut().expect("it was seen");
            glance.votes = glance.votes.map(|votes| Votes { quorate, ..votes });
            progress.at = glance.taken.plus_s(at_s);
        })
    };
    let text = |at_s, quorate| painted(&moment(at_s, quorate).picture(), &Over::Keys, (120, 40));
    assert!(text(30, false).contains("votes 2/3 (2 needed): NO QUORUM"), "{}", text(30, false));
    assert!(!text(30, true).contains("NO QUORUM") && !text(30, true).contains("\n seen "));
    assert!(text(190, true).contains(" seen 3:10 ago"), "{}", text(190, true));
}

#[test]
fn a_subject_that_is_longer_than_a_row_goes_on_in_the_next() {
    let moment = rebooting().told(|progress| {
        let ceph = progress.glance.as_mut().and_then(|glance| glance.ceph.as_mut()).expect("it has Ceph");
        ceph.unclean_pgs = Some(75);
    });
    let text = painted(&moment.picture(), &Over::Keys, (80, 24));
    let lines = " Ceph: 1 OSD of pve2 down (expected), noout pve2 (expected),\n   75 of ";
    assert!(text.contains(lines), "{text}");
}

#[test]
fn what_a_name_hides_is_seen_and_does_nothing() {
    let hostile = moving().told(|progress| progress.waiting = vec!["web\x1b[2J\u{202e}\n is still there".to_owned()]);
    let text = painted(&hostile.picture(), &Over::Keys, (80, 24));
    assert!(text.contains(" waits   web\\x1b[2J\\u{202e}\\n is still there\n"), "{text}");
}

#[test]
fn what_is_unknown_is_never_shown_as_well() {
    let says = painted(&blind().picture(), &Over::Keys, (120, 40));
    for words in ["votes: unknown", "links: unknown", "Ceph: unknown", "HA: unknown"] {
        assert!(says.contains(words), "{words} is not in\n{says}");
    }
    assert!(!says.contains("idle") && !says.contains("ok,"), "{says}");
}

#[test]
fn a_guest_that_lies_longer_than_agreed_is_told_so_and_time_counts_to_now() {
    let down = |more_s: u64| {
        let moment = container_down();
        let at = moment.standing.now.plus_s(more_s);
        moment.told(|progress| progress.at = at).picture().down
    };
    assert_eq!(down(0)[0].for_s + 100, down(100)[0].for_s);
    assert!(!down(0)[0].is_too_long() && down(10_000)[0].is_too_long());
}

#[test]
fn the_clock_of_this_machine_counts_unless_the_runs_is_another() {
    let moment = |wall: UnixMs| {
        let moment = moving();
        let now = moment.standing.now;
        let standing = works(now.plus_s(50));
        Moment { standing, ..moment.told(|progress| progress.wall = wall) }
    };
    let at = moving().standing.now;
    assert_eq!(moment(at).picture().now, at.plus_s(50), "time goes on between two rows");
    assert_eq!(moment(UnixMs(0)).picture().now, at, "a lab's time is only known where it was told");
}

#[test]
fn a_summary_is_one_line_and_the_json_has_kind_and_version() {
    let picture = container_down().picture();
    let summary = picture.summary();
    assert!(summary.contains("node 2/3") && summary.contains("DOWN: ct:201 wiki  0:08 of"), "{summary}");
    let json = picture.json();
    assert_eq!((&json["kind"], &json["version"], &json["node"]), (&"progress".into(), &1.into(), &2.into()));
    assert_eq!(json["down"][0]["for-s"], 8);
}

#[test]
fn the_guide_names_every_field_of_the_json() {
    let page = include_str!("../../../../docs/guide/watch.md");
    let json = container_down().picture().json();
    let inner = ["nodes", "moving", "down"].map(|list| json[list][0].clone());
    for (field, _) in [json].iter().chain(&inner).filter_map(|value| value.as_object()).flatten() {
        assert!(page.contains(&format!("`{field}`")), "{field}");
    }
}
