//! Whole runs of the code that ships against the world, in one process and in virtual time. For developers only.
//!
//! [`ports`] hands the world to the engine over a [`network`] that may hold what is sent, [`simulated_run`] makes a whole run over it, `judge` checks every command
//! of it against the truth. [`scenario`] plays the stories of `scenarios/`, [`fuzz`] draws random clusters and faults,
//! [`crash`] kills the engine at every point.

mod caller;
pub mod crash;
mod digest;
pub mod fuzz;
mod judge;
pub mod network;
pub mod ports;
pub mod scenario;
pub mod simulated_run;
mod transport;
