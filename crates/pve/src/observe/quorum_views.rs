//! Every node asked on its own, by shell alone: what can be read when no node has quorum and no API may answer.
//!
//! Nothing here needs the cluster: names and votes come from corosync.conf as the nodes have it on their own disks.
//! Times are converted to our clock, because the clocks of two nodes differ.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::join_all;
use quorate_core::ids::{BootId, NodeName, UnixMs};
use quorate_core::observed::WhyUnknown;
use quorate_core::recovery::{Heard, HeardWhat, LrmReport, NodeReport, QuorumViews};
use serde::Deserialize;

use super::meanwhile::Meanwhile;
use super::quorum;
use super::reader::{Allowed, Deadline, Reader, Wait};
use super::shell::{BOOT_ID, DATE, NodeShell, QUICK, date};
use crate::ports::{Bound, Ports, percent_encoded};
use crate::wire::corosync_conf::{self, CorosyncConf};
use crate::wire::corosync_journal::{self, Line};
use crate::wire::lenient::{self, Int, Text};

/// The copy that corosync itself reads: it exists without pmxcfs.
const CONF: [&str; 2] = ["cat", "/etc/corosync/corosync.conf"];
const UPTIME: [&str; 2] = ["cat", "/proc/uptime"];
const JOURNAL: [&str; 7] =
    ["journalctl", "--unit=corosync", "--since=-24h", "--lines=5000", "--output=short-unix", "--no-pager", "--quiet"];

/// How long a node may take for its first answer: a node with active HA has a minute without quorum, and a dead one
/// must not take most of it.
const FIRST: Allowed = Allowed { wait: Wait::AtMost(ANSWER), bound: Bound::USUAL };
const ANSWER: Duration = Duration::from_secs(6);

/// How long all of it may take, in first answers that do not come.
const ANSWERS: u32 = 4;

/// Asks all nodes at once. Ends in bounded time, and always with a view per node, unknown where it failed.
pub async fn quorum_views(ports: &Ports, known_nodes: &[NodeName]) -> QuorumViews {
    let meanwhile = Meanwhile::default();
    let reader = Reader::new(ports, &meanwhile, &[], known_nodes, Deadline::after(ports, ANSWER, ANSWERS));
    let mut first: BTreeMap<NodeName, First> = ask(&reader, known_nodes.iter()).await;
    let mut confs = first.values().map(|first| first.conf.clone());
    let silent = || Err(WhyUnknown::new(CONF.join(" "), "no node is known"));
    let conf = confs.find(Result::is_ok).or_else(|| first.values().next().map(|first| first.conf.clone()));
    let conf = conf.unwrap_or_else(silent);
    let named = |conf: &CorosyncConf| {
        let nodes = conf.nodes.iter();
        nodes.map(|node| (NodeName::new(node.name.0.clone()), node.clone())).collect::<BTreeMap<_, _>>()
    };
    let nodes = conf.as_ref().map(named).unwrap_or_default();
    let more: Vec<&NodeName> = nodes.keys().filter(|name| !first.contains_key(*name)).collect();
    first.extend(ask(&reader, more.into_iter()).await);
    let ids: BTreeMap<u32, NodeName> =
        nodes.iter().filter_map(|(name, node)| Some((node.nodeid?.small(), name.clone()))).collect();
    let addresses = nodes.iter().map(|(name, node)| (name.clone(), node.links())).collect();
    let known = Known { ids, addresses };
    let reports = join_all(first.iter().map(|(name, first)| report(&reader, name, &first.uptime_s, &known))).await;
    let votes = nodes.iter().map(|(name, node)| (name.clone(), node.quorum_votes.map_or(1, Int::small))).collect();
    QuorumViews {
        taken: ports.clock.now(),
        votes: conf.as_ref().map(|_| votes).map_err(Clone::clone).into(),
        device_votes: conf.as_ref().map(|conf| conf.device_votes).map_err(Clone::clone).into(),
        nodes: first.keys().cloned().zip(reports).collect(),
    }
}

/// What each node is asked first: whether it answers at all, and who else there is.
struct First {
    uptime_s: Result<u64, WhyUnknown>,
    conf: Result<CorosyncConf, WhyUnknown>,
}

async fn ask(reader: &Reader<'_>, names: impl Iterator<Item = &NodeName>) -> BTreeMap<NodeName, First> {
    let asked = names.map(async |name| {
        let shell = NodeShell::new(reader, name);
        // The first command proves the connection; if it fails, nothing else is tried.
        let uptime_s = shell.parsed(&UPTIME, FIRST, uptime).await;
        let conf = match &uptime_s {
            Ok(_) => shell.parsed(&CONF, FIRST, corosync_conf::parse).await,
            Err(why) => Err(why.clone()),
        };
        (name.clone(), First { uptime_s, conf })
    });
    join_all(asked).await.into_iter().collect()
}

/// What corosync.conf says about all nodes.
struct Known {
    ids: BTreeMap<u32, NodeName>,
    addresses: BTreeMap<NodeName, Vec<String>>,
}

async fn report(reader: &Reader<'_>, node: &NodeName, uptime_s: &Result<u64, WhyUnknown>, known: &Known) -> NodeReport {
    let uptime_s = match uptime_s {
        Ok(uptime_s) => *uptime_s,
        Err(why) => return NodeReport::silent(&why.source, &why.reason),
    };
    let shell = NodeShell::new(reader, node);
    // The view first: it is what is asked for, and nothing that hangs may keep it waiting.
    let (view, etc_pve, boot, (lrm, heard)) = tokio::join!(
        quorum::read_alone(&shell, node, &known.ids, &known.addresses),
        quorum::etc_pve(&shell),
        shell.parsed(&BOOT_ID, QUICK, |text| Ok(BootId::new(text.trim()))),
        async {
            let ahead_ms = ahead_ms(&shell).await;
            tokio::join!(lrm(&shell, node, ahead_ms), heard(&shell, &known.ids, ahead_ms))
        },
    );
    NodeReport { boot: boot.into(), uptime_s: Ok(uptime_s).into(), view, etc_pve, lrm: lrm.into(), heard: heard.into() }
}

fn uptime(text: &str) -> Result<u64, String> {
    let seconds = text.split('.').next().and_then(|whole| whole.trim().parse().ok());
    seconds.ok_or_else(|| format!("it printed {text:?}"))
}

/// How far the node's clock is ahead of ours. If its clock cannot be read, it is assumed to be right: a shell that
/// answers knows the time.
async fn ahead_ms(shell: &NodeShell<'_>) -> i64 {
    let Ok((output, before, after)) = shell.timed(&DATE, QUICK).await else { return 0 };
    date(&output.stdout).map_or(0, |theirs| theirs.ahead_ms(UnixMs(before.0.midpoint(after.0))))
}

#[derive(Deserialize)]
struct Status {
    state: Option<Text>,
    timestamp: Option<Int>,
}

/// `None` where the node never ran a local resource manager, or pmxcfs is not running.
async fn lrm(shell: &NodeShell<'_>, node: &NodeName, ahead_ms: i64) -> Result<Option<LrmReport>, WhyUnknown> {
    let path = format!("/etc/pve/nodes/{}/lrm_status", percent_encoded(node.as_str()));
    let argv = ["cat", &path];
    let output = shell.run(&argv, QUICK).await?;
    if !output.succeeded() && output.stderr.contains("No such file") {
        return Ok(None);
    }
    if !output.succeeded() {
        return Err(shell.failed(&argv, &output));
    }
    if output.stdout.trim().is_empty() {
        return Ok(None);
    }
    let status: Status = lenient::read_text(&output.stdout).map_err(|reason| shell.misread(&argv, reason))?;
    let (Some(state), Some(timestamp)) = (status.state, status.timestamp) else {
        return Err(shell.misread(&argv, "it has no state or no timestamp".to_owned()));
    };
    let written = UnixMs(timestamp.unsigned().saturating_mul(1000)).shifted(-ahead_ms);
    Ok(Some(LrmReport { state: state.0, written }))
}

async fn heard(shell: &NodeShell<'_>, ids: &BTreeMap<u32, NodeName>, ahead_ms: i64) -> Result<Vec<Heard>, WhyUnknown> {
    let lines = shell.parsed(&JOURNAL, QUICK, |text| Ok(corosync_journal::parse(text))).await?;
    let mut heard: Vec<Heard> = Vec::new();
    for (at_ms, line) in lines {
        let at = UnixMs(at_ms).shifted(-ahead_ms);
        let name = |id: u32| ids.get(&id).cloned();
        let mut add = |what: Option<HeardWhat>| heard.extend(what.map(|what| Heard { at, what }));
        match line {
            Line::Members { joined, left, vanished } => {
                joined.into_iter().for_each(|id| add(name(id).map(HeardWhat::Joined)));
                let gone = if vanished { HeardWhat::Vanished } else { HeardWhat::Left };
                left.into_iter().for_each(|id| add(name(id).map(gone)));
            }
            Line::Failed(ids) => {
                let failed: Vec<NodeName> = ids.into_iter().filter_map(name).collect();
                for earlier in heard.iter_mut().rev().take(failed.len()) {
                    if let HeardWhat::Left(who) = &earlier.what
                        && failed.contains(who)
                    {
                        earlier.what = HeardWhat::Vanished(who.clone());
                    }
                }
            }
            Line::Link { id, link, up: true } => add(name(id).map(|peer| HeardWhat::LinkUp(peer, link))),
            Line::Link { id, link, up: false } => add(name(id).map(|peer| HeardWhat::LinkDown(peer, link))),
            Line::Quorum(true) => add(Some(HeardWhat::QuorumBack)),
            Line::Quorum(false) => add(Some(HeardWhat::QuorumLost)),
        }
    }
    Ok(heard)
}
