//! Which releases of Ceph run, and whether the pending packages bring another major.

use std::collections::BTreeSet;

use super::support::{Report, online};
use super::{Check, Finding, Severity, Subject};
use crate::policy::Policy;
use crate::snapshot::{Ceph, Snapshot};
use crate::version::Version;

pub(super) struct CephVersions;

impl Check for CephVersions {
    fn id(&self) -> &'static str {
        "ceph-versions"
    }

    fn explain(&self) -> &'static str {
        "Inside one major release of Ceph a node's daemons may restart together, as a reboot does. A new major needs its \
         own order over all nodes: monitors, managers, OSDs, metadata servers. So daemons of different majors are \
         blocking, and so are pending Ceph packages of another major than the one that runs: upgrade Ceph first, by its \
         own procedure. Different builds of one major are for information, and so is a daemon that still runs what was \
         installed before: packages of Ceph restart nothing, the reboot of its node does. Point releases that change the cipher of CephX keys \
         (19.2.6, 20.2.4) are a warning: clients outside of the cluster may be too old for them."
    }

    fn run(&self, snapshot: &Snapshot, _policy: &Policy) -> Vec<Finding> {
        let mut report = Report::of(self);
        let Some(ceph) = snapshot.ceph() else { return Vec::new() };
        let versions = running(ceph);
        let majors: BTreeSet<u32> = versions.iter().filter_map(|version| version.major()).collect();
        let list = || versions.iter().map(|version| version.as_str()).collect::<Vec<_>>().join(", ");
        if majors.len() > 1 {
            let problem = format!("daemons of Ceph run different major releases: {}", list());
            let remedy = "Finish the Ceph upgrade first: monitors, managers, OSDs, metadata servers (ceph versions)";
            report.add(Severity::Blocking, Subject::Cluster, problem, remedy);
        } else if versions.len() > 1 {
            let remedy = "Nothing to do: a reboot of each node ends it.";
            report.add(
                Severity::Info,
                Subject::Cluster,
                format!("daemons of Ceph run different builds: {}", list()),
                remedy,
            );
        }
        for node in snapshot.nodes.keys() {
            if let [first, others @ ..] = &ceph.waiting_for_a_restart(node)[..] {
                let more = if others.is_empty() { String::new() } else { format!(", and {} more there", others.len()) };
                let problem = format!("Ceph on {node} waits for a restart: {first}{more}");
                report.add(Severity::Info, node, problem, "Nothing to do: the run reboots the node.");
            }
        }
        keys_that_change(snapshot, &versions, &mut report);
        for node in online(snapshot) {
            let pending = node.packages.known().map_or(&[][..], |packages| &packages.pending);
            let osd = pending.iter().find(|package| package.name == "ceph-osd" || package.name == "ceph-mon");
            if let Some(package) = osd
                && let Some(major) = package.to.major()
                && majors.iter().any(|running| *running != major)
            {
                let problem = format!("the upgrade of {} would bring Ceph {}, {} runs", node.name, package.to, list());
                let remedy = "Set the repository back to the release that runs, and upgrade Ceph by its own procedure";
                report.add(Severity::Blocking, &node.name, problem, remedy);
            }
        }
        report.findings()
    }
}

/// Point releases that bring another cipher for CephX keys: clients that are older may not get in any more.
const NEW_KEYS: [&str; 2] = ["19.2.6", "20.2.4"];

fn keys_that_change(snapshot: &Snapshot, running: &BTreeSet<&Version>, report: &mut Report) {
    for node in online(snapshot) {
        let pending = node.packages.known().map_or(&[][..], |packages| &packages.pending);
        let Some(coming) = pending.iter().find(|package| package.name == "ceph-common").map(|package| &package.to)
        else {
            continue;
        };
        let crosses = |first: &&str| {
            let first = Version::from(*first);
            first.major() == coming.major() && *coming >= first && running.iter().any(|version| **version < first)
        };
        if let Some(first) = NEW_KEYS.iter().find(|first| crosses(first)) {
            let problem =
                format!("the upgrade of {} brings Ceph {coming}: from {first} on CephX has another cipher", node.name);
            let remedy =
                "Read the release notes before: old clients of CephFS and RBD outside of the cluster may lose access";
            report.add(Severity::Warning, &node.name, problem, remedy);
        }
    }
}

fn running(ceph: &Ceph) -> BTreeSet<&Version> {
    let daemons = ceph.daemons.iter().filter_map(|daemon| daemon.version.as_ref());
    daemons.chain(ceph.osds.values().filter_map(|osd| osd.version.as_ref())).collect()
}
