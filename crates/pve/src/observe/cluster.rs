//! Cluster-wide configuration: options, storages, backups, replication, and what our token may do.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use quorate_core::ids::{NodeName, StorageId, UnixMs, Vmid};
use quorate_core::observed::{Observed, WhyUnknown};
use quorate_core::snapshot::{BackupJob, Options, ReplicationJob, Storage};

use super::look::{Depth, Look, keep_or};
use super::membership::Membership;
use super::reader::Reader;
use crate::wire::cluster::{self as wire, BackupEntry, Permissions, ReplicationEntry, StorageEntry};
use crate::wire::lenient::{Int, List};

/// What one round of cluster-wide calls gives.
pub(super) struct Cluster {
    pub(super) options: Observed<Options>,
    pub(super) storages: Observed<BTreeMap<StorageId, Storage>>,
    pub(super) backups: Observed<Vec<BackupJob>>,
    pub(super) permissions: Result<Permissions, WhyUnknown>,
}

/// Reads all of it. A watch takes over what an administrator changes in a file, and asks again what our token may do.
pub(super) async fn read(reader: &Reader<'_>, look: &Look<'_>) -> Cluster {
    let anew = look.depth == Depth::Full;
    let old = look.previous;
    let (options, storages, backups, permissions) = tokio::join!(
        // A step of ours changes these; one call for the whole cluster is not worth saving.
        async { Observed::from(reader.get::<wire::Options>("/cluster/options").await.map(convert_options)) },
        keep_or(old.map(|old| &old.storages), anew, async {
            let list = reader.get::<List<StorageEntry>>("/storage").await;
            list.map(|list| list.0.into_iter().map(convert_storage).collect()).into()
        }),
        keep_or(old.map(|old| &old.backups), anew, async {
            reader.get::<List<BackupEntry>>("/cluster/backup").await.map(convert_backups).into()
        }),
        reader.get::<Permissions>("/access/permissions"),
    );
    Cluster { options, storages, backups, permissions }
}

fn convert_options(wire: wire::Options) -> Options {
    let (migration, ha, crs) =
        (wire.migration.unwrap_or_default(), wire.ha.unwrap_or_default(), wire.crs.unwrap_or_default());
    Options {
        migration_network: migration.get("network").map(str::to_owned),
        ha_shutdown_policy: ha.get("shutdown_policy").map(str::to_owned),
        max_workers: wire.max_workers.map(Int::small),
        ha_auto_rebalance: crs.flag("ha-auto-rebalance"),
        crs: crs.0,
    }
}

fn convert_storage(entry: StorageEntry) -> (StorageId, Storage) {
    let shared = entry.is_shared();
    let names =
        |text: &str| text.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect();
    let nodes: Option<Vec<String>> = entry.nodes.as_ref().map(|nodes| names(&nodes.0));
    let content: Vec<String> = entry.content.as_ref().map(|content| names(&content.0)).unwrap_or_default();
    let id = StorageId::new(entry.storage.0);
    let storage = Storage {
        id: id.clone(),
        kind: entry.kind.0,
        shared,
        // An empty list means no limit.
        nodes: nodes.filter(|nodes| !nodes.is_empty()).map(|nodes| nodes.into_iter().map(NodeName::new).collect()),
        disabled: entry.disable.0,
        content: content.into_iter().collect(),
    };
    (id, storage)
}

fn convert_backups(list: List<BackupEntry>) -> Vec<BackupJob> {
    let convert = |entry: BackupEntry| BackupJob {
        id: entry.id.0,
        enabled: entry.enabled.is_none_or(|flag| flag.0),
        next_run: entry.next_run.map(seconds),
        node: entry.node.filter(|node| !node.0.is_empty()).map(|node| NodeName::new(node.0)),
    };
    let mut jobs: Vec<BackupJob> = list.0.into_iter().map(convert).collect();
    jobs.sort_by(|a, b| a.id.cmp(&b.id));
    jobs
}

/// Unix seconds as a moment.
pub(super) fn seconds(seconds: Int) -> UnixMs {
    UnixMs(seconds.unsigned().saturating_mul(1000))
}

/// Replication with its state, which only each source node knows. A watch takes over a known list.
pub(super) async fn replication(
    reader: &Reader<'_>,
    membership: &Membership,
    look: &Look<'_>,
) -> Observed<Vec<ReplicationJob>> {
    let old = look.previous.map(|previous| &previous.replication);
    keep_or(old, look.depth == Depth::Full, async { read_replication(reader, membership).await.into() }).await
}

async fn read_replication(reader: &Reader<'_>, membership: &Membership) -> Result<Vec<ReplicationJob>, WhyUnknown> {
    let jobs = reader.get::<List<ReplicationEntry>>("/cluster/replication").await?.0;
    if jobs.is_empty() {
        return Ok(Vec::new());
    }
    let mut sources: Vec<&NodeName> = membership.names.iter().collect();
    // Only source nodes know the state; a job that names no source may be anywhere.
    if jobs.iter().all(|job| job.source.is_some()) {
        sources
            .retain(|name| jobs.iter().any(|job| job.source.as_ref().is_some_and(|source| source.0 == name.as_str())));
    }
    let states = join_all(sources.into_iter().map(|node| async move {
        let states = reader.node_get::<List<ReplicationEntry>>(node, "replication").await;
        states.map(|list| (node, list.0))
    }));
    let mut found = Vec::new();
    for state in states.await {
        let (node, entries) = state?;
        found.extend(entries.into_iter().filter_map(|entry| convert_replication(node, entry)));
    }
    if let Some(lost) = jobs.iter().find(|job| !found.iter().any(|state: &ReplicationJob| state.id == job.id.0)) {
        let reason = format!("no node knows the state of job {}", lost.id.0);
        return Err(WhyUnknown::new("GET /nodes/*/replication", reason));
    }
    found.sort_by(|a, b| a.id.cmp(&b.id));
    Ok(found)
}

fn convert_replication(node: &NodeName, entry: ReplicationEntry) -> Option<ReplicationJob> {
    Some(ReplicationJob {
        vmid: Vmid(entry.guest.map(Int::small).or_else(|| entry.id.0.split('-').next()?.parse().ok())?),
        id: entry.id.0,
        source: node.clone(),
        target: NodeName::new(entry.target?.0),
        fail_count: entry.fail_count.map_or(0, Int::small),
        error: entry.error.map(|error| error.0).filter(|error| !error.is_empty()),
        last_sync: entry.last_sync.filter(|sync| sync.0 > 0).map(seconds),
        disabled: entry.disable.0,
    })
}
