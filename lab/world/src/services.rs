//! Services of a node: start, stop, restart, and what depends on them.

use std::collections::BTreeMap;

use quorate_core::ids::{NodeName, Upid};

use super::events::Event;
use super::ha::LrmMode;
use super::node::Service;
use super::{World, WorldError};

/// What to do with a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServiceAction {
    /// Start it.
    Start,
    /// Stop it.
    Stop,
    /// Stop it and start it again.
    Restart,
    /// Reload its configuration.
    Reload,
}

/// Services of an installed node: name, description, and whether it is enabled.
const SERVICES: &[(&str, &str, &str)] = &[
    ("chrony", "chrony, an NTP client/server", "enabled"),
    ("corosync", "Corosync Cluster Engine", "enabled"),
    ("cron", "Regular background program processing daemon", "enabled"),
    ("ksmtuned", "Kernel Samepage Merging (KSM) Tuning Daemon", "enabled"),
    ("lxcfs", "FUSE filesystem for LXC", "enabled"),
    ("postfix", "Postfix Mail Transport Agent", "enabled"),
    ("proxmox-firewall", "proxmox-firewall.service", "not-found"),
    ("pve-cluster", "The Proxmox VE cluster filesystem", "enabled"),
    ("pve-firewall", "Proxmox VE firewall", "enabled"),
    ("pve-ha-crm", "PVE Cluster HA Resource Manager Daemon", "enabled"),
    ("pve-ha-lrm", "PVE Local HA Resource Manager Daemon", "enabled"),
    ("pve-lxc-syscalld", "Proxmox VE LXC Syscall Daemon", "enabled"),
    ("pvedaemon", "PVE API Daemon", "enabled"),
    ("pvefw-logger", "Proxmox VE firewall logger", "disabled"),
    ("pveproxy", "PVE API Proxy Server", "enabled"),
    ("pvescheduler", "Proxmox VE scheduler", "enabled"),
    ("pvestatd", "PVE Status Daemon", "enabled"),
    ("qmeventd", "PVE Qemu Event Daemon", "enabled"),
    ("spiceproxy", "PVE SPICE Proxy Server", "disabled"),
    ("sshd", "OpenBSD Secure Shell server", "enabled"),
    ("syslog", "syslog.service", "not-found"),
    ("systemd-journald", "Journal Service", "static"),
    ("systemd-timesyncd", "systemd-timesyncd.service", "not-found"),
];

/// All services of a healthy node.
pub(crate) fn all_running() -> BTreeMap<String, Service> {
    let service = |(name, description, unit_state): &(&str, &str, &str)| {
        let there = *unit_state != "not-found";
        let state = Service {
            active_state: if there { "active" } else { "inactive" }.to_owned(),
            sub_state: if there { "running" } else { "dead" }.to_owned(),
            unit_state: (*unit_state).to_owned(),
            description: (*description).to_owned(),
        };
        ((*name).to_owned(), state)
    };
    SERVICES.iter().map(service).collect()
}

impl World {
    /// `POST /nodes/N/services/S/ACTION` and `systemctl ACTION S`.
    pub fn service(
        &mut self,
        node: &NodeName,
        service: &str,
        action: ServiceAction,
        user: &str,
    ) -> Result<Upid, WorldError> {
        let kept = matches!(service, "pveproxy" | "pvedaemon" | "pve-cluster");
        if kept && action == ServiceAction::Stop {
            return Err(WorldError::die(format!("service '{service}' must not be stopped")));
        }
        let known = self.nodes.get(node).is_some_and(|machine| machine.services.contains_key(service));
        if !known {
            let message = "value is not a known service".to_owned();
            return Err(WorldError::Parameter { field: "service".to_owned(), message });
        }
        let (kind, word) = match action {
            ServiceAction::Start => ("srvstart", "starting"),
            ServiceAction::Stop => ("srvstop", "stopping"),
            ServiceAction::Restart => ("srvrestart", "restarting"),
            ServiceAction::Reload => ("srvreload", "reloading"),
        };
        let upid = self.quick_task(node, kind, service, user, &format!("{word} service {service}: -"));
        match action {
            ServiceAction::Stop => self.set_service(node, service, false),
            ServiceAction::Start => self.set_service(node, service, true),
            ServiceAction::Restart | ServiceAction::Reload => self.restart_service(node, service),
        }
        Ok(upid)
    }

    fn set_service(&mut self, node: &NodeName, service: &str, up: bool) {
        if let Some(state) = self.nodes.get_mut(node).and_then(|machine| machine.services.get_mut(service)) {
            state.active_state = if up { "active" } else { "inactive" }.to_owned();
            state.sub_state = if up { "running" } else { "dead" }.to_owned();
        }
        match service {
            "corosync" => self.set_corosync(node, up),
            "pve-ha-lrm" if up => self.lrm_starts(node),
            "pve-ha-lrm" => self.lrm_leaves(node, false),
            "pve-ha-crm" if !up => self.release_manager_lock(node),
            _ => {}
        }
    }

    /// What a restart does to the cluster; also done by package upgrades.
    pub(crate) fn restart_service(&mut self, node: &NodeName, service: &str) {
        let boots = self.nodes.get(node).map_or(0, |machine| machine.boots);
        match service {
            "corosync" => {
                crate::safety_checker::corosync_stops(self, node);
                self.set_corosync(node, false);
                self.events.at(self.now_ms + 3_500, Event::CorosyncUp(node.clone(), boots));
            }
            "pve-ha-lrm" => self.lrm_leaves(node, true),
            "pve-ha-crm" => self.release_manager_lock(node),
            "pve-cluster" => {
                if let Some(machine) = self.nodes.get_mut(node) {
                    machine.pmxcfs_alone = false;
                }
            }
            "pveproxy" | "pvedaemon" => {
                if let Some(machine) = self.nodes.get_mut(node) {
                    machine.old_manager = None;
                    machine.api_refused_until_ms = self.now_ms + 6_000;
                }
            }
            _ => {}
        }
    }

    /// The LRM daemon starts: its services are thawed in the master's next round.
    pub(crate) fn lrm_starts(&mut self, node: &NodeName) {
        let (now_ms, clock_ms) = (self.now_ms, self.clock_ms(node));
        let lrm = self.ha.lrm.entry(node.clone()).or_insert_with(|| super::ha::idle_lrm(now_ms));
        if !lrm.running {
            // A new process has no lock, whatever the last one held when it was killed.
            lrm.state = super::ha::LrmState::WaitForAgentLock;
        }
        lrm.running = true;
        lrm.leaving = None;
        lrm.timestamp_ms = clock_ms;
        lrm.mode = LrmMode::Active;
    }

    /// The time by a node's clock.
    pub fn clock_ms(&self, node: &NodeName) -> u64 {
        self.now_ms.saturating_add_signed(self.nodes.get(node).map_or(0, |machine| machine.clock_skew_ms))
    }
}

impl World {
    /// `POST /nodes/N/ceph/{start,stop,restart}` and `systemctl ... ceph-osd@3`: `mon`, `mgr`, `mds`, `osd`, `osd.3`,
    /// `mon.pve1`, or `ceph` for all of them on the node. Running daemons take the installed version.
    pub fn ceph_service(
        &mut self,
        node: &NodeName,
        service: &str,
        action: ServiceAction,
        user: &str,
    ) -> Result<Upid, WorldError> {
        if self.ceph.is_none() {
            return Err(WorldError::die("binary not installed: /usr/bin/ceph-mon"));
        }
        let kind = match action {
            ServiceAction::Start => "srvstart",
            ServiceAction::Stop => "srvstop",
            ServiceAction::Restart | ServiceAction::Reload => "srvrestart",
        };
        let upid = self.quick_task(node, kind, service, user, "");
        if action != ServiceAction::Start {
            self.ceph_stop_daemons(node, service);
        }
        if action != ServiceAction::Stop {
            let boots = self.nodes.get(node).map_or(0, |machine| machine.boots);
            self.events.at(self.now_ms + 4_000, Event::CephUp(node.clone(), boots, service.to_owned()));
        }
        Ok(upid)
    }
}
