//! Ceph has all its copies before OSDs go down, and loses those of one node only.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::rule::{Context, Invariant};
use super::support::{Findings, names};
use super::outcome::{Missing, RuleOutcome};
use crate::ids::{NodeName, OsdId};
use crate::snapshot::{Ceph, DaemonKind, PgState, Snapshot, SafeToStop};
use crate::steps::{Why, ceph_unsettled};

/// `ceph-redundancy`. With every OSD up: all placement groups clean, health clean by the *names* of the checks (our own
/// noout raises HEALTH_WARN). With the OSDs of a node down: one node only, noout set for it, nothing stopped that Ceph
/// itself called unsafe, all data still served. Monitors keep their majority throughout.
pub struct CephRedundancy;

/// What would leave Ceph with too few copies.
#[derive(Clone, Debug, PartialEq, Eq, Error, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CopiesAtRisk {
    #[error("pool {pool} stops with one copy missing (size {size}, min_size {min_size})")]
    NoCopyToSpare { pool: String, size: u32, min_size: u32 },
    /// With every OSD up: what [`ceph_unsettled`] names.
    #[error(transparent)]
    Unsettled(Why),
    #[error("{osd} is down although {node} is up")]
    OsdDown { osd: OsdId, node: NodeName },
    #[error("the OSDs of {} are down at the same time", names(.nodes))]
    NodesDown { nodes: BTreeSet<NodeName> },
    #[error("the OSDs of {node} are down and noout is not set for them")]
    NooutNotSet { node: NodeName },
    #[error("Ceph says that the OSDs of {node} are not ok to stop: {why}")]
    NotOkToStop { node: NodeName, why: String },
    #[error("{inactive} of {all} placement groups are not active")]
    NotServed { inactive: u64, all: u64 },
    #[error("{up} of {all} Ceph monitors are left: no majority")]
    MonitorsShort { up: usize, all: usize },
    #[error("no monitor of Ceph was seen")]
    NoMonitorSeen,
    #[error("the flag {flag} is set for {of}: {}", harm(.flag))]
    Flag { flag: String, of: String },
    #[error(transparent)]
    Missing(#[from] Missing),
}

/// Flags of the OSD map under which a node can be rebooted: they keep data where it is, or only work that can wait.
const HARMLESS_FLAGS: [&str; 7] = ["noout", "noin", "norebalance", "noscrub", "nodeep-scrub", "nosnaptrim", "notieragent"];

/// What a flag does to a reboot (Ceph, "Operating a cluster: flags").
fn harm(flag: &str) -> &'static str {
    match flag {
        "nodown" => "OSDs that stop are not marked down, so their clients hang until they are back",
        "noup" => "OSDs that come back are not let in",
        "nobackfill" | "norecover" => "copies that are missing after a reboot do not come back",
        "pause" | "pauserd" | "pausewr" => "clients of Ceph stand still",
        "full" | "nearfull" | "backfillfull" => "there is no room for data",
        _ => "it is not known to be harmless",
    }
}

impl Invariant for CephRedundancy {
    type Evidence = CopiesAtRisk;

    fn id(&self) -> &'static str {
        "ceph-redundancy"
    }

    fn why(&self) -> &'static str {
        "With a copy missing already, the next OSD that goes down stops the I/O of every guest on Ceph. Without noout \
         Ceph begins to copy a node's data elsewhere after ten minutes."
    }

    fn explain(&self) -> &'static str {
        "While every OSD is up: all placement groups are active+clean, and health is clean by the names of its checks \
         (our own noout raises HEALTH_WARN, so the overall status says little). While the OSDs of a node are down: it \
         is one node only, noout is set for it, Ceph had called them ok to stop, and all data is still served. \
         Monitors keep a majority, no pool stops with one copy missing, and no flag is set, for all OSDs or for some, \
         that is not known to be harmless: with nodown, for example, clients hang for the whole reboot."
    }

    fn remedy(&self) -> &'static str {
        "Wait until Ceph is clean, or fix what it names: ceph health detail. An OSD that is down is started on its node \
         (systemctl start ceph-osd@N), or given up (ceph osd out N), and Ceph makes new copies. A health check that says \
         nothing about copies of data: ceph health mute CODE 1d (or a waiver of ceph-health with its code as text). A \
         pool needs one copy more than min_size \
         (ceph osd pool set POOL size N), monitors need three nodes (pveceph mon create). A flag is cleared where it was \
         set: ceph osd unset FLAG, ceph osd unset-group FLAG NAME"
    }

    fn holds(&self, snapshot: &Snapshot, context: &Context<'_>) -> RuleOutcome<CopiesAtRisk> {
        let mut findings = Findings::new();
        if let Some(Some(ceph)) = findings.read(&snapshot.ceph) {
            let away = away(snapshot, ceph, context, &mut findings);
            monitors(snapshot, ceph, &mut findings);
            flags(ceph, &mut findings);
            for pool in ceph.pools.iter().filter(|pool| pool.size <= pool.min_size) {
                let (size, min_size) = (pool.size, pool.min_size);
                findings.broken(CopiesAtRisk::NoCopyToSpare { pool: pool.name.clone(), size, min_size });
            }
            if away.is_empty() {
                ceph_unsettled(ceph).into_iter().for_each(|why| findings.broken(CopiesAtRisk::Unsettled(why)));
            } else {
                with_osds_down(ceph, &away, &mut findings);
            }
        }
        findings.outcome()
    }
}

/// Nodes whose OSDs are down because the node is. An OSD that is down although its node is up, and not the current
/// node on its way down or up, has failed. One that is given up, down and out, plays no part any more.
fn away<'a>(
    snapshot: &Snapshot,
    ceph: &'a Ceph,
    context: &Context<'_>,
    findings: &mut Findings<CopiesAtRisk>,
) -> BTreeSet<&'a NodeName> {
    let mut away = BTreeSet::new();
    for (id, osd) in ceph.osds.iter().filter(|(_, osd)| !osd.is_given_up()) {
        let node = snapshot.nodes.get(&osd.node);
        let offline = node.is_some_and(|node| node.online.is(&false));
        let current = context.current_node.as_ref() == Some(&osd.node);
        let with_its_node = || ceph.noout_covers(&osd.node) || ceph.osds_in_use_on(&osd.node).all(|(_, osd)| !osd.up);
        if offline || (!osd.up && current && with_its_node()) {
            away.insert(&osd.node);
        } else if !osd.up {
            findings.broken(CopiesAtRisk::OsdDown { osd: *id, node: osd.node.clone() });
        }
    }
    away
}

fn with_osds_down(ceph: &Ceph, away: &BTreeSet<&NodeName>, findings: &mut Findings<CopiesAtRisk>) {
    if away.len() > 1 {
        let nodes = away.iter().map(|node| (*node).clone()).collect();
        findings.broken(CopiesAtRisk::NodesDown { nodes });
    }
    for node in away {
        if !ceph.noout_covers(node) {
            findings.broken(CopiesAtRisk::NooutNotSet { node: (*node).clone() });
        }
        if let Some(outcome) = ceph.osds_ok_to_stop.get(*node)
            && let Some(SafeToStop::Unsafe(why)) = findings.read(outcome)
        {
            findings.broken(CopiesAtRisk::NotOkToStop { node: (*node).clone(), why: why.clone() });
        }
    }
    let served: u64 = ceph.pgs.iter().filter(|pg| is_served(pg)).map(|pg| u64::from(pg.count)).sum();
    let all = u64::from(ceph.pg_count);
    if served < all {
        findings.broken(CopiesAtRisk::NotServed { inactive: all - served, all });
    }
}

fn flags(ceph: &Ceph, findings: &mut Findings<CopiesAtRisk>) {
    let of_all = ceph.flags.iter().map(|flag| (flag, "all OSDs"));
    let of_some = ceph.node_flags.iter().flat_map(|(of, flags)| flags.iter().map(move |flag| (flag, of.as_str())));
    for (flag, of) in of_all.chain(of_some).filter(|(flag, _)| !HARMLESS_FLAGS.contains(&flag.as_str())) {
        findings.broken(CopiesAtRisk::Flag { flag: flag.clone(), of: of.to_owned() });
    }
}

fn is_served(pg: &PgState) -> bool {
    pg.state.split('+').any(|word| word == "active")
}

fn monitors(snapshot: &Snapshot, ceph: &Ceph, findings: &mut Findings<CopiesAtRisk>) {
    let all: Vec<_> = ceph.daemons.iter().filter(|daemon| daemon.kind == DaemonKind::Mon).collect();
    let up = all.iter().filter(|mon| {
        let node_is_up = snapshot.nodes.get(&mon.node).is_none_or(|node| !node.online.is(&false));
        node_is_up && ceph.mon_quorum.contains(&mon.name)
    });
    let up = up.count();
    if all.is_empty() {
        findings.missing(CopiesAtRisk::NoMonitorSeen);
    } else if up * 2 <= all.len() {
        findings.broken(CopiesAtRisk::MonitorsShort { up, all: all.len() });
    }
}
