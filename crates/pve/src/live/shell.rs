//! A shell as root on each node: one SSH connection per node, kept and opened again when lost.
//!
//! Until a program is started, a lost connection is opened again and nothing has happened. After that it is
//! [`ShellError::InDoubt`]: the program may have run, or may still run.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex as SyncMutex, PoisonError};
use std::time::Duration;

use quorate_core::command::quote_all;
use quorate_core::ids::NodeName;
use russh::client::{self, Handle, Msg};
use russh::keys::PublicKeyOrCertificate;
use russh::keys::ssh_key::PrivateKey;
use russh::{Channel, ChannelMsg, Sig};
use tokio::sync::{Mutex, Semaphore};
use tokio::time::timeout;
use tracing::{debug, info, warn};

use super::clock::LiveClock;
use super::config::{HostPort, LiveConfig, LiveError};
use super::keys::{self, KnownKeys, LoginError};
use super::secrets::Secrets;
use super::stopwatch::Stopwatch;
use crate::ports::{Bound, Exit, PortFuture, Shell, ShellError, ShellOutput};

/// Programs at once on one connection; sshd allows ten sessions by default.
const AT_ONCE: usize = 3;

/// A silent peer is probed after this time, and given up after three times as long.
const KEEPALIVE: Duration = Duration::from_secs(10);

/// PVE's own tools need root.
const USER: &str = "root";

/// The shells of a live cluster.
pub(super) struct LiveShell {
    nodes: BTreeMap<NodeName, Node>,
    keys: Vec<Arc<PrivateKey>>,
    connect: Duration,
    clock: Arc<LiveClock>,
}

struct Node {
    name: NodeName,
    address: HostPort,
    known: KnownKeys,
    session: Mutex<Option<Arc<Handle<PinnedHost>>>>,
    permits: Semaphore,
}

impl LiveShell {
    pub(super) fn new(config: &LiveConfig, clock: Arc<LiveClock>) -> Result<Self, LiveError> {
        let mut nodes = BTreeMap::new();
        for endpoint in &config.nodes {
            let node = Node {
                name: endpoint.name.clone(),
                address: endpoint.ssh.clone(),
                known: KnownKeys::of(endpoint)?,
                session: Mutex::new(None),
                permits: Semaphore::new(AT_ONCE),
            };
            nodes.insert(endpoint.name.clone(), node);
        }
        let keys = config.ssh_keys.iter().map(keys::understood).collect::<Result<_, _>>()?;
        Ok(Self { nodes, keys, connect: clock.timeout(config.timeouts.connect), clock })
    }

    async fn run_on(
        &self,
        name: &NodeName,
        argv: &[String],
        deadline: Duration,
        bound: Bound,
    ) -> Result<ShellOutput, ShellError> {
        let unreachable = |reason: &str| ShellError::Unreachable { node: name.clone(), reason: reason.to_owned() };
        let node = self.nodes.get(name).ok_or_else(|| unreachable("the configuration has no address for it"))?;
        let deadline = self.clock.timeout(deadline);
        let stopwatch = Stopwatch::start();
        let opened = timeout(deadline, async {
            let permit = node.permits.acquire().await;
            self.channel(node).await.map(|channel| (permit, channel))
        });
        let late = format!("no shell within {} s: others run there, or it is silent", deadline.as_secs());
        let (_permit, channel) = opened.await.map_err(|_| unreachable(&late))??;
        let command = quote_all(argv);
        let run = timeout(deadline.saturating_sub(stopwatch.passed()), execute(channel, &command, bound)).await;
        let run = run.unwrap_or_else(|_| Err(Failure::Lost(format!("no end within {} s", deadline.as_secs()))));
        match &run {
            Ok(output) => {
                debug!(node = %name, command, exit = ?output.exit, ms = stopwatch.ms(), "command ended")
            }
            Err(failure) => warn!(node = %name, command, ?failure, ms = stopwatch.ms(), "command without a known end"),
        }
        run.map_err(|failure| match failure {
            Failure::NotStarted(reason) => ShellError::Unreachable { node: name.clone(), reason },
            Failure::Lost(reason) => ShellError::InDoubt { node: name.clone(), reason },
            Failure::TooLong => ShellError::TooLong { node: name.clone(), bound },
        })
    }

    /// A channel on the kept connection, or on a new one if that is dead.
    async fn channel(&self, node: &Node) -> Result<Channel<Msg>, ShellError> {
        let unreachable = |reason: String| ShellError::Unreachable { node: node.name.clone(), reason };
        let mut session = node.session.lock().await;
        if let Some(kept) = session.take().filter(|kept| !kept.is_closed())
            && let Ok(Ok(channel)) = timeout(self.connect, kept.channel_open_session()).await
        {
            *session = Some(kept);
            return Ok(channel);
        }
        let fresh =
            Arc::new(self.open(node).await.inspect_err(|error| warn!(node = %node.name, %error, "no SSH connection"))?);
        let channel = timeout(self.connect, fresh.channel_open_session()).await;
        let channel = channel.map_err(|_| unreachable("it opens no session in time".to_owned()))?;
        let channel = channel.map_err(|error| unreachable(error.to_string()))?;
        *session = Some(fresh);
        Ok(channel)
    }

    async fn open(&self, node: &Node) -> Result<Handle<PinnedHost>, ShellError> {
        let unreachable = |reason: String| ShellError::Unreachable { node: node.name.clone(), reason };
        let late = || unreachable(format!("no connection within {} s", self.connect.as_secs()));
        let mut config = client::Config {
            keepalive_interval: Some(KEEPALIVE),
            keepalive_max: 3,
            nodelay: true,
            ..client::Config::default()
        };
        if let Some(algorithms) = &node.known.algorithms {
            config.preferred.key = Cow::Owned(algorithms.clone());
        }
        let seen = Arc::new(SyncMutex::new(None));
        let host = PinnedHost { known: node.known.fingerprints.clone(), stranger: seen.clone() };
        let (host_name, port) = (node.address.0.as_str(), node.address.1);
        info!(node = %node.name, host = host_name, port, "connecting by SSH");
        let connected = timeout(self.connect, client::connect(Arc::new(config), (host_name, port), host)).await;
        if let Some(seen) = seen.lock().unwrap_or_else(PoisonError::into_inner).take() {
            let known = node.known.fingerprints.join(" or ");
            return Err(ShellError::HostKey { node: node.name.clone(), seen, known });
        }
        let mut session = connected.map_err(|_| late())?.map_err(|error| unreachable(error.to_string()))?;
        let login = timeout(self.connect, keys::log_in(&mut session, USER, &self.keys)).await;
        login.map_err(|_| late())?.map_err(|error| match error {
            LoginError::Lost(reason) => unreachable(reason),
            LoginError::Refused(reason) => ShellError::Unauthorized { node: node.name.clone(), reason },
        })?;
        info!(node = %node.name, user = USER, "logged in by SSH");
        Ok(session)
    }
}

/// Accepts only the known host key, and remembers an unknown one for the error.
struct PinnedHost {
    known: Vec<String>,
    stranger: Arc<SyncMutex<Option<String>>>,
}

impl client::Handler for PinnedHost {
    type Error = russh::Error;

    async fn check_server_key(&mut self, shown: &PublicKeyOrCertificate) -> Result<bool, Self::Error> {
        let seen = match shown {
            PublicKeyOrCertificate::PublicKey { key, .. } => keys::fingerprint(key),
            PublicKeyOrCertificate::Certificate(_) => "a certificate".to_owned(),
        };
        let accepted = self.known.contains(&seen);
        info!(expected = self.known.join(" or "), seen, "SSH handshake: the node showed its host key");
        if !accepted {
            *self.stranger.lock().unwrap_or_else(PoisonError::into_inner) = Some(seen);
        }
        Ok(accepted)
    }
}

#[derive(Debug)]
enum Failure {
    /// Nothing was run.
    NotStarted(String),
    /// It was started, and its outcome is unknown.
    Lost(String),
    /// It printed more than it may.
    TooLong,
}

/// Starts the program and reads until its end.
async fn execute(mut channel: Channel<Msg>, command: &str, bound: Bound) -> Result<ShellOutput, Failure> {
    channel.exec(true, command).await.map_err(|error| Failure::NotStarted(error.to_string()))?;
    let (mut stdout, mut stderr, mut lines) = (Vec::new(), Vec::new(), 0);
    let mut exit = None;
    while let Some(message) = channel.wait().await {
        if let ChannelMsg::Data { data } | ChannelMsg::ExtendedData { data, .. } = &message {
            lines += data.iter().filter(|byte| **byte == b'\n').count();
            if !bound.holds(stdout.len() + stderr.len() + data.len(), lines) {
                // Nobody reads on: its next write fails.
                let _ = channel.close().await;
                return Err(Failure::TooLong);
            }
        }
        match message {
            ChannelMsg::Data { data } => stdout.extend_from_slice(&data),
            // Type 1 is standard error; there is no other.
            ChannelMsg::ExtendedData { data, .. } => stderr.extend_from_slice(&data),
            ChannelMsg::Failure => return Err(Failure::NotStarted("it refuses to run programs".to_owned())),
            // A larger status does not exist; -1 is a failure as well.
            ChannelMsg::ExitStatus { exit_status } => {
                exit = Some(Exit::Status(i32::try_from(exit_status).unwrap_or(-1)))
            }
            ChannelMsg::ExitSignal { signal_name, .. } => exit = Some(Exit::Signal(signal(&signal_name))),
            ChannelMsg::Close => break,
            _ => {}
        }
    }
    let exit = exit.ok_or_else(|| Failure::Lost("the connection ended before the program did".to_owned()))?;
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Ok(ShellOutput { exit, stdout: text(stdout), stderr: text(stderr) })
}

fn signal(signal: &Sig) -> String {
    match signal {
        Sig::Custom(name) => name.clone(),
        known => format!("{known:?}"),
    }
}

impl Shell for LiveShell {
    fn run_bounded<'a>(
        &'a self,
        node: &'a NodeName,
        argv: &'a [String],
        deadline: Duration,
        bound: Bound,
    ) -> PortFuture<'a, Result<ShellOutput, ShellError>> {
        Box::pin(async move { Secrets::of_this_process().clean_shell(self.run_on(node, argv, deadline, bound).await) })
    }
}
