//! Which endpoints show another certificate than the pinned one, and which of these were taken over.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use quorate_core::ids::NodeName;

use crate::ports::Stranger;

/// What was shown and taken over.
#[derive(Default)]
pub(super) struct Identities {
    strangers: Mutex<BTreeMap<NodeName, Stranger>>,
    members_vouch: AtomicBool,
    taken_over: Mutex<Vec<(Stranger, NodeName)>>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Identities {
    /// An endpoint showed a certificate: the pinned one, or another.
    pub(super) fn showed(&self, it: Stranger) {
        let mut strangers = locked(&self.strangers);
        strangers.remove(&it.node);
        if it.shown != it.pinned {
            strangers.insert(it.node.clone(), it);
        }
    }

    pub(super) fn strangers(&self) -> Vec<Stranger> {
        locked(&self.strangers).values().cloned().collect()
    }

    pub(super) fn let_members_vouch(&self) {
        self.members_vouch.store(true, Ordering::Relaxed);
    }

    pub(super) fn may_members_vouch(&self) -> bool {
        self.members_vouch.load(Ordering::Relaxed)
    }

    pub(super) fn take_over(&self, it: Stranger, by: NodeName) {
        locked(&self.taken_over).push((it, by));
    }

    pub(super) fn taken_over(&self) -> Vec<(Stranger, NodeName)> {
        std::mem::take(&mut locked(&self.taken_over))
    }
}
