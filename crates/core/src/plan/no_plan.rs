//! Why there is no plan: each reason is a value with its figures, which can be shown as a [`Finding`].

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::checks::{Finding, Subject};
use crate::ids::{GuestId, NodeName};
use crate::observed::{Observed, WhyUnknown};
use crate::placement::MapFault;
use crate::snapshot::{HaNodeState, HaRequest, HaServiceState, Snapshot};

use super::no_room::{Hindrance, NoRoom, Proof, list};
use super::why_no_plan::WhyNoPlan;

/// There is no plan, and this is why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NoPlan {
    /// One per reason, for the administrator: what is unknown, which guest is stuck where, and by how much.
    pub findings: Vec<Finding>,
    /// The same as values; none where a plan was found and the forecast of it breaks a rule.
    pub reasons: Vec<Reason>,
}

impl NoPlan {
    /// None was found.
    pub fn because(reasons: Vec<Reason>) -> Self {
        Self { findings: reasons.iter().map(Reason::finding).collect(), reasons }
    }

    /// One was found but is not followed: its forecast breaks these rules.
    pub fn refused(findings: Vec<Finding>) -> Self {
        Self { findings, reasons: Vec::new() }
    }

    /// Is there none because something could not be read, or because HA or a task is at work on a guest at this moment?
    /// Looking again may help then.
    pub fn may_pass(&self, seen: &Snapshot) -> bool {
        let passes = |reason: &Reason| match reason {
            Reason::Unknown(_) => true,
            Reason::Immovable(guest, ..) => is_busy(*guest, seen),
            Reason::NotTogether(_) => seen.guests.keys().any(|guest| is_busy(*guest, seen)),
            _ => false,
        };
        self.reasons.iter().any(|reason| matches!(reason, Reason::Unknown(_)))
            || !self.reasons.is_empty() && self.reasons.iter().all(passes)
    }
}

/// Is HA at work on the guest, or does a task hold it locked?
fn is_busy(guest: GuestId, seen: &Snapshot) -> bool {
    let service = seen.ha.known().and_then(|ha| ha.services.get(&guest));
    let by_ha = service.is_some_and(|service| service.state.is_none_or(HaServiceState::is_under_way));
    by_ha || seen.guests.get(&guest).is_some_and(|guest| matches!(guest.lock, Observed::Known(Some(_))))
}

/// One reason why there is no plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// A reading is missing without which nothing is planned.
    Unknown(Missing),
    /// More nodes than a plan can have: how many, and how many it can.
    TooManyNodes(usize, usize),
    /// The node is not a member of the cluster now.
    NodeOffline(NodeName),
    /// HA has the node out of service, and not for this run.
    NodeOut(NodeName, HaNodeState),
    /// The configuration names a node that does not exist.
    NoSuchNode(NodeName),
    /// The map of storages in the configuration does not fit this cluster.
    StorageMap(MapFault),
    /// An HA rule, named here, wants guests on one node that are on several.
    NotTogether(String),
    /// An HA rule, named here, keeps two guests apart that another keeps together.
    Contradiction(String, GuestId, GuestId),
    /// A guest cannot leave this node, whatever is upgraded and however much memory is free.
    Immovable(GuestId, NodeName, Bond),
    /// No order of the nodes was found in which every guest can leave in time.
    NoRoom(Box<NoRoom>),
    /// Proof that no order helps.
    Proof(Proof),
}

/// A reading that is missing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Missing {
    /// Something of the cluster as a whole: what it is, and why it is not known.
    Cluster(String, WhyUnknown),
    /// The token does not see all guests.
    Guests,
    /// No node was seen.
    Nodes,
    /// The current node is no longer a node of the cluster.
    Begun(NodeName),
    /// Something of a node.
    Node(NodeName, String, WhyUnknown),
    /// The processors of a node, which a limit in the policy asks for.
    Processors(NodeName, WhyUnknown),
    /// The node that a guest is on.
    Home(GuestId, NodeName),
    /// Whether a guest runs.
    Status(GuestId, WhyUnknown),
    /// Where a guest may go, and why that is not known.
    Targets(GuestId, String),
}

/// What keeps a guest on its node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Bond {
    /// HA is busy with it, or its requested state is not started.
    Ha(Option<HaServiceState>, HaRequest),
    /// Something on its own node: a device, a policy.
    Here(String),
    /// Something on each of the others.
    Everywhere(Vec<(NodeName, Hindrance)>),
    /// The first while it runs, and the second if it is shut down for its move.
    EvenStopped(Box<Bond>, Box<Bond>),
    /// The first while it runs; and it cannot hibernate for this reason.
    NorHibernate(Box<Bond>, String),
    /// An HA rule keeps it with this guest, which cannot move.
    KeptWith(GuestId),
    /// No node is allowed for both it and the guests that HA keeps together with it.
    NothingInCommon,
}

impl Reason {
    /// For the administrator: what is wrong and what to do. The only place where a reason becomes a finding.
    pub fn finding(&self) -> Finding {
        self.why().finding(self.subject(), self.to_string(), self.remedy())
    }

    fn why(&self) -> WhyNoPlan {
        match self {
            Self::Unknown(_) => WhyNoPlan::Unknown,
            Self::TooManyNodes(..) => WhyNoPlan::TooBig,
            Self::NodeOffline(_) | Self::NodeOut(..) => WhyNoPlan::NodeOut,
            Self::NoSuchNode(_) | Self::StorageMap(_) => WhyNoPlan::Order,
            Self::NotTogether(_) | Self::Contradiction(..) => WhyNoPlan::Rules,
            Self::Immovable(..) => WhyNoPlan::Immovable,
            Self::NoRoom(_) => WhyNoPlan::NoRoom,
            Self::Proof(_) => WhyNoPlan::Proof,
        }
    }

    fn subject(&self) -> Subject {
        match self {
            Self::Unknown(missing) => missing.subject(),
            Self::NodeOffline(node) | Self::NodeOut(node, _) | Self::NoSuchNode(node) => Subject::Node(node.clone()),
            Self::Immovable(guest, ..) => Subject::Guest(*guest),
            Self::NoRoom(no_room) => no_room.guests.first().map_or(Subject::Cluster, |guest| Subject::Guest(*guest)),
            Self::TooManyNodes(..)
            | Self::StorageMap(_)
            | Self::NotTogether(_)
            | Self::Contradiction(..)
            | Self::Proof(_) => Subject::Cluster,
        }
    }

    fn remedy(&self) -> String {
        let fixed = match self {
            Self::Unknown(_) => "make the reading possible and look again; nothing is planned on a guess",
            Self::TooManyNodes(..) => "upgrade this cluster in parts by hand",
            Self::NodeOffline(_) => "bring it back first: with one node out no other may be taken out",
            Self::NodeOut(node, _) => {
                return format!("ha-manager crm-command node-maintenance disable {node}, or bring it back");
            }
            Self::NoSuchNode(_) => "correct `first`, `last` and `spare` in the configuration",
            Self::StorageMap(_) => {
                "correct `storage-map` in the configuration: a node has at most one storage of a group"
            }
            Self::NotTogether(_) => "wait until HA has brought them together, or fix the rule: ha-manager rules list",
            Self::Contradiction(..) => "remove one of the two: ha-manager rules list; ha-manager rules remove ID",
            Self::Immovable(guest, _, bond) => return bond.remedy(*guest),
            Self::NoRoom(no_room) => return no_room.help.to_string(),
            Self::Proof(_) => "no other order and no other target helps: something has to give way",
        };
        fixed.to_owned()
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown(missing) => missing.fmt(f),
            Self::TooManyNodes(count, most) => write!(f, "{count} nodes; a plan can have {most}"),
            Self::NodeOffline(node) => write!(f, "{node} is not a member of the cluster now"),
            Self::NodeOut(node, state) => write!(f, "HA has {node} as {state}, and not because of this run"),
            Self::NoSuchNode(node) => {
                write!(f, "the configuration names {node}, which is not a node of this cluster")
            }
            Self::StorageMap(fault) => fault.fmt(f),
            Self::NotTogether(rule) => {
                write!(f, "the HA rule {rule} wants its guests on one node, and they are on several")
            }
            Self::Contradiction(rule, one, other) => {
                write!(f, "the HA rule {rule} keeps {one} and {other} apart, and another one keeps them together")
            }
            Self::Immovable(guest, node, bond) => {
                write!(f, "{guest} cannot leave {node}, which is to be upgraded: {bond}")
            }
            Self::NoRoom(no_room) => no_room.fmt(f),
            Self::Proof(proof) => proof.fmt(f),
        }
    }
}

impl Missing {
    fn subject(&self) -> Subject {
        match self {
            Self::Cluster(..) | Self::Guests | Self::Nodes => Subject::Cluster,
            Self::Begun(node) | Self::Node(node, ..) | Self::Processors(node, _) => Subject::Node(node.clone()),
            Self::Home(guest, _) | Self::Status(guest, _) | Self::Targets(guest, _) => Subject::Guest(*guest),
        }
    }
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cluster(what, why) => write!(f, "{what} is not known: {why}"),
            Self::Guests => f.write_str("the token does not see all guests: there may be others that it cannot see"),
            Self::Nodes => f.write_str("no node was seen"),
            Self::Begun(node) => write!(f, "{node} is the current node, but no longer a node of the cluster"),
            Self::Node(node, what, why) => write!(f, "the {what} of {node} is not known: {why}"),
            Self::Processors(node, why) => {
                write!(f, "the processors of {node} are not known, and cpu-limit-percent asks for them: {why}")
            }
            Self::Home(guest, node) => write!(f, "{guest} is on {node}, which was not seen"),
            Self::Status(guest, why) => write!(f, "whether {guest} runs is not known: {why}"),
            Self::Targets(guest, why) => write!(f, "where {guest} may go is {why}"),
        }
    }
}

impl Bond {
    fn remedy(&self, guest: GuestId) -> String {
        match self {
            Self::Ha(..) => format!(
                "wait until HA has settled, or fix it: ha-manager status; ha-manager set {guest} --state started"
            ),
            Self::KeptWith(fixed) => format!("move or shut down {fixed} by hand, or lift the rule for the run"),
            Self::Here(_)
            | Self::Everywhere(_)
            | Self::EvenStopped(..)
            | Self::NorHibernate(..)
            | Self::NothingInCommon => format!(
                "remove what binds {guest} to its node, shut it down, or allow it: [policy.guests] \"{guest}\" = \
                 \"shutdown\""
            ),
        }
    }
}

impl fmt::Display for Bond {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ha(None, request) => write!(f, "HA has no state for it (asked for: {request})"),
            Self::Ha(Some(state), request) => write!(f, "HA has it in state {state} (asked for: {request})"),
            Self::Here(why) => f.write_str(why),
            Self::Everywhere(each) => list(f, each.iter().map(|(node, why)| format!("{node}: {why}")), "; "),
            Self::EvenStopped(running, stopped) => write!(f, "{running}; nor stopped: {stopped}"),
            Self::NorHibernate(running, why) => write!(f, "{running}; nor can it hibernate: {why}"),
            Self::KeptWith(fixed) => write!(f, "an HA rule keeps it with {fixed}, which cannot move"),
            Self::NothingInCommon => f.write_str("no node is allowed for both it and the guests that HA keeps with it"),
        }
    }
}
