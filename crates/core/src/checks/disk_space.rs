//! Room for the packages and the new kernel.

use super::check::{Asked, Check, HALF, Waivable, kinds};
use super::support::{gib, online};
use crate::ids::NodeName;
use crate::policy::Policy;
use crate::snapshot::Snapshot;

pub(super) struct DiskSpace;

/// A PVE upgrade downloads up to 1 GiB and unpacks as much again beside what it replaces.
const ROOT_NEEDED_BYTES: u64 = 2 << 30;
/// Enough to leave room for logs and a second attempt.
const ROOT_WISHED_BYTES: u64 = 5 << 30;
/// A kernel with its initial RAM disk takes 100 to 150 MiB.
const BOOT_WISHED_BYTES: u64 = 200 << 20;

kinds! {
    RootFull { node: NodeName, free_bytes: u64 } => Blocking, node,
        ("/ on {node} has {} free", gib(free_bytes)),
        ("On {node}: apt-get clean; journalctl --vacuum-size=200M; apt-get autoremove");
    RootLow { node: NodeName, free_bytes: u64 } => Warning, node,
        ("/ on {node} has {} free", gib(free_bytes)),
        ("On {node}: apt-get clean; journalctl --vacuum-size=200M; apt-get autoremove");
    BootLow { node: NodeName, free_bytes: u64 } => Warning, node,
        ("/boot on {node} has {} MiB free", free_bytes >> 20),
        ("Remove old kernels on {node}: apt-get autoremove");
}

impl Check for DiskSpace {
    const ID: &'static str = "disk-space";
    const EXPLAIN: &'static str =
        "dpkg that runs out of space leaves packages half unpacked. Less than 2 GiB free on / is blocking, less than 5 \
         GiB a warning. Less than 200 MiB on /boot is a warning: the initial RAM disk of a new kernel may not fit. \
         Free space with `apt-get clean`, `journalctl --vacuum-size=200M`, `apt-get autoremove` (old kernels).";
    const WAIVABLE: Waivable = Waivable::WarningsOnly(HALF);
    const ASKED: Asked = Asked::BeforeEachNode;
    type Found = Found;

    fn look(snapshot: &Snapshot, _policy: &Policy, found: &mut Vec<Found>) {
        for node in online(snapshot) {
            let name = || node.name.clone();
            match node.root_free_bytes.known().copied() {
                Some(free_bytes) if free_bytes < ROOT_NEEDED_BYTES => {
                    found.push(Found::RootFull { node: name(), free_bytes });
                }
                Some(free_bytes) if free_bytes < ROOT_WISHED_BYTES => {
                    found.push(Found::RootLow { node: name(), free_bytes });
                }
                _ => {}
            }
            let boot = node.boot_free_bytes.known().copied().filter(|free| *free < BOOT_WISHED_BYTES);
            found.extend(boot.map(|free_bytes| Found::BootLow { node: name(), free_bytes }));
        }
    }
}
