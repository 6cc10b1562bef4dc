//! Lost quorum, through the built program: two of three nodes lose power.

use super::session::{Lab, Session, wait_for};

/// Silent nodes cost two seconds of real time each: in a faster lab everything would be over by then.
const FACTOR: u32 = 20;

/// Repeats it until it ends like this: between two looks a lab at this speed loses and resets whole nodes.
fn until(session: &Session, arguments: &[&str], code: i32, words: &[&str]) -> String {
    wait_for(&arguments.join(" "), || {
        let outcome = session.run(arguments);
        let all = format!("{}{}", outcome.out, outcome.err);
        let as_expected = outcome.code == code && words.iter().all(|word| all.contains(word));
        if as_expected { Ok(outcome.out) } else { Err(format!("exit {}: {all}", outcome.code)) }
    })
}

#[test]
fn two_nodes_die_and_recover_says_why_what_threatens_and_what_can_be_done() {
    let lab = Lab::start(FACTOR, "");
    let session = &lab.session;
    let fault = |words: &[&str]| {
        session.run(&[&["lab", "fault"], words, &["--dir", "."]].concat()).expect(0, &[]);
    };
    session.run(&["recover"]).expect(0, &["the cluster has quorum: 3 votes, 2 needed", "writable"]);

    fault(&["power-off", "pve1"]);
    fault(&["power-off", "pve2"]);
    let words = ["1 votes are left, 2 are needed", "pve1 died or is cut off", "read-only", "last of all: lower"];
    until(session, &["recover"], 12, &words);
    let json = until(session, &["recover", "--json"], 12, &["\"standing\":\"lost\""]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["diagnosis"]["remedies"][0]["remedy"], "bring-back", "{json}");

    // Refused: pve2 is not confirmed, and "yes" confirms nothing. Then the same at a terminal that answers nothing.
    let lower = ["recover", "--lower-expected-votes"];
    let some = [&lower[..], &["--confirm-off", "I have seen that pve1 is off", "--confirm-off", "yes"]].concat();
    until(session, &some, 3, &["expected votes are not lowered", "nobody has confirmed that pve2 is off", "\"yes\""]);
    until(session, &lower, 3, &["Go and look", "nobody has confirmed that pve1 is off"]);

    let both = ["--confirm-off", "I have seen that pve1 is off", "--confirm-off", "I have seen that pve2 is off"];
    until(session, &[&lower[..], &both].concat(), 0, &["lowered"]);
    until(session, &["recover"], 0, &["the cluster has quorum: 1 votes, 1 needed"]);
    session.run(&["status"]).expect(0, &["still to undo", "expect 3 votes again"]);
    session.run(&["run", "--yes"]).expect(8, &["has not ended"]);
    session.run(&["log"]).expect(0, &["confirms", "I have seen that pve2 is off", "pvecm expected 1"]);

    fault(&["power-on", "pve1"]);
    until(session, &["recover"], 0, &["the cluster has quorum: 2 votes"]);
    session.run(&["resume"]).expect(0, &[]);
    until(session, &["recover"], 0, &["the cluster has quorum: 2 votes, 2 needed", "2 of 3 votes"]);
    let recovered = "recovered: the configured votes are expected again, and nothing is left to undo";
    session.run(&["log"]).expect(0, &["recovery", "starts on cluster without quorum", recovered]);
    session.run(&["log", "--verify"]).expect(0, &[]);
}
