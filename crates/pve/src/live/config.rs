//! What the live ports need to know, and how that can be wrong.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use quorate_core::ids::NodeName;

use super::secrets::Secrets;

/// Host and port.
pub type HostPort = (String, u16);

/// What the live ports need to know.
#[derive(Clone, Debug)]
pub struct LiveConfig {
    /// The cluster's nodes.
    pub nodes: Vec<NodeEndpoint>,
    /// `user@realm!name`.
    pub token_id: String,
    /// The token's secret.
    pub token_secret: Secret,
    /// Private keys, without passphrase. The agent in SSH_AUTH_SOCK is tried after them.
    pub ssh_keys: Vec<SshKey>,
    /// How long to wait.
    pub timeouts: Timeouts,
}

/// One node's addresses and pins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeEndpoint {
    /// Its name in the cluster.
    pub name: NodeName,
    /// Its API.
    pub api: HostPort,
    /// SHA-256 of its certificate: 64 hexadecimal digits, with colons or without.
    pub fingerprint: String,
    /// Its SSH server.
    pub ssh: HostPort,
    /// The host key that it must show.
    pub host_key: HostKey,
}

/// How a node's SSH host key is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostKey {
    /// By its fingerprint, `SHA256:…`.
    Fingerprint(String),
    /// By a file of OpenSSH, `known_hosts`.
    KnownHosts(PathBuf),
}

/// A private key for SSH.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SshKey {
    /// Where it was read from, for messages.
    pub path: PathBuf,
    /// Its text, in OpenSSH's format.
    pub text: Secret,
}

/// A text that is never printed, not even if it comes back from a node.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(pub(super) String);

impl Secret {
    /// Wraps a text so that it is never printed.
    pub fn new(text: impl Into<String>) -> Self {
        let text = text.into();
        Secrets::of_this_process().learn(&text);
        Self(text)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// How long to wait, in the clock's time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// For a connection with its handshake and, for SSH, the login.
    pub connect: Duration,
    /// For the answer to a change by the API. pveproxy itself waits 30 seconds for another node.
    pub answer: Duration,
    /// For one read of the API at one endpoint, all in all: then the next one is asked.
    pub read: Duration,
    /// How long an endpoint that did not answer a read is left for the others.
    pub rest: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self { connect: seconds(8), answer: seconds(45), read: seconds(10), rest: seconds(60) }
    }
}

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum LiveError {
    /// The token's id or secret has characters that a token cannot have.
    #[error("the API token has characters that cannot be sent")]
    Token,
    /// A key cannot be understood.
    #[error("cannot read the SSH key {path}: {reason}; a key with a passphrase belongs into ssh-agent")]
    Key {
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// No host key is known for a node.
    #[error("{path} has no usable host key of {node} ({address}): {reason}")]
    HostKey {
        /// The node.
        node: NodeName,
        /// Its address, as it must stand in the file.
        address: String,
        /// The file.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The system lacks what TLS needs.
    #[error("TLS cannot be set up: {0}")]
    Tls(String),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_is_not_in_the_debug_output_of_its_configuration() {
        let config = LiveConfig {
            nodes: vec![],
            token_id: "root@pam!quorate".into(),
            token_secret: Secret::new("0b1d-very-secret"),
            ssh_keys: vec![],
            timeouts: Timeouts::default(),
        };
        assert!(!format!("{config:?}").contains("0b1d"));
    }
}
