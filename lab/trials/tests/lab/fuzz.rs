//! Seeds that once failed, or that tell of something worth keeping, are held again; each says what it was about.

use quorate_trials::fuzz::{Case, Ending, hold};

/// A seed, how its run ends, and what it is kept for.
const KEPT: &[(u64, &str)] = &[
    (3, "an upgrade that breaks off twice is mended, resumed, and ends"),
    (5, "a link that stays down keeps a node from being rebooted until somebody mends it"),
    (1049, "a guest that was shut down with consent waits while sshd of its node is silent for 24 minutes"),
    (777_021, "an administrator ends his own maintenance, and HA takes a guest back to an older node"),
    (2090, "a move that hangs ends in a pause, and goes on once somebody has stopped it"),
];

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

#[test]
fn seeds_that_were_kept_do_no_harm_and_come_to_their_end() {
    for (seed, about) in KEPT {
        let verdict = block_on(hold(*seed)).unwrap();
        assert!(verdict.passed(), "{about}\n{}", verdict.story());
        assert!(matches!(verdict.ending, Ending::Completed | Ending::Aborted), "{about}: {:?}", verdict.ending);
    }
}

#[test]
fn the_same_seed_holds_the_same_run() {
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
