//! What can go wrong, as data, with the moment when it does.

use quorate_core::ids::{GuestId, GuestKind, NodeName, OsdId};
use serde::{Deserialize, Serialize};

use super::World;
pub use super::armed::{Armed, MigrationFate};
use super::events::Event;
use super::migration::MigrateRequest;

/// A fault and when it strikes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Fault {
    /// Seconds after the world's start; 0 is at once.
    #[serde(default)]
    pub at_s: u64,
    /// What happens.
    #[serde(flatten)]
    pub kind: FaultKind,
}

/// Kinds of faults.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "fault", rename_all = "kebab-case")]
pub enum FaultKind {
    /// The node loses power.
    PowerOff {
        /// Node.
        node: NodeName,
    },
    /// Somebody presses its button.
    PowerOn {
        /// Node.
        node: NodeName,
    },
    /// The next boot takes this long.
    BootSlow {
        /// Node.
        node: NodeName,
        /// Seconds from power-on to SSH.
        seconds: u64,
    },
    /// The next boot brings up the kernel that runs now.
    BootOldKernel {
        /// Node.
        node: NodeName,
    },
    /// The next boot does not come up.
    BootNever {
        /// Node.
        node: NodeName,
    },
    /// The next moves of a guest (or of any guest) fail.
    MigrationFail {
        /// Guest; none means any.
        guest: Option<GuestId>,
        /// At this share of the memory phase.
        percent: u8,
        /// How often.
        times: u32,
    },
    /// The next move of a guest makes no progress.
    MigrationHang {
        /// Guest; none means any.
        guest: Option<GuestId>,
        /// How often.
        times: u32,
    },
    /// The next move reports failure although the guest has moved.
    MigrationLies {
        /// Guest; none means any.
        guest: Option<GuestId>,
    },
    /// `apt update` fails on a node.
    AptUpdateFail {
        /// Node.
        node: NodeName,
        /// How often.
        times: u32,
    },
    /// dist-upgrade fails on a node at a package, which stays half configured.
    AptFail {
        /// Node.
        node: NodeName,
        /// Package.
        package: String,
        /// How often.
        times: u32,
    },
    /// `/` is full: dist-upgrade fails at once. No bytes free until somebody makes room.
    DiskFull {
        /// Node.
        node: NodeName,
        /// Bytes that are left.
        free_bytes: u64,
    },
    /// sshd of a node does not answer.
    SshDown {
        /// Node.
        node: NodeName,
        /// For so long.
        seconds: u64,
    },
    /// The quorum device stops or begins to answer.
    Qdevice {
        /// Does it answer?
        alive: bool,
    },
    /// Somebody holds dpkg's lock.
    AptLocked {
        /// Node.
        node: NodeName,
        /// For so long.
        seconds: u64,
    },
    /// pmxcfs of a node loses corosync: `/etc/pve` is read-only there, although the node has its vote and quorum.
    EtcPveReadOnly {
        /// Node.
        node: NodeName,
    },
    /// A corosync link of a node goes down.
    LinkDown {
        /// Node.
        node: NodeName,
        /// Link number.
        link: usize,
    },
    /// A link comes back.
    LinkUp {
        /// Node.
        node: NodeName,
        /// Link number.
        link: usize,
    },
    /// A link goes down and comes back, again and again.
    LinkFlaps {
        /// Node.
        node: NodeName,
        /// Link number.
        link: usize,
        /// How often.
        times: u32,
        /// Seconds from one loss to the next; it is down for half of that.
        every_s: u64,
    },
    /// The next boot finds the network cards under other names: all links stay down, nobody gets in.
    BootRenamesNics {
        /// Node.
        node: NodeName,
    },
    /// The next upgrade of a package asks what to do with a changed configuration file.
    AptAsks {
        /// Node.
        node: NodeName,
        /// Package.
        package: String,
    },
    /// A node's enterprise repository is switched on and has no valid subscription.
    NoSubscription {
        /// Node.
        node: NodeName,
    },
    /// The next runs of a guest's replication fail.
    ReplicationFail {
        /// Guest.
        guest: GuestId,
        /// How often.
        times: u32,
    },
    /// An OSD does not start at the next boot of its node.
    OsdStaysDown {
        /// OSD.
        osd: OsdId,
    },
    /// An OSD fails now, and does not start again by itself.
    OsdFails {
        /// OSD.
        osd: OsdId,
    },
    /// An administrator puts a node into maintenance mode, or takes it out.
    AdminMaintenance {
        /// Node.
        node: NodeName,
        /// Into it.
        on: bool,
    },
    /// An administrator starts a guest.
    AdminStarts {
        /// Guest.
        guest: GuestId,
    },
    /// An administrator stops a guest.
    AdminStops {
        /// Guest.
        guest: GuestId,
    },
    /// An administrator migrates a guest.
    AdminMoves {
        /// Guest.
        guest: GuestId,
        /// Target.
        target: NodeName,
    },
    /// Somebody sets or clears noout.
    AdminNoout {
        /// Set or clear.
        set: bool,
    },
    /// Every API call on the node fails with this text; none heals it.
    ApiError {
        /// Node.
        node: NodeName,
        /// Text.
        text: Option<String>,
    },
    /// The node's clock is off.
    ClockSkew {
        /// Node.
        node: NodeName,
        /// Milliseconds.
        skew_ms: i64,
    },
}

impl World {
    fn osd_fails(&mut self, id: OsdId) {
        let Some(osd) = self.ceph.as_mut().and_then(|ceph| ceph.osds.get_mut(&id)) else { return };
        osd.returns = false;
        let node = osd.host.clone();
        self.ceph_stop_daemons(&node, &id.to_string());
    }

    /// Lets a fault strike at its time, or at once if that is past.
    pub fn inject(&mut self, fault: Fault) {
        let at = (self.started_ms + fault.at_s * 1000).max(self.now_ms);
        self.events.at(at, Event::Fault(fault.kind));
    }

    pub(crate) fn on_fault(&mut self, fault: FaultKind) {
        self.ledger.note(self.now_ms, format!("fault: {}", crate::fault_words::in_words(&fault)));
        match fault {
            FaultKind::PowerOff { node } => {
                self.ledger.excused_nodes.insert(node.clone());
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
                // He sits at whichever node takes his word: one that boots has no `/etc/pve` to write to.
                let all: Vec<NodeName> = self.nodes.keys().cloned().collect();
                if all.iter().any(|at| self.ha_maintenance(at, node.as_str(), on).is_ok()) {
                    self.ledger.admin_maintenance(node, on);
                }
            }
            FaultKind::AdminStarts { guest } => self.admin(guest, Deed::Start),
            FaultKind::AdminStops { guest } => self.admin(guest, Deed::Stop),
            FaultKind::AdminMoves { guest, target } => self.admin(guest, Deed::Move(target)),
            FaultKind::AdminNoout { set } => {
                // An administrator's own flag is his; it is in the baseline from now on.
                let _ = self.ceph_flag("noout", set);
                self.ledger.admin_noout(set);
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
            armed @ (FaultKind::BootSlow { .. }
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

    /// Down at once, up after half of the time, down again.
    fn link_flaps(&mut self, node: &NodeName, link: usize, times: u32, every_s: u64) {
        for round in 0..u64::from(times) {
            let down_ms = self.now_ms + round * every_s * 1000;
            self.events.at(down_ms, Event::Fault(FaultKind::LinkDown { node: node.clone(), link }));
            let up = FaultKind::LinkUp { node: node.clone(), link };
            self.events.at(down_ms + every_s * 500, Event::Fault(up));
        }
    }

    /// What an administrator does behind everybody's back; refusals are his problem.
    fn admin(&mut self, id: GuestId, deed: Deed) {
        let Some(node) = self.guests.get(&id).map(|guest| guest.node.clone()) else { return };
        let user = "root@pam";
        let _ = match deed {
            Deed::Start => self.guest_start(&node, id, user),
            Deed::Stop => {
                self.ledger.excuse(id);
                self.guest_stop(&node, id, user)
            }
            Deed::Move(target) => {
                let request = MigrateRequest {
                    target: target.to_string(),
                    online: id.kind == GuestKind::Vm,
                    restart: id.kind == GuestKind::Ct,
                    with_local_disks: true,
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

enum Deed {
    Start,
    Stop,
    Move(NodeName),
}
