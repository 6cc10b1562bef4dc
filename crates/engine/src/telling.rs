//! What readers of the journal are told of a run that goes on, and what is read for that.

use std::collections::BTreeMap;
use std::time::Duration;

use quorate_core::ids::{GuestId, NodeName, UnixMs, Upid};
use quorate_core::progress::{Progress, Transfer};
use quorate_core::run::RunState;
use quorate_core::snapshot::Snapshot;
use quorate_core::steps::{OnNode, UpgradePackages};
use quorate_pve::ports::{ApiRequest, Ports};
use quorate_pve::wire::migration_log::transfer;

/// A log that is not told within this time is asked for again later.
const DEADLINE: Duration = Duration::from_secs(5);

/// Lines of a task's log in one call; it grows by about one in a second.
const MOST_LINES: usize = 500;

/// What is told, and what was read for it.
#[derive(Default)]
pub(crate) struct Telling {
    pub(crate) is_told: bool,
    pub(crate) progress: Progress,
    /// When a row was written last, by real time.
    pub(crate) written: Option<Duration>,
    /// When logs were read last, by the clock of the run.
    pub(crate) read: UnixMs,
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

/// Is the guest on its way, by an order of this run?
pub(crate) fn travels(state: &RunState, guest: GuestId) -> bool {
    state
        .under_way()
        .any(|(_, record)| record.command.is_some() && record.step.moves().is_some_and(|of| of.guest == guest))
}

impl ToRead {
    /// Is there anything?
    pub(crate) fn is_any(&self) -> bool {
        !self.migrations.is_empty() || self.upgrade.is_some()
    }
}

impl Telling {
    /// HA makes another task than the one that answered, so the tasks are those that the cluster says are running.
    pub(crate) fn to_read(&self, state: &RunState, snapshot: &Snapshot) -> ToRead {
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

    pub(crate) fn has_read(&mut self, read: WasRead) {
        for (guest, upid, lines, transfer) in read.migrations {
            self.lines.insert(upid, lines);
            self.progress.moving.extend(transfer.map(|transfer| (guest, transfer)));
        }
        self.progress.packages = read.packages;
    }
}

/// Reads it.
pub(crate) async fn read(ports: &Ports, to_read: ToRead) -> WasRead {
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
    let mut lines = output.stdout.lines().filter_map(|line| line.rsplit('\r').find(|part| !part.trim().is_empty()));
    lines.next_back().map(|line| line.trim().to_owned()).filter(|_| output.succeeded())
}
