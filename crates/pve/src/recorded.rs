//! Ports that answer from files: recorded calls of a genuine cluster.
//!
//! For tests, and to look at a recording like at a cluster. A call that was not recorded is an error that says so;
//! nothing is made up. The time is always that in the recording's `clock` file. Writes are refused.
//!
//! A recording is a folder: `clock` (milliseconds since 1970), `api/*.json` (one call each: `path`, `params`,
//! `asked_node`, `status`, `reason`, `body`) and `shell/*.txt` (`$ command    # on node, …`, output, exit status).

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use quorate_core::command::{Method, quote_all};
use quorate_core::ids::{NodeName, UnixMs};
use serde::Deserialize;
use serde_json::Value;

use crate::answer::meaning;
use crate::ports::{
    Api, ApiData, ApiError, ApiRequest, Bound, Clock, Exit, PortFuture, Ports, Shell, ShellError, ShellOutput,
};

/// A recording that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum RecordingError {
    /// A file cannot be read.
    #[error("cannot read {path}: {source}")]
    Io {
        /// The file or folder.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// A file is not what it should be.
    #[error("{path} is not a recorded answer: {reason}")]
    Shape {
        /// The file.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
}

/// A loaded recording.
#[derive(Debug, Default)]
pub struct RecordedPorts {
    calls: Vec<RecordedCall>,
    programs: BTreeMap<(NodeName, String), ShellOutput>,
    now: UnixMs,
}

/// One recorded API call.
#[derive(Clone, Debug, Deserialize)]
struct RecordedCall {
    path: String,
    params: BTreeMap<String, String>,
    asked_node: String,
    status: u16,
    reason: String,
    body: Value,
}

impl RecordedPorts {
    /// Loads a recording from its folder.
    pub fn open(folder: &Path) -> Result<Self, RecordingError> {
        let clock = folder.join("clock");
        let now = read(&clock)?.trim().parse().map_err(|_| shape(&clock, "not a number of milliseconds"))?;
        let mut recorded = Self { now: UnixMs(now), ..Self::default() };
        for path in files(&folder.join("api"))? {
            let call = serde_json::from_str(&read(&path)?).map_err(|error| shape(&path, &error.to_string()))?;
            recorded.calls.push(call);
        }
        for path in files(&folder.join("shell"))? {
            let (node, command, output) = program(&read(&path)?).ok_or_else(|| shape(&path, "no command line"))?;
            recorded.programs.insert((node, command), output);
        }
        Ok(recorded)
    }

    /// The recording as ports.
    pub fn ports(self) -> Ports {
        let recorded = Arc::new(self);
        Ports { api: recorded.clone(), shell: recorded.clone(), clock: recorded }
    }

    fn answer(&self, request: &ApiRequest) -> Result<ApiData, ApiError> {
        if request.method != Method::Get {
            return Err(ApiError::Refused {
                status: 501,
                reason: "a recording cannot be changed".to_owned(),
                errors: vec![],
            });
        }
        // `type` only narrows a list, and the caller narrows it again; any other parameter must have been recorded.
        let asked: BTreeMap<String, String> = request.params.iter().filter(|(key, _)| key != "type").cloned().collect();
        let fits = |call: &&RecordedCall| {
            call.path == request.path
                && call.params == asked
                && !request.avoid.iter().any(|node| node.as_str() == call.asked_node)
        };
        let Some(call) = self.calls.iter().find(fits) else {
            return Err(ApiError::Unreachable("this call is not in the recording".to_owned()));
        };
        meaning(&NodeName::new(call.asked_node.clone()), call.status, &call.reason, Some(call.body.clone()))
    }
}

fn files(folder: &Path) -> Result<Vec<std::path::PathBuf>, RecordingError> {
    let io = |source| RecordingError::Io { path: folder.display().to_string(), source };
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(io)? {
        paths.push(entry.map_err(io)?.path());
    }
    paths.sort();
    Ok(paths)
}

fn read(path: &Path) -> Result<String, RecordingError> {
    std::fs::read_to_string(path).map_err(|source| RecordingError::Io { path: path.display().to_string(), source })
}

fn shape(path: &Path, reason: &str) -> RecordingError {
    RecordingError::Shape { path: path.display().to_string(), reason: reason.to_owned() }
}

/// Parses a recorded program: `$ qm list    # on pve1, …`, its output, `--- stderr:`, `--- exit status: 0`.
pub fn program(text: &str) -> Option<(NodeName, String, ShellOutput)> {
    let (head, rest) = text.split_once('\n')?;
    let (command, place) = head.strip_prefix("$ ")?.split_once("    # on ")?;
    let node = NodeName::from(place.split(',').next()?);
    // The recording was made with a time limit, which is not part of the command.
    let command = command.strip_prefix("timeout 30 ").unwrap_or(command);
    let (output, status) = rest.rsplit_once("--- exit status: ")?;
    let (stdout, stderr) = output.split_once("--- stderr:\n").unwrap_or((output, ""));
    let exit = Exit::Status(status.trim().parse().ok()?);
    Some((node, command.to_owned(), ShellOutput { exit, stdout: stdout.to_owned(), stderr: stderr.to_owned() }))
}

impl Api for RecordedPorts {
    fn call(&self, request: ApiRequest) -> PortFuture<'_, Result<ApiData, ApiError>> {
        let answer = self.answer(&request);
        Box::pin(async move { answer })
    }
}

impl Shell for RecordedPorts {
    fn run_bounded<'a>(
        &'a self,
        node: &'a NodeName,
        argv: &'a [String],
        _deadline: Duration,
        bound: Bound,
    ) -> PortFuture<'a, Result<ShellOutput, ShellError>> {
        let command = quote_all(argv);
        let command = command.strip_prefix("env LC_ALL=C ").unwrap_or(&command).to_owned();
        // `ok-to-stop` answers in JSON with or without `-f json`.
        let plain = command.strip_suffix(" -f json").unwrap_or(&command).to_owned();
        let found = [command, plain].into_iter().find_map(|command| self.programs.get(&(node.clone(), command)));
        let output = found.cloned().unwrap_or_else(|| ShellOutput {
            exit: Exit::Status(127),
            stdout: String::new(),
            stderr: "this command is not in the recording".to_owned(),
        });
        Box::pin(async move { bound.checked(node, output) })
    }
}

impl Clock for RecordedPorts {
    fn now(&self) -> UnixMs {
        self.now
    }

    fn sleep(&self, _duration: Duration) -> PortFuture<'_, ()> {
        Box::pin(async {})
    }
}
