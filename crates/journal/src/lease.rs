//! The lease: one driver at a time.
//!
//! A lease ends when it is released, when its time has passed, or when its holder is known to be dead: on the same
//! machine, a process that is not there any more holds nothing, so a run can be resumed at once after a crash.
//! Whoever lost the lease cannot append: a driver that slept through its time wakes up to an error.

use quorate_core::ids::{RunId, UnixMs};
use rusqlite::{Connection, OptionalExtension, params};

use crate::error::{JournalError, Result};
use crate::holder::{Holder, Lease};
use crate::{Journal, from_sql, to_sql};

impl Journal {
    /// The lease, live or not.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn lease(&self) -> Result<Option<Lease>> {
        self.read_lease(&self.connection())
    }

    /// Takes the lease for `run` until `ttl_s` seconds from `now` (wall clock). From here on this handle appends only
    /// while the lease is its own.
    ///
    /// # Errors
    /// [`JournalError::Held`] names the driver that has it.
    pub fn acquire_lease(&self, holder: &Holder, run: &RunId, now: UnixMs, ttl_s: u64) -> Result<()> {
        self.write(|transaction| {
            if let Some(lease) = self.read_lease(transaction)?
                && lease.holder != *holder
                && lease.is_live(now)
            {
                return Err(JournalError::Held { path: self.path.clone(), lease: Box::new(lease) });
            }
            let text = serde_json::to_string(holder).expect("a holder is plain data and always serialises");
            let values = params![text, run.as_str(), to_sql(now.0), to_sql(now.plus_s(ttl_s).0)];
            transaction
                .execute(
                    "INSERT OR REPLACE INTO lease (only, holder, run, renewed_at, expires_at) VALUES (1, ?1, ?2, ?3, ?4)",
                    values,
                )
                .map_err(|source| self.write_failed(source))?;
            Ok(())
        })?;
        *self.holder() = Some(holder.clone());
        Ok(())
    }

    /// Gives a sign of life.
    ///
    /// # Errors
    /// [`JournalError::LeaseLost`]: another driver has taken over, and this one must stop.
    pub fn renew_lease(&self, now: UnixMs, ttl_s: u64) -> Result<()> {
        self.write(|transaction| {
            self.demand_own_lease(transaction)?;
            let values = params![to_sql(now.0), to_sql(now.plus_s(ttl_s).0)];
            transaction
                .execute("UPDATE lease SET renewed_at = ?1, expires_at = ?2", values)
                .map_err(|source| self.write_failed(source))?;
            Ok(())
        })
    }

    /// Gives the lease back, if it is still ours.
    ///
    /// # Errors
    /// The file cannot be written; the lease then ends with this process.
    pub fn release_lease(&self) -> Result<()> {
        let Some(holder) = self.holder().take() else { return Ok(()) };
        self.write(|transaction| {
            if self.read_lease(transaction)?.is_some_and(|lease| lease.holder == holder) {
                transaction.execute("DELETE FROM lease", []).map_err(|source| self.write_failed(source))?;
            }
            Ok(())
        })
    }

    /// If this handle ever took the lease, it must still have it.
    pub(crate) fn demand_own_lease(&self, connection: &Connection) -> Result<()> {
        let Some(holder) = self.holder().clone() else { return Ok(()) };
        let lost = |now: String| Err(JournalError::LeaseLost { path: self.path.clone(), now });
        match self.read_lease(connection)? {
            Some(lease) if lease.holder == holder => Ok(()),
            Some(lease) => lost(format!("{} holds it", lease.holder.text)),
            None => lost("nobody holds it".to_owned()),
        }
    }

    fn read_lease(&self, connection: &Connection) -> Result<Option<Lease>> {
        let row = connection
            .query_row("SELECT holder, run, renewed_at, expires_at FROM lease", [], |row| {
                Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?, row.get(2)?, row.get(3)?))
            })
            .optional()
            .map_err(|source| self.read_failed(source))?;
        let Some((holder, run, renewed, expires)) = row else { return Ok(None) };
        let holder = serde_json::from_str(&holder).map_err(|error| JournalError::Unreadable {
            path: self.path.clone(),
            seq: 1,
            reason: format!("lease: {error}"),
        })?;
        let (renewed, expires) = (UnixMs(from_sql(renewed)), UnixMs(from_sql(expires)));
        Ok(Some(Lease { holder, run: RunId::new(run), renewed, expires }))
    }
}
