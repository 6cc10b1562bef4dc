//! What Ceph reports about itself: placement group states, health checks, `ok-to-stop`.

use std::collections::{BTreeMap, BTreeSet};

use quorate_core::ids::{NodeName, OsdId};

use super::ceph::{BACKFILL_FULL_PERCENT, Ceph, HealthCheck, NEAR_FULL_PERCENT, OkToStop, Pg};

/// Detail lines per check, as Ceph itself limits them.
const DETAILS: usize = 50;

impl Pg {
    /// `2.1f`.
    pub fn id(&self) -> String {
        format!("{}.{:x}", self.pool, self.seq)
    }
}

impl Ceph {
    /// The state text of one group.
    pub fn pg_state(&self, pg: &Pg, now_ms: u64) -> &'static str {
        let size = self.pools.get(&pg.pool).map_or(3, |pool| pool.size as usize);
        let live = self.live(pg);
        let up = |id: &OsdId| self.osds.get(id).is_some_and(|osd| osd.up);
        if pg.peering_until_ms > now_ms {
            "peering"
        } else if !self.serves(pg) {
            if live == 0 { "down" } else { "undersized+degraded+peered" }
        } else if pg.backfill.keys().any(|id| up(id) && self.is_full(*id, BACKFILL_FULL_PERCENT)) {
            match live < size {
                true => "active+undersized+degraded+remapped+backfill_toofull",
                false => "active+remapped+backfill_toofull",
            }
        } else if pg.backfill.keys().any(up) {
            if live < size { "active+undersized+degraded+remapped+backfilling" } else { "active+remapped+backfilling" }
        } else if live < size {
            "active+undersized+degraded"
        } else if pg.behind.keys().any(up) {
            "active+recovering+degraded"
        } else {
            "active+clean"
        }
    }

    fn is_full(&self, id: OsdId, percent: u8) -> bool {
        self.osds.get(&id).is_some_and(|osd| osd.full_percent >= percent)
    }

    /// Placement groups by state text (`active+clean`).
    pub fn pg_states(&self, now_ms: u64) -> BTreeMap<String, u32> {
        let mut states = BTreeMap::new();
        for pg in &self.pgs {
            *states.entry(self.pg_state(pg, now_ms).to_owned()).or_default() += 1;
        }
        states
    }

    /// OSDs that serve a group now, the primary first.
    pub fn acting(&self, pg: &Pg) -> Vec<OsdId> {
        pg.up.iter().copied().filter(|id| self.osds.get(id).is_some_and(|osd| osd.up)).collect()
    }

    /// `HEALTH_OK|WARN|ERR` and the checks, by code.
    pub fn health(&self, now_ms: u64) -> (&'static str, Vec<HealthCheck>) {
        let mut checks = Vec::new();
        self.mon_checks(now_ms, &mut checks);
        self.flag_checks(&mut checks);
        self.osd_checks(&mut checks);
        self.full_checks(now_ms, &mut checks);
        self.pg_checks(now_ms, &mut checks);
        for check in &self.reported {
            checks.retain(|own| own.code != check.code);
            checks.push(check.clone());
        }
        checks.sort_by(|a, b| a.code.cmp(&b.code));
        let loud = checks.iter().filter(|check| !self.muted.contains(&check.code));
        // The worse one comes first in the alphabet.
        let status = loud.map(|check| match check.severity.as_str() {
            "HEALTH_ERR" => "HEALTH_ERR",
            _ => "HEALTH_WARN",
        });
        let status = status.min().unwrap_or("HEALTH_OK");
        (status, checks)
    }

    fn mon_checks(&self, now_ms: u64, checks: &mut Vec<HealthCheck>) {
        let quorum = self.mon_quorum();
        let out: Vec<_> = self.mons.iter().filter(|(_, mon)| !mon.in_map).collect();
        if !out.is_empty() {
            let summary = format!("{}/{} mons down, quorum {}", out.len(), self.mons.len(), quorum.join(","));
            let line = |(name, mon): &(&String, &super::ceph::Daemon)| {
                format!("mon.{name} (rank {}) addr {} is down (out of quorum)", mon.rank, mon.host)
            };
            checks.push(warn("MON_DOWN", summary, out.len(), out.iter().map(line).collect()));
        }
        let booted = self.skew_until_ms.iter().filter(|(_, until)| **until > now_ms).map(|(name, _)| name);
        let skewed: BTreeSet<&String> = booted.chain(&self.clock_off).collect();
        if !skewed.is_empty() {
            let names: Vec<String> = skewed.iter().map(|name| format!("mon.{name}")).collect();
            let summary = format!("clock skew detected on {}", names.join(", "));
            let detail = names.iter().map(|name| format!("{name} clock skew 0.102s > max 0.05s (latency 0.0004s)"));
            checks.push(warn("MON_CLOCK_SKEW", summary, skewed.len(), detail.collect()));
        }
        if now_ms < self.slow_until_ms {
            let names: Vec<&str> = self.mons.keys().map(String::as_str).collect();
            let summary = format!(
                "3 slow ops, oldest one blocked for 37 sec, daemons [mon.{}] have slow ops.",
                names.join(",mon.")
            );
            checks.push(warn("SLOW_OPS", summary, 3, Vec::new()));
        }
        if self.active_mgr.is_none() && !self.mgrs.is_empty() {
            checks.push(warn("MGR_DOWN", "no active mgr".to_owned(), 0, Vec::new()));
        }
    }

    fn flag_checks(&self, checks: &mut Vec<HealthCheck>) {
        if !self.flags.is_empty() {
            let flags: Vec<&str> = self.flags.iter().map(String::as_str).collect();
            checks.push(warn("OSDMAP_FLAGS", format!("{} flag(s) set", flags.join(",")), flags.len(), Vec::new()));
        }
        if !self.noout_group.is_empty() {
            let osds = self.noout_group.iter().filter(|name| name.starts_with("osd.")).count();
            let hosts = self.noout_group.len() - osds;
            let summary = format!(
                "{} OSDs or CRUSH {{nodes, device-classes}} have {{NOUP,NODOWN,NOIN,NOOUT}} flags set",
                osds + hosts
            );
            let detail = self.noout_group.iter().map(|name| {
                if name.starts_with("osd.") {
                    format!("{name} has flags noout")
                } else {
                    format!("host {name} has flags noout")
                }
            });
            checks.push(warn("OSD_FLAGS", summary, osds + hosts, detail.collect()));
        }
    }

    fn osd_checks(&self, checks: &mut Vec<HealthCheck>) {
        let down: Vec<_> = self.osds.iter().filter(|(_, osd)| !osd.up && osd.in_).collect();
        if down.is_empty() {
            return;
        }
        let detail = down.iter().map(|(id, osd)| format!("{id} (root=default,host={}) is down", osd.host)).collect();
        checks.push(warn("OSD_DOWN", format!("{} osds down", down.len()), down.len(), detail));
        let hosts: BTreeSet<&NodeName> = down.iter().map(|(_, osd)| &osd.host).collect();
        let dead = |host: &&&NodeName| self.osds.values().filter(|osd| osd.host == ***host).all(|osd| !osd.up);
        let dead: Vec<&NodeName> = hosts.iter().filter(dead).copied().collect();
        if !dead.is_empty() {
            let count = |host: &NodeName| self.osds.values().filter(|osd| osd.host == *host).count();
            let all: usize = dead.iter().map(|host| count(host)).sum();
            let detail = dead.iter().map(|host| format!("host {host} (root=default) ({} osds) is down", count(host)));
            let word = if dead.len() == 1 { "host" } else { "hosts" };
            let summary = format!("{} {word} ({all} osds) down", dead.len());
            checks.push(warn("OSD_HOST_DOWN", summary, dead.len(), detail.collect()));
        }
    }

    fn full_checks(&self, now_ms: u64, checks: &mut Vec<HealthCheck>) {
        let from = |percent: u8| self.osds.keys().filter(move |id| self.is_full(*(*id), percent)).collect::<Vec<_>>();
        let hindered = from(BACKFILL_FULL_PERCENT);
        let near: Vec<_> = from(NEAR_FULL_PERCENT).into_iter().filter(|id| !hindered.contains(id)).collect();
        for (code, what, osds) in [("OSD_BACKFILLFULL", "backfill full", hindered), ("OSD_NEARFULL", "near full", near)]
        {
            if !osds.is_empty() {
                let summary = format!("{} {} osd(s)", osds.len(), what.replace(' ', ""));
                let detail = osds.iter().map(|id| format!("{id} is {what}")).collect();
                checks.push(warn(code, summary, osds.len(), detail));
            }
        }
        let waits = self.pgs.iter().filter(|pg| self.pg_state(pg, now_ms).ends_with("backfill_toofull"));
        let waits: Vec<String> = waits.map(|pg| format!("pg {} is {}", pg.id(), self.pg_state(pg, now_ms))).collect();
        if !waits.is_empty() {
            let count = waits.len();
            let low = "Low space hindering backfill (add storage if this doesn't resolve itself)";
            checks.push(warn("PG_BACKFILL_FULL", format!("{low}: {} backfill_toofull", pgs(count)), count, waits));
        }
    }

    fn pg_checks(&self, now_ms: u64, checks: &mut Vec<HealthCheck>) {
        let mut inactive = Vec::new();
        let mut degraded = Vec::new();
        let mut peering = 0;
        for pg in &self.pgs {
            let state = self.pg_state(pg, now_ms);
            let acting: Vec<String> = self.acting(pg).iter().map(|id| id.0.to_string()).collect();
            let line = format!("pg {} is {state}, acting [{}]", pg.id(), acting.join(","));
            if !state.starts_with("active") {
                peering += usize::from(state == "peering");
                inactive.push(line.clone());
            }
            if state.contains("degraded") {
                degraded.push(line);
            }
        }
        if !inactive.is_empty() {
            let count = inactive.len();
            let peering = if peering > 0 { format!(", {peering} pgs peering") } else { String::new() };
            let summary = format!("Reduced data availability: {} inactive{peering}", pgs(count));
            inactive.truncate(DETAILS);
            checks.push(warn("PG_AVAILABILITY", summary, count, inactive));
        }
        if !degraded.is_empty() {
            let count = degraded.len();
            let (missing, all) = self.degraded_objects();
            let percent = missing as f64 * 100.0 / all.max(1) as f64;
            let summary = format!(
                "Degraded data redundancy: {missing}/{all} objects degraded ({percent:.3}%), {} degraded",
                pgs(count)
            );
            degraded.truncate(DETAILS);
            checks.push(warn("PG_DEGRADED", summary, count, degraded));
        }
    }

    /// Object copies that are missing, and how many there should be (objects of 4 MiB).
    pub fn degraded_objects(&self) -> (u64, u64) {
        let (mut missing, mut all) = (0, 0);
        for pg in &self.pgs {
            let size = self.pools.get(&pg.pool).map_or(3, |pool| u64::from(pool.size));
            let objects = (self.pg_bytes(pg.pool) >> 22).max(1);
            all += objects * size;
            missing += objects * size.saturating_sub(self.live(pg) as u64);
            missing += pg.behind.values().map(|bytes| bytes >> 22).sum::<u64>();
        }
        (missing, all)
    }

    /// `ceph osd ok-to-stop IDS`.
    pub fn ok_to_stop(&self, osds: &[OsdId], now_ms: u64) -> OkToStop {
        let mut answer = OkToStop { osds: osds.to_vec(), ..OkToStop::default() };
        for pg in self.pgs.iter().filter(|pg| pg.up.iter().any(|id| osds.contains(id))) {
            let min_size = self.pools.get(&pg.pool).map_or(1, |pool| pool.min_size as usize);
            let size = self.pools.get(&pg.pool).map_or(3, |pool| pool.size as usize);
            let live = self.live(pg);
            let lost = pg.up.iter().filter(|id| osds.contains(id) && self.osds.get(id).is_some_and(|o| o.up)).count();
            let busy = pg.peering_until_ms > now_ms;
            if live < min_size || busy {
                answer.not_ok_pgs += 1;
                answer.already_inactive.push(pg.id());
            } else if live - lost.min(live) < min_size {
                answer.not_ok_pgs += 1;
                answer.become_inactive.push(pg.id());
            } else {
                answer.ok_pgs += 1;
                let list = if live < size { &mut answer.become_more_degraded } else { &mut answer.become_degraded };
                list.push(pg.id());
            }
        }
        answer.ok = answer.not_ok_pgs == 0;
        answer
    }

    /// The upstream part of the running daemon's package version, like `19.2.3`.
    pub fn short_version(version: &quorate_core::version::Version) -> String {
        version.as_str().split('-').next().unwrap_or_default().to_owned()
    }
}

fn pgs(count: usize) -> String {
    if count == 1 { "1 pg".to_owned() } else { format!("{count} pgs") }
}

fn warn(code: &str, summary: String, count: usize, detail: Vec<String>) -> HealthCheck {
    HealthCheck { code: code.to_owned(), severity: "HEALTH_WARN".to_owned(), summary, count: count as u64, detail }
}
