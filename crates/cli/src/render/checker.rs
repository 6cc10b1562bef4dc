//! PVE's upgrade checker on every node, side by side: one row per line that it does not pass.

use std::collections::BTreeMap;

use quorate_core::checks::is_inherent;
use quorate_core::ids::NodeName;
use quorate_core::snapshot::{CheckerLevel, CheckerLine, Snapshot};

use super::page::Page;
use super::table::Table;

/// More columns than this do not fit on a screen: then the nodes are listed by name.
const MOST_COLUMNS: usize = 12;

/// Rows that are shown: the checker has about a hundred lines.
pub(super) const MOST_ROWS: usize = 1000;

/// One row of the matrix.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub(crate) struct Row {
    /// What the checker says.
    pub(crate) text: String,
    /// It stays until the node is drained.
    pub(crate) inherent: bool,
    /// The level on each node that reports it.
    pub(crate) levels: BTreeMap<NodeName, CheckerLevel>,
}

/// All rows, the worst first.
pub(crate) fn rows(snapshot: &Snapshot) -> Vec<Row> {
    let mut rows: BTreeMap<&str, Row> = BTreeMap::new();
    for node in snapshot.nodes.values() {
        let Some(Some(report)) = node.host.checker.known() else { continue };
        for line in report.lines.iter().filter(|line| line.level >= CheckerLevel::Notice) {
            let CheckerLine { level, section: _, text } = line;
            let new = || Row { text: text.clone(), inherent: is_inherent(line), levels: BTreeMap::new() };
            let row = rows.entry(text).or_insert_with(new);
            let seen = row.levels.entry(node.name.clone()).or_insert(*level);
            *seen = (*seen).max(*level);
        }
    }
    let mut rows: Vec<Row> = rows.into_values().collect();
    rows.sort_by_key(|row| (row.inherent, std::cmp::Reverse(row.levels.values().max().copied())));
    rows
}

/// Nodes on which the checker was run.
pub(crate) fn asked(snapshot: &Snapshot) -> Vec<NodeName> {
    let nodes = snapshot.nodes.values().filter(|node| matches!(node.host.checker.known(), Some(Some(_))));
    nodes.map(|node| node.name.clone()).collect()
}

/// The page; empty if the checker was not run anywhere.
pub(crate) fn matrix(snapshot: &Snapshot) -> Page {
    let mut page = Page::default();
    let nodes = asked(snapshot);
    if nodes.is_empty() {
        return page;
    }
    let rows = rows(snapshot);
    page.line("PVE's own upgrade checker, on every node:");
    if rows.is_empty() {
        page.line("  everything passes");
        return page;
    }
    let wide = nodes.len() <= MOST_COLUMNS;
    let mut heading: Vec<&str> =
        if wide { nodes.iter().map(NodeName::as_str).collect() } else { vec!["level", "nodes"] };
    heading.push("it says");
    let mut table = Table::new(&heading);
    for row in rows.iter().take(MOST_ROWS) {
        let mut cells: Vec<String> = if wide {
            nodes.iter().map(|node| row.levels.get(node).map_or("·".to_owned(), ToString::to_string)).collect()
        } else {
            let level = row.levels.values().max().map_or(String::new(), ToString::to_string);
            let all = row.levels.len() == nodes.len();
            let names = row.levels.keys().map(NodeName::as_str).collect::<Vec<_>>().join(" ");
            vec![level, if all { "all".to_owned() } else { names }]
        };
        let note = if row.inherent { " (goes away only when the node is drained)" } else { "" };
        cells.push(format!("{}{note}", row.text));
        table.row(cells);
    }
    table.write(&mut page, "  ");
    if rows.len() > MOST_ROWS {
        page.line(format!("  and {} more (all with --json)", rows.len() - MOST_ROWS));
    }
    page
}

#[cfg(test)]
mod tests {
    use quorate_core::fixture::Fixture;
    use quorate_core::observed::Observed::Known;
    use quorate_core::snapshot::CheckerReport;

    use super::*;

    #[test]
    fn one_line_on_two_nodes_is_one_row_and_what_a_drain_fixes_comes_last() {
        let line = |level, text: &str| CheckerLine { level, section: "X".to_owned(), text: text.to_owned() };
        let report = |lines| Known(Some(CheckerReport { tool: "pve8to9".to_owned(), lines, finished: true }));
        let running = || line(CheckerLevel::Warn, "2 running guest(s) detected");
        let snapshot = Fixture::cluster(3)
            .node("pve1", |node| node.host.checker = report(vec![running(), line(CheckerLevel::Fail, "no")]))
            .node("pve2", |node| node.host.checker = report(vec![running(), line(CheckerLevel::Pass, "yes")]))
            .snapshot();
        let expected = "PVE's own upgrade checker, on every node:\n  pve1  pve2  it says\n  FAIL  ·     no\n  \
                        WARN  WARN  2 running guest(s) detected (goes away only when the node is drained)\n";
        assert_eq!(matrix(&snapshot).as_str(), expected);
    }
}
