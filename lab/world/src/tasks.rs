//! PVE's tasks: UPID, log and exit status.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use quorate_core::ids::{NodeName, Upid};

use super::events::Event;
use super::{World, WorldError};

/// All tasks of all nodes.
#[derive(Clone, Debug, Default)]
pub struct Tasks {
    /// By UPID.
    pub all: BTreeMap<Upid, Task>,
    /// Per node, oldest first.
    pub by_node: BTreeMap<NodeName, Vec<Upid>>,
    /// Tasks that still run.
    pub running: BTreeSet<Upid>,
    /// Last process id handed out, per node.
    pub last_pid: BTreeMap<NodeName, u32>,
}

/// A worker task.
#[derive(Clone, Debug)]
pub struct Task {
    /// Full id.
    pub upid: Upid,
    /// Node it runs on.
    pub node: NodeName,
    /// Process id.
    pub pid: u32,
    /// Start of the process in jiffies since boot.
    pub pstart: u64,
    /// Start, Unix seconds.
    pub starttime_s: u64,
    /// `qmigrate`, `hamigrate`, `aptupdate`, ...
    pub kind: String,
    /// Guest number, service, or empty.
    pub id: String,
    /// User or `user!token`.
    pub user: String,
    /// How it ended, if it has.
    pub end: Option<TaskEnd>,
    /// Log lines so far.
    pub log: Vec<String>,
}

/// How a task ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskEnd {
    /// Unix seconds.
    pub endtime_s: u64,
    /// `OK`, `WARNINGS: n`, an error text, `unexpected status`.
    pub exitstatus: String,
}

impl World {
    /// Starts a task.
    pub(crate) fn new_task(&mut self, node: &NodeName, kind: &str, id: &str, user: &str) -> Upid {
        let booted_ms = self.nodes.get(node).map_or(0, |machine| machine.booted_ms);
        let pid = self.new_pid(node);
        let pstart = self.now_ms.saturating_sub(booted_ms) / 10;
        let starttime_s = self.now_ms / 1000;
        let upid = Upid::new(format!("UPID:{node}:{pid:08X}:{pstart:08X}:{starttime_s:08X}:{kind}:{id}:{user}:"));
        let task = Task {
            upid: upid.clone(),
            node: node.clone(),
            pid,
            pstart,
            starttime_s,
            kind: kind.to_owned(),
            id: id.to_owned(),
            user: user.to_owned(),
            end: None,
            log: Vec::new(),
        };
        self.tasks.by_node.entry(node.clone()).or_default().push(upid.clone());
        self.tasks.running.insert(upid.clone());
        self.tasks.all.insert(upid.clone(), task);
        upid
    }

    /// A new process id on a node.
    pub(crate) fn new_pid(&mut self, node: &NodeName) -> u32 {
        let last = self.tasks.last_pid.entry(node.clone()).or_insert(1_400);
        *last += 7;
        *last
    }

    /// Adds a line to a task's log, verbatim.
    pub(crate) fn task_says(&mut self, upid: &Upid, line: impl Into<String>) {
        if let Some(task) = self.tasks.all.get_mut(upid) {
            task.log.push(line.into());
        }
    }

    /// Adds a line with the time in front, as migrations write it.
    pub(crate) fn task_says_at(&mut self, upid: &Upid, line: &str) {
        let stamp = timestamp(self.now_ms);
        self.task_says(upid, format!("{stamp} {line}"));
    }

    /// Ends a task that still runs: `OK`, or the error's text.
    pub(crate) fn end_task(&mut self, upid: &Upid, exitstatus: &str) {
        let now_s = self.now_ms / 1000;
        self.tasks.running.remove(upid);
        let Some(task) = self.tasks.all.get_mut(upid).filter(|task| task.end.is_none()) else { return };
        task.log.push(match exitstatus {
            "OK" => "TASK OK".to_owned(),
            text => format!("TASK ERROR: {text}"),
        });
        task.end = Some(TaskEnd { endtime_s: now_s, exitstatus: exitstatus.to_owned() });
    }

    /// A short task without further effects: its effect has already happened, it ends in a second.
    pub fn quick_task(&mut self, node: &NodeName, kind: &str, id: &str, user: &str, line: &str) -> Upid {
        let upid = self.new_task(node, kind, id, user);
        if !line.is_empty() {
            self.task_says(&upid, line);
        }
        self.events.at(self.now_ms + 800, Event::TaskEnds(upid.clone(), "OK".to_owned()));
        upid
    }

    /// The machine is gone, and every task on it: no end was written.
    pub(crate) fn lose_tasks(&mut self, node: &NodeName) {
        let now_s = self.now_ms / 1000;
        let prefix = format!("UPID:{node}:");
        let lost: Vec<Upid> =
            self.tasks.running.iter().filter(|upid| upid.as_str().starts_with(&prefix)).cloned().collect();
        for upid in lost {
            self.tasks.running.remove(&upid);
            if let Some(task) = self.tasks.all.get_mut(&upid) {
                task.end = Some(TaskEnd { endtime_s: now_s, exitstatus: "unexpected status".to_owned() });
            }
        }
    }

    /// `DELETE /nodes/N/tasks/UPID`: kills the worker. A migration cancels orderly while the guest is on the source.
    pub fn task_stop(&mut self, node: &NodeName, upid: &Upid) -> Result<(), WorldError> {
        let Some(task) = self.tasks.all.get(upid).filter(|task| task.node == *node) else {
            return Err(WorldError::die("no such task"));
        };
        if task.end.is_some() {
            return Ok(());
        }
        let moving = self.migrations.running.values().find(|m| m.upid == *upid).map(|m| m.guest);
        match moving {
            Some(guest) => self.cancel_migration(guest),
            None => self.end_task(upid, "received interrupt"),
        }
        Ok(())
    }

    /// Is the task still running?
    pub fn task_runs(&self, upid: &Upid) -> bool {
        self.tasks.running.contains(upid)
    }
}

/// `2026-11-22 12:00:00`, UTC.
pub fn timestamp(unix_ms: u64) -> String {
    calendar(unix_ms).strftime("%F %T").to_string()
}

/// A moment of the world as a calendar date, UTC; limited to the last one that can be expressed.
pub fn calendar(unix_ms: u64) -> Timestamp {
    i64::try_from(unix_ms).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok()).unwrap_or(Timestamp::MAX)
}

/// `00:01:02`.
pub(crate) fn duration(ms: u64) -> String {
    let seconds = ms / 1000;
    format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}
