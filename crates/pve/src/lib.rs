//! How to read and change a Proxmox VE cluster.
//!
//! [`ports`] is the whole boundary: three traits. [`wire`] has the shapes of API answers and command outputs as they
//! really are, [`observe`] turns them into a [`quorate_core::snapshot::Snapshot`], and [`live`] implements the ports
//! over HTTPS, SSH and the wall clock. [`answer`] interprets an answer of the API. [`recorded`] answers from files, for
//! tests and to look at a recorded cluster.

pub mod answer;
pub mod live;
pub mod observe;
pub mod ports;
pub mod recorded;
pub mod wire;
