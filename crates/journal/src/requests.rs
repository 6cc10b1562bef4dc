//! Requests: what other processes ask of the driver.

use quorate_core::ids::{RunId, UnixMs};
use quorate_core::run::Request;
use rusqlite::params;

use crate::error::{JournalError, Result};
use crate::{Journal, from_sql, to_sql};

/// A request as the driver receives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PostedRequest {
    /// Its number, for [`Journal::request_heard`].
    pub seq: u64,
    /// What is asked.
    pub request: Request,
    /// Who asks: `anna@desk`.
    pub by: String,
}

impl Journal {
    /// Posts a request to the driver of `run`. `at` is the wall clock's time.
    ///
    /// # Errors
    /// The file cannot be written; the driver does not receive it.
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

    /// All requests for `run` that no driver has handled yet, oldest first.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn pending_requests(&self, run: &RunId) -> Result<Vec<PostedRequest>> {
        let failed = |source| self.read_failed(source);
        let connection = self.connection();
        let mut statement = connection
            .prepare("SELECT seq, by, body FROM request WHERE run = ?1 AND taken_at IS NULL ORDER BY seq")
            .map_err(failed)?;
        let rows = statement
            .query_map([run.as_str()], |row| {
                Ok((from_sql(row.get(0)?), row.get::<_, String>(1)?, row.get::<_, String>(2)?))
            })
            .map_err(failed)?;
        let mut pending = Vec::new();
        for row in rows {
            let (seq, by, body) = row.map_err(failed)?;
            let request = serde_json::from_str(&body).map_err(|error| JournalError::Unreadable {
                path: self.path.clone(),
                seq,
                reason: format!("request: {error}"),
            })?;
            pending.push(PostedRequest { seq, request, by });
        }
        Ok(pending)
    }

    /// Records that a request was handled. Call it once its event is written: if the driver dies in between, the
    /// request is handled again, which changes nothing, and no request is lost.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn request_heard(&self, seq: u64, at: UnixMs) -> Result<()> {
        self.write(|transaction| {
            transaction
                .execute("UPDATE request SET taken_at = ?1 WHERE seq = ?2", params![to_sql(at.0), to_sql(seq)])
                .map_err(|source| self.write_failed(source))?;
            Ok(())
        })
    }
}
