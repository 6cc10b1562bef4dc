//! Kernel modules that are built on the node itself.

use super::check::{Asked, Check, Waivable, kinds};
use super::support::{coming_kernel, online, some};
use crate::ids::NodeName;
use crate::policy::Policy;
use crate::snapshot::Snapshot;
use crate::version::Version;

pub(super) struct DkmsModules;

kinds! {
    BuiltHere { node: NodeName, modules: Vec<String>, kernel: Version } => Warning, node,
        ("{node} builds {} by itself, and kernel {kernel} is coming", some(&modules)),
        ("Check that each supports that kernel, and that proxmox-default-headers is installed");
}

impl Check for DkmsModules {
    const ID: &'static str = "dkms-modules";
    const EXPLAIN: &'static str =
        "Modules of DKMS (drivers of graphics cards, of network or storage cards) are compiled again for each kernel, \
         while its package is installed. If that fails the node comes back without the device: a network card or a \
         storage may be missing. A warning where a new kernel is coming. Check that the module supports that kernel, \
         and that proxmox-default-headers is installed; `dkms status` shows what was built.";
    const WAIVABLE: Waivable = Waivable::Yes;
    const ASKED: Asked = Asked::BeforeARun;
    type Found = Found;

    fn look(snapshot: &Snapshot, _policy: &Policy, found: &mut Vec<Found>) {
        for node in online(snapshot) {
            let Some(modules) = node.host.dkms_modules.known().filter(|modules| !modules.is_empty()) else { continue };
            let Some(kernel) = coming_kernel(node) else { continue };
            let modules = modules.iter().cloned().collect();
            found.push(Found::BuiltHere { node: node.name.clone(), modules, kernel });
        }
    }
}
