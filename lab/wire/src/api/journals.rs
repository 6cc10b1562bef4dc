//! What a node and the cluster recorded: journal, syslog, cluster log; and the graphs' numbers.

use quorate_world::World;
use quorate_world::node::Node;
use serde_json::{Map, Value, json};

use super::cluster::{cpu_share, memory_used};
use super::storage::root_total;
use super::{Call, Route, route};
use crate::answer::{CallRefused, Reply, object};
use crate::text::Moment;

pub(super) const ROUTES: &[Route] = &[
    route("GET", "/nodes/{node}/journal", journal),
    route("GET", "/nodes/{node}/syslog", syslog),
    route("GET", "/cluster/log", cluster_log),
    route("GET", "/nodes/{node}/rrddata", node_graph),
    route("GET", "/nodes/{node}/qemu/{vmid}/rrddata", guest_graph),
    route("GET", "/nodes/{node}/lxc/{vmid}/rrddata", guest_graph),
    route("GET", "/nodes/{node}/storage/{storage}/rrddata", storage_graph),
];

/// A line of a node's journal: when, which unit, the text.
pub(crate) struct Line {
    pub(crate) at_s: u64,
    pub(crate) unit: &'static str,
    pub(crate) text: String,
}

impl Line {
    /// `Nov 22 10:42:54 pve1 pve-ha-crm[1100]: …`.
    pub(crate) fn shown(&self, node: &Node) -> String {
        format!("{} {} {}[1100]: {}", Moment::at(self.at_s).journal(), node.name, self.unit, self.text)
    }
}

/// What the world keeps of a node's journal: its own lines, the HA master's, and tasks.
pub(crate) fn lines(world: &World, node: &Node) -> Vec<Line> {
    let own = node.journal.iter();
    let mut all: Vec<Line> =
        own.map(|line| Line { at_s: line.at_ms / 1000, unit: line.unit, text: line.text.clone() }).collect();
    if world.ha.manager.master.as_ref() == Some(&node.name) {
        let crm = world.ha.syslog.iter();
        all.extend(crm.map(|(at_ms, text)| Line { at_s: at_ms / 1000, unit: "pve-ha-crm", text: text.clone() }));
    }
    for upid in world.tasks.by_node.get(&node.name).into_iter().flatten() {
        let Some(task) = world.tasks.all.get(upid) else { continue };
        let unit = "pvedaemon";
        let text = format!("<{}> starting task {upid}", task.user);
        all.push(Line { at_s: task.starttime_s, unit, text });
        if let Some(end) = &task.end {
            let text = format!("<{}> end task {upid} {}", task.user, end.exitstatus);
            all.push(Line { at_s: end.endtime_s, unit, text });
        }
    }
    all.sort_by_key(|line| line.at_s);
    all
}

/// Cursors first and last, and compressed whether or not the client wants that.
fn journal(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    let node = call.here();
    let args = &call.args;
    let since = args.number("since").unwrap_or(0);
    let until = args.number("until").unwrap_or(u64::MAX);
    let mut found: Vec<Line> = lines(call.world, node);
    found.retain(|line| (since..=until).contains(&line.at_s));
    if let Some(unit) = args.get("unit").or(args.get("service")) {
        let unit = unit.trim_end_matches(".service").to_owned();
        found.retain(|line| line.unit == unit);
    }
    let last = args.number("lastentries").and_then(|last| usize::try_from(last).ok()).unwrap_or(usize::MAX);
    let skipped = found.len().saturating_sub(last);
    let cursor = |line: Option<&Line>| format!("s={};t={:x}", call.here().boot_id, line.map_or(0, |line| line.at_s));
    let shown = &found[skipped..];
    let mut list = vec![cursor(shown.first())];
    list.extend(shown.iter().map(|line| line.shown(node)));
    list.push(cursor(shown.last()));
    Ok(Reply::from(json!(list)).gzip())
}

fn syslog(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    let node = call.here();
    let mut found = lines(call.world, node);
    if let Some(service) = call.args.get("service") {
        let service = service.trim_end_matches(".service").to_owned();
        found.retain(|line| line.unit == service);
    }
    // `2026-11-22 10:00` compares like the moment that it means.
    let bound = |name: &str| call.args.get(name).map(str::to_owned);
    let (since, until) = (bound("since").unwrap_or_default(), bound("until").unwrap_or_else(|| "9".to_owned()));
    found.retain(|line| (since.as_str()..=until.as_str()).contains(&Moment::at(line.at_s).log().as_str()));
    let lines: Vec<String> = found.iter().map(|line| line.shown(node)).collect();
    Ok(super::tasks::page(call, &lines))
}

/// Beginnings and ends of tasks, newest first; those of other users only with the privilege.
fn cluster_log(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    let all = call.may("/", &["Sys.Syslog"]);
    let me = call.caller.auth_id();
    let most = call.args.number("max").and_then(|most| usize::try_from(most).ok()).unwrap_or(500);
    let mut entries: Vec<(u64, Map<String, Value>)> = Vec::new();
    for (node, upids) in &call.world.tasks.by_node {
        let mut uid = 0;
        for task in upids.iter().filter_map(|upid| call.world.tasks.all.get(upid)) {
            let start = (task.starttime_s, 6, format!("starting task {}", task.upid));
            let end = task.end.as_ref().map(|end| {
                let pri = if end.exitstatus == "OK" { 6 } else { 3 };
                (end.endtime_s, pri, format!("end task {} {}", task.upid, end.exitstatus))
            });
            for (time, pri, msg) in std::iter::once(start).chain(end) {
                uid += 1;
                let entry = object(json!({
                    "uid": uid.to_string(), "id": format!("{uid}:{node}"), "node": node, "time": time, "pri": pri,
                    "tag": "pvedaemon", "pid": task.pid, "user": task.user, "msg": msg,
                }));
                if all || task.user == me {
                    entries.push((time, entry));
                }
            }
        }
    }
    entries.sort_by_key(|(time, _)| std::cmp::Reverse(*time));
    Ok(entries.into_iter().take(most).map(|(_, entry)| Value::Object(entry)).collect::<Value>().into())
}

/// Points of a graph: those before the world started have a time and nothing else, as in PVE.
fn graph(call: &Call<'_>, now: &Value) -> Reply {
    let step_s = match call.args.text("timeframe") {
        "hour" => 60,
        "day" => 60 * 30,
        "week" => 60 * 180,
        "month" => 60 * 720,
        _ => 60 * 10_080,
    };
    let end_s = call.now_s() / step_s * step_s;
    let began_s = call.world.started_ms / 1000;
    let points = (0..70).rev().map(|back: u64| {
        let time = end_s.saturating_sub(back * step_s);
        let mut point = object(json!({"time": time}));
        if time >= began_s {
            point.extend(object(now.clone()));
        }
        Value::Object(point)
    });
    points.collect::<Value>().into()
}

fn node_graph(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    let node = call.here();
    let used = memory_used(call.world, &call.node);
    let total = root_total(node);
    let mut now = object(json!({
        "cpu": cpu_share(call.world, &call.node), "iowait": 0.0, "loadavg": 0.42, "maxcpu": node.cpus,
        "memtotal": node.memory_bytes, "memused": used, "swaptotal": 0, "swapused": 0, "roottotal": total,
        "rootused": total - node.root_free_bytes, "netin": 0.0, "netout": 0.0,
    }));
    if call.release() >= (9, 0) {
        now.insert("memavailable".into(), json!(node.memory_bytes - used));
        now.insert("arcsize".into(), json!(0));
        for pressure in
            ["pressurecpusome", "pressureiosome", "pressureiofull", "pressurememorysome", "pressurememoryfull"]
        {
            now.insert(pressure.into(), json!(0.0));
        }
    }
    Ok(graph(call, &Value::Object(now)))
}

fn guest_graph(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    let guest = call.guest()?;
    let runs = guest.is_running();
    let mut now = object(json!({
        "maxcpu": guest.cores, "maxmem": guest.memory_bytes, "maxdisk": super::config::disk_total(guest), "disk": 0.0,
    }));
    if runs {
        let used = guest.held_bytes();
        now.extend(object(json!({
            "cpu": 0.05, "mem": used, "netin": 0.0, "netout": 0.0, "diskread": 0.0, "diskwrite": 0.0,
        })));
        if call.release() >= (9, 0) {
            now.insert("memhost".into(), json!(used));
            for pressure in ["cpusome", "cpufull", "iosome", "iofull", "memorysome", "memoryfull"] {
                now.insert(format!("pressure{pressure}"), json!(0.0));
            }
        }
    }
    Ok(graph(call, &Value::Object(now)))
}

fn storage_graph(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    let (used, total) = super::storage::usage_of(call)?;
    Ok(graph(call, &json!({"used": used, "total": total})))
}
