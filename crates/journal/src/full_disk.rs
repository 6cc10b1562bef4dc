//! A disk that is full, for tests: it is SQLite itself that refuses to make the file longer.

use crate::{Journal, Result};

/// SQLite's own limit.
const NO_LIMIT: i64 = 0x3fff_ffff;

impl Journal {
    /// From now on the file cannot grow, or can again.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn set_full(&self, full: bool) -> Result<()> {
        let connection = self.connection();
        let failed = |source| self.read_failed(source);
        let pages = match full {
            true => connection.pragma_query_value(None, "page_count", |row| row.get(0)).map_err(failed)?,
            false => NO_LIMIT,
        };
        connection.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(())).map_err(failed)
    }
}
