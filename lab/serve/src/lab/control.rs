//! The lab's control socket: a Unix socket beside its files, for those who may read them. One line of JSON in, one out.
//!
//! Through it another process reads the impact report, injects faults or ends the lab. It is not part of the cluster: a
//! client of the cluster never sees it. It promises one answer per connection, within a deadline, and that the socket
//! left behind by a lab that died is not in the way of the next one.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use quorate_core::ids::{GuestId, NodeName};
use quorate_wire::{api_listens, ssh_listens};
use quorate_world::World;
use quorate_world::fault_words::{read_fault, stranger};
use quorate_world::faults::Fault;
use quorate_world::impact::{Impact, ImpactReport};
use quorate_world::node::Power;
use quorate_world::safety_checker;
use serde::{Deserialize, Serialize};
use thiserror::Error;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};

use super::Lab;

/// The socket's name in the lab's directory.
pub(crate) const DOOR: &str = "control.sock";

/// A client sends one short line immediately.
const LINE_LIMIT_BYTES: u64 = 64 << 10;
const LINE_DEADLINE: Duration = Duration::from_secs(5);

/// A lab of 64 nodes that has been idle for long has some catching up to do.
const ANSWER_DEADLINE: Duration = Duration::from_secs(60);

/// What a client can request over the control socket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "ask", rename_all = "kebab-case", deny_unknown_fields)]
pub(crate) enum Ask {
    /// The state of the cluster.
    Status,
    /// The harm up to now.
    Impact,
    /// Inject a fault.
    Fault {
        /// Seconds after the lab's start, in its time; 0 is now.
        #[serde(default)]
        at_s: u64,
        /// The fault and its arguments: `power-off`, `pve2`.
        words: Vec<String>,
    },
    /// Agree to downtime of a guest.
    Consent {
        /// Whose downtime it is.
        guest: GuestId,
        /// Seconds in total.
        seconds: u64,
    },
    /// End the lab.
    Down,
}

/// What the lab answers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Answer {
    /// The state of the cluster.
    Status(LabStatus),
    /// The impact report; also the last answer of a lab that ends.
    Impact(ImpactReport),
    /// The request was carried out.
    Done,
    /// The request was not carried out, and why.
    Refused(String),
}

/// The true state of a lab's cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LabStatus {
    /// Always `lab-status`.
    pub kind: String,
    /// The cluster's name.
    pub cluster: String,
    /// Process id of the lab.
    pub pid: u32,
    /// Lab time, Unix milliseconds.
    pub now_ms: u64,
    /// Seconds since the lab started, in its time.
    pub lab_s: u64,
    /// Seconds of lab time per second of real time.
    pub time_factor: u32,
    /// Does some partition have quorum?
    pub quorate: bool,
    /// Is the impact report clean up to now?
    pub clean: bool,
    /// Guests that run.
    pub guests_running: usize,
    /// Guests in total.
    pub guests: usize,
    /// Each node's state.
    pub nodes: Vec<NodeStatus>,
}

/// One node of a lab.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct NodeStatus {
    /// The node's name.
    pub name: NodeName,
    /// `on`, `off`, `booting`, `going down`, `hung`.
    pub power: String,
    /// Is it in a partition with quorum?
    pub quorate: bool,
    /// Rebooting, in maintenance mode, off, or not a member.
    pub out: bool,
    /// Number of guests running on it.
    pub guests: usize,
    /// Address of its API, if it listens now.
    pub api: Option<String>,
    /// Address of its SSH server, if it listens now.
    pub ssh: Option<String>,
}

/// Why the control socket could not be opened or did not answer.
#[derive(Debug, Error)]
pub(crate) enum ControlError {
    /// No lab listens on it.
    #[error("no lab answers at {0}")]
    NoLab(PathBuf),
    /// Another lab already listens on it.
    #[error("a lab is already running at {0}")]
    Taken(PathBuf),
    /// The answer made no sense, or did not come in time.
    #[error("the lab at {path} does not answer: {reason}")]
    Silent {
        /// The control socket.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The socket cannot be made.
    #[error("the control socket {path} cannot be made: {reason}")]
    Make {
        /// The control socket.
        path: PathBuf,
        /// Why not.
        reason: io::Error,
    },
}

/// The lab's side of the control socket, which is removed when this is dropped.
pub(crate) struct Control {
    path: PathBuf,
    listener: UnixListener,
    opened: Instant,
}

impl Control {
    /// Opens the control socket of the lab in this directory. A socket that nothing listens on is removed.
    ///
    /// # Errors
    /// Another lab runs there, or the socket cannot be made.
    #[allow(clippy::disallowed_methods, reason = "the socket of a lab that died; how long the lab runs is wall time")]
    pub(crate) async fn open(dir: &Path) -> Result<Self, ControlError> {
        let path = dir.join(DOOR);
        let make = |reason| ControlError::Make { path: path.clone(), reason };
        if UnixStream::connect(&path).await.is_ok() {
            return Err(ControlError::Taken(path));
        }
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(make(error)),
            _ => {}
        }
        let listener = UnixListener::bind(&path).map_err(make)?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).map_err(make)?;
        Ok(Self { path, listener, opened: Instant::now() })
    }

    /// Answers requests until one asks for the end; that one's connection lasts until the caller drops it.
    pub(crate) async fn serve(&self, lab: &Lab) -> UnixStream {
        loop {
            // A client whose connection could not be accepted tries again.
            let Ok((stream, _)) = self.listener.accept().await else { continue };
            if let Some(last) = self.talk(lab, stream).await {
                return last;
            }
        }
    }

    async fn talk(&self, lab: &Lab, stream: UnixStream) -> Option<UnixStream> {
        let mut reader = BufReader::new(stream.take(LINE_LIMIT_BYTES));
        let mut line = String::new();
        let read = tokio::time::timeout(LINE_DEADLINE, reader.read_line(&mut line)).await;
        let mut stream = reader.into_inner().into_inner();
        if !matches!(read, Ok(Ok(1..))) {
            return None;
        }
        let ask = serde_json::from_str::<Ask>(&line);
        let answer = match &ask {
            Ok(ask) => self.answer(lab, ask),
            Err(error) => Answer::Refused(format!("not understood: {error}")),
        };
        let text = serde_json::to_string(&answer).expect("an answer is plain data and always serialises");
        // A client that does not wait for the answer does not get it.
        let _ = stream.write_all(format!("{text}\n").as_bytes()).await;
        matches!(ask, Ok(Ask::Down)).then_some(stream)
    }

    /// Seconds of the wall clock since the socket was opened.
    #[allow(clippy::disallowed_methods, reason = "how long the lab runs is wall time")]
    pub(crate) fn open_for_s(&self) -> f64 {
        self.opened.elapsed().as_secs_f64()
    }

    fn answer(&self, lab: &Lab, ask: &Ask) -> Answer {
        match ask {
            Ask::Status => Answer::Status(status(lab)),
            Ask::Impact | Ask::Down => {
                let wall_s = self.open_for_s();
                Answer::Impact(lab.with_world(|world| Impact::report(world, 0, wall_s)))
            }
            Ask::Fault { at_s, words } => match read_fault(words) {
                Err(why) => Answer::Refused(why),
                Ok(kind) => lab.with_world(|world| match stranger(world, &kind) {
                    Some(why) => Answer::Refused(why),
                    None => {
                        world.inject(Fault { at_s: *at_s, kind });
                        Answer::Done
                    }
                }),
            },
            Ask::Consent { guest, seconds } => lab.with_world(|world| {
                if !world.guests.contains_key(guest) {
                    return Answer::Refused(format!("this cluster has no guest {guest}"));
                }
                world.impact.consent(*guest, *seconds);
                Answer::Done
            }),
        }
    }
}

impl Drop for Control {
    #[allow(clippy::disallowed_methods, reason = "the lab removes its own socket")]
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

fn status(lab: &Lab) -> LabStatus {
    lab.with_world(|world| LabStatus {
        kind: "lab-status".to_owned(),
        cluster: world.corosync.cluster_name.clone(),
        pid: std::process::id(),
        now_ms: world.now_ms,
        lab_s: world.now_ms.saturating_sub(world.started_ms) / 1000,
        time_factor: lab.clock().factor(),
        quorate: world.corosync.anywhere_quorate(),
        clean: Impact::report(world, 0, 0.0).clean,
        guests_running: world.guests.values().filter(|guest| guest.is_running()).count(),
        guests: world.guests.len(),
        nodes: lab.endpoints().values().map(|endpoint| node_status(world, endpoint)).collect(),
    })
}

fn node_status(world: &World, endpoint: &super::Endpoint) -> NodeStatus {
    let name = &endpoint.node;
    let power = match world.nodes.get(name).map(|node| &node.power) {
        Some(Power::On) => "on",
        Some(Power::GoingDown { .. }) => "going down",
        Some(Power::Booting { .. }) => "booting",
        Some(Power::Hung) => "hung",
        Some(Power::Off) | None => "off",
    };
    NodeStatus {
        name: name.clone(),
        power: power.to_owned(),
        quorate: world.corosync.quorate(name),
        out: safety_checker::is_out(world, name),
        guests: world.guests.values().filter(|guest| guest.runs_on.contains(name)).count(),
        api: api_listens(world, name).then(|| endpoint.api.to_string()),
        ssh: ssh_listens(world, name).then(|| endpoint.ssh.to_string()),
    }
}

/// Sends a request to the lab in this directory. After [`Ask::Down`] it returns when the lab has ended.
///
/// # Errors
/// No lab is there, or it does not answer in time.
pub(crate) async fn ask(dir: &Path, ask: &Ask) -> Result<Answer, ControlError> {
    let path = dir.join(DOOR);
    let silent = |reason: String| ControlError::Silent { path: path.clone(), reason };
    let stream = UnixStream::connect(&path).await.map_err(|error| match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => ControlError::NoLab(path.clone()),
        _ => silent(error.to_string()),
    })?;
    let talk = async {
        let mut reader = BufReader::new(stream);
        let text = serde_json::to_string(ask).expect("a question is plain data and always serialises");
        reader.get_mut().write_all(format!("{text}\n").as_bytes()).await?;
        let mut line = String::new();
        reader.read_line(&mut line).await?;
        if *ask == Ask::Down {
            // Closing this connection is the last thing that the lab does.
            let _ = reader.read_line(&mut String::new()).await;
        }
        io::Result::Ok(line)
    };
    let line = tokio::time::timeout(ANSWER_DEADLINE, talk).await;
    let line = line.map_err(|_| silent(format!("nothing within {} s", ANSWER_DEADLINE.as_secs())))?;
    let line = line.map_err(|error| silent(error.to_string()))?;
    serde_json::from_str(&line).map_err(|error| silent(format!("{error}: {line:?}")))
}
