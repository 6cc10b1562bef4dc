//! The state that a run found, and what has changed since: flags, modes, failback, jobs, nodes, HA's scheduler, images
//! in CD drives.

use std::collections::{BTreeMap, BTreeSet};

use quorate_core::ids::{GuestId, NodeName, StorageId};
use quorate_core::version::Version;

use crate::World;
use crate::guest::{Guest, Media};
use crate::node::Node;

/// What an empty CD drive holds.
const EMPTY: &str = "none";

/// The state that a run found and has to restore.
#[derive(Clone, Debug, Default)]
pub struct Baseline {
    /// When it was taken.
    pub at_ms: u64,
    /// Guests that served.
    pub running: BTreeSet<GuestId>,
    /// Nodes with something to upgrade, or a kernel to boot.
    pub behind: BTreeSet<NodeName>,
    /// Nodes in maintenance.
    pub maintenance: BTreeSet<NodeName>,
    /// Ceph flags.
    pub flags: BTreeSet<String>,
    /// The noout group.
    pub noout_group: BTreeSet<String>,
    /// Failback of each resource.
    pub failback: BTreeMap<GuestId, bool>,
    /// Nodes that were up.
    pub up: BTreeSet<NodeName>,
    /// Backup jobs that were enabled.
    pub jobs: BTreeSet<String>,
    /// Settings of HA's scheduler.
    pub scheduler: String,
    /// Images in CD drives, by guest and drive: storage and volume.
    pub media: BTreeMap<(GuestId, String), (StorageId, String)>,
    /// pve-manager's version per node.
    pub versions: BTreeMap<NodeName, Version>,
}

impl Baseline {
    /// Records the present state.
    pub fn of(world: &World) -> Self {
        let nodes = || world.nodes.iter();
        let stale = |(name, node): &(&NodeName, &Node)| {
            world.is_behind_archive(name) || node.kernel.will_boot() != node.kernel.running || world.runs_old_ceph(name)
        };
        Self {
            at_ms: world.now_ms,
            running: world.guests.values().filter(|guest| guest.serves()).map(|guest| guest.id).collect(),
            behind: nodes().filter(stale).map(|(name, _)| name.clone()).collect(),
            maintenance: world.ha.manager.maintenance_requests.clone(),
            flags: world.ceph.as_ref().map(|ceph| ceph.flags.clone()).unwrap_or_default(),
            noout_group: world.ceph.as_ref().map(|ceph| ceph.noout_group.clone()).unwrap_or_default(),
            failback: world.ha.resources.iter().map(|(sid, resource)| (*sid, resource.failback)).collect(),
            up: nodes().filter(|(_, node)| node.is_up()).map(|(name, _)| name.clone()).collect(),
            jobs: world.backup_jobs.iter().filter(|job| job.enabled).map(|job| job.id.clone()).collect(),
            scheduler: world.scheduler_settings().to_owned(),
            media: world.guests.values().flat_map(images).collect(),
            versions: nodes()
                .filter_map(|(name, node)| Some((name.clone(), node.installed("pve-manager")?.clone())))
                .collect(),
        }
    }

    /// Nodes that were behind and are up to date now, packages and kernel.
    pub(super) fn upgraded(&self, world: &World) -> u32 {
        let done = |name: &&NodeName| {
            world.nodes.get(name).is_some_and(|node| {
                node.is_up()
                    && !world.is_behind_archive(name)
                    && node.kernel.will_boot() == node.kernel.running
                    && !world.runs_old_ceph(name)
                    && node.packages.broken.is_empty()
            })
        };
        self.behind.iter().filter(done).count() as u32
    }

    /// What the run changed and has not undone.
    pub(super) fn open_changes(&self, world: &World) -> Vec<String> {
        let mut open = Vec::new();
        for node in world.ha.manager.maintenance_requests.difference(&self.maintenance) {
            open.push(format!("left behind: {node} is in maintenance mode"));
        }
        if let Some(ceph) = &world.ceph {
            for flag in ceph.flags.symmetric_difference(&self.flags) {
                open.push(format!("left behind: Ceph flag {flag} is not as it was"));
            }
            for name in ceph.noout_group.symmetric_difference(&self.noout_group) {
                open.push(format!("left behind: noout of {name} is not as it was"));
            }
        }
        for (sid, failback) in &self.failback {
            if world.ha.resources.get(sid).is_some_and(|resource| resource.failback != *failback) {
                open.push(format!("left behind: failback of {sid} is not as it was"));
            }
        }
        for job in &world.backup_jobs {
            if self.jobs.contains(&job.id) && !job.enabled {
                open.push(format!("left behind: backup job {} is switched off", job.id));
            }
        }
        for node in self.up.iter().filter(|node| !world.impact.excused_nodes.contains(*node)) {
            if !world.nodes.get(node).is_some_and(|machine| machine.is_up() && machine.corosync_up) {
                open.push(format!("left behind: {node} is not back in the cluster"));
            }
        }
        if world.scheduler_settings() != self.scheduler {
            open.push(format!("left behind: HA's scheduler is not as it was ({})", self.scheduler));
        }
        for ((id, drive), (storage, volume)) in &self.media {
            // A node without the image cannot insert it again: a run says so before it ejects the image.
            let Some(guest) = world.guests.get(id).filter(|guest| in_reach(world, guest, storage, volume)) else {
                continue;
            };
            if guest.disks.iter().any(|disk| disk.key == *drive && disk.volume == EMPTY) {
                open.push(format!("left behind: {drive} of {id} is empty, and {storage}:{volume} was in it"));
            }
        }
        open
    }
}

/// The images in a guest's CD drives.
fn images(guest: &Guest) -> impl Iterator<Item = ((GuestId, String), (StorageId, String))> + '_ {
    let held = guest.disks.iter().filter(|disk| disk.media == Media::Cdrom && disk.volume.starts_with("iso/"));
    held.filter_map(|disk| Some(((guest.id, disk.key.clone()), (disk.storage.clone()?, disk.volume.clone()))))
}

fn in_reach(world: &World, guest: &Guest, storage: &StorageId, volume: &str) -> bool {
    world.storages.get(storage).is_some_and(|storage| storage.has_file(volume, &guest.node))
}
