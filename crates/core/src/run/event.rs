//! What is written to the journal. Append-only: an event is never changed, a new meaning gets a new variant.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::outside::OutsideChange;
use super::pause::Pause;
use super::why_not_done::WhyNotDone;
use crate::checks::Finding;
use crate::command::Command;
use crate::ids::{BootId, DriverId, GuestId, NodeName, PlanId, RunId, StepId, UnixMs, Upid};
use crate::migration_throttle::Throttle;
use crate::plan::{NoPlan, Plan};
use crate::policy::{ConsentKind, Policy, Waiver};
use crate::steps::{Step, Why};

/// One thing that happened in a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "event")]
pub enum Event {
    /// A run began.
    RunStarted {
        /// The run's id.
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
    /// A process continues the run: after the start, or after a crash.
    DriverTookOver {
        /// The process: who and where, in words.
        driver: String,
        /// Its id; none in journals from before drivers had one.
        #[serde(default)]
        id: Option<DriverId>,
    },
    /// The package lists of these nodes are about to be refreshed, so that the plan is about what will be installed.
    ListsRefreshBegun {
        /// The nodes whose lists are old.
        nodes: BTreeSet<NodeName>,
    },
    /// They were refreshed.
    ListsRefreshed {
        /// Nodes on which that failed, and why.
        failed: BTreeMap<NodeName, String>,
    },
    /// Something was found set in the cluster that no journal here says anything about, and an administrator wants it
    /// undone.
    FoundSet {
        /// The step that undoes it.
        undo: Step,
        /// Who said so, in words.
        by: String,
    },
    /// From now on the run follows this plan.
    PlanAdopted {
        /// The plan.
        plan: Plan,
        /// Why a new one: `first plan`, `vm:101 is on pve3`.
        why: String,
    },
    /// The operator agreed to something.
    Consented {
        /// The kinds of cost.
        kinds: BTreeSet<ConsentKind>,
        /// Who did it, in words.
        by: String,
    },
    /// The operator agreed to this much downtime, by guest and in seconds: what is planned with the policy's margin,
    /// and what was spent before. The run keeps to it.
    DowntimeAgreed {
        /// How long each guest may be down in the whole run.
        allowed_s: BTreeMap<GuestId, u64>,
        /// Part of it that is above the plan's estimate, in percent of that.
        margin_percent: u32,
        /// Who did it, in words.
        by: String,
    },
    /// The operator accepts a finding as it is: at the start, or when the run paused because of it.
    Waived {
        /// What is waived, and why.
        waiver: Waiver,
        /// What the finding is about, in words; empty where the pause before said it.
        findings: Vec<String>,
        /// Who did it, in words.
        by: String,
    },
    /// An administrator confirmed nodes powered off, so that expected votes may be lowered without them.
    ConfirmedOff {
        /// The nodes that are off.
        off: BTreeSet<NodeName>,
        /// Their words, one sentence for each.
        words: Vec<String>,
        /// Who did it, in words.
        by: String,
    },
    /// The migration throttle lets more or fewer guests move than before.
    ThrottleChanged {
        /// How many from now on.
        throttle: Throttle,
        /// Corosync's complaints: one line each; none when all is quiet again.
        why: Vec<String>,
    },
    /// A step is about to start. Written before its command is sent.
    StepStarted {
        /// The step's id.
        id: StepId,
        /// The step.
        step: Step,
        /// 1 for the first time.
        attempt: u32,
        /// The command; none for a step that only waits.
        command: Option<Command>,
        /// What is to be undone from now on.
        undo: Option<Step>,
    },
    /// The cluster's answer to the command of a step.
    CommandAnswered {
        /// The step's id.
        id: StepId,
        /// What came back, in words; never a secret.
        answer: String,
        /// The task that PVE started for it.
        job: Option<Upid>,
    },
    /// The command was sent, and no complete answer came: it may take effect, now or later.
    CommandInDoubt {
        /// The step's id.
        id: StepId,
        /// What came instead, in words.
        why: String,
    },
    /// The command did nothing: its condition did not hold where it would have taken effect, or it was not sent in time.
    CommandNotDone {
        /// The step's id.
        id: StepId,
        /// Which condition, in words.
        why: String,
    },
    /// A step ended, whether it was started or found already done.
    StepEnded {
        /// The step's id.
        id: StepId,
        /// The step.
        step: Step,
        /// The outcome.
        outcome: StepOutcome,
    },
    /// The cluster says since when a guest has been running whose downtime began before this driver came: it ended
    /// then, and not when a driver looked again. If it has been running since before that, there was no downtime.
    GuestRanSince {
        /// The guest.
        guest: GuestId,
        /// By its process's uptime, rounded to the later.
        since: UnixMs,
    },
    /// The run sees for the first time in which boot a node is, or where a guest runs, and expects to see it so again.
    FirstSeen {
        /// The nodes, each with its boot.
        boots: BTreeMap<NodeName, BootId>,
        /// The guests that run, each with its node.
        running: BTreeMap<GuestId, NodeName>,
    },
    /// Something has changed since the last look that no step of this run explains.
    ChangedOutside {
        /// What.
        change: OutsideChange,
    },
    /// A node's API shows another certificate than the pinned one, and a node whose own is pinned reports it as that
    /// node's: this driver goes on with it.
    CertificateTakenOver {
        /// The node.
        node: NodeName,
        /// SHA-256 of what was pinned.
        pinned: String,
        /// SHA-256 of what it shows.
        shown: String,
        /// The node that vouches for it.
        by: NodeName,
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
    /// The operator wants a pause when the current node is done.
    PauseAsked {
        /// Who asked, in words.
        by: String,
    },
    /// The run is paused until it is resumed.
    Paused {
        /// Why, with all that is known about it.
        pause: Pause,
    },
    /// The run continues.
    Resumed {
        /// Who did it, in words.
        by: String,
    },
    /// From now on the run only undoes what it changed.
    AbortBegun {
        /// Who did it, in words.
        by: String,
    },
    /// The run is over.
    RunEnded {
        /// The outcome.
        outcome: RunOutcome,
    },
}

/// How a step ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StepOutcome {
    /// We did it, and saw that it is so.
    Done,
    /// The same; and this was found amiss and not waited for, since it is no matter of this step.
    DoneWithout(Vec<Why>),
    /// It was already so; nothing was sent and there is nothing to undo.
    FoundDone,
    /// The command had no effect: what it would have changed is as before, and there is nothing to undo.
    NoEffect(Vec<WhyNotDone>),
    /// A new plan does without it.
    Abandoned(Vec<WhyNotDone>),
    /// It undoes something, and in this aborted run that would do harm: it is left to the operator. The reason says
    /// what to do and when.
    HandedOver(Why),
}

/// What a run is for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunKind {
    /// Every node gets its packages, by a plan.
    #[default]
    Upgrade,
    /// Quorum was lost outside of a run and the expected votes were lowered: only that is undone.
    Recovery,
    /// A node is emptied and handed over to its administrator, and nothing is upgraded.
    Drain {
        /// The node.
        node: NodeName,
    },
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunOutcome {
    /// Every node is done and nothing is left to undo.
    Completed,
    /// Stopped by the operator. Nothing is left to undo; what was left to the operator is in the journal as a step's
    /// end.
    Aborted,
    /// A recovery: the configured votes are expected again, and nothing is left to undo.
    Recovered,
    /// No plan was followed: at most package lists were refreshed.
    NothingDone(NotBegun),
}

/// Why a run ended before it did anything.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NotBegun {
    /// These findings forbid it.
    Forbidden(Vec<Finding>),
    /// There is no plan.
    NoPlan(NoPlan),
    /// The plan needs consents that were not given.
    NeedsConsent(BTreeSet<ConsentKind>),
    /// It is not the plan that was agreed to: in what they differ.
    AnotherPlan(Vec<String>),
    /// The operator aborted it.
    Aborted,
}

/// What another process asks of the driver, by a row in the journal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "request")]
pub enum Request {
    /// Pause at the next safe point.
    Pause,
    /// Pause when the current node is done, before the next one is touched.
    PauseAfterNode,
    /// Continue.
    Resume,
    /// I agree to these costs; continue.
    Approve {
        /// The kinds of cost.
        kinds: BTreeSet<ConsentKind>,
    },
    /// I accept these findings as they are.
    Waive {
        /// What, and why.
        waiver: Waiver,
        /// What the finding is about, in words.
        findings: Vec<String>,
    },
    /// Expected votes may be lowered: I confirm that these nodes are powered off.
    LowerVotes {
        /// One sentence for each, as it was typed.
        words: Vec<String>,
    },
    /// The node that was handed over is given back.
    Undrain,
    /// Undo what the run changed and end.
    Abort,
}

impl StepOutcome {
    /// Is what it does so now: by us, or found so?
    pub fn is_done(&self) -> bool {
        match self {
            Self::Done | Self::DoneWithout(_) | Self::FoundDone => true,
            Self::NoEffect(_) | Self::Abandoned(_) | Self::HandedOver(_) => false,
        }
    }

    /// Why it did not end as it should, or what it did not wait for, in words; empty where there is nothing to say.
    pub fn why(&self) -> String {
        match self {
            Self::Done | Self::FoundDone => String::new(),
            Self::DoneWithout(why) => format!("not waited for: {}", Why::line(why)),
            Self::NoEffect(why) | Self::Abandoned(why) => WhyNotDone::line(why),
            Self::HandedOver(why) => why.to_string(),
        }
    }
}

impl Event {
    /// The kind as written in the journal: `step-started`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::RunStarted { .. } => "run-started",
            Self::DriverTookOver { .. } => "driver-took-over",
            Self::ListsRefreshBegun { .. } => "lists-refresh-begun",
            Self::ListsRefreshed { .. } => "lists-refreshed",
            Self::FoundSet { .. } => "found-set",
            Self::PlanAdopted { .. } => "plan-adopted",
            Self::Consented { .. } => "consented",
            Self::DowntimeAgreed { .. } => "downtime-agreed",
            Self::Waived { .. } => "waived",
            Self::ConfirmedOff { .. } => "confirmed-off",
            Self::ThrottleChanged { .. } => "throttle-changed",
            Self::StepStarted { .. } => "step-started",
            Self::CommandAnswered { .. } => "command-answered",
            Self::CommandInDoubt { .. } => "command-in-doubt",
            Self::CommandNotDone { .. } => "command-not-done",
            Self::StepEnded { .. } => "step-ended",
            Self::GuestRanSince { .. } => "guest-ran-since",
            Self::FirstSeen { .. } => "first-seen",
            Self::ChangedOutside { .. } => "changed-outside",
            Self::CertificateTakenOver { .. } => "certificate-taken-over",
            Self::OutputKept { .. } => "output-kept",
            Self::FinalCheck { .. } => "final-check",
            Self::PauseAsked { .. } => "pause-asked",
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
