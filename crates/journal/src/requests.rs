//! Requests: what another process asks of the driver.

use quorate_core::ids::{RunId, UnixMs};
use quorate_core::run::Request;
use rusqlite::params;

use crate::error::{JournalError, Result};
use crate::{Journal, from_sql, to_sql};

/// A request as the driver takes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PostedRequest {
    /// What is asked.
    pub request: Request,
    /// Who asks, in words.
    pub by: String,
}

impl Journal {
    /// Asks something of whoever drives `run`. `at` is the wall clock's time.
    ///
    /// # Errors
    /// The file cannot be written; the driver will not hear of it.
    pub fn post_request(&self, run: &RunId, at: UnixMs, by: &str, request: &Request) -> Result<()> {
        let body = serde_json::to_string(request).expect("a request is plain data and always serialises");
        self.write(|transaction| {
            let values = params![run.as_str(), to_sql(at.0), by, body];
            transaction
                .execute("INSERT INTO request (run, at, by, body) VALUES (?1, ?2, ?3, ?4)", values)
                .map_err(|source| self.write_failed(source))?;
            Ok(())
        })
    }

    /// Takes all requests for `run` that nobody has taken, oldest first. Each is given out once.
    ///
    /// # Errors
    /// The file cannot be read or written; then none is taken.
    pub fn take_requests(&self, run: &RunId, at: UnixMs) -> Result<Vec<PostedRequest>> {
        // Asked several times a second while a run goes on: do not take the write lock to find nothing.
        if !self.has_requests(run)? {
            return Ok(Vec::new());
        }
        self.write(|transaction| {
            let failed = |source| self.write_failed(source);
            let mut statement = transaction
                .prepare("SELECT seq, by, body FROM request WHERE run = ?1 AND taken_at IS NULL ORDER BY seq")
                .map_err(failed)?;
            let rows = statement
                .query_map([run.as_str()], |row| {
                    Ok((from_sql(row.get(0)?), row.get::<_, String>(1)?, row.get::<_, String>(2)?))
                })
                .map_err(failed)?;
            let rows = rows.collect::<rusqlite::Result<Vec<_>>>().map_err(failed)?;
            let mut taken = Vec::new();
            for (seq, by, body) in rows {
                let request = serde_json::from_str(&body).map_err(|error| JournalError::Unreadable {
                    path: self.path.clone(),
                    seq,
                    reason: format!("request: {error}"),
                })?;
                transaction
                    .execute("UPDATE request SET taken_at = ?1 WHERE seq = ?2", params![to_sql(at.0), to_sql(seq)])
                    .map_err(failed)?;
                taken.push(PostedRequest { request, by });
            }
            Ok(taken)
        })
    }

    fn has_requests(&self, run: &RunId) -> Result<bool> {
        let query = "SELECT EXISTS (SELECT 1 FROM request WHERE run = ?1 AND taken_at IS NULL)";
        self.connection().query_row(query, [run.as_str()], |row| row.get(0)).map_err(|source| self.read_failed(source))
    }
}
