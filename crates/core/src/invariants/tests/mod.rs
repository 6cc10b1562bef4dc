//! Each rule: one cluster in which it holds, one in which it is broken, one in which that is not known.

mod alone;
mod guard;

use super::ceph_order::CephOutOfOrder;
use super::ceph_redundancy::CopiesAtRisk;
use super::corosync_one_at_a_time::RingNotWhole;
use super::fence_safe::ArmedWithoutQuorum;
use super::forward_only::{Backward, Software};
use super::memory_fits::TooFull;
use super::no_guest_on_a_node_we_stop::{StillThere, Stop};
use super::one_node_out::{HowOut, NodesOut};
use super::quorum_margin::QuorumShort;
use super::rules_kept::AffinityBroken;
use super::sample::*;
use super::votes_lowered_only_if_confirmed_off::VotesTooLow;
use super::*;
use crate::ids::{NodeName, UnixMs, Upid};
use crate::observed::Observed::Known;
use crate::observed::WhyUnknown;
use crate::policy::Policy;
use crate::snapshot::*;
use crate::steps::*;
use crate::version::Version;

fn ask(
    rule: RuleId,
    snapshot: &Snapshot,
    current_node: Option<&str>,
    moving: &[(GuestId, &str, &str)],
) -> RuleOutcome<Evidence> {
    let policy = Policy::default();
    rule.holds(snapshot, &context(&policy, current_node, moving))
}

fn context<'a>(policy: &'a Policy, current_node: Option<&str>, moving: &[(GuestId, &str, &str)]) -> Context<'a> {
    let moving = moving.iter().map(|(guest, from, to)| Moving { guest: *guest, from: name(from), to: name(to) });
    Context { current_node: current_node.map(NodeName::new), moving: moving.collect(), ..Context::new(policy) }
}

#[track_caller]
fn broken(outcome: &RuleOutcome<Evidence>, words: &str) {
    let RuleOutcome::Broken(evidence) = outcome else { panic!("not broken: {outcome:?}") };
    assert!(evidence.iter().any(|one| one.to_string().contains(words)), "{words:?} is not in {evidence:?}");
}

/// Broken in this way, by its type and its figures.
#[track_caller]
fn broken_by(outcome: &RuleOutcome<Evidence>, evidence: Evidence) {
    let RuleOutcome::Broken(said) = outcome else { panic!("not broken: {outcome:?}") };
    assert!(said.iter().any(|one| *one == evidence), "{evidence:?} is not in {said:?}");
}

#[track_caller]
fn unknown(outcome: &RuleOutcome<Evidence>) {
    assert!(matches!(outcome, RuleOutcome::Unknown(_)), "{outcome:?}");
}

/// Unknown because this is missing.
#[track_caller]
fn unknown_for(outcome: &RuleOutcome<Evidence>, what: Evidence) {
    let RuleOutcome::Unknown(said) = outcome else { panic!("not unknown: {outcome:?}") };
    assert!(said.iter().any(|one| *one == what), "{what:?} is not in {said:?}");
}

/// What [`gap`] leaves missing.
fn timed_out() -> Missing {
    Missing::Reading(WhyUnknown::new("GET /nodes on pve1", "timed out"))
}

fn reboot(node: &str) -> Step {
    Reboot { node: name(node), from_boot: format!("boot-of-{node}").as_str().into() }.into()
}

fn upgrade(node: &str) -> Step {
    UpgradePackages { node: name(node), unit: "quorate-upgrade-ab12".into() }.into()
}

/// pve1 is empty, put into maintenance by us, with noout set: ready for its upgrade and reboot.
fn drained() -> Snapshot {
    let mut snapshot = cluster();
    for id in [GuestId::vm(101), GuestId::vm(103), GuestId::ct(201)] {
        guest_mut(&mut snapshot, id).node = name("pve3");
    }
    ha_mut(&mut snapshot).services.get_mut(&GuestId::vm(101)).unwrap().node = Some(name("pve3"));
    list_locally(&mut snapshot);
    set(Maintenance { node: name("pve1") }).after(&mut snapshot);
    set(Noout::by_host(name("pve1"))).after(&mut snapshot);
    snapshot
}

#[test]
fn every_rule_has_its_own_id_and_a_reason() {
    let ids: BTreeSet<&str> = ALL.iter().map(|rule| rule.id()).collect();
    assert_eq!(ids.len(), ALL.len());
    assert!(ALL.iter().all(|rule| rule.why().len() > 40));
    for rule in ALL {
        assert_eq!(rule.id().parse(), Ok(*rule));
        assert_eq!(serde_json::to_value(rule).unwrap(), rule.id(), "text and JSON name it alike");
    }
    assert!("no-such-rule".parse::<RuleId>().is_err());
}

#[test]
fn every_rule_is_described_in_the_docs() {
    let docs = include_str!("../../../../../docs/invariants.md");
    for rule in ALL {
        assert!(docs.contains(&format!("\n## {}\n", rule.id())), "docs/invariants.md lacks {}", rule.id());
    }
}

#[test]
fn on_a_healthy_cluster_every_rule_holds() {
    let (snapshot, policy) = (cluster(), Policy::default());
    for rule in ALL {
        assert_eq!(rule.holds(&snapshot, &Context::new(&policy)), RuleOutcome::Holds, "{}", rule.id());
    }
}

#[test]
fn without_ceph_and_ha_every_rule_holds() {
    let (mut snapshot, policy) = (cluster(), Policy::default());
    snapshot.ceph = Known(None);
    snapshot.ha = Known(Ha::default());
    for rule in ALL {
        assert_eq!(rule.holds(&snapshot, &Context::new(&policy)), RuleOutcome::Holds, "{}", rule.id());
    }
}

#[test]
fn when_nothing_was_seen_no_rule_about_the_whole_cluster_holds() {
    let (mut snapshot, policy) = (Snapshot::empty(UnixMs(0)), Policy::default());
    snapshot.nodes.insert(name("pve1"), Node::unseen(name("pve1"), "not looked at"));
    for rule in ALL.iter().filter(|rule| ![RuleId::ForwardOnly, RuleId::MemoryFits].contains(rule)) {
        unknown(&rule.holds(&snapshot, &Context::new(&policy)));
    }
}

#[test]
fn one_node_out_counts_the_current_node_once_and_no_other() {
    let mut snapshot = drained();
    assert_eq!(ask(RuleId::OneNodeOut, &snapshot, Some("pve1"), &[]), RuleOutcome::Holds);
    broken(&ask(RuleId::OneNodeOut, &snapshot, Some("pve2"), &[]), "pve1 is in HA maintenance mode");
    let foreign = NodesOut::Out { node: name("pve1"), how: HowOut::Maintenance, current_node: false };
    let outcome = ask(RuleId::OneNodeOut, &snapshot, Some("pve2"), &[]);
    broken_by(&outcome, Evidence::OneNodeOut(foreign));
    broken_by(&outcome, Evidence::OneNodeOut(NodesOut::OnlyThisMayBe { node: name("pve2") }));
    upgrading(&mut snapshot, "pve1");
    assert_eq!(ask(RuleId::OneNodeOut, &snapshot, Some("pve1"), &[]), RuleOutcome::Holds);
    crash(&mut snapshot, "pve3");
    broken(&ask(RuleId::OneNodeOut, &snapshot, Some("pve1"), &[]), "pve3 is offline");
    broken(&ask(RuleId::OneNodeOut, &snapshot, None, &[]), "pve3 is offline");
    let mut blind = cluster();
    node_mut(&mut blind, "pve2").online = gap();
    unknown(&ask(RuleId::OneNodeOut, &blind, Some("pve1"), &[]));
    unknown_for(&ask(RuleId::OneNodeOut, &blind, Some("pve1"), &[]), Evidence::OneNodeOut(timed_out().into()));
}

#[test]
fn one_node_out_counts_a_node_that_is_on_its_way_down_while_it_is_still_a_member() {
    let out = |how| Evidence::OneNodeOut(NodesOut::Out { node: name("pve3"), how, current_node: false });
    for mode in [LrmMode::Restart, LrmMode::Shutdown] {
        let mut snapshot = cluster();
        snapshot.ha.known_mut().unwrap().lrm.get_mut(&name("pve3")).unwrap().mode = mode;
        broken_by(&ask(RuleId::OneNodeOut, &snapshot, Some("pve1"), &[]), out(HowOut::GoingDown));
        assert_eq!(ask(RuleId::OneNodeOut, &snapshot, Some("pve3"), &[]), RuleOutcome::Holds);
    }
    let mut snapshot = cluster();
    let task = |kind: &str| Job {
        upid: Upid::new(format!("UPID:pve3:0001:0001:69000000:{kind}::root@pam:")),
        node: name("pve3"),
        kind: JobKind(kind.to_owned()),
        vmid: None,
        user: "root@pam".to_owned(),
        started: UnixMs(0),
    };
    snapshot.jobs = Known(vec![task("vzdump")]);
    assert_eq!(ask(RuleId::OneNodeOut, &snapshot, Some("pve1"), &[]), RuleOutcome::Holds);
    snapshot.jobs = Known(vec![task("stopall")]);
    broken_by(&ask(RuleId::OneNodeOut, &snapshot, Some("pve1"), &[]), out(HowOut::StoppingItsGuests));
    let of_node = |change: fn(&mut Node)| {
        let mut snapshot = cluster();
        change(node_mut(&mut snapshot, "pve3"));
        snapshot
    };
    for (change, how) in [
        ((|node| node.going_down = Known(Some(GoingDown::Now))) as fn(&mut Node), HowOut::SystemStops),
        (|node| node.going_down = Known(Some(GoingDown::Later)), HowOut::ShutdownScheduled),
        (|node| node.packages.known_mut().unwrap().locked = true, HowOut::PackagesAtWork),
    ] {
        broken_by(&ask(RuleId::OneNodeOut, &of_node(change), Some("pve1"), &[]), out(how));
        assert_eq!(ask(RuleId::OneNodeOut, &of_node(change), Some("pve3"), &[]), RuleOutcome::Holds);
    }
    unknown(&ask(RuleId::OneNodeOut, &of_node(|node| node.going_down = gap()), Some("pve1"), &[]));
    unknown(&ask(RuleId::OneNodeOut, &of_node(|node| node.packages = gap()), Some("pve1"), &[]));
}

#[test]
fn quorum_margin_counts_votes_and_not_nodes() {
    let mut snapshot = cluster();
    crash(&mut snapshot, "pve3");
    assert_eq!(ask(RuleId::QuorumMargin, &snapshot, None, &[]), RuleOutcome::Holds);
    // The corosync of a second node may be restarted by its upgrade.
    upgrading(&mut snapshot, "pve2");
    let short = QuorumShort::TooFewVotes { viewer: name("pve1"), left: 1, needed: 2 };
    broken_by(&ask(RuleId::QuorumMargin, &snapshot, None, &[]), Evidence::QuorumMargin(short));
    broken(&ask(RuleId::QuorumMargin, &snapshot, None, &[]), "pve1 would count 1 votes where 2 are needed");
    // Without a new corosync too: it is not the only package that takes the network away, and a reboot has to follow.
    node_mut(&mut snapshot, "pve2").packages.known_mut().unwrap().pending.retain(|p| p.name != "corosync");
    broken(&ask(RuleId::QuorumMargin, &snapshot, None, &[]), "pve1 would count 1 votes where 2 are needed");
    // pve3 has three votes of five: without it the others are not quorate.
    let mut uneven = cluster();
    for node in NODES {
        let view = view_mut(&mut uneven, node);
        (view.total_votes, view.expected_votes, view.quorum) = (5, 5, 3);
        view.members.get_mut(&name("pve3")).unwrap().votes = 3;
    }
    assert_eq!(ask(RuleId::QuorumMargin, &uneven, None, &[]), RuleOutcome::Holds);
    reboot("pve3").during(&mut uneven);
    broken(&ask(RuleId::QuorumMargin, &uneven, None, &[]), "2 votes where 3");
    let mut blind = cluster();
    blind.quorum.insert(name("pve2"), gap());
    unknown(&ask(RuleId::QuorumMargin, &blind, None, &[]));
}

#[test]
fn quorum_margin_is_broken_where_a_member_with_a_vote_cannot_write_etc_pve() {
    let mut snapshot = cluster();
    snapshot.etc_pve.insert(name("pve2"), Known(EtcPve::ReadOnly));
    broken(&ask(RuleId::QuorumMargin, &snapshot, None, &[]), "pve2 has quorum, but its /etc/pve cannot be written");
    let cut_off = QuorumShort::CutOff { viewer: name("pve2") };
    broken_by(&ask(RuleId::QuorumMargin, &snapshot, None, &[]), Evidence::QuorumMargin(cut_off));
    snapshot.etc_pve.insert(name("pve2"), gap());
    unknown(&ask(RuleId::QuorumMargin, &snapshot, None, &[]));
    snapshot.etc_pve.remove(&name("pve2"));
    assert_eq!(ask(RuleId::QuorumMargin, &snapshot, None, &[]), RuleOutcome::Holds, "a snapshot of an older version");
}

#[test]
fn a_gap_on_a_node_that_is_offline_makes_no_rule_unknown() {
    let mut snapshot = drained();
    crash(&mut snapshot, "pve1");
    let policy = Policy::default();
    for rule in ALL {
        let outcome = rule.holds(&snapshot, &context(&policy, Some("pve1"), &[]));
        assert_eq!(outcome, RuleOutcome::Holds, "{}", rule.id());
    }
}

#[test]
fn no_guest_on_a_node_we_stop_believes_the_node_itself() {
    let rule = RuleId::NoGuestOnANodeWeStop;
    let mut snapshot = drained();
    upgrading(&mut snapshot, "pve1");
    assert_eq!(ask(rule, &snapshot, Some("pve1"), &[]), RuleOutcome::Holds);
    // A guest that the token may not see: only `qm list` on the node shows it.
    let hidden =
        LocalGuest { kind: crate::ids::GuestKind::Vm, vmid: crate::ids::Vmid(666), running: true, name: String::new() };
    node_mut(&mut snapshot, "pve1").local_guests.known_mut().unwrap().push(hidden);
    let there = StillThere::Guest { guest: GuestId::vm(666), node: name("pve1"), stop: Stop::Upgrading };
    broken_by(&ask(rule, &snapshot, Some("pve1"), &[]), Evidence::NoGuestOnANodeWeStop(there));
    broken(&ask(rule, &snapshot, Some("pve1"), &[]), "vm:666 is on pve1");
    // Consent is to its being down: the person who has started it again did not mean it to go down with the node.
    let policy = Policy::default();
    let consented = Context { may_be_down: [GuestId::vm(666), GuestId::vm(103)].into(), ..Context::new(&policy) };
    let ask_consented = |snapshot: &Snapshot| rule.holds(snapshot, &consented);
    broken(&ask_consented(&snapshot), "vm:666 is on pve1");
    node_mut(&mut snapshot, "pve1").local_guests.known_mut().unwrap().pop();
    let mut unseen = snapshot.clone();
    node_mut(&mut unseen, "pve1").local_guests = gap();
    unknown(&ask(rule, &unseen, Some("pve1"), &[]));
    // Where it is not known whether it runs, it may be down.
    let guest = snapshot.guests.get_mut(&GuestId::vm(103)).unwrap();
    (guest.node, guest.status) = (name("pve1"), gap());
    broken(&ask(rule, &snapshot, Some("pve1"), &[]), "vm:103 is on pve1");
    assert_eq!(ask_consented(&snapshot), RuleOutcome::Holds);
}

#[test]
fn no_guest_on_a_node_we_stop_sees_tasks_and_ha_services() {
    let rule = RuleId::NoGuestOnANodeWeStop;
    let mut snapshot = drained();
    upgrading(&mut snapshot, "pve1");
    ha_mut(&mut snapshot).services.get_mut(&GuestId::vm(102)).unwrap().target = Some(name("pve1"));
    broken(&ask(rule, &snapshot, Some("pve1"), &[]), "vm:102 is on pve1");
    let mut snapshot = drained();
    upgrading(&mut snapshot, "pve1");
    snapshot.jobs.known_mut().unwrap().push(Job {
        upid: "UPID:pve1:1:2:3:vzdump::root@pam:".into(),
        node: name("pve1"),
        kind: JobKind("vzdump".to_owned()),
        vmid: None,
        user: "root@pam".to_owned(),
        started: UnixMs(0),
    });
    broken(&ask(rule, &snapshot, Some("pve1"), &[]), "vzdump");
    let task = StillThere::Task {
        upid: "UPID:pve1:1:2:3:vzdump::root@pam:".into(),
        kind: JobKind("vzdump".to_owned()),
        node: name("pve1"),
        stop: Stop::Upgrading,
    };
    broken_by(&ask(rule, &snapshot, Some("pve1"), &[]), Evidence::NoGuestOnANodeWeStop(task));
}

#[test]
fn forward_only_forbids_a_live_migration_to_an_older_qemu_or_pve() {
    let mut snapshot = cluster();
    let there = [(GuestId::vm(103), "pve1", "pve2")];
    assert_eq!(ask(RuleId::ForwardOnly, &snapshot, None, &there), RuleOutcome::Holds);
    node_mut(&mut snapshot, "pve2").qemu_version = Known(Version::from("10.1.2-5"));
    assert_eq!(ask(RuleId::ForwardOnly, &snapshot, None, &there), RuleOutcome::Holds);
    let back = [(GuestId::vm(103), "pve2", "pve1")];
    broken(&ask(RuleId::ForwardOnly, &snapshot, None, &back), "back to pve1 (QEMU 10.1.2-1)");
    let older = Backward::Older {
        guest: GuestId::vm(103),
        software: Software::Qemu,
        from: name("pve2"),
        old: Version::from("10.1.2-5"),
        to: name("pve1"),
        new: Version::from("10.1.2-1"),
    };
    broken_by(&ask(RuleId::ForwardOnly, &snapshot, None, &back), Evidence::ForwardOnly(older));
    let mut newer = cluster();
    node_mut(&mut newer, "pve2").pve_version = Known(Version::from("9.1.4"));
    broken(&ask(RuleId::ForwardOnly, &newer, None, &back), "PVE 9.1.4");
    // A container moves by restart, a stopped guest as files.
    let others = [(GuestId::ct(201), "pve2", "pve1"), (GuestId::vm(104), "pve2", "pve1")];
    assert_eq!(ask(RuleId::ForwardOnly, &snapshot, None, &others), RuleOutcome::Holds);
    node_mut(&mut snapshot, "pve1").qemu_version = gap();
    unknown(&ask(RuleId::ForwardOnly, &snapshot, None, &back));
}

#[test]
fn memory_fits_counts_configured_memory_on_both_ends() {
    let mut snapshot = cluster();
    let there = [(GuestId::vm(103), "pve1", "pve2")];
    assert_eq!(ask(RuleId::MemoryFits, &snapshot, None, &there), RuleOutcome::Holds);
    // 60.8 GiB of 64 are for guests: 4 for vm:102, 8 for vm:103, 50 for this one are too many.
    let mut big = snapshot.guests[&GuestId::vm(102)].clone();
    (big.id, big.memory_bytes) = (GuestId::vm(107), 50 * GIB);
    snapshot.guests.insert(big.id, big);
    broken(&ask(RuleId::MemoryFits, &snapshot, None, &there), "guests on pve2");
    let outcome = ask(RuleId::MemoryFits, &snapshot, None, &there);
    let RuleOutcome::Broken(evidence) = &outcome else { panic!("{outcome:?}") };
    let Some(Evidence::MemoryFits(TooFull::Node { node, need_bytes, total_bytes, .. })) = evidence.iter().next() else {
        panic!("{evidence:?}")
    };
    assert_eq!((node.as_str(), *total_bytes), ("pve2", 64 * GIB));
    assert!(*need_bytes >= 62 * GIB, "{need_bytes}");
    // Moving away from a full node is no risk.
    assert_eq!(ask(RuleId::MemoryFits, &snapshot, None, &[(GuestId::vm(107), "pve2", "pve3")]), RuleOutcome::Holds);
    // It shows on pve3 already, but until the migration has ended its memory on pve2 is not free.
    guest_mut(&mut snapshot, GuestId::vm(107)).node = name("pve3");
    let crossing = [(GuestId::vm(107), "pve2", "pve3"), (GuestId::vm(103), "pve1", "pve2")];
    broken(&ask(RuleId::MemoryFits, &snapshot, None, &crossing), "guests on pve2");
    let mut blind = cluster();
    node_mut(&mut blind, "pve2").memory = gap();
    unknown(&ask(RuleId::MemoryFits, &blind, None, &there));
    // The host itself needs 54 of 64 GiB; once the migration has begun, eight of them are the guest's.
    let mut busy = cluster();
    node_mut(&mut busy, "pve2").memory.known_mut().unwrap().host_bytes = 54 * GIB;
    broken(&ask(RuleId::MemoryFits, &busy, None, &there), "the host itself uses");
    let job = Job {
        upid: Upid::new("UPID:pve1:00000001:00000001:00000001:qmigrate:103:root@pam:"),
        node: name("pve1"),
        kind: JobKind("qmigrate".to_owned()),
        vmid: Some(GuestId::vm(103).vmid),
        user: "root@pam".to_owned(),
        started: UnixMs(0),
    };
    busy.jobs = Known(vec![job]);
    assert_eq!(ask(RuleId::MemoryFits, &busy, None, &there), RuleOutcome::Holds);
    let mut short = cluster();
    short.sees_all_guests = Known(false);
    unknown(&ask(RuleId::MemoryFits, &short, None, &there));
    let hidden = TooFull::GuestsNotSeen { node: name("pve2") };
    unknown_for(&ask(RuleId::MemoryFits, &short, None, &there), Evidence::MemoryFits(hidden));
}

#[test]
fn rules_kept_apart_also_in_transit() {
    let mut snapshot = cluster();
    let meets = [(GuestId::vm(101), "pve1", "pve2")];
    assert_eq!(ask(RuleId::RulesKept, &snapshot, None, &[(GuestId::vm(101), "pve1", "pve3")]), RuleOutcome::Holds);
    broken(&ask(RuleId::RulesKept, &snapshot, None, &meets), "meet on pve2");
    let meet = AffinityBroken::Meet {
        one: GuestId::vm(101),
        other: GuestId::vm(102),
        node: name("pve2"),
        rule: "apart".to_owned(),
    };
    broken_by(&ask(RuleId::RulesKept, &snapshot, None, &meets), Evidence::RulesKept(meet));
    guest_mut(&mut snapshot, GuestId::vm(102)).status = Known(GuestStatus::Stopped);
    assert_eq!(ask(RuleId::RulesKept, &snapshot, None, &meets), RuleOutcome::Holds);
    snapshot.ha = gap();
    unknown(&ask(RuleId::RulesKept, &snapshot, None, &meets));
}

#[test]
fn rules_kept_together_may_be_split_in_two_on_the_way_and_no_further() {
    let mut snapshot = cluster();
    let pair = [GuestId::vm(101), GuestId::vm(102)].into();
    ha_mut(&mut snapshot).rules =
        vec![AffinityRule::Resource(ResourceAffinity { id: "pair".to_owned(), guests: pair, together: true })];
    assert_eq!(ask(RuleId::RulesKept, &snapshot, Some("pve1"), &[]), RuleOutcome::Holds);
    broken(&ask(RuleId::RulesKept, &snapshot, Some("pve1"), &[(GuestId::vm(101), "pve1", "pve3")]), "pve1, pve2, pve3");
}

#[test]
fn rules_kept_a_strict_node_rule_forbids_a_target_and_a_loose_one_does_not() {
    let mut snapshot = cluster();
    let rule = |strict| {
        let (guests, nodes) = ([GuestId::vm(101)].into(), [(name("pve1"), 0), (name("pve2"), 0)].into());
        vec![AffinityRule::Node(NodeAffinity { id: "fast".to_owned(), guests, nodes, strict })]
    };
    let there = [(GuestId::vm(101), "pve1", "pve3")];
    ha_mut(&mut snapshot).rules = rule(true);
    broken(&ask(RuleId::RulesKept, &snapshot, None, &there), "which rule fast forbids");
    ha_mut(&mut snapshot).rules = rule(false);
    assert_eq!(ask(RuleId::RulesKept, &snapshot, None, &there), RuleOutcome::Holds);
}

#[test]
fn ceph_redundancy_requires_all_copies_while_every_osd_is_up() {
    let mut snapshot = cluster();
    let flag =
        CephHealthCheck { severity: HealthLevel::Warn, message: "noout".to_owned(), muted: false, accepted: false };
    ceph_mut(&mut snapshot).checks.insert("OSD_FLAGS".to_owned(), flag.clone());
    assert_eq!(ask(RuleId::CephRedundancy, &snapshot, None, &[]), RuleOutcome::Holds);
    ceph_mut(&mut snapshot).checks.insert("MON_DOWN".to_owned(), flag);
    broken(&ask(RuleId::CephRedundancy, &snapshot, None, &[]), "MON_DOWN");
    let mut snapshot = cluster();
    ceph_mut(&mut snapshot).pgs[0].state = "active+undersized+degraded".to_owned();
    broken(&ask(RuleId::CephRedundancy, &snapshot, None, &[]), "placement groups");
    let mut snapshot = cluster();
    ceph_mut(&mut snapshot).pools[0].min_size = 3;
    broken(&ask(RuleId::CephRedundancy, &snapshot, None, &[]), "pool rbd");
    let mut snapshot = cluster();
    ceph_mut(&mut snapshot).osds.get_mut(&crate::ids::OsdId(4)).unwrap().up = false;
    broken(&ask(RuleId::CephRedundancy, &snapshot, None, &[]), "osd.4 is down although pve3 is up");
    let failed = CopiesAtRisk::OsdDown { osd: crate::ids::OsdId(4), node: name("pve3") };
    broken_by(&ask(RuleId::CephRedundancy, &snapshot, None, &[]), Evidence::CephRedundancy(failed));
    snapshot.ceph = gap();
    unknown(&ask(RuleId::CephRedundancy, &snapshot, None, &[]));
}

#[test]
fn ceph_redundancy_accepts_flags_that_are_known_to_be_harmless_and_no_other_of_all_osds_or_of_some() {
    let with = |of: Option<&str>, flag: &str| {
        let mut snapshot = cluster();
        let ceph = ceph_mut(&mut snapshot);
        match of {
            None => drop(ceph.flags.insert(flag.to_owned())),
            Some(host) => drop(ceph.node_flags.insert(host.to_owned(), [flag.to_owned()].into())),
        }
        ask(RuleId::CephRedundancy, &snapshot, None, &[])
    };
    for flag in ["noout", "noin", "norebalance", "noscrub", "nodeep-scrub", "nosnaptrim", "notieragent"] {
        assert_eq!((with(None, flag), with(Some("pve3"), flag)), (RuleOutcome::Holds, RuleOutcome::Holds), "{flag}");
    }
    for flag in ["nodown", "noup", "nobackfill", "norecover", "pause", "full", "a-flag-of-the-future"] {
        broken(&with(None, flag), &format!("the flag {flag} is set for all OSDs"));
        broken(&with(Some("pve3"), flag), &format!("the flag {flag} is set for pve3"));
    }
    broken(&with(None, "nodown"), "clients hang until they are back");
}

#[test]
fn ceph_redundancy_with_a_node_down_requires_noout_and_data_that_is_served() {
    let mut snapshot = cluster();
    reboot("pve1").during(&mut snapshot);
    broken(&ask(RuleId::CephRedundancy, &snapshot, Some("pve1"), &[]), "noout is not set");
    set(Noout::by_host(name("pve1"))).after(&mut snapshot);
    assert_eq!(ask(RuleId::CephRedundancy, &snapshot, Some("pve1"), &[]), RuleOutcome::Holds);
    // What a reboot looks like from inside Ceph: copies are missing, and all data is served.
    ceph_mut(&mut snapshot).pgs[0].state = "active+undersized+degraded".to_owned();
    assert_eq!(ask(RuleId::CephRedundancy, &snapshot, Some("pve1"), &[]), RuleOutcome::Holds);
    ceph_mut(&mut snapshot).pgs[0].state = "undersized+degraded+peered".to_owned();
    broken(&ask(RuleId::CephRedundancy, &snapshot, Some("pve1"), &[]), "128 of 128 placement groups are not active");
    let mut snapshot = drained();
    let outcome = Known(SafeToStop::Unsafe("12 PGs would become inactive".to_owned()));
    ceph_mut(&mut snapshot).osds_ok_to_stop.insert(name("pve1"), outcome);
    reboot("pve1").during(&mut snapshot);
    broken(&ask(RuleId::CephRedundancy, &snapshot, Some("pve1"), &[]), "12 PGs");
    let mut two = drained();
    set(Noout::by_host(name("pve2"))).after(&mut two);
    reboot("pve1").during(&mut two);
    reboot("pve2").during(&mut two);
    broken(&ask(RuleId::CephRedundancy, &two, Some("pve1"), &[]), "pve1, pve2 are down at the same time");
    broken(&ask(RuleId::CephRedundancy, &two, Some("pve1"), &[]), "1 of 3 Ceph monitors");
}

#[test]
fn ceph_order_forbids_an_osd_that_is_newer_than_a_monitor() {
    let mut snapshot = cluster();
    let new = Some(Version::from("20.2.1-pve1"));
    for mon in ceph_mut(&mut snapshot).daemons.iter_mut().filter(|daemon| daemon.kind == DaemonKind::Mon) {
        mon.version.clone_from(&new);
    }
    assert_eq!(ask(RuleId::CephOrder, &snapshot, None, &[]), RuleOutcome::Holds);
    let mut snapshot = cluster();
    ceph_mut(&mut snapshot).osds.get_mut(&crate::ids::OsdId(0)).unwrap().version = new;
    broken(&ask(RuleId::CephOrder, &snapshot, None, &[]), "Osd of Ceph 20 beside a Mon of 19");
    let newer = CephOutOfOrder::Newer { later: DaemonKind::Osd, newest: 20, earlier: DaemonKind::Mon, oldest: 19 };
    broken_by(&ask(RuleId::CephOrder, &snapshot, None, &[]), Evidence::CephOrder(newer));
    ceph_mut(&mut snapshot).osds.get_mut(&crate::ids::OsdId(0)).unwrap().version = None;
    unknown(&ask(RuleId::CephOrder, &snapshot, None, &[]));
    let not_known = CephOutOfOrder::ReleaseNotKnown { daemon: "osd.0".to_owned() };
    unknown_for(&ask(RuleId::CephOrder, &snapshot, None, &[]), Evidence::CephOrder(not_known));
}

#[test]
fn corosync_one_at_a_time_accepts_mixed_versions_but_no_second_absence() {
    let rule = RuleId::CorosyncOneAtATime;
    let mut snapshot = cluster();
    node_mut(&mut snapshot, "pve1").corosync_version = Known(Version::from("3.1.10-pve1"));
    node_mut(&mut snapshot, "pve2").corosync_version = Known(Version::from("3.1.10-pve1"));
    assert_eq!(ask(rule, &snapshot, None, &[]), RuleOutcome::Holds);
    upgrading(&mut snapshot, "pve3");
    assert_eq!(ask(rule, &snapshot, None, &[]), RuleOutcome::Holds);
    crash(&mut snapshot, "pve2");
    broken(&ask(rule, &snapshot, None, &[]), "pve2, pve3");
    let absent = RingNotWhole::Absent { nodes: [name("pve2"), name("pve3")].into() };
    broken_by(&ask(rule, &snapshot, None, &[]), Evidence::CorosyncOneAtATime(absent));
    let mut snapshot = cluster();
    view_mut(&mut snapshot, "pve2").links.get_mut(&name("pve3")).unwrap()[1].connected = false;
    broken(&ask(rule, &snapshot, None, &[]), "pve2 reaches pve3 over 1 of 2 links");
    snapshot.quorum.insert(name("pve2"), gap());
    unknown(&ask(rule, &snapshot, None, &[]));
}

#[test]
fn votes_are_lowered_only_for_nodes_that_are_confirmed_off_and_not_online() {
    let rule = RuleId::VotesLoweredOnlyIfConfirmedOff;
    let (mut snapshot, policy) = (cluster(), Policy::default());
    crash(&mut snapshot, "pve3");
    view_mut(&mut snapshot, "pve1").expected_votes = 2;
    broken(&rule.holds(&snapshot, &Context::new(&policy)), "pve1 expects 2 votes, configured are 3");
    let too_low = VotesTooLow::Expected { viewer: name("pve1"), expected: 2, configured: 3, confirmed_off: 0 };
    let outcome = rule.holds(&snapshot, &Context::new(&policy));
    broken_by(&outcome, Evidence::VotesLoweredOnlyIfConfirmedOff(too_low));
    let confirmed_off = Context { nodes_confirmed_off: [name("pve3")].into(), ..Context::new(&policy) };
    assert_eq!(rule.holds(&snapshot, &confirmed_off), RuleOutcome::Holds);
    node_mut(&mut snapshot, "pve3").online = Known(true);
    assert!(matches!(rule.holds(&snapshot, &confirmed_off), RuleOutcome::Broken(_)));
    snapshot.configured_votes = gap();
    unknown(&rule.holds(&snapshot, &confirmed_off));
}

#[test]
fn fence_safe_is_broken_by_an_armed_node_without_quorum() {
    let mut snapshot = cluster();
    let view = view_mut(&mut snapshot, "pve2");
    (view.quorate, view.total_votes) = (false, 1);
    broken(&ask(RuleId::FenceSafe, &snapshot, None, &[]), "pve2 has active HA and 1 votes where 2");
    let armed = ArmedWithoutQuorum::Armed { node: name("pve2"), votes: 1, needed: 2 };
    broken_by(&ask(RuleId::FenceSafe, &snapshot, None, &[]), Evidence::FenceSafe(armed));
    ha_mut(&mut snapshot).lrm.get_mut(&name("pve2")).unwrap().state = "wait_for_agent_lock".to_owned();
    assert_eq!(ask(RuleId::FenceSafe, &snapshot, None, &[]), RuleOutcome::Holds);
    snapshot.quorum.insert(name("pve1"), gap());
    unknown(&ask(RuleId::FenceSafe, &snapshot, None, &[]));
}
