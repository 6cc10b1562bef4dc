//! What each fault does to the world when it happens.

use quorate_core::ids::{GuestId, GuestKind, NodeName, OsdId, StorageId};

use super::World;
use super::events::Event;
use super::faults::{Fault, FaultKind};
use super::migration::MigrateRequest;

impl World {
    fn osd_fails(&mut self, id: OsdId) {
        let Some(osd) = self.ceph.as_mut().and_then(|ceph| ceph.osds.get_mut(&id)) else { return };
        osd.returns = false;
        let node = osd.host.clone();
        self.ceph_stop_daemons(&node, &id.to_string());
    }

    /// Schedules a fault for its time, or applies it at once if that is past.
    pub fn inject(&mut self, fault: Fault) {
        let at = (self.started_ms + fault.at_s * 1000).max(self.now_ms);
        self.events.at(at, Event::Fault(fault.kind));
    }

    pub(crate) fn on_fault(&mut self, fault: FaultKind) {
        self.impact.note(self.now_ms, format!("fault: {}", crate::fault_words::in_words(&fault)));
        self.impact.moments.faults.push((self.now_ms, fault.clone()));
        match fault {
            FaultKind::PowerOff { node } => {
                self.impact.excused_nodes.insert(node.clone());
                self.power_off(&node);
            }
            FaultKind::PowerOn { node } => self.power_on(&node),
            FaultKind::LinkDown { node, link } => self.set_link(&node, link, false),
            FaultKind::LinkUp { node, link } => self.set_link(&node, link, true),
            FaultKind::LinkFlaps { node, link, times, every_s } => self.link_flaps(&node, link, times, every_s),
            FaultKind::NoSubscription { node } => self.lose_subscription(&node),
            FaultKind::AptLocked { node, seconds } => {
                if let Some(machine) = self.nodes.get_mut(&node) {
                    machine.packages.locked_by = Some(777);
                }
                self.events.at(self.now_ms + seconds * 1000, Event::DpkgUnlocked(node));
            }
            FaultKind::DiskFull { node, free_bytes } => {
                if let Some(machine) = self.nodes.get_mut(&node) {
                    machine.root_free_bytes = free_bytes;
                }
            }
            FaultKind::SshDown { node, seconds } => {
                if let Some(machine) = self.nodes.get_mut(&node) {
                    machine.ssh_up = false;
                    self.events.at(self.now_ms + seconds * 1000, Event::SshBack(node, machine.boots));
                }
            }
            FaultKind::EtcPveReadOnly { node } => {
                if let Some(machine) = self.nodes.get_mut(&node).filter(|machine| machine.is_up()) {
                    machine.pmxcfs_alone = true;
                }
            }
            FaultKind::Qdevice { alive } => {
                if let Some(device) = &mut self.corosync.qdevice {
                    device.alive = alive;
                }
                self.form_membership();
            }
            FaultKind::OsdStaysDown { osd } => {
                if let Some(osd) = self.ceph.as_mut().and_then(|ceph| ceph.osds.get_mut(&osd)) {
                    osd.returns = false;
                }
            }
            FaultKind::OsdFails { osd } => self.osd_fails(osd),
            FaultKind::AdminMaintenance { node, on } => {
                // The administrator uses any node that accepts it: one that boots has no `/etc/pve` to write to.
                let all: Vec<NodeName> = self.nodes.keys().cloned().collect();
                if all.iter().any(|at| self.ha_maintenance(at, node.as_str(), on).is_ok()) {
                    self.impact.admin_maintenance(node, on);
                }
            }
            FaultKind::AdminStarts { guest } => self.admin(guest, Action::Start),
            FaultKind::AdminStops { guest } => self.admin(guest, Action::Stop),
            FaultKind::AdminMoves { guest, target } => self.admin(guest, Action::Move(target)),
            FaultKind::AdminNoout { set } => {
                // A flag that an administrator set belongs to them; it is in the baseline from now on.
                let _ = self.ceph_flag("noout", set);
                self.impact.admin_noout(set);
            }
            FaultKind::ApiError { node, text } => {
                if let Some(machine) = self.nodes.get_mut(&node) {
                    machine.api_error = text;
                }
            }
            FaultKind::ClockSkew { node, skew_ms } => {
                if let Some(machine) = self.nodes.get_mut(&node) {
                    machine.clock_skew_ms = skew_ms;
                }
            }
            FaultKind::AdminReboots { node } => self.admin_reboots(&node),
            FaultKind::AdminUpgrades { node } => self.admin_upgrades(&node),
            FaultKind::Backup { guest, seconds } => self.back_up(guest, seconds),
            FaultKind::NewGuest { node, memory_mib } => self.create_guest(&node, memory_mib),
            FaultKind::PmxcfsRestarts { node, seconds } => {
                let until_ms = self.now_ms + seconds * 1000;
                if let Some(machine) = self.nodes.get_mut(&node).filter(|machine| machine.is_up()) {
                    machine.pmxcfs_away_until_ms = until_ms;
                }
            }
            FaultKind::StorageGone { node, storage, gone } => self.storage_gone(&node, &StorageId::new(storage), gone),
            FaultKind::PvestatdHangs { node, seconds } => {
                let until_ms = self.now_ms + seconds * 1000;
                if let Some(machine) = self.nodes.get_mut(&node) {
                    machine.pvestatd_hangs_until_ms = until_ms;
                }
            }
            FaultKind::OsdFills { osd, percent } => {
                if let Some(osd) = self.ceph.as_mut().and_then(|ceph| ceph.osds.get_mut(&osd)) {
                    osd.full_percent = percent;
                }
            }
            FaultKind::MonsSlow { seconds } => {
                let until_ms = self.now_ms + seconds * 1000;
                if let Some(ceph) = &mut self.ceph {
                    (ceph.busy_until_ms, ceph.slow_until_ms) = (until_ms, until_ms);
                }
            }
            armed @ (FaultKind::BootSlow { .. }
            | FaultKind::ShutdownHangs { .. }
            | FaultKind::PostinstHangs { .. }
            | FaultKind::MirrorLost { .. }
            | FaultKind::MirrorStale { .. }
            | FaultKind::BootOldKernel { .. }
            | FaultKind::BootNever { .. }
            | FaultKind::BootRenamesNics { .. }
            | FaultKind::AptAsks { .. }
            | FaultKind::ReplicationFail { .. }
            | FaultKind::MigrationFail { .. }
            | FaultKind::MigrationHang { .. }
            | FaultKind::MigrationLies { .. }
            | FaultKind::AptUpdateFail { .. }
            | FaultKind::AptFail { .. }) => self.armed.waiting.push(armed),
        }
    }

    /// The link goes down at once, comes up after half of the interval, and goes down again.
    fn link_flaps(&mut self, node: &NodeName, link: usize, times: u32, every_s: u64) {
        for round in 0..u64::from(times) {
            let down_ms = self.now_ms + round * every_s * 1000;
            self.events.at(down_ms, Event::Fault(FaultKind::LinkDown { node: node.clone(), link }));
            let up = FaultKind::LinkUp { node: node.clone(), link };
            self.events.at(down_ms + every_s * 500, Event::Fault(up));
        }
    }

    /// What an administrator does without telling anyone; refusals are their problem.
    fn admin(&mut self, id: GuestId, action: Action) {
        let Some(node) = self.guests.get(&id).map(|guest| guest.node.clone()) else { return };
        let user = "root@pam";
        let _ = match action {
            Action::Start => self.guest_start(&node, id, user),
            Action::Stop => {
                self.impact.excuse(id);
                self.guest_stop(&node, id, user)
            }
            Action::Move(target) => {
                let request = MigrateRequest {
                    target: target.to_string(),
                    online: id.kind == GuestKind::Vm,
                    restart: id.kind == GuestKind::Ct,
                    with_local_disks: true,
                    with_conntrack_state: false,
                    storages: None,
                    user: user.to_owned(),
                };
                self.migrate(&node, id, request)
            }
        };
    }

    pub(crate) fn on_ssh_back(&mut self, node: &NodeName, boots: u32) {
        if let Some(machine) = self.nodes.get_mut(node).filter(|m| m.boots == boots && m.is_up()) {
            machine.ssh_up = true;
        }
    }

    pub(crate) fn on_dpkg_unlocked(&mut self, node: &NodeName) {
        if let Some(machine) = self.nodes.get_mut(node)
            && machine.packages.locked_by == Some(777)
        {
            machine.packages.locked_by = None;
        }
    }
}

enum Action {
    Start,
    Stop,
    Move(NodeName),
}
