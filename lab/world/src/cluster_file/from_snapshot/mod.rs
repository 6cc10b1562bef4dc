//! A lab of a real cluster: a world built from an exported snapshot, to try a rolling upgrade before trusting it.
//!
//! A snapshot holds what a run needs to know, not everything that a cluster is. What it lacks gets the default of a
//! plain cluster file, and every such guess is named in the notes, so that the reader knows how close the lab
//! is to the cluster. Passing problems, like a failed unit or a running task, are not taken over.

mod ceph;
mod guests;
mod nodes;

use std::collections::{BTreeMap, BTreeSet};

use quorate_core::ids::{NodeName, StorageId};
use quorate_core::observed::Observed;
use quorate_core::snapshot::{AffinityRule, HaNodeState, Options, Snapshot, Storage};

use super::defaults::{five, quarter_hour};
use super::{
    BackupPart, ClusterFile, ClusterFileError, ClusterPart, OptionsPart, ReplicationPart, RulePart, StoragePart,
};
use crate::World;
use crate::faults::{Fault, FaultKind};

/// Storage of guests whose own storage is not known.
const UNKNOWN_STORAGE: &str = "unknown";
const GIB: u64 = 1 << 30;

/// A world like the cluster of a snapshot, and what had to be guessed: one line each.
///
/// # Errors
/// The snapshot has no nodes, or contradicts itself.
pub fn world_from_snapshot(snapshot: &Snapshot, seed: u64) -> Result<(World, Vec<String>), ClusterFileError> {
    let mut notes = Notes::default();
    let file = file(snapshot, &mut notes);
    let mut world = World::build(&file, seed)?;
    nodes::adjust(&mut world, snapshot);
    ceph::adjust(&mut world, snapshot);
    Ok((world, notes.lines()))
}

/// What had to be guessed: each guess with the subjects that it was made for.
#[derive(Default)]
struct Notes(BTreeMap<String, BTreeSet<String>>);

impl Notes {
    fn guess(&mut self, subject: impl ToString, guess: impl Into<String>) {
        self.0.entry(guess.into()).or_default().insert(subject.to_string());
    }

    /// What is known; otherwise nothing, and a note.
    fn known<'a, T>(&mut self, subject: impl ToString, value: &'a Observed<T>, guess: &str) -> Option<&'a T> {
        if value.known().is_none() {
            self.guess(subject, guess);
        }
        value.known()
    }

    /// One line for each guess, with the first few of its subjects.
    fn lines(self) -> Vec<String> {
        const NAMED: usize = 6;
        let line = |(guess, subjects): (String, BTreeSet<String>)| {
            let more = subjects.len().saturating_sub(NAMED);
            let mut named = subjects.into_iter().take(NAMED).collect::<Vec<_>>().join(", ");
            if more > 0 {
                named.push_str(&format!(" and {more} more"));
            }
            format!("{named}: {guess}")
        };
        self.0.into_iter().map(line).collect()
    }
}

fn file(snapshot: &Snapshot, notes: &mut Notes) -> ClusterFile {
    let storages = storages(snapshot, notes);
    let (installed, archive, kernel) = nodes::packages(snapshot, notes);
    ClusterFile {
        cluster: cluster(snapshot, notes),
        options: options(snapshot, notes),
        installed,
        archive,
        kernel,
        ceph: ceph::part(snapshot, notes),
        nodes: nodes::parts(snapshot, notes),
        guests: guests::parts(snapshot, &storages, notes),
        rules: rules(snapshot, notes),
        backups: backups(snapshot, &storages, notes),
        replications: replications(snapshot, notes),
        storages,
        tokens: Vec::new(),
        faults: states(snapshot),
    }
}

fn cluster(snapshot: &Snapshot, notes: &mut Notes) -> ClusterPart {
    let name = notes.known("the cluster", &snapshot.cluster_name, "its name is not known: snapshot");
    let device = snapshot.quorum.values().filter_map(Observed::known).find_map(|view| view.qdevice);
    ClusterPart {
        name: name.cloned().unwrap_or_else(|| "snapshot".to_owned()),
        config_version: five(),
        token_ms: None,
        qdevice_votes: device.map(|device| device.votes),
        start_unix_s: snapshot.taken.seconds(),
        uptime_s: super::defaults::forty_days(),
    }
}

fn options(snapshot: &Snapshot, notes: &mut Notes) -> OptionsPart {
    let known = notes.known("datacenter options", &snapshot.options, "not known: PVE's defaults");
    let Some(Options { migration_network, ha_shutdown_policy, max_workers, .. }) = known else {
        return OptionsPart::default();
    };
    notes.guess("migrations", "the speed of their network is not known: 1100 MiB/s, and corosync has its own");
    OptionsPart {
        shutdown_policy: ha_shutdown_policy.clone(),
        max_workers: *max_workers,
        migration_network: migration_network.clone(),
        ..OptionsPart::default()
    }
}

fn storages(snapshot: &Snapshot, notes: &mut Notes) -> Vec<StoragePart> {
    let known = notes.known("storages", &snapshot.storages, "not known: one shared storage for all guests");
    let mut parts: Vec<StoragePart> = known
        .into_iter()
        .flatten()
        .filter(|(_, storage)| !storage.disabled)
        .map(|(_, one)| storage(snapshot, one))
        .collect();
    if !parts.is_empty() {
        notes.guess("storages", "their size is not known: twice what is free");
    }
    // It is also used where a guest's own storages were not read.
    parts.push(StoragePart {
        id: StorageId::new(UNKNOWN_STORAGE),
        kind: "nfs".to_owned(),
        shared: true,
        content: vec!["images".to_owned(), "rootdir".to_owned(), "backup".to_owned()],
        nodes: Vec::new(),
        pool: None,
        total_gib: 65_536,
        used_gib: 0,
        files: BTreeMap::new(),
        only_on: BTreeMap::new(),
        served_by: None,
    });
    parts
}

fn storage(snapshot: &Snapshot, storage: &Storage) -> StoragePart {
    let seen = snapshot.nodes.values().filter_map(|node| node.storages.known()?.get(&storage.id));
    let free_gib = seen.map(|seen| seen.free_bytes).max().unwrap_or(1024 * GIB) / GIB;
    let iso = snapshot.guests.values().filter_map(|guest| guest.migration.known()).flat_map(|facts| &facts.local_disks);
    let mine = iso.filter_map(|disk| Some((disk, disk.volid.strip_prefix(&format!("{}:", storage.id))?)));
    let files = mine.filter(|(_, volume)| volume.starts_with("iso/"));
    let (snippets, only_on) = snippets(snapshot, storage);
    StoragePart {
        id: storage.id.clone(),
        kind: storage.kind.clone(),
        shared: storage.shared,
        content: storage.content.iter().cloned().collect(),
        nodes: storage.nodes.iter().flatten().cloned().collect(),
        pool: ceph::pool_of(snapshot, storage),
        total_gib: (2 * free_gib).max(16),
        used_gib: free_gib,
        served_by: None,
        only_on,
        files: files.map(|(disk, volume)| (volume.to_owned(), disk.size_bytes >> 20)).chain(snippets).collect(),
    }
}

type Files = (BTreeMap<String, u64>, BTreeMap<String, Vec<NodeName>>);

/// Hook scripts and the like that guests need, and where they lie.
fn snippets(snapshot: &Snapshot, storage: &Storage) -> Files {
    let facts = snapshot.guests.values().filter_map(|guest| guest.migration.known());
    let mut found = Files::default();
    for need in facts.flat_map(|facts| &facts.host_needs) {
        let Some(volume) = need.what.strip_prefix(&format!("{}:", storage.id)) else { continue };
        let on = need.on.iter().filter(|(_, there)| there.is(&true)).map(|(node, _)| node.clone());
        found.0.insert(volume.to_owned(), 1);
        found.1.insert(volume.to_owned(), on.collect());
    }
    found
}

fn rules(snapshot: &Snapshot, notes: &mut Notes) -> Vec<RulePart> {
    let ha = notes.known("HA", &snapshot.ha, "not known: no guest is managed by it");
    let rule = |rule: &AffinityRule| match rule {
        AffinityRule::Node(rule) => RulePart {
            id: rule.id.clone(),
            kind: "node-affinity".to_owned(),
            resources: rule.guests.iter().copied().collect(),
            nodes: rule.nodes.clone(),
            strict: rule.strict,
        },
        AffinityRule::Resource(rule) => RulePart {
            id: rule.id.clone(),
            kind: if rule.together { "keep-together" } else { "keep-apart" }.to_owned(),
            resources: rule.guests.iter().copied().collect(),
            nodes: BTreeMap::new(),
            strict: false,
        },
    };
    ha.into_iter().flat_map(|ha| &ha.rules).map(rule).collect()
}

fn backups(snapshot: &Snapshot, storages: &[StoragePart], notes: &mut Notes) -> Vec<BackupPart> {
    let jobs = notes.known("backup jobs", &snapshot.backups, "not known: none");
    let holds = |storage: &&StoragePart| storage.content.iter().any(|content| content == "backup");
    let storage = storages.iter().find(holds).map_or(StorageId::new(UNKNOWN_STORAGE), |storage| storage.id.clone());
    let enabled = jobs.into_iter().flatten().filter(|job| job.enabled);
    let due = enabled.filter_map(|job| Some((job, job.next_run?)));
    due.map(|(job, next_run)| {
        notes.guess(format!("backup job {}", job.id), "its schedule and storage are not known: its next run is");
        BackupPart {
            id: job.id.clone(),
            schedule: "daily".to_owned(),
            storage: storage.clone(),
            next_run_in_s: next_run.since_s(snapshot.taken).max(60),
        }
    })
    .collect()
}

fn replications(snapshot: &Snapshot, notes: &mut Notes) -> Vec<ReplicationPart> {
    let jobs = notes.known("replication jobs", &snapshot.replication, "not known: none");
    let jobs = jobs.into_iter().flatten().filter(|job| !job.disabled);
    let guest = |vmid| snapshot.guests.keys().find(|id| id.vmid == vmid).copied();
    jobs.filter_map(|job| {
        Some(ReplicationPart { guest: guest(job.vmid)?, target: job.target.clone(), schedule: quarter_hour() })
    })
    .collect()
}

/// Nodes that were away or in maintenance start in that state.
fn states(snapshot: &Snapshot) -> Vec<Fault> {
    let off = snapshot.nodes.values().filter(|node| node.online.is(&false));
    let off = off.map(|node| FaultKind::PowerOff { node: node.name.clone() });
    let ha = snapshot.ha.known().into_iter().flat_map(|ha| &ha.nodes);
    let resting = ha.filter(|(_, state)| **state == HaNodeState::Maintenance);
    let resting = resting.map(|(node, _)| FaultKind::AdminMaintenance { node: node.clone(), on: true });
    off.chain(resting).map(|kind| Fault { at_s: 0, kind }).collect()
}
