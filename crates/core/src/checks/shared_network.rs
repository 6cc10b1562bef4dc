//! Migrations, or Ceph's copies, that travel where corosync's heartbeat does.

use core::net::IpAddr;
use std::collections::BTreeSet;

use super::support::{Report, views};
use super::{Check, Finding, Severity, Subject};
use crate::ids::NodeName;
use crate::policy::Policy;
use crate::snapshot::Snapshot;

pub(super) struct SharedNetwork;

impl Check for SharedNetwork {
    fn id(&self) -> &'static str {
        "shared-network"
    }

    fn explain(&self) -> &'static str {
        "A migration fills its network, and corosync's token has to pass within a second or three. If every link of \
         corosync lies in the network that migrations use, a drain can starve the heartbeat: members are lost, and nodes \
         with active HA reset themselves. So does Ceph when a node comes back and its copies catch up. A warning where \
         the network of migrations is known and holds all links of a node, or where OSDs serve at all of its link \
         addresses. Give corosync a link of its own (ring1_addr in /etc/pve/corosync.conf), or migrations a network of \
         their own (Datacenter, Options, Migration Settings), or limit their bandwidth there."
    }

    fn run(&self, snapshot: &Snapshot, _policy: &Policy) -> Vec<Finding> {
        let mut report = Report::of(self);
        with_ceph(snapshot, &mut report);
        let network = snapshot.options.known().and_then(|options| options.migration_network.as_deref());
        let Some(network) = network.and_then(Network::parse) else { return report.findings() };
        let starved = |addresses: &[String]| {
            let addresses: Option<Vec<IpAddr>> = addresses.iter().map(|text| text.parse().ok()).collect();
            addresses.is_some_and(|all| !all.is_empty() && all.iter().all(|address| network.contains(*address)))
        };
        let nodes: Vec<&str> =
            views(snapshot).filter(|(_, view)| starved(&view.link_addresses)).map(|(node, _)| node.as_str()).collect();
        if !nodes.is_empty() {
            let problem = format!("all corosync links of {} lie in the network of migrations", nodes.join(", "));
            let remedy =
                "Give corosync a link of its own, or migrations a network of their own, or limit their bandwidth";
            report.add(Severity::Warning, Subject::Cluster, problem, remedy);
        }
        report.findings()
    }
}

/// All links of a node are addresses at which its OSDs serve.
fn with_ceph(snapshot: &Snapshot, report: &mut Report) {
    let Some(Some(ceph)) = snapshot.ceph.known() else { return };
    let shared = |node: &NodeName, links: &[String]| {
        let osds = ceph.osds.values().filter(|osd| osd.node == *node);
        let served: BTreeSet<IpAddr> = osds.flat_map(|osd| osd.addresses.iter().copied()).collect();
        let links: Option<Vec<IpAddr>> = links.iter().map(|text| text.parse().ok()).collect();
        links.is_some_and(|links| !links.is_empty() && links.iter().all(|link| served.contains(link)))
    };
    let nodes: Vec<&str> =
        views(snapshot).filter(|(node, view)| shared(node, &view.link_addresses)).map(|(node, _)| node.as_str()).collect();
    if !nodes.is_empty() {
        let problem = format!("all corosync links of {} are addresses at which their OSDs serve", nodes.join(", "));
        let remedy = "Give corosync a link of its own: Ceph's copies fill its network when a node comes back";
        report.add(Severity::Warning, Subject::Cluster, problem, remedy);
    }
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
