//! A node's own view of votes, members and links: by shell, so that it works without quorum and without the API.

use std::collections::BTreeMap;

use quorate_core::ids::NodeName;
use quorate_core::observed::{Observed, WhyUnknown};
use quorate_core::snapshot::{EtcPve, Link, Member, Qdevice, QuorumView};

use super::membership::Membership;
use super::reader::shell_source;
use super::shell::{NodeShell, QUICK};
use crate::ports::Exit;
use crate::wire::cfgtool::{self, NodeLinks};
use crate::wire::quorumtool::{self, Quorumtool};

const QUORUMTOOL: [&str; 2] = ["corosync-quorumtool", "-s"];
const CFGTOOL: [&str; 2] = ["corosync-cfgtool", "-n"];
/// PVE itself goes by the mode of this link: without quorum, pmxcfs removes its write bits.
const LOCAL: [&str; 4] = ["stat", "-c", "%a", "/etc/pve/local"];

/// Reads one node's view.
pub(super) async fn read(shell: &NodeShell<'_>, node: &NodeName, membership: &Membership) -> Observed<QuorumView> {
    let (votes, links) = tokio::join!(votes(shell, node), shell.parsed(&CFGTOOL, QUICK, cfgtool::parse));
    let view = super::reader::both(votes, links)
        .and_then(|(votes, links)| view(node, &membership.ids, &membership.links, votes, links));
    view.into()
}

/// The same without the cluster's help, based on corosync.conf.
pub(super) async fn read_alone(
    shell: &NodeShell<'_>,
    node: &NodeName,
    ids: &BTreeMap<u32, NodeName>,
    addresses: &BTreeMap<NodeName, Vec<String>>,
) -> Observed<QuorumView> {
    let (votes, links) = tokio::join!(votes(shell, node), shell.parsed(&CFGTOOL, QUICK, cfgtool::parse));
    super::reader::both(votes, links).and_then(|(votes, links)| view(node, ids, addresses, votes, links)).into()
}

/// Exit status 2 only means "not quorate"; 1 is an error.
async fn votes(shell: &NodeShell<'_>, node: &NodeName) -> Result<Quorumtool, WhyUnknown> {
    let output = shell.run(&QUORUMTOOL, QUICK).await?;
    match output.exit {
        Exit::Status(0 | 2) => {
            quorumtool::parse(&output.stdout).map_err(|reason| WhyUnknown::new(shell_source(node, &QUORUMTOOL), reason))
        }
        _ => Err(shell.failed(&QUORUMTOOL, &output)),
    }
}

/// Is `/etc/pve` writable there?
pub(super) async fn etc_pve(shell: &NodeShell<'_>) -> Observed<EtcPve> {
    local_mode(shell).await.into()
}

async fn local_mode(shell: &NodeShell<'_>) -> Result<EtcPve, WhyUnknown> {
    let output = shell.run(&LOCAL, QUICK).await?;
    if output.exit == Exit::Status(1) {
        return Ok(EtcPve::NotMounted);
    }
    if !output.succeeded() {
        return Err(shell.failed(&LOCAL, &output));
    }
    let owner = output.stdout.trim().chars().rev().nth(2).and_then(|digit| digit.to_digit(8));
    match owner {
        Some(bits) if bits & 2 != 0 => Ok(EtcPve::Writable),
        Some(_) => Ok(EtcPve::ReadOnly),
        None => Err(shell.misread(&LOCAL, format!("it printed {:?}", output.stdout.trim()))),
    }
}

fn view(
    node: &NodeName,
    ids: &BTreeMap<u32, NodeName>,
    addresses: &BTreeMap<NodeName, Vec<String>>,
    votes: Quorumtool,
    links: Vec<NodeLinks>,
) -> Result<QuorumView, WhyUnknown> {
    let mut members = BTreeMap::new();
    for member in &votes.members {
        let name = name_of(node, ids, member.node_id, &QUORUMTOOL)?;
        members.insert(name, Member { node_id: member.node_id, votes: member.votes });
    }
    let mut reachable = BTreeMap::new();
    for other in links {
        let name = name_of(node, ids, other.node_id, &CFGTOOL)?;
        let mut links: Vec<Link> = other.links.iter().map(|&(number, connected)| Link { number, connected }).collect();
        links.sort_by_key(|link| link.number);
        reachable.insert(name, links);
    }
    let most = reachable.values().map(|links| u32::try_from(links.len()).unwrap_or(u32::MAX)).max().unwrap_or(0);
    // The row of the node that was asked says whether *it* is in contact with the device.
    let heard = votes.members.iter().find(|member| member.local).and_then(|member| member.qdevice.as_deref());
    let qdevice = votes.qdevice.map(|device| Qdevice {
        votes: device.votes,
        casting: device.casting && heard.is_none_or(|column| column.starts_with("A,V")),
    });
    Ok(QuorumView {
        quorate: votes.quorate,
        expected_votes: votes.expected_votes,
        total_votes: votes.total_votes,
        quorum: votes.quorum,
        members,
        qdevice,
        links: reachable,
        configured_links: addresses
            .get(node)
            .map_or(0, |links| u32::try_from(links.len()).unwrap_or(u32::MAX))
            .max(most),
        link_addresses: addresses.get(node).cloned().unwrap_or_default(),
    })
}

fn name_of(node: &NodeName, ids: &BTreeMap<u32, NodeName>, id: u32, tool: &[&str]) -> Result<NodeName, WhyUnknown> {
    let reason = || format!("it names node id {id}, which the cluster's configuration does not have");
    ids.get(&id).cloned().ok_or_else(|| WhyUnknown::new(shell_source(node, tool), reason()))
}
