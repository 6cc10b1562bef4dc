//! May expected votes be lowered? The decision about the most dangerous thing that Quorate can do.
//!
//! All of this must hold, and whatever does not is reported: quorum is lost, no partition anywhere has it, every absent
//! node is silent, has been away for longer than a boot may take, and a person has seen that it is off. The step lowers
//! by as little as restores quorum, and the rule `votes-lowered-only-if-confirmed-off` has the last word on the
//! outcome.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::confirmation::words_for;
use super::facts::RunFacts;
use super::quorum_views::{AbsenceNotKnown, NodeReport, QuorumViews, VotesNotKnown};
use super::spans::span;
use crate::fence::Unfenced;
use crate::ids::{NodeName, UnixMs};
use crate::invariants::{Context, Evidence, Grounds, RuleId, RuleOutcome};
use crate::observed::{Observed, WhyUnknown};
use crate::policy::Policy;
use crate::snapshot::{Node, Snapshot};
use crate::steps::{ExpectedVotes, set};

/// A reason against lowering expected votes.
#[derive(Clone, Debug, PartialEq, Eq, Error, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "reason")]
pub enum NotLowered {
    /// There is nothing to fix.
    #[error("{node} is in a partition that has quorum: nothing may be lowered")]
    HasQuorum {
        /// A node that has quorum.
        node: NodeName,
    },
    /// No node reports its state.
    #[error("no node reports its view: it is not known what would be lowered")]
    NoView,
    /// A member may be in another partition by now.
    #[error("{node} is a member and does not report its view: {why}")]
    MemberNotKnown {
        /// The node in question.
        node: NodeName,
        /// Why its view was not read.
        why: WhyUnknown,
    },
    /// Since when a node is away must be known, and is not.
    #[error("since when {node} is away is not known: {why}")]
    AbsenceNotKnown {
        /// The node in question.
        node: NodeName,
        /// Why it is not known.
        why: AbsenceNotKnown,
    },
    /// How many votes are configured must be known, and is not.
    #[error("{why}")]
    VotesNotKnown {
        /// Which of the votes, and why.
        why: VotesNotKnown,
    },
    /// A node that is no member answers: it is not off.
    #[error("{node} answers over SSH: it is not off. Fix its corosync or its links instead")]
    StillAnswers {
        /// The node in question.
        node: NodeName,
    },
    /// A node is away, and may still be on its way back.
    #[error("{node} has been away for {}; a boot may take {}: it may be on its way", span(*.away_s), span(*.needed_s))]
    AwayTooShort {
        /// The node in question.
        node: NodeName,
        /// How long it has been away, in seconds.
        away_s: u64,
        /// How long it must have been away, in seconds.
        needed_s: u64,
    },
    /// This run told a node to reboot, and its time is not up.
    #[error("{node} was told to reboot by this run and still has {}", span(*.left_s))]
    Reboots {
        /// The node in question.
        node: NodeName,
        /// How much of its time is left, in seconds.
        left_s: u64,
    },
    /// Nobody has confirmed that it is off.
    #[error("nobody has confirmed that {node} is off: \"{}\"", words_for(.node))]
    NotConfirmedOff {
        /// The node in question.
        node: NodeName,
    },
    /// Words that confirm no absent node.
    #[error("{words:?} are not the words for any absent node")]
    OtherWords {
        /// As they were typed.
        words: String,
    },
    /// The order could have no condition.
    #[error(transparent)]
    Unfenced {
        /// What is not known.
        why: Unfenced,
    },
    /// The votes that are left would not be enough however far they are lowered, or the rule says no.
    #[error("{}: {evidence}", RuleId::VotesLoweredOnlyIfConfirmedOff)]
    RuleBroken {
        /// The evidence of the rule.
        evidence: Grounds<Evidence>,
    },
}

/// The step that lowers expected votes, or every reason against it. `confirmed_off` are the sentences as they were
/// typed.
///
/// # Errors
/// All reasons, so that the operator sees at once everything that is missing.
pub fn lowering(
    quorum_views: &QuorumViews,
    facts: &RunFacts,
    confirmed_off: &[String],
) -> Result<ExpectedVotes, Vec<NotLowered>> {
    let Some((node, here)) = quorum_views.here() else { return Err(vec![NotLowered::NoView]) };
    if let Some((quorate, _)) = quorum_views.views().find(|(_, view)| view.quorate) {
        return Err(vec![NotLowered::HasQuorum { node: quorate.clone() }]);
    }
    let mut refusals = Vec::new();
    let absent = quorum_views.absent();
    for name in &absent {
        refusals.extend(against(quorum_views, facts, name, confirmed_off));
    }
    let known = |sentence: &&String| absent.iter().any(|name| words_for(name) == **sentence);
    let strange = confirmed_off.iter().filter(|sentence| !known(sentence));
    refusals.extend(strange.map(|words| NotLowered::OtherWords { words: words.clone() }));
    // Members that do not report their own view may be in another partition by now.
    for member in here.members.keys() {
        if let Some(Err(why)) = quorum_views.nodes.get(member).map(|report| report.view.read()) {
            refusals.push(NotLowered::MemberNotKnown { node: member.clone(), why: why.clone() });
        }
    }
    let configured = match quorum_views.configured() {
        Ok(configured) => configured,
        Err(why) => {
            refusals.push(NotLowered::VotesNotKnown { why });
            return Err(refusals);
        }
    };
    // quorum is expected/2 + 1: the highest expectation that these votes still meet.
    let expected = (2 * here.total_votes).saturating_sub(1).min(configured);
    let off: BTreeSet<NodeName> = absent.into_iter().cloned().collect();
    let step = ExpectedVotes { node: node.clone(), expected, configured, off };
    refusals.extend(rule(quorum_views, &step));
    if refusals.is_empty() { Ok(step) } else { Err(refusals) }
}

/// What speaks against treating this node as off.
fn against(quorum_views: &QuorumViews, facts: &RunFacts, name: &NodeName, confirmed_off: &[String]) -> Vec<NotLowered> {
    let mut refusals = Vec::new();
    if quorum_views.nodes.get(name).is_some_and(NodeReport::answers) {
        return vec![NotLowered::StillAnswers { node: name.clone() }];
    }
    let node = name.clone();
    match quorum_views.absent_since(name) {
        Ok(since) => {
            let away_s = quorum_views.taken.since_s(since);
            if away_s <= facts.boot_s {
                refusals.push(NotLowered::AwayTooShort { node, away_s, needed_s: facts.boot_s });
            }
        }
        Err(why) => refusals.push(NotLowered::AbsenceNotKnown { node, why }),
    }
    if let Some(ordered) = facts.reboots.get(name) {
        let left_s = ordered.plus_s(facts.boot_s).since_s(quorum_views.taken);
        if left_s > 0 {
            refusals.push(NotLowered::Reboots { node: name.clone(), left_s });
        }
    }
    if !confirmed_off.contains(&words_for(name)) {
        refusals.push(NotLowered::NotConfirmedOff { node: name.clone() });
    }
    refusals
}

/// The rule has the last word, on the state after the step.
fn rule(quorum_views: &QuorumViews, step: &ExpectedVotes) -> Option<NotLowered> {
    let policy = Policy::default();
    let context = Context { nodes_confirmed_off: step.off.clone(), ..Context::new(&policy) };
    let mut after = as_snapshot(quorum_views, step);
    set(step.clone()).after(&mut after);
    match RuleId::VotesLoweredOnlyIfConfirmedOff.holds(&after, &context) {
        RuleOutcome::Holds => None,
        RuleOutcome::Broken(evidence) | RuleOutcome::Unknown(evidence) => Some(NotLowered::RuleBroken { evidence }),
    }
}

/// The views as far as rules about votes need them: a node that is confirmed off and silent is offline.
fn as_snapshot(quorum_views: &QuorumViews, step: &ExpectedVotes) -> Snapshot {
    let mut snapshot = Snapshot::empty(UnixMs(quorum_views.taken.0));
    snapshot.configured_votes = quorum_views.votes.clone();
    for (name, report) in &quorum_views.nodes {
        let online = !step.off.contains(name) || report.answers();
        let node = Node { online: Observed::Known(online), ..Node::unseen(name.clone(), "not asked") };
        snapshot.nodes.insert(name.clone(), node);
        snapshot.quorum.insert(name.clone(), report.view.clone());
    }
    snapshot
}
