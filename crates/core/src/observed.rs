//! What was seen, or why it was not.

use serde::{Deserialize, Serialize};

/// A reading that may be missing. Unknown is never OK: no rule is satisfied by it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Observed<T> {
    /// It was read, and this is the value.
    Known(T),
    /// It could not be read, and this is why.
    Unknown(WhyUnknown),
}

/// Why a reading is missing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WhyUnknown {
    /// The call or command that should have answered: `GET /cluster/status on pve1`, `corosync-cfgtool -n on pve2`.
    pub source: String,
    /// What came instead, in words for the administrator.
    pub reason: String,
}

impl WhyUnknown {
    /// A reason with its source.
    pub fn new(source: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { source: source.into(), reason: reason.into() }
    }
}

impl std::fmt::Display for WhyUnknown {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.source, self.reason)
    }
}

impl<T> Observed<T> {
    /// Unknown, with source and reason.
    pub fn unknown(source: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Unknown(WhyUnknown::new(source, reason))
    }

    /// The reading, if there is one.
    pub fn known(&self) -> Option<&T> {
        match self {
            Self::Known(value) => Some(value),
            Self::Unknown(_) => None,
        }
    }

    /// The reading, to be changed in place (a forecast does).
    pub fn known_mut(&mut self) -> Option<&mut T> {
        match self {
            Self::Known(value) => Some(value),
            Self::Unknown(_) => None,
        }
    }

    /// The reading or why it is missing; for use with `?`.
    pub fn read(&self) -> Result<&T, &WhyUnknown> {
        match self {
            Self::Known(value) => Ok(value),
            Self::Unknown(why) => Err(why),
        }
    }

    /// True if known and equal to `value`.
    pub fn is(&self, value: &T) -> bool
    where
        T: PartialEq,
    {
        self.known() == Some(value)
    }

    /// Changes what is inside a known reading.
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Observed<U> {
        match self {
            Self::Known(value) => Observed::Known(change(value)),
            Self::Unknown(why) => Observed::Unknown(why),
        }
    }
}

impl<T> From<Result<T, WhyUnknown>> for Observed<T> {
    fn from(result: Result<T, WhyUnknown>) -> Self {
        match result {
            Ok(value) => Self::Known(value),
            Err(why) => Self::Unknown(why),
        }
    }
}
