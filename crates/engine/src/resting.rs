//! A node that lets every connection wait is left alone for a moment after each that was given up.
//!
//! A machine that lost its power refuses nothing: each connection is given up after some seconds only, and many are
//! tried in a row: for the lock, in a look, for the nodes' own views. In a cluster that has lost quorum by that, a node
//! with active HA has a minute. A refusal comes at once and costs nothing, so a node that boots is not left alone.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use quorate_core::ids::{NodeName, UnixMs};
use quorate_pve::ports::{Bound, Clock, PortFuture, Ports, Shell, ShellError, ShellOutput};

/// A connection that was given up after so long was not refused.
const SILENT_S: u64 = 4;

/// For so long the node is not asked again.
const REST_S: u64 = 15;

struct Resting {
    inner: Arc<dyn Shell>,
    clock: Arc<dyn Clock>,
    silent: Mutex<BTreeMap<NodeName, UnixMs>>,
}

/// The same ports, whose shell leaves silent nodes alone.
pub(crate) fn resting(ports: Ports) -> Ports {
    let (inner, clock) = (ports.shell.clone(), ports.clock.clone());
    Ports { shell: Arc::new(Resting { inner, clock, silent: Mutex::default() }), ..ports }
}

impl Resting {
    fn silent(&self) -> MutexGuard<'_, BTreeMap<NodeName, UnixMs>> {
        self.silent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How long ago it was found silent, if it is left alone for that.
    fn rests(&self, node: &NodeName) -> Option<u64> {
        let since = *self.silent().get(node)?;
        let now = self.clock.now();
        // A clock that was set back says nothing about the time since then.
        (since <= now && now.since_s(since) < REST_S).then(|| now.since_s(since))
    }

    async fn unless_it_rests(
        &self,
        node: &NodeName,
        call: impl Future<Output = Result<ShellOutput, ShellError>>,
    ) -> Result<ShellOutput, ShellError> {
        if let Some(age_s) = self.rests(node) {
            let reason = format!("it left a connection without an answer {age_s} s ago, and is asked again soon");
            return Err(ShellError::Unreachable { node: node.clone(), reason });
        }
        let begun = self.clock.now();
        let answer = call.await;
        let now = self.clock.now();
        match &answer {
            Err(ShellError::Unreachable { .. }) if now.since_s(begun) >= SILENT_S => {
                self.silent().insert(node.clone(), now);
            }
            _ => drop(self.silent().remove(node)),
        }
        answer
    }
}

impl Shell for Resting {
    fn run_bounded<'a>(
        &'a self,
        node: &'a NodeName,
        argv: &'a [String],
        deadline: Duration,
        bound: Bound,
    ) -> PortFuture<'a, Result<ShellOutput, ShellError>> {
        Box::pin(self.unless_it_rests(node, self.inner.run_bounded(node, argv, deadline, bound)))
    }
}
