//! Ceph beyond its safety rules: flags and health checks that block nothing, no standby.

use super::check::{Asked, Check, Waivable, finding_of, kinds};
use super::waiving::waive;
use crate::ids::{NodeName, OsdId};
use crate::policy::Policy;
use crate::snapshot::{Ceph, CephHealthCheck, DaemonKind, Snapshot};
use crate::steps::{is_benign, lingers};

pub(super) struct CephHealth;

kinds! {
    FlagHinders { flag: String } => Warning, Cluster,
        ("the flag {flag} is set for all OSDs: Ceph recovers less than it could"),
        ("Clear it if it is not meant to stay: ceph osd unset {flag}");
    FlagSet { flag: String, meaning: &'static str } => Info, Cluster,
        ("the flag {flag} is set for all OSDs: {meaning}"),
        ("Clear it if it is not meant to stay: ceph osd unset {flag}");
    HostFlag { flag: String, host: String } => Warning, Cluster,
        ("the flag {flag} is set for {host}: it is respected and not cleared by a run"),
        ("Clear it if it was left behind: ceph osd unset-group {flag} {host}");
    NotHarmless { code: String, message: String } => Blocking, Cluster,
        ("Ceph: {code}: {message}. Whether a node may go down while this lasts is not known{}", lingers(&code)),
        ("See: ceph health detail. If it has nothing to do with copies of data: ceph health mute {code} 1d, or a waiver of \
          ceph-health with the text {code} in the configuration");
    Harmless { code: String, message: String, muted: bool } => Info, Cluster,
        ("Ceph: {code}{}: {message}", if muted { " (muted)" } else { "" }),
        ("It does not stop a run. See: ceph health detail");
    GivenUp { osd: OsdId, node: NodeName } => Warning, node,
        ("{osd} of {node} is down and out: Ceph does without it"),
        ("Look at its disk, on {node}: systemctl status ceph-osd@{}. If it is dead: pveceph osd destroy {}, then replace \
          it", osd.0, osd.0);
    NeverRan { osd: OsdId } => Warning, Cluster,
        ("{osd} is down and out and has never run: no node is known for it"),
        ("If it is left of an attempt to make one: ceph osd purge {osd} --yes-i-really-mean-it");
    OneManager => Warning, Cluster,
        ("Ceph has one manager and no standby"),
        ("Add one on another node: pveceph mgr create");
}

impl Check for CephHealth {
    const ID: &'static str = "ceph-health";
    const EXPLAIN: &'static str =
        "What there is to know about Ceph beyond the rule ceph-redundancy, which covers placement groups, pools, \
         monitors, flags that a reboot does not go with, and every health check that is about redundancy. Flags that \
         keep Ceph from recovering fully, flags of one host and a manager without standby are warnings, and so is an \
         OSD that is down and out: its node has its turn without it. Health checks that are muted or say nothing about \
         redundancy (a recent crash that is not archived, a late scrub, daemons of an older version) are for \
         information. One that is not known to be harmless is blocking: wait until it ends, mute it in Ceph (`ceph \
         health mute CODE 1d`), or waive it for this run with its code as the waiver's text. Placement groups, OSDs and \
         monitors are looked at by themselves: no waiver makes a missing copy harmless. A noout that is set \
         already is respected and left as it is. Look with `ceph health detail`.";
    const WAIVABLE: Waivable = Waivable::Yes;
    const ASKED: Asked = Asked::BeforeARun;
    type Found = Found;

    fn look(snapshot: &Snapshot, _policy: &Policy, found: &mut Vec<Found>) {
        let Some(ceph) = snapshot.ceph() else { return };
        for (code, check) in &ceph.checks {
            let is_flag = matches!(code.as_str(), "OSDMAP_FLAGS" | "OSD_FLAGS");
            if !check.muted && !is_benign(code) {
                found.push(not_harmless(code, check));
            } else if check.muted || !is_flag {
                let (message, muted) = (check.message.clone(), check.muted);
                found.push(Found::Harmless { code: code.clone(), message, muted });
            }
        }
        flags(ceph, found);
        let given_up = ceph.osds.iter().filter(|(_, osd)| osd.is_given_up());
        found.extend(given_up.map(|(id, osd)| Found::GivenUp { osd: *id, node: osd.node.clone() }));
        found.extend(ceph.never_ran.iter().map(|osd| Found::NeverRan { osd: *osd }));
        if ceph.daemons.iter().filter(|daemon| daemon.kind == DaemonKind::Mgr).count() == 1 {
            found.push(Found::OneManager);
        }
    }
}

/// A health check that is not known to be harmless.
fn not_harmless(code: &str, check: &CephHealthCheck) -> Found {
    Found::NotHarmless { code: code.to_owned(), message: check.message.clone() }
}

/// Does a waiver accept this health check? Then neither the rule nor a step waits for its end.
pub(super) fn is_accepted(code: &str, check: &CephHealthCheck, policy: &Policy) -> bool {
    let mut finding = [finding_of::<CephHealth>(not_harmless(code, check))];
    waive(&mut finding, &policy.waive);
    finding[0].waived.is_some()
}

/// Those that are not known to be harmless are the rule's.
fn flags(ceph: &Ceph, found: &mut Vec<Found>) {
    found.extend(ceph.flags.iter().cloned().filter_map(|flag| match flag.as_str() {
        "norebalance" | "noin" => Some(Found::FlagHinders { flag }),
        "noout" => Some(Found::FlagSet { flag, meaning: "it is respected and not cleared by a run" }),
        "noscrub" | "nodeep-scrub" | "nosnaptrim" | "notieragent" => {
            Some(Found::FlagSet { flag, meaning: "it plays no part in a run" })
        }
        _ => None,
    }));
    for (host, flags) in &ceph.node_flags {
        let mine = flags.iter().filter(|flag| matches!(flag.as_str(), "noout" | "noin"));
        found.extend(mine.cloned().map(|flag| Found::HostFlag { flag, host: host.clone() }));
    }
}
