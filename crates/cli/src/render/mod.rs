//! What people read: plain text that is complete without colour. One file per kind of page.

pub(crate) mod begin;
pub(crate) mod checker;
pub(crate) mod driver;
#[cfg(test)]
pub(crate) mod golden;
pub(crate) mod guest_outcomes;
#[cfg(test)]
mod hostile;
pub(crate) mod html;
pub(crate) mod inspect;
pub(crate) mod log;
pub(crate) mod names;
pub(crate) mod page;
pub(crate) mod plan;
mod plan_report;
pub(crate) mod preflight;
pub(crate) mod recover;
pub(crate) mod report;
pub(crate) mod status;
pub(crate) mod stopped;
pub(crate) mod table;
pub(crate) mod units;
