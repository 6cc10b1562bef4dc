//! A running VM never moves live to a node with an older QEMU or PVE.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::rule::{Context, Invariant, Moving};
use super::support::Findings;
use super::outcome::{Missing, RuleOutcome};
use crate::ids::{GuestId, GuestKind, NodeName};
use crate::snapshot::{Node, Snapshot};
use crate::version::Version;

/// `forward-only`. Containers move by restart and stopped guests as files: the rule is not about them.
pub struct ForwardOnly;

/// Running VMs on their way to something older.
#[derive(Clone, Debug, PartialEq, Eq, Error, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Backward {
    #[error("{guest} moves from {from} ({software} {old}) back to {to} ({software} {new})")]
    Older { guest: GuestId, software: Software, from: NodeName, old: Version, to: NodeName, new: Version },
    #[error("{guest} moves between nodes that were not seen")]
    NodesNotSeen { guest: GuestId },
    #[error(transparent)]
    Missing(#[from] Missing),
}

/// What must not be older.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Software {
    #[error("QEMU")]
    Qemu,
    #[error("PVE")]
    Pve,
}

impl Invariant for ForwardOnly {
    type Evidence = Backward;

    fn id(&self) -> &'static str {
        "forward-only"
    }

    fn why(&self) -> &'static str {
        "The state of a running VM can be read by the same or a newer QEMU. An older one may refuse it in the last \
         second of the migration, or take it and go wrong."
    }

    fn explain(&self) -> &'static str {
        "A running VM never moves live to a node with an older QEMU or PVE. Containers move by restart and stopped \
         guests as files: the rule is not about them."
    }

    fn remedy(&self) -> &'static str {
        "Upgrade the target first, or shut the VM down for the move"
    }

    fn holds(&self, snapshot: &Snapshot, context: &Context<'_>) -> RuleOutcome<Backward> {
        let mut findings = Findings::new();
        for moving in context.moving.iter().filter(|moving| moves_live(snapshot, moving)) {
            let (from, to) = (node(snapshot, &moving.from), node(snapshot, &moving.to));
            let (Some(from), Some(to)) = (from, to) else {
                findings.missing(Backward::NodesNotSeen { guest: moving.guest });
                continue;
            };
            for (software, old, new) in [
                (Software::Qemu, &from.qemu_version, &to.qemu_version),
                (Software::Pve, &from.pve_version, &to.pve_version),
            ] {
                let (Some(old), Some(new)) = (findings.read(old), findings.read(new)) else { continue };
                if new < old {
                    let Moving { guest, from, to } = moving.clone();
                    let (old, new) = (old.clone(), new.clone());
                    findings.broken(Backward::Older { guest, software, from, old, to, new });
                }
            }
        }
        findings.outcome()
    }
}

fn node<'a>(snapshot: &'a Snapshot, name: &NodeName) -> Option<&'a Node> {
    snapshot.nodes.get(name)
}

/// A guest that was not seen may be running.
fn moves_live(snapshot: &Snapshot, moving: &Moving) -> bool {
    moving.guest.kind == GuestKind::Vm && snapshot.guests.get(&moving.guest).is_none_or(|guest| guest.may_be_running())
}
