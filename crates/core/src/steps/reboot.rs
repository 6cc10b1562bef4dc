//! The node is rebooted into the kernel that it should run.

use serde::{Deserialize, Serialize};

use super::{About, Change, Class, Effect, IfImpossible, Limits, OnGuest, OnNode, Profile, StepKind, StepStatus, Undo, Why};
use super::support::{bring_online, node, node_mut, set_status, take_offline};
use super::why::read;
use crate::command::Command;
use crate::ids::{BootId, GuestId, NodeName};
use crate::observed::Observed;
use crate::policy::Deadlines;
use crate::snapshot::{GuestStatus, Snapshot};

/// Reboots a node; done when the boot id has changed *and* the chosen kernel runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reboot {
    /// The node.
    pub node: NodeName,
    /// The boot that it is in before.
    pub from_boot: BootId,
}

impl Reboot {
    /// Seconds from the command to a shell that answers: 46 in a virtual machine; a server's firmware takes minutes.
    pub const ESTIMATE_S: u64 = 150;

    fn booted(&self, snapshot: &mut Snapshot) {
        bring_online(snapshot, &self.node);
        let Some(node) = node_mut(snapshot, &self.node) else { return };
        node.boot = Observed::Known(BootId::new(format!("after-{}", self.from_boot)));
        node.uptime_s = Observed::Known(0);
        if let Some(kernel) = node.kernel.known_mut() {
            kernel.running = kernel.will_boot().clone();
            kernel.next_boot = None;
        }
        if node.running_manager.known().is_some() {
            node.running_manager = node.pve_version.clone();
        }
        if let Some(asked) = node.reboot_required.known_mut() {
            *asked = None;
        }
        self.daemons_start(snapshot);
        let starts: Vec<GuestId> = snapshot.starts_with(&self.node).map(|guest| guest.id).collect();
        starts.into_iter().for_each(|guest| set_status(snapshot, guest, &self.node, GuestStatus::Running));
    }

    /// Daemons of Ceph run what is installed from now on.
    fn daemons_start(&self, snapshot: &mut Snapshot) {
        let Some(ceph) = snapshot.ceph.known_mut().and_then(Option::as_mut) else { return };
        let Some(installed) = ceph.installed.get(&self.node).cloned() else { return };
        let osds = ceph.osds.values_mut().filter(|osd| osd.node == self.node).map(|osd| &mut osd.version);
        let daemons = ceph.daemons.iter_mut().filter(|daemon| daemon.node == self.node);
        for version in osds.chain(daemons.map(|daemon| &mut daemon.version)) {
            *version = Some(installed.clone());
        }
    }
}

impl StepKind for Reboot {
    fn verb(&self) -> &'static str {
        "reboot"
    }

    fn title(&self) -> String {
        format!("reboot {}", self.node)
    }

    fn profile(&self) -> Profile<'_> {
        Profile {
            about: About::Node(&self.node),
            class: Class::RiskTaking,
            on_node: OnNode::Reboots,
            on_guest: OnGuest::Nothing,
            consent: None,
            if_impossible: IfImpossible::StandStill,
            estimate_s: Self::ESTIMATE_S,
        }
    }

    fn undo(&self) -> Undo {
        Undo::Nothing
    }

    fn status(&self, snapshot: &Snapshot) -> StepStatus {
        let node = match node(snapshot, &self.node) {
            Ok(node) => node,
            Err(why) => return StepStatus::blocked(why),
        };
        let (boot, kernel) = match (read(&node.boot), read(&node.kernel)) {
            (Ok(boot), Ok(kernel)) => (boot, kernel),
            // A node that is down or coming up cannot be asked: that is what a reboot looks like.
            (Err(why), _) | (_, Err(why)) => return StepStatus::Running(Why::NoAnswerYet(Box::new(why))),
        };
        if *boot == self.from_boot {
            return match read(&node.online) {
                Ok(true) => StepStatus::Ready,
                Ok(false) => StepStatus::Running(Why::LeftTheCluster),
                Err(why) => StepStatus::blocked(why),
            };
        }
        if kernel.reboot_needed() {
            return StepStatus::Impossible(Why::WrongKernel {
                node: self.node.clone(),
                runs: kernel.running.clone(),
                boots: kernel.will_boot().clone(),
            });
        }
        StepStatus::Done
    }

    fn command(&self, _snapshot: &Snapshot) -> Option<Command> {
        // Not by the API: only on the node itself can be seen, in the same moment, that nothing runs there.
        Some(Command::shell(&self.node, &["systemctl", "reboot"]))
    }

    fn limits(&self, deadlines: &Deadlines) -> Limits {
        // A node answers for about half a minute after the command, and waits up to three more for guests and units.
        Limits { deadline_s: deadlines.boot_s, settle_s: 300, attempts: 2 }
    }

    fn effect(&self) -> Effect<'_> {
        Effect {
            during: Change::cluster(|snapshot| take_offline(snapshot, &self.node)),
            after: Change::guests(|snapshot| self.booted(snapshot)),
            promise: Change::Nothing,
        }
    }
}
