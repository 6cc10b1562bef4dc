//! Sends the command of a step, and reads the logs if something did not work. One interpreter per transport.

use std::time::Duration;

use quorate_core::command::Command;
use quorate_core::ids::{NodeName, Upid};
use quorate_core::run::StepRecord;
use quorate_core::snapshot::{Snapshot, UnitOutcome, UnitState};
use quorate_core::steps::{OnNode, UpgradePackages};
use quorate_pve::ports::{ApiRequest, Ports};
use serde_json::Value;

/// A command returns at once, or soon: all long work is a PVE task or a systemd unit.
const COMMAND_DEADLINE: Duration = Duration::from_secs(60);

/// Lines of a log that are kept in the journal: enough for a diagnosis, bounded for a run of many steps.
const KEPT_LINES: usize = 20;

/// What came back for a command.
pub(crate) struct Answer {
    /// In words.
    pub(crate) text: String,
    /// PVE's task, if it started one.
    pub(crate) job: Option<Upid>,
}

/// Sends a command. The answer does not say whether it took effect: the next look at the cluster shows that.
pub(crate) async fn send(ports: &Ports, command: &Command, avoid: Option<&NodeName>) -> Answer {
    match command {
        Command::Api { method, path, params } => {
            let avoid = avoid.into_iter().cloned().collect();
            let request = ApiRequest { method: *method, path: path.clone(), params: params.clone(), avoid };
            match ports.api.call(request).await {
                Ok(Value::String(text)) if text.starts_with("UPID:") => {
                    Answer { job: Some(Upid::new(text.clone())), text }
                }
                Ok(Value::Null) => Answer { text: "accepted".to_owned(), job: None },
                Ok(data) => Answer { text: data.to_string(), job: None },
                Err(error) => Answer { text: error.to_string(), job: None },
            }
        }
        Command::Shell { node, argv } => {
            let text = match ports.shell.run(node, argv, COMMAND_DEADLINE).await {
                Ok(output) if output.succeeded() => "exit status 0".to_owned(),
                Ok(output) => format!("{:?}: {}", output.exit, last_line(&output.stderr)),
                Err(error) => error.to_string(),
            };
            Answer { text, job: None }
        }
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
