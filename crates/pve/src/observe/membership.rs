//! Which nodes belong to the cluster, and which are online: as seen by *other* nodes, never by a node itself.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::future::join_all;
use quorate_core::ids::NodeName;
use quorate_core::observed::{Observed, WhyUnknown};

use super::look::Look;
use super::reader::{Reader, api_why};
use super::shell::{NodeShell, QUICK};
use crate::wire::cluster::{ConfigNode, Status};
use crate::wire::corosync_conf::{self, CorosyncConf};
use crate::wire::lenient::{self, List};

/// How many endpoints are asked which nodes are online; each further one is needed only for what the others cannot say.
const MAX_VIEWS: usize = 3;

/// The configured members, and which of them are online.
#[derive(Debug)]
pub(super) struct Membership {
    /// All nodes, sorted.
    pub(super) names: Vec<NodeName>,
    /// corosync's node ids.
    pub(super) ids: BTreeMap<u32, NodeName>,
    /// Votes in the configuration.
    pub(super) votes: Observed<BTreeMap<NodeName, u32>>,
    /// Links in the configuration.
    pub(super) links: BTreeMap<NodeName, Vec<String>>,
    /// Seen as a member by another node.
    pub(super) online: BTreeMap<NodeName, Observed<bool>>,
    /// The cluster's name.
    pub(super) cluster_name: Observed<String>,
}

impl Membership {
    /// Is this node known to be offline?
    pub(super) fn is_offline(&self, node: &NodeName) -> bool {
        self.online.get(node).is_some_and(|online| online.is(&false))
    }

    /// Nodes that are online, with the current node last.
    pub(super) fn present(&self, look: &Look<'_>) -> Vec<&NodeName> {
        let online = |name: &&NodeName| !self.is_offline(name);
        let mut present: Vec<&NodeName> = self.names.iter().filter(online).collect();
        present.sort_by_key(|name| (look.avoid.contains(name) || look.focus.contains(name), *name));
        present
    }
}

/// One endpoint's view.
#[derive(Debug)]
struct View {
    /// The node that answered; none if the answer does not say.
    by: Option<NodeName>,
    quorate: bool,
    cluster: Option<String>,
    online: BTreeMap<NodeName, bool>,
    ids: BTreeMap<u32, NodeName>,
}

/// What endpoints answered, and why no further one did.
#[derive(Debug, Default)]
struct Views {
    views: Vec<View>,
    last_failure: Option<String>,
}

/// Reads the membership.
pub(super) async fn read(reader: &Reader<'_>, look: &Look<'_>) -> Membership {
    let config_path = "/cluster/config/nodes";
    let (config, views) = tokio::join!(reader.get::<List<ConfigNode>>(config_path), views(reader));
    let mut config = config.map(|list| CorosyncConf { nodes: list.0, ..CorosyncConf::default() });
    if config.is_err()
        && views.is_err()
        && let Some(file) = config_from_shell(reader, look).await
    {
        config = Ok(file);
    }
    assemble(config, views, look)
}

/// Asks until another, quorate node has reported on every node, or no further node answers.
async fn views(reader: &Reader<'_>) -> Result<Views, WhyUnknown> {
    let path = "/cluster/status";
    let (mut views, mut last_failure) = (Vec::<View>::new(), None);
    let mut asked: Vec<NodeName> = Vec::new();
    for round in 0..MAX_VIEWS {
        let answer = reader.get_avoiding(path, &asked).await.map_err(|error| api_why(path, &error));
        let read = answer.and_then(|value| {
            lenient::read::<Status>(value).map_err(|reason| WhyUnknown::new(format!("GET {path}"), reason))
        });
        match read {
            Ok(status) => views.push(view(&status)),
            Err(why) if round == 0 => return Err(why),
            Err(why) => {
                last_failure = Some(why.reason);
                break;
            }
        }
        let newest = views.last().and_then(|view| view.by.clone());
        // An answer that does not say whose it is, or one that we had already: no other node can be reached.
        let Some(by) = newest.filter(|by| !asked.contains(by)) else { break };
        asked.push(by);
        let judged = |name: &NodeName| views.iter().any(|view| view.quorate && view.by.as_ref() != Some(name));
        if views[0].online.len() < 2 || views[0].online.keys().all(judged) {
            break;
        }
    }
    Ok(Views { views, last_failure })
}

fn view(status: &Status) -> View {
    let set = |flag: Option<lenient::Flag>| flag.is_some_and(|flag| flag.0);
    let mut view = View { by: None, quorate: false, cluster: None, online: BTreeMap::new(), ids: BTreeMap::new() };
    for entry in &status.0 {
        if entry.kind.0 == "cluster" {
            view.quorate = set(entry.quorate);
            view.cluster = Some(entry.name.0.clone());
        } else if entry.kind.0 == "node" {
            let name = NodeName::new(entry.name.0.clone());
            if set(entry.local) {
                view.by = Some(name.clone());
            }
            if let Some(id) = entry.nodeid {
                view.ids.insert(id.small(), name.clone());
            }
            view.online.insert(name, set(entry.online));
        }
    }
    view
}

/// `corosync.conf` by shell from the first node of the configuration file that has it: works without any API. All are
/// asked at once, so that one that hangs takes no more of the look than all.
async fn config_from_shell(reader: &Reader<'_>, look: &Look<'_>) -> Option<CorosyncConf> {
    const CONF: [&str; 2] = ["cat", "/etc/pve/corosync.conf"];
    let confs = look
        .known_nodes
        .iter()
        .map(|node| async { NodeShell::new(reader, node).parsed(&CONF, QUICK, corosync_conf::parse).await.ok() });
    join_all(confs).await.into_iter().flatten().next()
}

fn assemble(config: Result<CorosyncConf, WhyUnknown>, views: Result<Views, WhyUnknown>, look: &Look<'_>) -> Membership {
    let seen = views.as_ref().map_or(&[][..], |views| &views.views);
    let configured: &[ConfigNode] = config.as_ref().map_or(&[], |conf| &conf.nodes);
    let mut names: BTreeSet<NodeName> = seen.iter().flat_map(|view| view.online.keys().cloned()).collect();
    names.extend(configured.iter().map(|node| NodeName::new(node.name.0.clone())));
    if names.is_empty() {
        names.extend(look.known_nodes.iter().cloned());
    }
    let mut ids: BTreeMap<u32, NodeName> = seen.iter().flat_map(|view| view.ids.clone()).collect();
    let named = |node: &ConfigNode| NodeName::new(node.name.0.clone());
    ids.extend(configured.iter().filter_map(|node| Some((node.nodeid?.small(), named(node)))));
    let votes = match &config {
        // corosync's default is one vote.
        Ok(conf) => Observed::Known(
            conf.nodes.iter().map(|node| (named(node), node.quorum_votes.map_or(1, |votes| votes.small()))).collect(),
        ),
        Err(why) => Observed::Unknown(why.clone()),
    };
    let cluster_name = match (seen.iter().find_map(|view| view.cluster.clone()), &config, &views) {
        (Some(name), _, _) => Observed::Known(name),
        (None, Ok(CorosyncConf { cluster_name: Some(name), .. }), _) => Observed::Known(name.clone()),
        (None, _, Err(why)) => Observed::Unknown(why.clone()),
        (None, _, Ok(_)) => Observed::unknown("GET /cluster/status", "this node belongs to no cluster"),
    };
    Membership {
        online: names.iter().map(|name| (name.clone(), online(name, &views, &look.avoid))).collect(),
        links: configured.iter().map(|node| (named(node), node.links())).collect(),
        names: names.into_iter().collect(),
        ids,
        votes,
        cluster_name,
    }
}

/// What another node reports, preferably a quorate one.
fn online(name: &NodeName, views: &Result<Views, WhyUnknown>, avoid: &[NodeName]) -> Observed<bool> {
    let (views, last_failure) = match views {
        Ok(Views { views, last_failure }) => (views, last_failure),
        Err(why) => return Observed::Unknown(why.clone()),
    };
    let others = || views.iter().filter(|view| view.by.is_some() && view.by.as_ref() != Some(name));
    let word = others().find(|view| view.quorate).or_else(|| others().next()).and_then(|view| view.online.get(name));
    if let Some(online) = word {
        return Observed::Known(*online);
    }
    if views.iter().any(|view| view.by.as_ref() == Some(name) && view.is_alone(name, avoid)) {
        return Observed::Known(true);
    }
    let source = format!("GET /cluster/status on a node other than {name}");
    let why = last_failure.as_ref().map_or_else(String::new, |why| format!(" ({why})"));
    Observed::unknown(
        source,
        format!("no other node answers{why}, and what a node reports about itself does not count"),
    )
}

impl View {
    /// Is there no other node that could be asked about the node that answered?
    ///
    /// A cluster of one has no other. With two nodes, the other is away or being upgraded while this one holds
    /// the quorum, with a third vote elsewhere: a quorate node belongs to the cluster. Without quorum, it does not.
    fn is_alone(&self, name: &NodeName, avoid: &[NodeName]) -> bool {
        let askable = |(other, online): (&NodeName, &bool)| other != name && *online && !avoid.contains(other);
        self.online.len() == 1 || (self.quorate && !self.online.iter().any(askable))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn seen_by(by: &str, quorate: u8, online: &[(&str, u8)]) -> View {
        let nodes = online.iter().map(|(name, online)| {
            json!({"type": "node", "name": name, "online": online, "local": u8::from(*name == by), "nodeid": 1})
        });
        let cluster = json!({"type": "cluster", "name": "lab", "quorate": quorate});
        let entries: Vec<_> = nodes.chain([cluster]).collect();
        view(&lenient::read(json!(entries)).unwrap())
    }

    fn all(views: Vec<View>) -> Result<Views, WhyUnknown> {
        Ok(Views { views, last_failure: None })
    }

    #[test]
    fn why_no_other_node_answers_is_in_the_reason() {
        let views = vec![seen_by("a", 1, &[("a", 1), ("b", 1)])];
        let last_failure = Some("b shows the certificate AA, but BB is pinned".to_owned());
        let online = online(&"a".into(), &Ok(Views { views, last_failure }), &[]);
        let Observed::Unknown(why) = online else { panic!("{online:?}") };
        assert!(why.reason.contains("no other node answers (b shows the certificate AA, but BB is pinned)"), "{why}");
    }

    #[test]
    fn a_node_that_answers_for_itself_only_is_not_known_to_be_online() {
        let views = all(vec![seen_by("a", 1, &[("a", 1), ("b", 1), ("c", 0)])]);
        assert_eq!(online(&"c".into(), &views, &[]), Observed::Known(false));
        assert!(online(&"a".into(), &views, &[]).known().is_none());
    }

    #[test]
    fn of_two_nodes_the_quorate_one_is_online_while_the_other_is_away_and_without_quorum_it_is_not_known() {
        let quorate = all(vec![seen_by("a", 1, &[("a", 1), ("b", 0)])]);
        assert_eq!(online(&"a".into(), &quorate, &[]), Observed::Known(true));
        let current_node = all(vec![seen_by("a", 1, &[("a", 1), ("b", 1)])]);
        assert_eq!(online(&"a".into(), &current_node, &["b".into()]), Observed::Known(true));
        let lost = all(vec![seen_by("a", 0, &[("a", 1), ("b", 0)])]);
        assert!(online(&"a".into(), &lost, &[]).known().is_none());
    }

    #[test]
    fn what_a_quorate_node_reports_outweighs_what_an_isolated_one_reports() {
        let isolated = seen_by("a", 0, &[("a", 1), ("b", 0), ("c", 0)]);
        let quorate = seen_by("b", 1, &[("a", 0), ("b", 1), ("c", 1)]);
        let views = all(vec![isolated, quorate]);
        assert_eq!(online(&"a".into(), &views, &[]), Observed::Known(false));
        assert_eq!(online(&"c".into(), &views, &[]), Observed::Known(true));
    }
}
