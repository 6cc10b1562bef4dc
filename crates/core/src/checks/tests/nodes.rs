//! Checks about single nodes: each fires in one snapshot and not in the healthy one.

use super::super::*;
use super::{fires, run};
use crate::invariants::sample::*;
use crate::observed::Observed::{self, Known};
use crate::snapshot::*;
use crate::version::Version;

fn with(node: &str, change: impl FnOnce(&mut Node)) -> Snapshot {
    let mut snapshot = cluster();
    change(node_mut(&mut snapshot, node));
    snapshot
}

fn packages(node: &mut Node) -> &mut Packages {
    node.packages.known_mut().unwrap()
}

#[test]
fn node_versions_accepts_builds_and_forbids_majors() {
    let snapshot = with("pve2", |node| node.pve_version = Known(Version::from("9.1.4")));
    fires("node-versions", &snapshot, Severity::Info, "9.1.1 on pve1, pve3; 9.1.4 on pve2");
    let snapshot = with("pve2", |node| node.pve_version = Known(Version::from("8.4.14")));
    fires("node-versions", &snapshot, Severity::Blocking, "major releases of PVE");
    let snapshot = with("pve2", |node| packages(node).pending = vec![pending("pve-manager", "9.1.1", "10.0.1")]);
    fires("node-versions", &snapshot, Severity::Blocking, "to 10.0.1: a major upgrade");
}

#[test]
fn pending_updates_says_what_there_is_to_do_and_what_would_be_removed() {
    let healthy = run("pending-updates", &cluster());
    assert!(healthy[0].problem.contains("pve1 has 4 updates pending, with kernel 6.17.4-1-pve"), "{healthy:#?}");
    let snapshot = with("pve1", |node| packages(node).pending.clear());
    fires("pending-updates", &snapshot, Severity::Info, "pve1 is up to date, by package lists that are 1 min old");
    let snapshot = with("pve1", |node| {
        packages(node).pending.clear();
        node.kernel.known_mut().unwrap().installed.push(Version::from("6.17.9-1-pve"));
    });
    fires("pending-updates", &snapshot, Severity::Info, "kernel 6.17.9-1-pve waits for a reboot");
    let snapshot =
        with("pve1", |node| packages(node).removals = vec!["proxmox-ve".to_owned(), "pve-manager".to_owned()]);
    fires("pending-updates", &snapshot, Severity::Blocking, "would remove proxmox-ve");
    let snapshot = with("pve1", |node| packages(node).removals = vec!["libold1".to_owned()]);
    fires("pending-updates", &snapshot, Severity::Warning, "would remove libold1");
}

/// What runs, what is installed and what is offered: nothing is offered here, and each node has something to do.
#[test]
fn a_node_that_does_not_run_what_it_has_installed_is_not_up_to_date() {
    let with = |change: fn(&mut Node)| {
        with("pve1", |node| {
            packages(node).pending.clear();
            change(node);
        })
    };
    let told = |snapshot: &Snapshot, words: &str| {
        fires("pending-updates", snapshot, Severity::Info, words);
        assert_eq!(snapshot.is_up_to_date(&snapshot.nodes[&"pve1".into()]), Some(false));
    };
    told(&with(|node| node.running_manager = Known("9.1.0".into())), "run pve-manager 9.1.0, 9.1.1 is installed");
    told(&with(|node| node.reboot_required = Known(Some(vec!["libc6".to_owned()]))), "/run/reboot-required: libc6");
    let mut by_hand = with(|_| ());
    assert_eq!(by_hand.is_up_to_date(&by_hand.nodes[&"pve1".into()]), Some(true));
    ceph_mut(&mut by_hand).installed.insert("pve1".into(), "19.2.4".into());
    told(&by_hand, "19.2.4 is installed");
}

#[test]
fn a_disk_that_may_not_come_up_again_is_found_before_its_node_goes_down() {
    let pool =
        |name: &str, state: &str| ZfsPool { name: name.into(), state: state.into(), says: "A disk is gone.".into() };
    let with_pools = |root: &str, pools: Vec<ZfsPool>| {
        with("pve2", |node| {
            node.host.disks.root = Known(root.to_owned());
            node.host.disks.pools = Known(pools);
        })
    };
    let mirrored = with_pools("rpool/ROOT/pve-1", vec![pool("rpool", "DEGRADED"), pool("tank", "FAULTED")]);
    let system = "ZFS pool rpool of pve2, with its system, is DEGRADED: A disk is gone.";
    fires("disk-health", &mirrored, Severity::Blocking, system);
    fires("disk-health", &mirrored, Severity::Blocking, "ZFS pool tank of pve2 is FAULTED: A disk is gone.");
    let counted = with_pools("/dev/mapper/pve-root", vec![pool("tank", "ONLINE")]);
    fires("disk-health", &counted, Severity::Warning, "ZFS pool tank of pve2: A disk is gone.");

    let array = |active, disks| {
        let array = MdArray { name: "md0".into(), active, disks };
        with("pve2", |node| node.host.disks.arrays = Known(vec![array]))
    };
    fires("disk-health", &array(true, Some((3, 2))), Severity::Blocking, "array md0 of pve2 has 2 of its 3 disks");
    fires("disk-health", &array(false, None), Severity::Blocking, "array md0 of pve2 is not running");
    assert_eq!(run("disk-health", &array(true, Some((2, 2)))), []);
    assert_eq!(run("disk-health", &array(true, None)), [], "a kind without redundancy");
}

#[test]
fn what_smart_and_multipath_say_is_found_and_what_they_cannot_say_is_not() {
    let disk = |health: &str| {
        let disk = Disk { device: "/dev/sda".into(), model: "X".into(), serial: "1".into(), health: health.into() };
        with("pve2", |node| node.host.disks.smart = Known(vec![disk]))
    };
    for health in ["FAILED!", "FAILURE PREDICTION THRESHOLD EXCEEDED"] {
        fires("disk-health", &disk(health), Severity::Blocking, &format!("SMART says {health} of /dev/sda of pve2"));
    }
    for health in ["PASSED", "OK", "UNKNOWN", ""] {
        assert_eq!(run("disk-health", &disk(health)), [], "{health:?}");
    }
    let paths = |states: [&str; 2]| {
        let path = |(number, state): (usize, &str)| DiskPath {
            map: "mpatha".into(),
            device: format!("sd{number}"),
            state: state.into(),
        };
        with("pve2", |node| node.host.disks.paths = Known(states.into_iter().enumerate().map(path).collect()))
    };
    fires("disk-health", &paths(["ready", "faulty"]), Severity::Warning, "do not work: sd1; 1 left");
    fires("disk-health", &paths(["faulty", "faulty"]), Severity::Blocking, "no path to multipath device mpatha");
    assert_eq!(run("disk-health", &paths(["ready", "ghost"])), []);
}

#[test]
fn disks_of_a_node_that_is_not_to_go_down_are_no_matter_of_the_run() {
    let fails = |node: &mut Node| {
        node.host.disks.arrays = Known(vec![MdArray { name: "md0".into(), active: true, disks: Some((2, 1)) }]);
    };
    let mut stays = with("pve2", fails);
    packages(node_mut(&mut stays, "pve2")).pending.clear();
    assert_eq!(run("disk-health", &stays), []);
    assert_eq!(run("disk-health", &with("pve2", |node| node.host.disks = Disks::default())), [], "that is a gap");
}

#[test]
fn old_package_lists_say_nothing_about_what_is_offered() {
    let aged = |age_s, pending: bool| {
        with("pve1", |node| {
            packages(node).lists_age_s = age_s;
            if !pending {
                packages(node).pending.clear();
            }
        })
    };
    let month = Some(31 * 86_400);
    fires("old-package-lists", &aged(month, false), Severity::Blocking, "the package lists of pve1 are 31 days old");
    fires("old-package-lists", &aged(month, true), Severity::Warning, "31 days");
    fires("old-package-lists", &aged(None, false), Severity::Blocking, "is not known");
    assert_eq!(run("old-package-lists", &aged(Some(86_400), false)), []);
    let found = run("pending-updates", &aged(month, false));
    assert!(found.iter().all(|finding| !finding.problem.contains("pve1")), "it is not called up to date: {found:#?}");
}

#[test]
fn a_node_that_is_not_offered_what_another_one_is_or_has_stays_behind() {
    let stale = |node: &mut Node| packages(node).pending.clear();
    fires("offered-versions", &with("pve2", stale), Severity::Blocking, "pve-manager 9.1.1 (9.1.4 on pve1)");
    let old_lists = |node: &mut Node| {
        stale(node);
        packages(node).lists_age_s = Some(7_200);
    };
    fires("offered-versions", &with("pve2", old_lists), Severity::Warning, "pve-manager 9.1.1 (9.1.4 on pve1)");
    let older = |node: &mut Node| packages(node).pending.iter_mut().for_each(|one| one.to = "9.1.3".into());
    fires("offered-versions", &with("pve2", older), Severity::Blocking, "pve2 is not offered");
    let has = |version: &str| {
        let version = Version::from(version);
        move |node: &mut Node| drop(packages(node).installed.insert("tar".to_owned(), version))
    };
    let mut others = with("pve1", has("1.35"));
    has("1.34")(node_mut(&mut others, "pve3"));
    fires("offered-versions", &others, Severity::Warning, "pve3 is not offered what other nodes have");
    packages(node_mut(&mut others, "pve3")).held.push("tar".to_owned());
    assert_eq!(run("offered-versions", &others), [], "it is held");
    assert_eq!(run("offered-versions", &with("pve2", |node| node.packages = Observed::unknown("a", "b"))), []);
}

#[test]
fn builds_that_no_run_brings_together_are_not_said_to_be() {
    let remedy = |snapshot: &Snapshot| run("node-versions", snapshot)[0].remedy.clone();
    let done = |node: &mut Node| {
        packages(node).pending.clear();
        node.pve_version = Known("9.1.4".into());
    };
    assert!(remedy(&with("pve1", done)).contains("brings them together"));
    let mut stale = with("pve1", done);
    packages(node_mut(&mut stale, "pve2")).pending.clear();
    fires("node-versions", &stale, Severity::Warning, "are not offered the same");
}

#[test]
fn packages_that_an_upgrade_leaves_alone_are_named() {
    let holds = with("pve2", |node| {
        packages(node).held = vec!["ceph-osd".to_owned()];
        packages(node).kept_back = vec!["ceph-osd".to_owned(), "tar".to_owned()];
    });
    fires("held-packages", &holds, Severity::Warning, "pve2 holds ceph-osd");
    fires("held-packages", &holds, Severity::Warning, "keep back tar");
    assert_eq!(run("held-packages", &holds).len(), 2, "what is held is not named twice");
}

#[test]
fn new_libraries_that_no_reboot_brings_into_use_are_said() {
    let brings = |names: &[&str]| {
        with("pve1", |node| packages(node).pending = names.iter().map(|name| pending(name, "1", "2")).collect())
    };
    fires("pending-updates", &brings(&["libc6", "tar", "libqb100"]), Severity::Info, "brings new libc6, libqb100");
    let silent = |snapshot: &Snapshot| {
        run("pending-updates", snapshot).iter().all(|finding| !finding.problem.contains("brings new"))
    };
    assert!(silent(&brings(&["libc6", "intel-microcode"])), "it is rebooted for the microcode");
    assert!(silent(&brings(&["libc6", "proxmox-kernel-6.17.4-1-pve-signed"])));
    assert!(silent(&brings(&["tar"])));
}

#[test]
fn repositories_finds_mixed_releases_in_either_format() {
    let add = |uri: &str, suites: &[&str], component: &str| {
        let source = repository(uri, suites, component);
        with("pve3", |node| node.repositories.known_mut().unwrap().push(source))
    };
    let debian = "http://deb.debian.org/debian";
    fires("repositories", &add(debian, &["bookworm"], "main"), Severity::Blocking, "bookworm and trixie");
    assert_eq!(run("repositories", &add(debian, &["trixie-backports"], "main")), []);
    let enterprise = add("https://enterprise.proxmox.com/debian/pve", &["trixie"], "pve-enterprise");
    fires("repositories", &enterprise, Severity::Blocking, "no valid subscription");
    fires("repositories", &enterprise, Severity::Warning, "different components");
    let mut paid = enterprise;
    node_mut(&mut paid, "pve3").subscription = Known(SubscriptionStatus::Active);
    assert!(run("repositories", &paid).iter().all(|finding| finding.severity < Severity::Blocking));
    fires("repositories", &add(debian, &["trixie"], "pve-test"), Severity::Warning, "test component");
}

#[test]
fn a_vendors_source_that_names_another_release_is_a_warning_and_a_mirrors_is_not_excused() {
    let add = |uri: &str, origin: Option<&str>| {
        let source = Repository { origin: origin.map(str::to_owned), ..repository(uri, &["bookworm"], "main") };
        with("pve3", |node| node.repositories.known_mut().unwrap().push(source))
    };
    let only_warns = |snapshot: &Snapshot| {
        fires(
            "repositories",
            snapshot,
            Severity::Warning,
            "names bookworm, and Debian's and Proxmox's own sources there name trixie",
        );
        assert!(run("repositories", snapshot).iter().all(|finding| finding.severity < Severity::Blocking));
    };
    only_warns(&add("https://repo.vendor.example/agent/debian", None));
    only_warns(&add("https://download.docker.com/linux/debian", Some("Docker")));
    let mixed = |uri: &str, origin| fires("repositories", &add(uri, origin), Severity::Blocking, "bookworm and trixie");
    mixed("http://mirror.example/debian", Some("Debian"));
    mixed("http://mirror.example/pve", Some("Proxmox"));
    mixed("http://ftp.de.debian.org/debian", None);
    assert_eq!(
        run("third-party-sources", &add("http://mirror.example/debian", Some("Debian"))),
        [],
        "a mirror is no third party"
    );
}

#[test]
fn repositories_needs_a_source_and_accepts_a_mirror_of_your_own() {
    let snapshot = with("pve1", |node| {
        node.repositories.known_mut().unwrap().iter_mut().for_each(|source| source.enabled = false);
    });
    fires("repositories", &snapshot, Severity::Blocking, "no package source is enabled on pve1");
    let mut snapshot = cluster();
    for node in NODES {
        let mirror = Repository { components: Vec::new(), ..repository("file:/srv/aptrepo", &["./"], "") };
        node_mut(&mut snapshot, node).repositories = Known(vec![mirror]);
    }
    fires("repositories", &snapshot, Severity::Warning, "a mirror of your own");
    assert!(run("repositories", &snapshot).iter().all(|finding| finding.severity < Severity::Blocking));
}

#[test]
fn dpkg_state_finds_half_installed_packages_and_a_lock() {
    let snapshot = with("pve1", |node| packages(node).broken = vec!["pve-manager".to_owned()]);
    fires("dpkg-state", &snapshot, Severity::Blocking, "half installed: pve-manager");
    let snapshot = with("pve1", |node| packages(node).locked = true);
    fires("dpkg-state", &snapshot, Severity::Warning, "dpkg's lock on pve1");
}

#[test]
fn disk_space_warns_before_it_blocks() {
    fires(
        "disk-space",
        &with("pve1", |node| node.root_free_bytes = Known(GIB)),
        Severity::Blocking,
        "/ on pve1 has 1.0",
    );
    fires("disk-space", &with("pve1", |node| node.root_free_bytes = Known(4 * GIB)), Severity::Warning, "4.0 GiB");
    fires("disk-space", &with("pve1", |node| node.boot_free_bytes = Known(90 << 20)), Severity::Warning, "90 MiB");
    assert_eq!(run("disk-space", &cluster()), []);
}

#[test]
fn kernel_pins_are_reported_when_they_hold_an_old_kernel() {
    let snapshot = with("pve1", |node| node.kernel.known_mut().unwrap().pinned = Some(Version::from("6.17.2-1-pve")));
    fires("kernel-pins", &snapshot, Severity::Warning, "6.17.4-1-pve would not be booted");
    let snapshot = with("pve1", |node| node.kernel.known_mut().unwrap().pinned = Some(Version::from("6.17.4-1-pve")));
    assert_eq!(run("kernel-pins", &snapshot), []);
}

#[test]
fn clock_skew_compares_nodes_with_each_other_and_not_with_us() {
    fires(
        "clock-skew",
        &with("pve3", |node| node.clock_skew_ms = Known(-3_000)),
        Severity::Warning,
        "pve3 is 3.0 s behind",
    );
    fires("clock-skew", &with("pve3", |node| node.clock_skew_ms = Known(40_000)), Severity::Blocking, "ahead of");
    let mut ours_is_wrong = cluster();
    for node in NODES {
        node_mut(&mut ours_is_wrong, node).clock_skew_ms = Known(3_600_000);
    }
    // What the cluster recorded was dated by its own clocks.
    ours_is_wrong.ha.known_mut().unwrap().master_seen = Some(ours_is_wrong.taken.plus_s(3_600 - 10));
    assert_eq!(run("clock-skew", &ours_is_wrong), []);
    assert_eq!(run("ha-state", &ours_is_wrong), []);
    ours_is_wrong.ha.known_mut().unwrap().master_seen = Some(ours_is_wrong.taken);
    fires("ha-state", &ours_is_wrong, Severity::Blocking, "wrote its state 3600 s ago");
}

#[test]
fn services_that_membership_needs_are_distinguished_from_others() {
    let stop = |which: &'static str, state: &'static str| {
        with("pve1", move |node| {
            let services = node.services.known_mut().unwrap();
            let stopped = Service { name: which.to_owned(), active: false, state: state.to_owned(), enabled: true };
            services.retain(|service| service.name != which);
            services.push(stopped);
        })
    };
    fires("services", &stop("pveproxy", "dead"), Severity::Blocking, "service pveproxy on pve1 is dead");
    fires("services", &stop("postfix", "failed"), Severity::Warning, "postfix");
    assert_eq!(run("services", &stop("chrony", "dead")), []);
}

#[test]
fn failed_units_are_a_warning() {
    let snapshot = with("pve1", |node| node.failed_units = Known(vec!["smartd.service".to_owned()]));
    fires("failed-units", &snapshot, Severity::Warning, "smartd.service");
    assert_eq!(run("failed-units", &cluster()), []);
}

#[test]
fn storages_are_active_wherever_they_are_configured() {
    let down =
        || with("pve2", |node| node.storages.known_mut().unwrap().get_mut(&"ceph".into()).unwrap().active = false);
    fires("storages", &down(), Severity::Blocking, "shared storage ceph (rbd) is not active on pve2");
    let mut elsewhere = down();
    elsewhere.storages.known_mut().unwrap().get_mut(&"ceph".into()).unwrap().nodes = Some([name("pve1")].into());
    assert_eq!(run("storages", &elsewhere), []);
}

#[test]
fn upgrade_unit_of_an_earlier_run_is_reported_while_it_runs_and_when_it_failed() {
    let unit = |state: UnitState| {
        with("pve1", |node| {
            node.upgrade_unit = Known(Some(UpgradeUnit { unit: "quorate-upgrade-old".into(), state }));
        })
    };
    fires("upgrade-unit", &unit(UnitState::Running), Severity::Blocking, "still running on pve1");
    let failed = UnitOutcome::Failed { how: "exit status 100".to_owned(), tail: vec!["E: no space".to_owned()] };
    fires("upgrade-unit", &unit(UnitState::Ended(failed)), Severity::Warning, "(exit status 100): E: no space");
    assert_eq!(run("upgrade-unit", &unit(UnitState::Ended(UnitOutcome::Success))), []);
}

fn line(level: CheckerLevel, text: &str) -> CheckerLine {
    CheckerLine { level, section: "MISCELLANEOUS CHECKS".to_owned(), text: text.to_owned() }
}

fn checked(version: &str, finished: bool, lines: Vec<CheckerLine>) -> Snapshot {
    with("pve2", |node| {
        node.pve_version = Known(Version::from(version));
        node.host.checker = Known(Some(CheckerReport { tool: "pve8to9".to_owned(), lines, finished }));
    })
}

#[test]
fn upgrade_checker_blocks_before_the_release_it_prepares_for_and_only_warns_after_it() {
    let broken = || vec![line(CheckerLevel::Fail, "Ceph 18 is to old")];
    fires("upgrade-checker", &checked("8.4.14", true, broken()), Severity::Blocking, "FAIL: Ceph 18 is to old");
    fires("upgrade-checker", &checked("9.1.1", true, broken()), Severity::Warning, "FAIL: Ceph 18 is to old");
    let warned = checked("8.4.14", true, vec![line(CheckerLevel::Warn, "no time synchronisation")]);
    fires("upgrade-checker", &warned, Severity::Warning, "no time synchronisation");
    fires("upgrade-checker", &checked("8.4.14", false, vec![]), Severity::Blocking, "died before its summary");
    fires("upgrade-checker", &checked("9.1.1", false, vec![]), Severity::Warning, "died before its summary");
}

/// Updates within 8 do not depend on what pve8to9 says.
#[test]
fn upgrade_checker_about_the_next_major_does_not_block_updates_within_this_one() {
    let mut minor = checked("8.4.1", false, vec![line(CheckerLevel::Fail, "Ceph 18 is to old")]);
    packages(node_mut(&mut minor, "pve2")).pending = vec![pending("pve-manager", "8.4.1", "8.4.14")];
    fires("upgrade-checker", &minor, Severity::Warning, "FAIL: Ceph 18 is to old");
    assert!(run("upgrade-checker", &minor).iter().all(|finding| finding.severity < Severity::Blocking));
    node_mut(&mut minor, "pve2").packages = Observed::unknown("a", "b");
    fires("upgrade-checker", &minor, Severity::Blocking, "FAIL: Ceph 18 is to old");
}

#[test]
fn upgrade_checker_accepts_what_no_full_node_can_get_rid_of() {
    let inherent = [
        "2 running guest(s) detected - consider migrating or stopping them.",
        "updates for the following packages are available: pve-manager",
    ];
    for text in inherent {
        let found = run("upgrade-checker", &checked("8.4.14", true, vec![line(CheckerLevel::Warn, text)]));
        assert!(found.iter().all(|finding| finding.severity == Severity::Info), "{found:#?}");
        // The same words in a failure are a failure.
        fires(
            "upgrade-checker",
            &checked("8.4.14", true, vec![line(CheckerLevel::Fail, text)]),
            Severity::Blocking,
            text,
        );
    }
}

#[test]
fn time_sync_finds_a_clock_that_no_time_server_keeps() {
    let snapshot = with("pve1", |node| node.host.time_synchronised = Known(false));
    fires("time-sync", &snapshot, Severity::Warning, "the clock of pve1 is not kept");
}

#[test]
fn dkms_modules_matter_only_where_a_new_kernel_comes() {
    let modules = |node: &mut Node| node.host.dkms_modules = Known(["nvidia/550.90".to_owned()].into());
    fires("dkms-modules", &with("pve1", modules), Severity::Warning, "builds nvidia/550.90 by itself");
    let snapshot = with("pve1", |node| {
        modules(node);
        packages(node).pending.clear();
    });
    assert_eq!(run("dkms-modules", &snapshot), []);
}

#[test]
fn nic_names_are_in_danger_from_another_kernel_series_unless_they_are_pinned() {
    let cards = |pinned: &[&str]| Nics {
        used: ["eno1".to_owned()].into(),
        pinned: pinned.iter().map(|name| (*name).to_owned()).collect(),
    };
    let newer = |nics: Nics| {
        with("pve1", |node| {
            packages(node).pending = vec![pending("proxmox-kernel-7.0.2-1-pve-signed", "0", "7.0.2-1")];
            node.host.nics = Known(nics);
        })
    };
    fires("nic-names", &newer(cards(&[])), Severity::Warning, "may name eno1 of pve1 differently");
    assert_eq!(run("nic-names", &newer(cards(&["eno1"]))), []);
    assert_eq!(run("nic-names", &with("pve1", |node| node.host.nics = Known(cards(&[])))), [], "the same series");
}

#[test]
fn corosync_noise_counts_retransmits_and_forgives_what_a_reboot_explains() {
    let noisy = |retransmits, tokens_lost| {
        let seen = CorosyncComplaints { retransmits, links_lost: 0, tokens_lost };
        with("pve1", |node| node.host.corosync_complaints = Known(seen))
    };
    fires("corosync-noise", &noisy(20, 0), Severity::Warning, "20 retransmits");
    fires("corosync-noise", &noisy(0, 1), Severity::Warning, "1 tokens lost");
    assert_eq!(run("corosync-noise", &noisy(19, 0)), []);
    let mut rebooted = noisy(0, 1);
    node_mut(&mut rebooted, "pve3").uptime_s = Known(3600);
    assert_eq!(run("corosync-noise", &rebooted), []);
}

#[test]
fn other_movers_are_stopped_first() {
    let snapshot = with("pve3", |node| node.host.movers = Known(["proxlb".to_owned()].into()));
    fires("other-movers", &snapshot, Severity::Blocking, "proxlb is running on pve3");
}

#[test]
fn a_storage_that_one_node_lacks_is_limited_to_the_others_and_never_disabled() {
    let lacks = with("pve2", |node| node.storages.known_mut().unwrap().get_mut(&"ceph".into()).unwrap().active = false);
    let [found] = &run("storages", &lacks)[..] else { panic!() };
    assert!(found.remedy.contains("pvesm set ceph --nodes pve1,pve3"), "{}", found.remedy);
    assert!(!found.remedy.contains("--disable"), "{}", found.remedy);
}

#[test]
fn a_shared_storage_that_no_node_reaches_is_one_finding_and_blocks_only_where_a_guest_that_runs_needs_it() {
    let mut snapshot = cluster();
    for node in snapshot.nodes.values_mut() {
        node.storages.known_mut().unwrap().get_mut(&"ceph".into()).unwrap().active = false;
    }
    let [found] = &run("storages", &snapshot)[..] else { panic!("{:#?}", run("storages", &snapshot)) };
    assert_eq!((found.severity, found.kind.as_str()), (Severity::Blocking, "on-no-node-and-used"));
    for guest in snapshot.guests.values_mut() {
        if let Some(facts) = guest.migration.known_mut() {
            facts.storages.clear();
        }
    }
    let [found] = &run("storages", &snapshot)[..] else { panic!("{:#?}", run("storages", &snapshot)) };
    assert_eq!((found.severity, found.kind.as_str()), (Severity::Warning, "on-no-node"));
    assert!(found.remedy.contains("pvesm set ceph --disable 1"), "{}", found.remedy);
    // What is not known of a guest counts as use.
    let any = *snapshot.guests.keys().next().unwrap();
    snapshot.guests.get_mut(&any).unwrap().migration = crate::observed::Observed::unknown("config", "timed out");
    assert_eq!(run("storages", &snapshot)[0].kind, "on-no-node-and-used");
}

#[test]
fn text_of_a_login_shell_is_one_finding_and_hides_what_it_makes_unknown() {
    let snapshot = with("pve2", |node| {
        node.login_text = Some("Welcome!".to_owned());
        node.boot = crate::observed::Observed::unknown("cat", "text of its own");
    });
    fires("login-text", &snapshot, Severity::Blocking, "the login shell of root on pve2 prints text of its own");
    assert_eq!(run("unknown-readings", &snapshot), []);
}

#[test]
fn a_node_that_shows_another_certificate_is_named_with_both_before_the_next_node_is_drained() {
    let snapshot = with("pve2", |node| {
        node.other_certificate = Some(OtherCertificate { shown: "AA:01".to_owned(), pinned: "BB:02".to_owned() });
    });
    fires("certificates", &snapshot, Severity::Blocking, "pve2 shows the certificate AA:01, but BB:02 is pinned");
    assert_eq!(crate::checks::asked("certificates"), crate::checks::Asked::BeforeEachNode);
}
