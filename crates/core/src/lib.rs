//! What state the cluster is in, and what to do next.
//!
//! The loop, in one paragraph: the caller looks at the cluster and passes us a [`snapshot::Snapshot`]. [`checks`]
//! report what an administrator should know before a run, [`planner`] turns the snapshot and the operator's
//! [`policy::Policy`] into a [`plan::Plan`] made of [`steps`], [`forecast`] walks the plan again with the safety rules
//! in [`invariants`], and [`run`] folds the journal's events and decides the one next action.
//!
//! Everything here is pure: no clock, no randomness, no I/O, no async. The same input gives the same bytes. What was
//! not seen is [`observed::Observed::Unknown`], and unknown never satisfies a rule.

pub mod checks;
pub mod command;
#[cfg(test)]
mod explorer;
pub mod fence;
#[cfg(any(test, feature = "fixtures"))]
pub mod fixture;
pub mod forecast;
pub mod ids;
pub mod invariants;
pub mod migration_throttle;
pub mod observed;
pub mod placement;
pub mod plan;
pub mod planner;
pub mod policy;
pub mod progress;
pub mod recovery;
pub mod run;
pub mod snapshot;
pub mod steps;
pub mod text;
pub mod time_left;
pub mod version;
pub mod view;
