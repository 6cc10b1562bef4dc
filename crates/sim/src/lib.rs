//! A cluster that is not there: world, wire, lab, ledger.
//!
//! [`world`] is the ground truth in virtual time, [`ledger`] counts the harm done to it, [`oracle`] holds the rules that
//! are looked at on the way, [`cluster_file`] builds a world from a description. [`wire`] shows the world as PVE does. [`lab`] serves it on loopback, [`ports`] hands it
//! to the engine in one process, and [`rehearsal`] holds whole runs over it.

pub mod cluster_file;
pub mod crash_matrix;
pub mod fault_words;
pub mod lab;
pub mod ledger;
pub mod oracle;
pub mod ports;
pub mod rehearsal;
pub mod scenario;
pub mod swarm;
pub mod wire;
pub mod world;
