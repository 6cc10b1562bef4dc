//! How a task for many guests proceeds, a few of them at a time.

use quorate_core::ids::{GuestId, NodeName, Upid};

use super::World;
use super::bulk::{Bulk, BulkKind};
use super::events::Event;
use super::guest::Activity;
use super::migration::MigrateRequest;

impl World {
    /// Starts a task of this type and id on a node for these guests, `workers` at a time.
    pub fn bulk(
        &mut self,
        node: &NodeName,
        (task_type, task_id): (&str, &str),
        mut guests: Vec<GuestId>,
        kind: BulkKind,
        workers: usize,
        user: &str,
    ) -> Upid {
        let upid = self.new_task(node, task_type, task_id, user);
        guests.sort_by_key(|guest| std::cmp::Reverse(guest.vmid));
        let workers = workers.max(1);
        let bulk =
            Bulk { upid: upid.clone(), user: user.to_owned(), kind, waiting: guests, running: Vec::new(), workers };
        self.events.at(self.now_ms + 1_000, Event::BulkStep(Box::new(bulk)));
        upid
    }

    /// Checks what has ended, and starts what comes next.
    pub(crate) fn on_bulk_step(&mut self, mut bulk: Bulk) {
        if !self.task_runs(&bulk.upid) {
            return;
        }
        bulk.running.retain(|upid| self.task_runs(upid));
        if let BulkKind::Reboot { .. } = bulk.kind {
            self.reboot_step(bulk);
            return;
        }
        while bulk.running.len() < bulk.workers {
            let Some(id) = bulk.waiting.pop() else { break };
            bulk.running.extend(self.bulk_one(&bulk, id));
        }
        if bulk.running.is_empty() && bulk.waiting.is_empty() {
            if matches!(bulk.kind, BulkKind::Migrate { .. }) {
                let line = format!("All jobs finished, used {} workers in total.", bulk.workers);
                self.task_says(&bulk.upid, line);
            }
            let upid = bulk.upid;
            self.end_task(&upid, "OK");
            return;
        }
        self.events.at(self.now_ms + 1_000, Event::BulkStep(Box::new(bulk)));
    }

    /// A reboot waits for the guest to stop, and starts it where it was.
    fn reboot_step(&mut self, mut bulk: Bulk) {
        let BulkKind::Reboot { timeout_s } = bulk.kind else { return };
        let Some(id) = bulk.waiting.last().copied() else { return };
        let guest = self.guests.get(&id).map(|guest| (guest.node.clone(), guest.is_running(), guest.activity));
        let Some((node, runs, activity)) = guest else { return };
        match (runs, activity) {
            (true, Activity::Running) => self.shut_down(&node, id, timeout_s * 1000, true, None),
            (true, _) => {}
            (false, _) => {
                bulk.waiting.clear();
                let start = self.start_now(&node, id, &bulk.user);
                bulk.running.push(start);
                bulk.kind = BulkKind::Start;
            }
        }
        self.events.at(self.now_ms + 1_000, Event::BulkStep(Box::new(bulk)));
    }

    /// Starts the action for one guest; what cannot be done is only a line in the log.
    fn bulk_one(&mut self, bulk: &Bulk, id: GuestId) -> Option<Upid> {
        let guest = self.guests.get(&id)?;
        let (node, runs, vmid) = (guest.node.clone(), guest.is_running(), id.vmid);
        let word = if id.kind == quorate_core::ids::GuestKind::Vm { "VM" } else { "CT" };
        let (line, begun) = match &bulk.kind {
            BulkKind::Start if runs || guest.template => return None,
            BulkKind::Start => (format!("Starting {word} {vmid}"), self.guest_start(&node, id, &bulk.user)),
            BulkKind::Shutdown { .. } if !runs => return None,
            // A reboot has steps of its own.
            BulkKind::Reboot { .. } => return None,
            BulkKind::Shutdown { timeout_s, force } => (
                format!("Stopping {word} {vmid} (timeout = {timeout_s} seconds)"),
                self.guest_shutdown(&node, id, *timeout_s, *force, &bulk.user),
            ),
            BulkKind::Migrate { target, with_local_disks } => {
                let request = MigrateRequest {
                    target: target.to_string(),
                    online: runs,
                    restart: runs,
                    with_local_disks: *with_local_disks,
                    with_conntrack_state: false,
                    storages: None,
                    user: bulk.user.clone(),
                };
                self.task_says(&bulk.upid, format!("Check {word} {vmid}: precondition check passed"));
                (format!("Migrating {word} {vmid}"), self.migrate(&node, id, request))
            }
        };
        self.task_says(&bulk.upid, line);
        begun.map_err(|error| self.task_says(&bulk.upid, error.to_string())).ok()
    }
}
