//! Tables. A column is as wide as its widest cell, in columns of the terminal; cleaned text is measured as it will be
//! printed.

use unicode_width::UnicodeWidthStr;

use super::page::{Page, clean, shortened};

/// Characters of a cell: a longer one would push all other columns off the screen.
const MOST_CHARS: usize = 300;

/// Rows: twice as many as the largest cluster has guests.
const MOST_ROWS: usize = 20_000;

/// A table: the first row is the heading.
#[derive(Clone, Debug, Default)]
pub struct Table {
    rows: Vec<Vec<String>>,
    left_out: usize,
}

impl Table {
    /// An empty table with a heading.
    pub fn new(heading: &[&str]) -> Self {
        Self { rows: vec![heading.iter().map(|cell| cleaned(cell)).collect()], left_out: 0 }
    }

    /// Adds a row.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        if self.rows.len() > MOST_ROWS {
            self.left_out += 1;
        } else {
            self.rows.push(cells.into_iter().map(|cell| cleaned(&cell)).collect());
        }
    }

    /// Writes the table, each line indented by `indent`.
    pub fn write(&self, page: &mut Page, indent: &str) {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.width()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        for row in &self.rows {
            let padding = |cell: &str, width: usize| " ".repeat(width.saturating_sub(cell.width()));
            let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell}{}", padding(cell, *width)));
            page.line(format!("{indent}{}", cells.collect::<Vec<_>>().join("  ")));
        }
        if self.left_out > 0 {
            page.line(format!("{indent}and {} more (all with --json)", self.left_out));
        }
    }
}

fn cleaned(cell: &str) -> String {
    clean(&shortened(cell, MOST_CHARS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_their_longest_cell() {
        let mut table = Table::new(&["node", "memory"]);
        table.row(["pve1".to_owned(), "64 GiB".to_owned()]);
        table.row(["größe".to_owned(), "-".to_owned()]);
        let mut page = Page::default();
        table.write(&mut page, "  ");
        assert_eq!(page.as_str(), "  node   memory\n  pve1   64 GiB\n  größe  -\n");
    }

    #[test]
    fn a_wide_letter_counts_as_two_columns_and_a_cleaned_one_as_wide_as_it_is_printed() {
        let mut table = Table::new(&["guest", "node"]);
        for name in ["網頁伺服器", "db 🚀", "cafe\u{301}", "web\u{7}"] {
            table.row([name.to_owned(), "pve1".to_owned()]);
        }
        let mut page = Page::default();
        table.write(&mut page, "");
        let expected = "guest       node\n\
                        網頁伺服器  pve1\n\
                        db 🚀       pve1\n\
                        cafe\u{301}        pve1\n\
                        web\\x07     pve1\n";
        assert_eq!(page.as_str(), expected);
    }
}
