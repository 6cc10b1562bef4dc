//! The local resource manager: takes the master's orders for its node, and feeds the watchdog while it has quorum.

use quorate_core::ids::{GuestId, GuestKind, NodeName};

use super::crm::LOCK_MS;
use super::{Leaving, LrmMode, LrmResult, LrmState, RequestState, Service, ServiceState, WorkStage, Worker};
use crate::World;
use crate::events::Event;
use crate::guest::{Activity, Guest};
use crate::migration::{Asked, Mode};
use crate::node::Node;
use crate::target_storage::TargetStorage;

/// Rounds without any service here, after which an active LRM releases its lock.
const ROUNDS_TO_IDLE: u32 = 60;
/// What the watchdog allows, and the hardware's own ten seconds halved.
const WATCHDOG_MS: u64 = 60_000 + 5_000;
/// How long an HA stop waits for the guest.
const STOP_TIMEOUT_MS: u64 = 60_000;
/// How often a daemon that was told to stop checks whether its services are frozen.
const LEAVING_LOOK_MS: u64 = 2_000;
/// How long systemd waits for it to stop.
const LEAVING_DEADLINE_MS: u64 = 95_000;
/// From the daemon's end to its next start, when its package is upgraded (services were frozen for 11 to 21 s each on
/// a genuine cluster).
const COMES_BACK_MS: (u64, u64) = (4_000, 12_000);

impl World {
    /// One round on one node.
    pub(crate) fn on_lrm_round(&mut self, node: &NodeName) {
        let pause_ms = match self.ha.lrm.get(node).map(|lrm| lrm.state) {
            Some(LrmState::Active | LrmState::LostAgentLock) => 10_000,
            _ => 5_000,
        };
        self.events.at(self.now_ms + pause_ms, Event::LrmRound(node.clone()));
        let up = self.nodes.get(node).is_some_and(Node::is_up);
        if !up || !self.ha.lrm.get(node).is_some_and(|lrm| lrm.running) {
            return;
        }
        if !self.writable(node) {
            return self.lrm_without_quorum(node);
        }
        let here = self.services_on(node);
        self.lrm_mode(node);
        if !self.lrm_state(node, &here) {
            return;
        }
        for (sid, service) in here {
            self.lrm_work(node, sid, &service);
        }
    }

    fn lrm_without_quorum(&mut self, node: &NodeName) {
        let open = self.watchdog_is_open(node);
        let Some(lrm) = self.ha.lrm.get_mut(node) else { return };
        if open && lrm.state != LrmState::LostAgentLock {
            lrm.state = LrmState::LostAgentLock;
            let at = (lrm.watchdog_fed_ms + WATCHDOG_MS).max(self.now_ms + 1);
            self.events.at(at, Event::Watchdog(node.clone()));
        }
    }

    /// The master has given the node up: its LRM takes no lock any more, and one that has it lets the watchdog fire.
    fn lrm_must_be_fenced(&mut self, node: &NodeName) -> bool {
        let Some(lrm) = self.ha.lrm.get_mut(node) else { return false };
        if matches!(lrm.state, LrmState::Active | LrmState::Maintenance) {
            lrm.state = LrmState::LostAgentLock;
            let at = (lrm.watchdog_fed_ms + WATCHDOG_MS).max(self.now_ms + 1);
            self.events.at(at, Event::Watchdog(node.clone()));
        }
        false
    }

    /// Must the node be fenced, whatever its own view is?
    pub(crate) fn fence_requested(&self, node: &NodeName) -> bool {
        self.services_on(node).iter().any(|(_, service)| service.state == ServiceState::Fence)
    }

    fn services_on(&self, node: &NodeName) -> Vec<(GuestId, Service)> {
        let manager = &self.ha.manager;
        let ids = manager.by_node.get(node).into_iter().flatten();
        ids.filter_map(|sid| Some((*sid, manager.services.get(sid)?.clone()))).collect()
    }

    /// Would the machine be reset if the LRM stopped feeding the watchdog?
    pub(crate) fn watchdog_is_open(&self, node: &NodeName) -> bool {
        self.ha.lrm.get(node).is_some_and(|lrm| match lrm.state {
            LrmState::Active | LrmState::LostAgentLock => true,
            LrmState::Maintenance => self.services_on(node).iter().any(|(_, service)| is_active(service)),
            LrmState::WaitForAgentLock => false,
        })
    }

    fn lrm_mode(&mut self, node: &NodeName) {
        let asked =
            self.ha.manager.maintenance_requests.contains(node) || self.ha.manager.shutdown_maintenance.contains(node);
        let disarm = self.ha.manager.disarm.is_some();
        let Some(lrm) = self.ha.lrm.get_mut(node) else { return };
        match (lrm.mode, asked) {
            (LrmMode::Active, _) if disarm => lrm.mode = LrmMode::Disarm,
            (LrmMode::Disarm, _) if !disarm => lrm.mode = LrmMode::Active,
            (LrmMode::Active, true) => lrm.mode = LrmMode::Maintenance,
            (LrmMode::Maintenance, false) => lrm.mode = LrmMode::Active,
            _ => {}
        }
    }

    /// The daemon is told to stop (`systemctl stop|restart pve-ha-lrm`, a package upgrade): it asks the master to
    /// freeze its services, waits for that, closes its watchdog and exits. Guests keep running.
    pub(crate) fn lrm_leaves(&mut self, node: &NodeName, returns: bool) {
        let since_ms = self.now_ms;
        let Some(lrm) = self.ha.lrm.get_mut(node).filter(|lrm| lrm.running) else { return };
        lrm.mode = LrmMode::Restart;
        lrm.leaving = Some(Leaving { since_ms, returns });
        self.on_lrm_leaving(node);
    }

    /// Are all services frozen, so that the daemon can exit?
    pub(crate) fn on_lrm_leaving(&mut self, node: &NodeName) {
        let busy = self.services_on(node).iter().any(|(_, service)| is_active(service));
        let (now_ms, quorate) = (self.now_ms, self.writable(node));
        let Some(lrm) = self.ha.lrm.get_mut(node).filter(|lrm| lrm.running) else { return };
        let Some(leaving) = lrm.leaving else { return };
        if busy && quorate && now_ms < leaving.since_ms + LEAVING_DEADLINE_MS {
            return self.events.at(now_ms + LEAVING_LOOK_MS, Event::LrmLeaving(node.clone()));
        }
        lrm.leave(now_ms);
        if leaving.returns {
            let boots = self.nodes.get(node).map_or(0, |machine| machine.boots);
            let after_ms = self.rng.between(COMES_BACK_MS.0, COMES_BACK_MS.1);
            self.events.at(now_ms + after_ms, Event::LrmStarts(node.clone(), boots));
        }
    }

    /// Acquires or releases the agent lock; true if there is work to do.
    fn lrm_state(&mut self, node: &NodeName, here: &[(GuestId, Service)]) -> bool {
        if here.iter().any(|(_, service)| service.state == ServiceState::Fence) {
            return self.lrm_must_be_fenced(node);
        }
        let active = here.iter().any(|(_, s)| is_active(s)) || self.ha.manager.targets.contains(node);
        let master = self.ha.manager.master.as_ref();
        let members = self.corosync.views.get(node).map(|view| &view.members);
        let with_master = master.is_none_or(|master| members.is_some_and(|members| members.contains(master)));
        let (disarms, clock_ms) = (self.lrm_disarms(node), self.clock_ms(node));
        let Some(lrm) = self.ha.lrm.get_mut(node) else { return false };
        lrm.timestamp_ms = clock_ms;
        let current = |uid: &String| here.iter().any(|(_, service)| service.uid == *uid);
        lrm.results.retain(|uid, _| current(uid));
        lrm.workers.retain(|uid, _| current(uid));
        lrm.idle_rounds = if here.is_empty() { lrm.idle_rounds + 1 } else { 0 };
        lrm.state = match (lrm.state, lrm.mode) {
            _ if disarms => LrmState::WaitForAgentLock,
            (LrmState::WaitForAgentLock, LrmMode::Disarm) => LrmState::WaitForAgentLock,
            (LrmState::WaitForAgentLock, _) if active => LrmState::Active,
            (LrmState::Active | LrmState::LostAgentLock, LrmMode::Maintenance) => LrmState::Maintenance,
            (LrmState::Maintenance, LrmMode::Active) => LrmState::Active,
            (LrmState::LostAgentLock, _) => LrmState::Active,
            (LrmState::Active, _) if lrm.idle_rounds >= ROUNDS_TO_IDLE => LrmState::WaitForAgentLock,
            (same, _) => same,
        };
        let holds = lrm.state != LrmState::WaitForAgentLock;
        lrm.watchdog_fed_ms = self.now_ms;
        // A lock taken in another partition's /etc/pve means nothing to the master.
        if !holds {
            lrm.lock_until_ms = 0;
        } else if with_master {
            lrm.lock_until_ms = self.now_ms + LOCK_MS;
        }
        holds
    }

    fn lrm_work(&mut self, node: &NodeName, sid: GuestId, service: &Service) {
        let max_workers = self.options.max_workers.unwrap_or(4) as usize;
        let Some(lrm) = self.ha.lrm.get(node) else { return };
        if lrm.results.contains_key(&service.uid) && service.state != ServiceState::Started {
            return;
        }
        if let Some(worker) = lrm.workers.get(&service.uid).cloned() {
            return self.follow_worker(node, sid, service, &worker);
        }
        if lrm.workers.len() >= max_workers {
            return;
        }
        let Some(guest) = self.guests.get(&sid) else { return };
        let (running, at_rest) = (guest.runs_on.contains(node), guest.activity != Activity::Starting);
        let shutting_down = lrm.mode == LrmMode::Restart || lrm.mode == LrmMode::Shutdown;
        match service.state {
            ServiceState::Started if running => self.lrm_result(node, sid, service, 0),
            ServiceState::Started if at_rest && !shutting_down => {
                let wanted = self.ha.resources.get(&sid).is_some_and(|r| r.state == RequestState::Started);
                if wanted && guest.node == *node {
                    let upid = self.start_now(node, sid, "root@pam");
                    self.task_says(&upid, "task started by HA resource agent");
                    self.work(node, sid, service, WorkStage::Starting);
                } else if guest.node != *node {
                    self.lrm_result(node, sid, service, 3);
                }
            }
            ServiceState::RequestStop if !running => self.lrm_result(node, sid, service, 0),
            ServiceState::RequestStop => self.stop_for_ha(node, sid, service),
            ServiceState::Migrate if running => self.move_for_ha(node, sid, service, Mode::Live),
            ServiceState::Migrate | ServiceState::Relocate if !running => {
                self.move_for_ha(node, sid, service, Mode::Offline);
            }
            ServiceState::Relocate => self.stop_for_ha(node, sid, service),
            _ => {}
        }
    }

    fn stop_for_ha(&mut self, node: &NodeName, sid: GuestId, service: &Service) {
        let kind = if sid.kind == GuestKind::Vm { "qmshutdown" } else { "vzshutdown" };
        let upid = self.new_task(node, kind, &sid.vmid.to_string(), "root@pam");
        self.task_says(&upid, "task started by HA resource agent");
        self.shut_down(node, sid, STOP_TIMEOUT_MS, true, Some(upid));
        self.work(node, sid, service, WorkStage::Stopping);
    }

    fn move_for_ha(&mut self, node: &NodeName, sid: GuestId, service: &Service, mode: Mode) {
        let Some(target) = service.target.clone() else { return };
        let Some(guest) = self.guests.get(&sid) else { return };
        if guest.node == target && guest.node != *node {
            return self.lrm_result(node, sid, service, 0);
        }
        if guest.lock.is_some() || guest.node != *node {
            return self.lrm_result(node, sid, service, 1);
        }
        self.begin_migration(sid, target, mode, (true, TargetStorage::default()), Asked::ByHa, "root@pam");
        self.work(node, sid, service, WorkStage::Moving);
    }

    fn follow_worker(&mut self, node: &NodeName, sid: GuestId, service: &Service, worker: &Worker) {
        let Some(guest) = self.guests.get(&sid) else { return };
        match worker.stage {
            WorkStage::Starting if guest.runs_on.contains(node) => self.lrm_result(node, sid, service, 0),
            WorkStage::Starting if guest.activity == Activity::Stopped => self.lrm_result(node, sid, service, 1),
            WorkStage::Stopping if !guest.is_running() => {
                if service.state == ServiceState::Relocate {
                    self.move_for_ha(node, sid, service, Mode::Offline);
                } else {
                    self.lrm_result(node, sid, service, 0);
                }
            }
            WorkStage::Moving if !self.migrations.running.contains_key(&sid) => {
                let arrived = service.target.as_ref() == Some(&guest.node);
                self.lrm_result(node, sid, service, if arrived { 0 } else { 1 });
            }
            _ => {}
        }
    }

    /// The worker that stopped a service for a relocation continues at once: it is one process.
    pub(crate) fn lrm_goes_on(&mut self, sid: GuestId, node: &NodeName) {
        let Some(service) = self.ha.manager.services.get(&sid).filter(|s| s.node == *node).cloned() else { return };
        let worker = self.ha.lrm.get(node).and_then(|lrm| lrm.workers.get(&service.uid)).cloned();
        if let Some(worker) = worker.filter(|worker| worker.stage == WorkStage::Stopping) {
            self.follow_worker(node, sid, &service, &worker);
        }
    }

    fn work(&mut self, node: &NodeName, sid: GuestId, service: &Service, stage: WorkStage) {
        if let Some(lrm) = self.ha.lrm.get_mut(node) {
            lrm.workers.insert(service.uid.clone(), Worker { sid, stage });
        }
    }

    fn lrm_result(&mut self, node: &NodeName, sid: GuestId, service: &Service, exit_code: i32) {
        let running = self.guests.get(&sid).is_some_and(Guest::is_running);
        if let Some(lrm) = self.ha.lrm.get_mut(node) {
            lrm.workers.remove(&service.uid);
            lrm.results.insert(service.uid.clone(), LrmResult { sid, state: service.state, exit_code });
        }
        if let Some(entry) = self.ha.manager.services.get_mut(&sid) {
            entry.running = running;
        }
    }
}

impl super::Lrm {
    /// An orderly end of the daemon: the watchdog is closed, the lock released, current work dropped.
    pub(crate) fn leave(&mut self, now_ms: u64) {
        self.running = false;
        self.leaving = None;
        self.state = LrmState::WaitForAgentLock;
        self.lock_until_ms = now_ms;
        self.workers.clear();
    }
}

/// Does the service keep its node's agent lock busy?
fn is_active(service: &Service) -> bool {
    !matches!(
        service.state,
        ServiceState::Stopped | ServiceState::Freeze | ServiceState::Error | ServiceState::RequestStart
    )
}
