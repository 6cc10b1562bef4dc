//! How to see and touch a Proxmox VE cluster.
//!
//! [`ports`] is the whole boundary: three traits. [`wire`] has the shapes of API answers and command outputs as they
//! really come, [`observe`] turns them into a [`quorate_core::snapshot::Snapshot`], and [`live`] implements the ports
//! over HTTPS, SSH and the wall clock. [`answer`] says what an answer of the API means. [`recorded`] answers from files, for tests and for a look without a cluster.

pub mod answer;
pub mod live;
pub mod observe;
pub mod ports;
pub mod recorded;
pub mod wire;
