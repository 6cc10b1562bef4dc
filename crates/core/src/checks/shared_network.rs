//! Migrations, or Ceph's copies, that use the network of corosync's heartbeat.

use core::net::IpAddr;
use std::collections::BTreeSet;

use super::check::{Asked, Check, Waivable, kinds};
use super::support::views;
use crate::ids::NodeName;
use crate::policy::Policy;
use crate::snapshot::{Network, QuorumView, Snapshot};

pub(super) struct SharedNetwork;

kinds! {
    WithMigrations { nodes: Vec<String> } => Warning, Cluster,
        ("all corosync links of {} are in the migration network", nodes.join(", ")),
        ("Give corosync a link of its own, or migrations a network of their own, or limit their bandwidth");
    AtOwnAddress { nodes: Vec<String> } => Warning, Cluster,
        ("all corosync links of {} are in the network of the node's own address, and with no network of their own \
          migrations go there, beside what its guests send over the same bridge", nodes.join(", ")),
        ("Give corosync a link of its own, or migrations a network of their own, or limit their bandwidth");
    WithCeph { nodes: Vec<String> } => Warning, Cluster,
        ("all corosync links of {} are addresses at which their OSDs serve", nodes.join(", ")),
        ("Give corosync a link of its own: Ceph's copies fill its network when a node comes back");
}

impl Check for SharedNetwork {
    const ID: &'static str = "shared-network";
    const EXPLAIN: &'static str =
        "A migration fills its network, and corosync's token has to pass within a second or three. If every link of \
         corosync is in the network that migrations use, a drain can starve the heartbeat: members are lost, and nodes \
         with active HA reset themselves. So does Ceph when a node comes back and its copies catch up. A warning where \
         the network of migrations holds all links of a node, or where OSDs serve at all of its link addresses. \
         Without a setting migrations go to the node's own address, which is PVE's default. Give corosync a link of its own (ring1_addr in /etc/pve/corosync.conf), or migrations a network of \
         their own (Datacenter, Options, Migration Settings), or limit their bandwidth there.";
    const WAIVABLE: Waivable = Waivable::Yes;
    const ASKED: Asked = Asked::BeforeARun;
    type Found = Found;

    fn look(snapshot: &Snapshot, _policy: &Policy, found: &mut Vec<Found>) {
        let ceph = shared(snapshot, |node, link| serves_osds(snapshot, node).contains(&link));
        found.extend(ceph.map(|nodes| Found::WithCeph { nodes }));
        let Some(options) = snapshot.options.known() else { return };
        match &options.migration_network {
            Some(text) => {
                let Some(network) = Network::parse(text) else { return };
                let migrations = shared(snapshot, |_, link| network.contains(link));
                found.extend(migrations.map(|nodes| Found::WithMigrations { nodes }));
            }
            None => {
                let migrations = shared(snapshot, |node, link| is_at_own_address(snapshot, node, link));
                found.extend(migrations.map(|nodes| Found::AtOwnAddress { nodes }));
            }
        }
    }
}

/// The nodes all of whose links are shared; none if there is no such node.
fn shared(snapshot: &Snapshot, is_shared: impl Fn(&NodeName, IpAddr) -> bool) -> Option<Vec<String>> {
    let all_shared = |(node, view): &(&NodeName, &QuorumView)| {
        let links: Option<Vec<IpAddr>> = view.link_addresses.iter().map(|text| text.parse().ok()).collect();
        links.is_some_and(|links| !links.is_empty() && links.iter().all(|link| is_shared(node, *link)))
    };
    let nodes: Vec<String> = views(snapshot).filter(all_shared).map(|(node, _)| node.to_string()).collect();
    (!nodes.is_empty()).then_some(nodes)
}

/// Is the link the node's own address, or in the same network?
fn is_at_own_address(snapshot: &Snapshot, node: &NodeName, link: IpAddr) -> bool {
    let Some(network) = snapshot.nodes.get(node).map(|node| &node.host.network) else { return false };
    let Some(own) = network.own.known() else { return false };
    let interface = network.addresses.known().into_iter().flatten().find(|address| address.ip == *own);
    *own == link || interface.is_some_and(|address| address.reaches(link))
}

/// The addresses at which a node's OSDs serve.
fn serves_osds(snapshot: &Snapshot, node: &NodeName) -> BTreeSet<IpAddr> {
    let osds = snapshot.ceph().into_iter().flat_map(|ceph| ceph.osds.values()).filter(|osd| osd.node == *node);
    osds.flat_map(|osd| osd.addresses.iter().copied()).collect()
}
