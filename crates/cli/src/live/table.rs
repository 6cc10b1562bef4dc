//! The nodes as a table.

use unicode_width::UnicodeWidthStr;

use super::nodes::NodeRow;
use super::rows::Row;
use super::tone::Tone;
use crate::render::page::{clean, shortened};

/// A column: its heading, its cells, and whether these stand at its right.
type Column = (&'static str, fn(&NodeRow) -> String, bool);

const COLUMNS: [Column; 6] = [
    ("node", |row| row.name.clone(), false),
    ("state", |row| row.state.clone(), false),
    ("guests", |row| row.guests.map_or_else(|| "-".to_owned(), |guests| guests.to_string()), true),
    ("mem", |row| row.memory_percent.map_or_else(|| "-".to_owned(), |percent| format!("{percent} %")), true),
    ("PVE", |row| row.versions.clone(), false),
    ("took", |row| row.took.clone(), true),
];

/// The one that is left out where there is no room for all.
const LEFT_OUT: &str = "PVE";

/// Characters of a cell.
const MOST_IN_CELL: usize = 40;

/// Nodes around the one in turn, under a heading.
pub(super) fn table(nodes: &[NodeRow], limit: usize, width: usize) -> Vec<Row> {
    let Some(room) = limit.checked_sub(1).filter(|room| *room > 0 && !nodes.is_empty()) else { return Vec::new() };
    let current = nodes.iter().position(|row| row.is_current).unwrap_or(0);
    let from = current.saturating_sub(room / 2).min(nodes.len().saturating_sub(room));
    let shown = &nodes[from..nodes.len().min(from + room)];
    let mut columns = COLUMNS.map(|column| (column, wide(&column, shown))).to_vec();
    if 1 + columns.iter().map(|(_, wide)| wide + 2).sum::<usize>() > width + 2 {
        columns.retain(|((heading, ..), _)| *heading != LEFT_OUT);
    }
    let line = |cell: &dyn Fn(&Column) -> (String, Tone)| {
        columns.iter().fold(Row::of(" ", Tone::Plain), |row, (column, wide)| {
            let (words, tone) = cell(column);
            row.and(padded(&words, *wide, column.2) + "  ", tone)
        })
    };
    let heading = line(&|(heading, ..)| ((*heading).to_owned(), Tone::Quiet));
    let hidden = nodes.len() - shown.len();
    let heading = if hidden > 0 { heading.and(format!("(and {hidden} more)"), Tone::Quiet) } else { heading };
    let rows = shown.iter().map(|row| line(&|column| (cell(column, row), tone_of(column, row))));
    std::iter::once(heading).chain(rows).collect()
}

fn cell((_, cell, _): &Column, row: &NodeRow) -> String {
    clean(&shortened(&cell(row), MOST_IN_CELL))
}

fn wide(column: &Column, rows: &[NodeRow]) -> usize {
    rows.iter().map(|row| cell(column, row).width()).chain([column.0.width()]).max().unwrap_or(0)
}

fn tone_of((heading, ..): &Column, row: &NodeRow) -> Tone {
    match *heading {
        "node" if row.is_current => Tone::Title,
        "state" => row.tone,
        _ if row.tone == Tone::Quiet => Tone::Quiet,
        _ => Tone::Plain,
    }
}

fn padded(cell: &str, width: usize, right: bool) -> String {
    let padding = " ".repeat(width.saturating_sub(cell.width()));
    if right { format!("{padding}{cell}") } else { format!("{cell}{padding}") }
}
