//! Ceph in motion: daemons leave and return, placement groups peer, recover, move.

use std::collections::BTreeSet;

use quorate_core::ids::{GuestId, NodeName, OsdId};
use quorate_core::version::Version;

use super::ceph::{BACKFILL_FULL_PERCENT, CRUSH_ROOT, DEVICE_CLASS};
use super::ceph_map::PEERING_MS;
use super::events::Event;
use super::{World, WorldError};

/// Recovery is counted in steps of this length.
const TICK_MS: u64 = 2_000;
/// How long a monitor that has just booted reports clock skew.
const SKEW_MS: u64 = 75_000;
/// `mon_clock_drift_allowed`.
const CLOCK_DRIFT_ALLOWED_MS: u64 = 50;
/// Flags that `ceph osd set` knows.
const FLAGS: &[&str] = &[
    "nobackfill",
    "nodeep-scrub",
    "nodown",
    "noin",
    "noout",
    "norebalance",
    "norecover",
    "noscrub",
    "notieragent",
    "noup",
    "pause",
];

impl World {
    /// `ceph osd set|unset FLAG`, `PUT /cluster/ceph/flags/FLAG`.
    pub fn ceph_flag(&mut self, flag: &str, set: bool) -> Result<(), WorldError> {
        let ceph = self.ceph.as_mut().ok_or_else(no_ceph)?;
        if !FLAGS.contains(&flag) {
            return Err(WorldError::die(format!("Invalid command: {flag} not in {}", FLAGS.join("|"))));
        }
        let changed = if set { ceph.flags.insert(flag.to_owned()) } else { ceph.flags.remove(flag) };
        if changed {
            ceph.epoch += 1;
            self.look_again_at_outs();
        }
        Ok(())
    }

    /// `ceph osd set-group|unset-group noout WHO...`: a number or `osd.N`, a name in CRUSH, a device class, in this
    /// order. What is none of these is only mentioned, unless nothing is left; so is an OSD that does not exist.
    ///
    /// # Errors
    /// Nothing of it is known.
    pub fn ceph_group(&mut self, who: &[String], set: bool) -> Result<String, WorldError> {
        let ceph = self.ceph.as_mut().ok_or_else(no_ceph)?;
        let (mut said, mut names) = (String::new(), Vec::new());
        for name in who {
            let number = name.strip_prefix("osd.").unwrap_or(name).parse().map(OsdId);
            let known = [CRUSH_ROOT, DEVICE_CLASS].contains(&name.as_str())
                || ceph.osds.values().any(|osd| osd.crush_host == *name);
            match number {
                Ok(id) => names.push((id.to_string(), ceph.osds.contains_key(&id))),
                Err(_) if known => names.push((name.clone(), true)),
                Err(_) => said += &format!("unable to parse osd id or crush node or device class: \"{name}\". "),
            }
        }
        if names.is_empty() {
            return Err(WorldError::die(said));
        }
        for (name, exists) in names {
            match (exists, set) {
                (false, _) => said += &format!("{name} does not exist. "),
                (true, true) => drop(ceph.noout_group.insert(name)),
                (true, false) => drop(ceph.noout_group.remove(&name)),
            }
        }
        ceph.epoch += 1;
        self.look_again_at_outs();
        Ok(said)
    }

    /// Without noout, OSDs that have been down for too long go out at once.
    fn look_again_at_outs(&mut self) {
        let Some(ceph) = &self.ceph else { return };
        let (now_ms, wait_ms) = (self.now_ms, ceph.down_out_interval_ms);
        let due = ceph.osds.iter().filter(|(_, osd)| osd.in_ && !osd.up).filter_map(|(id, osd)| {
            let since = osd.down_since_ms?;
            Some(((since + wait_ms).max(now_ms + 5_000), Event::OsdOut(*id, since)))
        });
        for (at, event) in due.collect::<Vec<_>>() {
            self.events.at(at, event);
        }
    }

    /// An orderly shutdown: the monitors know at once.
    pub(crate) fn ceph_stops_on(&mut self, node: &NodeName) {
        self.ceph_stop_daemons(node, "ceph");
    }

    /// The machine vanished without notice: the monitors notice after 6 to 20 seconds.
    pub(crate) fn ceph_vanishes_on(&mut self, node: &NodeName) {
        self.ceph_processes_end(node, "ceph");
        let after_ms = self.rng.between(6_000, 20_000);
        self.events.at(self.now_ms + after_ms, Event::CephNotices(node.clone()));
    }

    fn ceph_processes_end(&mut self, node: &NodeName, which: &str) {
        let Some(ceph) = &mut self.ceph else { return };
        for (id, osd) in ceph.osds.iter_mut().filter(|(_, osd)| osd.host == *node) {
            osd.running &= !meant(which, "osd", &id.0.to_string());
        }
        for (kind, daemons) in [("mon", &mut ceph.mons), ("mgr", &mut ceph.mgrs), ("mds", &mut ceph.mdss)] {
            for (name, daemon) in daemons.iter_mut().filter(|(_, daemon)| daemon.host == *node) {
                daemon.running &= !meant(which, kind, name);
            }
        }
    }

    /// Some daemons of a node stop in an orderly way.
    pub(crate) fn ceph_stop_daemons(&mut self, node: &NodeName, which: &str) {
        self.ceph_processes_end(node, which);
        self.ceph_marks_down(node);
    }

    /// Updates the maps to what has happened to the processes of a host.
    pub(crate) fn ceph_marks_down(&mut self, node: &NodeName) {
        let now_ms = self.now_ms;
        let Some(ceph) = &mut self.ceph else { return };
        let mut lost_mon = false;
        for daemon in ceph.mons.values_mut().filter(|d| d.host == *node && !d.running && d.in_map) {
            daemon.in_map = false;
            lost_mon = true;
        }
        for daemons in [&mut ceph.mgrs, &mut ceph.mdss] {
            for daemon in daemons.values_mut().filter(|d| d.host == *node && !d.running) {
                daemon.in_map = false;
            }
        }
        if lost_mon {
            ceph.election_epoch += 2;
            ceph.busy_until_ms = now_ms + 3_000;
        }
        ceph.elect();
        let down: Vec<OsdId> = ceph.osds_on(node);
        let wait_ms = ceph.down_out_interval_ms;
        let mut newly = Vec::new();
        for id in down {
            let Some(osd) = ceph.osds.get_mut(&id).filter(|osd| osd.up && !osd.running) else { continue };
            osd.up = false;
            osd.down_since_ms = Some(now_ms);
            newly.push(id);
        }
        ceph.epoch += 1;
        for pg in ceph.pgs.iter_mut().filter(|pg| pg.up.iter().any(|id| newly.contains(id))) {
            pg.peering_until_ms = now_ms + PEERING_MS;
        }
        for id in newly {
            self.events.at(now_ms + wait_ms, Event::OsdOut(id, now_ms));
        }
        self.update_stalls();
    }

    /// An OSD has been down for the whole interval.
    pub(crate) fn on_osd_out(&mut self, id: OsdId, since_ms: u64) {
        let Some(ceph) = &mut self.ceph else { return };
        let noout = ceph.has_noout(id);
        let Some(osd) = ceph.osds.get_mut(&id) else { return };
        if osd.up || !osd.in_ || osd.down_since_ms != Some(since_ms) || noout {
            return;
        }
        osd.in_ = false;
        osd.auto_out = true;
        ceph.epoch += 1;
        self.impact.note(self.now_ms, format!("{id} was down for too long without noout and is out now"));
        self.remap();
    }

    /// Maps the groups again; a copy on an OSD that never had it is made from the others.
    fn remap(&mut self) {
        let now_ms = self.now_ms;
        let Some(ceph) = &mut self.ceph else { return };
        let mut pgs = std::mem::take(&mut ceph.pgs);
        for pg in &mut pgs {
            let size = ceph.pools.get(&pg.pool).map_or(3, |pool| pool.size as usize);
            let next = ceph.map(pg.pool, pg.seq, size);
            if next == pg.up {
                continue;
            }
            let bytes = ceph.pg_bytes(pg.pool);
            for id in pg.up.iter().filter(|id| !next.contains(id) && !pg.backfill.contains_key(id)) {
                pg.strays.insert(*id, now_ms);
            }
            for id in next.iter().filter(|id| !pg.up.contains(id)) {
                // A copy that was only away for a while is still on its disk and lacks what was written since.
                match pg.strays.remove(id) {
                    Some(since) => drop(pg.behind.insert(*id, ceph.written(pg.pool, now_ms.saturating_sub(since)))),
                    None => drop(pg.backfill.insert(*id, bytes)),
                }
            }
            pg.behind.retain(|id, _| next.contains(id));
            pg.backfill.retain(|id, _| next.contains(id));
            pg.up = next;
            pg.peering_until_ms = now_ms + PEERING_MS;
        }
        ceph.pgs = pgs;
        self.update_stalls();
        self.start_recovery();
    }

    /// Does a daemon on the node run a version other than the one installed there?
    pub fn runs_old_ceph(&self, node: &NodeName) -> bool {
        let (Some(ceph), Some(machine)) = (&self.ceph, self.nodes.get(node)) else { return false };
        let old = |package: &str, runs: &Version| machine.installed(package).is_some_and(|installed| installed != runs);
        let kinds = [("ceph-mon", &ceph.mons), ("ceph-mgr", &ceph.mgrs), ("ceph-mds", &ceph.mdss)];
        let mut daemons = kinds.into_iter().flat_map(|(kind, list)| list.values().map(move |daemon| (kind, daemon)));
        let mut osds = ceph.osds.values().filter(|osd| osd.host == *node && osd.running);
        daemons.any(|(kind, daemon)| daemon.host == *node && daemon.running && old(kind, &daemon.version))
            || osds.any(|osd| old("ceph-osd", &osd.version))
    }

    /// Daemons of a node come up, with the version that is installed now.
    pub fn on_ceph_up(&mut self, node: &NodeName, boots: u32, which: &str) {
        let Some(machine) = self.nodes.get(node).filter(|m| m.boots == boots && m.is_up()) else { return };
        let version = |name: &str| machine.installed(name).cloned();
        let versions = [version("ceph-mon"), version("ceph-mgr"), version("ceph-mds")];
        let osd_version = version("ceph-osd");
        let now_ms = self.now_ms;
        let Some(ceph) = &mut self.ceph else { return };
        let mut returned_mon = None;
        let kinds = [("mon", &mut ceph.mons), ("mgr", &mut ceph.mgrs), ("mds", &mut ceph.mdss)];
        for ((kind, daemons), version) in kinds.into_iter().zip(versions) {
            let stopped = daemons.iter_mut().filter(|(_, daemon)| daemon.host == *node && !daemon.running);
            for (name, daemon) in stopped.filter(|(name, _)| meant(which, kind, name)) {
                daemon.running = true;
                daemon.in_map = true;
                daemon.version = version.clone().unwrap_or_else(|| daemon.version.clone());
                if kind == "mon" {
                    returned_mon = Some(name.clone());
                }
            }
        }
        if let Some(name) = returned_mon {
            ceph.skew_until_ms.insert(name, now_ms + SKEW_MS);
            ceph.election_epoch += 2;
        }
        ceph.elect();
        let mut came_in = false;
        for id in ceph.osds_on(node) {
            let Some(osd) = ceph.osds.get_mut(&id).filter(|osd| osd.returns && !osd.running) else { continue };
            if !meant(which, "osd", &id.0.to_string()) {
                continue;
            }
            osd.running = true;
            osd.up = true;
            osd.version = osd_version.clone().unwrap_or_else(|| osd.version.clone());
            if osd.auto_out {
                osd.in_ = true;
                osd.auto_out = false;
                came_in = true;
            }
            let away_ms = osd.down_since_ms.take().map_or(0, |since| now_ms.saturating_sub(since));
            ceph.fall_behind(id, away_ms, now_ms);
        }
        ceph.epoch += 1;
        if came_in {
            self.remap();
        }
        self.update_stalls();
        self.start_recovery();
    }

    fn start_recovery(&mut self) {
        let Some(ceph) = self.ceph.as_mut().filter(|ceph| !ceph.ticking) else { return };
        ceph.ticking = true;
        self.events.at(self.now_ms + TICK_MS, Event::CephTick);
    }

    /// One step of recovery and backfill.
    pub(crate) fn on_ceph_tick(&mut self) {
        let Some(ceph) = &mut self.ceph else { return };
        ceph.ticking = false;
        let mut budget = ceph.recovery_bytes_per_s * TICK_MS / 1000;
        let (mut moved, mut left) = (0, false);
        let up: BTreeSet<OsdId> = ceph.osds.iter().filter(|(_, osd)| osd.up).map(|(id, _)| *id).collect();
        let fills: BTreeSet<OsdId> =
            ceph.osds.iter().filter(|(_, osd)| osd.full_percent >= BACKFILL_FULL_PERCENT).map(|(id, _)| *id).collect();
        let now_ms = self.now_ms;
        let recovery = ceph.flags.contains("norecover");
        let backfill = ceph.flags.contains("nobackfill") || ceph.flags.contains("norebalance");
        for pg in &mut ceph.pgs {
            if pg.peering_until_ms > now_ms {
                left = true;
                continue;
            }
            for (counts, copies, held) in [(0, &mut pg.behind, &recovery), (1, &mut pg.backfill, &backfill)] {
                if *held {
                    left |= copies.keys().any(|id| up.contains(id));
                    continue;
                }
                for (_, bytes) in
                    copies.iter_mut().filter(|(id, _)| up.contains(id) && (counts == 0 || !fills.contains(id)))
                {
                    let step = budget.min(*bytes);
                    budget -= step;
                    *bytes -= step;
                    moved += step * counts;
                }
                copies.retain(|id, bytes| *bytes > 0 || !up.contains(id));
                left |= copies.keys().any(|id| up.contains(id));
            }
            let size = ceph.pools.get(&pg.pool).map_or(3, |pool| pool.size as usize);
            let full = pg.up.len() >= size && pg.up.iter().all(|id| up.contains(id));
            if full && pg.behind.is_empty() && pg.backfill.is_empty() {
                pg.strays.clear();
            }
        }
        ceph.moved_bytes += moved;
        self.impact.ceph_bytes_rebalanced += moved;
        if left {
            self.start_recovery();
        }
        self.update_stalls();
    }

    /// The monitors compare their machines' clocks; more than 50 ms is a skew.
    pub(crate) fn ceph_looks_at_clocks(&mut self) {
        let Some(ceph) = &mut self.ceph else { return };
        let nodes = &self.nodes;
        let off = |mon: &super::ceph::Daemon| {
            nodes.get(&mon.host).is_some_and(|node| node.clock_skew_ms.unsigned_abs() > CLOCK_DRIFT_ALLOWED_MS)
        };
        ceph.clock_off = ceph.mons.iter().filter(|(_, mon)| off(mon)).map(|(name, _)| name.clone()).collect();
    }

    /// Updates which pools serve I/O; guests on the others stand still.
    fn update_stalls(&mut self) {
        let Some(ceph) = &mut self.ceph else { return };
        let bad: BTreeSet<u32> = ceph.pgs.iter().filter(|pg| !ceph.serves(pg)).map(|pg| pg.pool).collect();
        let bad: BTreeSet<String> =
            bad.iter().filter_map(|pool| ceph.pools.get(pool)).map(|pool| pool.name.clone()).collect();
        if bad == ceph.stalled_pools {
            return;
        }
        let touched: BTreeSet<String> = bad.symmetric_difference(&ceph.stalled_pools).cloned().collect();
        ceph.stalled_pools = bad.clone();
        for pool in bad.iter().filter(|pool| touched.contains(*pool)) {
            let text = format!("pool {pool} has placement groups with fewer copies than min_size: it stands still");
            self.impact.rule_broken(self.now_ms, "ceph-min-size", pool, &text);
        }
        for pool in touched.difference(&bad) {
            self.impact.rule_mended("ceph-min-size", pool);
        }
        let ids: Vec<GuestId> = self.guests.values().filter(|g| g.is_running()).map(|g| g.id).collect();
        for id in ids {
            self.stall_of(id);
        }
    }

    /// Sets whether a guest's storage answers.
    pub(crate) fn stall_of(&mut self, id: GuestId) {
        let Some(guest) = self.guests.get(&id) else { return };
        let storages = guest.disks.iter().filter_map(|disk| self.storages.get(disk.storage.as_ref()?));
        let stalled = storages.into_iter().any(|storage| {
            storage.pool.as_ref().is_some_and(|pool| self.pool_is_stalled(pool))
                || guest.runs_on.iter().any(|node| !self.reaches(storage, node))
        });
        if let Some(guest) = self.guests.get_mut(&id)
            && guest.stalled != stalled
        {
            guest.stalled = stalled;
            self.serving_may_have_changed(id);
        }
    }

    /// Does a pool stand still?
    pub fn pool_is_stalled(&self, pool: &str) -> bool {
        self.ceph.as_ref().is_some_and(|ceph| ceph.stalled_pools.contains(pool))
    }
}

/// Does `ceph`, `osd`, `osd.3` mean this daemon?
fn meant(which: &str, kind: &str, name: &str) -> bool {
    match which.split_once('.') {
        Some((of, one)) => of == kind && one == name,
        None => which == "ceph" || which == kind,
    }
}

fn no_ceph() -> WorldError {
    WorldError::die("binary not installed: /usr/bin/ceph-mon")
}
