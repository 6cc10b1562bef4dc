//! From the configuration to the ports of its cluster, or one clear message.
//!
//! Every node is tried on its own, API and SSH, before anything else. A wrong certificate or host key on any node ends
//! the command; so do credentials that no node accepts. A silent node does not: it may be down, and the snapshot will
//! say so. Nor does a single node that refuses what the others accept: tokens and root's authorized_keys are in
//! `/etc/pve`, which a node does not have while it boots. Nothing but reads is sent.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use quorate_core::ids::{NodeName, UnixMs};
use quorate_core::policy::Policy;
use quorate_journal::files::{self, Care};
use quorate_pve::live::{self, HostKey, LiveClock, LiveConfig, LiveError, NodeEndpoint, Secret, SshKey, Timeouts};
use quorate_pve::ports::{ApiError, ApiRequest, Ports, ShellError};
use tokio::task::JoinSet;

use crate::clock::wall_now;
use crate::config::{Config, HostKeyConfig, LabConfig};
use crate::failure::Failure;

/// On a healthy node, a login and `true` take well under a second.
const SHELL_DEADLINE: Duration = Duration::from_secs(20);

/// A cluster that accepted our credentials.
pub(crate) struct Connection {
    pub(crate) ports: Ports,
    pub(crate) policy: Policy,
    nodes: Vec<NodeName>,
}

impl Connection {
    /// The nodes in the configuration, for when no API answers.
    pub(crate) fn known_nodes(&self) -> Vec<NodeName> {
        self.nodes.clone()
    }
}

/// Connects to the cluster named in the configuration.
pub(crate) async fn connect(config: &Config) -> Result<Connection, Failure> {
    let connection = connect_alone(config)?;
    let Connection { ports, nodes, .. } = &connection;
    try_api(ports, nodes).await?;
    try_shells(ports, nodes).await?;
    compare_members(ports, nodes).await?;
    Ok(connection)
}

/// The ports, without trying any node: for when most may be silent. Certificates and host keys are still compared on
/// every connection.
pub(crate) fn connect_alone(config: &Config) -> Result<Connection, Failure> {
    let ports = live::ports(live_config(config)?, Arc::new(clock(config.lab.as_ref())))?;
    let nodes: Vec<NodeName> = config.nodes.iter().map(|node| node.name.clone()).collect();
    Ok(Connection { ports, policy: config.policy.clone(), nodes })
}

fn live_config(config: &Config) -> Result<LiveConfig, Failure> {
    let endpoint = |node: &crate::config::NodeConfig| NodeEndpoint {
        name: node.name.clone(),
        api: node.api.clone(),
        fingerprint: node.fingerprint.clone(),
        ssh: node.ssh.clone(),
        host_key: match &node.host_key {
            HostKeyConfig::Fingerprint(text) => HostKey::Fingerprint(text.clone()),
            HostKeyConfig::KnownHosts(path) => HostKey::KnownHosts(path.clone()),
        },
    };
    for node in &config.nodes {
        if let HostKeyConfig::KnownHosts(path) = &node.host_key {
            files::read(path, Care::Trusted)?;
        }
    }
    Ok(LiveConfig {
        nodes: config.nodes.iter().map(endpoint).collect(),
        token_id: config.auth.token_id.clone(),
        token_secret: config.auth.token_secret.clone(),
        ssh_keys: config.auth.ssh_keys.iter().map(|path| ssh_key(path)).collect::<Result<_, _>>()?,
        timeouts: Timeouts::default(),
    })
}

fn ssh_key(path: &Path) -> Result<SshKey, Failure> {
    let text = files::read(path, Care::Secret).map_err(|error| {
        let next = error.mend().unwrap_or_else(|| "Check [auth] ssh-key: private keys in OpenSSH's format.".to_owned());
        Failure::usage(format!("cannot read the SSH key: {error}"), &next)
    })?;
    Ok(SshKey { path: path.to_owned(), text: Secret::new(text) })
}

/// The clock of a run: a lab's time is its own.
pub(crate) fn clock(lab: Option<&LabConfig>) -> LiveClock {
    let Some(LabConfig { time_factor, start, began }) = lab else { return LiveClock::wall() };
    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "lab time")]
    let passed_ms = (wall_now().0.saturating_sub(began.0) as f64 * time_factor) as u64;
    LiveClock::scaled(UnixMs(start.0.saturating_add(passed_ms)), *time_factor)
}

/// Asks each node's own API for its version.
async fn try_api(ports: &Ports, nodes: &[NodeName]) -> Result<(), Failure> {
    let mut asked = JoinSet::new();
    for node in nodes {
        let avoid = nodes.iter().filter(|other| *other != node).cloned().collect();
        let request = ApiRequest { avoid, ..ApiRequest::get("/version") };
        let (api, node) = (ports.api.clone(), node.clone());
        asked.spawn(async move { (node, api.call(request).await) });
    }
    let (mut silent, mut strangers, mut refusals, mut answers) = (Vec::new(), Vec::new(), Vec::new(), 0);
    while let Some(Ok((node, result))) = asked.join_next().await {
        match result {
            Ok(_) | Err(ApiError::Refused { .. } | ApiError::Forbidden { .. }) => answers += 1,
            Err(ApiError::Unreachable(reason)) => silent.push(reason),
            Err(ApiError::InDoubt { node, reason }) => silent.push(format!("{node} ({reason})")),
            Err(error @ ApiError::Expired { .. }) => silent.push(error.to_string()),
            Err(error @ ApiError::Fingerprint { .. }) => strangers.push((node, error)),
            Err(error @ ApiError::Unauthorized { .. }) => refusals.push((node, error)),
        }
    }
    let refusal = first(refusals).filter(|_| answers == 0);
    if let Some(error) = first(strangers).or(refusal) {
        return Err(error.into());
    }
    if answers == 0 {
        silent.sort();
        return Err(ApiError::Unreachable(silent.join("; ")).into());
    }
    Ok(())
}

/// The error of the first node by name, so that the same fault gives the same message.
fn first<E>(errors: Vec<(NodeName, E)>) -> Option<E> {
    errors.into_iter().min_by(|(one, _), (other, _)| one.cmp(other)).map(|(_, error)| error)
}

/// Logs in to each node directly.
async fn try_shells(ports: &Ports, nodes: &[NodeName]) -> Result<(), Failure> {
    let mut asked = JoinSet::new();
    for node in nodes {
        let (shell, node) = (ports.shell.clone(), node.clone());
        asked.spawn(async move {
            let result = shell.run(&node, &["true".to_owned()], SHELL_DEADLINE).await;
            (node, result)
        });
    }
    let (mut strangers, mut refusals, mut logins) = (Vec::new(), Vec::new(), 0);
    while let Some(Ok((node, result))) = asked.join_next().await {
        match result {
            Ok(_) | Err(ShellError::InDoubt { .. } | ShellError::TooLong { .. }) => logins += 1,
            Err(ShellError::Unreachable { .. }) => {}
            Err(error @ ShellError::HostKey { .. }) => strangers.push((node, error)),
            Err(error @ ShellError::Unauthorized { .. }) => refusals.push((node, error)),
        }
    }
    let refusal = first(refusals).filter(|_| logins == 0);
    first(strangers).or(refusal).map_or(Ok(()), |error| Err(error.into()))
}

/// Checks that the configuration names exactly the nodes of the cluster.
async fn compare_members(ports: &Ports, nodes: &[NodeName]) -> Result<(), Failure> {
    // What cannot be read here is missing from the snapshot as well, which is a blocking finding of its own.
    let Ok(status) = ports.api.call(ApiRequest::get("/cluster/status")).await else { return Ok(()) };
    let entries = status.as_array().into_iter().flatten().filter(|entry| entry["type"] == "node");
    let members: Vec<NodeName> = entries.filter_map(|entry| entry["name"].as_str()).map(NodeName::from).collect();
    if members.is_empty() {
        return Ok(());
    }
    let all = members.iter().map(NodeName::as_str).collect::<Vec<_>>().join(", ");
    if let Some(unknown) = nodes.iter().find(|node| !members.contains(node)) {
        let what = format!("the configuration names a node {unknown}, but the cluster has no such node");
        return Err(Failure::usage(what, &format!("Correct [cluster] nodes. The cluster's nodes are {all}.")));
    }
    if let Some(missing) = members.iter().find(|member| !nodes.contains(member)) {
        let what = format!("the cluster has a node {missing}, but the configuration does not name it");
        let next = format!("Add it to [cluster] nodes: Quorate must see every node. The cluster's nodes are {all}.");
        return Err(Failure::usage(what, &next));
    }
    Ok(())
}

impl From<LiveError> for Failure {
    fn from(error: LiveError) -> Self {
        let next = match &error {
            LiveError::Token => "Check [auth] token-id and its secret.",
            LiveError::Key { .. } => "Check [auth] ssh-key: private keys in OpenSSH's format, readable by you.",
            LiveError::HostKey { .. } => "Name the node's key with host-key, or add it to the known-hosts file.",
            LiveError::Tls(_) => "The problem is on the system that Quorate runs on.",
        };
        Self::usage(error.to_string(), next)
    }
}
