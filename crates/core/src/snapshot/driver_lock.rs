//! The driver's lock in the cluster itself, as it is written there.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ids::{DriverId, UnixMs};

/// A driver that has not renewed its lock for longer holds it no more, in seconds. It is pmxcfs's own time.
pub const LOCK_TTL_S: u64 = 120;

/// The driver's lock in the cluster, so that two administrators on two laptops cannot both upgrade it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DriverLock {
    /// The run that took it.
    pub run: String,
    /// Who took it and on which machine, in words.
    pub holder: String,
    /// The driver that took it.
    pub id: DriverId,
    /// The last event in that driver's journal when it was renewed.
    pub head: JournalHead,
    /// The hash of that journal's first event: copies of one journal share it.
    pub journal: String,
    /// When it was last renewed, by the holder's clock.
    pub renewed: UnixMs,
    /// The driver has released it. The file is kept: its head tells an older or a copied journal.
    pub released: bool,
    /// The run has ended.
    pub ended: bool,
}

/// The last event of a journal: its chain of hashes up to there says everything that came before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JournalHead {
    /// Its number; 0 for a journal without an event.
    pub seq: u64,
    /// Its hash; empty for a journal without an event.
    pub hash: String,
}

/// A journal in which the event is missing that the cluster's lock names: a copy that was made before, or one whose last
/// rows are gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OlderJournal {
    /// What the cluster's lock says.
    pub lock: DriverLock,
    /// The last event of this journal.
    pub ours: JournalHead,
}

impl DriverLock {
    /// May its driver be at work, as far as its own clock and the reader's agree?
    pub fn may_live(&self, now: UnixMs) -> bool {
        !self.released && now.since_s(self.renewed) <= LOCK_TTL_S
    }
}

impl fmt::Display for JournalHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.hash.get(..12) {
            Some(hash) => write!(f, "event {} ({hash})", self.seq),
            None => write!(f, "event {}", self.seq),
        }
    }
}

impl fmt::Display for OlderJournal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { lock: DriverLock { run, holder, head, .. }, ours } = self;
        write!(
            f,
            "this journal ends with {ours}, and the cluster's lock names {head} of run {run}, written by {holder}: the \
             journal is an older copy, or its last rows are gone"
        )
    }
}
