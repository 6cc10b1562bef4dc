//! What corosync complained about in the last day.

use super::check::{Asked, Check, Waivable, kinds};
use super::support::online;
use crate::ids::NodeName;
use crate::policy::Policy;
use crate::snapshot::Snapshot;

pub(super) struct CorosyncNoise;

/// Below this a day's retransmits are those of any network.
const MANY_RETRANSMITS: u32 = 20;

kinds! {
    Noise { node: NodeName, retransmits: u32, links_lost: u32, tokens_lost: u32 } => Warning, node,
        ("corosync on {node} complained in the last day: {retransmits} retransmits, {links_lost} links lost, \
          {tokens_lost} tokens lost"),
        ("Find the cause before guests migrate: journalctl -u corosync --since -24h on {node}");
}

impl Check for CorosyncNoise {
    const ID: &'static str = "corosync-noise";
    const EXPLAIN: &'static str =
        "corosync writes into its journal when packets had to be sent again, when a link was lost, and when the token \
         of its ring did not come round. A network that does this in quiet times will do worse while guests migrate, \
         and a node with active HA that loses the others resets itself. More than a few retransmits in the last day, \
         or a lost link or token that no reboot explains, are a warning. Look at the switch, at MTU and at what shares \
         the network: `journalctl -u corosync --since -24h`.";
    const WAIVABLE: Waivable = Waivable::Yes;
    const ASKED: Asked = Asked::BeforeARun;
    type Found = Found;

    fn look(snapshot: &Snapshot, _policy: &Policy, found: &mut Vec<Found>) {
        const DAY_S: u64 = 24 * 3600;
        // A member that was rebooted today made all the others lose its links and a token.
        let quiet_day = online(snapshot).all(|node| node.uptime_s.known().is_some_and(|uptime_s| *uptime_s > DAY_S));
        for node in online(snapshot) {
            let Some(seen) = node.host.corosync_complaints.known() else { continue };
            let (retransmits, links_lost, tokens_lost) = (seen.retransmits, seen.links_lost, seen.tokens_lost);
            if retransmits >= MANY_RETRANSMITS || (links_lost + tokens_lost > 0 && quiet_day) {
                found.push(Found::Noise { node: node.name.clone(), retransmits, links_lost, tokens_lost });
            }
        }
    }
}
