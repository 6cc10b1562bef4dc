//! Why a plan is as it is: of a node, of a step, of its bound. Values that are shown beside the steps.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ids::NodeName;
use crate::policy::tags;
use crate::snapshot::Outdated;
use crate::version::Version;

/// Why a node has its place in the order.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NodeWhy {
    /// Its node step began before this plan.
    Begun,
    /// The operator wants it early.
    WantedEarly,
    /// The operator wants it late.
    WantedLate,
    /// A guest on it has the tag that makes it late.
    TaggedLast,
    /// No guest has to leave it.
    NothingMoves,
    /// All its guests go to nodes that are upgraded.
    AllMoveOnce,
    /// Some node must be first; this many of its guests move again later.
    SomeNodeIsFirst(usize),
    /// This many of its guests move again later.
    SomeMoveAgain(usize),
    /// The operator wants it drained.
    Drained,
    /// It needs no upgrade, but something of ours is still to be undone there.
    ToUndo,
    /// No node, but the whole cluster, when all nodes are done.
    Cluster,
}

/// Why a step is in a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StepWhy {
    /// Lists of packages are read while the node is full.
    RepositoriesFirst,
    /// HA balances guests by itself.
    HaBalances,
    /// HA would move the guest back.
    HaPullsBack,
    /// An image keeps the guest from moving.
    ImageOnNode,
    /// The guest moves.
    Move(MoveWhy),
    /// The guest moves through HA, which does not take the state of its firewall's connections along.
    MoveWithoutConnections(MoveWhy),
    /// The guest moves stopped.
    MovesStopped,
    /// The guest stays, and is down meanwhile.
    StaysDown,
    /// The guest stays, and hibernates meanwhile.
    Hibernates,
    /// Is the node empty?
    AskedFirst,
    /// HA stays off the node.
    OutOfHa,
    /// Ceph keeps its data where it is.
    OsdsComeBack,
    /// This many packages are pending.
    Packages(usize),
    /// The node reboots.
    Reboot(RebootWhy),
    /// The node is handed over: it may be switched off.
    HandedOver,
    /// The node is back in service.
    ServesAgain,
    /// HA is idle.
    HaAtRest,
    /// What was changed for the run is undone.
    Undo,
    /// Failback is on again.
    UndoFailback,
    /// The image is inserted again.
    ImagePutBack,
    /// The image cannot be put back: this node, where the guest is at the end, does not have it.
    ImageOutOfReach(NodeName),
    /// A last look at the cluster.
    LastLook,
}

/// Why a guest moves to where it moves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum MoveWhy {
    /// Its node is drained, and this one is upgraded already.
    Once,
    /// No node that it may be on is upgraded yet.
    NoneUpgraded,
    /// No upgraded node has room for it yet.
    NoRoomYet,
    /// It makes room, on an upgraded node.
    MakesRoomOnce,
    /// It makes room.
    MakesRoom,
    /// Its node is drained, and nothing is upgraded.
    Leaves,
    /// HA prefers it there.
    HaPrefers,
    /// The policy wants it there at the end.
    Belongs,
    /// The policy wants nodes filled alike.
    Balance,
}

/// Why a node is rebooted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RebootWhy {
    /// A kernel of this release will be installed.
    NewKernel(Version),
    /// One kernel runs, and another one would boot.
    OtherKernel {
        /// The one that runs.
        running: Version,
        /// The one that would boot.
        next: Version,
    },
    /// This version of Ceph will be installed.
    NewCeph(Version),
    /// A daemon of Ceph runs an older version than is installed, as the snapshot describes it.
    OldDaemon(String),
    /// PVE's services run an older version than is installed.
    OldManager {
        /// The version that runs.
        runs: Version,
        /// The version that is installed.
        installed: Version,
    },
    /// A package has asked for a reboot: those that have, where they left their names.
    Asked(Vec<String>),
    /// This package will be installed, and a processor takes its microcode from it when it boots.
    NewMicrocode(String),
    /// The operator wants every node rebooted.
    Wanted,
}

/// What the bound of a plan is made of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BoundWhy {
    /// Moves beyond one for each guest.
    pub beyond_once: u64,
    /// Some of them may be due to where guests should be at the end.
    pub for_the_end: bool,
    /// The plan has no more moves than its bound.
    pub optimal: bool,
    /// What is wanted for the end, or preferred by HA, cannot be had in full, and is not counted.
    pub end_left_out: bool,
}

impl fmt::Display for NodeWhy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Begun => f.write_str("its node step has begun"),
            Self::WantedEarly => f.write_str("the operator wants it early"),
            Self::WantedLate => f.write_str("the operator wants it late"),
            Self::TaggedLast => write!(f, "late: a guest on it has the tag {}", tags::LAST),
            Self::NothingMoves => f.write_str("nothing has to move"),
            Self::AllMoveOnce => f.write_str("all its guests go to nodes that are upgraded"),
            Self::SomeNodeIsFirst(again) => {
                write!(f, "some node must be first, and {again} of its guests move again later")
            }
            Self::SomeMoveAgain(again) => write!(f, "{again} of its guests move again later"),
            Self::Drained => f.write_str("you want to work on it"),
            Self::ToUndo => f.write_str("something is still to be undone here"),
            Self::Cluster => f.write_str("what is still to undo in the cluster, and a last look"),
        }
    }
}

impl fmt::Display for StepWhy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::RepositoriesFirst => "a repository that fails is found while the node is full",
            Self::HaBalances => "HA would move guests about while we do",
            Self::HaPullsBack => "HA would take it straight back to a node that its rules prefer",
            Self::ImageOnNode => "an image on a storage of its node keeps the guest from moving",
            Self::Move(why) => return why.fmt(f),
            Self::MoveWithoutConnections(why) => {
                return write!(f, "{why}; HA leaves the firewall's connections behind, and some may break");
            }
            Self::MovesStopped => "it cannot move while it runs, and the operator lets it be moved stopped",
            Self::StaysDown => "it cannot move, and the operator lets it be shut down",
            Self::Hibernates => "it cannot move, and the operator lets it hibernate",
            Self::AskedFirst => "the node itself is asked before it is touched",
            Self::OutOfHa => "HA neither sends guests there nor counts on it",
            Self::OsdsComeBack => "its OSDs are away for minutes: nothing should be rebuilt",
            Self::Packages(0) => "nothing is pending by the last reading",
            Self::Packages(1) => "1 package",
            Self::Packages(count) => return write!(f, "{count} packages"),
            Self::Reboot(why) => return why.fmt(f),
            Self::HandedOver => "it may be switched off and on; no process has to run meanwhile",
            Self::ServesAgain => "no other node is touched before this one serves again",
            Self::HaAtRest => "HA is idle before the next node is taken",
            Self::Undo => "set back",
            Self::UndoFailback => "undone: HA may move it back now",
            Self::ImagePutBack => "put back: the image is on this node too",
            Self::ImageOutOfReach(node) => {
                return write!(f, "it CANNOT be: {node} does not have the image; the report hands it over to you");
            }
            Self::LastLook => "the whole cluster once more",
        })
    }
}

impl fmt::Display for MoveWhy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Once => "already upgraded: it moves once",
            Self::NoneUpgraded => "no node that it may be on is upgraded yet: it waits there and moves again",
            Self::NoRoomYet => "no upgraded node has room for it yet: it waits there and moves again",
            Self::MakesRoomOnce => "makes room for others, on an upgraded node",
            Self::MakesRoom => "makes room for others",
            Self::Leaves => "its node is drained",
            Self::HaPrefers => "HA prefers it there, and would take it there without asking",
            Self::Belongs => "it belongs there at the end",
            Self::Balance => "the nodes should be equally full",
        })
    }
}

impl From<Outdated> for RebootWhy {
    fn from(outdated: Outdated) -> Self {
        match outdated {
            Outdated::Kernel { running, next } => Self::OtherKernel { running, next },
            Outdated::Daemon(daemon) => Self::OldDaemon(daemon),
            Outdated::Manager { runs, installed } => Self::OldManager { runs, installed },
            Outdated::Asked(packages) => Self::Asked(packages),
        }
    }
}

impl fmt::Display for RebootWhy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NewKernel(release) => write!(f, "kernel {release} will be installed"),
            Self::OtherKernel { running, next } => write!(f, "{running} runs, {next} would boot"),
            Self::NewCeph(version) => {
                write!(f, "Ceph {version} will be installed, and its daemons run it from their next start")
            }
            Self::OldDaemon(daemon) => f.write_str(daemon),
            Self::OldManager { runs, installed } => {
                write!(f, "PVE's services run pve-manager {runs}, {installed} is installed")
            }
            Self::Asked(packages) => Outdated::Asked(packages.clone()).fmt(f),
            Self::NewMicrocode(package) => write!(f, "{package} will be installed, which takes effect at a boot"),
            Self::Wanted => f.write_str("the operator wants every node rebooted"),
        }
    }
}

impl fmt::Display for BoundWhy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("every guest once")?;
        match self.beyond_once {
            0 => {}
            count if self.for_the_end => {
                write!(f, ", and {count} more moves because some node must be first and for the end")?;
            }
            count => write!(f, ", and {count} of them twice because some node must be first")?,
        }
        if self.optimal {
            f.write_str("; proven optimal: no plan has fewer moves")?;
        }
        if self.end_left_out {
            f.write_str(
                "; what is wanted for the end, or preferred by HA, cannot be had in full, and is not counted here",
            )?;
        }
        Ok(())
    }
}
