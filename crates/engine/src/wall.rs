//! The wall clock, for the lease only: it is about processes of this machine, not about the cluster.

use std::time::{SystemTime, UNIX_EPOCH};

use quorate_core::ids::UnixMs;

/// Now, by this machine's clock; never the lab's faster one.
#[allow(clippy::disallowed_methods, reason = "a lease is about real processes, so it runs by the real clock")]
pub(crate) fn wall_now() -> UnixMs {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixMs(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
