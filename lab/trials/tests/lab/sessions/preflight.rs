//! What an administrator gets to see before anything is done: on the terminal, as JSON, as a page, and again until it
//! is fine.

use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;

use super::session::Lab;

#[test]
fn findings_guest_outcomes_and_the_checkers_matrix_come_as_text_as_json_and_as_a_page() {
    let lab = Lab::start(60, "");
    let told = lab.session.run(&["preflight", "--refresh", "--html", "page.html"]);
    told.expect(0, &["24 guests: 1 stays down, 5 restart, 16 live, 2 untouched", "hostpci0 is a device of its node"]);
    told.expect(0, &["PVE's own upgrade checker, on every node:", "pve1  pve2  pve3  it says"]);

    let json = lab.session.run(&["preflight", "--json"]);
    let last: serde_json::Value = serde_json::from_str(json.out.lines().last().unwrap()).unwrap();
    assert_eq!((last["kind"].as_str(), last["guests"].as_array().unwrap().len()), (Some("preflight"), 24), "{last}");
    assert_eq!(last["guests"][0]["verdict"], "stays-down", "the worst comes first");
    assert_eq!(last["checker"][0]["levels"]["pve2"], "WARN", "{last}");

    let page = lab.session.read("page.html");
    for word in ["Preflight of cluster demo", "The upgrade can start.", "telephony", "upgrade checker, node by node"] {
        assert!(page.contains(word), "{word}");
    }
    let mode = std::fs::metadata(lab.session.dir.join("page.html")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn watching_ends_once_nothing_is_blocking_any_more() {
    let lab = Lab::start(60, "");
    let fault = |words: &[&str]| lab.session.run(&[&["lab", "fault", "--dir", "."], words].concat()).code;
    assert_eq!(fault(&["link-down", "pve3", "1"]), 0);
    // Corosync notices within some seconds of its own time.
    super::session::wait_for("a link is missing", || {
        let told = lab.session.run(&["preflight"]);
        if told.code == 3 { Ok(()) } else { Err(told.out) }
    });
    let mut watching = lab.session.start(&["preflight", "--watch"]);
    let mut told = BufReader::new(watching.stdout.take().unwrap());
    let mut text = String::new();
    while !text.contains("BLOCKING") {
        assert!(told.read_line(&mut text).unwrap() > 0, "it ended before anything was repaired: {text}");
    }
    assert_eq!(fault(&["link-up", "pve3", "1"]), 0);
    told.read_to_string(&mut text).unwrap();
    assert_eq!(watching.wait().unwrap().code(), Some(0), "{text}");
    assert_eq!(text.matches("24 guests: ").count(), 2, "shown again once it is fine: {text}");
}

/// The nodes of this lab have addresses of the loopback network, and no network of their own for migrations.
#[test]
fn the_ways_between_nodes_are_tried_by_the_card_that_takes_them() {
    let three = include_str!("../../../../../scenarios/a-second-node-fails-during-the-first-ones-reboot/cluster.toml");
    let lab = Lab::of(60, three);
    let preflight = lab.session.run(&["preflight"]);
    assert!(preflight.out.contains("spare-votes") && !preflight.out.contains("migration-ways"), "{}", preflight.out);
}
