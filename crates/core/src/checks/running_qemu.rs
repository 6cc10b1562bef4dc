//! Guests that still run the QEMU of before an upgrade.

use super::check::{Asked, Check, Waivable, kinds};
use super::support::{online, some};
use crate::ids::NodeName;
use crate::policy::Policy;
use crate::snapshot::{Guest, Snapshot};
use crate::version::Version;

pub(super) struct RunningQemu;

kinds! {
    Older { node: NodeName, installed: Version, guests: Vec<String> } => Info, node,
        ("guests on {node} run an older QEMU than is installed there ({installed}): {}", some(&guests)),
        ("Nothing to do: they take up the new one when they move, or when they are shut down and started.");
}

impl Check for RunningQemu {
    const ID: &'static str = "running-qemu";
    const EXPLAIN: &'static str =
        "A new pve-qemu-kvm changes nothing for guests that run: they keep the QEMU that they were started with, and its \
         faults, until they move to another process by a migration, or are shut down and started. No node has to be \
         rebooted for that. For information.";
    const WAIVABLE: Waivable = Waivable::Yes;
    const ASKED: Asked = Asked::BeforeARun;
    type Found = Found;

    fn look(snapshot: &Snapshot, _policy: &Policy, found: &mut Vec<Found>) {
        for node in online(snapshot) {
            let Some(installed) = node.qemu_version.known().map(upstream) else { continue };
            let runs = |guest: &Guest| guest.migration.known()?.running_qemu.as_ref().map(upstream);
            let older = |guest: &&Guest| guest.may_be_running() && runs(guest).is_some_and(|runs| runs < installed);
            let guests: Vec<String> =
                snapshot.guests_on(&node.name).filter(older).map(|guest| guest.id.to_string()).collect();
            if !guests.is_empty() {
                found.push(Found::Older { node: node.name.clone(), installed, guests });
            }
        }
    }
}

/// `10.1.2` of `10.1.2-5`: QEMU says its own number, without the package's revision.
fn upstream(version: &Version) -> Version {
    let text = version.as_str();
    Version::new(text.rsplit_once('-').map_or(text, |(upstream, _)| upstream))
}
