//! The ports of a real cluster (or of the lab): HTTPS, SSH, the clock.
//!
//! Certificates and host keys are pinned, always: nothing is sent to a node that shows a different one. No message and
//! no debug output contains secrets, nor does anything that a node repeats. Every call ends in bounded time. Dropping the ports closes all connections.

mod api;
mod clock;
mod config;
mod http;
mod identities;
mod keys;
mod probe;
mod reads;
mod secrets;
mod shell;
mod stopwatch;
mod tls;
mod vouching;

use std::sync::Arc;

pub use clock::{LiveClock, since_boot};
pub use config::{HostKey, HostPort, LiveConfig, LiveError, NodeEndpoint, Secret, SshKey, Timeouts};
pub use probe::{ProbeError, known_fingerprints, probe_fingerprint, probe_host_key};
pub use secrets::Secrets;

use crate::ports::Ports;

/// The ports of the cluster that the configuration names. Opens no connection yet.
pub fn ports(config: LiveConfig, clock: Arc<LiveClock>) -> Result<Ports, LiveError> {
    let api = api::LiveApi::new(&config, &clock)?;
    let shell = shell::LiveShell::new(&config, clock.clone())?;
    Ok(Ports { api: Arc::new(api), shell: Arc::new(shell), clock })
}
