//! Power, shutdown and boot of a machine, along the measured timeline: after the order the API keeps serving for
//! about 25 s, services stop, the machine goes down, boots for 45 to 130 s; SSH comes first, the API later, Ceph last.

use quorate_core::ids::{GuestId, NodeName};

use super::events::{BootStage, Event};
use super::guest::Activity;
use super::ha::{LrmMode, LrmState};
use super::node::{AfterDown, DownStage, Node, Power};
use super::store::ShutdownPolicy;
use super::{World, WorldError};
use crate::safety_checker;

/// From the order to the end of the API, if there is nothing to wait for.
const SERVES_ON_MS: u64 = 25_000;
/// How long pve-guests waits for guests before it kills them.
const GUESTS_DEADLINE_MS: u64 = 180_000;
/// How long the start of onboot guests waits for storage.
const STORAGE_WAIT_MS: u64 = 300_000;
/// How long HA may delay a shutdown.
const HA_DEADLINE_MS: u64 = 600_000;

impl World {
    /// `POST /nodes/N/status command=reboot|shutdown`: answers at once, begins two seconds later.
    pub fn node_power(&mut self, node: &NodeName, then: AfterDown) -> Result<(), WorldError> {
        let machine = self.nodes.get_mut(node).ok_or_else(|| WorldError::NoSuchNode(node.to_string()))?;
        if machine.power != Power::On {
            return Ok(());
        }
        machine.power = Power::GoingDown { since_ms: self.now_ms, then, stage: DownStage::HaDrain };
        let boots = machine.boots;
        safety_checker::node_taken_out(self, node, "a reboot was ordered");
        self.lrm_shuts_down(node, then);
        self.events.at(self.now_ms + 2_000, Event::Down(node.clone(), boots));
        Ok(())
    }

    /// `shutdown -r +10`: it goes down in ten minutes, unless that is taken back.
    pub fn node_power_later(&mut self, node: &NodeName, then: AfterDown, minutes: u64) {
        let due_ms = self.now_ms + minutes * 60_000;
        let Some(machine) = self.nodes.get_mut(node) else { return };
        machine.shutdown_due = Some((due_ms, then));
        let boots = machine.boots;
        self.events.at(due_ms, Event::ScheduledDown(node.clone(), boots));
    }

    pub(crate) fn on_scheduled_down(&mut self, node: &NodeName, boots: u32) {
        let due =
            self.nodes.get(node).filter(|machine| machine.boots == boots).and_then(|machine| machine.shutdown_due);
        if let Some((_, then)) = due.filter(|(due_ms, _)| *due_ms <= self.now_ms) {
            let _ = self.node_power(node, then);
        }
    }

    /// What HA does with its services on a node that goes down, by policy.
    fn lrm_shuts_down(&mut self, node: &NodeName, then: AfterDown) {
        let policy = self.options.shutdown_policy;
        let Some(lrm) = self.ha.lrm.get_mut(node).filter(|lrm| lrm.running) else { return };
        if lrm.mode == LrmMode::Maintenance {
            return;
        }
        lrm.mode = match (policy, then) {
            (ShutdownPolicy::Migrate, _) => LrmMode::Maintenance,
            (ShutdownPolicy::Failover, _) | (ShutdownPolicy::Conditional, AfterDown::Off) => LrmMode::Shutdown,
            (ShutdownPolicy::Freeze, _) | (ShutdownPolicy::Conditional, AfterDown::Reboot) => LrmMode::Restart,
        };
        if lrm.mode == LrmMode::Maintenance {
            self.ha.manager.shutdown_maintenance.insert(node.clone());
        }
    }

    /// One check of a running shutdown.
    pub(crate) fn on_down(&mut self, node: &NodeName, boots: u32) {
        let Some(machine) = self.nodes.get(node).filter(|machine| machine.boots == boots) else { return };
        let Power::GoingDown { since_ms, then, stage } = machine.power else { return };
        let waited = self.now_ms.saturating_sub(since_ms);
        match stage {
            DownStage::HaDrain => {
                if self.ha_holds_shutdown(node) && waited < HA_DEADLINE_MS {
                    self.events.at(self.now_ms + 1_000, Event::Down(node.clone(), boots));
                } else {
                    self.stop_guests_for_shutdown(node);
                    self.set_stage(node, since_ms, then, DownStage::Guests);
                    self.events.at(self.now_ms + 1_000, Event::Down(node.clone(), boots));
                }
            }
            DownStage::Guests => {
                let left: Vec<GuestId> = machine.processes.iter().copied().collect();
                if !left.is_empty() && waited < GUESTS_DEADLINE_MS {
                    self.events.at(self.now_ms + 1_000, Event::Down(node.clone(), boots));
                    return;
                }
                for id in left {
                    self.kill(id, node, "did not stop in time before its node went down");
                }
                self.set_stage(node, since_ms, then, DownStage::Services);
                let at = (self.now_ms + 3_000).max(since_ms + SERVES_ON_MS);
                self.events.at(at, Event::Down(node.clone(), boots));
            }
            DownStage::Services => {
                self.services_stop(node);
                match self.armed.take_shutdown_hangs(node) {
                    None => self.goes_dark(node, then),
                    Some(seconds) => {
                        self.set_stage(node, since_ms, then, DownStage::Hangs);
                        self.events.at(self.now_ms + seconds * 1000, Event::Down(node.clone(), boots));
                    }
                }
            }
            DownStage::Hangs => self.goes_dark(node, then),
        }
    }

    fn set_stage(&mut self, node: &NodeName, since_ms: u64, then: AfterDown, stage: DownStage) {
        if let Some(machine) = self.nodes.get_mut(node) {
            machine.power = Power::GoingDown { since_ms, then, stage };
        }
    }

    /// Does HA still move services away (policy `migrate`, or maintenance that has begun)? The other policies leave it
    /// to the guests' stage.
    fn ha_holds_shutdown(&self, node: &NodeName) -> bool {
        let leaves = |lrm: &super::ha::Lrm| lrm.running && lrm.mode == LrmMode::Maintenance;
        (self.ha.manager.shutdown_maintenance.contains(node) || self.ha.lrm.get(node).is_some_and(leaves))
            && self.nodes.get(node).is_some_and(|machine| machine.processes.iter().any(|id| self.ha_managed(*id)))
    }

    fn stop_guests_for_shutdown(&mut self, node: &NodeName) {
        let Some(machine) = self.nodes.get(node) else { return };
        let running: Vec<GuestId> = machine.processes.iter().copied().collect();
        let moving: Vec<GuestId> =
            self.migrations.running.values().filter(|m| m.source == *node).map(|m| m.guest).collect();
        for id in moving {
            self.fail_migration(id, "migration aborted");
        }
        for id in running {
            safety_checker::guest_stopped_by_reboot(self, id, node);
            self.shut_down(node, id, GUESTS_DEADLINE_MS, true, None);
        }
    }

    /// What began or came in while the services were stopping dies with the machine.
    fn kill_what_came_late(&mut self, node: &NodeName) {
        let late: Vec<GuestId> = self.nodes.get(node).into_iter().flat_map(|m| m.processes.iter().copied()).collect();
        for id in late {
            self.kill(id, node, "arrived on its node while that was shutting down, and died with it");
        }
    }

    /// The services of PVE leave cleanly; corosync is the last of them.
    fn services_stop(&mut self, node: &NodeName) {
        self.kill_what_came_late(node);
        self.ceph_stops_on(node);
        self.release_manager_lock(node);
        self.ha.manager.shutdown_maintenance.remove(node);
        if let Some(lrm) = self.ha.lrm.get_mut(node) {
            if lrm.mode == LrmMode::Active {
                lrm.mode = LrmMode::Restart;
            }
            lrm.leave(self.now_ms);
        }
        if let Some(machine) = self.nodes.get_mut(node) {
            machine.api_up = false;
        }
    }

    /// The last moment of an orderly shutdown: the machine is down.
    fn goes_dark(&mut self, node: &NodeName, then: AfterDown) {
        self.kill_what_came_late(node);
        self.set_corosync(node, false);
        self.machine_off(node);
        match then {
            AfterDown::Reboot => self.boot(node),
            AfterDown::Off => {}
        }
    }

    /// Ends everything that ends with the power. Callers have to notify the cluster.
    fn machine_off(&mut self, node: &NodeName) {
        self.interrupted_upgrade(node);
        let Some(machine) = self.nodes.get_mut(node) else { return };
        machine.power = Power::Off;
        machine.ssh_up = false;
        machine.api_up = false;
        machine.corosync_up = false;
        machine.packages.locked_by = None;
        machine.shutdown_due = None;
        machine.surroundings.reboot_required = None;
        machine.units.clear();
        for id in &machine.guests {
            if let Some(guest) = self.guests.get_mut(id).filter(|guest| !guest.is_running()) {
                guest.activity = Activity::Stopped;
            }
        }
        self.lose_tasks(node);
        self.lose_migrations(node);
    }

    /// The machine loses power this moment: its guests die, the other nodes notice later.
    pub fn power_off(&mut self, node: &NodeName) {
        let Some(machine) = self.nodes.get(node) else { return };
        if matches!(machine.power, Power::Off) {
            return;
        }
        let running: Vec<GuestId> = machine.processes.iter().copied().collect();
        self.machine_off(node);
        for id in running {
            self.kill(id, node, "died with its node");
        }
        if let Some(lrm) = self.ha.lrm.get_mut(node) {
            lrm.running = false;
            lrm.leaving = None;
            lrm.workers.clear();
        }
        self.corosync.views.remove(node);
        self.corosync.lowered.remove(node);
        self.corosync.seen_all.remove(node);
        self.membership_after_loss();
        self.ceph_vanishes_on(node);
    }

    /// A process is killed: that is harm, whatever the cause.
    pub(crate) fn kill(&mut self, id: GuestId, node: &NodeName, why: &str) {
        self.impact.event(self.now_ms, format!("{id} on {node} {why}"));
        self.process_ends(id, node);
    }

    /// The machine gets power.
    pub fn power_on(&mut self, node: &NodeName) {
        if self.nodes.get(node).is_some_and(|machine| matches!(machine.power, Power::Off | Power::Hung)) {
            self.boot(node);
        }
    }

    fn boot(&mut self, node: &NodeName) {
        let (shortest, longest) = self.speed.boot_s;
        let seconds = self.armed.take_boot_slow(node).unwrap_or_else(|| self.rng.between(shortest, longest));
        let never = self.armed.take_boot_never(node);
        let Some(machine) = self.nodes.get_mut(node) else { return };
        machine.boots += 1;
        machine.old_manager = None;
        machine.surroundings.recorded_checker = None;
        machine.power = if never { Power::Hung } else { Power::Booting { since_ms: self.now_ms } };
        if never {
            self.impact.note(self.now_ms, format!("{node} does not come up again"));
            return;
        }
        let event = Event::Boot(node.clone(), machine.boots, BootStage::Ssh);
        self.events.at(self.now_ms + seconds * 1000, event);
    }

    /// The boot has reached a stage.
    pub(crate) fn on_boot(&mut self, node: &NodeName, boots: u32, stage: BootStage) {
        if self.nodes.get(node).is_none_or(|machine| machine.boots != boots) {
            return;
        }
        match stage {
            BootStage::Ssh => self.system_is_up(node, boots),
            BootStage::Api => self.api_comes_up(node, boots),
        }
    }

    fn system_is_up(&mut self, node: &NodeName, boots: u32) {
        let boot_id = super::node::random_boot_id(&mut self.rng);
        let old_kernel = self.armed.take_boot_old_kernel(node);
        let nics_renamed = self.armed.take_boot_renames_nics(node);
        let now_ms = self.now_ms;
        let Some(machine) = self.nodes.get_mut(node) else { return };
        machine.power = Power::On;
        machine.boot_id = boot_id;
        machine.booted_ms = now_ms.saturating_sub(12_000);
        machine.ssh_up = !nics_renamed;
        machine.nics_renamed = nics_renamed;
        machine.pmxcfs_alone = false;
        machine.pmxcfs_away_until_ms = 0;
        machine.pvestatd_hangs_until_ms = 0;
        for link in machine.links.iter_mut().filter(|_| nics_renamed) {
            link.up = false;
        }
        machine.services = super::services::all_running();
        machine.startall_pending = true;
        if !old_kernel {
            machine.kernel.running = machine.kernel.will_boot();
        }
        machine.kernel.next_boot = None;
        self.events.at(now_ms + 4_000, Event::CorosyncUp(node.clone(), boots));
        self.events.at(now_ms + 8_000, Event::Boot(node.clone(), boots, BootStage::Api));
        let ceph_ms = self.rng.between(12_000, 20_000);
        self.events.at(now_ms + ceph_ms, Event::CephUp(node.clone(), boots, "ceph".to_owned()));
        self.events.at(now_ms + 12_000, Event::StartAll(node.clone(), boots));
    }

    /// pveproxy only comes up once the node has quorum (it waits in `pvecm updatecerts`).
    fn api_comes_up(&mut self, node: &NodeName, boots: u32) {
        if !self.writable(node) {
            self.events.at(self.now_ms + 2_000, Event::Boot(node.clone(), boots, BootStage::Api));
            return;
        }
        if let Some(machine) = self.nodes.get_mut(node) {
            machine.api_up = true;
            machine.api_refused_until_ms = self.now_ms;
        }
        self.lrm_starts(node);
    }

    /// `pve-guests` starts the onboot guests that HA does not manage, once there is quorum.
    pub(crate) fn on_start_all(&mut self, node: &NodeName, boots: u32) {
        let Some(machine) = self.nodes.get(node).filter(|m| m.boots == boots && m.startall_pending) else { return };
        if !machine.api_up || !self.writable(node) {
            self.events.at(self.now_ms + 2_000, Event::StartAll(node.clone(), boots));
            return;
        }
        // Storage comes up later than the rest; pve-guests waits for it, but not forever.
        let waited_ms = self.now_ms.saturating_sub(machine.booted_ms);
        let stalled = self.ceph.as_ref().is_some_and(|ceph| !ceph.stalled_pools.is_empty());
        if stalled && waited_ms < STORAGE_WAIT_MS {
            self.events.at(self.now_ms + 2_000, Event::StartAll(node.clone(), boots));
            return;
        }
        let wanted = |id: &GuestId| {
            let guest = self.guests.get(id)?;
            // A locked guest is refused: it is being moved.
            let startable = Self::may_start_locked(guest).is_ok();
            let may = guest.onboot && startable && !guest.template && !guest.is_running();
            (may && !self.ha.resources.contains_key(id)).then_some(*id)
        };
        let ids: Vec<GuestId> = machine.guests.iter().filter_map(wanted).collect();
        if let Some(machine) = self.nodes.get_mut(node) {
            machine.startall_pending = false;
        }
        let all = self.quick_task(node, "startall", "", "root@pam", "");
        for id in ids {
            self.task_says(&all, format!("Starting {id}"));
            self.start_now(node, id, "root@pam");
        }
    }

    /// The watchdog of a node was not fed: it resets the machine, and all guests with it.
    pub(crate) fn on_watchdog(&mut self, node: &NodeName) {
        let lost = self.ha.lrm.get(node).is_some_and(|lrm| lrm.state == LrmState::LostAgentLock);
        let requested = self.fence_requested(node);
        if lost && self.writable(node) && !requested {
            // Quorum is back in time, but until the LRM's next round it may be lost again.
            return self.events.at(self.now_ms + 5_000, Event::Watchdog(node.clone()));
        }
        let armed = self.ha.lrm.get(node).is_some_and(|lrm| self.now_ms >= lrm.watchdog_fed_ms + 60_000)
            && self.watchdog_is_open(node);
        let spared = self.writable(node) && !requested;
        if !armed || spared || !self.nodes.get(node).is_some_and(Node::is_up) {
            return;
        }
        self.ha.fences += 1;
        self.impact.fences += 1;
        self.impact.moments.fences.push((self.now_ms, node.clone()));
        self.impact.event(self.now_ms, format!("{node} lost quorum and was reset by its watchdog"));
        self.power_off(node);
        self.boot(node);
    }
}
