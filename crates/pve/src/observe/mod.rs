//! Looking at a cluster: many small readings, put together into one [`Snapshot`].
//!
//! Nothing is guessed. What could not be read is [`quorate_core::observed::Observed::Unknown`], with the call that
//! should have answered and what came instead; readings of an offline node are never old copies. A short list is not
//! good news: whether our token sees all guests is itself a reading.
//!
//! [`Depth::Full`] reads everything. [`Depth::Watch`] is for the time between steps: a fixed number of calls per
//! node and none per guest, except for guests that are new or have moved. What does not change by itself is taken
//! over from the previous snapshot, for nodes that have been online since in the same boot.

mod capabilities;
mod ceph;
mod ceph_programs;
mod cluster;
mod disks;
mod down;
mod driver;
mod facts;
mod guests;
mod ha;
mod host;
mod images;
mod jobs;
mod login;
mod look;
mod meanwhile;
mod membership;
mod needs;
mod node;
mod node_api;
mod packages;
mod quorum;
mod quorum_views;
mod reader;
mod repositories;
mod rights;
mod settings;
mod shell;
mod ways;

pub use driver::DRIVER_LOCK_FILE;
pub use look::{Depth, Hosts, Look};
pub use quorum_views::quorum_views;
pub use rights::{least_role, role_for_volumes};

use std::collections::BTreeMap;
use std::pin::pin;

use futures_util::StreamExt;
use futures_util::future::{Either, select};
use futures_util::stream::FuturesUnordered;
use quorate_core::ids::NodeName;
use quorate_core::snapshot::{OtherCertificate, SNAPSHOT_FORMAT, Snapshot};
use tracing::debug;

use crate::ports::{Ports, Stranger};
use meanwhile::Meanwhile;
use node::NodeLook;
use reader::{Deadline, Reader};

/// Reads the cluster once. Ends in bounded time, and always with a snapshot: what failed is unknown in it.
pub async fn observe(ports: &Ports, look: Look<'_>) -> Snapshot {
    debug!(depth = ?look.depth, "look at the cluster begins");
    let meanwhile = Meanwhile::default();
    let nodes = look.known_nodes.clone();
    let mut snapshot = {
        let reading = pin!(read(ports, &meanwhile, look));
        let asking = pin!(meanwhile.ask_for_quorum(async || quorum_views(ports, &nodes).await));
        match select(reading, asking).await {
            Either::Left((snapshot, _)) => snapshot,
            Either::Right((_, reading)) => reading.await,
        }
    };
    // What was read before quorum was lost is not true any more.
    let views = meanwhile.lost().map(|seen| seen.nodes).unwrap_or_default();
    snapshot.quorum.extend(views.into_iter().map(|(node, report)| (node, report.view)));
    let seconds = ports.clock.now().since_s(snapshot.taken);
    debug!(nodes = snapshot.nodes.len(), guests = snapshot.guests.len(), seconds, "look at the cluster done");
    snapshot
}

async fn read(ports: &Ports, meanwhile: &Meanwhile, look: Look<'_>) -> Snapshot {
    let taken = ports.clock.now();
    let deadline = Deadline::of(ports, look.depth);
    let reader = Reader::new(ports, meanwhile, &look.avoid, &look.known_nodes, deadline);
    let membership = membership::read(&reader, &look).await;
    let reader = reader.knowing(&membership.names);

    let (mut nodes, mut cluster, ha, ceph, driver, resources) = tokio::join!(
        look_at_nodes(&reader, &membership, &look),
        cluster::read(&reader, &look),
        ha::read(&reader, &membership),
        ceph::read(&reader, &membership, &look),
        driver::read(&reader, &membership),
        guests::resources(&reader),
    );
    let mut replication = cluster::replication(&reader, &membership, &look).await;
    rights::take_back_shortened(&cluster.permissions, &mut nodes, &mut cluster.storages, &mut replication);
    let (resources, orphans) = guests::of_members(resources, &membership);
    let listed = guests::place(&nodes, &resources, &membership, look.previous);
    let mut guests = facts::read(&reader, listed, &cluster.storages, &replication, &ha, &look).await;
    let online: Vec<&NodeName> = membership.names.iter().filter(|name| !membership.is_offline(name)).collect();
    images::locate(&reader, &membership.names, &look, &mut guests).await;
    needs::locate(&reader, &online, &look, &mut guests).await;
    let sees_all_guests = rights::sees_all_guests(&cluster.permissions, &nodes, &resources, &guests);
    let ha = ha::without_left_overs(ha, &sees_all_guests, &guests);
    packages::keep_comparable(nodes.values_mut().map(|seen| &mut seen.node));
    let jobs = jobs::gather(&nodes, &membership, &cluster.permissions);

    let mut quorum = BTreeMap::new();
    let mut etc_pve = BTreeMap::new();
    let mut migration_throttle = BTreeMap::new();
    let mut named = BTreeMap::new();
    for (name, seen) in nodes {
        quorum.insert(name.clone(), seen.quorum);
        etc_pve.insert(name.clone(), seen.etc_pve);
        migration_throttle.insert(name.clone(), seen.migration_throttle);
        named.insert(name, seen.node);
    }
    for Stranger { node, shown, pinned } in ports.api.strangers() {
        if let Some(node) = named.get_mut(&node) {
            node.other_certificate = Some(OtherCertificate { shown, pinned });
        }
    }
    ways::read(&reader, &online, &cluster.options, &mut named).await;
    Snapshot {
        format: SNAPSHOT_FORMAT,
        taken,
        cluster_name: membership.cluster_name,
        nodes: named,
        guests,
        orphans,
        sees_all_guests,
        missing_privileges: rights::missing(&cluster.permissions),
        missing_for_volumes: rights::missing_for_volumes(&cluster.permissions),
        quorum,
        etc_pve,
        migration_throttle,
        configured_votes: membership.votes,
        storages: cluster.storages,
        ha,
        ceph,
        jobs,
        backups: cluster.backups,
        replication,
        options: cluster.options,
        driver,
    }
}

async fn look_at_nodes(
    reader: &Reader<'_>,
    membership: &membership::Membership,
    look: &Look<'_>,
) -> BTreeMap<NodeName, NodeLook> {
    let mut looks: FuturesUnordered<_> =
        membership.names.iter().map(|name| node::look_at(reader, membership, look, name)).collect();
    let mut nodes = BTreeMap::new();
    while let Some(seen) = looks.next().await {
        nodes.insert(seen.node.name.clone(), seen);
    }
    nodes
}
