//! A node is drained and given back from the command line.

use super::session::{ALL_CONSENTS, Lab, demo_policy};

#[test]
fn a_node_is_drained_held_without_a_process_and_given_back() {
    let lab = Lab::start(100, "");
    let session = &lab.session;
    session.set_policy(&demo_policy(&ALL_CONSENTS));
    session.run(&["drain", "pve9", "--yes"]).expect(2, &["pve9 is no node of this cluster"]);
    session
        .run(&["drain", "pve2", "--dry-run"])
        .expect(0, &["pve2 is yours, until you give it back", "it belongs there"]);
    session.run(&["undrain", "pve2"]).expect(9, &[]);

    session.run(&["drain", "pve2"]).expect(4, &["nobody is here to be asked", "quorate drain pve2 --yes"]);
    session.run(&["drain", "pve2", "--yes"]).expect(0, &["drain of pve2", "`quorate undrain pve2` gives it back"]);
    let status = session.run(&["status"]);
    status.expect(0, &["pve2 is drained since", "`quorate undrain pve2` gives it back", "still to undo"]);
    assert!(!status.out.contains("quorate resume"), "{}", status.out);
    session.run(&["run", "--yes"]).expect(8, &["has not ended", "It has drained pve2"]);
    session.run(&["drain", "pve1", "--yes"]).expect(8, &["It has drained pve2"]);
    session.run(&["resume"]).expect(8, &["pve2 is drained"]);
    session.run(&["undrain", "pve3"]).expect(8, &["has drained pve2, not pve3"]);

    session.run(&["undrain", "pve2"]).expect(0, &["pve2 to be fully back"]);
    session.run(&["status"]).expect(0, &["completed"]);
    let report = session.run(&["report"]);
    report.expect(0, &["Nothing is left to undo"]);
    assert!(!report.out.contains("did not go as planned"), "{}", report.out);
}
