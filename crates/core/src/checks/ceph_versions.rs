//! Which releases of Ceph run, and whether the pending packages bring another major.

use std::collections::BTreeSet;

use super::check::{Asked, Check, Waivable, kinds};
use super::support::online;
use crate::ids::NodeName;
use crate::policy::Policy;
use crate::snapshot::{Ceph, Snapshot};
use crate::version::Version;

pub(super) struct CephVersions;

kinds! {
    MajorsMixed { run: String } => Blocking, Cluster,
        ("daemons of Ceph run different major releases: {run}"),
        ("Finish the Ceph upgrade first: monitors, managers, OSDs, metadata servers (ceph versions)");
    BuildsMixed { run: String } => Info, Cluster,
        ("daemons of Ceph run different builds: {run}"),
        ("Nothing to do: a reboot of each node ends it.");
    WaitsForRestart { node: NodeName, daemon: String, more: usize } => Info, node,
        ("Ceph on {node} waits for a restart: {daemon}{}",
            if more == 0 { String::new() } else { format!(", and {more} more there") }),
        ("Nothing to do: the run reboots the node.");
    MajorPending { node: NodeName, to: Version, run: String } => Blocking, node,
        ("the upgrade of {node} would bring Ceph {to}, {run} runs"),
        ("Set the repository back to the release that runs, and upgrade Ceph by its own procedure");
    NewKeyCipher { node: NodeName, coming: Version, first: &'static str } => Warning, node,
        ("the upgrade of {node} brings Ceph {coming}: from {first} on CephX has another cipher"),
        ("Read the release notes first: old clients of CephFS and RBD outside of the cluster may lose access");
}

impl Check for CephVersions {
    const ID: &'static str = "ceph-versions";
    const EXPLAIN: &'static str =
        "Inside one major release of Ceph a node's daemons may restart together, as a reboot does. A new major needs \
         its own order over all nodes: monitors, managers, OSDs, metadata servers. So daemons of different majors are \
         blocking, and so are pending Ceph packages of another major than the one that runs: upgrade Ceph first, by \
         its own procedure. Different builds of one major are for information, and so is a daemon that still runs what \
         was installed before: packages of Ceph restart nothing, the reboot of its node does. Point releases that \
         change the cipher of CephX keys (19.2.6, 20.2.4) are a warning: clients outside of the cluster may be too old \
         for them.";
    const WAIVABLE: Waivable = Waivable::Never("a new major release of Ceph has an order of its own over all nodes");
    const ASKED: Asked = Asked::BeforeARun;
    type Found = Found;

    fn look(snapshot: &Snapshot, _policy: &Policy, found: &mut Vec<Found>) {
        let Some(ceph) = snapshot.ceph() else { return };
        let versions = running(ceph);
        let majors: BTreeSet<u32> = versions.iter().filter_map(|version| version.major()).collect();
        let run = || versions.iter().map(|version| version.as_str()).collect::<Vec<_>>().join(", ");
        if majors.len() > 1 {
            found.push(Found::MajorsMixed { run: run() });
        } else if versions.len() > 1 {
            found.push(Found::BuildsMixed { run: run() });
        }
        for node in snapshot.nodes.keys() {
            if let [first, others @ ..] = &ceph.waiting_for_a_restart(node)[..] {
                let (daemon, more) = (first.to_string(), others.len());
                found.push(Found::WaitsForRestart { node: node.clone(), daemon, more });
            }
        }
        keys_that_change(snapshot, &versions, found);
        for node in online(snapshot) {
            let pending = node.packages.known().map_or(&[][..], |packages| &packages.pending);
            let osd = pending.iter().find(|package| package.name == "ceph-osd" || package.name == "ceph-mon");
            if let Some(package) = osd
                && let Some(major) = package.to.major()
                && majors.iter().any(|running| *running != major)
            {
                found.push(Found::MajorPending { node: node.name.clone(), to: package.to.clone(), run: run() });
            }
        }
    }
}

/// Point releases that bring another cipher for CephX keys: clients that are older may no longer get in.
const NEW_KEYS: [&str; 2] = ["19.2.6", "20.2.4"];

fn keys_that_change(snapshot: &Snapshot, running: &BTreeSet<&Version>, found: &mut Vec<Found>) {
    for node in online(snapshot) {
        let pending = node.packages.known().map_or(&[][..], |packages| &packages.pending);
        let Some(coming) = pending.iter().find(|package| package.name == "ceph-common").map(|package| &package.to)
        else {
            continue;
        };
        let crosses = |first: &&&'static str| {
            let first = Version::from(**first);
            first.major() == coming.major() && *coming >= first && running.iter().any(|version| **version < first)
        };
        let crossed = NEW_KEYS.iter().find(crosses);
        let coming = || coming.clone();
        found.extend(crossed.map(|first| Found::NewKeyCipher { node: node.name.clone(), coming: coming(), first }));
    }
}

fn running(ceph: &Ceph) -> BTreeSet<&Version> {
    let daemons = ceph.daemons.iter().filter_map(|daemon| daemon.version.as_ref());
    let osds = ceph.osds.values().filter(|osd| !osd.is_given_up());
    daemons.chain(osds.filter_map(|osd| osd.version.as_ref())).collect()
}
