//! What happens to the cluster while a look waits for a node.
//!
//! A node that lost its power without a word keeps its callers waiting, and in a cluster that has lost quorum by that
//! HA resets the other nodes within a minute. So a look that has to wait asks the nodes themselves for quorum, and is
//! broken off if it is lost: nothing else matters then, and nothing else would be answered.

use std::sync::OnceLock;
use std::time::Duration;

use quorate_core::recovery::QuorumViews;
use tokio::sync::Notify;
use tracing::warn;

/// A call that takes longer makes the look ask for quorum, and so does each further time as long as this.
pub(super) const SLOW: Duration = Duration::from_secs(5);

/// Shared by the calls of a look and by what goes on beside it.
#[derive(Default)]
pub(super) struct Meanwhile {
    waits: Notify,
    broken_off: Notify,
    lost: OnceLock<QuorumViews>,
}

impl Meanwhile {
    /// A call still has no answer.
    pub(super) fn a_call_waits(&self) {
        self.waits.notify_one();
    }

    /// Has the look been broken off?
    pub(super) fn is_broken_off(&self) -> bool {
        self.lost.get().is_some()
    }

    /// Returns when the look is broken off.
    pub(super) async fn broken_off(&self) {
        let broken_off = self.broken_off.notified();
        if !self.is_broken_off() {
            broken_off.await;
        }
    }

    /// The nodes' own views, if they made the look end.
    pub(super) fn lost(self) -> Option<QuorumViews> {
        self.lost.into_inner()
    }

    /// Asks for quorum whenever a call waits. Returns when it is lost, and then the look is broken off.
    pub(super) async fn ask_for_quorum(&self, ask: impl AsyncFn() -> QuorumViews) {
        loop {
            self.waits.notified().await;
            let views = ask().await;
            if views.lost_quorum() {
                warn!("quorum is lost: the look at the cluster is broken off");
                // There is one that asks, so it is empty.
                let _ = self.lost.set(views);
                self.broken_off.notify_waiters();
                return;
            }
        }
    }
}
