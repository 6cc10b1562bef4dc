//! Ceph by the names of its health checks, its flags, its pools and what it says itself about stopping OSDs.

use super::support::Report;
use super::{Check, Finding, Severity, Subject};
use crate::observed::Observed;
use crate::policy::Policy;
use crate::snapshot::{Ceph, DaemonKind, Snapshot, StopVerdict};
use crate::steps::{ceph_unsettled, is_benign};

pub(super) struct CephHealth;

/// Flags under which data that is missing after a reboot never comes back, or an OSD is never let in again.
const FLAGS_IN_THE_WAY: [&str; 5] = ["nobackfill", "norecover", "noup", "pause", "pauserd"];

impl Check for CephHealth {
    fn id(&self) -> &'static str {
        "ceph-health"
    }

    fn explain(&self) -> &'static str {
        "Decided by the names of the health checks, not by the overall word: noout alone makes it HEALTH_WARN. Checks that \
         say nothing about redundancy (a recent crash that is not archived, a late scrub, a flag) are for information; \
         every other one that is not muted is blocking, and so are placement groups that are not active+clean, a pool that \
         stops with one copy missing (min_size not below size), flags that keep data from coming back, and OSDs of which \
         Ceph itself says that they cannot be stopped. A noout that is set already is respected and left as it is. Look \
         with `ceph health detail`."
    }

    fn run(&self, snapshot: &Snapshot, _policy: &Policy) -> Vec<Finding> {
        let mut report = Report::of(self);
        if let Some(ceph) = snapshot.ceph() {
            health(ceph, &mut report);
            flags(ceph, &mut report);
            pools_and_daemons(ceph, &mut report);
            for (node, verdict) in &ceph.osds_ok_to_stop {
                if let Observed::Known(StopVerdict::Unsafe(why)) = verdict {
                    let remedy = "Wait until Ceph is clean, or add OSDs or copies: ceph health detail";
                    report.add(
                        Severity::Blocking,
                        node,
                        format!("Ceph cannot do without the OSDs of {node}: {why}"),
                        remedy,
                    );
                }
            }
        }
        report.findings()
    }
}

fn health(ceph: &Ceph, report: &mut Report) {
    for why in ceph_unsettled(ceph) {
        report.add(Severity::Blocking, Subject::Cluster, why.to_string(), "Mend it first: ceph health detail");
    }
    for (code, check) in &ceph.checks {
        let is_flag = matches!(code.as_str(), "OSDMAP_FLAGS" | "OSD_FLAGS");
        if check.muted || (is_benign(code) && !is_flag) {
            let muted = if check.muted { " (muted)" } else { "" };
            let problem = format!("Ceph: {code}{muted}: {}", check.message);
            report.add(Severity::Info, Subject::Cluster, problem, "It does not stop a run. See: ceph health detail");
        }
    }
}

fn flags(ceph: &Ceph, report: &mut Report) {
    for flag in &ceph.flags {
        let remedy = format!("Clear it if it is not meant to stay: ceph osd unset {flag}");
        let (severity, meaning) = match flag.as_str() {
            flag if FLAGS_IN_THE_WAY.contains(&flag) => {
                (Severity::Blocking, "Ceph will not become clean after a reboot")
            }
            "norebalance" | "nodown" | "noin" => (Severity::Warning, "Ceph heals less than it could"),
            "noout" => (Severity::Info, "it is respected and not cleared by a run"),
            _ => (Severity::Info, "it has no part in a run"),
        };
        report.add(severity, Subject::Cluster, format!("the flag {flag} is set for all OSDs: {meaning}"), remedy);
    }
    for (host, flags) in &ceph.node_flags {
        for flag in flags {
            let problem = format!("the flag {flag} is set for {host}: it is respected and not cleared by a run");
            let remedy = format!("Clear it if it was left behind: ceph osd unset-group {flag} {host}");
            report.add(Severity::Warning, Subject::Cluster, problem, remedy);
        }
    }
}

fn pools_and_daemons(ceph: &Ceph, report: &mut Report) {
    for pool in ceph.pools.iter().filter(|pool| pool.size <= pool.min_size) {
        let (name, size, min_size) = (&pool.name, pool.size, pool.min_size);
        report.add(
            Severity::Blocking,
            Subject::Cluster,
            format!("pool {name} stops as soon as one copy is missing (size {size}, min_size {min_size})"),
            format!("Give it room for a node to be away: ceph osd pool set {name} size {}", min_size + 1),
        );
    }
    let count = |kind| ceph.daemons.iter().filter(|daemon| daemon.kind == kind).count();
    match count(DaemonKind::Mon) {
        0 => {}
        mons if mons < 3 => report.add(
            Severity::Blocking,
            Subject::Cluster,
            format!("Ceph has {mons} monitors: with the node of one away there is no majority"),
            "Add monitors up to three: pveceph mon create",
        ),
        _ => {}
    }
    if count(DaemonKind::Mgr) == 1 {
        let remedy = "Add one on another node: pveceph mgr create";
        report.add(Severity::Warning, Subject::Cluster, "Ceph has one manager and no standby", remedy);
    }
}
