//! `corosync.conf`: names, ids and votes of the configured nodes, for when no API answers.

use super::cluster::ConfigNode;
use super::lenient::{Int, Text};

/// The relevant part of the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CorosyncConf {
    /// `cluster_name`.
    pub cluster_name: Option<String>,
    /// The node list, in the shape that the API returns.
    pub nodes: Vec<ConfigNode>,
    /// `quorum { device { votes } }`: 0 where no device is configured.
    pub device_votes: u32,
}

/// Reads the file.
pub fn parse(text: &str) -> Result<CorosyncConf, String> {
    let mut conf = CorosyncConf::default();
    let mut node: Option<ConfigNode> = None;
    let mut sections: Vec<&str> = Vec::new();
    for line in text.lines().map(str::trim) {
        if let Some(section) = line.strip_suffix('{') {
            sections.push(section.trim());
            if sections == ["nodelist", "node"] {
                node = Some(ConfigNode::default());
            }
        } else if line == "}" {
            sections.pop();
            conf.nodes.extend(if sections == ["nodelist"] { node.take() } else { None });
        } else if let Some((key, value)) = line.split_once(':') {
            let (key, value) = (key.trim(), value.trim());
            match (&mut node, key) {
                (None, "votes") if sections == ["quorum", "device"] => {
                    conf.device_votes =
                        value.parse().map_err(|_| format!("corosync.conf gives its device {value:?} votes"))?;
                }
                (None, "cluster_name") => conf.cluster_name = Some(value.to_owned()),
                (Some(node), _) => set(node, key, value),
                _ => {}
            }
        }
    }
    conf.nodes.sort_by(|a, b| a.name.cmp(&b.name));
    if conf.nodes.is_empty() { Err("corosync.conf names no node".to_owned()) } else { Ok(conf) }
}

fn set(node: &mut ConfigNode, key: &str, value: &str) {
    match key {
        "name" => node.name = Text(value.to_owned()),
        "nodeid" => node.nodeid = value.parse().ok().map(Int),
        "quorum_votes" => node.quorum_votes = value.parse().ok().map(Int),
        _ => {
            node.rest.insert(key.to_owned(), serde_json::Value::String(value.to_owned()));
        }
    }
}
