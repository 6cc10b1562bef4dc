//! What a step says about itself: what it is about, what it does to a node and to a guest, what it costs.

use serde::{Deserialize, Serialize};

use super::mode::Move;
use crate::ids::{GuestId, NodeName};
use crate::policy::ConsentKind;

/// Everything about a step that does not depend on what was seen. There are no defaults: a new step has to give each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Profile<'a> {
    /// What it is about.
    pub about: About<'a>,
    /// What must hold before it may begin.
    pub class: Class,
    /// What it means for its node.
    pub on_node: OnNode,
    /// What it does to its guest.
    pub on_guest: OnGuest<'a>,
    /// What the operator has to agree to before its guest may be treated so.
    pub consent: Option<ConsentKind>,
    /// What to do where it can never be done.
    pub if_impossible: IfImpossible,
    /// How long it usually takes, in seconds; for a migration, the time besides transferring data.
    pub estimate_s: u64,
}

/// What a step is about. Its subject in ids and the subject of findings come from here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum About<'a> {
    /// The whole cluster.
    Cluster,
    /// A node.
    Node(&'a NodeName),
    /// A guest, wherever it is.
    Guest(GuestId),
    /// A guest on the node on which it has to be.
    GuestOn(GuestId, &'a NodeName),
    /// A drive of a guest: `ide2`.
    Drive(GuestId, &'a str),
}

impl<'a> About<'a> {
    /// The node, if it is about one.
    pub fn node(self) -> Option<&'a NodeName> {
        match self {
            Self::Node(node) | Self::GuestOn(_, node) => Some(node),
            Self::Cluster | Self::Guest(_) | Self::Drive(..) => None,
        }
    }

    /// The guest, if it is about one.
    pub fn guest(self) -> Option<GuestId> {
        match self {
            Self::Guest(guest) | Self::GuestOn(guest, _) | Self::Drive(guest, _) => Some(guest),
            Self::Cluster | Self::Node(_) => None,
        }
    }

    /// For ids: `vm:101`, `vm:101.ide2`; none where the node or the cluster is in the id anyway.
    pub fn subject(self) -> Option<String> {
        match self {
            Self::Cluster | Self::Node(_) => None,
            Self::Guest(guest) | Self::GuestOn(guest, _) => Some(guest.to_string()),
            Self::Drive(guest, drive) => Some(format!("{guest}.{drive}")),
        }
    }
}

/// Does a step take a risk, or does it undo one?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Every safety rule must hold.
    RiskTaking,
    /// It must merely break no rule that holds: otherwise a node lost by accident would prevent its own repair.
    Restoring,
}

/// What a step means for its node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnNode {
    /// The node serves as before.
    Nothing,
    /// HA or Ceph is told to do without the node.
    SetsAside,
    /// Waits until nothing runs there.
    WaitsEmpty,
    /// Changes its software.
    Upgrades,
    /// Takes it away for minutes. Guests may move between other nodes meanwhile.
    Reboots,
    /// Hands it over to its administrator, who may switch it off.
    HandsOver,
    /// Waits until it serves again.
    WaitsBack,
}

impl OnNode {
    /// Is the node out of service because of it, or on its way there? Then it belongs in the node's own node step.
    pub fn puts_at_risk(self) -> bool {
        match self {
            Self::SetsAside | Self::Upgrades | Self::Reboots | Self::HandsOver => true,
            Self::Nothing | Self::WaitsEmpty | Self::WaitsBack => false,
        }
    }

    /// Must nothing run on the node? What came there meanwhile does not leave by waiting for it.
    pub fn needs_it_empty(self) -> bool {
        match self {
            Self::WaitsEmpty | Self::Upgrades | Self::Reboots | Self::HandsOver => true,
            Self::Nothing | Self::SetsAside | Self::WaitsBack => false,
        }
    }

    /// Must a later step prove that the node serves again ([`OnNode::WaitsBack`])?
    pub fn needs_a_later_proof(self) -> bool {
        match self {
            Self::Upgrades | Self::Reboots | Self::HandsOver => true,
            Self::Nothing | Self::SetsAside | Self::WaitsEmpty | Self::WaitsBack => false,
        }
    }
}

/// What a step does to its guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnGuest<'a> {
    /// Nothing: it stays where it is and as it is.
    Nothing,
    /// Moves it to another node. A container stops on its way and starts again.
    Moves(Move<'a>),
    /// Shuts it down: its downtime begins.
    Stops,
    /// Starts it: its downtime ends.
    Starts,
    /// Changes its configuration.
    Configures,
}

/// What to do about a step that can never be done as it stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IfImpossible {
    /// Another plan does without it.
    PlanAgain,
    /// Once its command was sent, an administrator has to look: it would fail in the same way again.
    StandStill,
    /// It undoes something, and no plan makes that possible: the report leaves it to the operator.
    HandOver,
}

/// How long a step may take and how often it may be tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// From the first start to done; then the run pauses with a diagnosis.
    pub deadline_s: u64,
    /// After the command was sent, its effect may be invisible for this long: not to be sent again before.
    pub settle_s: u64,
    /// How often the command may be sent.
    pub attempts: u32,
}
