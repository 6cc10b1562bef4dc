//! What a rule says of a snapshot: it holds, or it does not, or that cannot be told; the last two with their grounds.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::ids::NodeName;
use crate::observed::WhyUnknown;

/// What a rule says of a snapshot. `E` is the rule's own enum of what it can have to say.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RuleOutcome<E> {
    /// It holds.
    Holds,
    /// It is broken, and this is the evidence.
    Broken(Grounds<E>),
    /// It cannot be told, and this is what is missing. Only [`Verdict::Holds`] lets a step pass.
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

    /// The same in other terms.
    pub fn map<F>(self, change: impl Fn(E) -> F) -> RuleOutcome<F> {
        match self {
            Self::Holds => RuleOutcome::Holds,
            Self::Broken(grounds) => RuleOutcome::Broken(grounds.map(change)),
            Self::Unknown(grounds) => RuleOutcome::Unknown(grounds.map(change)),
        }
    }
}

/// What a verdict rests on: at least one thing, so that no rule refuses without a reason.
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

/// A reading that must be there to tell, and is not. Every rule can be kept from a verdict by these.
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
    #[error("no node that is online told its view on votes and members")]
    EveryView,
}
