//! Are all storages reachable where they are configured?

use super::support::{Report, online};
use super::{Check, Finding, Severity, Subject};
use crate::policy::Policy;
use crate::snapshot::Snapshot;

pub(super) struct Storages;

impl Check for Storages {
    fn id(&self) -> &'static str {
        "storages"
    }

    fn explain(&self) -> &'static str {
        "Every storage that the configuration gives to a node must be active there. A guest cannot move to a node that \
         does not reach its storage, and a node counts as back after its reboot only when its storages are. So one that \
         is not active is blocking. Look with `pvesm status` on the node; a storage that is away for good is better \
         disabled: pvesm set STORAGE --disable 1."
    }

    fn run(&self, snapshot: &Snapshot, _policy: &Policy) -> Vec<Finding> {
        let mut report = Report::of(self);
        for storage in snapshot.storages.known().into_iter().flat_map(|storages| storages.values()) {
            for node in online(snapshot).filter(|node| storage.is_on(&node.name)) {
                let Some(here) = node.storages.known() else { continue };
                if !here.get(&storage.id).is_some_and(|state| state.active) {
                    let (id, name) = (&storage.id, &node.name);
                    let shared = if storage.shared { "shared " } else { "" };
                    report.add(
                        Severity::Blocking,
                        Subject::Storage(id.clone()),
                        format!("{shared}storage {id} ({}) is not active on {name}", storage.kind),
                        format!(
                            "Look at it: pvesm status on {name}. If it is away for good: pvesm set {id} --disable 1"
                        ),
                    );
                }
            }
        }
        report.findings()
    }
}
