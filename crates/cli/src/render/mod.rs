//! What people read: plain text that is complete without colour. One file per kind of page.

pub(crate) mod inspect;
pub(crate) mod ledger;
pub(crate) mod log;
pub(crate) mod page;
pub(crate) mod plan;
pub(crate) mod preflight;
pub(crate) mod report;
pub(crate) mod status;
pub(crate) mod table;
pub(crate) mod units;
