//! A fixed list of seeds, so that a red test is the change's fault: those that once failed, those that show something
//! worth keeping, and a row of others. Fresh seeds are for `cargo xtask fuzz`.

use quorate_trials::fuzz::{Case, Ending, hold};

/// A seed, how its run ends, and what it is kept for.
const KEPT: &[(u64, &str)] = &[
    (3, "an upgrade that breaks off twice is repaired, resumed, and ends"),
    (5, "a link that stays down keeps a node from being rebooted until it is repaired"),
    (1049, "a guest that was shut down with consent waits while sshd of its node is silent for 24 minutes"),
    (777_021, "an administrator ends a maintenance of their own, and HA moves a guest back to an older node"),
    (2090, "a move that hangs ends in a pause, and the run continues once it is stopped"),
];

/// Each of these once found a fault; `docs/safety/fuzz.md` says which.
const ONCE_FAILED: &[u64] = &[
    1_000_102,
    2_000_470,
    3_002_309,
    4_000_136,
    4_002_671,
    4_002_716,
    4_002_745,
    4_005_292,
    4_005_350,
    4_006_471,
    4_010_125,
    7_001_522,
    7_004_491,
    8_002_517,
    9_002_468,
    11_002_801,
    11_004_156,
    1_795_416_631_063,
    1_796_000_000_003,
    1_796_000_000_047,
    1_796_000_000_174,
    1_796_000_000_734,
    1_796_000_000_961,
    1_796_000_001_013,
    1_796_000_100_059,
    1_796_000_100_096,
    1_796_000_100_114,
    1_796_000_100_446,
];

/// The first of the twenty thousand that were run with one state of the code, without a failure.
const OTHERS: std::ops::Range<u64> = 13_000_000..13_000_100;

/// Of those that also draw late orders, frozen drivers, endpoints that hang and other hands.
const NEWER: std::ops::Range<u64> = 1_796_000_100_000..1_796_000_100_050;

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

#[test]
fn kept_seeds_do_no_harm_and_come_to_an_end() {
    for (seed, about) in KEPT {
        let seed_outcome = block_on(hold(*seed)).unwrap();
        assert!(seed_outcome.passed(), "{about}\n{}", seed_outcome.story());
        assert!(
            matches!(seed_outcome.ending, Ending::Completed | Ending::Aborted),
            "{about}: {:?}",
            seed_outcome.ending
        );
    }
}

/// Every fourth seed, so that a machine can run them in parallel.
fn hold_share(share: usize) {
    let seeds = ONCE_FAILED.iter().copied().chain(OTHERS).chain(NEWER).skip(share).step_by(4);
    let failed: Vec<String> = seeds
        .map(|seed| block_on(hold(seed)).unwrap())
        .filter(|seed_outcome| !seed_outcome.passed())
        .map(|seed_outcome| seed_outcome.story())
        .collect();
    assert!(failed.is_empty(), "{}", failed.join("\n\n"));
}

#[test]
fn a_first_share_of_fixed_seeds_does_no_harm() {
    hold_share(0);
}

#[test]
fn a_second_share_of_fixed_seeds_does_no_harm() {
    hold_share(1);
}

#[test]
fn a_third_share_of_fixed_seeds_does_no_harm() {
    hold_share(2);
}

#[test]
fn a_fourth_share_of_fixed_seeds_does_no_harm() {
    hold_share(3);
}

#[test]
fn the_same_seed_gives_the_same_run() {
    let told = || block_on(hold(3)).unwrap().story();
    assert_eq!(told(), told());
}

#[test]
fn seeds_draw_clusters_of_every_kind() {
    let cases: Vec<Case> = (0..300).map(|seed| Case::of(seed).unwrap()).collect();
    let any = |what: &str, is: &dyn Fn(&Case) -> bool| assert!(cases.iter().any(is), "no seed draws {what}");
    any("two nodes", &|case| case.file.nodes.len() == 2);
    any("nine nodes or more", &|case| case.file.nodes.len() >= 9);
    any("a quorum device", &|case| case.file.cluster.qdevice_votes.is_some());
    any("uneven votes", &|case| case.file.nodes.iter().any(|node| node.votes > 1));
    any("Ceph", &|case| case.file.ceph.is_some());
    any("no Ceph", &|case| case.file.ceph.is_none());
    any("HA", &|case| case.file.guests.iter().any(|guest| guest.ha.is_some()));
    any("no HA", &|case| case.file.guests.iter().all(|guest| guest.ha.is_none()));
    any("a node that is ahead", &|case| case.file.nodes.iter().any(|node| !node.installed.is_empty()));
    any("a guest that cannot move", &|case| case.file.guests.iter().any(|guest| !guest.devices.is_empty()));
    any("guests kept apart", &|case| case.file.rules.iter().any(|rule| rule.kind == "keep-apart"));
}
