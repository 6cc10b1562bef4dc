//! Tasks: lists of a node and of the cluster, state and log of one.

use quorate_core::ids::Upid;
use quorate_world::tasks::Task;
use serde_json::{Map, Value, json};

use super::{Call, Route, route};
use crate::access::Caller;
use crate::answer::{CallRefused, Reply, object};

pub(super) const ROUTES: &[Route] = &[
    route("GET", "/cluster/tasks", of_cluster),
    route("GET", "/nodes/{node}/tasks", of_node),
    route("GET", "/nodes/{node}/tasks/{upid}/status", status),
    route("GET", "/nodes/{node}/tasks/{upid}/log", log),
    route("DELETE", "/nodes/{node}/tasks/{upid}", stop),
];

/// User and, split off, the token's name.
fn user_of(task: &Task) -> (&str, Option<&str>) {
    match task.user.split_once('!') {
        Some((user, token)) => (user, Some(token)),
        None => (&task.user, None),
    }
}

fn identity(task: &Task) -> Map<String, Value> {
    let (user, token) = user_of(task);
    let mut entry = object(json!({
        "upid": task.upid, "node": task.node, "type": task.kind, "id": task.id, "user": user,
        "starttime": task.starttime_s,
    }));
    if let Some(token) = token {
        entry.insert("tokenid".into(), json!(token));
    }
    entry
}

/// A caller's own tasks are found by user name: for this list a token owns none.
fn of_cluster(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    /// How many finished tasks each node reports to the others.
    const FINISHED: usize = 25;
    let sees_all = call.may("/", &["Sys.Audit"]);
    let me = call.caller.auth_id();
    let mut running = Vec::new();
    let mut finished = Vec::new();
    for node in call.world.nodes.keys() {
        let mut ended = 0;
        for task in newest_first(call, node) {
            if task.end.is_some() && ended == FINISHED {
                continue;
            }
            ended += usize::from(task.end.is_some());
            if !sees_all && user_of(task).0 != me {
                continue;
            }
            let mut entry = identity(task);
            match &task.end {
                Some(end) => {
                    entry.insert("endtime".into(), json!(end.endtime_s));
                    entry.insert("status".into(), json!(end.exitstatus));
                    entry.insert("saved".into(), json!("1"));
                    finished.push(entry);
                }
                None => {
                    entry.insert("pid".into(), json!(task.pid));
                    running.push(entry);
                }
            }
        }
    }
    for list in [&mut running, &mut finished] {
        list.sort_by_key(|entry| std::cmp::Reverse(entry["starttime"].as_u64()));
    }
    Ok(running.into_iter().chain(finished).map(Value::Object).collect::<Value>().into())
}

fn newest_first<'a>(
    call: &'a Call<'_>,
    node: &quorate_core::ids::NodeName,
) -> impl Iterator<Item = &'a Task> + use<'a> {
    let upids = call.world.tasks.by_node.get(node).map_or(&[][..], Vec::as_slice);
    upids.iter().rev().filter_map(|upid| call.world.tasks.all.get(upid))
}

fn of_node(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    let source = call.args.get("source").unwrap_or("archive");
    let sees_all = call.may(&format!("/nodes/{}", call.node), &["Sys.Audit"]);
    let me = call.caller.auth_id();
    let wanted = |task: &&Task| {
        let (running, args) = (task.end.is_none(), &call.args);
        let right_source = match source {
            "archive" => !running,
            "active" => running,
            _ => true,
        };
        right_source
            && (sees_all || task.user == me)
            && args.get("typefilter").is_none_or(|kind| task.kind == kind)
            && args.get("vmid").is_none_or(|vmid| task.id == vmid)
            && args.get("userfilter").is_none_or(|user| task.user.contains(user))
            && args.number("since").is_none_or(|since| task.starttime_s >= since)
            && args.number("until").is_none_or(|until| task.starttime_s <= until)
            && (!args.is_on("errors") || matches!(outcome(task), "error" | "unknown"))
            && args.get("statusfilter").is_none_or(|filter| filter.split(',').any(|word| word == outcome(task)))
    };
    let all: Vec<&Task> = newest_first(call, &call.node).filter(wanted).collect();
    let start = call.args.number("start").map_or(0, clamp);
    // Unlike in the log, 0 means none.
    let limit = call.args.number("limit").map_or(50, clamp);
    let page = all.iter().skip(start).take(limit).map(|task| {
        let mut entry = identity(task);
        entry.insert("pid".into(), json!(task.pid));
        entry.insert("pstart".into(), json!(task.pstart));
        match &task.end {
            Some(end) => {
                entry.insert("endtime".into(), json!(end.endtime_s));
                entry.insert("status".into(), json!(end.exitstatus));
            }
            None => {
                entry.insert("status".into(), json!("RUNNING"));
            }
        }
        Value::Object(entry)
    });
    Ok(Reply::page(page.collect(), all.len()))
}

fn clamp(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// In the words of `statusfilter`; a running task counts as unknown.
fn outcome(task: &Task) -> &'static str {
    match task.end.as_ref().map(|end| end.exitstatus.as_str()) {
        Some("OK") => "ok",
        Some(text) if text.starts_with("WARNINGS") => "warning",
        None | Some("unexpected status") => "unknown",
        Some(_) => "error",
    }
}

/// The task that the path names, if the caller may see it.
fn task<'a>(call: &'a Call<'_>, privilege: &str) -> Result<&'a Task, CallRefused> {
    let upid = Upid::new(call.args.text("upid"));
    let found = call.world.tasks.all.get(&upid).filter(|task| task.node == call.node);
    let found = found.ok_or_else(|| CallRefused::parameter("upid", "no such task"))?;
    let path = format!("/nodes/{}", call.node);
    if !owns(call.caller, found) && !call.may(&path, &[privilege]) {
        return Err(CallRefused::Forbidden(format!("{path}, {privilege}")));
    }
    Ok(found)
}

fn owns(caller: &Caller, task: &Task) -> bool {
    task.user == caller.auth_id() || (caller.token.is_none() && user_of(task).0 == caller.user)
}

fn status(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    let task = task(call, "Sys.Audit")?;
    let mut entry = identity(task);
    entry.insert("pid".into(), json!(task.pid));
    entry.insert("pstart".into(), json!(task.pstart));
    match &task.end {
        Some(end) => {
            entry.insert("status".into(), json!("stopped"));
            entry.insert("exitstatus".into(), json!(end.exitstatus));
        }
        None => {
            entry.insert("status".into(), json!("running"));
        }
    }
    Ok(Value::Object(entry).into())
}

fn log(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    let task = task(call, "Sys.Audit")?;
    let mut lines: Vec<&str> = task.log.iter().map(String::as_str).collect();
    if lines.is_empty() {
        lines.push("no content");
    }
    Ok(page(call, &lines))
}

/// Lines of a log from `start`, at most `limit`; 0 means all.
pub(super) fn page<T: AsRef<str>>(call: &Call<'_>, lines: &[T]) -> Reply {
    let start = call.args.number("start").map_or(0, clamp);
    let limit = match call.args.number("limit").map_or(50, clamp) {
        0 => usize::MAX,
        limit => limit,
    };
    let page = lines.iter().enumerate().skip(start).take(limit);
    Reply::page(page.map(|(at, line)| json!({"n": at + 1, "t": line.as_ref()})).collect(), lines.len())
}

fn stop(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    let upid = task(call, "Sys.Modify")?.upid.clone();
    call.world.task_stop(&call.node, &upid)?;
    Ok(Value::Null.into())
}
