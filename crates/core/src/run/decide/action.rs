//! What comes out of a decision: one thing to do.

use crate::command::Command;
use crate::ids::{NodeName, StepId};
use crate::migration_throttle::Throttle;
use crate::run::event::{Event, RunOutcome, StepOutcome};
use crate::run::pause::Pause;
use crate::run::planning::Verified;
use crate::snapshot::OlderJournal;
use crate::steps::{ExpectedVotes, Step};

/// How long to wait between looks, in seconds, while guests are moving, which takes seconds, or while a node boots: then
/// no other node may be lost, and the sooner it is seen back the better.
pub(super) const POLL_S: u64 = 5;

/// How long otherwise: everything else takes minutes, and a look is dozens of calls to every node.
pub(super) const POLL_CALMLY_S: u64 = 10;

/// The one thing to do next.
#[allow(clippy::large_enum_variant, reason = "there is one of it at a time")]
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Read what other processes have asked for.
    Listen,
    /// The oldest request is handled: record what follows from it.
    Hear {
        /// The events, in this order; none if nothing follows.
        events: Vec<Event>,
    },
    /// Ask every node for its own view of the votes.
    QuorumViews,
    /// Take or renew the driver's lock in the cluster.
    HoldLock,
    /// Look at the cluster.
    Look(Depth),
    /// Look at everything once more, PVE's checker on every node included, and record what is found.
    LookAtTheEnd {
        /// The node that was done last.
        last: NodeName,
    },
    /// Compare the rest of the plan with the last look.
    Review,
    /// The plan no longer fits the cluster: look at everything, and make another one.
    Replan {
        /// Why, in words.
        why: String,
        /// What to do if the new plan is the old one.
        else_start: Option<Start>,
    },
    /// Follow this plan from here on.
    Adopt {
        /// The plan.
        plan: Verified,
        /// Why the old one is dropped.
        why: String,
        /// What the operator must agree to before any of it is started.
        asks: Option<Pause>,
    },
    /// Record what is seen for the first time, or has changed by another hand; then decide again on the same snapshot.
    Note {
        /// The events, in this order.
        events: Vec<Event>,
    },
    /// Let more or fewer guests move at once than before.
    ChangeThrottle {
        /// How many from now on.
        throttle: Throttle,
        /// The signs, one line each.
        why: Vec<String>,
    },
    /// Record that a step has ended; then decide again on the same snapshot.
    Conclude {
        /// The step's id.
        id: StepId,
        /// The step.
        step: Step,
        /// How it ended.
        outcome: StepOutcome,
    },
    /// Record that a step begins, then send its command.
    Perform(Start),
    /// Lower the expected votes: record the start and what is to undo, send it, ask the nodes whether it took effect.
    LowerVotes {
        /// As [`crate::recovery::lowering`] allows it.
        step: ExpectedVotes,
        /// What to send.
        command: Command,
        /// The sentences that confirm the nodes powered off.
        words: Vec<String>,
        /// Who asked, in words.
        by: String,
    },
    /// The expected votes are not lowered.
    RefuseLowering {
        /// Why, in words.
        pause: Pause,
        /// Does this replace the pause for lost quorum? Another pause has a reason of its own, which must not
        /// end when quorum is back.
        record: bool,
    },
    /// Nothing to do but to wait and look again.
    Wait {
        /// What is waited for: one line each.
        on: Vec<String>,
        /// Look again after this many seconds.
        poll_s: u64,
        /// At least this deep.
        then: Depth,
    },
    /// Pause and tell the operator.
    Pause(Pause),
    /// The reason for the pause is over.
    Resume {
        /// Who says so, in words.
        by: String,
    },
    /// The run is paused, and this process was told not to stay then.
    Leave(Pause),
    /// Another driver is working on this cluster: nothing is started.
    GiveWay {
        /// The other driver, in words.
        to: String,
    },
    /// The cluster knows more of the run than this journal: nothing is started.
    RefuseJournal(Box<OlderJournal>),
    /// The run is over.
    Finish(RunOutcome),
}

/// How deep to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// Everything.
    Everything,
    /// What can have changed since the last look.
    Changes,
}

/// A step that starts, or is tried again.
#[derive(Clone, Debug, PartialEq)]
pub struct Start {
    /// The step's id in the plan.
    pub id: StepId,
    /// The step.
    pub step: Step,
    /// 0: it only waits, nothing is sent. 1 and more: the command is sent for the n-th time.
    pub attempt: u32,
    /// What to send.
    pub command: Option<Command>,
    /// What is to be undone from now on.
    pub undo: Option<Step>,
}

impl Start {
    /// The same, only waiting: nothing is sent, and nothing is to be undone.
    #[must_use]
    pub fn waiting(self) -> Self {
        Self { attempt: 0, command: None, undo: None, ..self }
    }
}
