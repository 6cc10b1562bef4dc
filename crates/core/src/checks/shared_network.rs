//! Migrations, or Ceph's copies, that use the network of corosync's heartbeat.

use core::net::IpAddr;
use std::collections::BTreeSet;

use super::check::{Asked, Check, Waivable, kinds};
use super::support::views;
use crate::ids::NodeName;
use crate::policy::Policy;
use crate::snapshot::{QuorumView, Snapshot};

pub(super) struct SharedNetwork;

kinds! {
    WithMigrations { nodes: Vec<String> } => Warning, Cluster,
        ("all corosync links of {} are in the migration network", nodes.join(", ")),
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
         the network of migrations is known and holds all links of a node, or where OSDs serve at all of its link \
         addresses. Give corosync a link of its own (ring1_addr in /etc/pve/corosync.conf), or migrations a network of \
         their own (Datacenter, Options, Migration Settings), or limit their bandwidth there.";
    const WAIVABLE: Waivable = Waivable::Yes;
    const ASKED: Asked = Asked::BeforeARun;
    type Found = Found;

    fn look(snapshot: &Snapshot, _policy: &Policy, found: &mut Vec<Found>) {
        let ceph = shared(snapshot, |node, link| serves_osds(snapshot, node).contains(&link));
        found.extend(ceph.map(|nodes| Found::WithCeph { nodes }));
        let network = snapshot.options.known().and_then(|options| options.migration_network.as_deref());
        let Some(network) = network.and_then(Network::parse) else { return };
        let migrations = shared(snapshot, |_, link| network.contains(link));
        found.extend(migrations.map(|nodes| Found::WithMigrations { nodes }));
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

/// The addresses at which a node's OSDs serve.
fn serves_osds(snapshot: &Snapshot, node: &NodeName) -> BTreeSet<IpAddr> {
    let osds = snapshot.ceph().into_iter().flat_map(|ceph| ceph.osds.values()).filter(|osd| osd.node == *node);
    osds.flat_map(|osd| osd.addresses.iter().copied()).collect()
}

/// `10.0.1.0/24`.
struct Network {
    base: IpAddr,
    prefix: u32,
}

impl Network {
    fn parse(text: &str) -> Option<Self> {
        let (base, prefix) = text.split_once('/')?;
        let (base, prefix): (IpAddr, u32) = (base.parse().ok()?, prefix.parse().ok()?);
        (prefix <= if base.is_ipv4() { 32 } else { 128 }).then_some(Self { base, prefix })
    }

    fn contains(&self, address: IpAddr) -> bool {
        match (self.base, address) {
            (IpAddr::V4(base), IpAddr::V4(address)) => {
                (base.to_bits() ^ address.to_bits()).checked_shr(32 - self.prefix).unwrap_or(0) == 0
            }
            (IpAddr::V6(base), IpAddr::V6(address)) => {
                (base.to_bits() ^ address.to_bits()).checked_shr(128 - self.prefix).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}
