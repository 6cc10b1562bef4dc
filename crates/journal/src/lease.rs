//! The lease: one driver at a time.
//!
//! On one machine a lock of the operating system decides: it is free as soon as its holder is gone, so a run can be
//! resumed at once after a crash. For drivers on other machines, with the journal on shared storage, a lease in the
//! journal ends when it is released or when its time has passed.
//! A driver that lost the lease cannot append: one that was suspended past its expiry gets an error when it wakes up.

use std::io;

use quorate_core::ids::{DriverId, RunId, UnixMs};
use rusqlite::{Connection, OptionalExtension, Row, params};

use crate::error::{JournalError, Result};
use crate::holder::{Holder, Lease, this_machine};
use crate::schema::IN_MEMORY;
use crate::{Journal, Mode, from_sql, lock, schema, to_sql};

impl Journal {
    /// The lease of the driver that is at work at `now` (wall clock), if one is.
    ///
    /// # Errors
    /// The file, or its lock, cannot be read.
    pub fn driver(&self, now: UnixMs) -> Result<Option<Lease>> {
        let Some(lease) = self.last_lease()? else { return Ok(None) };
        let is_live = self.is_locked()? || (now < lease.expires && !self.was_locked_here(&lease)?);
        Ok(is_live.then_some(lease))
    }

    /// The lease of the driver that was at work last, whether it lives or not; none once it was released.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn last_lease(&self) -> Result<Option<Lease>> {
        self.read_lease(&self.connection())
    }

    fn is_locked(&self) -> Result<bool> {
        Ok(!self.is_in_memory() && lock::is_taken(&self.path).map_err(|error| self.lock_failed(&error))?)
    }

    /// Would its holder have this machine's lock if it were alive?
    fn was_locked_here(&self, lease: &Lease) -> Result<bool> {
        if self.is_in_memory() {
            return Ok(false);
        }
        let here = lock::identity_beside(&self.path).map_err(|error| self.lock_failed(&error))?;
        Ok(lease.holder.machine == this_machine() || here.is_some_and(|here| here == lease.lock_file))
    }

    /// Takes the lease for `run` until `ttl_s` seconds from `now` (wall clock). From now on this handle can append only
    /// while it holds the lease. Returns the driver that had it before, if that is surely gone: its process held the
    /// very lock that is now ours.
    ///
    /// # Errors
    /// [`JournalError::Held`] names the driver that has it. [`JournalError::ChainBroken`]: events were removed from the
    /// end.
    pub fn acquire_lease(&self, holder: &Holder, run: &RunId, now: UnixMs, ttl_s: u64) -> Result<Option<DriverId>> {
        self.take_lock()?;
        let taken = self.lock_identity().and_then(|lock| self.write_lease(holder, run, now, ttl_s, &lock));
        match &taken {
            Ok(_) => *self.holder() = Some(holder.clone()),
            Err(_) if self.holder().is_none() => *self.lock() = None,
            Err(_) => {}
        }
        taken
    }

    fn write_lease(
        &self,
        holder: &Holder,
        run: &RunId,
        now: UnixMs,
        ttl_s: u64,
        lock: &str,
    ) -> Result<Option<DriverId>> {
        self.write(|transaction| {
            self.demand_last_event(transaction)?;
            let before = self.read_lease(transaction)?;
            let is_gone = |lease: &Lease| lease.lock_file == lock;
            if let Some(lease) = &before
                && !is_gone(lease)
                // This machine's lock is ours. Of two machines that call themselves the same, the lock in the cluster
                // keeps one out.
                && lease.holder.machine != holder.machine
                && now < lease.expires
            {
                return Err(self.held(before));
            }
            let text = serde_json::to_string(holder).expect("a holder is plain data and always serialises");
            let (now, expires) = (to_sql(now.0), to_sql(now.plus_s(ttl_s).0));
            transaction
                .execute(
                    "INSERT OR REPLACE INTO lease (only, holder, run, taken_at, renewed_at, expires_at, lock_file)
                     VALUES (1, ?1, ?2, ?3, ?3, ?4, ?5)",
                    params![text, run.as_str(), now, expires, lock],
                )
                .map_err(|source| self.write_failed(source))?;
            Ok(before.filter(is_gone).map(|lease| lease.holder.id))
        })
    }

    /// Which lock this handle has: see [`lock::identity`].
    fn lock_identity(&self) -> Result<String> {
        match &*self.lock() {
            Some(file) => lock::identity(file).map_err(|error| self.lock_failed(&error)),
            // Only this process has it.
            None => Ok(IN_MEMORY.to_owned()),
        }
    }

    /// Another handle of the driver that holds the lease, to renew it from another thread: with a connection of its own,
    /// so that neither waits for the other. None for a journal in memory, which no one else can take.
    ///
    /// # Errors
    /// The file cannot be opened again.
    pub fn for_renewals(&self) -> Result<Option<Self>> {
        if self.is_in_memory() {
            return Ok(None);
        }
        let other = Self::new(self.path.clone(), schema::open(&self.path, Mode::Ask)?);
        *other.holder() = self.holder().clone();
        Ok(Some(other))
    }

    /// Is the lease still ours?
    ///
    /// # Errors
    /// [`JournalError::LeaseLost`]: another driver has taken over, and this one must stop.
    pub fn check_lease(&self) -> Result<()> {
        self.demand_own_lease(&self.connection())
    }

    fn take_lock(&self) -> Result<()> {
        if self.is_in_memory() || self.lock().is_some() {
            return Ok(());
        }
        match lock::take(&self.path).map_err(|error| self.lock_failed(&error))? {
            Some(file) => {
                *self.lock() = Some(file);
                Ok(())
            }
            None => Err(self.held(self.last_lease()?)),
        }
    }

    fn held(&self, lease: Option<Lease>) -> JournalError {
        JournalError::Held { path: self.path.clone(), lease: lease.map(Box::new) }
    }

    fn lock_failed(&self, error: &io::Error) -> JournalError {
        JournalError::Open {
            path: self.path.clone(),
            reason: format!("its lock file {}.lock: {error}", self.path.display()),
        }
    }

    /// Renews the lease.
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

    /// Releases the lease, if it is still ours.
    ///
    /// # Errors
    /// The file cannot be written; for other machines the lease then ends when it expires.
    pub fn release_lease(&self) -> Result<()> {
        let holder = self.holder().take();
        let released = match holder {
            Some(holder) => self.delete_lease(&holder),
            None => Ok(()),
        };
        *self.lock() = None;
        released
    }

    fn delete_lease(&self, holder: &Holder) -> Result<()> {
        self.write(|transaction| {
            if self.read_lease(transaction)?.is_some_and(|lease| lease.holder == *holder) {
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
            None => lost("no process holds it".to_owned()),
        }
    }

    fn read_lease(&self, connection: &Connection) -> Result<Option<Lease>> {
        let moment = |row: &Row<'_>, column: usize| row.get(column).map(|ms| UnixMs(from_sql(ms)));
        let row = connection
            .query_row("SELECT holder, run, taken_at, renewed_at, expires_at, lock_file FROM lease", [], |row| {
                let times = (moment(row, 2)?, moment(row, 3)?, moment(row, 4)?);
                Ok((row.get::<_, String>(0)?, row.get::<_, String>(1)?, times, row.get(5)?))
            })
            .optional()
            .map_err(|source| self.read_failed(source))?;
        let Some((holder, run, (since, renewed, expires), lock_file)) = row else { return Ok(None) };
        let holder = serde_json::from_str(&holder).map_err(|error| JournalError::Unreadable {
            path: self.path.clone(),
            seq: 1,
            reason: format!("lease: {error}"),
        })?;
        Ok(Some(Lease { holder, run: RunId::new(run), since, renewed, expires, lock_file }))
    }
}
