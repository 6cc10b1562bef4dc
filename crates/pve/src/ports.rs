//! The whole boundary to the outside: the PVE API, a shell on each node, a clock.
//!
//! The live transports and the simulator implement these three traits; everything above them is the same code.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use quorate_core::command::Method;
use quorate_core::ids::{NodeName, UnixMs};
use serde_json::Value;

/// A boxed future, so that ports can be trait objects.
pub type PortFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// One call of the PVE API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiRequest {
    /// HTTP method.
    pub method: Method,
    /// Below `/api2/json`, each element percent-encoded where needed: `/nodes/pve1/qemu/101/migrate`.
    pub path: String,
    /// Parameters in order: query for GET and DELETE, form body for POST and PUT.
    pub params: Vec<(String, String)>,
    /// Endpoints not to use: the current node.
    pub avoid: Vec<NodeName>,
    /// Not sent any more from this moment on, by the run's clock. It is checked when the connection stands and
    /// immediately before the first byte: a process that was frozen in between sends nothing.
    pub expires: Option<UnixMs>,
}

impl ApiRequest {
    /// A read without parameters, at any endpoint.
    pub fn get(path: impl Into<String>) -> Self {
        Self { method: Method::Get, path: path.into(), params: Vec::new(), avoid: Vec::new(), expires: None }
    }

    /// The node that a path below `/nodes/N/` is about.
    pub fn node(&self) -> Option<&str> {
        Some(self.path.strip_prefix("/nodes/")?.split_once('/')?.0)
    }

    /// A write below `/nodes/N/` goes to N itself and nowhere else: what another node still holds when N has booted
    /// would be forwarded then, and what N itself holds is gone with that boot.
    pub fn only_at(&self) -> Option<&str> {
        if self.method == Method::Get { None } else { self.node() }
    }

    /// Is it too late to send it?
    pub fn has_expired(&self, now: UnixMs) -> bool {
        self.expires.is_some_and(|expires| now >= expires)
    }
}

/// All but letters, digits and `-._~`, which need no encoding anywhere (RFC 3986, 2.3).
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A text percent-encoded, so that it stays within its element of a path or its place in a form: `a%2Fb`.
pub fn percent_encoded(text: &str) -> String {
    utf8_percent_encode(text, RESERVED).to_string()
}

/// The result of a successful call: the `data` of the body.
pub type ApiData = Value;

/// A call that failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ApiError {
    /// No endpoint could be reached; nothing was sent.
    #[error("no node answers the API: {0}")]
    Unreachable(String),
    /// It was not sent in time; nothing was sent.
    #[error("it was not sent in time: {node} was connected too late; nothing was sent")]
    Expired {
        /// The node whose endpoint it was meant for.
        node: NodeName,
    },
    /// An endpoint shows a certificate other than the pinned one; nothing was sent.
    #[error("{node} shows the certificate {seen}, but {pinned} is pinned")]
    Fingerprint {
        /// The node whose endpoint it is.
        node: NodeName,
        /// SHA-256 of the certificate that it showed.
        seen: String,
        /// SHA-256 that the configuration names.
        pinned: String,
    },
    /// PVE does not accept the token or ticket (401).
    #[error("{node} does not accept the credentials: {reason}")]
    Unauthorized {
        /// The node whose endpoint it is.
        node: NodeName,
        /// PVE's message.
        reason: String,
    },
    /// A privilege is missing (403): `Permission check failed (/vms/101, VM.Migrate)`.
    #[error("{reason}")]
    Forbidden {
        /// PVE's message, with path and privilege.
        reason: String,
    },
    /// PVE answered with a refusal (400, 500, 501, 595, 596, …).
    #[error("{status} {reason}")]
    Refused {
        /// HTTP status; with 595 and 596, pveproxy says that the node concerned is down.
        status: u16,
        /// The full message: that of the body, or else the reason phrase.
        reason: String,
        /// Per-parameter errors, `name: text`.
        errors: Vec<String>,
    },
    /// The request was sent, but no complete answer came: it may or may not have taken effect.
    #[error("{node} was asked and did not answer: {reason}")]
    InDoubt {
        /// The node whose endpoint it is.
        node: NodeName,
        /// What happened instead.
        reason: String,
    },
}

/// An endpoint that shows another certificate than the pinned one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stranger {
    /// The node whose endpoint it is.
    pub node: NodeName,
    /// SHA-256 of what it shows.
    pub shown: String,
    /// SHA-256 of what is pinned.
    pub pinned: String,
}

/// The PVE API, at whichever endpoint answers.
pub trait Api: Send + Sync {
    /// Endpoints that showed another certificate when they were connected last.
    fn strangers(&self) -> Vec<Stranger> {
        Vec::new()
    }

    /// From now on a certificate is taken over that another node, whose own is the pinned one, reports as that node's.
    /// Who asks for this must record each ([`Api::taken_over`]).
    fn let_members_vouch(&self) {}

    /// Certificates that were taken over since this was asked last, each with the node that vouched for it.
    fn taken_over(&self) -> Vec<(Stranger, NodeName)> {
        Vec::new()
    }

    /// Sends one request. Reads may be repeated at another endpoint; a write is repeated only if it cannot have
    /// been received. Ends in bounded time.
    fn call(&self, request: ApiRequest) -> PortFuture<'_, Result<ApiData, ApiError>>;
}

/// How a remote program ended, and what it printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShellOutput {
    /// Exit status, or the signal that ended it.
    pub exit: Exit,
    /// Its standard output; bytes that are not UTF-8 replaced.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}

/// How a remote program ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It exited with this status.
    Status(i32),
    /// It was killed by this signal: `KILL`.
    Signal(String),
}

impl ShellOutput {
    /// Did it exit with status 0?
    pub fn succeeded(&self) -> bool {
        self.exit == Exit::Status(0)
    }
}

/// How much a program may print. More is not an answer but a fault, and must not fill our memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bound {
    /// Standard output and standard error together.
    pub bytes: usize,
    /// Of both together.
    pub lines: usize,
}

impl Bound {
    /// For a program that says a few things.
    pub const USUAL: Self = Self { bytes: 1 << 20, lines: 20_000 };

    /// For one that lists all packages, daemons or network links.
    pub const LONG: Self = Self { bytes: 8 << 20, lines: 100_000 };

    /// Is this within the bound?
    pub fn holds(self, bytes: usize, lines: usize) -> bool {
        bytes <= self.bytes && lines <= self.lines
    }

    /// What a program of that node printed, if it is within the bound.
    pub fn checked(self, node: &NodeName, output: ShellOutput) -> Result<ShellOutput, ShellError> {
        let bytes = output.stdout.len() + output.stderr.len();
        let lines = output.stdout.lines().count() + output.stderr.lines().count();
        if self.holds(bytes, lines) { Ok(output) } else { Err(ShellError::TooLong { node: node.clone(), bound: self }) }
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} MiB or {} lines", self.bytes >> 20, self.lines)
    }
}

/// A remote program that could not be run to its end.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ShellError {
    /// No connection; nothing was run.
    #[error("{node} does not answer SSH: {reason}")]
    Unreachable {
        /// The node.
        node: NodeName,
        /// The transport's error message.
        reason: String,
    },
    /// The node shows a host key other than the known one; nothing was run.
    #[error("{node} shows the host key {seen}, but {known} is known")]
    HostKey {
        /// The node.
        node: NodeName,
        /// The fingerprint it showed.
        seen: String,
        /// The known fingerprint.
        known: String,
    },
    /// The node does not accept our key; nothing was run.
    #[error("{node} does not accept the SSH key: {reason}")]
    Unauthorized {
        /// The node.
        node: NodeName,
        /// The transport's error message.
        reason: String,
    },
    /// It printed more than it may: the rest was dropped, and what came before is not used either. It may have ended or
    /// may still run.
    #[error("the program on {node} printed more than {bound}: none of it is used")]
    TooLong {
        /// The node.
        node: NodeName,
        /// How much it may print.
        bound: Bound,
    },
    /// The connection broke after the program was started: it may have ended or may still run.
    #[error("the connection to {node} was lost while the program ran: {reason}")]
    InDoubt {
        /// The node.
        node: NodeName,
        /// The transport's error message.
        reason: String,
    },
}

/// A shell as root on each node.
pub trait Shell: Send + Sync {
    /// Runs a program and waits for its end, at most for `deadline` with all that this takes. It may print so much.
    fn run_bounded<'a>(
        &'a self,
        node: &'a NodeName,
        argv: &'a [String],
        deadline: Duration,
        bound: Bound,
    ) -> PortFuture<'a, Result<ShellOutput, ShellError>>;

    /// The same for a program that says a few things.
    fn run<'a>(
        &'a self,
        node: &'a NodeName,
        argv: &'a [String],
        deadline: Duration,
    ) -> PortFuture<'a, Result<ShellOutput, ShellError>> {
        self.run_bounded(node, argv, deadline, Bound::USUAL)
    }
}

/// Time. In the lab it runs faster than the wall clock.
pub trait Clock: Send + Sync {
    /// The current time of this clock.
    fn now(&self) -> UnixMs;
    /// How long to wait for something that takes so long at most: longer where this clock's time runs faster than the
    /// sockets that are waited for.
    fn patience(&self, most: Duration) -> Duration {
        most
    }
    /// Waits that long in this clock's time.
    fn sleep(&self, duration: Duration) -> PortFuture<'_, ()>;
}

/// All three ports, as the engine and the observation use them.
#[derive(Clone)]
pub struct Ports {
    /// The API.
    pub api: Arc<dyn Api>,
    /// The shells.
    pub shell: Arc<dyn Shell>,
    /// The clock.
    pub clock: Arc<dyn Clock>,
}
