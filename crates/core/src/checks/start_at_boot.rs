//! Guests that are stopped now and run after the reboot of their node.

use super::check::{Asked, Check, Waivable, kinds};
use super::support::{gib, has_turn, online};
use crate::ids::{GuestId, GuestKind, NodeName};
use crate::placement::footprint_bytes;
use crate::policy::Policy;
use crate::snapshot::Snapshot;

pub(super) struct StartAtBoot;

kinds! {
    Starts { guest: GuestId, name: String, node: NodeName, bytes: u64, tool: &'static str } => Warning, guest,
        ("{guest} {name} is stopped, and PVE starts it when {node} has booted (onboot is set): {} are kept free for it",
            gib(bytes)),
        ("If it is to stay stopped, on {node}: {tool} set {} --onboot 0", guest.vmid);
}

impl Check for StartAtBoot {
    const ID: &'static str = "start-at-boot";
    const EXPLAIN: &'static str =
        "When a node has booted, PVE starts every guest of it that has onboot set and is not managed by HA, whether it ran \
         before or not. A guest that is stopped now and would run afterwards is a warning: two of the same kind may not be \
         meant to run at once. Its memory counts in what has to fit. Clear the option if it is to stay stopped.";
    const WAIVABLE: Waivable = Waivable::Yes;
    const ASKED: Asked = Asked::BeforeARun;
    type Found = Found;

    fn look(snapshot: &Snapshot, policy: &Policy, found: &mut Vec<Found>) {
        for node in online(snapshot).filter(|node| has_turn(snapshot, node, policy)) {
            found.extend(snapshot.starts_with(&node.name).map(|guest| Found::Starts {
                guest: guest.id,
                name: guest.name.clone(),
                node: node.name.clone(),
                bytes: footprint_bytes(guest),
                tool: if guest.id.kind == GuestKind::Vm { "qm" } else { "pct" },
            }));
        }
    }
}
