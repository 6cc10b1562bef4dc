//! The node is rebooted into the kernel that it ought to run.

use serde::{Deserialize, Serialize};

use super::{Class, Limits, StepKind, StepStatus};
use crate::command::{Command, Method};
use crate::ids::{BootId, NodeName};
use crate::observed::Observed;
use crate::policy::Deadlines;
use crate::snapshot::Snapshot;

/// Reboots a node; done when the boot id has changed *and* the chosen kernel runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reboot {
    /// The node.
    pub node: NodeName,
    /// The boot that it is in before.
    pub from_boot: BootId,
}

impl StepKind for Reboot {
    fn verb(&self) -> &'static str {
        "reboot"
    }

    fn title(&self) -> String {
        format!("reboot {}", self.node)
    }

    fn class(&self) -> Class {
        Class::RiskTaking
    }

    fn status(&self, snapshot: &Snapshot) -> StepStatus {
        let node = match super::node(snapshot, &self.node) {
            Ok(node) => node,
            Err(why) => return StepStatus::Blocked(vec![why]),
        };
        let (boot, kernel) = match (super::read(&node.boot), super::read(&node.kernel)) {
            (Ok(boot), Ok(kernel)) => (boot, kernel),
            // A node that is down or coming up cannot be asked: that is what a reboot looks like.
            (Err(why), _) | (_, Err(why)) => return StepStatus::Running(format!("no answer yet: {why}")),
        };
        if *boot == self.from_boot {
            return match super::read(&node.online) {
                Ok(true) => StepStatus::Ready,
                Ok(false) => StepStatus::Running("it has left the cluster".to_owned()),
                Err(why) => StepStatus::Blocked(vec![why]),
            };
        }
        if kernel.reboot_needed() {
            return StepStatus::Impossible(format!(
                "{} has booted {}, but {} was to come up: look at the boot loader and at kernel pins",
                self.node,
                kernel.running,
                kernel.will_boot()
            ));
        }
        StepStatus::Done
    }

    fn during(&self, snapshot: &mut Snapshot) {
        super::take_offline(snapshot, &self.node);
    }

    fn after(&self, snapshot: &mut Snapshot) {
        super::bring_online(snapshot, &self.node);
        let Some(node) = super::node_mut(snapshot, &self.node) else { return };
        node.boot = Observed::Known(BootId::new(format!("after-{}", self.from_boot)));
        node.uptime_s = Observed::Known(0);
        if let Some(kernel) = node.kernel.known_mut() {
            kernel.running = kernel.will_boot().clone();
            kernel.next_boot = None;
        }
    }

    fn command(&self, _snapshot: &Snapshot) -> Option<Command> {
        Some(Command::api(Method::Post, format!("/nodes/{}/status", self.node), &[("command", "reboot")]))
    }

    fn limits(&self, deadlines: &Deadlines) -> Limits {
        // A node answers for about half a minute after the order, and waits up to three more for guests and units.
        Limits { deadline_s: deadlines.boot_s, settle_s: 300, attempts: 2 }
    }
}
