//! Ceph in a few lines.

use std::collections::BTreeMap;

use quorate_core::snapshot::{Ceph, DaemonKind, HealthLevel, SafeToStop, Snapshot};

use crate::render::page::Page;

pub(super) fn ceph(snapshot: &Snapshot, page: &mut Page) {
    let Some(ceph) = snapshot.ceph.known() else { return };
    page.gap();
    let Some(ceph) = ceph else {
        page.line("Ceph: none on these nodes");
        return;
    };
    let health = match ceph.health {
        HealthLevel::Ok => "HEALTH_OK",
        HealthLevel::Warn => "HEALTH_WARN",
        HealthLevel::Err => "HEALTH_ERR",
    };
    page.line(format!("Ceph: {health}"));
    for (code, check) in &ceph.checks {
        let muted = if check.muted { " (muted)" } else { "" };
        page.line(format!("  {code}{muted}: {}", check.message));
    }
    let up = ceph.osds.values().filter(|osd| osd.up).count();
    let weighted_in = ceph.osds.values().filter(|osd| osd.weighted_in).count();
    page.line(format!("  OSDs: {}, {up} up, {weighted_in} in; {}", ceph.osds.len(), versions(ceph)));
    for kind in [DaemonKind::Mon, DaemonKind::Mgr, DaemonKind::Mds] {
        daemons(ceph, kind, page);
    }
    let states: Vec<String> = ceph.pgs.iter().map(|pg| format!("{} {}", pg.count, pg.state)).collect();
    page.line(format!("  placement groups: {} ({})", ceph.pg_count, states.join(", ")));
    flags(ceph, page);
    for (node, outcome) in &ceph.osds_ok_to_stop {
        let words = match outcome.known() {
            Some(SafeToStop::Safe) => "yes".to_owned(),
            Some(SafeToStop::Unsafe(why)) => format!("NO, {why}"),
            None => "?".to_owned(),
        };
        page.line(format!("  all OSDs of {node} may be stopped: {words}"));
    }
}

fn versions(ceph: &Ceph) -> String {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for osd in ceph.osds.values() {
        *counts.entry(osd.version.as_ref().map_or("version ?".to_owned(), ToString::to_string)).or_default() += 1;
    }
    let counts: Vec<String> = counts.into_iter().map(|(version, count)| format!("{count} × {version}")).collect();
    counts.join(", ")
}

fn daemons(ceph: &Ceph, kind: DaemonKind, page: &mut Page) {
    let these = ceph.daemons.iter().filter(|daemon| daemon.kind == kind);
    let these: Vec<String> =
        these.map(|daemon| format!("{} on {} ({})", daemon.name, daemon.node, daemon.state)).collect();
    if !these.is_empty() {
        page.line(format!("  {}: {}", format!("{kind:?}").to_lowercase(), these.join(", ")));
    }
}

fn flags(ceph: &Ceph, page: &mut Page) {
    let mut flags: Vec<String> = ceph.flags.iter().cloned().collect();
    for (place, set) in &ceph.node_flags {
        flags.extend(set.iter().map(|flag| format!("{flag} for {place}")));
    }
    page.line(format!("  flags: {}", if flags.is_empty() { "none".to_owned() } else { flags.join(", ") }));
}
