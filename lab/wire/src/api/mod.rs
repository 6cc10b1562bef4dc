//! The API: one module per area, each a table of routes and the functions behind them.
//!
//! A call's parameters and required privileges are in [`super::schema`]; who calls, where it runs and what is refused
//! before a function is reached is in `dispatch`. A function here finds its parameters checked.

mod access;
mod apt;
mod bulk;
mod call;
mod ceph;
mod ceph_daemons;
mod ceph_maps;
mod cluster;
pub(super) mod config;
pub(super) mod datacenter;
mod dispatch;
mod guest_changes;
mod guests;
mod ha;
mod ha_rules;
mod ha_status;
pub(super) mod host;
mod indexes;
pub(super) mod journals;
mod moves;
mod nodes;
mod power;
mod replication;
mod storage;
mod table;
mod tasks;
mod users;

pub(super) use access::manager;
pub(super) use apt::ordered as installed_packages;
pub(super) use cluster::address;
pub(super) use dispatch::{answer, local};
pub(super) use ha_status::{entries as ha_entries, manager_status as ha_manager_status};
pub(super) use storage::root_total;
pub(super) use table::children;
pub use table::endpoints;

use call::{Call, Route, may, route};
