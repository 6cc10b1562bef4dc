//! Each condition of each rule by itself: in a cluster in which nothing else is wrong, it alone breaks the rule.

use super::*;

fn service(node: Option<&str>, target: Option<&str>, state: Option<HaServiceState>) -> HaService {
    HaService {
        request: HaRequest::Started,
        state,
        node: node.map(name),
        target: target.map(name),
        maintenance_node: None,
        failback: false,
    }
}

#[test]
fn one_node_out_counts_a_node_whose_packages_are_being_upgraded() {
    let mut snapshot = cluster();
    upgrading(&mut snapshot, "pve2");
    assert_eq!(ask(RuleId::OneNodeOut, &snapshot, None, &[]), RuleOutcome::Holds, "one may be out");
    let out = NodesOut::Out { node: name("pve2"), how: HowOut::Upgrading, current_node: false };
    broken_by(&ask(RuleId::OneNodeOut, &snapshot, Some("pve1"), &[]), Evidence::OneNodeOut(out));
    set(Maintenance { node: name("pve1") }).after(&mut snapshot);
    broken(&ask(RuleId::OneNodeOut, &snapshot, None, &[]), "pve2 is having its packages upgraded");
    let unit = UpgradeUnit { unit: "quorate-upgrade-ab12".into(), state: UnitState::Ended(UnitOutcome::Success) };
    node_mut(&mut snapshot, "pve2").upgrade_unit = Known(Some(unit));
    assert_eq!(ask(RuleId::OneNodeOut, &snapshot, Some("pve1"), &[]), RuleOutcome::Holds, "it has ended");
    node_mut(&mut snapshot, "pve2").upgrade_unit = gap();
    unknown(&ask(RuleId::OneNodeOut, &snapshot, Some("pve1"), &[]));
}

#[test]
fn one_node_out_counts_a_node_whose_maintenance_is_requested_and_has_not_begun() {
    let mut snapshot = cluster();
    ha_mut(&mut snapshot).maintenance_requested.insert(name("pve2"));
    let out = NodesOut::Out { node: name("pve2"), how: HowOut::Maintenance, current_node: false };
    broken_by(&ask(RuleId::OneNodeOut, &snapshot, Some("pve1"), &[]), Evidence::OneNodeOut(out));
    assert_eq!(ask(RuleId::OneNodeOut, &snapshot, Some("pve2"), &[]), RuleOutcome::Holds, "it is the current node");
}

#[test]
fn one_node_out_counts_a_node_that_ha_does_not_see_or_fences() {
    for (state, how) in [
        (HaNodeState::Unknown, HowOut::NotSeenByHa),
        (HaNodeState::Fence, HowOut::Fenced),
        (HaNodeState::Maintenance, HowOut::Maintenance),
    ] {
        let mut snapshot = cluster();
        ha_mut(&mut snapshot).nodes.insert(name("pve2"), state);
        let out = NodesOut::Out { node: name("pve2"), how, current_node: false };
        broken_by(&ask(RuleId::OneNodeOut, &snapshot, Some("pve1"), &[]), Evidence::OneNodeOut(out));
        assert_eq!(ask(RuleId::OneNodeOut, &snapshot, Some("pve2"), &[]), RuleOutcome::Holds, "it is the current node");
    }
    let mut blind = cluster();
    blind.ha = gap();
    unknown(&ask(RuleId::OneNodeOut, &blind, Some("pve1"), &[]));
}

#[test]
fn quorum_margin_is_broken_by_a_member_that_is_not_quorate_whatever_the_votes_say() {
    let mut snapshot = cluster();
    view_mut(&mut snapshot, "pve2").quorate = false;
    let not_quorate = QuorumShort::NotQuorate { viewer: name("pve2"), left: 3, needed: 2 };
    broken_by(&ask(RuleId::QuorumMargin, &snapshot, None, &[]), Evidence::QuorumMargin(not_quorate));
    // A node that is being upgraded counts as absent, and so does its view.
    upgrading(&mut snapshot, "pve2");
    assert_eq!(ask(RuleId::QuorumMargin, &snapshot, None, &[]), RuleOutcome::Holds);
    let mut unmounted = cluster();
    unmounted.etc_pve.insert(name("pve2"), Known(EtcPve::NotMounted));
    broken(&ask(RuleId::QuorumMargin, &unmounted, None, &[]), "pve2 has quorum, but its /etc/pve");
    let mut unseen = cluster();
    unseen.quorum.remove(&name("pve2"));
    unknown(&ask(RuleId::QuorumMargin, &unseen, None, &[]));
}

#[test]
fn a_rule_about_votes_does_not_hold_where_no_node_is_online_to_say_so() {
    let mut snapshot = cluster();
    NODES.iter().for_each(|node| node_mut(&mut snapshot, node).online = Known(false));
    let margin = ask(RuleId::QuorumMargin, &snapshot, None, &[]);
    unknown_for(&margin, Evidence::QuorumMargin(Missing::EveryView.into()));
    let lowered = ask(RuleId::VotesLoweredOnlyIfConfirmedOff, &snapshot, None, &[]);
    unknown_for(&lowered, Evidence::VotesLoweredOnlyIfConfirmedOff(Missing::EveryView.into()));
}

#[test]
fn no_guest_on_a_node_we_stop_sees_a_guest_on_its_way_there() {
    let rule = RuleId::NoGuestOnANodeWeStop;
    let travels = [(GuestId::vm(102), "pve2", "pve1")];
    let mut snapshot = drained();
    assert_eq!(ask(rule, &snapshot, Some("pve1"), &travels), RuleOutcome::Holds, "the node is in service");
    upgrading(&mut snapshot, "pve1");
    let arrives = StillThere::Arrives { guest: GuestId::vm(102), node: name("pve1"), stop: Stop::Upgrading };
    broken_by(&ask(rule, &snapshot, Some("pve1"), &travels), Evidence::NoGuestOnANodeWeStop(arrives));
    let elsewhere = [(GuestId::vm(102), "pve2", "pve3")];
    assert_eq!(ask(rule, &snapshot, Some("pve1"), &elsewhere), RuleOutcome::Holds);
}

#[test]
fn no_guest_on_a_node_we_stop_sees_placement_and_ha_each_alone() {
    let rule = RuleId::NoGuestOnANodeWeStop;
    let mut placed = drained();
    upgrading(&mut placed, "pve1");
    guest_mut(&mut placed, GuestId::vm(103)).node = name("pve1");
    broken(&ask(rule, &placed, Some("pve1"), &[]), "vm:103 is on pve1");
    for (node, target, state, there) in [
        (Some("pve1"), None, Some(HaServiceState::Started), true),
        (Some("pve2"), Some("pve1"), Some(HaServiceState::Migrate), true),
        (Some("pve1"), None, Some(HaServiceState::Stopped), false),
        (Some("pve1"), None, Some(HaServiceState::Error), false),
        (Some("pve1"), None, Some(HaServiceState::Freeze), false),
        (Some("pve1"), None, None, false),
        (Some("pve2"), None, Some(HaServiceState::Started), false),
    ] {
        let mut snapshot = drained();
        upgrading(&mut snapshot, "pve1");
        ha_mut(&mut snapshot).services.insert(GuestId::vm(109), service(node, target, state));
        let outcome = ask(rule, &snapshot, Some("pve1"), &[]);
        assert_eq!(outcome != RuleOutcome::Holds, there, "{node:?} {target:?} {state:?}: {outcome:?}");
    }
    for unread in [|it: &mut Snapshot| it.ha = gap(), |it: &mut Snapshot| it.jobs = gap()] {
        let mut snapshot = drained();
        upgrading(&mut snapshot, "pve1");
        unread(&mut snapshot);
        unknown(&ask(rule, &snapshot, Some("pve1"), &[]));
    }
    // A node that is down is one that we stop, too.
    let mut offline = drained();
    node_mut(&mut offline, "pve1").online = Known(false);
    guest_mut(&mut offline, GuestId::vm(103)).node = name("pve1");
    broken(&ask(rule, &offline, Some("pve1"), &[]), "vm:103 is on pve1, which is offline");
}

#[test]
fn forward_only_takes_a_guest_that_was_not_seen_for_one_that_runs() {
    let mut snapshot = cluster();
    node_mut(&mut snapshot, "pve2").qemu_version = Known(Version::from("10.1.2-5"));
    let unseen = [(GuestId::vm(666), "pve2", "pve1")];
    broken(&ask(RuleId::ForwardOnly, &snapshot, None, &unseen), "vm:666 moves from pve2");
    let stopped = [(GuestId::vm(104), "pve2", "pve1")];
    assert_eq!(ask(RuleId::ForwardOnly, &snapshot, None, &stopped), RuleOutcome::Holds);
    let nowhere = [(GuestId::vm(103), "pve2", "pve9")];
    let not_seen = Backward::NodesNotSeen { guest: GuestId::vm(103) };
    unknown_for(&ask(RuleId::ForwardOnly, &snapshot, None, &nowhere), Evidence::ForwardOnly(not_seen));
}

#[test]
fn memory_fits_asks_only_about_nodes_that_receive_guests_and_needs_their_whole_list() {
    let mut full = cluster();
    node_mut(&mut full, "pve1").memory.known_mut().unwrap().total_bytes = GIB;
    assert_eq!(ask(RuleId::MemoryFits, &full, None, &[(GuestId::vm(103), "pve1", "pve2")]), RuleOutcome::Holds);
    broken(&ask(RuleId::MemoryFits, &full, None, &[(GuestId::vm(102), "pve2", "pve1")]), "guests on pve1");
    // A stopped guest takes no memory.
    assert_eq!(ask(RuleId::MemoryFits, &cluster(), None, &[(GuestId::vm(104), "pve2", "pve1")]), RuleOutcome::Holds);
}

#[test]
fn rules_kept_are_those_about_guests_that_run_and_that_ha_manages() {
    let meets = [(GuestId::vm(101), "pve1", "pve2")];
    broken(&ask(RuleId::RulesKept, &cluster(), None, &meets), "meet on pve2");
    let mut ignored = cluster();
    ha_mut(&mut ignored).services.get_mut(&GuestId::vm(102)).unwrap().request = HaRequest::Ignored;
    assert_eq!(ask(RuleId::RulesKept, &ignored, None, &meets), RuleOutcome::Holds);
    // The end that a guest leaves counts until it has left.
    let mut here = cluster();
    guest_mut(&mut here, GuestId::vm(101)).node = name("pve3");
    let leaves = [(GuestId::vm(101), "pve2", "pve3")];
    broken(&ask(RuleId::RulesKept, &here, None, &leaves), "meet on pve2");
}

#[test]
fn rules_kept_are_asked_again_of_the_guests_that_moved() {
    let (snapshot, policy) = (cluster(), Policy::default());
    let meets = context(&policy, None, &[(GuestId::vm(101), "pve1", "pve2")]);
    let again = |moved: GuestId| RuleId::RulesKept.still_holds(&snapshot, &meets, &[moved].into());
    broken(&again(GuestId::vm(101)), "meet on pve2");
    assert_eq!(again(GuestId::vm(103)), RuleOutcome::Holds, "no rule names it");
}

#[test]
fn ceph_redundancy_counts_monitors_and_the_osds_of_nodes_that_are_down() {
    let rule = RuleId::CephRedundancy;
    let mut alone = cluster();
    ceph_mut(&mut alone).mon_quorum = ["pve1".to_owned()].into();
    broken(&ask(rule, &alone, None, &[]), "1 of 3 Ceph monitors are left");
    let mut none = cluster();
    ceph_mut(&mut none).daemons.clear();
    unknown_for(&ask(rule, &none, None, &[]), Evidence::CephRedundancy(CopiesAtRisk::NoMonitorSeen));
    // An OSD that an administrator has taken out may stay down.
    let mut out = cluster();
    let osd = ceph_mut(&mut out).osds.get_mut(&crate::ids::OsdId(4)).unwrap();
    (osd.up, osd.weighted_in) = (false, false);
    assert_eq!(ask(rule, &out, None, &[]), RuleOutcome::Holds);
    // OSDs of the current node may be down although the node is up: it is about to reboot, or has just done so.
    let mut current = cluster();
    set(Noout::by_host(name("pve1"))).after(&mut current);
    ceph_mut(&mut current).osds.get_mut(&crate::ids::OsdId(0)).unwrap().up = false;
    broken(&ask(rule, &current, None, &[]), "osd.0 is down although pve1 is up");
    assert_eq!(ask(rule, &current, Some("pve1"), &[]), RuleOutcome::Holds);
    ceph_mut(&mut current).osds_ok_to_stop.insert(name("pve1"), gap());
    unknown(&ask(rule, &current, Some("pve1"), &[]));
    // With its node up and noout not set, it has failed: that the others' flag is missing would say nothing.
    let mut failed = cluster();
    ceph_mut(&mut failed).osds.get_mut(&crate::ids::OsdId(0)).unwrap().up = false;
    broken(&ask(rule, &failed, Some("pve1"), &[]), "osd.0 is down although pve1 is up");
    // One that is given up is not missed, whoever is the current node, and comes back with no node.
    let mut dead = cluster();
    let osd = ceph_mut(&mut dead).osds.get_mut(&crate::ids::OsdId(0)).unwrap();
    (osd.up, osd.weighted_in) = (false, false);
    assert_eq!(ask(rule, &dead, Some("pve1"), &[]), RuleOutcome::Holds);
    // Two nodes down are one too many, whatever else is as it should be.
    let mut two = cluster();
    for node in ["pve1", "pve2"] {
        set(Noout::by_host(name(node))).after(&mut two);
        node_mut(&mut two, node).online = Known(false);
    }
    let down = CopiesAtRisk::NodesDown { nodes: [name("pve1"), name("pve2")].into() };
    broken_by(&ask(rule, &two, Some("pve1"), &[]), Evidence::CephRedundancy(down));
}

#[test]
fn ceph_order_needs_the_release_of_every_monitor_that_counts_and_of_no_other() {
    let rule = RuleId::CephOrder;
    let silent = |snapshot: &mut Snapshot, kind: DaemonKind| {
        let daemons = ceph_mut(snapshot).daemons.iter_mut();
        daemons.filter(|daemon| daemon.kind == kind && daemon.node == name("pve3")).for_each(|it| it.version = None);
    };
    let mut monitor = cluster();
    silent(&mut monitor, DaemonKind::Mon);
    let not_known = CephOutOfOrder::ReleaseNotKnown { daemon: "monitor pve3".to_owned() };
    unknown_for(&ask(rule, &monitor, None, &[]), Evidence::CephOrder(not_known));
    ceph_mut(&mut monitor).mon_quorum.remove("pve3");
    assert_eq!(ask(rule, &monitor, None, &[]), RuleOutcome::Holds, "it does not run");
    let mut manager = cluster();
    silent(&mut manager, DaemonKind::Mgr);
    assert_eq!(ask(rule, &manager, None, &[]), RuleOutcome::Holds);
    let mut down = cluster();
    let osd = ceph_mut(&mut down).osds.get_mut(&crate::ids::OsdId(0)).unwrap();
    (osd.version, osd.up) = (None, false);
    assert_eq!(ask(rule, &down, None, &[]), RuleOutcome::Holds, "one that is down reports nothing");
    let mut offline = cluster();
    silent(&mut offline, DaemonKind::Mon);
    node_mut(&mut offline, "pve3").online = Known(false);
    assert_eq!(ask(rule, &offline, None, &[]), RuleOutcome::Holds, "its node is down");
}

#[test]
fn corosync_one_at_a_time_counts_absent_members_and_links_each_alone() {
    let rule = RuleId::CorosyncOneAtATime;
    // Two nodes that are upgrading are both absent at some moment.
    let mut two = cluster();
    upgrading(&mut two, "pve1");
    upgrading(&mut two, "pve2");
    broken(&ask(rule, &two, None, &[]), "absent, or being upgraded: pve1, pve2");
    // One that is offline, and one that another member does not see.
    let mut unseen = cluster();
    node_mut(&mut unseen, "pve3").online = Known(false);
    assert_eq!(ask(rule, &unseen, None, &[]), RuleOutcome::Holds);
    view_mut(&mut unseen, "pve1").members.remove(&name("pve2"));
    broken(&ask(rule, &unseen, None, &[]), "pve2, pve3");
    // A link that is not even listed is down.
    let mut missing = cluster();
    view_mut(&mut missing, "pve2").links.get_mut(&name("pve3")).unwrap().pop();
    broken(&ask(rule, &missing, None, &[]), "pve2 reaches pve3 over 1 of 2 links");
    let mut none = cluster();
    for viewer in NODES {
        view_mut(&mut none, viewer).configured_links = 0;
    }
    view_mut(&mut none, "pve2").links.remove(&name("pve3"));
    broken(&ask(rule, &none, None, &[]), "pve2 reaches pve3 over 0 of 1 links");
}

#[test]
fn votes_lowered_only_if_confirmed_off_counts_the_votes_of_a_device_that_casts() {
    let rule = RuleId::VotesLoweredOnlyIfConfirmedOff;
    let with = |casting: bool| {
        let mut snapshot = cluster();
        for node in NODES {
            view_mut(&mut snapshot, node).qdevice = Some(Qdevice { votes: 1, casting });
        }
        ask(rule, &snapshot, None, &[])
    };
    broken(&with(true), "pve1 expects 3 votes, configured are 4");
    assert_eq!(with(false), RuleOutcome::Holds);
}

#[test]
fn fence_safe_is_about_nodes_whose_watchdog_is_armed() {
    let rule = RuleId::FenceSafe;
    let not_quorate = || {
        let mut snapshot = cluster();
        view_mut(&mut snapshot, "pve2").quorate = false;
        snapshot
    };
    for state in ["active", "lost_agent_lock", "maintenance"] {
        let mut armed = not_quorate();
        ha_mut(&mut armed).lrm.get_mut(&name("pve2")).unwrap().state = state.to_owned();
        broken(&ask(rule, &armed, None, &[]), "pve2 has active HA");
    }
    let mut disarmed = not_quorate();
    ha_mut(&mut disarmed).armed = Some(ArmedState::Disarmed);
    assert_eq!(ask(rule, &disarmed, None, &[]), RuleOutcome::Holds);
    // Maintenance mode disarms a node only once it is empty.
    let mut drained = not_quorate();
    ha_mut(&mut drained).nodes.insert(name("pve2"), HaNodeState::Maintenance);
    broken(&ask(rule, &drained, None, &[]), "pve2 has active HA");
    ha_mut(&mut drained).services.retain(|_, service| service.node != Some(name("pve2")));
    assert_eq!(ask(rule, &drained, None, &[]), RuleOutcome::Holds);
    let mut unseen = cluster();
    unseen.quorum.remove(&name("pve2"));
    let not_read = ArmedWithoutQuorum::ViewNotRead { node: name("pve2") };
    unknown_for(&ask(rule, &unseen, None, &[]), Evidence::FenceSafe(not_read));
}
