//! Which OSDs hold which placement group, and which copies are available.

use std::collections::BTreeMap;

use quorate_core::ids::{NodeName, OsdId};

use super::ceph::{CRUSH_ROOT, Ceph, DEVICE_CLASS, Daemon, Pg};

/// How long peering takes after a change of an OSD.
pub(super) const PEERING_MS: u64 = 2_500;

impl Ceph {
    /// Maps every placement group to the OSDs that are in.
    pub(crate) fn map_all(&mut self) {
        let mut pgs = Vec::new();
        for (pool, part) in &self.pools {
            for seq in 0..part.pg_num {
                let up = self.map(*pool, seq, part.size as usize);
                pgs.push(Pg {
                    pool: *pool,
                    seq,
                    up,
                    behind: BTreeMap::new(),
                    backfill: BTreeMap::new(),
                    strays: BTreeMap::new(),
                    peering_until_ms: 0,
                });
            }
        }
        self.pgs = pgs;
    }

    /// Highest random weight over hosts, then over the host's OSDs: few groups move when one goes out.
    pub(super) fn map(&self, pool: u32, seq: u32, size: usize) -> Vec<OsdId> {
        let mut best: BTreeMap<&NodeName, (u64, OsdId)> = BTreeMap::new();
        for (id, osd) in self.osds.iter().filter(|(_, osd)| osd.in_) {
            let weight = mix(u64::from(pool) << 40 | u64::from(seq) << 16 | u64::from(id.0));
            let entry = best.entry(&osd.host).or_insert((weight, *id));
            if weight > entry.0 {
                *entry = (weight, *id);
            }
        }
        let host_weight = |host: &NodeName| {
            let text = host.as_str().bytes().fold(0xcbf2_9ce4_8422_2325_u64, |h, b| mix(h ^ u64::from(b)));
            mix(text ^ (u64::from(pool) << 32 | u64::from(seq)))
        };
        let mut hosts: Vec<(u64, OsdId)> = best.iter().map(|(host, (_, osd))| (host_weight(host), *osd)).collect();
        hosts.sort_unstable_by(|a, b| b.cmp(a));
        hosts.into_iter().take(size).map(|(_, osd)| osd).collect()
    }

    /// Bytes of one copy of a group.
    pub(crate) fn pg_bytes(&self, pool: u32) -> u64 {
        self.pools.get(&pool).map_or(0, |pool| pool.stored_bytes / u64::from(pool.pg_num.max(1)))
    }

    /// Copies of a group that are available now.
    pub(crate) fn live(&self, pg: &Pg) -> usize {
        pg.up.iter().filter(|id| self.osds.get(id).is_some_and(|osd| osd.up) && !pg.backfill.contains_key(id)).count()
    }

    /// Does the group serve I/O (ignoring peering)?
    pub(crate) fn serves(&self, pg: &Pg) -> bool {
        let min_size = self.pools.get(&pg.pool).map_or(1, |pool| pool.min_size as usize);
        self.live(pg) >= min_size.max(1)
    }

    /// Is this OSD protected from being marked out?
    pub(super) fn has_noout(&self, id: OsdId) -> bool {
        let Some(osd) = self.osds.get(&id) else { return false };
        let own = id.to_string();
        let names = [own.as_str(), &osd.crush_host, CRUSH_ROOT, DEVICE_CLASS];
        self.flags.contains("noout") || names.iter().any(|name| self.noout_group.contains(*name))
    }

    pub(super) fn osds_on(&self, node: &NodeName) -> Vec<OsdId> {
        self.osds.iter().filter(|(_, osd)| osd.host == *node).map(|(id, _)| *id).collect()
    }

    /// Monitors in quorum, by name; empty if they have none.
    pub fn mon_quorum(&self) -> Vec<String> {
        let up: Vec<String> = self.mons.iter().filter(|(_, mon)| mon.in_map).map(|(name, _)| name.clone()).collect();
        if up.len() * 2 > self.mons.len() { up } else { Vec::new() }
    }

    pub(super) fn elect(&mut self) {
        let first = |daemons: &BTreeMap<String, Daemon>| {
            daemons.iter().find(|(_, daemon)| daemon.in_map).map(|(name, _)| name.clone())
        };
        let lives = |daemons: &BTreeMap<String, Daemon>, name: &Option<String>| {
            name.as_ref().and_then(|name| daemons.get(name)).is_some_and(|daemon| daemon.in_map)
        };
        if !lives(&self.mgrs, &self.active_mgr) {
            self.active_mgr = first(&self.mgrs);
        }
        if !lives(&self.mdss, &self.active_mds) {
            self.active_mds = first(&self.mdss);
        }
    }
}

/// A 64-bit hash mixer.
fn mix(value: u64) -> u64 {
    let z = (value.wrapping_add(0x9E37_79B9_7F4A_7C15) ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

impl Ceph {
    /// Bytes written to one group in this time; never zero.
    pub(super) fn written(&self, pool: u32, away_ms: u64) -> u64 {
        let bytes = self.pg_bytes(pool) / 1000 * self.churn_permille_per_hour * away_ms / 3_600_000;
        bytes.clamp(4 << 20, self.pg_bytes(pool).max(4 << 20))
    }

    /// A returned OSD lacks what was written while it was away.
    pub(super) fn fall_behind(&mut self, id: OsdId, away_ms: u64, now_ms: u64) {
        let mut pgs = std::mem::take(&mut self.pgs);
        for pg in pgs.iter_mut().filter(|pg| pg.up.contains(&id)) {
            pg.behind.insert(id, self.written(pg.pool, away_ms));
            pg.peering_until_ms = now_ms + PEERING_MS;
        }
        self.pgs = pgs;
    }
}
