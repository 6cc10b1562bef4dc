//! May expected votes be lowered? The judgement over the most dangerous thing that Quorate can do.
//!
//! All of it must be so, and each thing that is not is told: quorum is lost, no partition anywhere has it, every absent
//! node is silent, has been away for longer than a boot may take, and a person has seen that it is off. The step lowers
//! by as little as gives quorum back, and the rule `votes-lowered-only-if-attested` has the last word on the outcome.

use std::collections::BTreeSet;

use serde::Serialize;

use super::diagnose::span;
use super::facts::RunFacts;
use super::survey::Survey;
use crate::ids::{NodeName, UnixMs};
use crate::invariants::{Context, Verdict, by_id};
use crate::observed::Observed;
use crate::policy::Policy;
use crate::snapshot::{Node, Snapshot};
use crate::steps::{ExpectedVotes, set};

/// The words that attest a node: to be typed letter by letter.
pub fn words_for(node: &NodeName) -> String {
    format!("I have seen that {node} is off")
}

/// A reason against lowering expected votes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "refusal")]
pub enum Refusal {
    /// There is nothing to mend.
    HasQuorum {
        /// Who has it.
        node: NodeName,
    },
    /// Nobody tells how things stand.
    NoView,
    /// What must be known is not.
    NotKnown {
        /// What, and why not.
        what: String,
    },
    /// A node that is no member answers: it is not off.
    StillAnswers {
        /// Which.
        node: NodeName,
    },
    /// A node is away, and may still be on its way back.
    AwayTooShort {
        /// Which.
        node: NodeName,
        /// For so long.
        away_s: u64,
        /// So long it must be.
        needed_s: u64,
    },
    /// This run told a node to reboot, and its time is not over.
    Reboots {
        /// Which.
        node: NodeName,
        /// It has so long still.
        left_s: u64,
    },
    /// Nobody has said that he has seen it off.
    NotAttested {
        /// Which.
        node: NodeName,
    },
    /// Words that attest no absent node.
    OtherWords {
        /// As they were typed.
        words: String,
    },
    /// The votes that are left would not be enough however far they are lowered, or the rule says no.
    RuleBroken {
        /// Its evidence.
        evidence: Vec<String>,
    },
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::HasQuorum { node } => write!(f, "{node} is in a partition that has quorum: nothing is to be lowered"),
            Self::NoView => f.write_str("no node tells its view: nobody can say what would be lowered"),
            Self::NotKnown { what } => f.write_str(what),
            Self::StillAnswers { node } => {
                write!(f, "{node} answers over SSH: it is not off. Mend its corosync or its links instead")
            }
            Self::AwayTooShort { node, away_s, needed_s } => {
                let (away, needed) = (span(*away_s), span(*needed_s));
                write!(f, "{node} has been away for {away}; a boot may take {needed}: it may be on its way")
            }
            Self::Reboots { node, left_s } => {
                write!(f, "{node} was told to reboot by this run and has {} still", span(*left_s))
            }
            Self::NotAttested { node } => write!(f, "nobody has attested {node}: \"{}\"", words_for(node)),
            Self::OtherWords { words } => write!(f, "{words:?} are not the words for any absent node"),
            Self::RuleBroken { evidence } => {
                write!(f, "votes-lowered-only-if-attested: {}", evidence.join("; "))
            }
        }
    }
}

/// The step that lowers expected votes, or every reason against it. `attested` are the sentences as they were typed.
///
/// # Errors
/// All reasons, so that the operator sees at once how far he is from it.
pub fn lowering(survey: &Survey, facts: &RunFacts, attested: &[String]) -> Result<ExpectedVotes, Vec<Refusal>> {
    let Some((node, here)) = survey.here() else { return Err(vec![Refusal::NoView]) };
    if let Some((quorate, _)) = survey.views().find(|(_, view)| view.quorate) {
        return Err(vec![Refusal::HasQuorum { node: quorate.clone() }]);
    }
    let mut refusals = Vec::new();
    let absent = survey.absent();
    for name in &absent {
        refusals.extend(against(survey, facts, name, attested));
    }
    let known = |sentence: &&String| absent.iter().any(|name| words_for(name) == **sentence);
    let strange = attested.iter().filter(|sentence| !known(sentence));
    refusals.extend(strange.map(|words| Refusal::OtherWords { words: words.clone() }));
    // Members who do not tell their own view may be somewhere else by now.
    for member in here.members.keys() {
        if let Some(Err(why)) = survey.nodes.get(member).map(|report| report.view.read()) {
            refusals
                .push(Refusal::NotKnown { what: format!("{member} is a member and does not tell its view: {why}") });
        }
    }
    let configured = match survey.configured() {
        Ok(configured) => configured,
        Err(what) => {
            refusals.push(Refusal::NotKnown { what });
            return Err(refusals);
        }
    };
    // quorum is expected/2 + 1: the highest expectation that these votes still meet.
    let expected = (2 * here.total_votes).saturating_sub(1).min(configured);
    let off: BTreeSet<NodeName> = absent.into_iter().cloned().collect();
    let step = ExpectedVotes { node: node.clone(), expected, configured, off };
    refusals.extend(rule(survey, &step));
    if refusals.is_empty() { Ok(step) } else { Err(refusals) }
}

/// What speaks against taking this node for off.
fn against(survey: &Survey, facts: &RunFacts, name: &NodeName, attested: &[String]) -> Vec<Refusal> {
    let mut refusals = Vec::new();
    if survey.nodes.get(name).is_some_and(super::survey::NodeReport::answers) {
        return vec![Refusal::StillAnswers { node: name.clone() }];
    }
    let node = name.clone();
    match survey.absent_since(name) {
        Ok(since) => {
            let away_s = survey.taken.since_s(since);
            if away_s <= facts.boot_s {
                refusals.push(Refusal::AwayTooShort { node, away_s, needed_s: facts.boot_s });
            }
        }
        Err(why) => refusals.push(Refusal::NotKnown { what: format!("since when {name} is away is not known: {why}") }),
    }
    if let Some(ordered) = facts.reboots.get(name) {
        let left_s = ordered.plus_s(facts.boot_s).since_s(survey.taken);
        if left_s > 0 {
            refusals.push(Refusal::Reboots { node: name.clone(), left_s });
        }
    }
    if !attested.contains(&words_for(name)) {
        refusals.push(Refusal::NotAttested { node: name.clone() });
    }
    refusals
}

/// The rule has the last word, on what will be.
fn rule(survey: &Survey, step: &ExpectedVotes) -> Option<Refusal> {
    let rule = by_id("votes-lowered-only-if-attested").expect("the rule is in the registry");
    let policy = Policy::default();
    let context = Context { attested_dead: step.off.clone(), ..Context::new(&policy) };
    let mut after = as_snapshot(survey, step);
    set(step.clone()).after(&mut after);
    match rule.holds(&after, &context) {
        Verdict::Holds => None,
        Verdict::Broken(evidence) | Verdict::Unknown(evidence) => Some(Refusal::RuleBroken { evidence }),
    }
}

/// The survey as far as rules about votes need it: who is attested and silent is offline.
fn as_snapshot(survey: &Survey, step: &ExpectedVotes) -> Snapshot {
    let mut snapshot = Snapshot::empty(UnixMs(survey.taken.0));
    snapshot.configured_votes = survey.votes.clone();
    for (name, report) in &survey.nodes {
        let online = !step.off.contains(name) || report.answers();
        let node = Node { online: Observed::Known(online), ..Node::unseen(name.clone(), "not asked") };
        snapshot.nodes.insert(name.clone(), node);
        snapshot.quorum.insert(name.clone(), report.view.clone());
    }
    snapshot
}
