//! Fuzzing: each seed draws a cluster, a policy and faults, and the real engine makes a whole run over it.
//!
//! Two demands. *Safety*: whatever fails, no command of ours does harm, checked against the truth when it is sent
//! (`judge`), and no harm is in the impact report that none of the seed's faults can do by itself. *Liveness*:
//! once a person has repaired the cluster and answered what was asked, the run comes to its end in bounded time, every
//! node is done and nothing is left to undo. `docs/safety/fuzz.md` says how harm is told apart from bad luck, and why.
//!
//! A seed determines everything: the same seed gives the same run, to the byte.

mod excuses;
mod later_faults;
mod operator;
mod planned_faults;
mod repair;
mod seed_outcome;
mod shape;
mod watching;

use std::sync::{Arc, Mutex};

use quorate_core::ids::UnixMs;
use quorate_core::policy::Policy;
use quorate_core::run::Event;
use quorate_journal::Journal;
use quorate_world::World;
use quorate_world::cluster_file::{ClusterFile, ClusterFileError};
use quorate_world::events::Rng;

use crate::ports::SimPorts;
use crate::simulated_run::SimulatedRunError;

pub use excuses::Harm;
pub use planned_faults::{FaultDrawn, PlannedFault, When};
pub use seed_outcome::{Ending, SeedOutcome};

/// What a seed draws before the run; its faults are drawn once there is a plan.
#[derive(Clone, Debug)]
pub struct Case {
    /// The number from which everything is drawn.
    pub seed: u64,
    /// The cluster that the seed draws.
    pub file: ClusterFile,
    /// What the operator allows.
    pub policy: Policy,
    rng: Rng,
}

/// A seed could not be run.
#[derive(Debug, thiserror::Error)]
pub enum FuzzError {
    /// Its cluster cannot be built.
    #[error(transparent)]
    Cluster(#[from] ClusterFileError),
    /// Its run could not be driven.
    #[error(transparent)]
    Run(#[from] SimulatedRunError),
}

impl Case {
    /// Draws the case of a seed.
    ///
    /// # Errors
    /// The demo's file, from which releases and packages are taken, cannot be read.
    pub fn of(seed: u64) -> Result<Self, ClusterFileError> {
        // Neighbouring seeds must have nothing in common.
        let mut rng = Rng::new(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0x51_7C_C1_B7_27_22_0A_95);
        rng.next_u64();
        let file = shape::cluster(&mut rng)?;
        let policy = shape::policy(&mut rng, &file);
        Ok(Self { seed, file, policy, rng })
    }

    /// Makes its run.
    ///
    /// # Errors
    /// The cluster cannot be built, or the run cannot be driven.
    pub async fn hold(self) -> Result<SeedOutcome, FuzzError> {
        let world = World::build(&self.file, self.seed)?;
        let sim = SimPorts::new(Arc::new(Mutex::new(world)));
        let journal = Journal::in_memory().map_err(SimulatedRunError::from)?;
        Ok(operator::Operator::new(self, sim, journal).hold().await?)
    }
}

/// Makes the run of one seed.
///
/// # Errors
/// As [`Case::hold`].
pub async fn hold(seed: u64) -> Result<SeedOutcome, FuzzError> {
    Case::of(seed)?.hold().await
}

/// What happened, when, by the world's clock.
pub type Events = Vec<(UnixMs, Event)>;
