//! Where the lab's answers are not what is described or was recorded, each with its reason; and the page that tells users.

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
    ("POST /nodes/{node}/qemu/{vmid}/status/suspend", "no guest of the lab is ever paused"),
    ("POST /nodes/{node}/suspendall", "no guest of the lab is ever paused"),
    ("POST /nodes/{node}/termproxy", "a terminal in the browser; the lab has SSH"),
    ("POST /nodes/{node}/vncshell", "a terminal in the browser; the lab has SSH"),
];

const PAGE: &str = include_str!("../../../../../docs/lab-differences.md");

/// First and last column of the table under this heading.
fn table(heading: &str) -> BTreeSet<(String, String)> {
    let after = PAGE.split(&format!("\n## {heading}\n")).nth(1).unwrap_or_else(|| panic!("no heading {heading:?}"));
    let section = after.split("\n## ").next().unwrap_or(after);
    let rows = section.lines().filter(|line| line.starts_with("| `"));
    let cells = rows.map(|row| row.trim_matches('|').split(" | ").map(str::trim).collect::<Vec<_>>());
    cells.map(|cells| (cells[0].trim_matches('`').to_owned(), cells[cells.len() - 1].to_owned())).collect()
}

fn same(heading: &str, code: &[(&str, &str)]) {
    let code: BTreeSet<_> = code.iter().map(|(what, why)| ((*what).to_owned(), (*why).to_owned())).collect();
    let page = table(heading);
    let only_code: Vec<_> = code.difference(&page).map(|(what, why)| format!("| `{what}` | {why} |")).collect();
    let only_page: Vec<_> = page.difference(&code).collect();
    assert!(only_code.is_empty() && only_page.is_empty(), "add:\n{}\nremove: {only_page:#?}", only_code.join("\n"));
}

#[test]
fn the_page_lists_every_difference_from_the_recorded_answers() {
    same("Against recorded answers", ACCEPTED);
}

#[test]
fn the_page_lists_every_difference_from_the_published_schema() {
    same("Against the published schema", UNDESCRIBED);
}

#[test]
fn the_page_lists_every_call_that_is_left_out_and_no_other() {
    same("Calls that are left out", LEFT_OUT);
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
