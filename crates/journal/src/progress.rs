//! How far a run is at this moment: one row, overwritten each time, and no part of the record.

use quorate_core::ids::RunId;
use quorate_core::progress::Progress;
use rusqlite::{OptionalExtension, params};

use crate::error::Result;
use crate::{Journal, to_sql};

/// A longer one is not kept: it is rewritten every few seconds.
const MOST_BYTES: usize = 1 << 18;

impl Journal {
    /// Replaces what is known of how far the run is. Nothing is lost with it: whoever writes it may go on if it fails.
    ///
    /// # Errors
    /// The file cannot be written, or another driver has taken over.
    pub fn write_progress(&self, run: &RunId, progress: &Progress) -> Result<()> {
        let body = serde_json::to_string(progress).expect("it is plain data and always serialises");
        if body.len() > MOST_BYTES {
            return Ok(());
        }
        self.write(|transaction| {
            self.demand_own_lease(transaction)?;
            transaction
                .execute("INSERT OR REPLACE INTO progress (run, body) VALUES (?1, ?2)", params![run.as_str(), body])
                .map_err(|source| self.write_failed(source))?;
            Ok(())
        })
    }

    /// How far the run was when its driver wrote that last. None if it never did, in a journal of an older format, or of
    /// a version that writes it differently: all of it may be missing.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn progress(&self, run: &RunId) -> Result<Option<Progress>> {
        let connection = self.connection();
        let failed = |source| self.read_failed(source);
        let tables = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'progress'";
        let has_it: i64 = connection.query_row(tables, [], |row| row.get(0)).map_err(failed)?;
        if has_it == 0 {
            return Ok(None);
        }
        let query = "SELECT body FROM progress WHERE run = ?1 AND length(body) <= ?2";
        let most = to_sql(MOST_BYTES as u64);
        let row = connection.query_row(query, params![run.as_str(), most], |row| row.get::<_, String>(0)).optional();
        Ok(row.map_err(failed)?.and_then(|body| serde_json::from_str(&body).ok()))
    }
}
