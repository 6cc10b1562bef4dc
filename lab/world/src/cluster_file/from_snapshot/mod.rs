//! A lab of a real cluster: a world built from an exported snapshot, to try a rolling upgrade before trusting it.
//!
//! A snapshot holds what a run needs to know, not everything that a cluster is. What it lacks gets the default of a
//! plain cluster file, and every such guess is named in the notes, so that the reader knows how close the lab
//! is to the cluster. What it holds, the lab shows again: the part that a cluster file can express is built from one
//! (`parts`), and the rest is set in the world (`adjust`).

mod ceph;
mod guests;
mod ha;
mod hardware;
mod machines;
mod nodes;
mod packages;
mod quorum;
mod storages;
mod work;

use std::collections::{BTreeMap, BTreeSet};

use quorate_core::ids::StorageId;
use quorate_core::observed::Observed;
use quorate_core::snapshot::{AffinityRule, Options, Snapshot};

use super::defaults::{five, quarter_hour};
use super::{
    BackupPart, ClusterFile, ClusterFileError, ClusterPart, OptionsPart, ReplicationPart, RulePart, StoragePart,
};
use crate::World;
use crate::impact::Impact;

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
    (world.now_ms, world.started_ms) = (snapshot.taken.0, snapshot.taken.0);
    machines::adjust(&mut world, snapshot, &mut notes);
    packages::adjust(&mut world, snapshot);
    hardware::adjust(&mut world, snapshot, &mut notes);
    storages::adjust(&mut world, snapshot);
    quorum::adjust(&mut world, snapshot);
    ceph::adjust(&mut world, snapshot, &mut notes);
    ha::adjust(&mut world, snapshot);
    machines::journals(&mut world, snapshot);
    work::adjust(&mut world, snapshot, &mut notes);
    // What it was found in is nobody's fault.
    Impact::begin(&mut world);
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
    let storages = storages::parts(snapshot, notes);
    let (installed, archive, kernel) = packages::packages(snapshot, notes);
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
        faults: Vec::new(),
    }
}

fn cluster(snapshot: &Snapshot, notes: &mut Notes) -> ClusterPart {
    let name = notes.known("the cluster", &snapshot.cluster_name, "its name is not known: snapshot");
    ClusterPart {
        name: name.cloned().unwrap_or_else(|| "snapshot".to_owned()),
        config_version: five(),
        token_ms: None,
        qdevice_votes: quorum::qdevice_votes(snapshot),
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
    let due = jobs.into_iter().flatten().filter_map(|job| Some((job, job.next_run?)));
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
    let jobs = jobs.into_iter().flatten();
    let guest = |vmid| snapshot.guests.keys().find(|id| id.vmid == vmid).copied();
    jobs.filter_map(|job| {
        Some(ReplicationPart { guest: guest(job.vmid)?, target: job.target.clone(), schedule: quarter_hour() })
    })
    .collect()
}
