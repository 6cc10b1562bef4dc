//! `corosync-cfgtool -n`: links to each other reachable node. An unreachable node is not listed.

/// A reachable node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeLinks {
    /// corosync's node id.
    pub node_id: u32,
    /// Its links: number, and whether it is connected.
    pub links: Vec<(u32, bool)>,
}

/// Reads the output. It must begin like the tool's output; an empty list of nodes is a valid answer (a node alone).
pub fn parse(output: &str) -> Result<Vec<NodeLinks>, String> {
    let mut lines = output.lines().map(str::trim).filter(|line| !line.is_empty());
    match lines.next() {
        Some(first) if first.starts_with("Local node ID") => {}
        other => return Err(format!("corosync-cfgtool began with {:?}", other.unwrap_or("nothing"))),
    }
    let mut nodes: Vec<NodeLinks> = Vec::new();
    for line in lines {
        if let Some(rest) = line.strip_prefix("nodeid:") {
            let mut words = rest.split_whitespace();
            let id = words.next().and_then(|id| id.parse().ok());
            let node_id = id.ok_or_else(|| format!("corosync-cfgtool printed {line:?}"))?;
            // Some builds might list an unreachable node with that word; it has no connected link then.
            nodes.push(NodeLinks { node_id, links: Vec::new() });
        } else if let Some(rest) = line.strip_prefix("LINK:") {
            let words: Vec<&str> = rest.split_whitespace().collect();
            let number = words.first().and_then(|number| number.parse().ok());
            let (Some(number), Some(node)) = (number, nodes.last_mut()) else {
                return Err(format!("corosync-cfgtool printed {line:?}"));
            };
            node.links.push((number, words.contains(&"connected")));
        }
    }
    Ok(nodes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cut_link_lacks_the_word_connected() {
        let text = "Local node ID 1, transport knet\nnodeid: 3 reachable   onwire (min/max/cur): 0, 1, 1\n\
                    \x20  LINK: 0 udp (10.20.0.1->10.20.0.3) enabled mtu: 1397\n\
                    \x20  LINK: 1 udp (10.21.0.1->10.21.0.3) enabled connected mtu: 1397\n";
        assert_eq!(parse(text), Ok(vec![NodeLinks { node_id: 3, links: vec![(0, false), (1, true)] }]));
        assert!(parse("Could not initialize corosync configuration API error 2").is_err());
    }
}
