//! Machine types that QEMU is about to drop.

use super::support::Report;
use super::{Check, Finding, Severity};
use crate::policy::Policy;
use crate::snapshot::Snapshot;

pub(super) struct MachineVersions;

/// QEMU of PVE 9 warns of what is older, and its successor refuses it.
const LEAST_MAJOR: u32 = 6;

impl Check for MachineVersions {
    fn id(&self) -> &'static str {
        "machine-versions"
    }

    fn explain(&self) -> &'static str {
        "A machine type is kept for about six years; the QEMU of PVE 9 warns of types before 6.0, and a later one of that \
         release may not start or take such a guest any more. A warning, because nothing breaks in a run that goes to the \
         QEMU which still knows the type. Raise it while the guest is shut down (Hardware, Machine), and look at its \
         snapshots: they hold types of their own."
    }

    fn run(&self, snapshot: &Snapshot, _policy: &Policy) -> Vec<Finding> {
        let mut report = Report::of(self);
        for guest in snapshot.guests.values() {
            let Some(facts) = guest.migration.known() else { continue };
            let types = [("is configured with", &facts.machine), ("runs with", &facts.running_machine)];
            let old =
                types.into_iter().find_map(|(how, kind)| Some((how, kind.as_ref()?)).filter(|(_, kind)| is_old(kind)));
            if let Some((how, kind)) = old {
                let problem = format!("{} {how} machine type {kind}, which QEMU is about to drop", guest.id);
                let remedy =
                    format!("When it may be shut down: qm set {} --machine with a newer version", guest.id.vmid);
                report.add(Severity::Warning, guest.id, problem, remedy);
            }
        }
        report.findings()
    }
}

/// `pc-i440fx-5.2+pve1`, `pc-q35-4.1`; `q35` and `pc` alone mean the newest.
fn is_old(kind: &str) -> bool {
    let major = |version: &str| version.split('.').next().and_then(|major| major.parse::<u32>().ok());
    kind.rsplit_once('-').and_then(|(_, version)| major(version)).is_some_and(|major| major < LEAST_MAJOR)
}
