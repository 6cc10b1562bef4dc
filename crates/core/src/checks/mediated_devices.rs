//! vGPUs and their like under a new kernel.

use super::check::{Asked, Check, Waivable, kinds};
use super::support::{coming_kernel, some};
use crate::ids::{GuestId, NodeName};
use crate::policy::Policy;
use crate::snapshot::Snapshot;
use crate::version::Version;

pub(super) struct MediatedDevices;

kinds! {
    NeedsDriver { guest: GuestId, devices: Vec<String>, node: NodeName, kernel: Version } => Warning, guest,
        ("{} of {guest} depends on a driver that has to support kernel {kernel} of {node}", some(&devices)),
        ("Check that the driver supports this kernel, or pin the one that runs: proxmox-boot-tool kernel pin");
}

impl Check for MediatedDevices {
    const ID: &'static str = "mediated-devices";
    const EXPLAIN: &'static str =
        "A mediated device (vGPU) is made by a driver of the host, and that driver has to be built for the kernel that \
         comes: with kernel 6.14 and later some cards need a newer driver or another method altogether, and the guest \
         does not start again on its node. A warning where a guest with such a device is on a node that gets another \
         kernel. Look up the driver's list of kernels first, or pin the kernel that works: `proxmox-boot-tool kernel \
         pin`.";
    const WAIVABLE: Waivable = Waivable::Yes;
    const ASKED: Asked = Asked::BeforeARun;
    type Found = Found;

    fn look(snapshot: &Snapshot, _policy: &Policy, found: &mut Vec<Found>) {
        for guest in snapshot.guests.values() {
            let devices = guest.migration.known().map_or(&[][..], |facts| &facts.mediated_devices);
            let coming = snapshot.nodes.get(&guest.node).and_then(coming_kernel);
            if let Some(kernel) = coming.filter(|_| !devices.is_empty()) {
                let (devices, node) = (devices.to_vec(), guest.node.clone());
                found.push(Found::NeedsDriver { guest: guest.id, devices, node, kernel });
            }
        }
    }
}
