//! The ways between the nodes, tried as PVE takes them when a guest moves: its login at each of the target's addresses,
//! with its options and its file of host keys, and packets as large as the node's own card sends.
//!
//! Read with the readings for advice: on every node, or on those that have booted since; then the others try their ways
//! to these again.

use core::net::IpAddr;
use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::join_all;
use quorate_core::ids::NodeName;
use quorate_core::observed::{Observed, WhyUnknown};
use quorate_core::snapshot::{Address, Login, Network, Node, NodeNetwork, Options, Way};

use super::reader::Reader;
use super::shell::{NodeShell, QUICK};
use crate::ports::Exit;
use crate::wire::cluster::StatusEntry;
use crate::wire::ip_address;
use crate::wire::lenient::List;

/// Prints the addresses of interfaces that are up.
const ADDRESSES: [&str; 5] = ["ip", "-j", "address", "show", "up"];

/// ssh's own failures, as opposed to those of the command.
const SSH_FAILED: Exit = Exit::Status(255);

/// Completes the nodes whose readings for advice are read in this look.
pub(super) async fn read(
    reader: &Reader<'_>,
    online: &[&NodeName],
    options: &Observed<Options>,
    nodes: &mut BTreeMap<NodeName, Node>,
) {
    let waits = |name: &&NodeName| nodes.get(name).is_some_and(|node| node.host.network == not_yet());
    let anew: Vec<&NodeName> = online.iter().copied().filter(waits).collect();
    if anew.is_empty() {
        return;
    }
    let own = own_addresses(reader).await;
    let addresses = join_all(online.iter().map(|node| addresses(reader, node))).await;
    let addresses: BTreeMap<&NodeName, Result<Vec<Address>, WhyUnknown>> =
        online.iter().copied().zip(addresses).collect();
    let keys = known_hosts(reader, online).await;
    let around = Around { reader, own: &own, addresses: &addresses, keys: &keys, options };
    let ways = join_all(anew.iter().map(|from| around.ways(from, online))).await;
    let others: Vec<&NodeName> = online.iter().copied().filter(|node| !anew.contains(node)).collect();
    let again = join_all(others.iter().map(|from| around.ways(from, &anew))).await;
    for (from, ways) in others.into_iter().zip(again) {
        renew(nodes, from, ways);
    }
    for (from, ways) in anew.into_iter().zip(ways) {
        let Some(node) = nodes.get_mut(from) else { continue };
        let address = match &own {
            Ok(own) => own
                .get(from)
                .copied()
                .ok_or_else(|| WhyUnknown::new("GET /cluster/status", format!("it has no address of {from}"))),
            Err(why) => Err(why.clone()),
        };
        node.host.network =
            NodeNetwork { own: address.into(), addresses: addresses[from].clone().into(), ways: ways.into() };
    }
}

/// Ways of a node that has not booted, to those that have.
fn renew(nodes: &mut BTreeMap<NodeName, Node>, from: &NodeName, ways: Result<BTreeMap<NodeName, Way>, WhyUnknown>) {
    let Some(known) = nodes.get_mut(from).map(|node| &mut node.host.network.ways) else { return };
    match (known, ways) {
        (Observed::Known(known), Ok(ways)) => known.extend(ways),
        (known, Err(why)) => *known = Observed::Unknown(why),
        (Observed::Unknown(_), Ok(_)) => {}
    }
}

/// Until the other nodes are known as well.
pub(super) fn not_yet() -> NodeNetwork {
    NodeNetwork::unseen("this look", "not read yet")
}

/// The address that the cluster has for each node.
async fn own_addresses(reader: &Reader<'_>) -> Result<BTreeMap<NodeName, IpAddr>, WhyUnknown> {
    let list = reader.get::<List<StatusEntry>>("/cluster/status").await?;
    let nodes = list.0.into_iter().filter(|entry| entry.kind.0 == "node");
    Ok(nodes.filter_map(|entry| Some((NodeName::new(entry.name.0), entry.ip?.0.parse().ok()?))).collect())
}

async fn addresses(reader: &Reader<'_>, node: &NodeName) -> Result<Vec<Address>, WhyUnknown> {
    NodeShell::new(reader, node).parsed(&ADDRESSES, QUICK, ip_address::parse).await
}

/// Nodes with a file of their host key in `/etc/pve`, which PVE uses where it is there.
async fn known_hosts(reader: &Reader<'_>, online: &[&NodeName]) -> Result<BTreeSet<NodeName>, WhyUnknown> {
    let Some(first) = online.first() else { return Ok(BTreeSet::new()) };
    let path = |node: &NodeName| format!("/etc/pve/nodes/{node}/ssh_known_hosts");
    let paths: Vec<String> = online.iter().map(|node| path(node)).collect();
    let argv: Vec<&str> = ["stat", "-c", "%n"].into_iter().chain(paths.iter().map(String::as_str)).collect();
    let shell = NodeShell::new(reader, first);
    let output = shell.run(&argv, QUICK).await?;
    match output.exit {
        Exit::Status(0 | 1) => {
            let there = |node: &&&NodeName| output.stdout.lines().any(|line| line == path(node));
            Ok(online.iter().filter(there).map(|node| (*node).clone()).collect())
        }
        _ => Err(shell.failed(&argv, &output)),
    }
}

struct Around<'a> {
    reader: &'a Reader<'a>,
    own: &'a Result<BTreeMap<NodeName, IpAddr>, WhyUnknown>,
    addresses: &'a BTreeMap<&'a NodeName, Result<Vec<Address>, WhyUnknown>>,
    keys: &'a Result<BTreeSet<NodeName>, WhyUnknown>,
    options: &'a Observed<Options>,
}

impl Around<'_> {
    async fn ways(&self, from: &NodeName, online: &[&NodeName]) -> Result<BTreeMap<NodeName, Way>, WhyUnknown> {
        let others = online.iter().copied().filter(|to| *to != from);
        let tried = others.map(|to| async move { self.way(from, to).await.map(|way| (to.clone(), way)) });
        join_all(tried).await.into_iter().collect()
    }

    async fn way(&self, from: &NodeName, to: &NodeName) -> Result<Way, WhyUnknown> {
        let mut logins = Vec::new();
        let targets = self.targets(to)?;
        for at in &targets {
            logins.push(Login { at: *at, failed: self.login(from, to, *at).await? });
        }
        // Where the memory of a guest goes.
        let last = targets.last().copied().filter(|_| logins.iter().all(|login| login.failed.is_none()));
        let lost_packets = match last {
            Some(at) => self.lost_packets(from, at).await?,
            None => None,
        };
        Ok(Way { logins, lost_packets })
    }

    /// Its own address, by which PVE asks for the one in the network of migrations, and that one.
    fn targets(&self, to: &NodeName) -> Result<Vec<IpAddr>, WhyUnknown> {
        let own = self.own.as_ref().map_err(Clone::clone)?.get(to).copied();
        let own = own.ok_or_else(|| WhyUnknown::new("GET /cluster/status", format!("it has no address of {to}")))?;
        let network = self.options.read().map_err(Clone::clone)?.migration_network.as_deref().and_then(Network::parse);
        let all = self.addresses[to].as_ref().map_err(Clone::clone)?;
        let inside = all.iter().map(|address| address.ip).find(|ip| network.is_some_and(|it| it.contains(*ip)));
        Ok([Some(own), inside.filter(|ip| *ip != own)].into_iter().flatten().collect())
    }

    /// What ssh says if the login fails.
    async fn login(&self, from: &NodeName, to: &NodeName, at: IpAddr) -> Result<Option<String>, WhyUnknown> {
        let (alias, at) = (format!("HostKeyAlias={to}"), format!("root@{at}"));
        let file = format!("UserKnownHostsFile=/etc/pve/nodes/{to}/ssh_known_hosts");
        let mut argv = vec!["ssh", "-e", "none", "-o", "BatchMode=yes", "-o", "ConnectTimeout=5", "-o", &alias];
        if self.keys.as_ref().map_err(Clone::clone)?.contains(to) {
            argv.extend(["-o", &file, "-o", "GlobalKnownHostsFile=none"]);
        }
        argv.extend([at.as_str(), "/bin/true"]);
        let shell = NodeShell::new(self.reader, from);
        let output = shell.run(&argv, QUICK).await?;
        if output.succeeded() {
            return Ok(None);
        }
        if output.exit != SSH_FAILED {
            return Err(shell.failed(&argv, &output));
        }
        let last = output.stderr.lines().rev().map(str::trim).find(|line| !line.is_empty());
        Ok(Some(last.unwrap_or("exit status 255").to_owned()))
    }

    /// The size of packets that do not arrive, where small ones do. A node that answers neither says nothing.
    async fn lost_packets(&self, from: &NodeName, at: IpAddr) -> Result<Option<u32>, WhyUnknown> {
        let all = self.addresses[from].as_ref().map_err(Clone::clone)?;
        // What a node sends to another one does not go out by the loopback device, whose packets may be larger.
        let by = all.iter().find(|address| address.interface != "lo" && address.reaches(at));
        let Some(mtu) = by.map(|address| address.mtu) else { return Ok(None) };
        let headers = if at.is_ipv4() { 28 } else { 48 };
        if self.pings(from, at, mtu.saturating_sub(headers)).await? {
            return Ok(None);
        }
        Ok(self.pings(from, at, 56).await?.then_some(mtu))
    }

    async fn pings(&self, from: &NodeName, at: IpAddr, bytes: u32) -> Result<bool, WhyUnknown> {
        let (bytes, at) = (bytes.to_string(), at.to_string());
        let argv = ["ping", "-n", "-q", "-c", "2", "-i", "0.3", "-W", "2", "-M", "do", "-s", &bytes, &at];
        let shell = NodeShell::new(self.reader, from);
        let output = shell.run(&argv, QUICK).await?;
        match output.exit {
            Exit::Status(0) => Ok(true),
            Exit::Status(1 | 2) => Ok(false),
            _ => Err(shell.failed(&argv, &output)),
        }
    }
}
