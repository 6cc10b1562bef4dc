//! The hash chain over the events.

use quorate_core::ids::{RunId, UnixMs};
use sha2::{Digest, Sha256};

/// What the first event has as the hash of the one before.
pub(crate) const BEGINNING: &str = "";

/// One event as the hash sees it.
pub(crate) struct Link<'a> {
    pub(crate) prev_hash: &'a str,
    pub(crate) seq: u64,
    pub(crate) run: &'a RunId,
    pub(crate) at: UnixMs,
    pub(crate) kind: &'a str,
    pub(crate) body: &'a str,
}

impl Link<'_> {
    /// SHA-256 in hexadecimal. Each field is hashed with its length, so that no two events hash the same bytes.
    pub(crate) fn hash(&self) -> String {
        let seq = self.seq.to_string();
        let at = self.at.0.to_string();
        let mut digest = Sha256::new();
        for field in [self.prev_hash, &seq, self.run.as_str(), &at, self.kind, self.body] {
            digest.update(u64::try_from(field.len()).unwrap_or(u64::MAX).to_be_bytes());
            digest.update(field.as_bytes());
        }
        digest.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}
