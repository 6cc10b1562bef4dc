//! The signs that the migration throttle looks at, and how far they throttle.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::throttle::Throttle;
use crate::ids::NodeName;
use crate::observed::WhyUnknown;
use crate::snapshot::{CorosyncComplaints, Snapshot};

/// Signs of the last so many seconds count; after that long without one, it is quiet again.
pub const WINDOW_S: u64 = 60;

/// From so many retransmits of one node within the window on, no guest starts to migrate. A saturated link has one
/// every five seconds.
const MANY_RETRANSMITS: u32 = 4;

/// How far migrations are throttled, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restraint {
    /// How many guests may migrate at once.
    pub throttle: Throttle,
    /// The signs. None if all is quiet.
    pub signs: Vec<Sign>,
}

/// A sign that migrations take network capacity that corosync needs, or that this is not known.
#[derive(Clone, Debug, PartialEq, Eq, Error, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sign {
    /// The node was asked and did not answer. Unknown is not quiet.
    #[error("what corosync on {node} complains about is not known: {why}")]
    NotKnown {
        /// The node that was asked.
        node: NodeName,
        /// Why its complaints are not known.
        why: WhyUnknown,
    },
    /// Its corosync complains.
    #[error(
        "corosync on {node} in the last minute: {} retransmits, {} links lost, {} tokens lost",
        .complaints.retransmits, .complaints.links_lost, .complaints.tokens_lost
    )]
    Complains {
        /// The node whose corosync complains.
        node: NodeName,
        /// What it complains about, and how often in the last [`WINDOW_S`] seconds.
        complaints: CorosyncComplaints,
    },
}

/// Reads the signs. `current_node` may be away: that its links are lost is no sign.
pub fn restraint(snapshot: &Snapshot, current_node: Option<&NodeName>) -> Restraint {
    let mut restraint = Restraint { throttle: Throttle::AsPlanned, signs: Vec::new() };
    let online = |name: &NodeName| snapshot.nodes.get(name).is_some_and(|node| node.online.is(&true));
    let is_away = current_node.is_some_and(|node| !online(node));
    for (name, heard) in snapshot.migration_throttle.iter().filter(|(name, _)| online(name)) {
        let node = name.clone();
        let (throttle, sign) = match heard.read() {
            Err(why) => (Throttle::OneAtATime, Sign::NotKnown { node, why: why.clone() }),
            Ok(complaints) => {
                let lost = if is_away { 0 } else { complaints.links_lost + complaints.tokens_lost };
                let throttle = match (lost, complaints.retransmits) {
                    (1.., _) | (_, MANY_RETRANSMITS..) => Throttle::Hold,
                    (_, 1..) => Throttle::OneAtATime,
                    _ => continue,
                };
                (throttle, Sign::Complains { node, complaints: *complaints })
            }
        };
        restraint.throttle = restraint.throttle.max(throttle);
        restraint.signs.push(sign);
    }
    restraint
}
