//! The world that all tasks of a lab share; each access first advances it to the present.

use std::sync::{Mutex, MutexGuard, PoisonError};

use quorate_wire::Wire;
use quorate_world::World;
use russh::keys::PrivateKey;

use super::clock::LabClock;
use super::doors::Signal;

/// What the tasks of a lab share.
pub(super) struct Shared {
    pub(super) cluster: Mutex<Cluster>,
    pub(super) clock: LabClock,
    pub(super) root_key: PrivateKey,
    pub(super) signals: Vec<Signal>,
}

pub(super) struct Cluster {
    pub(super) world: World,
    pub(super) wire: Wire,
}

impl Shared {
    /// Advances the world to the present and runs `act` on it. Nothing in here waits.
    pub(super) fn with<T>(&self, act: impl FnOnce(&Wire, &mut World) -> T) -> T {
        let mut cluster = self.lock();
        let Cluster { world, wire } = &mut *cluster;
        wire.advance(world, self.clock.now().0);
        let result = act(wire, world);
        for signal in &self.signals {
            signal.update(world);
        }
        result
    }

    fn lock(&self) -> MutexGuard<'_, Cluster> {
        // A panic in one request leaves a world that is still a world.
        self.cluster.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
