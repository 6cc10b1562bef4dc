//! What there is to do on each node.

use super::check::{Asked, Check, Waivable, kinds};
use super::support::{ago, online, some};
use crate::ids::NodeName;
use crate::policy::{Policy, RebootWhen};
use crate::snapshot::{LISTS_TRUSTED_S, Node, Outdated, Packages, Snapshot};
use crate::steps::{is_microcode, kernel_release};

pub(super) struct PendingUpdates;

kinds! {
    UpToDate { node: NodeName, age_s: u64 } => Info, node,
        ("{node} is up to date, by package lists that are {} old", ago(age_s)),
        ("Nothing to do.");
    StaysInUse { node: NodeName, packages: Vec<String> } => Info, node,
        ("the upgrade of {node} brings new {}, and no kernel: services that run use the old until they are restarted",
            some(&packages)),
        ("If they should be in use at once: reboot = \"always\" in [policy] of the configuration");
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
         are a warning: read them. A node with nothing pending that runs what it has installed is left \
         alone; one that still runs an older kernel, Ceph or PVE than it has installed, or that was asked to reboot, has a \
         turn although nothing is pending.";
    const WAIVABLE: Waivable = Waivable::WarningsOnly("the node would no longer be a Proxmox VE node");
    const ASKED: Asked = Asked::BeforeEachNode;
    type Found = Found;

    fn look(snapshot: &Snapshot, policy: &Policy, found: &mut Vec<Found>) {
        for node in online(snapshot) {
            if let (Some(packages), Some(_)) = (node.packages.known(), node.kernel.known()) {
                found.extend(to_do(snapshot, node, packages));
                found.extend(removals(&node.name, packages));
                found.extend(stays_in_use(snapshot, policy, node, packages));
            }
        }
    }
}

fn to_do(snapshot: &Snapshot, node: &Node, packages: &Packages) -> Option<Found> {
    let (name, count) = (node.name.clone(), packages.pending.len());
    let new_kernel = packages.pending.iter().find_map(|package| kernel_release(&package.name));
    let reboot = match (new_kernel, snapshot.outdated(node).into_iter().next()) {
        (Some(release), _) => format!(", with kernel {release}"),
        (None, Some(Outdated::Kernel { next, .. })) => format!(", kernel {next} waits for a reboot"),
        (None, Some(outdated)) => format!(", and waits for a reboot: {outdated}"),
        (None, None) if count > 0 => String::new(),
        // What old lists do not say is reported by old-package-lists.
        (None, None) => {
            let age_s = packages.lists_age_s.filter(|age_s| *age_s <= LISTS_TRUSTED_S)?;
            return Some(Found::UpToDate { node: name, age_s });
        }
    };
    Some(Found::Pending { node: name, count, reboot })
}

/// Packages that running services have loaded, and that no reboot of this run makes them load anew.
fn stays_in_use(snapshot: &Snapshot, policy: &Policy, node: &Node, packages: &Packages) -> Option<Found> {
    const LOADED: [&str; 9] =
        ["corosync", "dbus", "libc6", "libknet1t64", "libqb100", "libssl3", "libssl3t64", "lxcfs", "systemd"];
    let brings_a_boot =
        |name: &str| kernel_release(name).is_some() || is_microcode(name) || name.starts_with("ceph-");
    let boots = policy.reboot == RebootWhen::Always
        || !snapshot.outdated(node).is_empty()
        || packages.pending.iter().any(|package| brings_a_boot(&package.name));
    let loaded = packages.pending.iter().filter(|package| LOADED.contains(&package.name.as_str()));
    let loaded: Vec<String> = loaded.map(|package| package.name.clone()).collect();
    (!boots && !loaded.is_empty()).then(|| Found::StaysInUse { node: node.name.clone(), packages: loaded })
}

fn removals(node: &NodeName, packages: &Packages) -> Option<Found> {
    let (node, removals) = (node.clone(), &packages.removals);
    match removals.iter().any(|removed| removed == "proxmox-ve") {
        true => Some(Found::RemovesPve { node }),
        false if removals.is_empty() => None,
        false => Some(Found::Removes { node, packages: removals.clone() }),
    }
}
