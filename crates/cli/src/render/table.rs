//! Columns. Widths are those of the longest cell; what is cleaned is measured as it will be printed.

use super::page::{Page, clean};

/// A table: the first row is the heading.
#[derive(Clone, Debug, Default)]
pub struct Table {
    rows: Vec<Vec<String>>,
}

impl Table {
    /// An empty table with a heading.
    pub fn new(heading: &[&str]) -> Self {
        Self { rows: vec![heading.iter().map(|cell| (*cell).to_owned()).collect()] }
    }

    /// Adds a row.
    pub fn row(&mut self, cells: impl IntoIterator<Item = String>) {
        self.rows.push(cells.into_iter().map(|cell| clean(&cell)).collect());
    }

    /// Writes it, each line with `indent` before it.
    pub fn write(&self, page: &mut Page, indent: &str) {
        let columns = self.rows.iter().map(Vec::len).max().unwrap_or(0);
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..columns).map(width).collect();
        for row in &self.rows {
            let cells = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}"));
            page.line(format!("{indent}{}", cells.collect::<Vec<_>>().join("  ")));
        }
    }
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
}
