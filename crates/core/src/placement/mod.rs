//! Which guest may be where: how much memory it takes, and what keeps it from a node.
//!
//! Its answers follow from one snapshot alone; what changes in the course of a plan (which guest is where, which node
//! is upgraded) is left to the planner. A reading that is missing is an obstacle of its own, never a guess.

mod capacity;
mod compat;
mod cpu;
mod hibernation;
mod storage_map;

pub use capacity::{CT_OVERHEAD_BYTES, VM_OVERHEAD_BYTES, footprint_bytes, plannable_bytes, usable_bytes, usable_cpus};
pub use compat::{Obstacle, as_stopped, disk_bytes, disks_by_storage, moves_with_disks, obstacle_here, obstacle_there};
pub use cpu::{common_model, difference};
pub use hibernation::{StatePlace, state_place};
pub use storage_map::{MapFault, map_faults, mapped, stands_for};
