//! Tells readers of the journal how far the run is: what it waits for, how far guests and packages are, what was seen
//! last. Nothing is decided upon it, and nothing waits for it: what cannot be read or written is left out.

use std::collections::BTreeMap;
use std::time::Duration;

use quorate_core::ids::{GuestId, NodeName, UnixMs, Upid};
use quorate_core::progress::{Glance, Progress, Transfer};
use quorate_core::run::RunState;
use quorate_core::snapshot::Snapshot;
use quorate_core::steps::{OnNode, UpgradePackages};
use quorate_pve::live::since_boot;
use quorate_pve::ports::{ApiRequest, Ports};
use quorate_pve::wire::migration_log::transfer;

use crate::drive::Driver;
use crate::wall::wall_now;

/// A row is written at most this often, in real time.
const WRITE_EVERY: Duration = Duration::from_millis(400);

/// A guest's migration and a node's upgrade are asked for at most this often, by the clock of the run.
const READ_EVERY_S: u64 = 5;

/// A log that is not told within this time is asked for again later.
const DEADLINE: Duration = Duration::from_secs(5);

/// Lines of a task's log in one call; it grows by about one in a second.
const MOST_LINES: usize = 500;

/// What is told, and what was read for it.
#[derive(Default)]
pub(crate) struct Telling {
    is_told: bool,
    progress: Progress,
    written: Option<Duration>,
    read: UnixMs,
    /// Lines that were read of each log.
    lines: BTreeMap<Upid, usize>,
}

/// What may be read while the run waits.
pub(crate) struct ToRead {
    migrations: Vec<(GuestId, NodeName, Upid, usize)>,
    upgrade: Option<(NodeName, String)>,
}

/// What was read.
pub(crate) struct WasRead {
    migrations: Vec<(GuestId, Upid, usize, Option<Transfer>)>,
    packages: Option<String>,
}

impl Driver<'_> {
    /// From now on the journal tells readers how far the run is; what an earlier driver told of it is kept.
    #[must_use]
    pub fn telling(mut self) -> Self {
        let before = self.journal.progress(&self.run).ok().flatten();
        let glance = before.and_then(|before| before.glance);
        self.telling = Telling { is_told: true, ..Telling::default() };
        self.telling.progress.glance = glance;
        self
    }

    /// What the run waits for; nothing while it does something.
    pub(crate) fn tell_waiting(&mut self, waiting: &[String]) {
        self.telling.progress.waiting = waiting.to_vec();
        self.tell();
    }

    /// What a look saw.
    pub(crate) fn tell_look(&mut self, snapshot: &Snapshot) {
        if self.telling.is_told {
            let before = self.telling.progress.glance.as_ref();
            self.telling.progress.glance = Some(Glance::of(snapshot, &self.state, before));
            self.tell();
        }
    }

    /// Tells it, unless that was done just now.
    pub(crate) fn tell(&mut self) {
        let telling = &mut self.telling;
        let is_due = telling.written.is_none_or(|written| since_boot().saturating_sub(written) >= WRITE_EVERY);
        if telling.is_told && is_due {
            telling.progress.at = self.ports.clock.now();
            telling.progress.wall = wall_now();
            telling.progress.moving.retain(|guest, _| travels(&self.state, *guest));
            // It is for people who look on: a disk that is full stops the run at its next event, not here.
            let _ = self.journal.write_progress(&self.run, &telling.progress);
            telling.written = Some(since_boot());
        }
    }

    /// Waits, and reads meanwhile how far guests and packages are: the wait is not longer for that.
    pub(crate) async fn sleep_and_tell(&mut self, time: Duration) {
        let ports = self.ports.clone();
        let mut sleep = ports.clock.sleep(time);
        let Some(to_read) = self.to_read() else { return sleep.await };
        let read = tokio::select! {
            biased;
            read = read(&ports, to_read) => read,
            () = &mut sleep => return,
        };
        self.telling.has_read(read);
        self.tell();
        sleep.await;
    }

    fn to_read(&mut self) -> Option<ToRead> {
        let now = self.ports.clock.now();
        if !self.telling.is_told || now.since_s(self.telling.read) < READ_EVERY_S {
            return None;
        }
        let snapshot = &self.seen.look.as_ref()?.snapshot;
        let to_read = self.telling.to_read(&self.state, snapshot);
        let is_any = !to_read.migrations.is_empty() || to_read.upgrade.is_some();
        is_any.then(|| {
            self.telling.read = now;
            to_read
        })
    }
}

fn travels(state: &RunState, guest: GuestId) -> bool {
    state
        .under_way()
        .any(|(_, record)| record.command.is_some() && record.step.moves().is_some_and(|of| of.guest == guest))
}

impl Telling {
    /// HA makes another task than the one that answered, so the tasks are those that the cluster says are running.
    fn to_read(&self, state: &RunState, snapshot: &Snapshot) -> ToRead {
        let jobs = snapshot.jobs.known().into_iter().flatten().filter(|job| job.kind.is_migration());
        let migrations = jobs.filter_map(|job| {
            let guest = snapshot.guests.keys().find(|guest| Some(guest.vmid) == job.vmid)?;
            let seen = self.lines.get(&job.upid).copied().unwrap_or(0);
            travels(state, *guest).then(|| (*guest, job.node.clone(), job.upid.clone(), seen))
        });
        let upgrade = state.under_way().find_map(|(_, record)| {
            let node = record.step.node().filter(|_| record.step.on_node() == OnNode::Upgrades)?;
            let unit = &snapshot.nodes.get(node)?.upgrade_unit.known()?.as_ref()?.unit;
            record.command.as_ref().map(|_| (node.clone(), UpgradePackages::log(unit)))
        });
        ToRead { migrations: migrations.collect(), upgrade }
    }

    fn has_read(&mut self, read: WasRead) {
        for (guest, upid, lines, transfer) in read.migrations {
            self.lines.insert(upid, lines);
            self.progress.moving.extend(transfer.map(|transfer| (guest, transfer)));
        }
        self.progress.packages = read.packages;
    }
}

async fn read(ports: &Ports, to_read: ToRead) -> WasRead {
    let mut migrations = Vec::new();
    for (guest, node, upid, seen) in to_read.migrations {
        if let Some((lines, transfer)) = task_log(ports, &node, &upid, seen).await {
            migrations.push((guest, upid, lines, transfer));
        }
    }
    let packages = match to_read.upgrade {
        Some((node, log)) => last_line(ports, &node, &log).await,
        None => None,
    };
    WasRead { migrations, packages }
}

/// The lines of a log after those that were read already, and what they say.
async fn task_log(ports: &Ports, node: &NodeName, upid: &Upid, seen: usize) -> Option<(usize, Option<Transfer>)> {
    let mut request = ApiRequest::get(format!("/nodes/{node}/tasks/{upid}/log"));
    request.params = vec![("start".to_owned(), seen.to_string()), ("limit".to_owned(), MOST_LINES.to_string())];
    let data = ports.api.call(request).await.ok()?;
    let lines: Vec<&str> = data.as_array()?.iter().filter_map(|line| line.get("t")?.as_str()).collect();
    // PVE answers with a line of its own where there is none.
    let new = if lines == ["no content"] { 0 } else { lines.len() };
    Some((seen + new, transfer(lines.into_iter())))
}

async fn last_line(ports: &Ports, node: &NodeName, log: &str) -> Option<String> {
    let argv = ["tail", "-n", "20", log].map(str::to_owned);
    let output = ports.shell.run(node, &argv, DEADLINE).await.ok()?;
    // A line that is drawn anew, like dpkg's bar, is told as it is now.
    let lines = output.stdout.lines().filter_map(|line| line.rsplit('\r').find(|part| !part.trim().is_empty()));
    lines.last().map(|line| line.trim().to_owned()).filter(|_| output.succeeded())
}
