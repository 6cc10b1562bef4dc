//! Whole runs of the code that ships against the world, in one process and in virtual time. For developers only.
//!
//! [`ports`] hands the world to the engine, [`rehearsal`] holds a whole run over it, [`judge`] looks at every command of it
//! on the truth. [`scenario`] plays the stories of `scenarios/`, [`fuzz`] draws clusters and faults by lot, [`crash`] kills
//! the engine at every point.

pub mod crash;
pub mod fuzz;
mod judge;
pub mod ports;
pub mod simulated_run;
pub mod scenario;
