//! What several checks ask of a snapshot, and how figures are written.

use crate::ids::NodeName;
use crate::snapshot::{Node, QuorumView, Repository, Snapshot};
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
pub(super) fn has_turn(snapshot: &Snapshot, node: &Node, policy: &crate::policy::Policy) -> bool {
    policy.reboot == crate::policy::RebootWhen::Always || snapshot.is_up_to_date(node) != Some(true)
}

/// The kernel that the node will boot next and does not run now: one to be installed, or one that waits.
pub(super) fn coming_kernel(node: &Node) -> Option<Version> {
    let pending = node.packages.known()?.pending.iter().filter_map(|package| kernel_release(&package.name)).max();
    let waiting = node.kernel.known().filter(|kernel| kernel.reboot_needed()).map(|kernel| kernel.will_boot().clone());
    pending.or(waiting)
}

/// Is it Debian's or Proxmox's own source, or a mirror of one? By its release file, or else by its host or its
/// components.
pub(super) fn source_is_own(source: &Repository) -> bool {
    const HOMES: [&str; 2] = ["debian.org", "proxmox.com"];
    let is_home = |host: &str| {
        HOMES.iter().any(|home| host == *home || host.strip_suffix(home).is_some_and(|front| front.ends_with('.')))
    };
    match source.origin.as_deref() {
        Some("Debian" | "Proxmox") => true,
        Some(_) => false,
        None => {
            source.components.iter().any(|part| part.starts_with("pve"))
                || source.uris.iter().filter_map(|uri| host(uri)).any(is_home)
        }
    }
}

/// The host of a source on the network; none for files and disks.
pub(super) fn host(uri: &str) -> Option<&str> {
    let (scheme, rest) = uri.split_once("://")?;
    let host = rest.split(['/', ':']).next()?;
    let host = host.rsplit('@').next()?;
    (scheme.contains("http") || scheme == "ftp").then_some(host).filter(|host| !host.is_empty())
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

/// How old something is: `7 min`, `3 h`, `31 days`.
pub(super) fn ago(seconds: u64) -> String {
    match seconds {
        0..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
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
