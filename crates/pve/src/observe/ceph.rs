//! Hyper-converged Ceph: status and versions from the API, the OSD map and ok-to-stop by shell.
//!
//! In the middle of a reboot Ceph's answers time out; then all of Ceph is unknown, never half of it known.

use std::collections::{BTreeMap, BTreeSet};

use quorate_core::ids::{NodeName, OsdId};
use quorate_core::observed::{Observed, WhyUnknown};
use quorate_core::snapshot::{Ceph, CephDaemon, CephHealthCheck, DaemonKind, HealthLevel, Osd, PgState, Pool};
use quorate_core::version::Version;

use super::ceph_programs::{first_answer, ok_to_stop, printed};
use super::look::{Depth, Look};
use super::membership::Membership;
use super::reader::{Reader, api_why, node_path};
use super::shell::LIST;
use crate::ports::ApiError;
use crate::wire::ceph as wire;
use crate::wire::lenient::{self, Int, Map, Text};

const STATUS: &str = "/cluster/ceph/status";
const METADATA: &str = "/cluster/ceph/metadata";
const DUMP: [&str; 5] = ["ceph", "osd", "dump", "-f", "json"];

/// Flags that every cluster always has; they mean nothing.
const PERMANENT_FLAGS: [&str; 4] = ["sortbitwise", "recovery_deletes", "purged_snapdirs", "pglog_hardlimit"];

/// Reads Ceph; `Known(None)` where there is none.
pub(super) async fn read(reader: &Reader<'_>, membership: &Membership, look: &Look<'_>) -> Observed<Option<Ceph>> {
    let answer = reader.get_raw(STATUS).await;
    // When the monitors do not answer PVE, they do not answer a program either; it would only wait longer.
    let monitors_silent = matches!(&answer, Err(ApiError::Refused { reason, .. }) if reason.contains("got timeout"));
    let status = match answer {
        Ok(value) => lenient::read(value).map_err(|reason| WhyUnknown::new(format!("GET {STATUS}"), reason)),
        Err(error) if says_no_ceph(&error) => match elsewhere(reader, membership, look).await {
            Ok(None) => return Observed::Known(None),
            Ok(Some(status)) => Ok(status),
            Err(why) => Err(why),
        },
        Err(error) => Err(api_why(STATUS, &error)),
    };
    let hosts = by_ceph(membership.present(look), status.as_ref().ok(), look);
    let status = match status {
        Err(why) if !monitors_silent => status_by_shell(reader, &hosts).await.map_err(|_| why),
        read => read,
    };
    read_rest(reader, look, &hosts, status).await.map(Some).into()
}

/// The nodes in the order in which Ceph's programs are asked for: those with monitors or other daemons of it first. A
/// node without any has neither the programs nor the keyring. PVE calls a monitor like its node.
fn by_ceph<'a>(mut hosts: Vec<&'a NodeName>, status: Option<&wire::Status>, look: &Look<'_>) -> Vec<&'a NodeName> {
    let names = status.and_then(|status| status.quorum_names.as_ref());
    let in_quorum = |node: &NodeName| names.is_some_and(|names| names.0.iter().any(|name| name.0 == node.as_str()));
    let daemons = look.previous.and_then(quorate_core::snapshot::Snapshot::ceph).map_or(&[][..], |ceph| &ceph.daemons);
    // Stable: the current node stays behind others of its kind.
    hosts.sort_by_key(|node| (!in_quorum(node), !daemons.iter().any(|daemon| daemon.node == **node)));
    hosts
}

/// PVE's messages for "there is no Ceph here".
fn says_no_ceph(error: &ApiError) -> bool {
    const WORDS: [&str; 4] = [
        "binary not installed",
        "pveceph configuration not initialized",
        "pveceph configuration not enabled",
        "ceph not fully configured",
    ];
    matches!(error, ApiError::Refused { reason, .. } if WORDS.iter().any(|words| reason.contains(words)))
}

/// One node without Ceph proves nothing about the others; in a watch, a cluster known to have no Ceph stays so.
async fn elsewhere(
    reader: &Reader<'_>,
    membership: &Membership,
    look: &Look<'_>,
) -> Result<Option<wire::Status>, WhyUnknown> {
    if look.depth == Depth::Watch && look.previous.is_some_and(|previous| previous.ceph.is(&None)) {
        return Ok(None);
    }
    let mut silent = None;
    for node in membership.present(look) {
        let path = node_path(node, "ceph/status");
        match reader.node_get_raw(node, "ceph/status").await {
            Ok(value) => {
                let status = lenient::read(value);
                return status.map(Some).map_err(|reason| WhyUnknown::new(format!("GET {path}"), reason));
            }
            Err(error) if says_no_ceph(&error) => {}
            Err(error) => silent = Some(api_why(&path, &error)),
        }
    }
    silent.map_or(Ok(None), Err)
}

async fn status_by_shell(reader: &Reader<'_>, hosts: &[&NodeName]) -> Result<wire::Status, WhyUnknown> {
    const STATUS_BY_SHELL: [&str; 4] = ["ceph", "-s", "-f", "json"];
    first_answer(reader, hosts, &STATUS_BY_SHELL, LIST, |shell, output| printed(shell, &STATUS_BY_SHELL, output)).await
}

async fn read_rest(
    reader: &Reader<'_>,
    look: &Look<'_>,
    hosts: &[&NodeName],
    status: Result<wire::Status, WhyUnknown>,
) -> Result<Ceph, WhyUnknown> {
    let status = status?;
    let (metadata, dump) = tokio::join!(metadata(reader, hosts), osd_dump(reader, hosts));
    let mut ceph = assemble(status, metadata?, dump?)?;
    ceph.osds_ok_to_stop = ok_to_stop(reader, look, hosts, &ceph).await;
    Ok(ceph)
}

/// Any endpoint answers this that has Ceph itself; it is not forwarded.
async fn metadata(reader: &Reader<'_>, hosts: &[&NodeName]) -> Result<wire::Metadata, WhyUnknown> {
    let mut answer = reader.get_raw(METADATA).await;
    for node in hosts {
        if !matches!(&answer, Err(error) if says_no_ceph(error)) {
            break;
        }
        let without: Vec<NodeName> =
            hosts.iter().filter(|other| *other != node).map(|other| (*other).clone()).collect();
        answer = reader.get_avoiding(METADATA, &without).await;
    }
    let value = answer.map_err(|error| api_why(METADATA, &error))?;
    lenient::read(value).map_err(|reason| WhyUnknown::new(format!("GET {METADATA}"), reason))
}

async fn osd_dump(reader: &Reader<'_>, hosts: &[&NodeName]) -> Result<wire::OsdDump, WhyUnknown> {
    first_answer(reader, hosts, &DUMP, LIST, |shell, output| printed(shell, &DUMP, output)).await
}

fn assemble(status: wire::Status, metadata: wire::Metadata, dump: wire::OsdDump) -> Result<Ceph, WhyUnknown> {
    let lacks = |source: String, what: &str| WhyUnknown::new(source, format!("the answer has no {what}"));
    let status_lacks = |what: &str| lacks(format!("GET {STATUS}"), what);
    let dump_lacks = |what: &str| lacks(DUMP.join(" "), what);
    let health = status.health.as_ref().ok_or_else(|| status_lacks("health"))?;
    let pgmap = status.pgmap.as_ref().ok_or_else(|| status_lacks("pgmap"))?;
    let quorum = status.quorum_names.as_ref().ok_or_else(|| status_lacks("quorum_names"))?;
    let mut pgs: Vec<PgState> = pgmap.pgs_by_state.0.iter().map(pg_state).collect();
    pgs.sort_by(|a, b| a.state.cmp(&b.state));
    let flags = dump.flags.as_ref().ok_or_else(|| dump_lacks("flags"))?;
    let mut pools: Vec<Pool> = dump.pools.as_ref().ok_or_else(|| dump_lacks("pools"))?.0.iter().map(pool).collect();
    pools.sort_by(|a, b| a.name.cmp(&b.name));
    let map = osds(&metadata, &dump)?;
    let mon_quorum: Vec<String> = quorum.0.iter().map(|name| name.0.clone()).collect();
    Ok(Ceph {
        health: level(&health.status.0).ok_or_else(|| status_lacks("known health"))?,
        checks: checks(health)?,
        flags: flag_set(flags.0.split(',')),
        node_flags: node_flags(&dump),
        pgs,
        pg_count: pgmap.num_pgs.ok_or_else(|| status_lacks("num_pgs"))?.small(),
        pools,
        osds: map.placed,
        never_ran: map.never_ran,
        daemons: daemons(&status, &metadata, &mon_quorum)?,
        mon_quorum: mon_quorum.into_iter().collect(),
        installed: installed(&metadata),
        osds_ok_to_stop: BTreeMap::new(),
    })
}

fn level(text: &str) -> Option<HealthLevel> {
    match text {
        "HEALTH_OK" => Some(HealthLevel::Ok),
        "HEALTH_WARN" => Some(HealthLevel::Warn),
        "HEALTH_ERR" => Some(HealthLevel::Err),
        _ => None,
    }
}

fn checks(health: &wire::Health) -> Result<BTreeMap<String, CephHealthCheck>, WhyUnknown> {
    let mut checks = BTreeMap::new();
    for (code, check) in &health.checks.0 {
        let odd = || WhyUnknown::new(format!("GET {STATUS}"), format!("severity {:?} of {code}", check.severity.0));
        let severity = level(&check.severity.0).ok_or_else(odd)?;
        let message = check.summary.message.0.clone();
        checks.insert(code.clone(), CephHealthCheck { severity, message, muted: check.muted.0, accepted: false });
    }
    Ok(checks)
}

fn pg_state(state: &wire::PgState) -> PgState {
    PgState { state: state.state_name.0.clone(), count: state.count.small() }
}

fn pool(pool: &wire::Pool) -> Pool {
    Pool { name: pool.pool_name.0.clone(), size: pool.size.small(), min_size: pool.min_size.small() }
}

fn flag_set<'a>(flags: impl Iterator<Item = &'a str>) -> BTreeSet<String> {
    let wanted = flags.map(str::trim).filter(|flag| !flag.is_empty() && !PERMANENT_FLAGS.contains(flag));
    wanted.map(str::to_owned).collect()
}

/// Flags of hosts and other CRUSH nodes, and those of single OSDs, which are part of the OSD's state.
fn node_flags(dump: &wire::OsdDump) -> BTreeMap<String, BTreeSet<String>> {
    let by_name = dump.crush_node_flags.0.iter();
    let mut flags: BTreeMap<String, BTreeSet<String>> =
        by_name.map(|(name, flags)| (name.clone(), flag_set(flags.0.iter().map(|flag| flag.0.as_str())))).collect();
    for osd in dump.osds.iter().flat_map(|osds| &osds.0) {
        let own = ["noout", "noin", "noup", "nodown"]
            .into_iter()
            .filter(|flag| osd.state.0.iter().any(|word| word.0 == *flag));
        let own: BTreeSet<String> = own.map(str::to_owned).collect();
        if let (Some(id), false) = (osd.osd, own.is_empty()) {
            flags.insert(OsdId(id.small()).to_string(), own);
        }
    }
    flags.retain(|_, flags| !flags.is_empty());
    flags
}

fn installed(metadata: &wire::Metadata) -> BTreeMap<NodeName, Version> {
    let told = metadata.node.0.iter().filter_map(|(node, about)| Some((node, about.version.str.as_ref()?)));
    told.map(|(node, version)| (NodeName::new(node.clone()), Version::new(version.0.clone()))).collect()
}

/// OSDs by what is known of them.
#[derive(Debug, Default)]
struct Osds {
    placed: BTreeMap<OsdId, Osd>,
    never_ran: BTreeSet<OsdId>,
}

/// One that never ran has told nobody where it is; it is down and out, and plays no part. Of any other, its node must be
/// known.
fn osds(metadata: &wire::Metadata, dump: &wire::OsdDump) -> Result<Osds, WhyUnknown> {
    let lacks = |source: String, reason: String| WhyUnknown::new(source, reason);
    let list = dump.osds.as_ref().ok_or_else(|| lacks(DUMP.join(" "), "the answer has no osds".to_owned()))?;
    let told =
        metadata.osd.as_ref().ok_or_else(|| lacks(format!("GET {METADATA}"), "the answer has no osd".to_owned()))?;
    let mut osds = Osds::default();
    for osd in &list.0 {
        let id =
            OsdId(osd.osd.map(Int::small).ok_or_else(|| lacks(DUMP.join(" "), "an OSD has no number".to_owned()))?);
        let about = told.0.iter().find(|about| about.id.map(Int::small) == Some(id.0));
        let host = about.and_then(|about| about.hostname.as_ref()).filter(|host| !host.0.is_empty());
        if host.is_none() && !osd.up.0 && !osd.weighted_in.0 {
            osds.never_ran.insert(id);
            continue;
        }
        let host = host.ok_or_else(|| lacks(format!("GET {METADATA}"), format!("it does not say where {id} is")))?;
        let version =
            about.and_then(|about| about.ceph_version_short.as_ref()).map(|text| Version::new(text.0.clone()));
        let addresses = about.map(wire::OsdDaemon::addresses).unwrap_or_default();
        osds.placed
            .insert(id, Osd { node: short(host), up: osd.up.0, weighted_in: osd.weighted_in.0, version, addresses });
    }
    Ok(osds)
}

/// A host's name without its domain, as PVE names the node.
fn short(host: &Text) -> NodeName {
    NodeName::from(host.0.split('.').next().unwrap_or_default())
}

fn daemons(status: &wire::Status, metadata: &wire::Metadata, quorum: &[String]) -> Result<Vec<CephDaemon>, WhyUnknown> {
    let mgrs = &status.mgrmap;
    let mon = |name: &str| match quorum.iter().position(|member| member == name) {
        // The monitor with the lowest rank leads, and the list is in the order of ranks.
        Some(0) => "leader",
        Some(_) => "peon",
        None => "out of quorum",
    };
    let mgr = |name: &str| {
        if mgrs.active_name.as_ref().is_some_and(|active| active.0 == name) {
            "active"
        } else if mgrs.standbys.0.iter().any(|standby| standby.name.0 == name) {
            "standby"
        } else if mgrs.active_name.is_none() {
            "unknown"
        } else {
            "stopped"
        }
    };
    let mds = |name: &str| {
        let ranked = status.fsmap.by_rank.0.iter().find(|rank| rank.name.0 == name);
        ranked.map_or("up:standby", |rank| rank.status.0.as_str())
    };
    let mut daemons = Vec::new();
    collect(&mut daemons, DaemonKind::Mon, &metadata.mon, mon)?;
    collect(&mut daemons, DaemonKind::Mgr, &metadata.mgr, mgr)?;
    collect(&mut daemons, DaemonKind::Mds, &metadata.mds, mds)?;
    Ok(daemons)
}

fn collect<'a>(
    daemons: &mut Vec<CephDaemon>,
    kind: DaemonKind,
    told: &'a Map<wire::Daemon>,
    state: impl Fn(&'a str) -> &'a str,
) -> Result<(), WhyUnknown> {
    for (key, about) in &told.0 {
        // The key is `name@host`; what the daemon reports about itself is missing if it has never run.
        let (key_name, key_host) = key.split_once('@').unwrap_or((key, ""));
        let name = about.name.as_ref().map_or(key_name, |name| &name.0);
        let host = about.hostname.as_ref().map_or(key_host, |host| &host.0);
        if host.is_empty() {
            return Err(WhyUnknown::new(format!("GET {METADATA}"), format!("it does not say where {key} is")));
        }
        let version = about.ceph_version_short.as_ref();
        daemons.push(CephDaemon {
            kind,
            name: name.to_owned(),
            node: short(&Text(host.to_owned())),
            state: if version.is_none() { "stopped".to_owned() } else { state(name).to_owned() },
            version: version.map(|text| Version::new(text.0.clone())),
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn flags_of_a_host_and_of_a_single_osd_are_distinguished_from_permanent_ones() {
        let dump: wire::OsdDump = lenient::read(json!({
            "flags": "noout,sortbitwise,recovery_deletes",
            "crush_node_flags": {"pve1": ["noout"], "pve2": []},
            "osds": [{"osd": 4, "up": 1, "in": 1, "state": ["exists", "up", "noout"]}, {"osd": 5, "state": ["exists"]}],
        }))
        .unwrap();
        let flags = node_flags(&dump);
        assert_eq!(flags.keys().collect::<Vec<_>>(), ["osd.4", "pve1"]);
        assert_eq!(flag_set("noout,sortbitwise,recovery_deletes".split(',')), BTreeSet::from(["noout".to_owned()]));
    }

    #[test]
    fn an_osd_that_never_ran_is_told_apart_from_one_of_which_nothing_is_known() {
        let dump = lenient::read(json!({"osds": [{"osd": 7, "up": 0, "in": 0, "state": ["exists", "new"]}]})).unwrap();
        let metadata = lenient::read(json!({"osd": [{"id": 7}]})).unwrap();
        let map = osds(&metadata, &dump).unwrap();
        assert_eq!((map.placed.len(), map.never_ran), (0, BTreeSet::from([OsdId(7)])));
    }

    #[test]
    fn an_osd_whose_host_is_not_reported_leaves_ceph_unknown() {
        let dump = lenient::read(json!({"flags": "", "pools": [], "osds": [{"osd": 0, "up": 1, "in": 1}]})).unwrap();
        let metadata = lenient::read(json!({"osd": [{"id": 0}]})).unwrap();
        assert!(osds(&metadata, &dump).unwrap_err().reason.contains("osd.0"));
        for (up, weighted_in) in [(1, 0), (0, 1)] {
            let dump = lenient::read(json!({"osds": [{"osd": 0, "up": up, "in": weighted_in}]})).unwrap();
            assert!(osds(&metadata, &dump).is_err(), "up {up}, in {weighted_in}");
        }
    }
}
