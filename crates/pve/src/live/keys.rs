//! Keys for SSH: ours, from files and from the agent, and those of the nodes.

use std::sync::Arc;

use russh::client::{AuthResult, Handle, Handler};
use russh::keys::agent::AgentIdentity;
use russh::keys::agent::client::AgentClient;
use russh::keys::known_hosts::known_host_keys_path;
use russh::keys::ssh_key::{Algorithm, HashAlg, PrivateKey, PublicKey};
use russh::keys::{PrivateKeyWithHashAlg, decode_secret_key};
use tracing::debug;

use super::config::{HostKey, LiveError, NodeEndpoint, SshKey};

/// sshd allows six attempts by default; one is left as a margin.
const MAX_ATTEMPTS: usize = 5;

/// Host keys that a node may show.
#[derive(Clone, Debug)]
pub(super) struct KnownKeys {
    /// Fingerprints, `SHA256:…`.
    pub(super) fingerprints: Vec<String>,
    /// Their algorithms, if a file names them: only such keys are requested.
    pub(super) algorithms: Option<Vec<Algorithm>>,
}

impl KnownKeys {
    /// The host keys that the configuration has for a node.
    pub(super) fn of(node: &NodeEndpoint) -> Result<Self, LiveError> {
        let path = match &node.host_key {
            HostKey::Fingerprint(text) => {
                let fingerprint = text.trim().trim_end_matches('=').to_owned();
                return Ok(Self { fingerprints: vec![fingerprint], algorithms: None });
            }
            HostKey::KnownHosts(path) => path,
        };
        let (host, port) = &node.ssh;
        let error = |reason: String| LiveError::HostKey {
            node: node.name.clone(),
            address: if *port == 22 { host.clone() } else { format!("[{host}]:{port}") },
            path: path.clone(),
            reason,
        };
        let keys = known_host_keys_path(host, *port, path).map_err(|cause| error(cause.to_string()))?;
        if keys.is_empty() {
            return Err(error("it names no key of this address".to_owned()));
        }
        let algorithms = keys.iter().map(|(_, key)| key.algorithm()).collect();
        Ok(Self { fingerprints: keys.iter().map(|(_, key)| fingerprint(key)).collect(), algorithms: Some(algorithms) })
    }
}

/// `SHA256:…` of a key.
pub(super) fn fingerprint(key: &PublicKey) -> String {
    key.fingerprint(HashAlg::Sha256).to_string()
}

/// Understands a private key.
pub(super) fn understood(key: &SshKey) -> Result<Arc<PrivateKey>, LiveError> {
    let error = |reason: String| LiveError::Key { path: key.path.clone(), reason };
    decode_secret_key(&key.text.0, None).map(Arc::new).map_err(|cause| error(cause.to_string()))
}

/// Logs in with the first key that the node accepts: those in files in order, then those of the agent.
pub(super) async fn log_in<H: Handler>(
    session: &mut Handle<H>,
    user: &str,
    keys: &[Arc<PrivateKey>],
) -> Result<(), LoginError> {
    let mut attempts = 0;
    for key in keys.iter().take(MAX_ATTEMPTS) {
        attempts += 1;
        let hash = if key.algorithm().is_rsa() {
            session.best_supported_rsa_hash().await.map_err(lost)?.flatten()
        } else {
            None
        };
        let offered = PrivateKeyWithHashAlg::new(key.clone(), hash);
        let answer = session.authenticate_publickey(user, offered).await.map_err(lost)?;
        let taken = matches!(answer, AuthResult::Success);
        debug!(user, key = fingerprint(key.public_key()), accepted = taken, "key from a file offered");
        if taken {
            return Ok(());
        }
    }
    // A missing agent is not an error: then there are only the files.
    let Ok(mut agent) = AgentClient::connect_env().await else {
        debug!("no ssh-agent");
        return Err(refused(attempts));
    };
    let identities = agent.request_identities().await.unwrap_or_default();
    debug!(keys = identities.len(), "ssh-agent asked for keys");
    for identity in identities.into_iter().take(MAX_ATTEMPTS.saturating_sub(attempts)) {
        let AgentIdentity::PublicKey { key, .. } = identity else { continue };
        attempts += 1;
        let hash = key.algorithm().is_rsa().then_some(HashAlg::Sha512);
        let shown = fingerprint(&key);
        let answer = session.authenticate_publickey_with(user, key, hash, &mut agent).await;
        let taken = matches!(answer, Ok(AuthResult::Success));
        debug!(user, key = shown, accepted = taken, "key from ssh-agent offered");
        if taken {
            return Ok(());
        }
    }
    Err(refused(attempts))
}

/// A login that failed.
#[derive(Debug)]
pub(super) enum LoginError {
    /// The connection broke.
    Lost(String),
    /// The node accepts none of our keys.
    Refused(String),
}

fn lost(error: russh::Error) -> LoginError {
    LoginError::Lost(error.to_string())
}

fn refused(attempts: usize) -> LoginError {
    LoginError::Refused(match attempts {
        0 => "there is no key to try: name a key file, or load one into ssh-agent".to_owned(),
        1 => "the one key that was tried is not in its authorized_keys".to_owned(),
        count => format!("none of the {count} keys that were tried is in its authorized_keys"),
    })
}
