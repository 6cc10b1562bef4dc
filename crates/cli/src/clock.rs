//! The wall clock: for the lease, for requests, and for ages on a page. A run takes its own time from its ports.

use std::time::{SystemTime, UNIX_EPOCH};

use quorate_core::ids::UnixMs;

/// The current time.
#[allow(clippy::disallowed_methods, reason = "leases are kept by the wall clock, in the lab too")]
pub fn wall_now() -> UnixMs {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixMs(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
