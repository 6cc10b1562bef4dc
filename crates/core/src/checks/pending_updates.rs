//! What there is to do on each node.

use super::check::{Asked, Check, Waivable, kinds};
use super::support::{online, some};
use crate::ids::NodeName;
use crate::policy::Policy;
use crate::snapshot::{Kernel, Packages, Snapshot};
use crate::steps::kernel_release;

pub(super) struct PendingUpdates;

kinds! {
    UpToDate { node: NodeName } => Info, node,
        ("{node} is up to date"),
        ("Nothing to do.");
    Pending { node: NodeName, count: usize, reboot: String } => Info, node,
        ("{node} has {} pending{reboot}", match count {
            0 => "no updates".to_owned(),
            1 => "1 update".to_owned(),
            count => format!("{count} updates"),
        }),
        ("Nothing to do.");
    RemovesPve { node: NodeName } => Blocking, node,
        ("the upgrade of {node} would remove proxmox-ve"),
        ("Correct its repositories, then check again: apt-get -s dist-upgrade on {node}");
    Removes { node: NodeName, packages: Vec<String> } => Warning, node,
        ("the upgrade of {node} would remove {}", some(&packages)),
        ("Read what goes and why: apt-get -s dist-upgrade on {node}");
}

impl Check for PendingUpdates {
    const ID: &'static str = "pending-updates";
    const EXPLAIN: &'static str =
        "What `apt-get -s dist-upgrade` would do on each node, for information. If it would remove proxmox-ve the \
         repositories do not fit together, and the node would no longer be a Proxmox VE node: blocking. Other removals \
         are a warning: read them. A node with nothing pending is left alone.";
    const WAIVABLE: Waivable = Waivable::WarningsOnly("the node would no longer be a Proxmox VE node");
    const ASKED: Asked = Asked::BeforeEachNode;
    type Found = Found;

    fn look(snapshot: &Snapshot, _policy: &Policy, found: &mut Vec<Found>) {
        for node in online(snapshot) {
            if let (Some(packages), Some(kernel)) = (node.packages.known(), node.kernel.known()) {
                found.push(to_do(&node.name, packages, kernel));
                found.extend(removals(&node.name, packages));
            }
        }
    }
}

fn to_do(node: &NodeName, packages: &Packages, kernel: &Kernel) -> Found {
    let (node, count) = (node.clone(), packages.pending.len());
    let new_kernel = packages.pending.iter().find_map(|package| kernel_release(&package.name));
    let reboot = match new_kernel {
        Some(release) => format!(", with kernel {release}"),
        None if kernel.reboot_needed() => format!(", kernel {} waits for a reboot", kernel.will_boot()),
        None if count == 0 => return Found::UpToDate { node },
        None => String::new(),
    };
    Found::Pending { node, count, reboot }
}

fn removals(node: &NodeName, packages: &Packages) -> Option<Found> {
    let (node, removals) = (node.clone(), &packages.removals);
    match removals.iter().any(|removed| removed == "proxmox-ve") {
        true => Some(Found::RemovesPve { node }),
        false if removals.is_empty() => None,
        false => Some(Found::Removes { node, packages: removals.clone() }),
    }
}
