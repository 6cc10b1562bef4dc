//! What a rule says about a snapshot: it holds, it does not, or that is not known; the last two with their grounds.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::ids::NodeName;
use crate::observed::WhyUnknown;

/// What a rule says about a snapshot. `E` is the rule's own enum of the evidence that it can give.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RuleOutcome<E> {
    /// The rule holds.
    Holds,
    /// The rule is broken, and this is the evidence.
    Broken(Grounds<E>),
    /// It is not known, and this is what is missing. Only [`RuleOutcome::Holds`] lets a step pass.
    Unknown(Grounds<E>),
}

impl<E> RuleOutcome<E> {
    /// The evidence, or what is missing; none if the rule holds.
    pub fn grounds(&self) -> Option<&Grounds<E>> {
        match self {
            Self::Holds => None,
            Self::Broken(grounds) | Self::Unknown(grounds) => Some(grounds),
        }
    }

    /// The same outcome with its evidence converted.
    pub fn map<F>(self, change: impl Fn(E) -> F) -> RuleOutcome<F> {
        match self {
            Self::Holds => RuleOutcome::Holds,
            Self::Broken(grounds) => RuleOutcome::Broken(grounds.map(change)),
            Self::Unknown(grounds) => RuleOutcome::Unknown(grounds.map(change)),
        }
    }
}

/// What an outcome rests on: at least one thing, so that no rule refuses without a reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grounds<E> {
    first: E,
    rest: Vec<E>,
}

impl<E> Grounds<E> {
    /// One thing, and whatever else there is.
    pub fn new(first: E, rest: Vec<E>) -> Self {
        Self { first, rest }
    }

    /// All of them, if there are any.
    pub fn of(all: Vec<E>) -> Option<Self> {
        let mut all = all.into_iter();
        all.next().map(|first| Self::new(first, all.collect()))
    }

    /// One after the other.
    pub fn iter(&self) -> impl Iterator<Item = &E> {
        std::iter::once(&self.first).chain(&self.rest)
    }

    fn map<F>(self, change: impl Fn(E) -> F) -> Grounds<F> {
        Grounds { first: change(self.first), rest: self.rest.into_iter().map(change).collect() }
    }
}

/// One line: `vm:101 is on pve1, which is offline; vm:103 is on pve1, which is offline`.
impl<E: std::fmt::Display> std::fmt::Display for Grounds<E> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.first)?;
        self.rest.iter().try_for_each(|one| write!(f, "; {one}"))
    }
}

/// A reading that a rule needs and does not have. Every rule can be left without an outcome by these.
#[derive(Clone, Debug, PartialEq, Eq, Error, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Missing {
    /// It was tried, and failed.
    #[error("not known: {0}")]
    Reading(WhyUnknown),
    /// It was not even tried: there is no view of this node.
    #[error("the view of {0} on votes and members was not read")]
    View(NodeName),
    /// Not one node that is online has a view.
    #[error("no node that is online reported its view on votes and members")]
    EveryView,
}
