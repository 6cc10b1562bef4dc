//! Why a step stands where it stands: typed, with the words for the administrator beside each reason.

use serde::{Deserialize, Serialize};

use crate::ids::{GuestId, NodeName, StorageId, UnitName, Upid};
use crate::observed::{Observed, WhyUnknown};
use crate::snapshot::{HaNodeState, HaServiceState, Outdated, TargetRefusal};
use crate::version::Version;

/// One reason. Its words say what is the case and, where possible, what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "kebab-case")]
pub enum Why {
    // What was seen, or not.
    /// A reading is missing.
    #[error("not known: {0}")]
    NotKnown(WhyUnknown),
    /// The cluster has no such node.
    #[error("{0} is not a node of this cluster")]
    NoSuchNode(NodeName),
    /// The guest was not seen.
    #[error("{0} is not among the guests that were seen")]
    GuestNotSeen(GuestId),
    /// Guests may be there that were not seen.
    #[error("the token does not see all guests")]
    NotAllGuestsSeen,
    /// The guest does not exist any more.
    #[error("{0} is gone")]
    GuestGone(GuestId),
    /// The guest is on another node than the step is for.
    #[error("{guest} is on {is}, not on {should}")]
    GuestElsewhere {
        /// The guest.
        guest: GuestId,
        /// Where it is.
        is: NodeName,
        /// Where the step needs it.
        should: NodeName,
    },

    // Under way.
    /// A PVE task is working on it.
    #[error("task {0}")]
    Task(Upid),
    /// The upgrade's unit runs.
    #[error("unit {0}")]
    Unit(UnitName),
    /// The guest's configuration is locked for its move.
    #[error("its configuration is locked for a migration")]
    LockedForMigration,
    /// HA is moving it.
    #[error("the HA manager is moving it")]
    HaMoves,
    /// HA is shutting it down.
    #[error("HA shuts {0} down")]
    HaShutsDown(GuestId),
    /// HA is starting it.
    #[error("HA starts {0}")]
    HaStarts(GuestId),
    /// The guest is down, and HA's state does not say so yet.
    #[error("HA has not noted yet that {0} is stopped")]
    HaHasNotNoted(GuestId),
    /// A node that is down or coming up cannot be asked: that is what a reboot looks like.
    #[error("no answer yet: {0}")]
    NoAnswerYet(Box<Why>),
    /// The node goes down.
    #[error("it has left the cluster")]
    LeftTheCluster,

    // Guests.
    /// The guest's configuration is locked: guest and lock.
    #[error("{0} is locked ({1})")]
    Locked(GuestId, String),
    /// A paused guest cannot react to the request to shut down.
    #[error("{0} is paused and cannot shut down: resume it")]
    Paused(GuestId),
    /// Its memory could not be written: it runs as before, and PVE leaves the lock for a person to see.
    #[error("{0} could not hibernate and runs on; its task qmsuspend says why. Then: qm unlock {vmid}", vmid = .0.vmid)]
    NotHibernated(GuestId),
    /// HA has been given the guest meanwhile.
    #[error("HA manages {0} by now, and PVE hibernates none of HA's guests")]
    HaHibernatesNone(GuestId),
    /// The storage for its state is away: storage and node.
    #[error("storage {0}, which is to take its state, is not active on {1}")]
    StateHasNoStorage(StorageId, NodeName),
    /// It should be moved while it is stopped.
    #[error("{0} is running now")]
    RunsNow(GuestId),
    /// It should be moved while it runs.
    #[error("{0} is stopped now")]
    StoppedNow(GuestId),
    /// A restart stopped half-way, and PVE holds the guest locked.
    #[error("{0} has arrived, is stopped and locked")]
    ArrivedLocked(GuestId),
    /// It is there, and does not run yet.
    #[error("{0} has arrived but is not running")]
    ArrivedNotRunning(GuestId),
    /// It is there, and was stopped by someone else: guest and node.
    #[error("{0} has arrived on {1}, and was stopped there")]
    ArrivedAndStopped(GuestId, NodeName),
    /// The target is no member now.
    #[error("{0} is not online")]
    NotOnline(NodeName),
    /// PVE does not let the guest go there.
    #[error("PVE refuses {node} as target of {guest}: {}", words(.reasons, "; "))]
    TargetRefused {
        /// The target.
        node: NodeName,
        /// The guest.
        guest: GuestId,
        /// PVE's reasons.
        reasons: Vec<TargetRefusal>,
    },
    /// The drive holds another image than planned.
    #[error("{drive} now holds {holds}, not {not}")]
    DriveHolds {
        /// The drive.
        drive: String,
        /// What is in it.
        holds: String,
        /// What should be in it.
        not: String,
    },
    /// The guest is now on a node that does not have the image.
    #[error(
        "{guest} is on {node}, and {volid} is on {}: copy it there and put it into {drive} by hand", those(.lies_on)
    )]
    ImageElsewhere {
        /// The guest.
        guest: GuestId,
        /// Where it is.
        node: NodeName,
        /// The image.
        volid: String,
        /// Where the image is, as far as nodes could be asked.
        lies_on: Vec<NodeName>,
        /// The drive.
        drive: String,
    },

    // What is left on a node.
    /// The node itself lists it as running: guest and node.
    #[error("{0} runs on {1}")]
    GuestRuns(GuestId, NodeName),
    /// The cluster has it there, and nothing says that it is stopped: guest and node.
    #[error("{0} is placed on {1} and not known to be stopped")]
    GuestMayRun(GuestId, NodeName),
    /// HA has a service there, or on its way there.
    #[error("HA has {guest} on {node} in state {known}", known = or_none(.state))]
    HaServiceThere {
        /// The guest.
        guest: GuestId,
        /// The node.
        node: NodeName,
        /// HA's state of it.
        state: Option<HaServiceState>,
    },
    /// A task of PVE runs there.
    #[error("task {task} ({kind}) runs on {node}")]
    TaskThere {
        /// Its UPID.
        task: Upid,
        /// Its type.
        kind: String,
        /// The node.
        node: NodeName,
    },

    // HA.
    /// HA no longer manages the guest.
    #[error("{0} is no longer managed by HA")]
    NotManaged(GuestId),
    /// HA has the guest in another state than required.
    #[error("HA has {0} in state {state}", state = or_none(.1))]
    HaState(GuestId, Option<HaServiceState>),
    /// The manager drops a command for a node that is not online, and only its own log says so.
    #[error("HA has the target {0} as {state}", state = or_none(.1))]
    HaTarget(NodeName, Option<HaNodeState>),
    /// HA has the node in a state in which it takes no command for it.
    #[error("HA has {0} as {1}")]
    HaNode(NodeName, HaNodeState),
    /// HA has given the guest up.
    #[error(
        "HA has given {0} up (state error): fix it, then `ha-manager set {0} --state disabled; \
         ha-manager set {0} --state started`"
    )]
    HaGaveUp(GuestId),
    /// HA has no state for the guest yet.
    #[error("HA has no state for {0} yet")]
    HaHasNotTaken(GuestId),
    /// Maintenance mode has moved it, and HA is about to move it back: guest and node.
    #[error("{0} is about to move back to {1}")]
    AboutToReturn(GuestId, NodeName),
    /// With failback on, HA would move a running guest to an older release, whose QEMU may not read its state.
    #[error(
        "HA would take {guest} from {from} to {to}, which {}; once {to} is upgraded: \
         `ha-manager set {guest} --failback 1`", if *.away { "is away and may be older" } else { "is older" }
    )]
    HaTakesBack {
        /// The guest.
        guest: GuestId,
        /// Where it is.
        from: NodeName,
        /// Where HA would move it.
        to: NodeName,
        /// Is that node away, so that its release is not known?
        away: bool,
    },

    // Nodes.
    /// The node is not a member again yet.
    #[error("the cluster does not have {0} as a member yet")]
    NotAMemberYet(NodeName),
    /// At the end of a run: the node is no member.
    #[error("{0} is not a member")]
    NotAMember(NodeName),
    /// The node has no quorum.
    #[error("{0} is not quorate")]
    NotQuorate(NodeName),
    /// A node does not count another among the members: the first, and the second.
    #[error("{0} does not count {1} among the members")]
    NotCounted(NodeName, NodeName),
    /// A node reaches another over no link: the first, and the second.
    #[error("{0} reaches {1} over no link")]
    NoLink(NodeName, NodeName),
    /// A node does not reach another over all links: the first, and the second.
    #[error("{0} does not reach {1} over all links")]
    NotAllLinks(NodeName, NodeName),
    /// A service is down that a node needs.
    #[error("service {service} on {node} is {state}")]
    ServiceDown {
        /// The service.
        service: String,
        /// The node.
        node: NodeName,
        /// systemd's sub-state.
        state: String,
    },
    /// A storage is not active: storage and node.
    #[error("storage {0} is not active on {1}")]
    StorageInactive(StorageId, NodeName),
    /// A shared storage is active on no node.
    #[error("storage {0} is active on no node")]
    StorageAway(StorageId),
    /// Updates are left: node and how many.
    #[error("{0} has {1} pending updates")]
    UpdatesPending(NodeName, usize),
    /// A node does not run the kernel that it would boot.
    #[error("{node} runs {runs}, but {boots} would boot")]
    OldKernel {
        /// The node.
        node: NodeName,
        /// What it runs.
        runs: Version,
        /// What it would boot.
        boots: Version,
    },
    /// What runs on a node is not what is installed there.
    #[error("{0}: {1}")]
    Outdated(NodeName, Outdated),
    /// A node came up with another kernel than expected.
    #[error("{node} has booted {runs}, but {boots} was expected: look at the boot loader and at kernel pins")]
    WrongKernel {
        /// The node.
        node: NodeName,
        /// What it runs.
        runs: Version,
        /// What was expected.
        boots: Version,
    },
    /// Another process holds dpkg's lock.
    #[error("dpkg on {0} is locked by another process")]
    DpkgLocked(NodeName),
    /// The upgrade would take away what makes the node a node: node and package.
    #[error("the upgrade of {0} would remove {1}")]
    WouldRemove(NodeName, String),

    // Ceph.
    /// There is no Ceph.
    #[error("there is no Ceph here any more")]
    NoCeph,
    /// A health check that is not harmless: its code and its message.
    #[error("Ceph: {0}: {1}{lingers}", lingers = lingers(.0))]
    CephCheck(String, String),
    /// Placement groups are not clean: how many there are, and their states with the count of each.
    #[error("Ceph: not all {0} placement groups are active+clean ({states})", states = words(.1, ", "))]
    CephUnclean(u32, Vec<String>),
    /// A daemon runs another release than the one installed.
    #[error("{0}")]
    CephWaitsForARestart(String),

    // Votes.
    /// The node's view of quorum was not asked for.
    #[error("{0} was not asked for its view")]
    NoView(NodeName),
    /// No node's view of quorum is known.
    #[error("no node reports how many votes it expects")]
    NoViews,
    /// The node no longer reports its view of quorum.
    #[error("{0} no longer reports its view")]
    NoViewAnyMore(NodeName),
    /// Lowering is confirmed by an administrator and sent at that moment, or not at all.
    #[error("it was not lowered; `quorate recover` checks again")]
    NotLowered,
    /// The command had no effect.
    #[error("{node} still expects {expected} votes: {answer}")]
    StillExpects {
        /// The node.
        node: NodeName,
        /// What it expects.
        expected: u32,
        /// What the cluster answered.
        answer: String,
    },
    /// Expected votes are too low, and too few votes are there to raise them.
    #[error(
        "{node} expects {expects} votes of {of}, and {there} are there: {needed} are needed before that can be set"
    )]
    TooFewVotes {
        /// The node.
        node: NodeName,
        /// What it expects.
        expects: u32,
        /// What it should expect.
        of: u32,
        /// The votes that are there.
        there: u32,
        /// The votes that are needed.
        needed: u32,
    },
}

impl Why {
    /// All of them in one line.
    pub fn line(all: &[Self]) -> String {
        words(all, "; ")
    }
}

/// A reading, or why it is missing.
pub(super) fn read<T>(value: &Observed<T>) -> Result<&T, Why> {
    value.read().map_err(|why| Why::NotKnown(why.clone()))
}

/// How long a health check of Ceph stays after its cause is over, where that is worth knowing. Ping times are averaged
/// over 1, 5 and 15 minutes, and each of the three can raise it (PGMap::get_health_checks).
pub fn lingers(code: &str) -> &'static str {
    match code {
        "OSD_SLOW_PING_TIME_BACK" | "OSD_SLOW_PING_TIME_FRONT" => {
            "; it stays for up to 15 min after the network is well again, because Ceph averages over that time"
        }
        _ => "",
    }
}

fn words(all: &[impl ToString], between: &str) -> String {
    all.iter().map(ToString::to_string).collect::<Vec<_>>().join(between)
}

/// HA's word for a state, if it has one.
fn or_none(state: &Option<impl ToString>) -> String {
    state.as_ref().map_or_else(|| "not known to it".to_owned(), ToString::to_string)
}

fn those(nodes: &[NodeName]) -> String {
    if nodes.is_empty() { "no node that could be asked".to_owned() } else { words(nodes, ", ") }
}
