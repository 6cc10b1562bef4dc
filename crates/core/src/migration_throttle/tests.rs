//! The migration throttle: signs, and the guests that it holds back.

use super::*;
use crate::fixture::Fixture;
use crate::ids::{GuestId, UnixMs};
use crate::observed::Observed::{self, Known};
use crate::run::{Event, RunState};
use crate::snapshot::{CorosyncComplaints, Snapshot};
use crate::steps::{Migrate, MoveMode, Step};

fn heard(retransmits: u32, links_lost: u32, tokens_lost: u32) -> Observed<CorosyncComplaints> {
    Known(CorosyncComplaints { retransmits, links_lost, tokens_lost })
}

/// Three nodes, of which pve2 has these complaints.
fn cluster(pve2: Observed<CorosyncComplaints>) -> Snapshot {
    let mut snapshot = Fixture::cluster(3).snapshot();
    for name in ["pve1", "pve3"] {
        snapshot.migration_throttle.insert(name.into(), heard(0, 0, 0));
    }
    snapshot.migration_throttle.insert("pve2".into(), pve2);
    snapshot
}

fn migrate(vmid: u32) -> Step {
    let (from, to) = ("pve1".into(), "pve2".into());
    Migrate { guest: GuestId::vm(vmid), from, to, mode: MoveMode::Live, storages: [].into() }.into()
}

/// A run in which the move of vm:101 started so many seconds before the snapshot.
fn moving(snapshot: &Snapshot, seconds: u64) -> RunState {
    let at = UnixMs(snapshot.taken.0 - seconds * 1000);
    let step = migrate(101);
    let command = step.kind().command(snapshot);
    let started = Event::StepStarted { id: "pve1.migrate.vm:101".into(), step, attempt: 1, command, undo: None };
    RunState::of([(at, &started)])
}

#[test]
fn the_throttle_tightens_with_the_signs_and_names_them() {
    let throttle = |heard| restraint(&cluster(heard), None).throttle;
    assert_eq!(throttle(heard(0, 0, 0)), Throttle::AsPlanned);
    assert_eq!(throttle(heard(1, 0, 0)), Throttle::OneAtATime);
    assert_eq!(throttle(heard(4, 0, 0)), Throttle::Hold);
    assert_eq!(throttle(heard(0, 1, 0)), Throttle::Hold);
    assert_eq!(throttle(heard(0, 0, 1)), Throttle::Hold);
    assert_eq!(
        throttle(Observed::unknown("journalctl on pve2", "timed out")),
        Throttle::OneAtATime,
        "unknown is not quiet"
    );
    let signs = restraint(&cluster(heard(1, 0, 0)), None).signs;
    let complaints = CorosyncComplaints { retransmits: 1, links_lost: 0, tokens_lost: 0 };
    assert_eq!(signs, [Sign::Complains { node: "pve2".into(), complaints }]);
    assert!(signs[0].to_string().contains("pve2 in the last minute: 1 retransmits"));
}

#[test]
fn the_links_of_a_node_that_is_away_for_its_reboot_are_no_sign() {
    let mut snapshot = cluster(heard(0, 2, 1));
    assert_eq!(restraint(&snapshot, Some(&"pve1".into())).throttle, Throttle::Hold);
    snapshot.nodes.get_mut(&"pve1".into()).unwrap().online = Known(false);
    assert_eq!(restraint(&snapshot, Some(&"pve1".into())).throttle, Throttle::AsPlanned);
}

#[test]
fn at_the_first_sign_a_second_guest_waits_and_the_first_moves_and_later_none_starts() {
    let strained = cluster(heard(1, 0, 0));
    let held_back = against(&moving(&strained, 40), &migrate(102), &strained);
    assert!(held_back[0].to_string().starts_with("corosync-watch (guests migrate one"));
    assert!(matches!(
        &held_back[..],
        [HeldBack::BySign { throttle: Throttle::OneAtATime, sign: Sign::Complains { .. } }]
    ));
    assert!(against(&RunState::default(), &migrate(102), &strained).is_empty());
    let starving = cluster(heard(9, 0, 0));
    assert_eq!(against(&RunState::default(), &migrate(102), &starving).len(), 1);
    assert!(against(&RunState::default(), &crate::steps::FinalCheck::default().into(), &starving).is_empty());
}

#[test]
fn on_a_single_link_the_next_guest_starts_only_after_the_last_one_shows_its_effect() {
    let quiet = cluster(heard(0, 0, 0));
    let mut single = quiet.clone();
    for view in single.quorum.values_mut().filter_map(Observed::known_mut) {
        view.configured_links = 1;
    }
    assert_eq!(against(&moving(&single, 14), &migrate(102), &single), [HeldBack::LastOneJustSetOut]);
    assert!(against(&moving(&single, 15), &migrate(102), &single).is_empty());
    let through_ha = Event::StepStarted {
        id: "pve1.migrate.vm:103".into(),
        step: Migrate {
            guest: GuestId::vm(103),
            from: "pve1".into(),
            to: "pve2".into(),
            mode: MoveMode::Ha,
            storages: [].into(),
        }
        .into(),
        attempt: 1,
        command: migrate(103).kind().command(&single),
        undo: None,
    };
    let ordered = |ago_s: u64| RunState::of([(UnixMs(single.taken.0 - ago_s * 1000), &through_ha)]);
    assert_eq!(against(&ordered(59), &migrate(102), &single).len(), 1, "HA may only now start its migration");
    assert!(against(&ordered(60), &migrate(102), &single).is_empty());
    assert!(against(&moving(&single, 14), &migrate(101), &single).is_empty(), "a repeated attempt of its own");
    let mut two = quiet;
    for view in two.quorum.values_mut().filter_map(Observed::known_mut) {
        view.configured_links = 2;
    }
    assert!(against(&moving(&two, 1), &migrate(102), &two).is_empty());
}
