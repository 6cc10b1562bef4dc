//! With all rules no step does harm; without one of them there is a path to harm, and the docs show it.

use super::model::Shape;
use super::search::Search;
use crate::invariants::RuleId;

/// Three nodes, Ceph and HA: what most small clusters are.
const SMALL: Shape = Shape {
    name: "three nodes with Ceph and HA",
    votes: &[1, 1, 1],
    has_ceph: true,
    guests: &[(8, 0, true), (8, 1, true)],
    last_is_stopped: false,
    apart: true,
    ceph_major: false,
    may_split: false,
};

/// Large guests, one of them stopped at first.
const FULL: Shape = Shape {
    name: "three nodes without Ceph or HA, and guests of 40 GiB on nodes of 64",
    votes: &[1, 1, 1],
    has_ceph: false,
    guests: &[(40, 0, false), (40, 1, false), (8, 2, false)],
    last_is_stopped: true,
    apart: false,
    ceph_major: false,
    may_split: false,
};

/// One node has as many votes as the two others together.
const UNEVEN: Shape = Shape {
    name: "three nodes, one of them with three votes",
    votes: &[3, 1, 1],
    has_ceph: false,
    guests: &[(8, 1, false)],
    last_is_stopped: false,
    apart: false,
    ceph_major: false,
    may_split: false,
};

/// The same with HA.
const UNEVEN_HA: Shape =
    Shape { name: "three nodes, one of them with three votes, and HA", guests: &[(8, 1, true)], ..UNEVEN };

/// Room for two faults.
const FIVE: Shape = Shape {
    name: "five nodes with HA",
    votes: &[1, 1, 1, 1, 1],
    has_ceph: false,
    guests: &[(8, 0, true)],
    last_is_stopped: false,
    apart: false,
    ceph_major: false,
    may_split: false,
};

/// The network may split.
const SPLIT: Shape = Shape {
    name: "three nodes with HA, and a network that comes apart",
    has_ceph: false,
    guests: &[(8, 0, true)],
    apart: false,
    may_split: true,
    ..SMALL
};

/// A major release of Ceph comes with the packages.
const MAJOR: Shape = Shape {
    name: "three nodes, and a new major release of Ceph",
    ceph_major: true,
    guests: &[(8, 0, false)],
    apart: false,
    ..SMALL
};

/// A rule, and the cluster in which it is switched off.
struct Story {
    /// The rule that the story is about.
    rule: RuleId,
    /// A rule that covers the same harm here in another way, and is switched off as well.
    twin: Option<RuleId>,
    shape: &'static Shape,
    faults: u8,
    /// The harm that the rule prevents.
    harm: &'static str,
}

const fn story(rule: RuleId, shape: &'static Shape, faults: u8, harm: &'static str) -> Story {
    Story { rule, twin: None, shape, faults, harm }
}

const STORIES: &[Story] = &[
    story(RuleId::OneNodeOut, &SMALL, 1, "so is another node"),
    story(RuleId::QuorumMargin, &UNEVEN, 0, "no quorum"),
    story(RuleId::NoGuestOnANodeWeStop, &SMALL, 0, "goes down with"),
    story(RuleId::ForwardOnly, &SMALL, 0, "older QEMU"),
    story(RuleId::MemoryFits, &FULL, 0, "which has 64"),
    story(RuleId::RulesKept, &SMALL, 0, "meet on"),
    story(RuleId::CephRedundancy, &SMALL, 1, "guests on Ceph hang"),
    story(RuleId::CephOrder, &MAJOR, 0, "newer than a monitor"),
    story(RuleId::CorosyncOneAtATime, &FIVE, 1, "last link"),
    Story { twin: Some(RuleId::QuorumMargin), ..story(RuleId::FenceSafe, &UNEVEN_HA, 0, "will be fenced") },
    story(RuleId::VotesLoweredOnlyIfConfirmedOff, &SPLIT, 1, "and so are the others"),
];

/// Tests all rules against everything that can happen with up to this many faults.
fn no_step_does_harm(shapes: &[(&Shape, u8)]) {
    for (shape, faults) in shapes {
        let found = Search::new(shape, &[], *faults).run();
        println!("{}: {} states with up to {faults} faults", shape.name, found.states);
        assert!(found.story.is_none(), "{}: {:#?}", shape.name, found.story);
        // The node with three of five votes can never be taken out, and no node goes to another major release of Ceph.
        let ends = !shape.votes.contains(&3) && !shape.ceph_major;
        assert_eq!(found.done, ends, "{}: is every node done somewhere?", shape.name);
    }
}

#[test]
fn with_all_rules_no_step_does_harm_whatever_fails() {
    no_step_does_harm(&[(&SMALL, 1), (&UNEVEN, 2), (&UNEVEN_HA, 1), (&MAJOR, 0), (&SPLIT, 2)]);
}

#[test]
#[ignore = "a hundred thousand states: cargo test --release -p quorate-core --lib explorer -- --ignored"]
fn with_all_rules_no_step_does_harm_whatever_fails_twice() {
    no_step_does_harm(&[(&SMALL, 2), (&FULL, 1), (&UNEVEN_HA, 2), (&FIVE, 0), (&MAJOR, 1)]);
}

/// The story of one rule, as the docs show it.
fn told(story: &Story) -> String {
    let Story { rule, twin, shape, faults, harm } = story;
    let out: Vec<RuleId> = [Some(*rule), *twin].into_iter().flatten().collect();
    let found = Search::new(shape, &out, *faults).wanted(harm).run();
    let (steps, harm) = found.story.unwrap_or_else(|| panic!("{rule} taken out of {}: no path to harm", shape.name));
    let mut text = format!("{rule}, in {}\n", shape.name);
    if let Some(twin) = twin {
        text += &format!("    ({twin} says the same here, and is taken out as well)\n");
    }
    for (number, step) in steps.iter().enumerate() {
        text += &format!("    {}. {step}\n", number + 1);
    }
    text + &format!("    => {harm}\n")
}

#[test]
fn each_rule_taken_out_has_a_path_to_harm_and_the_docs_show_the_shortest() {
    let told: Vec<String> = STORIES.iter().map(told).collect();
    let told = told.join("\n");
    let docs = include_str!("../../../../docs/safety/explorer.md");
    let shown = docs
        .split_once("<!-- stories:begin -->\n```\n")
        .and_then(|(_, rest)| rest.split_once("```\n<!-- stories:end -->"));
    let (shown, _) = shown.expect("docs/safety/explorer.md has the stories between its marks");
    assert_eq!(shown, told, "docs/safety/explorer.md must show:\n{told}");
    let named: Vec<RuleId> = STORIES.iter().map(|story| story.rule).collect();
    for rule in crate::invariants::ALL {
        assert!(named.contains(rule), "{rule} has no story");
    }
}

#[test]
fn a_twin_alone_prevents_the_harm_that_both_are_about() {
    for story in STORIES.iter().filter(|story| story.twin.is_some()) {
        let found = Search::new(story.shape, &[story.rule], story.faults).wanted(story.harm).run();
        assert!(found.story.is_none(), "{}: {:#?}", story.rule, found.story);
    }
}
