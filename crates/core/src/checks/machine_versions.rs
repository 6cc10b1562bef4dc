//! Machine types that QEMU is about to drop.

use super::check::{Asked, Check, Waivable, kinds};
use crate::ids::GuestId;
use crate::policy::Policy;
use crate::snapshot::Snapshot;

pub(super) struct MachineVersions;

/// QEMU of PVE 9 warns about what is older, and its successor refuses it.
const LEAST_MAJOR: u32 = 6;

kinds! {
    Old { guest: GuestId, machine: String, how: &'static str } => Warning, guest,
        ("{guest} {how} machine type {machine}, which QEMU is about to drop"),
        ("When it may be shut down: qm set {} --machine with a newer version", guest.vmid);
}

impl Check for MachineVersions {
    const ID: &'static str = "machine-versions";
    const EXPLAIN: &'static str =
        "A machine type is kept for about six years; the QEMU of PVE 9 warns of types before 6.0, and a later one of \
         that release may no longer start or accept such a guest. A warning, because nothing breaks in a run that goes \
         to a QEMU which still knows the type. Raise it while the guest is shut down (Hardware, Machine), and look at \
         its snapshots: they hold types of their own.";
    const WAIVABLE: Waivable = Waivable::Yes;
    const ASKED: Asked = Asked::BeforeARun;
    type Found = Found;

    fn look(snapshot: &Snapshot, _policy: &Policy, found: &mut Vec<Found>) {
        for guest in snapshot.guests.values() {
            let Some(facts) = guest.migration.known() else { continue };
            let types = [("is configured with", &facts.machine), ("runs with", &facts.running_machine)];
            let mut named = types.into_iter().filter_map(|(how, machine)| Some((how, machine.as_ref()?)));
            if let Some((how, machine)) = named.find(|(_, machine)| is_old(machine)) {
                found.push(Found::Old { guest: guest.id, machine: machine.clone(), how });
            }
        }
    }
}

/// `pc-i440fx-5.2+pve1`, `pc-q35-4.1`; `q35` and `pc` alone mean the newest.
fn is_old(kind: &str) -> bool {
    let major = |version: &str| version.split('.').next().and_then(|major| major.parse::<u32>().ok());
    kind.rsplit_once('-').and_then(|(_, version)| major(version)).is_some_and(|major| major < LEAST_MAJOR)
}
