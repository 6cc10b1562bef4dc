//! Where the lab's answers are not what is described or was recorded, each with its reason. `cargo xtask docs` makes
//! `docs/lab-differences.md` of these tables.

use std::collections::BTreeSet;

use crate::accepted_differences::ACCEPTED;

use super::undescribed::UNDESCRIBED;

/// Calls of the cut of the schema that the lab does not answer.
const LEFT_OUT: &[(&str, &str)] = &[
    ("GET /cluster/mapping/pci/{id}", "there are no mappings of devices in the lab"),
    ("POST /cluster/bulk-action/guest/suspend", "no guest of the lab is ever paused"),
    ("POST /cluster/ceph/restart-bulk", "of the newest release only; services are restarted one by one"),
    ("PUT /cluster/ceph/health-mute/{code}", "of the newest release only; nothing is ever muted in the lab"),
    ("POST /nodes/{node}/ceph/osd/{osdid}/in", "OSDs come in by themselves when they start"),
    ("POST /nodes/{node}/ceph/osd/{osdid}/out", "OSDs go out by themselves after the interval"),
    ("POST /nodes/{node}/ceph/restart-bulk", "of the newest release only; services are restarted one by one"),
    ("POST /nodes/{node}/execute", "only root@pam with a password may call it, and no client does"),
    ("POST /nodes/{node}/lxc/{vmid}/status/resume", "no guest of the lab is ever paused"),
    ("POST /nodes/{node}/lxc/{vmid}/status/suspend", "no guest of the lab is ever paused"),
    ("POST /nodes/{node}/qemu/{vmid}/status/resume", "no guest of the lab is ever paused"),
    ("POST /nodes/{node}/suspendall", "no guest of the lab is ever paused"),
    ("POST /nodes/{node}/termproxy", "a terminal in the browser; the lab has SSH"),
    ("POST /nodes/{node}/vncshell", "a terminal in the browser; the lab has SSH"),
];

#[test]
fn every_call_that_is_left_out_is_named_and_no_other() {
    let schema: Vec<super::Method> =
        serde_json::from_str(include_str!("../../../../wire/src/schema/published.json")).expect("the schema is JSON");
    let answered = quorate_wire::endpoints();
    let missing: BTreeSet<_> = schema
        .iter()
        .filter(|known| !answered.contains(&(known.method.as_str(), known.path.as_str())))
        .map(|known| format!("{} {}", known.method, known.path))
        .collect();
    assert_eq!(missing, LEFT_OUT.iter().map(|(call, _)| (*call).to_owned()).collect());
}

#[test]
fn every_difference_has_a_reason() {
    for (what, why) in ACCEPTED.iter().chain(UNDESCRIBED).chain(LEFT_OUT) {
        assert!(why.len() > 10 && !why.contains('|') && !what.contains('|'), "{what}: {why:?}");
    }
}
