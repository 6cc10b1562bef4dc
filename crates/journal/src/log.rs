//! Events: append, read, verify.

use quorate_core::ids::{RunId, UnixMs};
use quorate_core::run::Event;
use quorate_core::snapshot::JournalHead;
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::chain::{BEGINNING, Link};
use crate::error::{JournalError, Result};
use crate::{Journal, from_sql, to_sql};

/// One event as stored in the journal.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Its sequence number, over all runs: 1, 2, 3, …
    pub seq: u64,
    /// The run it belongs to.
    pub run: RunId,
    /// When it happened, by the clock of the run.
    pub at: UnixMs,
    /// What happened.
    pub event: Event,
}

/// An event row before its body is understood.
struct Raw {
    seq: u64,
    run: RunId,
    at: UnixMs,
    kind: String,
    body: String,
    prev_hash: String,
    hash: String,
}

const COLUMNS: &str = "seq, run, at, kind, body, prev_hash, hash";

impl Raw {
    fn of(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            seq: from_sql(row.get(0)?),
            run: RunId::new(row.get::<_, String>(1)?),
            at: UnixMs(from_sql(row.get(2)?)),
            kind: row.get(3)?,
            body: row.get(4)?,
            prev_hash: row.get(5)?,
            hash: row.get(6)?,
        })
    }

    fn computed_hash(&self) -> String {
        let Self { seq, run, at, kind, body, prev_hash, hash: _ } = self;
        Link { prev_hash, seq: *seq, run, at: *at, kind, body }.hash()
    }
}

impl Journal {
    /// Writes one event and returns its number; when this returns, the event is on disk.
    ///
    /// # Errors
    /// [`JournalError::Write`]: nothing was written, and the run must stop. [`JournalError::LeaseLost`]: another
    /// driver has taken over, and this one must stop.
    pub fn append(&self, run: &RunId, at: UnixMs, event: &Event) -> Result<u64> {
        let body = serde_json::to_string(event).expect("an event is plain data and always serialises");
        let kind = event.kind();
        self.write(|transaction| {
            self.demand_own_lease(transaction)?;
            let JournalHead { seq: last_seq, hash: prev_hash } =
                last_event(transaction).map_err(|source| self.write_failed(source))?;
            let seq = last_seq + 1;
            let hash = Link { prev_hash: &prev_hash, seq, run, at, kind, body: &body }.hash();
            transaction
                .execute(
                    "INSERT INTO event (seq, run, at, kind, body, prev_hash, hash) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
                    params![to_sql(seq), run.as_str(), to_sql(at.0), kind, body, prev_hash, hash],
                )
                .map_err(|source| self.write_failed(source))?;
            Ok(seq)
        })
    }

    /// The last event; seq 0 if there is none.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn head(&self) -> Result<JournalHead> {
        last_event(&self.connection()).map_err(|source| self.read_failed(source))
    }

    /// The hash of the first event: two journals that share it are copies of one journal, up to some event. None for a
    /// journal without events.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn origin(&self) -> Result<Option<String>> {
        self.hash_of(1)
    }

    /// Is this event in the journal, with all that came before it?
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn has(&self, head: &JournalHead) -> Result<bool> {
        Ok(head.seq == 0 || self.hash_of(head.seq)?.as_ref() == Some(&head.hash))
    }

    fn hash_of(&self, seq: u64) -> Result<Option<String>> {
        let read =
            self.connection().query_row("SELECT hash FROM event WHERE seq = ?1", [to_sql(seq)], |row| row.get(0));
        read.optional().map_err(|source| self.read_failed(source))
    }

    /// All events of one run, oldest first.
    ///
    /// # Errors
    /// The file cannot be read, or has an event that this version does not know.
    pub fn events(&self, run: &RunId) -> Result<Vec<Entry>> {
        self.events_after(run, 0)
    }

    /// The events of one run that came after number `seq`, oldest first: to follow a run, ask again with the last
    /// number seen.
    ///
    /// # Errors
    /// As for [`Journal::events`].
    pub fn events_after(&self, run: &RunId, seq: u64) -> Result<Vec<Entry>> {
        let query = format!("SELECT {COLUMNS} FROM event WHERE run = ?1 AND seq > ?2 ORDER BY seq");
        let rows = self.raw(&query, &[&run.as_str(), &to_sql(seq)])?;
        rows.into_iter().map(|raw| self.understand(raw)).collect()
    }

    /// The run that was started last.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn latest_run(&self) -> Result<Option<RunId>> {
        Ok(self.runs()?.pop())
    }

    /// All runs, in the order in which they were started.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn runs(&self) -> Result<Vec<RunId>> {
        let connection = self.connection();
        let mut statement = connection
            .prepare("SELECT run FROM event GROUP BY run ORDER BY min(seq)")
            .map_err(|source| self.read_failed(source))?;
        let rows = statement.query_map([], |row| row.get::<_, String>(0)).map_err(|source| self.read_failed(source))?;
        let runs: rusqlite::Result<Vec<String>> = rows.collect();
        Ok(runs.map_err(|source| self.read_failed(source))?.into_iter().map(RunId::new).collect())
    }

    /// Checks every event against its hash and the hash of the one before; returns how many there are.
    ///
    /// # Errors
    /// [`JournalError::ChainBroken`] names the first event that does not match.
    pub fn verify_chain(&self) -> Result<u64> {
        let mut prev = BEGINNING.to_owned();
        let mut count = 0;
        for raw in self.raw(&format!("SELECT {COLUMNS} FROM event ORDER BY seq"), &[])? {
            let broken = |why: String| JournalError::ChainBroken { path: self.path.clone(), seq: raw.seq, why };
            if raw.seq != count + 1 {
                return Err(broken(format!("event {} is missing", count + 1)));
            }
            if raw.prev_hash != prev {
                return Err(broken("it does not follow the event before it".to_owned()));
            }
            if raw.hash != raw.computed_hash() {
                return Err(broken("its content does not match its hash".to_owned()));
            }
            count = raw.seq;
            prev = raw.hash;
        }
        self.demand_last_event(&self.connection())?;
        Ok(count)
    }

    /// Is the event that was written last still the last one? A file that was replaced as a whole by an older copy of
    /// itself is not told in this way: the lock in the cluster shows that.
    pub(crate) fn demand_last_event(&self, connection: &Connection) -> Result<()> {
        let written = connection
            .query_row("SELECT seq, hash FROM head", [], head_of)
            .optional()
            .map_err(|source| self.read_failed(source))?;
        let (last, path) = (last_event(connection).map_err(|source| self.read_failed(source))?, self.path.clone());
        match written {
            Some(written) if written != last => {
                let why = format!("{written} was written last, and the file ends with {last}: rows were removed");
                Err(JournalError::ChainBroken { path, seq: last.seq, why })
            }
            None if last.seq > 0 => {
                let why = "the note of which event was written last is missing".to_owned();
                Err(JournalError::ChainBroken { path, seq: last.seq, why })
            }
            _ => Ok(()),
        }
    }

    fn raw(&self, query: &str, parameters: &[&dyn rusqlite::ToSql]) -> Result<Vec<Raw>> {
        let connection = self.connection();
        let read =
            || -> rusqlite::Result<Vec<Raw>> { connection.prepare(query)?.query_map(parameters, Raw::of)?.collect() };
        read().map_err(|source| self.read_failed(source))
    }

    fn understand(&self, raw: Raw) -> Result<Entry> {
        let event = serde_json::from_str(&raw.body).map_err(|error| JournalError::Unreadable {
            path: self.path.clone(),
            seq: raw.seq,
            reason: format!("{}: {error}", raw.kind),
        })?;
        Ok(Entry { seq: raw.seq, run: raw.run, at: raw.at, event })
    }
}

fn last_event(connection: &Connection) -> rusqlite::Result<JournalHead> {
    let last = connection.query_row("SELECT seq, hash FROM event ORDER BY seq DESC LIMIT 1", [], head_of).optional()?;
    Ok(last.unwrap_or_else(|| JournalHead { seq: 0, hash: BEGINNING.to_owned() }))
}

fn head_of(row: &Row<'_>) -> rusqlite::Result<JournalHead> {
    Ok(JournalHead { seq: from_sql(row.get(0)?), hash: row.get(1)? })
}
