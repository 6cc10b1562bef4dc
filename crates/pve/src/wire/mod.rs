//! The shapes of API answers and command outputs, as they really are.
//!
//! PVE is Perl: a flag may be `1`, `"1"`, `true` or missing, a number may be a string, an empty list may be `null`.
//! [`lenient`] accepts all of these; unknown fields are ignored. What cannot be understood is an error, never a
//! default that looks like good news. No parser here panics, whatever the bytes.

pub mod apt;
pub mod boot;
pub mod ceph;
pub mod cfgtool;
pub mod cluster;
pub mod corosync_conf;
pub mod corosync_journal;
pub mod cpu_models;
pub mod df;
pub mod disks;
pub mod dpkg;
pub mod guest;
pub mod ha;
pub mod host;
pub mod ip_address;
pub mod kernels;
pub mod lenient;
pub mod migration_log;
pub mod node;
pub mod pct_list;
pub mod property;
pub mod qm_list;
pub mod quorumtool;
pub mod systemctl;
pub mod upgrade_checker;
pub mod upid;
