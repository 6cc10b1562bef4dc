//! Whatever stands in a text from outside, no renderer panics, and what it makes is clean and of bounded length.

use std::collections::BTreeMap;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use quorate_core::checks::{self, Finding};
use quorate_core::ids::{GuestId, UnixMs};
use quorate_core::observed::Observed::Known;
use quorate_core::plan::Plan;
use quorate_core::planner::report::{self, Report};
use quorate_core::progress::{Glance, Progress};
use quorate_core::recovery::{Diagnosis, NodeReport, QuorumViews, RunFacts, diagnose};
use quorate_core::run::{Event, RunState};
use quorate_core::snapshot::{CheckerLevel, CheckerLine, CheckerReport, Snapshot};
use quorate_core::view::View;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::driver::{Standing, Works};
use super::golden;
use super::page::{Page, is_invisible};
use super::plan::Detail;
use super::table::Table;
use crate::live::frame::Over;
use crate::live::tests::{Moment, painted};

/// What all pages are made of.
struct Told {
    snapshot: Snapshot,
    findings: Vec<Finding>,
    plan: Plan,
    report: Report,
    events: Vec<(UnixMs, Event)>,
    diagnosis: Diagnosis,
    words: Vec<String>,
}

impl Told {
    /// Some process works on the run, or some did.
    fn standing(&self) -> Standing {
        let holder =
            |words: &String| Works { holder: words.clone(), since: UnixMs(1), renewed: UnixMs(2), stopped: Some(3) };
        let last_sign = self.words.last().map(|words| (words.clone(), UnixMs(2)));
        Standing { works: self.words.first().map(holder), last_sign, now: UnixMs(4) }
    }

    fn view(&self) -> View {
        View::of(self.events.iter().map(|(at, event)| (*at, event)))
    }
}

type Renderer = fn(&Told) -> String;

/// Every renderer, by the name of its file.
const RENDERERS: [(&str, Renderer); 20] = [
    ("begin", |told| {
        let (plan, report, snapshot, policy) = (&told.plan, &told.report, &told.snapshot, &golden::policy());
        let about = super::begin::About { plan, report, snapshot, policy, findings: &told.findings, now: UnixMs(0) };
        let pages = [super::begin::page(&about), super::begin::packages(plan), super::begin::lists(snapshot, None)];
        pages.map(|page| page.as_str().to_owned()).concat()
    }),
    ("checker", |told| super::checker::matrix(&told.snapshot).as_str().to_owned()),
    ("guest_outcomes", |told| super::guest_outcomes::guests(&told.snapshot, &golden::policy()).as_str().to_owned()),
    ("html", |told| super::html::preflight_page(&told.snapshot, &golden::policy(), &told.findings)),
    ("inspect", |told| super::inspect::snapshot(&told.snapshot).as_str().to_owned()),
    ("log", |told| {
        let mut view = View::default();
        let each = told.events.iter().map(|(at, event)| {
            view.apply(*at, event);
            super::log::event(1, *at, event, &view)
        });
        each.map(|page| page.as_str().to_owned()).collect()
    }),
    ("live", |told| {
        let (events, standing, words) = (told.events.clone(), told.standing(), told.words.clone());
        let mut glance = Glance::of(&told.snapshot, &RunState::default(), None);
        glance.names.extend(words.first().map(|name| (GuestId::vm(101), name.clone())));
        let progress =
            Some(Progress { waiting: words, at: UnixMs(u64::MAX), glance: Some(glance), ..Progress::default() });
        let moment = Moment { events, progress, standing };
        painted(&moment.picture(), &Over::Menu, (120, 40))
    }),
    ("names", |told| {
        let names: BTreeMap<GuestId, String> =
            told.words.iter().cloned().map(|name| (GuestId::vm(101), name)).collect();
        let mut page = Page::default();
        page.line(super::names::Names::of(&names).in_text(&format!("vm:101 {}", told.words.concat())));
        page.as_str().to_owned()
    }),
    ("page", |told| {
        let mut page = Page::default();
        told.words.iter().for_each(|words| page.line(words));
        page.as_str().to_owned()
    }),
    ("driver", |told| {
        let mut page = Page::default();
        told.standing().lines().iter().for_each(|line| page.line(line));
        page.as_str().to_owned()
    }),
    ("plan", |told| {
        let (plan, snapshot) = (&told.plan, &told.snapshot);
        super::plan::plan(plan, snapshot, &golden::policy(), Detail::Commands).as_str().to_owned()
    }),
    ("plan_report", |told| {
        let (plan, report, snapshot) = (&told.plan, &told.report, &told.snapshot);
        super::plan::with_report(plan, report, snapshot, &golden::policy(), Detail::Steps).as_str().to_owned()
    }),
    ("preflight", |told| super::preflight::findings(&told.findings).as_str().to_owned()),
    ("recover", |told| super::recover::page(&told.diagnosis).as_str().to_owned()),
    ("report", |told| super::report::report(&told.view()).as_str().to_owned()),
    ("status", |told| super::status::status(&told.view(), &told.standing()).as_str().to_owned()),
    ("stopped", |told| super::stopped::stopped(&told.view()).as_str().to_owned()),
    ("table", |told| {
        let mut table = Table::new(&told.words.iter().map(String::as_str).collect::<Vec<_>>());
        (0..3).for_each(|_| table.row(told.words.iter().rev().cloned()));
        let mut page = Page::default();
        table.write(&mut page, "  ");
        page.as_str().to_owned()
    }),
    ("units", |told| {
        let number = told.words.iter().map(|words| words.len() as u64).fold(u64::MAX, u64::wrapping_mul);
        let (bytes, duration) = (super::units::bytes(number), super::units::duration(number));
        format!("{bytes} {duration} {}", super::units::moment(UnixMs(number)))
    }),
    ("failure", |told| {
        crate::failure::Failure::usage(told.words.join("\n"), &told.words.concat()).page("quorate").as_str().to_owned()
    }),
];

/// Files here that make no page.
const NOT_RENDERERS: [&str; 3] = ["mod", "golden", "hostile"];

/// Readings with texts in all places, of a cluster where things are wrong.
fn told() -> Told {
    let report = |line: &str| {
        let line = CheckerLine { level: CheckerLevel::Warn, section: "X".to_owned(), text: line.to_owned() };
        Known(Some(CheckerReport { tool: "pve8to9".to_owned(), lines: vec![line], finished: true }))
    };
    let mut snapshot = golden::snapshot();
    for node in snapshot.nodes.values_mut() {
        node.host.checker = report("it says something");
    }
    let plan = golden::a_plan();
    let silent = || NodeReport::silent("cat /proc/uptime", "No route to host");
    let names = ["pve1", "pve2", "pve3"];
    let views = QuorumViews {
        taken: UnixMs(1_000_000),
        votes: Known(names.iter().map(|name| ((*name).into(), 1)).collect()),
        device_votes: Known(0),
        nodes: names.iter().map(|name| ((*name).into(), silent())).collect::<BTreeMap<_, _>>(),
    };
    let mut offline = snapshot.clone();
    offline.nodes.values_mut().for_each(|node| node.online = Known(false));
    Told {
        findings: checks::run_all(&offline, &golden::policy(), checks::Asked::BeforeARun),
        report: report::report(&plan, &snapshot, &golden::policy(), &golden::ongoing()),
        plan,
        events: golden::events(None),
        diagnosis: diagnose(&views, &RunFacts::default()),
        words: vec!["pve1".to_owned(), "64 GiB".to_owned()],
        snapshot,
    }
}

/// Shows every string in it, keys as well.
fn each_string(value: &mut Value, show: &mut impl FnMut(&mut String)) {
    match value {
        Value::String(text) => show(text),
        Value::Array(values) => values.iter_mut().for_each(|value| each_string(value, show)),
        Value::Object(map) => {
            for (mut key, mut value) in std::mem::take(map) {
                show(&mut key);
                each_string(&mut value, show);
                map.insert(key, value);
            }
        }
        _ => {}
    }
}

/// The same with other texts in some places, as far as any text may stand there.
fn changed<T: Serialize + DeserializeOwned>(value: T, changes: &[(Index, String)]) -> T {
    let mut json = serde_json::to_value(&value).expect("plain data");
    for (at, text) in changes {
        let mut other = json.clone();
        let mut count = 0;
        each_string(&mut other, &mut |_| count += 1);
        let (chosen, mut seen) = (at.index(count), 0);
        each_string(&mut other, &mut |here| {
            if seen == chosen {
                here.clone_from(text);
            }
            seen += 1;
        });
        if serde_json::from_value::<T>(other.clone()).is_ok() {
            json = other;
        }
    }
    serde_json::from_value(json).unwrap_or(value)
}

fn hostile() -> impl Strategy<Value = String> {
    let known = vec![
        String::new(),
        "x".repeat(65_536),
        "網".repeat(70_000),
        "e\u{301}\u{302}".repeat(30_000),
        "\n".repeat(3000),
        "\u{202e}\u{200b}\u{2066}".repeat(50),
        "\x1b[2J\r\x07\u{9b}31m".to_owned(),
        "</td><script>alert(1)</script>".to_owned(),
        "%s {} {0} \\ \"".to_owned(),
        "18446744073709551616".to_owned(),
    ];
    prop_oneof![select(known), any::<String>()]
}

/// No line for a terminal is longer; in a web page, each character may become an entity.
const MOST_CHARS: usize = 50_000;

fn is_safe(name: &str, text: &str) {
    let hidden = |c: &char| *c != '\n' && (c.is_control() || is_invisible(*c));
    assert_eq!(text.chars().find(hidden), None, "{name}");
    let most = if name == "html" { 8 * MOST_CHARS } else { MOST_CHARS };
    for line in text.lines() {
        assert!(line.chars().count() <= most, "{name}: {} characters in a line", line.chars().count());
    }
    assert!(text.lines().count() < 5000, "{name}: {} lines", text.lines().count());
    assert!(name != "html" || !text.contains("<script"), "{name}");
}

#[test]
fn no_renderer_is_left_out() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/render");
    let files = std::fs::read_dir(folder).unwrap().flatten().map(|entry| entry.path());
    let names =
        files.filter(|path| path.is_file()).map(|path| path.file_stem().unwrap().to_string_lossy().into_owned());
    let missing: Vec<String> = names
        .filter(|name| !NOT_RENDERERS.contains(&name.as_str()))
        .filter(|name| !RENDERERS.iter().any(|(renderer, _)| renderer == name))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn every_renderer_makes_something_of_plain_texts() {
    let told = told();
    for (name, render) in RENDERERS {
        let text = render(&told);
        is_safe(name, &text);
        assert!(!text.is_empty(), "{name}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn no_text_from_outside_makes_a_renderer_panic_or_flood(
        changes in vec((any::<Index>(), hostile()), 1..6),
        words in vec(hostile(), 0..4),
    ) {
        let plain = told();
        let told = Told {
            snapshot: changed(plain.snapshot, &changes),
            findings: changed(plain.findings, &changes),
            plan: changed(plain.plan, &changes),
            report: changed(plain.report, &changes),
            events: changed(plain.events, &changes),
            diagnosis: changed(plain.diagnosis, &changes),
            words,
        };
        for (name, render) in RENDERERS {
            is_safe(name, &render(&told));
        }
    }
}

#[test]
fn a_cell_of_a_mebibyte_and_a_hundred_thousand_rows_are_a_page_that_can_be_read() {
    let mut table = Table::new(&["guest", "name"]);
    (0..100_000).for_each(|row| table.row([row.to_string(), "x".repeat(if row == 7 { 1 << 20 } else { 3 })]));
    let mut page = Page::default();
    table.write(&mut page, "");
    assert!(page.as_str().contains("… (1048276 more characters)"));
    assert!(page.as_str().ends_with("and 80000 more (all with --json)\n"));
    assert!(page.as_str().lines().all(|line| line.chars().count() < 400));
}
