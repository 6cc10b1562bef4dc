//! What is written to the journal. Append-only: an event is never changed, a new meaning gets a new variant.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::pause::Pause;
use super::why_not_done::WhyNotDone;
use crate::checks::Finding;
use crate::command::Command;
use crate::migration_throttle::Throttle;
use crate::ids::{GuestId, NodeName, PlanId, RunId, StepId, UnixMs, Upid};
use crate::plan::Plan;
use crate::policy::{ConsentKind, Policy, Waiver};
use crate::steps::{Step, Why};

/// One thing that happened in a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "event")]
pub enum Event {
    /// A run began.
    RunStarted {
        /// Its id.
        run: RunId,
        /// What it is for.
        kind: RunKind,
        /// The cluster's name.
        cluster: String,
        /// What the operator allows.
        policy: Policy,
        /// Version of Quorate.
        version: String,
    },
    /// A process took the run up: after the start, or after a crash.
    DriverTookOver {
        /// Who and where, in words.
        driver: String,
    },
    /// From here on the run follows this plan.
    PlanAdopted {
        /// The plan.
        plan: Plan,
        /// Why a new one: `first plan`, `vm:101 is on pve3`.
        why: String,
    },
    /// The operator agreed to something.
    Consented {
        /// What.
        kinds: BTreeSet<ConsentKind>,
        /// Who, in words.
        by: String,
    },
    /// The operator agreed to so much downtime, by guest and in seconds: what is planned with the policy's margin, and
    /// what was spent before. The run keeps to it.
    DowntimeAgreed {
        /// How long each guest may be down in the whole run.
        allowed_s: BTreeMap<GuestId, u64>,
        /// Part of it that is above the plan's estimate, in percent of that.
        margin_percent: u32,
        /// Who, in words.
        by: String,
    },
    /// The operator takes a finding as it is: at the beginning, or when the run paused over it.
    Waived {
        /// What is waived, and why.
        waiver: Waiver,
        /// What it speaks of, in words; empty where that was told by the pause before.
        findings: Vec<String>,
        /// Who, in words.
        by: String,
    },
    /// Somebody has seen that nodes are off, so that expected votes may be lowered without them.
    ConfirmedOff {
        /// Nodes.
        off: BTreeSet<NodeName>,
        /// His words, one sentence for each.
        words: Vec<String>,
        /// Who, in words.
        by: String,
    },
    /// The corosync watch lets more or fewer guests travel than before.
    ThrottleChanged {
        /// How many from now on.
        throttle: Throttle,
        /// The signs: one line each; none when all is quiet again.
        why: Vec<String>,
    },
    /// A step is about to be begun. Written before its command is sent.
    StepStarted {
        /// Which.
        id: StepId,
        /// The step.
        step: Step,
        /// 1 for the first time.
        attempt: u32,
        /// The command; none for a step that only waits.
        command: Option<Command>,
        /// What is owed from now on.
        undo: Option<Step>,
    },
    /// The cluster's answer to the command of a step.
    CommandAnswered {
        /// Which.
        id: StepId,
        /// What came back, in words; never a secret.
        answer: String,
        /// The task that PVE began for it.
        job: Option<Upid>,
    },
    /// A step came to its end, whether it was begun or found done at its turn.
    StepEnded {
        /// Which.
        id: StepId,
        /// The step.
        step: Step,
        /// How.
        outcome: StepOutcome,
    },
    /// The cluster says since when a guest runs whose downtime began before this driver came: it ended then, and not
    /// when somebody looked again. Since before the downtime began: there was none.
    GuestRanSince {
        /// The guest.
        guest: GuestId,
        /// By its process's uptime, rounded to the later.
        since: UnixMs,
    },
    /// Output of a remote program that is worth keeping.
    OutputKept {
        /// The step.
        id: StepId,
        /// The node.
        node: NodeName,
        /// The last lines.
        lines: Vec<String>,
    },
    /// Every node is done, and the cluster was looked at once more: PVE's checker and the checks that are
    /// asked before each node, on all of them.
    FinalCheck {
        /// The node that was done last.
        node: NodeName,
        /// Warnings and worse, and what is waived; the worst first.
        findings: Vec<Finding>,
    },
    /// The run stands still until it is resumed.
    Paused {
        /// Why, with all that is known about it.
        pause: Pause,
    },
    /// The run goes on.
    Resumed {
        /// Who, in words.
        by: String,
    },
    /// From here on only what is owed is done.
    AbortBegun {
        /// Who, in words.
        by: String,
    },
    /// The run is over.
    RunEnded {
        /// How.
        outcome: RunOutcome,
    },
}

/// How a step ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StepOutcome {
    /// We did it, and saw that it is so.
    Done,
    /// It was so already; nothing was sent and nothing is owed for it.
    FoundDone,
    /// The command had no effect: what it would have changed is as before, nothing is owed for it.
    NoEffect(Vec<WhyNotDone>),
    /// A new plan does without it.
    Abandoned(Vec<WhyNotDone>),
    /// It gives something back, and in this aborted run that would do harm: it is the operator's from here on. The
    /// reason says what to do when.
    HandedOver(Why),
}

/// What a run is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunKind {
    /// Every node gets its packages, by a plan.
    #[default]
    Upgrade,
    /// Quorum was lost outside of a run and the expected votes were lowered: only that is undone.
    Recovery,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunOutcome {
    /// Every node is done and nothing is owed.
    Completed,
    /// Stopped by the operator. Nothing is owed; what was handed over has its step's end in the journal.
    Aborted,
    /// A recovery: the configured votes are expected again, and nothing is owed.
    Recovered,
}

/// What another process asks of the driver, by a row in the journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "request")]
pub enum Request {
    /// Stand still at the next safe point.
    Pause,
    /// Go on.
    Resume,
    /// I agree to these costs; go on.
    Approve {
        /// What.
        kinds: BTreeSet<ConsentKind>,
    },
    /// I take these findings as they are.
    Waive {
        /// What, and why.
        waiver: Waiver,
        /// What it speaks of, in words.
        findings: Vec<String>,
    },
    /// Expected votes may be lowered: I have seen that these nodes are off.
    LowerVotes {
        /// One sentence for each, as it was typed.
        words: Vec<String>,
    },
    /// Pay back what is owed and end.
    Abort,
}

impl StepOutcome {
    /// Why it did not end as it should, in words; empty where it did.
    pub fn why(&self) -> String {
        match self {
            Self::Done | Self::FoundDone => String::new(),
            Self::NoEffect(why) | Self::Abandoned(why) => WhyNotDone::line(why),
            Self::HandedOver(why) => why.to_string(),
        }
    }
}

impl Event {
    /// The kind as it stands in the journal: `step-started`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::RunStarted { .. } => "run-started",
            Self::DriverTookOver { .. } => "driver-took-over",
            Self::PlanAdopted { .. } => "plan-adopted",
            Self::Consented { .. } => "consented",
            Self::DowntimeAgreed { .. } => "downtime-agreed",
            Self::Waived { .. } => "waived",
            Self::ConfirmedOff { .. } => "confirmed-off",
            Self::ThrottleChanged { .. } => "throttle-changed",
            Self::StepStarted { .. } => "step-started",
            Self::CommandAnswered { .. } => "command-answered",
            Self::StepEnded { .. } => "step-ended",
            Self::GuestRanSince { .. } => "guest-ran-since",
            Self::OutputKept { .. } => "output-kept",
            Self::FinalCheck { .. } => "final-check",
            Self::Paused { .. } => "paused",
            Self::Resumed { .. } => "resumed",
            Self::AbortBegun { .. } => "abort-begun",
            Self::RunEnded { .. } => "run-ended",
        }
    }

    /// The plan that this event adopts.
    pub fn plan_id(&self) -> Option<&PlanId> {
        match self {
            Self::PlanAdopted { plan, .. } => Some(&plan.id),
            _ => None,
        }
    }
}
