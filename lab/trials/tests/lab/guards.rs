//! What the safety rules are for: each scenario with the rule, and with the rule switched off. An impact report that
//! cannot go red proves nothing.

use crate::common;

use common::{demo, hold, policy, tell};
use quorate_core::ids::{GuestId, OsdId, StepId};
use quorate_core::invariants::RuleId;
use quorate_core::migration_throttle::Throttle;
use quorate_core::policy::Policy;
use quorate_core::run::{Event, RunOutcome};
use quorate_engine::Ended;
use quorate_trials::simulated_run::{AtStep, Outcome, SimulatedRun};
use quorate_world::World;
use quorate_world::cluster_file::world_from_toml;
use quorate_world::faults::FaultKind;

/// Runs the same scenario with all rules, and without these.
fn with_and_without(rules: &[RuleId], step: &str, faults: Vec<FaultKind>) -> (Outcome, Outcome) {
    let at_step = vec![AtStep { step: step.into(), faults }];
    let with = SimulatedRun { policy: policy(), at_step, ..SimulatedRun::default() };
    (hold(&with, demo()), hold(&without(&with, rules), demo()))
}

fn without(simulated_run: &SimulatedRun, rules: &[RuleId]) -> SimulatedRun {
    let without_rules = rules.iter().copied().collect();
    SimulatedRun { without_rules, ..simulated_run.clone() }
}

#[test]
fn a_guest_that_is_started_on_a_drained_node_moves_again_by_no_guest_and_without_it_the_node_refuses_the_reboot() {
    let starts = vec![FaultKind::AdminStarts { guest: GuestId::vm(117) }];
    let (with, without) = with_and_without(&[RuleId::NoGuestOnANodeWeStop], "pve3.enter-maintenance", starts);
    assert_eq!(with.ended, Some(Ended::Over(RunOutcome::Completed)), "{}", tell(&with));
    assert!(with.impact.clean, "{:#?}", with.impact);
    // The reboot's own condition, on the node: the run does not get on, and nobody is harmed.
    let refuses =
        |(_, event): &(_, Event)| matches!(event, Event::CommandNotDone { why, .. } if why.contains("guest runs"));
    assert!(without.events.iter().any(refuses), "{}", tell(&without));
    assert!(matches!(without.ended, Some(Ended::Paused(_))), "{}", tell(&without));
    assert_eq!(without.impact.unconsented_downtime_s, 0, "{:#?}", without.impact);
}

#[test]
fn an_osd_that_fails_elsewhere_stops_the_run_only_with_ceph_redundancy() {
    let noout = FaultKind::AdminNoout { set: true };
    let faults = vec![noout, FaultKind::OsdFails { osd: OsdId(0) }];
    let (with, without) = with_and_without(&[RuleId::CephRedundancy], "pve3.enter-maintenance", faults);
    assert!(matches!(with.ended, Some(Ended::Paused(_))), "{}", tell(&with));
    assert_eq!(with.impact.unconsented_downtime_s, 0, "{:#?}", with.impact);
    assert!(without.impact.unconsented_downtime_s > 0, "{:#?}\n{}", without.impact, tell(&without));
}

/// Six nodes without Ceph. The last one has no storage for guests: it votes, and nothing ever runs on it.
fn six() -> World {
    let mut text = String::from(
        "[cluster]\nname = \"six\"\n[kernel]\nrunning = \"6.17.2-1-pve\"\nupcoming = \"6.17.4-1-pve\"\n[installed]\n\
         proxmox-ve = \"9.1.0\"\npve-manager = \"9.1.1\"\npve-qemu-kvm = \"10.1.2-4\"\ncorosync = \"3.1.9-pve2\"\n\
         [archive]\npve-manager = \"9.1.4\"\n\"proxmox-kernel-6.17\" = \"6.17.4-1\"\n\
         [[storage]]\nid = \"nfs\"\nkind = \"nfs\"\nshared = true\ncontent = [\"images\"]\ntotal_gib = 2000\nnodes = [\"pve1\", \"pve2\", \"pve3\", \"pve4\", \"pve5\"]\n",
    );
    for number in 1..=6 {
        let links = format!("[\"10.10.1.{number}\", \"10.10.2.{number}\"]");
        text += &format!("[[node]]\nname = \"pve{number}\"\nmemory_gib = 32\ncpus = 8\nlinks = {links}\n");
        if number < 6 {
            let guest = format!("id = \"vm:10{number}\"\nname = \"g\"\nnode = \"pve{number}\"\nmemory_mib = 2048");
            text += &format!("[[guest]]\n{guest}\nstorage = \"nfs\"\n");
        }
    }
    world_from_toml(&text, 1).unwrap()
}

#[test]
fn a_second_node_is_not_taken_out_only_with_one_node_out() {
    let policy = Policy { last: vec!["pve6".into()], ..Policy::default() };
    let calm = SimulatedRun { policy, ..SimulatedRun::default() };
    let first = hold(&calm, six());
    assert!(first.impact.clean && first.refused.is_empty(), "{:#?}\n{:#?}", first.impact, first.refused);
    let second_node = first.plan.as_ref().unwrap().node_steps[1].node.clone().unwrap();
    let fault = AtStep {
        step: StepId::new(format!("{second_node}.upgrade-packages")),
        faults: vec![FaultKind::PowerOff { node: "pve6".into() }],
    };
    let with = SimulatedRun { at_step: vec![fault], ..calm };
    // The rule about corosync prevents the same in another way; each of the two is enough.
    for rules in [&[][..], &[RuleId::OneNodeOut], &[RuleId::CorosyncOneAtATime]] {
        let held = hold(&without(&with, rules), six());
        assert!(matches!(held.ended, Some(Ended::Paused(_))), "without {rules:?}: {}", tell(&held));
        assert_eq!(held.impact.rules_broken, 0, "without {rules:?}: {:#?}", held.impact);
    }
    let harmed = hold(&without(&with, &[RuleId::OneNodeOut, RuleId::CorosyncOneAtATime]), six());
    assert!(harmed.impact.rules_broken > 0, "{:#?}\n{}", harmed.impact, tell(&harmed));
}

#[test]
fn a_node_whose_etc_pve_is_read_only_by_itself_stops_the_run_with_what_to_do() {
    let first = hold(&SimulatedRun::default(), six()).plan.unwrap().node_steps[0].node.clone().unwrap();
    let step = StepId::new(format!("{first}.enter-maintenance"));
    let faults = vec![FaultKind::EtcPveReadOnly { node: first }];
    let at_step = vec![AtStep { step, faults }];
    let held = hold(&SimulatedRun { at_step, ..SimulatedRun::default() }, six());
    let Some(Ended::Paused(pause)) = &held.ended else { panic!("{}", tell(&held)) };
    let why = pause.lines().join("\n");
    assert!(why.contains("quorum-margin") && why.contains("`systemctl restart pve-cluster`"), "{why}");
    let impact = &held.impact;
    assert_eq!((impact.rules_broken, impact.guests_lost, impact.fences), (0, 0, 0), "{impact:#?}");
    let upgrades = |event: &Event| matches!(event, Event::StepStarted { command: Some(_), id, .. } if id.as_str().ends_with("upgrade-packages"));
    assert!(!held.events.iter().any(|(_, event)| upgrades(event)), "no package is touched: {}", tell(&held));
}

/// Three nodes with one network for migrations and corosync's heartbeat.
fn one_link() -> World {
    let cluster = include_str!("../../../../scenarios/a-storm-on-corosyncs-only-link/cluster.toml");
    world_from_toml(cluster, 1).unwrap()
}

#[test]
fn a_storm_on_corosyncs_only_link_fences_a_node_without_the_migration_throttle_and_none_with_it() {
    let policy = Policy { first: vec!["pve1".into()], parallel_migrations: Some(4), ..Policy::default() };
    let with = SimulatedRun { policy, ..SimulatedRun::default() };
    let calm = hold(&with, one_link());
    assert_eq!(calm.ended, Some(Ended::Over(RunOutcome::Completed)), "{}", tell(&calm));
    assert!(calm.impact.clean, "{:#?}", calm.impact);
    let told =
        |event: &Event| matches!(event, Event::ThrottleChanged { throttle: Throttle::OneAtATime | Throttle::Hold, .. });
    assert!(calm.events.iter().any(|(_, event)| told(event)), "the journal says when the throttle holds guests back");

    let storm = hold(&SimulatedRun { without_corosync_watch: true, ..with }, one_link());
    assert!(storm.impact.fences > 0 && !storm.impact.clean, "{:#?}\n{}", storm.impact, tell(&storm));
}
