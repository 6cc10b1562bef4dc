//! A running VM never travels to a node with an older QEMU or PVE.

use super::support::Findings;
use super::{Context, Invariant, Moving, Verdict};
use crate::ids::{GuestKind, NodeName};
use crate::snapshot::{Node, Snapshot};

/// `forward-only`. Containers travel by restart and stopped guests as files: the rule is not about them.
pub(super) struct ForwardOnly;

impl Invariant for ForwardOnly {
    fn id(&self) -> &'static str {
        "forward-only"
    }

    fn why(&self) -> &'static str {
        "The state of a running VM can be read by the same or a newer QEMU. An older one may refuse it in the last \
         second of the migration, or take it and go wrong."
    }

    fn explain(&self) -> &'static str {
        "A running VM never moves live to a node with an older QEMU or PVE. Containers move by restart and \
         stopped guests as files: the rule is not about them."
    }

    fn remedy(&self) -> &'static str {
        "Upgrade the target first, or shut the VM down for the move"
    }

    fn holds(&self, snapshot: &Snapshot, context: &Context<'_>) -> Verdict {
        let mut findings = Findings::default();
        for moving in context.moving.iter().filter(|moving| travels_live(snapshot, moving)) {
            let (from, to) = (node(snapshot, &moving.from), node(snapshot, &moving.to));
            let (Some(from), Some(to)) = (from, to) else {
                findings.missing(format!("{} travels between nodes that were not seen", moving.guest));
                continue;
            };
            for (what, old, new) in
                [("QEMU", &from.qemu_version, &to.qemu_version), ("PVE", &from.pve_version, &to.pve_version)]
            {
                let (Some(old), Some(new)) = (findings.read(old), findings.read(new)) else { continue };
                if new < old {
                    let Moving { guest, from, to } = moving;
                    findings.broken(format!("{guest} travels from {from} ({what} {old}) back to {to} ({what} {new})"));
                }
            }
        }
        findings.verdict()
    }
}

fn node<'a>(snapshot: &'a Snapshot, name: &NodeName) -> Option<&'a Node> {
    snapshot.nodes.get(name)
}

/// A guest that was not seen may be running.
fn travels_live(snapshot: &Snapshot, moving: &Moving) -> bool {
    moving.guest.kind == GuestKind::Vm && snapshot.guests.get(&moving.guest).is_none_or(|guest| guest.may_be_running())
}
