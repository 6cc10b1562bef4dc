//! No guest, no task and no HA service runs on a node while its packages change or it is down.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::rule::{Context, Invariant};
use super::support::{Findings, is_upgrading};
use super::outcome::{Missing, RuleOutcome};
use crate::ids::{GuestId, NodeName, Upid};
use crate::snapshot::{HaServiceState, JobKind, Node, Snapshot};

/// `no-guest-on-a-node-we-stop`. Read on the node itself (`qm list`, `pct list`) and from the cluster's placement, so
/// that a guest which a token may not see is still found. A guest whose downtime was consented to is left out if it is
/// not known whether it runs; one that does run, because someone has started it again, is not.
pub struct NoGuestOnANodeWeStop;

/// What is still on a node that we stop, or on its way there.
#[derive(Clone, Debug, PartialEq, Eq, Error, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StillThere {
    #[error("{guest} is on {node}, which is {stop}")]
    Guest { guest: GuestId, node: NodeName, stop: Stop },
    #[error("{guest} moves to {node}, which is {stop}")]
    Arrives { guest: GuestId, node: NodeName, stop: Stop },
    #[error("task {upid} ({}) runs on {node}, which is {stop}", .kind.0)]
    Task { upid: Upid, kind: JobKind, node: NodeName, stop: Stop },
    #[error(transparent)]
    Missing(#[from] Missing),
}

/// Why nothing may be on a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Stop {
    #[error("offline")]
    Offline,
    #[error("having its packages upgraded")]
    Upgrading,
}

impl Invariant for NoGuestOnANodeWeStop {
    type Evidence = StillThere;

    fn id(&self) -> &'static str {
        "no-guest-on-a-node-we-stop"
    }

    fn why(&self) -> &'static str {
        "A guest that is left on a node that reboots goes down without anyone's consent."
    }

    fn explain(&self) -> &'static str {
        "No VM, no container, no task and no HA service runs on a node while its packages change or while it is down, \
         except guests whose downtime was consented to, as long as they do not run: one that was started again \
         meanwhile is shut down once more before its node is touched. Read on the node itself, so that a guest which a \
         token may not see is found."
    }

    fn remedy(&self) -> &'static str {
        "See what runs there: qm list; pct list; ha-manager status. Move or shut down what is left, or bring the node \
         back"
    }

    fn holds(&self, snapshot: &Snapshot, context: &Context<'_>) -> RuleOutcome<StillThere> {
        let mut findings = Findings::new();
        for node in snapshot.nodes.values() {
            let upgrading = is_upgrading(node, &mut findings);
            let offline = findings.read(&node.online).is_some_and(|online| !online);
            if upgrading || offline {
                what_is_left(snapshot, node, offline, context, &mut findings);
            }
        }
        findings.outcome()
    }
}

fn what_is_left(snapshot: &Snapshot, node: &Node, offline: bool, context: &Context<'_>, findings: &mut Findings<StillThere>) {
    let name = &node.name;
    let stop = if offline { Stop::Offline } else { Stop::Upgrading };
    // A node that is down can no longer be asked; what is left is the cluster's view of where guests are.
    let local = if offline { node.local_guests.known() } else { findings.read(&node.local_guests) };
    let listed = local.into_iter().flatten().filter(|listed| listed.running);
    let running: BTreeSet<GuestId> = listed.map(|listed| GuestId { vmid: listed.vmid, kind: listed.kind }).collect();
    let mut left = running.clone();
    left.extend(snapshot.guests_on(name).filter(|guest| guest.may_be_running()).map(|guest| guest.id));
    left.extend(ha_services_at(snapshot, name, findings));
    for guest in left.iter().filter(|guest| running.contains(guest) || !context.may_be_down.contains(guest)) {
        findings.broken(StillThere::Guest { guest: *guest, node: name.clone(), stop });
    }
    for moving in context.moving.iter().filter(|moving| moving.to == *name && !left.contains(&moving.guest)) {
        findings.broken(StillThere::Arrives { guest: moving.guest, node: name.clone(), stop });
    }
    for job in findings.read(&snapshot.jobs).into_iter().flatten().filter(|job| job.node == *name) {
        let (upid, kind) = (job.upid.clone(), job.kind.clone());
        findings.broken(StillThere::Task { upid, kind, node: name.clone(), stop });
    }
}

fn ha_services_at(snapshot: &Snapshot, name: &NodeName, findings: &mut Findings<StillThere>) -> Vec<GuestId> {
    let Some(ha) = findings.read(&snapshot.ha) else { return Vec::new() };
    let services = ha.services.iter().filter(|(_, service)| {
        let idle =
            matches!(service.state, Some(HaServiceState::Stopped | HaServiceState::Error | HaServiceState::Freeze));
        !idle
            && service.state.is_some()
            && (service.node.as_ref() == Some(name) || service.target.as_ref() == Some(name))
    });
    services.map(|(guest, _)| *guest).collect()
}
