//! Why a run is paused: typed, with all that is known about it, and the one place for the words.
//!
//! Each pause reports what happened, what it means for the cluster and its guests, and what to do next.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::between::WhyBetween;
use super::outside::OutsideChange;
use super::spent::Shortfall;
use super::why_not_done::WhyNotDone;
use crate::checks::Finding;
use crate::checks::waivable;
use crate::ids::{GuestId, GuestKind, NodeName};
use crate::plan::NoPlan;
use crate::recovery::{Diagnosis, NotLowered};
use crate::steps::{Step, Why};
use crate::text::listed;

/// Why a run is paused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "pause")]
pub enum Pause {
    /// The operator asked.
    Operator {
        /// Who asked, in words.
        by: String,
    },
    /// One node is done, and the next one has not been touched.
    BetweenNodes {
        /// The next node.
        next: NodeName,
        /// The nodes that are not done, in the order of the plan.
        left: Vec<NodeName>,
        /// Why the run rests here.
        why: WhyBetween,
    },
    /// The new plan costs something that was not agreed to.
    PlanCostsMore {
        /// Guests and what would be done to them.
        missing: Vec<MissingConsent>,
        /// Guests that would be down for longer than agreed to.
        beyond: Vec<Shortfall>,
    },
    /// The next step would keep a guest down for longer than was agreed to.
    MoreDowntime {
        /// Which guest, and by how much.
        beyond: Shortfall,
    },
    /// Something was found before the next node with which no run would be started.
    FoundBeforeNode {
        /// The node that is not drained.
        node: NodeName,
        /// What was found.
        findings: Vec<Finding>,
    },
    /// Every node is upgraded, and something was found then with which no run would be started.
    FoundAtTheEnd {
        /// What was found.
        findings: Vec<Finding>,
    },
    /// Every node is upgraded, and the last look shows a cluster that is not whole.
    NotWhole {
        /// What is not as it should be.
        why: Vec<Why>,
    },
    /// A node has rebooted or a guest has stopped, and no step of this run explains it.
    ChangedOutside {
        /// What has changed.
        changes: Vec<OutsideChange>,
        /// The guests that it took down and that are not seen to run now.
        down: BTreeSet<GuestId>,
    },
    /// A node is drained and handed over to its administrator: nothing is done until it is given back.
    Drained {
        /// The node.
        node: NodeName,
    },
    /// A step was started and does not end.
    StepStuck {
        /// The step.
        step: Step,
        /// How that is known.
        how: Stuck,
        /// What the cluster answered last.
        answer: Option<String>,
    },
    /// The old plan does not fit, and there is no other.
    NoPlan {
        /// Why the old one does not fit.
        why: String,
        /// Why there is no other.
        no_plan: NoPlan,
        /// What is possible if the run is aborted first.
        by_abort: Option<ByAbort>,
    },
    /// The old plan does not fit, and the new one is the same.
    SamePlan {
        /// Why the old one does not fit.
        why: String,
    },
    /// The driver's lock in the cluster cannot be held.
    NoLock {
        /// Why not.
        why: String,
    },
    /// Decisions follow each other endlessly on one snapshot: a bug in Quorate.
    Endless,
    /// No node has quorum. The run continues by itself when it is back.
    LostQuorum {
        /// Every node's own view, the causes and the ways out.
        diagnosis: Diagnosis,
    },
    /// No node has quorum, and the expected votes may not be lowered.
    LoweringRefused {
        /// Who asked, in words.
        by: String,
        /// Every reason against it.
        refusals: Vec<NotLowered>,
    },
}

/// How it is known that a step does not end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "stuck")]
pub enum Stuck {
    /// Its time is over.
    Deadline {
        /// How long it had, in seconds.
        deadline_s: u64,
        /// What it waits for.
        waiting: Vec<WhyNotDone>,
    },
    /// Its command was sent as often as it may be, and had no effect.
    Attempts {
        /// How often.
        attempts: u32,
    },
    /// It had an effect that another attempt would only repeat.
    WrongEffect {
        /// The effect that was seen.
        why: Why,
    },
}

/// A cost that was not agreed to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct MissingConsent {
    /// The guest that it concerns.
    pub guest: GuestId,
    /// What would be done to it, in words.
    pub what: String,
}

/// What is possible only once the run is aborted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ByAbort {
    /// The current node, which goes back into service as it is.
    pub node: NodeName,
    /// The order of nodes that another run would take.
    pub order: Vec<NodeName>,
}

/// The kind of reason for which a run is paused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PauseCause {
    /// The operator asked.
    Operator,
    /// Something costs more than the operator has agreed to.
    NeedsConsent,
    /// Something was found before the next node, or after the last, with which no run would be started.
    Findings,
    /// A node or a guest went down by another hand.
    ChangedOutside,
    /// A node is handed over to its administrator. The process ends meanwhile.
    Drained,
    /// A step has used up its time or its attempts, or no plan can be found.
    Stuck,
    /// No node has quorum. The run continues by itself when it is back.
    LostQuorum,
}

const ENDS: &str = "`quorate abort` undoes what the run changed and stops";

const GUESTS_RUN: &str = "nothing else is started; guests that run keep running";

const PLANS_AGAIN: &str = "fix the cause, then `quorate resume` plans again";

const FAULT_OF_OURS: &str =
    "the plan keeps changing on one and the same picture of the cluster: this is a bug in Quorate";

impl Pause {
    /// The kind of reason.
    pub fn cause(&self) -> PauseCause {
        match self {
            Self::Operator { .. } | Self::BetweenNodes { .. } => PauseCause::Operator,
            Self::PlanCostsMore { .. } | Self::MoreDowntime { .. } => PauseCause::NeedsConsent,
            Self::FoundBeforeNode { .. } | Self::FoundAtTheEnd { .. } | Self::NotWhole { .. } => PauseCause::Findings,
            Self::ChangedOutside { .. } => PauseCause::ChangedOutside,
            Self::Drained { .. } => PauseCause::Drained,
            Self::StepStuck { .. }
            | Self::NoPlan { .. }
            | Self::SamePlan { .. }
            | Self::NoLock { .. }
            | Self::Endless => PauseCause::Stuck,
            Self::LostQuorum { .. } | Self::LoweringRefused { .. } => PauseCause::LostQuorum,
        }
    }

    /// Is it about a step, whose output may explain it?
    pub fn is_about_a_step(&self) -> bool {
        matches!(self, Self::StepStuck { .. } | Self::MoreDowntime { .. })
    }

    /// What is possible if the run is aborted first; none if nothing is.
    pub fn way_by_abort(&self) -> Option<&ByAbort> {
        match self {
            Self::NoPlan { by_abort, .. } => by_abort.as_ref(),
            _ => None,
        }
    }

    /// What happened, what it means, what to do next: one line each.
    pub fn lines(&self) -> Vec<String> {
        match self {
            Self::Operator { by } => vec![format!("{by} asked for it; `quorate resume` continues")],
            Self::BetweenNodes { next, left, why } => vec![
                format!("{next} has not been touched: {why}"),
                format!(
                    "no node is out; what was upgraded stays upgraded. Not done yet: {}",
                    left.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
                ),
                format!("`quorate resume` begins with {next}; {ENDS}"),
            ],
            Self::PlanCostsMore { missing, beyond } => costs_more(missing, beyond),
            Self::MoreDowntime { beyond } => vec![
                beyond.to_string(),
                format!(
                    "{GUESTS_RUN}. `quorate approve` agrees to what is still planned, with the margin of the \
                     configuration; {ENDS}"
                ),
            ],
            Self::FoundBeforeNode { node, findings } => found(
                format!("{node} is not drained: what was found since forbids that"),
                findings,
                "guests run where they are, and no node is out; what was upgraded stays upgraded",
                &format!("fix it, then `quorate resume`; or {ENDS}"),
            ),
            Self::FoundAtTheEnd { findings } => found(
                "every node is upgraded, and this was found at the end".to_owned(),
                findings,
                "guests run, no node is out, nothing is left to undo; the cluster is not as it should be left",
                "fix it, then `quorate resume` looks again; or `quorate abort` ends the run as it is",
            ),
            Self::NotWhole { why } => not_whole(why),
            Self::ChangedOutside { changes, down } => changed_outside(changes, down),
            Self::Drained { node } => vec![
                format!("{node} is drained. Work on it: it may be switched off and rebooted, as often as you like"),
                "nothing runs there; no other node is to be taken out meanwhile, and no other run is started"
                    .to_owned(),
                format!("`quorate undrain {node}` gives it back: guests go home, flags and modes are set back"),
            ],
            Self::StepStuck { step, how, answer } => stuck(step, how, answer.as_deref()),
            Self::NoPlan { why, no_plan, by_abort } => without_a_plan(why, no_plan, by_abort.as_ref()),
            Self::SamePlan { why } => {
                let same = "a new plan is the same as the old one: an administrator has to look".to_owned();
                vec![why.clone(), same, GUESTS_RUN.to_owned(), format!("{PLANS_AGAIN}; or {ENDS}")]
            }
            Self::NoLock { why } => vec![
                format!("the driver's lock in the cluster cannot be held: {why}"),
                GUESTS_RUN.to_owned(),
                "is the cluster quorate? `quorate resume` tries again".to_owned(),
            ],
            Self::Endless => {
                vec![FAULT_OF_OURS.to_owned(), GUESTS_RUN.to_owned(), format!("`quorate resume` tries again; {ENDS}")]
            }
            Self::LostQuorum { diagnosis } => {
                let goes_on =
                    "nothing is started; the run continues by itself when quorum is back. `quorate recover` says more";
                diagnosis.lines().into_iter().chain([goes_on.to_owned()]).collect()
            }
            Self::LoweringRefused { by, refusals } => {
                let asked = format!("{by} asked to lower the expected votes, and that is refused:");
                std::iter::once(asked).chain(refusals.iter().map(ToString::to_string)).collect()
            }
        }
    }
}

fn costs_more(missing: &[MissingConsent], beyond: &[Shortfall]) -> Vec<String> {
    let mut lines = vec!["the new plan costs something that you have not agreed to:".to_owned()];
    lines.extend(missing.iter().map(|MissingConsent { guest, what }| format!("{guest}: {what}")));
    lines.extend(beyond.iter().map(ToString::to_string));
    lines.push(format!("`quorate approve` agrees; {ENDS}"));
    lines
}

/// What happened with each finding, what it means, what to do; the last line only if one of them may be waived.
fn found(happened: String, findings: &[Finding], means: &str, next: &str) -> Vec<String> {
    let mut lines = vec![happened];
    for Finding { check, subject, problem, remedy, .. } in findings {
        lines.push(format!("{subject}: {problem}"));
        lines.push(format!("  {check} → {remedy}"));
    }
    lines.extend([means.to_owned(), next.to_owned()]);
    if let Some(Finding { check, subject, .. }) = findings.iter().find(|finding| waivable(finding).is_ok()) {
        lines.push(format!("if it is to stay as it is: `quorate resume --waive {check}:{subject}=REASON`"));
    }
    lines
}

fn not_whole(why: &[Why]) -> Vec<String> {
    let mut lines = vec!["every node was upgraded, and then this was seen at the end".to_owned()];
    lines.extend(why.iter().map(ToString::to_string));
    lines.push("fix it, then `quorate resume` looks again; or `quorate abort` ends the run as it is".to_owned());
    lines
}

/// So many changes are listed; the log has all of them.
const MOST_LISTED: usize = 30;

fn changed_outside(changes: &[OutsideChange], down: &BTreeSet<GuestId>) -> Vec<String> {
    let mut lines: Vec<String> = changes.iter().take(MOST_LISTED).map(ToString::to_string).collect();
    if changes.len() > MOST_LISTED {
        lines.push(format!("and {} more: `quorate log` has all of them", changes.len() - MOST_LISTED));
    }
    if down.is_empty() {
        lines.push("every guest that it took down runs again".to_owned());
    } else {
        lines.push(format!("not seen to run now: {}. Start what should run", listed(down)));
    }
    lines.push(GUESTS_RUN.to_owned());
    lines.push(format!("find out what happened, then `quorate resume` plans for what is there; or {ENDS}"));
    lines
}

fn stuck(step: &Step, how: &Stuck, answer: Option<&str>) -> Vec<String> {
    let title = step.kind().title();
    let mut lines = match how {
        Stuck::Deadline { deadline_s, waiting } => {
            let over = format!("not done within {deadline_s} s: {title}");
            std::iter::once(over).chain(waiting.iter().map(|why| format!("{title}: {why}"))).collect()
        }
        Stuck::Attempts { attempts } => vec![format!("sent {attempts} times without the effect: {title}")],
        Stuck::WrongEffect { why } => vec![why.to_string()],
    };
    lines.extend(answer.map(|answer| format!("the cluster's last answer: {answer}")));
    if let Some(step) = step.moves() {
        let (tool, vmid) = (if step.guest.kind == GuestKind::Vm { "qm" } else { "pct" }, step.guest.vmid);
        lines.push(format!(
            "if it is locked for a migration and no task moves it, a node that died has left the lock behind: \
             `{tool} unlock {vmid}` on its node"
        ));
    }
    lines.push(GUESTS_RUN.to_owned());
    let next = "fix the cause, then `quorate resume`; or `quorate abort` to undo what the run changed and stop";
    lines.push(next.to_owned());
    lines
}

fn without_a_plan(why: &str, no_plan: &NoPlan, by_abort: Option<&ByAbort>) -> Vec<String> {
    let mut lines = vec![format!("{why}; and there is no plan for what is there now:")];
    let findings = no_plan.findings.iter();
    lines.extend(findings.map(|finding| format!("{}: {} - {}", finding.subject, finding.problem, finding.remedy)));
    lines.extend(by_abort.map(|ByAbort { node, order }| {
        let order: Vec<&str> = order.iter().map(NodeName::as_str).collect();
        format!(
            "another order is possible: `quorate abort` puts {node} back into service as it is, which is safe, and \
             `quorate run` starts again with {}",
            order.join(", then ")
        )
    }));
    lines.extend([GUESTS_RUN.to_owned(), format!("{PLANS_AGAIN}; or {ENDS}")]);
    lines
}
