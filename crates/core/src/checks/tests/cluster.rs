//! Checks about the whole cluster: each fires in one snapshot and not in the healthy one.

use super::super::*;
use super::{fires, run};
use crate::ids::{DriverId, GuestId, UnixMs};
use crate::invariants::sample::*;
use crate::observed::Observed::Known;
use crate::policy::GuestPolicy;
use crate::snapshot::*;
use crate::steps::{Maintenance, set};
use crate::version::Version;

#[test]
fn every_check_has_its_own_id_an_explanation_and_kinds_with_names_of_their_own() {
    let rules = crate::invariants::ALL.iter().map(|rule| rule.id());
    let ids: std::collections::BTreeSet<&str> = ALL.iter().map(|check| check.id).chain(rules).collect();
    assert_eq!(ids.len(), ALL.len() + crate::invariants::ALL.len(), "a check is called like another, or like a rule");
    for check in ALL {
        assert!(check.explain.len() > 150, "{} explains too little", check.id);
        let kinds = check.kinds();
        assert!(!kinds.is_empty() && kinds.iter().all(|kind| kind.chars().all(|c| c.is_ascii_lowercase() || c == '-')));
        if let Waivable::Except(kind, _) = check.waivable {
            assert!(kinds.iter().any(|one| one == kind), "{} finds no {kind}", check.id);
        }
    }
}

#[test]
fn a_finding_is_found_again_by_its_id_and_not_by_its_words() {
    let mut snapshot = cluster();
    node_mut(&mut snapshot, "pve1").root_free_bytes = Known(1 << 30);
    let [full] = &run("disk-space", &snapshot)[..] else { panic!() };
    assert_eq!(full.id(), "disk-space/root-full");
    let again: Finding = serde_json::from_str(&serde_json::to_string(full).unwrap()).unwrap();
    assert_eq!(again, *full);
}

#[test]
fn a_healthy_cluster_asks_for_consent_to_a_restart_and_for_nothing_worse() {
    let found = run_all(&cluster(), &Policy::default(), Asked::BeforeARun);
    let above_info: Vec<&Finding> = found.iter().filter(|finding| finding.severity > Severity::Info).collect();
    assert_eq!(above_info.len(), 1, "{above_info:#?}");
    assert_eq!((above_info[0].check.as_str(), above_info[0].severity), ("guest-outcome", Severity::Consent));
    assert!(found.iter().all(|finding| !finding.remedy.is_empty() && !finding.problem.is_empty()));
}

#[test]
fn findings_come_worst_first_and_in_the_same_order_every_time() {
    let mut snapshot = cluster();
    crash(&mut snapshot, "pve3");
    node_mut(&mut snapshot, "pve1").root_free_bytes = Known(4 << 30);
    let found = run_all(&snapshot, &Policy::default(), Asked::BeforeARun);
    assert!(found.windows(2).all(|pair| pair[0].severity >= pair[1].severity));
    assert_eq!(found, run_all(&snapshot, &Policy::default(), Asked::BeforeARun));
}

#[test]
fn in_a_run_only_those_checks_are_made_that_are_asked_before_each_node() {
    let mut snapshot = cluster();
    crash(&mut snapshot, "pve3");
    node_mut(&mut snapshot, "pve1").root_free_bytes = Known(1 << 20);
    let found = |when: Asked| run_all(&snapshot, &Policy::default(), when);
    let (before, between) = (found(Asked::BeforeARun), found(Asked::BeforeEachNode));
    let of_each_node = |finding: &&Finding| asked(&finding.check) == Asked::BeforeEachNode;
    assert!(before.iter().any(|finding| finding.check == "one-node-out"));
    assert_eq!(between.iter().collect::<Vec<_>>(), before.iter().filter(of_each_node).collect::<Vec<_>>());
    assert!(between.iter().any(|finding| finding.check == "disk-space"), "{between:?}");
}

#[test]
fn nothing_seen_is_blocking_and_never_good() {
    let found = run_all(&Snapshot::empty(UnixMs(0)), &Policy::default(), Asked::BeforeARun);
    assert!(found.iter().any(|finding| finding.severity == Severity::Blocking && finding.check == "unknown-readings"));
}

#[test]
fn unknown_readings_blocks_on_what_decisions_depend_on() {
    let mut snapshot = cluster();
    snapshot.ceph = gap();
    fires("unknown-readings", &snapshot, Severity::Blocking, "ceph is not known: GET /nodes on pve1: timed out");
    let mut snapshot = cluster();
    node_mut(&mut snapshot, "pve2").uptime_s = gap();
    fires("unknown-readings", &snapshot, Severity::Warning, "nodes/pve2/uptime_s is not known");
    let mut snapshot = cluster();
    guest_mut(&mut snapshot, GuestId::vm(103)).migration = gap();
    guest_mut(&mut snapshot, GuestId::ct(201)).migration = gap();
    fires(
        "unknown-readings",
        &snapshot,
        Severity::Blocking,
        "guests/vm:103/migration, guests/ct:201/migration are not",
    );
    let mut snapshot = cluster();
    guest_mut(&mut snapshot, GuestId::vm(900)).migration = gap();
    fires("unknown-readings", &snapshot, Severity::Info, "guests/vm:900/migration");
    // A node that is offline is reported by the rule one-node-out.
    let mut snapshot = cluster();
    crash(&mut snapshot, "pve3");
    assert_eq!(run("unknown-readings", &snapshot), []);
}

#[test]
fn all_guests_visible_compares_the_api_with_the_node_itself() {
    let mut snapshot = cluster();
    snapshot.sees_all_guests = Known(false);
    fires("all-guests-visible", &snapshot, Severity::Blocking, "VM.Audit on /vms is missing");
    let mut snapshot = cluster();
    snapshot.guests.remove(&GuestId::vm(103));
    fires("all-guests-visible", &snapshot, Severity::Blocking, "vm:103 is on pve1 and missing");
}

#[test]
fn token_privileges_names_each_that_is_missing() {
    let mut snapshot = cluster();
    snapshot.missing_privileges = Known(vec!["/vms VM.Migrate".to_owned()]);
    fires("token-privileges", &snapshot, Severity::Blocking, "the token lacks /vms VM.Migrate");
    // What only some policies need is asked for with these.
    let mut snapshot = cluster();
    snapshot.missing_for_volumes = Known(vec!["/storage Datastore.AllocateSpace".to_owned()]);
    let check = by_id("token-privileges").unwrap();
    assert_eq!(check.run(&snapshot, &Policy::default()), []);
    let vm = *snapshot.guests.keys().next().unwrap();
    let hibernates = Policy { guests: [(vm, GuestPolicy::Hibernate)].into(), ..Policy::default() };
    let mapped = Policy { storage_map: vec![["a".into(), "b".into()].into()], ..Policy::default() };
    for policy in [&hibernates, &mapped] {
        assert!(check.run(&snapshot, policy)[0].problem.contains("lacks /storage Datastore.AllocateSpace"));
    }
    snapshot.missing_for_volumes = crate::observed::Observed::unknown("GET /access/permissions", "timed out");
    assert!(check.run(&snapshot, &mapped)[0].problem.contains("is not known: GET /access/permissions"));
    let found = by_id("policy-names").unwrap().run(&snapshot, &mapped);
    assert!(found[0].severity == Severity::Blocking && found[0].problem.contains("names a, which is no storage"));
}

#[test]
fn driver_lock_tells_a_live_driver_from_a_dead_one() {
    let mut snapshot = cluster();
    let lock = |age_s: u64| {
        let renewed = UnixMs(1_000_000_000 - age_s * 1000);
        let (run, holder, id) = ("ab12".to_owned(), "ann on laptop".to_owned(), DriverId::drawn(1));
        let head = JournalHead { seq: 7, hash: "ab".to_owned() };
        let journal = "cd".to_owned();
        DriverLock { run, holder, id, head, journal, renewed, released: false, ended: false }
    };
    snapshot.driver = Known(Some(lock(10)));
    fires("driver-lock", &snapshot, Severity::Blocking, "ann on laptop");
    // What the other run has under way looks like damage; a remedy for it would be against that run.
    set(Maintenance { node: name("pve1") }).after(&mut snapshot);
    node_mut(&mut snapshot, "pve2").online = Known(false);
    let checks = |snapshot: &Snapshot| {
        let found = run_all(snapshot, &Policy::default(), Asked::BeforeARun);
        found.into_iter().map(|finding| finding.check).collect::<std::collections::BTreeSet<String>>()
    };
    assert_eq!(checks(&snapshot), std::collections::BTreeSet::from(["driver-lock".to_owned()]));
    snapshot.driver = Known(None);
    assert!(checks(&snapshot).contains("one-node-out"));
    for left in [lock(5000), DriverLock { released: true, ..lock(10) }] {
        snapshot.driver = Known(Some(left));
        fires("driver-lock", &snapshot, Severity::Warning, "run ab12 was left unfinished by ann on laptop");
    }
    snapshot.driver = Known(Some(DriverLock { released: true, ended: true, ..lock(10) }));
    assert_eq!(run("driver-lock", &snapshot), []);
}

#[test]
fn spare_votes_counts_what_may_be_lost_in_addition() {
    let mut snapshot = cluster();
    view_mut(&mut snapshot, "pve1").qdevice = Some(Qdevice { votes: 1, casting: false });
    fires("spare-votes", &snapshot, Severity::Warning, "the QDevice gives pve1 no vote");
    let mut snapshot = cluster();
    node_mut(&mut snapshot, "pve3").online = Known(false);
    view_mut(&mut snapshot, "pve3").quorate = false;
    fires("spare-votes", &snapshot, Severity::Blocking, "pve3 is not quorate");
    let healthy = run("spare-votes", &cluster());
    assert!(healthy[0].problem.contains("at least 2 votes are left, 2 are needed, 0 to spare"), "{healthy:#?}");
}

#[test]
fn corosync_links_sees_a_single_one() {
    let mut snapshot = cluster();
    for node in NODES {
        let view = view_mut(&mut snapshot, node);
        view.configured_links = 1;
        view.links.values_mut().for_each(|links| links.truncate(1));
    }
    fires("corosync-links", &snapshot, Severity::Warning, "one link only");
    assert_eq!(run("corosync-links", &snapshot).len(), 1);
}

#[test]
fn ha_keeps_its_note_of_a_move_back_that_it_never_makes() {
    let stale = |change: &dyn Fn(&mut Ha)| {
        let mut snapshot = cluster();
        let ha = ha_mut(&mut snapshot);
        let service = ha.services.get_mut(&GuestId::vm(101)).unwrap();
        (service.maintenance_node, service.failback) = (Some(name("pve3")), true);
        change(ha);
        assert_eq!(run("ha-state", &snapshot), []);
    };
    stale(&|ha| ha.services.get_mut(&GuestId::vm(101)).unwrap().failback = false);
    let prefers = NodeAffinity {
        id: "home".to_owned(),
        guests: [GuestId::vm(101)].into(),
        nodes: [(name("pve1"), 2), (name("pve3"), 1)].into(),
        strict: false,
    };
    stale(&|ha| ha.rules.push(AffinityRule::Node(prefers.clone())));
}

#[test]
fn ha_state_requires_a_manager_that_is_alive_and_idle() {
    let fires = |change: &dyn Fn(&mut Ha), severity, words| {
        let mut snapshot = cluster();
        change(ha_mut(&mut snapshot));
        fires("ha-state", &snapshot, severity, words);
    };
    let blocking = Severity::Blocking;
    let service =
        |ha: &mut Ha, change: &dyn Fn(&mut HaService)| change(ha.services.get_mut(&GuestId::vm(101)).unwrap());
    fires(&|ha| service(ha, &|it| it.state = Some(HaServiceState::Error)), blocking, "HA has given vm:101 up");
    fires(&|ha| service(ha, &|it| it.state = Some(HaServiceState::Migrate)), blocking, "still working on vm:101");
    fires(&|ha| service(ha, &|it| it.state = None), blocking, "not picked vm:101 up");
    let goes_back = |it: &mut HaService| (it.maintenance_node, it.failback) = (Some(name("pve3")), true);
    fires(&|ha| service(ha, &goes_back), blocking, "move back to pve3");
    fires(&|ha| ha.master_seen = Some(UnixMs(0)), blocking, "wrote its state 1000000 s ago");
    fires(&|ha| ha.master = None, blocking, "no master");
    fires(&|ha| ha.armed = Some(ArmedState::Disarmed), blocking, "disarmed");
    fires(
        &|ha| ha.lrm.get_mut(&name("pve2")).unwrap().state = "lost_agent_lock".to_owned(),
        blocking,
        "lost its HA lock",
    );
}

#[test]
fn ha_state_is_silent_about_an_idle_manager_and_ignored_services() {
    let mut snapshot = cluster();
    let ha = ha_mut(&mut snapshot);
    for service in ha.services.values_mut() {
        (service.request, service.state) = (HaRequest::Ignored, Some(HaServiceState::Error));
    }
    assert_eq!(run("ha-state", &snapshot), []);
    snapshot.ha = Known(Ha::default());
    assert_eq!(run("ha-state", &snapshot), []);
    snapshot.options.known_mut().unwrap().ha_auto_rebalance = true;
    fires("ha-state", &snapshot, Severity::Info, "rebalances by itself");
}

#[test]
fn ha_rules_finds_rules_that_cannot_hold_with_a_node_out() {
    let mut snapshot = cluster();
    let all = [GuestId::vm(101), GuestId::vm(102), GuestId::vm(103)];
    let service = ha_mut(&mut snapshot).services[&all[0]].clone();
    let ha = ha_mut(&mut snapshot);
    ha.services.insert(all[2], service);
    ha.rules =
        vec![AffinityRule::Resource(ResourceAffinity { id: "three".to_owned(), guests: all.into(), together: false })];
    fires("ha-rules", &snapshot, Severity::Blocking, "HA rule three: vm:101, vm:102, vm:103 are kept apart");
    let strict = NodeAffinity {
        id: "only".to_owned(),
        guests: [all[0]].into(),
        nodes: [(name("pve1"), 1)].into(),
        strict: true,
    };
    ha_mut(&mut snapshot).rules = vec![AffinityRule::Node(strict)];
    fires("ha-rules", &snapshot, Severity::Blocking, "vm:101 may be on one node only");
}

#[test]
fn shutdown_policy_is_reported_when_it_is_not_the_default() {
    let mut snapshot = cluster();
    snapshot.options.known_mut().unwrap().ha_shutdown_policy = Some("migrate".to_owned());
    fires("shutdown-policy", &snapshot, Severity::Info, "migrate");
    assert_eq!(run("shutdown-policy", &cluster()), []);
}

#[test]
fn ceph_health_goes_by_the_names_of_its_checks() {
    let check = CephHealthCheck {
        severity: HealthLevel::Warn,
        message: "some words".to_owned(),
        muted: false,
        accepted: false,
    };
    let with = |change: &dyn Fn(&mut Ceph)| {
        let mut snapshot = cluster();
        change(ceph_mut(&mut snapshot));
        snapshot
    };
    let fires = |change: &dyn Fn(&mut Ceph), severity, words| fires("ceph-health", &with(change), severity, words);
    let raised = |code: &'static str, muted: bool| {
        let check = CephHealthCheck { muted, ..check.clone() };
        move |ceph: &mut Ceph| drop(ceph.checks.insert(code.to_owned(), check.clone()))
    };
    fires(&raised("RECENT_CRASH", false), Severity::Info, "RECENT_CRASH");
    fires(&raised("MON_DOWN", true), Severity::Info, "MON_DOWN (muted)");
    assert_eq!(run("ceph-health", &with(&raised("OSDMAP_FLAGS", false))), [], "the flag itself is reported");
    fires(
        &|ceph| {
            let _ = ceph.flags.insert("noout".to_owned());
        },
        Severity::Info,
        "respected and not cleared",
    );
    fires(
        &|ceph| {
            let _ = ceph.flags.insert("norebalance".to_owned());
        },
        Severity::Warning,
        "norebalance",
    );
    fires(
        &|ceph| drop(ceph.node_flags.insert("pve1".to_owned(), ["noout".to_owned()].into())),
        Severity::Warning,
        "pve1",
    );
    fires(
        &|ceph| ceph.daemons.retain(|it| it.kind != DaemonKind::Mgr || it.name == "pve1"),
        Severity::Warning,
        "no standby",
    );
    assert_eq!(run("ceph-health", &cluster()), []);
}

#[test]
fn ceph_versions_forbids_another_major_and_accepts_another_build() {
    let mut snapshot = cluster();
    ceph_mut(&mut snapshot).daemons[0].version = Some(Version::from("19.2.2"));
    fires("ceph-versions", &snapshot, Severity::Info, "different builds");
    ceph_mut(&mut snapshot).daemons[0].version = Some(Version::from("18.2.7"));
    fires("ceph-versions", &snapshot, Severity::Blocking, "different major releases");
    let mut snapshot = cluster();
    let packages = node_mut(&mut snapshot, "pve2").packages.known_mut().unwrap();
    packages.pending.push(pending("ceph-osd", "19.2.3-pve4", "20.2.1-pve1"));
    fires("ceph-versions", &snapshot, Severity::Blocking, "pve2 would bring Ceph 20.2.1");
}

#[test]
fn shared_network_warns_where_migrations_can_starve_the_heartbeat() {
    let network = |text: &str| {
        let mut snapshot = cluster();
        snapshot.options.known_mut().unwrap().migration_network = Some(text.to_owned());
        snapshot
    };
    fires("shared-network", &network("10.0.0.0/16"), Severity::Warning, "all corosync links of pve1, pve2, pve3");
    assert_eq!(run("shared-network", &network("10.0.1.0/24")), [], "the other link is free of it");
    assert_eq!(run("shared-network", &network("10.9.0.0/16")), []);
    assert_eq!(run("shared-network", &network("fd00::/8")), []);
    for odd in ["", "10.0.0.0", "10.0.0.0/99", "x/8", "::/0"] {
        assert_eq!(run("shared-network", &network(odd)), [], "{odd}");
    }
    fires("shared-network", &network("0.0.0.0/0"), Severity::Warning, "all corosync links");
}

#[test]
fn shared_network_warns_with_pves_default_which_is_the_nodes_own_address() {
    let own = |ip: &str, prefix| {
        let mut snapshot = cluster();
        let ip: core::net::IpAddr = ip.parse().unwrap();
        let network = &mut node_mut(&mut snapshot, "pve1").host.network;
        network.own = Known(ip);
        network.addresses = Known(vec![Address { interface: "vmbr0".to_owned(), ip, prefix, mtu: 1500 }]);
        snapshot
    };
    fires(
        "shared-network",
        &own("10.0.9.1", 8),
        Severity::Warning,
        "links of pve1 are in the network of the node's own",
    );
    assert_eq!(run("shared-network", &own("10.0.1.1", 24)), [], "the other link is free of it");
    let mut one_link = own("10.0.1.1", 24);
    let view = one_link.quorum.get_mut(&name("pve1")).unwrap().known_mut().unwrap();
    view.link_addresses = vec!["10.0.1.1".to_owned()];
    fires("shared-network", &one_link, Severity::Warning, "no network of their own migrations go there");
    assert_eq!(run("shared-network", &own("192.0.2.1", 24)), []);
}

#[test]
fn migration_ways_names_the_node_without_an_address_and_the_way_that_is_closed() {
    let addresses = |text: &str, own: &[&str]| {
        let mut snapshot = cluster();
        snapshot.options.known_mut().unwrap().migration_network = Some(text.to_owned());
        let address = |ip: &&str| Address { interface: "eno2".into(), ip: ip.parse().unwrap(), prefix: 24, mtu: 1500 };
        for node in snapshot.nodes.values_mut() {
            let own = if node.name.as_str() == "pve2" { own } else { &["10.99.0.1", "192.0.2.1"] };
            node.host.network.addresses = Known(own.iter().map(address).collect());
        }
        snapshot
    };
    let no_address = addresses("10.99.0.0/24", &["192.0.2.2"]);
    fires(
        "migration-ways",
        &no_address,
        Severity::Blocking,
        "pve2 has no address in the migration network 10.99.0.0/24",
    );
    assert_eq!(run("migration-ways", &no_address).len(), 1);
    let two = addresses("10.99.0.0/24", &["10.99.0.2", "10.99.0.3"]);
    fires("migration-ways", &two, Severity::Blocking, "pve2 has 2 addresses in the migration network");
    assert_eq!(run("migration-ways", &addresses("10.99.0.0/24", &["10.99.0.2", "10.99.0.2"])), []);
    let mut no_guests = no_address;
    no_guests.guests.clear();
    assert_eq!(run("migration-ways", &no_guests), [], "nothing is to move");

    let way = |failed: Option<&str>, lost_packets| {
        let mut snapshot = cluster();
        let login = Login { at: "10.0.1.2".parse().unwrap(), failed: failed.map(str::to_owned) };
        let way = Way { logins: vec![login], lost_packets };
        node_mut(&mut snapshot, "pve1").host.network.ways = Known([(name("pve2"), way)].into());
        snapshot
    };
    let words = "pve1 cannot log in at pve2 (10.0.1.2) as PVE does to move a guest: Host key verification failed.";
    fires("migration-ways", &way(Some("Host key verification failed."), None), Severity::Blocking, words);
    fires("migration-ways", &way(None, Some(9000)), Severity::Blocking, "packets of 9000 bytes from pve1 do not reach");
    assert_eq!(run("migration-ways", &way(None, None)), []);
}

#[test]
fn copies_of_ceph_on_the_networks_of_all_corosync_links_of_a_node_are_reported() {
    let serving_at = |addresses: &[&str]| {
        let mut snapshot = cluster();
        let osd = ceph_mut(&mut snapshot).osds.values_mut().find(|osd| osd.node.as_str() == "pve1").unwrap();
        osd.addresses = addresses.iter().map(|text| text.parse().unwrap()).collect();
        snapshot
    };
    fires("shared-network", &serving_at(&["10.0.1.1", "10.0.2.1"]), Severity::Warning, "links of pve1 are addresses");
    assert_eq!(run("shared-network", &serving_at(&["10.0.1.1"])), [], "the other link is free of it");
    assert_eq!(run("shared-network", &serving_at(&["10.9.0.1"])), []);
}

#[test]
fn an_ha_resource_without_a_guest_is_taken_out_and_not_waited_for() {
    let gone = GuestId::vm(199);
    let mut left = cluster();
    ha_mut(&mut left).left_over.insert(gone);
    fires("ha-state", &left, Severity::Warning, "there is no such guest");
    let mut managed = cluster();
    let any = ha_mut(&mut managed).services.values().next().unwrap().clone();
    ha_mut(&mut managed).services.insert(gone, HaService { state: Some(HaServiceState::Error), ..any });
    fires("ha-state", &managed, Severity::Blocking, "HA still manages vm:199");
    for snapshot in [left, managed.clone()] {
        let found = run("ha-state", &snapshot);
        assert!(found.iter().all(|one| one.remedy.contains("ha-manager remove vm:199")), "{found:#?}");
    }
    // Where guests may be missing from the list, none is called gone.
    managed.sees_all_guests = Known(false);
    assert!(run("ha-state", &managed).iter().all(|one| one.kind != "guest-gone"));
}

#[test]
fn a_guest_of_a_removed_node_is_a_warning_with_both_ways_out() {
    let mut snapshot = cluster();
    snapshot.orphans.insert(GuestId::ct(900), "pve-old".into());
    fires("orphaned-guests", &snapshot, Severity::Warning, "ct:900 is left below /etc/pve/nodes/pve-old");
    let remedy = &run("orphaned-guests", &snapshot)[0].remedy;
    for way in [
        "mv /etc/pve/nodes/pve-old/lxc/900.conf /etc/pve/nodes/pve1/lxc/900.conf",
        "rm /etc/pve/nodes/pve-old/lxc/900.conf",
    ] {
        assert!(remedy.contains(way), "{remedy}");
    }
}

#[test]
fn a_qdevice_is_recommended_for_even_numbers_of_nodes_without_one_only() {
    let advice = |nodes: usize, device: Option<Qdevice>| {
        let names: Vec<String> = (1..=nodes).map(|number| format!("pve{number}")).collect();
        let mut snapshot = crate::fixture::Fixture::cluster(nodes as u32).snapshot();
        for name in &names {
            let view = snapshot.quorum.get_mut(&crate::ids::NodeName::new(name.clone())).unwrap().known_mut().unwrap();
            view.qdevice = device;
            view.quorum = view.total_votes - 1;
        }
        let found = run("spare-votes", &snapshot);
        found.into_iter().find(|one| one.kind == "none-to-spare").unwrap().remedy
    };
    assert!(advice(4, None).contains("pvecm qdevice setup"));
    assert!(!advice(3, None).contains("pvecm") && advice(3, None).contains("advised against"));
    let device = Qdevice { votes: 1, casting: true };
    assert!(!advice(4, Some(device)).contains("pvecm"));
}

#[test]
fn an_osd_that_is_down_and_out_is_a_warning_and_so_is_one_that_never_ran() {
    let mut snapshot = cluster();
    let osd = ceph_mut(&mut snapshot).osds.get_mut(&crate::ids::OsdId(4)).unwrap();
    (osd.up, osd.weighted_in) = (false, false);
    ceph_mut(&mut snapshot).never_ran.insert(crate::ids::OsdId(40));
    fires("ceph-health", &snapshot, Severity::Warning, "osd.4 of");
    fires("ceph-health", &snapshot, Severity::Warning, "osd.40 is down and out and has never run");
}

#[test]
fn a_group_of_pve_8_is_opened_by_its_own_command_and_not_by_that_of_a_rule() {
    let mut snapshot = cluster();
    let node = NodeAffinity {
        id: "only".to_owned(),
        guests: [GuestId::vm(101)].into(),
        nodes: [(name("pve1"), 0)].into(),
        strict: true,
    };
    ha_mut(&mut snapshot).rules = vec![AffinityRule::Node(node)];
    let remedy = |snapshot: &Snapshot| run("ha-rules", snapshot)[0].remedy.clone();
    assert!(remedy(&snapshot).contains("ha-manager rules set node-affinity only --disable 1"));
    for node in snapshot.nodes.values_mut() {
        node.pve_version = Known(Version::from("8.4.14"));
    }
    assert!(remedy(&snapshot).contains("ha-manager groupset only --restricted 0"), "{}", remedy(&snapshot));
}
