//! Every guest could move, and yet there is no order in which all find room: the moment at which it fails, what
//! would help, and what is proven.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ids::{GuestId, NodeName};

/// Guests that are stuck on a node at its node step, in the attempt that came furthest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoRoom {
    /// One guest, or guests that stay together.
    pub guests: Vec<GuestId>,
    /// Memory that they take, in bytes.
    pub bytes: u64,
    /// The node that they cannot leave.
    pub node: NodeName,
    /// Nodes that are already upgraded by then.
    pub upgraded: Vec<NodeName>,
    /// Why they cannot go to each of the others.
    pub each: Vec<(NodeName, Hindrance)>,
    /// The largest hole, beside the largest guest.
    pub hole: Option<Hole>,
    /// What would help.
    pub help: Help,
}

/// The largest hole at that moment, and the largest guest that has to leave.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hole {
    /// Free memory there, in bytes.
    pub free: u64,
    /// The node with the hole.
    pub node: NodeName,
    /// One guest, or guests that stay together.
    pub guests: Vec<GuestId>,
    /// Memory that they take, in bytes.
    pub bytes: u64,
}

/// Why a guest may not move to a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Hindrance {
    /// Something that the node lacks, or that PVE refuses.
    Obstacle(String),
    /// A strict HA rule, named here, leaves the node out.
    Rule(String),
    /// A guest that does not move is there, and an HA rule keeps the two apart.
    Apart {
        /// The guest that is there.
        other: GuestId,
        /// It does not run.
        stopped: bool,
        /// The rule's name.
        rule: String,
    },
    /// Too little memory is free.
    Memory {
        /// What is free at that moment, in bytes.
        free: u64,
        /// What is missing, in bytes.
        short: u64,
    },
    /// A guest that it must be kept apart from is there at that moment.
    Meets(Option<GuestId>),
    /// The limit of processors leaves too few.
    Processors {
        /// What is left.
        left: u64,
        /// What the guest has.
        needed: u64,
    },
    /// An older release, or no room for its disks.
    ReleaseOrDisks,
}

/// What would make a plan possible.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Help {
    /// Any one of these, each tried out.
    AnyOf(Vec<Relaxation>),
    /// Nothing that was tried; this node lacks the least, by this many bytes.
    Least(NodeName, u64),
    /// Nothing that was tried, and memory is not what is missing: another node for these guests.
    AnotherNode(Vec<GuestId>),
    /// They wait for the same room as those that are named first.
    SameRoom,
}

/// The smallest single thing of its kind that makes a plan possible if it is given up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Relaxation {
    /// These are down while their node is upgraded; each with its memory in bytes.
    ShutDown(Vec<(Vec<GuestId>, u64)>),
    /// This many more bytes are free on this node.
    Free(NodeName, u64),
    /// These two need not be apart.
    Together(Vec<GuestId>, Vec<GuestId>),
    /// These may run on this node, which is refused for this reason now.
    Allow(Vec<GuestId>, NodeName, Option<Hindrance>),
    /// Less headroom: from the first percentage to the second.
    Headroom(u8, u8),
}

/// Why there can be no plan, whatever is tried.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Proof {
    /// While this node is away, all guests need more memory than the others have.
    NoRoomWithout {
        /// The node.
        node: NodeName,
        /// What all that moves takes, in bytes.
        needed: u64,
        /// What the others have, in bytes.
        there: u64,
    },
    /// No node that they may be on, but their own, is big enough, even empty.
    TooBig {
        /// One guest, or guests that stay together.
        guests: Vec<GuestId>,
        /// Memory that they take, in bytes.
        bytes: u64,
        /// The biggest of these nodes, and what it has in bytes; none if there is none.
        biggest: Option<(NodeName, u64)>,
    },
    /// Guests that must be kept apart have only as many nodes, and each of these is away at its own node step.
    GroupTooWide {
        /// The guests that must be kept apart.
        guests: Vec<Vec<GuestId>>,
        /// The nodes that they may be on.
        nodes: Vec<NodeName>,
    },
}

/// Bytes as an administrator reads them.
fn gib(bytes: u64) -> String {
    format!("{:.1} GiB", bytes as f64 / f64::from(1 << 30))
}

/// Guests that move as one.
fn with(guests: &[GuestId]) -> String {
    guests.iter().map(ToString::to_string).collect::<Vec<_>>().join(" with ")
}

pub(super) fn list(
    f: &mut fmt::Formatter<'_>,
    all: impl Iterator<Item = impl fmt::Display>,
    between: &str,
) -> fmt::Result {
    for (number, one) in all.enumerate() {
        if number > 0 {
            f.write_str(between)?;
        }
        write!(f, "{one}")?;
    }
    Ok(())
}

impl fmt::Display for NoRoom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { guests, bytes, node, upgraded, each, hole, help: _ } = self;
        write!(f, "{} ({}) cannot leave {node} at its node step (upgraded by then: ", with(guests), gib(*bytes))?;
        if upgraded.is_empty() {
            f.write_str("none")?;
        }
        list(f, upgraded.iter(), ", ")?;
        f.write_str("): ")?;
        list(f, each.iter().map(|(node, why)| format!("{node}: {why}")), "; ")?;
        f.write_str(".")?;
        let Some(Hole { free, node, guests, bytes }) = hole else { return Ok(()) };
        let (free, guests, bytes) = (gib(*free), with(guests), gib(*bytes));
        write!(f, " Largest hole: {free} on {node}; largest guest that has to leave: {guests} with {bytes}.")
    }
}

impl fmt::Display for Hindrance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Obstacle(why) => f.write_str(why),
            Self::Rule(rule) => write!(f, "the HA rule {rule} does not allow it"),
            Self::Apart { other, stopped, rule } => {
                let how = if *stopped { ", stopped" } else { "" };
                write!(f, "{other} is there{how}, and the rule {rule} keeps them apart")
            }
            Self::Memory { free, short } => write!(f, "{} free, {} short", gib(*free), gib(*short)),
            Self::Meets(other) => {
                let other = other.map_or_else(String::new, |other| other.to_string());
                write!(f, "{other} is there, and they must be apart")
            }
            Self::Processors { left, needed } => {
                write!(f, "{left} virtual processors left by cpu-limit-percent, it has {needed}")
            }
            Self::ReleaseOrDisks => f.write_str("it would go back to an older release, or has no room for its disks"),
        }
    }
}

impl fmt::Display for Help {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AnyOf(relaxations) => {
                f.write_str("any one of these makes a plan possible: ")?;
                list(f, relaxations.iter(), "; ")
            }
            Self::Least(node, bytes) => write!(
                f,
                "no single relaxation was found that is enough; {node} lacks the least, {}: free memory there and \
                 elsewhere, or shut guests down for the run",
                gib(*bytes)
            ),
            Self::AnotherNode(guests) => {
                f.write_str("allow another node for ")?;
                list(f, guests.iter(), " and ")?;
                f.write_str(", or shut it down for the run")
            }
            Self::SameRoom => {
                f.write_str("it waits for the same room as the one above: what helps that one is looked for first")
            }
        }
    }
}

impl fmt::Display for Relaxation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ShutDown(each) => {
                f.write_str("shut ")?;
                list(f, each.iter().map(|(guests, bytes)| format!("{} ({})", with(guests), gib(*bytes))), " and ")?;
                let whose = if each.len() == 1 { "its node" } else { "their node" };
                write!(f, " down for the upgrade of {whose}")
            }
            Self::Free(node, bytes) => write!(f, "free {} on {node}", gib(*bytes)),
            Self::Together(one, other) => {
                write!(f, "lift the rule that keeps {} and {} apart", with(one), with(other))
            }
            Self::Allow(guests, node, now) => {
                let now = now.as_ref().map_or_else(String::new, ToString::to_string);
                write!(f, "let {} run on {node} (now: {now})", with(guests))
            }
            Self::Headroom(from, to) => write!(f, "lower headroom-percent from {from} to {to}"),
        }
    }
}

impl fmt::Display for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoRoomWithout { node, needed, there } => write!(
                f,
                "{node} cannot be emptied in any order: all guests that move need {}, and without it there are {} ({} \
                 short)",
                gib(*needed),
                gib(*there),
                gib(needed - there)
            ),
            Self::TooBig { guests, bytes, biggest } => {
                write!(f, "{} ({}) is bigger than any other node that it may be on: ", with(guests), gib(*bytes))?;
                match biggest {
                    None => f.write_str("there is none"),
                    Some((node, there)) => {
                        write!(f, "the biggest is {node} with {} ({} short)", gib(*there), gib(bytes - there))
                    }
                }
            }
            Self::GroupTooWide { guests, nodes } => {
                list(f, guests.iter().map(|guests| with(guests)), ", ")?;
                f.write_str(" must be apart and have only ")?;
                list(f, nodes.iter(), ", ")?;
                f.write_str(": with one of these away there is one too few")
            }
        }
    }
}
