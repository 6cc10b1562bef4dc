//! Ceph daemons run a newer major release only after those that come before them: mon, mgr, osd, mds.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::rule::{Context, Invariant};
use super::support::Findings;
use super::outcome::{Missing, RuleOutcome};
use crate::snapshot::{Ceph, DaemonKind, Snapshot};
use crate::version::Version;

/// `ceph-order`. Majors only: inside one major a node's daemons may restart together, as a reboot does.
pub struct CephOrder;

/// Daemons that run a newer major release than those that come before them.
#[derive(Clone, Debug, PartialEq, Eq, Error, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CephOutOfOrder {
    #[error("there is a {later:?} of Ceph {newest} beside a {earlier:?} of {oldest}")]
    Newer { later: DaemonKind, newest: u32, earlier: DaemonKind, oldest: u32 },
    #[error("the release that {daemon} runs is not known")]
    ReleaseNotKnown { daemon: String },
    #[error(transparent)]
    Missing(#[from] Missing),
}

impl Invariant for CephOrder {
    type Evidence = CephOutOfOrder;

    fn id(&self) -> &'static str {
        "ceph-order"
    }

    fn why(&self) -> &'static str {
        "An OSD of a newer release than its monitors may not be let in, and there is no way back for its data."
    }

    fn explain(&self) -> &'static str {
        "No daemon of Ceph runs a newer major release than a daemon of a kind that comes before it: mon, mgr, osd, \
         mds. Inside one major a node's daemons may restart together, as a reboot does."
    }

    fn remedy(&self) -> &'static str {
        "Finish the Ceph upgrade first, in this order: monitors, managers, OSDs, metadata servers (ceph versions)"
    }

    fn holds(&self, snapshot: &Snapshot, _context: &Context<'_>) -> RuleOutcome<CephOutOfOrder> {
        let mut findings = Findings::new();
        if let Some(Some(ceph)) = findings.read(&snapshot.ceph) {
            let majors = majors(snapshot, ceph, &mut findings);
            for (later, (_, newest)) in &majors {
                for (earlier, (oldest, _)) in majors.range(..later) {
                    if newest > oldest {
                        let (later, newest, earlier, oldest) = (*later, *newest, *earlier, *oldest);
                        findings.broken(CephOutOfOrder::Newer { later, newest, earlier, oldest });
                    }
                }
            }
        }
        findings.outcome()
    }
}

/// Oldest and newest major by kind of daemon. Monitors and OSDs that are up must report theirs; a manager or metadata
/// server that does not is one that does not run.
fn majors(snapshot: &Snapshot, ceph: &Ceph, findings: &mut Findings<CephOutOfOrder>) -> BTreeMap<DaemonKind, (u32, u32)> {
    let mut majors: BTreeMap<DaemonKind, (u32, u32)> = BTreeMap::new();
    let mut note = |kind: DaemonKind, name: &str, version: Option<&Version>, must_tell: bool| match version
        .and_then(Version::major)
    {
        Some(major) => {
            let range = majors.entry(kind).or_insert((major, major));
            *range = (range.0.min(major), range.1.max(major));
        }
        None if must_tell => findings.missing(CephOutOfOrder::ReleaseNotKnown { daemon: name.to_owned() }),
        None => {}
    };
    for daemon in &ceph.daemons {
        let node_is_up = snapshot.nodes.get(&daemon.node).is_none_or(|node| !node.online.is(&false));
        let must_tell = daemon.kind == DaemonKind::Mon && ceph.mon_quorum.contains(&daemon.name) && node_is_up;
        note(daemon.kind, &format!("monitor {}", daemon.name), daemon.version.as_ref(), must_tell);
    }
    for (id, osd) in ceph.osds.iter().filter(|(_, osd)| !osd.is_given_up()) {
        note(DaemonKind::Osd, &id.to_string(), osd.version.as_ref(), osd.up);
    }
    majors
}
