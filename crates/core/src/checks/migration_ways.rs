//! The ways between the nodes, as migrations take them.

use core::net::IpAddr;
use std::collections::BTreeSet;

use super::check::{Asked, Check, Waivable, kinds};
use super::support::{online, some};
use crate::ids::NodeName;
use crate::policy::Policy;
use crate::snapshot::{Network, Node, Snapshot};

pub(super) struct MigrationWays;

kinds! {
    NoAddress { node: NodeName, network: String } => Blocking, node,
        ("{node} has no address in the migration network {network}: no guest can move there"),
        ("Give it one (ip address show; /etc/network/interfaces), or set another network: Datacenter, Options, \
          Migration Settings");
    SeveralAddresses { node: NodeName, network: String, addresses: Vec<String> } => Blocking, node,
        ("{node} has {} addresses in the migration network {network} ({}), and PVE takes none of them", addresses.len(),
            some(&addresses)),
        ("Make the network so small that each node has one address in it: Datacenter, Options, Migration Settings");
    NoLogin { from: NodeName, to: NodeName, at: IpAddr, said: String } => Blocking, from,
        ("{from} cannot log in at {to} ({at}) as PVE does to move a guest: {said}"),
        ("Try it on {from}: ssh -o HostKeyAlias={to} root@{at} true. A changed key: pvecm updatecerts on {to}, then on \
          {from}");
    LargePacketsLost { from: NodeName, to: NodeName, mtu: u32 } => Blocking, from,
        ("packets of {mtu} bytes from {from} do not reach {to}, and small ones do: a migration stands still there"),
        ("Set one MTU on all nodes and switches of that network: ip link show; ping -M do -s {} {to}", mtu.saturating_sub(28));
}

impl Check for MigrationWays {
    const ID: &'static str = "migration-ways";
    const EXPLAIN: &'static str =
        "A guest moves over SSH from its node to the other, at the node's own address or at the one that it has in the \
         migration network. PVE finds out on the way: without an address there, with two of them, or with a host key \
         that has changed, every move to the node fails; where large packets do not pass, it hangs. So each node tries \
         each other one beforehand, with the options that PVE uses and with a ping of the size of its own MTU; and once \
         a node has booted, it and the others try the ways between them again. What is found is blocking while there are guests to move. Where ping is not answered, nothing is said about packets. \
         Insecure migrations (type=insecure) use ports from 60000 on, which are not tried.";
    const WAIVABLE: Waivable = Waivable::Yes;
    // A boot may bring another MTU, and a reinstall another host key.
    const ASKED: Asked = Asked::BeforeEachNode;
    type Found = Found;

    fn look(snapshot: &Snapshot, _policy: &Policy, found: &mut Vec<Found>) {
        if !snapshot.guests.values().any(|guest| guest.may_be_running()) || online(snapshot).count() < 2 {
            return;
        }
        let network = snapshot.options.known().and_then(|options| options.migration_network.as_deref());
        for node in online(snapshot) {
            found.extend(network.and_then(|network| address(node, network)));
            ways(snapshot, node, found);
        }
    }
}

/// PVE takes the one address that a node has in the network.
fn address(node: &Node, text: &str) -> Option<Found> {
    let network = Network::parse(text)?;
    let all = node.host.network.addresses.known()?;
    let inside: BTreeSet<IpAddr> = all.iter().map(|address| address.ip).filter(|ip| network.contains(*ip)).collect();
    let (name, network) = (node.name.clone(), text.to_owned());
    match inside.len() {
        0 => Some(Found::NoAddress { node: name, network }),
        1 => None,
        _ => {
            let addresses = inside.iter().map(ToString::to_string).collect();
            Some(Found::SeveralAddresses { node: name, network, addresses })
        }
    }
}

fn ways(snapshot: &Snapshot, from: &Node, found: &mut Vec<Found>) {
    for (to, way) in from.host.network.ways.known().into_iter().flatten() {
        // One that has gone since is a matter of other checks.
        if !snapshot.nodes.get(to).is_some_and(|node| node.online.is(&true)) {
            continue;
        }
        let (from, to) = (&from.name, to);
        for login in &way.logins {
            if let Some(said) = &login.failed {
                found.push(Found::NoLogin { from: from.clone(), to: to.clone(), at: login.at, said: said.clone() });
            }
        }
        found.extend(way.lost_packets.map(|mtu| Found::LargePacketsLost { from: from.clone(), to: to.clone(), mtu }));
    }
}
