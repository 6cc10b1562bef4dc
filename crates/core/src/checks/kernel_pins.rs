//! Kernels that are pinned.

use super::check::{Asked, Check, Waivable, kinds};
use super::support::online;
use crate::ids::NodeName;
use crate::policy::Policy;
use crate::snapshot::Snapshot;
use crate::steps::kernel_release;
use crate::version::Version;

pub(super) struct KernelPins;

kinds! {
    Pinned { node: NodeName, pin: Version, newest: Version, next_too: bool } => Warning, node,
        ("{node} has kernel {pin} pinned for every boot: {newest} would not be booted"),
        ("If it is not meant, on {node}: proxmox-boot-tool kernel unpin{}",
            if next_too { " --next-boot" } else { "" });
    PinnedOnce { node: NodeName, pin: Version, newest: Version } => Warning, node,
        ("{node} has kernel {pin} pinned for the next boot: {newest} would not be booted"),
        ("If it is not meant, on {node}: proxmox-boot-tool kernel unpin --next-boot");
}

impl Check for KernelPins {
    const ID: &'static str = "kernel-pins";
    const EXPLAIN: &'static str =
        "A pinned kernel boots whatever is installed, so a node with an old pin comes back from its upgrade with the \
         old kernel, and no checker of PVE says so. It is a warning, because it may be intended. Take the pin off with \
         `proxmox-boot-tool kernel unpin`, then look again.";
    const WAIVABLE: Waivable = Waivable::Yes;
    const ASKED: Asked = Asked::BeforeARun;
    type Found = Found;

    fn look(snapshot: &Snapshot, _policy: &Policy, found: &mut Vec<Found>) {
        for node in online(snapshot) {
            let Some(kernel) = node.kernel.known() else { continue };
            let pending = node.packages.known().map_or(&[][..], |packages| &packages.pending);
            let coming = pending.iter().filter_map(|package| kernel_release(&package.name));
            let Some(newest) = coming.chain(kernel.installed.iter().cloned()).max() else { continue };
            let older = |pin: &Option<Version>| pin.clone().filter(|pin| *pin < newest);
            let (name, newest) = (|| node.name.clone(), || newest.clone());
            let next_too = kernel.next_boot.is_some();
            let pinned = older(&kernel.pinned);
            found.extend(pinned.map(|pin| Found::Pinned { node: name(), pin, newest: newest(), next_too }));
            let once = older(&kernel.next_boot);
            found.extend(once.map(|pin| Found::PinnedOnce { node: name(), pin, newest: newest() }));
        }
    }
}
