//! Refreshes the package lists before a plan is made, so that the plan is about what will really be installed.
//!
//! The only thing that is changed before an operator agrees, and the same that PVE itself does every night. A run does
//! it with its lease and the lock in the cluster held; a plan that is only looked at does it while no driver holds the
//! lock.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use quorate_core::command::Method;
use quorate_core::ids::NodeName;
use quorate_core::snapshot::Snapshot;
use quorate_core::steps::LISTS_MAX_AGE_S;
use quorate_pve::ports::{ApiError, ApiRequest, Ports};
use serde_json::Value;

/// A refresh takes seconds, or a minute over a slow line.
const DEADLINE_S: u64 = 300;

/// Between two looks at a task.
const POLL: Duration = Duration::from_secs(2);

/// The online nodes on which they are old.
pub fn stale(snapshot: &Snapshot) -> BTreeSet<NodeName> {
    let stale = snapshot.nodes.values().filter(|node| {
        let age_s = node.packages.known().and_then(|packages| packages.lists_age_s);
        node.online.is(&true) && age_s.is_none_or(|age_s| age_s > LISTS_MAX_AGE_S)
    });
    stale.map(|node| node.name.clone()).collect()
}

/// How a refresh went, by node; a node that is in neither has fresh lists.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Refreshed {
    /// On how many it was tried.
    pub nodes: usize,
    /// It failed, for this reason.
    pub failed: BTreeMap<NodeName, String>,
    /// A source did not answer, and apt kept what it had of it: its first warning.
    pub kept: BTreeMap<NodeName, String>,
}

/// Refreshes the lists of these nodes.
pub async fn refresh(ports: &Ports, nodes: &BTreeSet<NodeName>) -> Refreshed {
    let Refreshed { mut failed, mut kept, .. } = Refreshed::default();
    let mut tasks = Vec::new();
    for node in nodes {
        let path = format!("/nodes/{node}/apt/update");
        let request = ApiRequest { method: Method::Post, path, params: Vec::new(), avoid: Vec::new(), expires: None };
        match ports.api.call(request).await {
            Ok(Value::String(upid)) => tasks.push((node, upid)),
            Ok(other) => drop(failed.insert(node.clone(), format!("no task was started: {other}"))),
            Err(error) => drop(failed.insert(node.clone(), error.to_string())),
        }
    }
    for (node, upid) in tasks {
        match finished(ports, node, &upid).await {
            Err(why) => drop(failed.insert(node.clone(), why)),
            Ok(()) => kept.extend(warning(ports, node, &upid).await.map(|warning| (node.clone(), warning))),
        }
    }
    Refreshed { nodes: nodes.len(), failed, kept }
}

/// On how many nodes the lists were read again, and how long that took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListsRead {
    /// The nodes; the lists of the others were read within the last hour.
    pub nodes: usize,
    /// In seconds.
    pub took_s: u64,
}

impl Refreshed {
    /// The same as a count.
    pub(crate) fn as_read(&self, took_s: u64) -> ListsRead {
        ListsRead { nodes: self.nodes, took_s }
    }
}

/// apt's warning that a source did not answer: then it keeps what it had, and its exit status is 0. A log that cannot
/// be read counts as one.
async fn warning(ports: &Ports, node: &NodeName, upid: &str) -> Option<String> {
    let path = format!("/nodes/{node}/tasks/{upid}/log");
    let request = ApiRequest { params: vec![("limit".to_owned(), "1000".to_owned())], ..ApiRequest::get(path) };
    let lines = match ports.api.call(request).await {
        Ok(Value::Array(lines)) => lines,
        Ok(other) => return Some(format!("its log is not known: {other}")),
        Err(error) => return Some(format!("its log is not known: {error}")),
    };
    let warns = |line: &&str| line.starts_with("W: Failed to fetch") || line.starts_with("W: Some index files failed");
    lines.iter().filter_map(|line| line["t"].as_str()).find(warns).map(|line| line.trim().chars().take(300).collect())
}

async fn finished(ports: &Ports, node: &NodeName, upid: &str) -> Result<(), String> {
    let started = ports.clock.now();
    loop {
        let status = ports.api.call(ApiRequest::get(format!("/nodes/{node}/tasks/{upid}/status"))).await;
        match status {
            Ok(status) if status["status"] == "stopped" => {
                return match status["exitstatus"].as_str() {
                    Some(exit) if exit == "OK" || exit.starts_with("WARNINGS") => Ok(()),
                    exit => Err(exit.unwrap_or("the task ended without a status").to_owned()),
                };
            }
            Ok(_) | Err(ApiError::InDoubt { .. }) => {}
            Err(error) => return Err(error.to_string()),
        }
        if ports.clock.now().since_s(started) > DEADLINE_S {
            return Err(format!("not done within {DEADLINE_S} s"));
        }
        ports.clock.sleep(POLL).await;
    }
}
