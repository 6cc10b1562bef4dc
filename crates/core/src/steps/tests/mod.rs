//! The answers of every step in one table, and a test that what each changes for a while is undone exactly.

mod conditions;

use std::collections::BTreeSet;

use super::*;
use crate::fixture::Fixture;
use crate::ids::GuestKind;
use crate::observed::Observed::Known;
use crate::snapshot::{DiskUse, LocalDisk};

const CD: &str = "local:iso/x.iso";

fn guest() -> GuestId {
    GuestId::vm(101)
}

/// pve1 to pve3 with Ceph; HA balances guests and manages vm:101, whose drive holds an image of pve1.
fn world() -> Snapshot {
    let image = LocalDisk {
        volid: CD.to_owned(),
        drive: "ide2".to_owned(),
        size_bytes: 1,
        usage: DiskUse::Cdrom,
        replicated: false,
    };
    let fixture = Fixture::cluster(3).ceph().vm(101, "pve1", 4).ct(201, "pve1", 1).managed(guest());
    let fixture = fixture.facts(guest(), |facts| {
        facts.local_disks.push(image);
        facts.cd_drives.insert("ide2".to_owned(), CD.to_owned());
    });
    let mut world = fixture.snapshot();
    let options = world.options.known_mut().unwrap();
    options.ha_auto_rebalance = true;
    options.crs = [("ha", "static"), ("ha-auto-rebalance", "1")].map(|(key, to)| (key.into(), to.into())).into();
    let ceph = world.ceph.known_mut().unwrap().as_mut().unwrap();
    ceph.node_flags.insert("pve1".to_owned(), ["nodown".to_owned()].into());
    ceph.node_flags.insert("pve2".to_owned(), ["noout".to_owned()].into());
    world
}

/// One of each verb.
fn samples() -> Vec<Step> {
    let (guest, node) = (guest(), || NodeName::new("pve1"));
    let votes = ExpectedVotes { node: node(), expected: 1, configured: 3, off: ["pve2".into(), "pve3".into()].into() };
    let eject = EjectMedia { guest, node: node(), drive: "ide2".into(), volid: CD.into(), lies_on: [node()].into() };
    let ct = GuestId { vmid: crate::ids::Vmid(201), kind: GuestKind::Ct };
    vec![
        RefreshPackages { node: node() }.into(),
        set(Failback { guest }),
        undo(Failback { guest }),
        set(Rebalance {}),
        undo(Rebalance {}),
        set(Maintenance { node: node() }),
        undo(Maintenance { node: node() }),
        set(Noout::by_host(node())),
        undo(Noout::by_host(node())),
        set(votes.clone()),
        undo(votes),
        eject.back().into(),
        eject.into(),
        Migrate { guest: ct, from: node(), to: "pve2".into(), mode: MoveMode::Restart, storages: [].into() }.into(),
        ShutdownGuest { guest, node: node() }.into(),
        HibernateGuest { guest, node: node(), storage: "shared".into() }.into(),
        StartGuest { guest, node: node() }.into(),
        StopToMove { guest, node: node() }.into(),
        StartMoved { guest }.into(),
        WaitEmpty { node: node() }.into(),
        UpgradePackages { node: node(), unit: "quorate-upgrade-t".into() }.into(),
        Reboot { node: node(), from_boot: "boot".into() }.into(),
        HandOver { node: node(), without: Default::default() }.into(),
        WaitBack { node: node(), without: Default::default() }.into(),
        WaitHaIdle { node: node() }.into(),
        FinalCheck::default().into(),
    ]
}

#[track_caller]
fn those(what: impl Fn(&Step) -> bool, verbs: &[&str]) {
    let samples = samples();
    let found: BTreeSet<&str> = samples.iter().filter(|step| what(step)).map(|step| step.kind().verb()).collect();
    assert_eq!(found, verbs.iter().copied().collect());
}

#[test]
fn the_table_has_every_verb_once() {
    let mut mine: Vec<String> = samples().iter().map(|step| step.kind().verb().to_owned()).collect();
    let mut all: Vec<String> = verbs().collect();
    mine.sort();
    all.sort();
    assert_eq!(mine, all);
}

#[test]
fn each_answer_is_that_of_these_steps_and_no_others() {
    let at_risk = ["enter-maintenance", "set-noout", "upgrade-packages", "reboot", "hand-over"];
    those(|step| step.on_node().puts_at_risk(), &at_risk);
    those(|step| step.on_node().needs_it_empty(), &["wait-empty", "upgrade-packages", "reboot", "hand-over"]);
    those(|step| step.on_node().needs_a_later_proof(), &["upgrade-packages", "reboot", "hand-over"]);
    those(|step| step.on_node() == OnNode::WaitsBack, &["wait-back"]);
    those(|step| step.stops().is_some(), &["shutdown-guest", "hibernate-guest", "stop-to-move"]);
    those(|step| step.starts().is_some(), &["start-guest", "start-moved"]);
    those(|step| step.takes_down().is_some(), &["shutdown-guest", "hibernate-guest", "stop-to-move", "migrate"]);
    those(|step| step.configures().is_some(), &["eject-media", "insert-media"]);
    those(Step::is_move, &["migrate"]);
    those(|step| step.expected_votes().is_some(), &["lower-votes", "restore-votes"]);
    those(
        |step| step.leaves_nodes_as_they_are(),
        &["refresh-packages", "hold-rebalance", "wait-ha-idle", "final-check", "lower-votes"],
    );
    those(|step| !step.kind().effect().promise.is_nothing(), &["wait-back", "wait-ha-idle"]);
    let profile = |step: &Step, what: fn(&Profile<'_>) -> bool| what(&step.kind().profile());
    let priced = ["eject-media", "migrate", "shutdown-guest", "hibernate-guest", "stop-to-move"];
    those(|step| profile(step, |profile| profile.consent.is_some()), &priced);
    those(|step| profile(step, |profile| profile.if_impossible == IfImpossible::HandOver), &["insert-media"]);
    those(|step| profile(step, |profile| profile.if_impossible == IfImpossible::StandStill), &["reboot"]);
    those(|step| profile(step, |profile| profile.estimate_s == 0), &[]);
    let risky = ["hold-failback", "hold-rebalance", "enter-maintenance", "set-noout"];
    let risky = [&risky[..], &priced, &["upgrade-packages", "reboot", "hand-over"]].concat();
    those(|step| profile(step, |profile| profile.class == Class::RiskTaking), &risky);
    let undone = ["hold-failback", "hold-rebalance", "enter-maintenance", "set-noout", "lower-votes"];
    let undone =
        [&undone[..], &["eject-media", "shutdown-guest", "hibernate-guest", "stop-to-move", "hand-over"]].concat();
    those(|step| step.undone_later_by().is_some(), &undone);
    those(|step| step.undone_on_the_way_by().is_some(), &["migrate"]);
    let undoes = ["restore-failback", "restore-rebalance", "leave-maintenance", "unset-noout", "restore-votes"];
    let undoes = [&undoes[..], &["insert-media", "start-guest", "start-moved"]].concat();
    those(Step::is_undo, &undoes);
}

#[test]
fn what_a_step_changes_for_a_while_is_undone_exactly() {
    for step in samples() {
        let Some(undo) = step.undone_later_by() else { continue };
        let verb = step.kind().verb();
        if verb == "hand-over" {
            // What undoes it is a proof, and its effect is up to the administrator.
            continue;
        }
        assert!(undo.is_undo() && undo.undone_later_by().is_none(), "{verb}");
        let mut before = world();
        if verb == "hibernate-guest" {
            before.ha.known_mut().unwrap().services.clear(); // PVE hibernates none of HA's guests.
        }
        let ready = if verb == "lower-votes" { StepStatus::Impossible(Why::NotLowered) } else { StepStatus::Ready };
        assert_eq!(step.kind().status(&before), ready, "{verb}");
        assert_eq!(undo.kind().status(&before), StepStatus::Done, "{verb}: there is nothing to undo yet");
        let mut now = before.clone();
        step.after(&mut now);
        assert_ne!(now, before, "{verb} changes nothing");
        assert_eq!(step.kind().status(&now), StepStatus::Done, "{verb}");
        assert_eq!(undo.kind().status(&now), StepStatus::Ready, "{verb}");
        let done = now.clone();
        undo.after(&mut now);
        assert_eq!(undo.kind().status(&now), StepStatus::Done, "{verb}");
        // The list of local disks is that of the first look: of what is put back its size is not known.
        if verb == "eject-media" {
            let facts = now.guests.get_mut(&guest()).unwrap().migration.known_mut().unwrap();
            assert!(facts.local_disks.is_empty());
            facts.local_disks = before.guests[&guest()].migration.known().unwrap().local_disks.clone();
        }
        assert_eq!(now, before, "{verb}: after the undo the cluster is as before");
        step.after(&mut now);
        assert_eq!(now, done, "{verb}: and it can be done once more");
    }
}

#[test]
fn a_change_affects_only_what_its_effect_says() {
    for step in samples() {
        let (before, mut after) = (world(), world());
        let effect = step.kind().effect();
        for change in [effect.during, effect.after, effect.promise] {
            change.apply(&mut after);
            assert!(!change.is_nothing() || after == before, "{}", step.kind().verb());
            assert!(change.reaches_guests() || after.guests == before.guests, "{}", step.kind().verb());
            after = before.clone();
        }
    }
}

#[test]
fn lowered_votes_of_a_partition_without_quorum_are_undone_exactly() {
    let mut alone = world();
    for view in alone.quorum.values_mut().filter_map(|view| view.known_mut()) {
        view.members.retain(|name, _| name.as_str() == "pve1");
        (view.total_votes, view.quorate) = (1, false);
    }
    let votes = ExpectedVotes { node: "pve1".into(), expected: 1, configured: 3, off: BTreeSet::new() };
    let (lower, raise) = (set(votes.clone()), undo(votes));
    let mut now = alone.clone();
    lower.after(&mut now);
    assert!(now.quorum.values().all(|view| view.known().is_some_and(|view| view.quorate)));
    assert!(
        matches!(&raise.kind().status(&now), StepStatus::Blocked(why) if matches!(why[..], [Why::TooFewVotes { .. }, ..]))
    );
    raise.after(&mut now);
    assert_eq!(now, alone);
}

#[test]
fn a_setting_that_is_gone_counts_as_undone_and_cannot_be_set() {
    let (mut bare, guest) = (world(), guest());
    (bare.ceph, bare.ha) = (Known(None), Known(crate::snapshot::Ha::default()));
    for setting in [Setting::from(Noout::by_host("pve1".into())), Failback { guest }.into()] {
        assert!(matches!(set(setting.clone()).kind().status(&bare), StepStatus::Impossible(_)), "{setting:?}");
        assert_eq!(undo(setting.clone()).kind().status(&bare), StepStatus::Done, "{setting:?}");
    }
}

#[test]
fn a_step_is_read_back_from_the_journal_as_it_was_written() {
    for step in samples() {
        let json = serde_json::to_string(&step).unwrap();
        assert_eq!(serde_json::from_str::<Step>(&json).unwrap(), step, "{json}");
    }
    let noout = serde_json::to_value(set(Noout::by_host("pve1".into()))).unwrap();
    assert_eq!(noout, serde_json::json!({"step": "change-setting", "act": "set", "setting": "noout", "node": "pve1"}));
}
