//! What several checks ask of a snapshot, and how figures are written.

use crate::ids::NodeName;
use crate::snapshot::{Node, QuorumView, Snapshot};
use crate::steps::kernel_release;
use crate::version::Version;

/// Nodes that are online. The rule `one-node-out` is about the others.
pub(super) fn online(snapshot: &Snapshot) -> impl Iterator<Item = &Node> {
    snapshot.nodes.values().filter(|node| node.online.is(&true))
}

/// What the nodes that are online report about votes and links, each for itself.
pub(super) fn views(snapshot: &Snapshot) -> impl Iterator<Item = (&NodeName, &QuorumView)> {
    online(snapshot).filter_map(|node| Some((&node.name, snapshot.quorum.get(&node.name)?.known()?)))
}

/// Is the node upgraded in this run? One that is up to date is not, unless every node is to be rebooted. Not known
/// counts as yes.
pub(super) fn has_turn(node: &Node, policy: &crate::policy::Policy) -> bool {
    policy.reboot == crate::policy::RebootWhen::Always || node.is_up_to_date() != Some(true)
}

/// The kernel that the node will boot next and does not run now: one to be installed, or one that waits.
pub(super) fn coming_kernel(node: &Node) -> Option<Version> {
    let pending = node.packages.known()?.pending.iter().filter_map(|package| kernel_release(&package.name)).max();
    let waiting = node.kernel.known().filter(|kernel| kernel.reboot_needed()).map(|kernel| kernel.will_boot().clone());
    pending.or(waiting)
}

/// Bytes as an administrator reads them.
pub(super) fn gib(bytes: u64) -> String {
    format!("{:.1} GiB", bytes as f64 / f64::from(1 << 30))
}

/// Names in one line, at most eight of them.
pub(super) fn some(names: &[String]) -> String {
    const SHOWN: usize = 8;
    match names.len().checked_sub(SHOWN) {
        None | Some(0) => names.join(", "),
        Some(more) => format!("{} and {more} more", names[..SHOWN].join(", ")),
    }
}

/// `45 s`, `7 min 50 s`.
pub(super) fn lasting(seconds: u64) -> String {
    match (seconds / 60, seconds % 60) {
        (0, seconds) => format!("{seconds} s"),
        (minutes, 0) => format!("{minutes} min"),
        (minutes, seconds) => format!("{minutes} min {seconds} s"),
    }
}
