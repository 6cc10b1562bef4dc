//! Sends the command of a step, and reads the logs if something did not work. One interpreter per transport.

use std::time::Duration;

use quorate_core::command::Command;
use quorate_core::fence::NOT_DONE;
use quorate_core::ids::{NodeName, StepId, Upid};
use quorate_core::run::{Event, StepRecord};
use quorate_core::snapshot::{Snapshot, UnitOutcome, UnitState};
use quorate_core::steps::{OnNode, UpgradePackages};
use quorate_pve::ports::{ApiError, ApiRequest, Exit, Ports, ShellError};
use serde_json::Value;

/// A command returns at once, or soon: all long work is a PVE task or a systemd unit.
const COMMAND_DEADLINE: Duration = Duration::from_secs(60);

/// A call of the API that was not sent within this time is not sent any more. Nothing but making the connection is
/// between, so only a process that stood still needs longer; and it is less than what any step waits before it is tried
/// again.
const SENT_WITHIN_S: u64 = 10;

/// Lines of a log that are kept in the journal: enough for a diagnosis, bounded for a run of many steps.
const KEPT_LINES: usize = 20;

/// What came back for a command.
pub(crate) enum Answer {
    /// A complete answer. It does not say whether the command took effect: the next look at the cluster shows that.
    Given {
        /// In words.
        text: String,
        /// PVE's task, if it started one.
        job: Option<Upid>,
    },
    /// None, or half of one: it may take effect, now or later.
    InDoubt(String),
    /// It did nothing, by its own condition.
    NotDone(String),
}

impl Answer {
    fn text(text: impl Into<String>) -> Self {
        Self::Given { text: text.into(), job: None }
    }

    /// In words.
    pub(crate) fn words(&self) -> &str {
        match self {
            Self::Given { text, .. } | Self::InDoubt(text) | Self::NotDone(text) => text,
        }
    }

    /// As it is written in the journal.
    pub(crate) fn event(self, id: StepId) -> Event {
        match self {
            Self::Given { text, job } => Event::CommandAnswered { id, answer: text, job },
            Self::InDoubt(why) => Event::CommandInDoubt { id, why },
            Self::NotDone(why) => Event::CommandNotDone { id, why },
        }
    }
}

/// Sends a command.
pub(crate) async fn send(ports: &Ports, command: &Command, avoid: Option<&NodeName>) -> Answer {
    match command {
        Command::Api { method, path, params } => {
            let (avoid, expires) = (avoid.into_iter().cloned().collect(), ports.clock.now().plus_s(SENT_WITHIN_S));
            let (path, params) = (path.clone(), params.clone());
            let request = ApiRequest { method: *method, path, params, avoid, expires: Some(expires) };
            match ports.api.call(request).await {
                Ok(Value::String(text)) if text.starts_with("UPID:") => {
                    Answer::Given { job: Some(Upid::new(text.clone())), text }
                }
                Ok(Value::Null) => Answer::text("accepted"),
                Ok(data) => Answer::text(data.to_string()),
                Err(error @ ApiError::InDoubt { .. }) => Answer::InDoubt(error.to_string()),
                Err(error @ ApiError::Expired { .. }) => Answer::NotDone(error.to_string()),
                Err(error) => Answer::text(error.to_string()),
            }
        }
        Command::Shell { node, argv } => match ports.shell.run(node, argv, COMMAND_DEADLINE).await {
            Ok(output) if output.succeeded() => Answer::text("exit status 0"),
            Ok(output) if output.exit == Exit::Status(NOT_DONE) => {
                Answer::NotDone(last_line(&output.stderr).to_owned())
            }
            Ok(output) => Answer::text(format!("{:?}: {}", output.exit, last_line(&output.stderr))),
            Err(error @ ShellError::InDoubt { .. }) => Answer::InDoubt(error.to_string()),
            Err(error) => Answer::text(error.to_string()),
        },
    }
}

fn last_line(text: &str) -> &str {
    text.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("no output")
}

/// The last lines that show how a step's work went: of its task's log, or of its unit's output.
pub(crate) async fn log_of(ports: &Ports, snapshot: &Snapshot, record: &StepRecord) -> Option<(NodeName, Vec<String>)> {
    if let Some(job) = &record.job {
        return task_log(ports, job).await;
    }
    let node = record.step.node().filter(|_| record.step.on_node() == OnNode::Upgrades)?;
    let known = snapshot.nodes.get(node)?.upgrade_unit.known()?.as_ref()?;
    if let UnitState::Ended(UnitOutcome::Failed { how, tail }) = &known.state {
        let mut lines = vec![format!("unit {}: {how}", known.unit)];
        lines.extend(tail.iter().cloned());
        return Some((node.clone(), lines));
    }
    let lines = KEPT_LINES.to_string();
    let argv = ["tail", "-n", &lines, &UpgradePackages::log(&known.unit)].map(str::to_owned);
    let output = ports.shell.run(node, &argv, COMMAND_DEADLINE).await.ok()?;
    output.succeeded().then(|| (node.clone(), output.stdout.lines().map(str::to_owned).collect()))
}

async fn task_log(ports: &Ports, job: &Upid) -> Option<(NodeName, Vec<String>)> {
    let node = job.as_str().split(':').nth(1)?;
    // Colons and exclamation marks of a UPID are legal in a path; `@` and the rest as well. Nothing else occurs in one.
    let mut request = ApiRequest::get(format!("/nodes/{node}/tasks/{job}/log"));
    request.params = vec![("limit".to_owned(), "0".to_owned())];
    let data = ports.api.call(request).await.ok()?;
    let lines: Vec<String> =
        data.as_array()?.iter().filter_map(|line| Some(line.get("t")?.as_str()?.to_owned())).collect();
    let from = lines.len().saturating_sub(KEPT_LINES);
    Some((NodeName::new(node), lines[from..].to_vec()))
}
