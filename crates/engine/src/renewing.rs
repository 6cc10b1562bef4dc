//! Ports that renew the lock in the cluster, however long a call takes.
//!
//! It is renewed before a call when that is due, and again and again while the call has not returned: a look, an order
//! or a program on a node may take minutes, and an endpoint may hang. The timer lives only as long as the call.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use quorate_core::ids::NodeName;
use quorate_pve::ports::{
    Api, ApiData, ApiError, ApiRequest, Bound, Clock, PortFuture, Ports, Shell, ShellError, ShellOutput, Stranger,
};

use crate::cluster_lock::ClusterLock;

/// How often it is asked during a call whether a renewal is due.
const ASK: Duration = Duration::from_secs(10);

struct Renewing {
    inner: Ports,
    lock: Arc<ClusterLock>,
}

/// The same ports, with the lock renewed meanwhile.
pub(crate) fn renewing(inner: Ports, lock: Arc<ClusterLock>) -> Ports {
    let clock: Arc<dyn Clock> = inner.clock.clone();
    let renewing = Arc::new(Renewing { inner, lock });
    Ports { api: renewing.clone(), shell: renewing, clock }
}

impl Renewing {
    async fn during<T>(&self, call: impl Future<Output = T>) -> T {
        // The call comes first: time that passes in it is not waited for a second time.
        tokio::select! {
            biased;
            answer = call => answer,
            never = self.again_and_again() => match never {},
        }
    }

    async fn again_and_again(&self) -> Infallible {
        loop {
            self.inner.clock.sleep(ASK).await;
            self.lock.renew_if_due().await;
        }
    }
}

impl Api for Renewing {
    fn call(&self, request: ApiRequest) -> PortFuture<'_, Result<ApiData, ApiError>> {
        Box::pin(async move {
            self.lock.renew_if_due().await;
            self.during(self.inner.api.call(request)).await
        })
    }

    fn strangers(&self) -> Vec<Stranger> {
        self.inner.api.strangers()
    }

    fn let_members_vouch(&self) {
        self.inner.api.let_members_vouch();
    }

    fn taken_over(&self) -> Vec<(Stranger, NodeName)> {
        self.inner.api.taken_over()
    }
}

impl Shell for Renewing {
    fn run_bounded<'a>(
        &'a self,
        node: &'a NodeName,
        argv: &'a [String],
        deadline: Duration,
        bound: Bound,
    ) -> PortFuture<'a, Result<ShellOutput, ShellError>> {
        Box::pin(async move {
            self.lock.renew_if_due().await;
            self.during(self.inner.shell.run_bounded(node, argv, deadline, bound)).await
        })
    }
}
