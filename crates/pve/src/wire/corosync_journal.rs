//! corosync's lines in a node's journal (`journalctl --output=short-unix`), as far as they say which nodes joined and
//! left.

/// One relevant line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// `[TOTEM ] A new membership (1.2f) was formed. Members joined: 1 left: 2`.
    Members {
        /// Ids.
        joined: Vec<u32>,
        /// Ids.
        left: Vec<u32>,
        /// `A processor failed, forming new configuration` came before: they left without a leave message.
        vanished: bool,
    },
    /// `[TOTEM ] Failed to receive the leave message. failed: 2`: the node that left in the line before sent no leave
    /// message.
    Failed(Vec<u32>),
    /// `[KNET  ] link: host: 2 link: 0 is down`.
    Link {
        /// Node id of the peer.
        id: u32,
        /// Number of the link.
        link: u32,
        /// Up, or down.
        up: bool,
    },
    /// `[QUORUM] This node is within the primary component …`, or `the non-primary component`.
    Quorum(bool),
}

/// All relevant lines, with their times in milliseconds since 1970 by the node's clock. Other lines are skipped.
pub fn parse(text: &str) -> Vec<(u64, Line)> {
    let mut lines = Vec::new();
    let mut failed = false;
    for (at_ms, message) in text.lines().filter_map(stamped) {
        if message.contains("A processor failed, forming new configuration") {
            failed = true;
        } else if message.contains("A new membership (") {
            let (joined, left) = (ids(message, "joined:"), ids(message, "left:"));
            let vanished = std::mem::take(&mut failed);
            if !joined.is_empty() || !left.is_empty() {
                lines.push((at_ms, Line::Members { joined, left, vanished }));
            }
        } else if let Some((_, rest)) = message.split_once("Failed to receive the leave message. failed:") {
            lines.push((at_ms, Line::Failed(numbers(rest))));
        } else if message.contains("within the primary component") {
            lines.push((at_ms, Line::Quorum(true)));
        } else if message.contains("within the non-primary component") {
            lines.push((at_ms, Line::Quorum(false)));
        } else {
            lines.extend(link(message).map(|link| (at_ms, link)));
        }
    }
    lines
}

/// `1795348700.123456 pve1 corosync[1050]: …`.
fn stamped(line: &str) -> Option<(u64, &str)> {
    let (stamp, message) = line.split_once(' ')?;
    let (seconds, fraction) = stamp.split_once('.').unwrap_or((stamp, "0"));
    let millis: u64 = format!("{fraction:0<3}").get(..3)?.parse().ok()?;
    Some((seconds.parse::<u64>().ok()?.checked_mul(1000)?.checked_add(millis)?, message))
}

/// The numbers behind a word, up to the next word.
fn ids(message: &str, word: &str) -> Vec<u32> {
    message.split_once(word).map(|(_, rest)| numbers(rest)).unwrap_or_default()
}

fn numbers(text: &str) -> Vec<u32> {
    text.split_whitespace().map_while(|word| word.parse().ok()).collect()
}

fn link(message: &str) -> Option<Line> {
    let (_, rest) = message.split_once("link: host: ")?;
    let words: Vec<&str> = rest.split_whitespace().collect();
    let [id, "link:", link, "is", state, ..] = words.as_slice() else { return None };
    Some(Line::Link { id: id.parse().ok()?, link: link.parse().ok()?, up: state.starts_with("up") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_that_sent_a_leave_message_are_distinguished_from_those_that_did_not() {
        let text = "1795348700.250000 pve3 corosync[9]:   [TOTEM ] A new membership (1.2f) was formed. Members left: 1\n\
                    1795348710.5 pve3 corosync[9]:   [KNET  ] link: host: 2 link: 0 is down\n\
                    1795348711.000001 pve3 corosync[9]:   [TOTEM ] A processor failed, forming new configuration: token \
                    timed out (3650ms), waiting 4380ms for consensus.\n\
                    1795348715.0 pve3 corosync[9]:   [TOTEM ] A new membership (3.33) was formed. Members left: 2\n\
                    1795348715.0 pve3 corosync[9]:   [TOTEM ] Failed to receive the leave message. failed: 2\n\
                    1795348715.1 pve3 corosync[9]:   [QUORUM] This node is within the non-primary component and will NOT \
                    provide any services.\n\
                    -- Boot 1234 --\nrubbish\n";
        let members = |left: u32, vanished| Line::Members { joined: vec![], left: vec![left], vanished };
        let expected = [
            (1_795_348_700_250, members(1, false)),
            (1_795_348_710_500, Line::Link { id: 2, link: 0, up: false }),
            (1_795_348_715_000, members(2, true)),
            (1_795_348_715_000, Line::Failed(vec![2])),
            (1_795_348_715_100, Line::Quorum(false)),
        ];
        assert_eq!(parse(text), expected);
    }

    #[test]
    fn joins_and_leaves_in_one_line_are_distinguished() {
        let text =
            "1795348700 pve3 corosync[9]: [TOTEM ] A new membership (1.2f) was formed. Members joined: 1 4 left: 2";
        let line = Line::Members { joined: vec![1, 4], left: vec![2], vanished: false };
        assert_eq!(parse(text), [(1_795_348_700_000, line)]);
    }
}
