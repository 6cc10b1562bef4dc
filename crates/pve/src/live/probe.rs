//! What an endpoint shows before anything is sent to it: for the first contact, when nothing is pinned yet.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use russh::client;
use russh::keys::PublicKeyOrCertificate;
use russh::keys::known_hosts::known_host_keys_path;

use super::config::HostPort;
use super::{keys, tls};

/// For a connection with its handshake.
const PATIENCE: Duration = Duration::from_secs(10);

/// An endpoint whose certificate or host key could not be read.
#[derive(Debug, thiserror::Error)]
#[error("{address} does not show {what}: {reason}")]
pub struct ProbeError {
    /// Host and port.
    pub address: String,
    /// What it should have shown.
    pub what: &'static str,
    /// The transport's error message.
    pub reason: String,
}

/// The SHA-256 of the certificate that an endpoint shows now, as `AA:BB:…`. Nothing but the handshake is sent.
pub async fn probe_fingerprint(address: &HostPort) -> Result<String, ProbeError> {
    let error = |reason| failed(address, "a certificate", reason);
    let connector = tls::connector().map_err(error)?;
    let connected = tokio::time::timeout(PATIENCE, tls::connect(&connector, address)).await;
    let (_, seen) = connected.unwrap_or_else(|_| Err(late())).map_err(error)?;
    Ok(seen)
}

/// The fingerprint of the host key that an SSH server shows now, as `SHA256:…`. No login is tried.
pub async fn probe_host_key(address: &HostPort) -> Result<String, ProbeError> {
    let seen = Arc::new(Mutex::new(None));
    let config = Arc::new(client::Config::default());
    let attempt = client::connect(config, (address.0.as_str(), address.1), Onlooker { seen: seen.clone() });
    let reason = match tokio::time::timeout(PATIENCE, attempt).await {
        Err(_) => late(),
        Ok(Err(error)) => error.to_string(),
        // The probe accepts no key, so no connection is established.
        Ok(Ok(_)) => "it accepted a connection without showing a key".to_owned(),
    };
    let shown = seen.lock().unwrap_or_else(PoisonError::into_inner).take();
    shown.ok_or_else(|| failed(address, "a host key", reason))
}

/// The fingerprints for an address in a `known_hosts` file of OpenSSH; none if there is no such file.
pub fn known_fingerprints(address: &HostPort, known_hosts: &Path) -> Vec<String> {
    let found = known_host_keys_path(&address.0, address.1, known_hosts).unwrap_or_default();
    found.iter().map(|(_, key)| keys::fingerprint(key)).collect()
}

fn failed(address: &HostPort, what: &'static str, reason: String) -> ProbeError {
    ProbeError { address: format!("{}:{}", address.0, address.1), what, reason }
}

fn late() -> String {
    format!("no answer within {} s", PATIENCE.as_secs())
}

/// Records the host key and accepts none.
struct Onlooker {
    seen: Arc<Mutex<Option<String>>>,
}

impl client::Handler for Onlooker {
    type Error = russh::Error;

    async fn check_server_key(&mut self, shown: &PublicKeyOrCertificate) -> Result<bool, Self::Error> {
        if let PublicKeyOrCertificate::PublicKey { key, .. } = shown {
            *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(keys::fingerprint(key));
        }
        Ok(false)
    }
}
