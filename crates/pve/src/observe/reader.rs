//! The one place through which everything is read: which node is asked, how many requests at once, how long is waited,
//! and how a failure is worded.
//!
//! A look has a deadline, and each of its calls too. What is not answered by then is unknown. A node that has left
//! several calls without an answer is not asked any more in this look: otherwise one that hangs would take all its time.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures_util::future::{Either, select};
use quorate_core::command::{Method, quote_all};
use quorate_core::ids::{NodeName, UnixMs};
use quorate_core::observed::WhyUnknown;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::Semaphore;

use super::look::Depth;
use super::meanwhile::{Meanwhile, SLOW};
use crate::ports::{ApiError, ApiRequest, Bound, Ports, ShellError, ShellOutput, percent_encoded};
use crate::wire::lenient;

/// Requests in flight per node, API calls and programs together: a look must not be a load.
const IN_FLIGHT_PER_NODE: usize = 3;

/// Cluster-wide requests in flight: they all go to one endpoint.
const IN_FLIGHT_CLUSTER: usize = 6;

/// How long one call may take. An answer takes well under a second where nothing is wrong.
pub(super) const CALL: Duration = Duration::from_secs(15);

/// How long a look may take, in calls that are not answered: a watch a minute, a full one three, since it reads four
/// things of each guest. PVE's checker alone has a time of its own.
const WATCH_CALLS: u32 = 4;
const FULL_CALLS: u32 = 12;

/// Why a call of a look that was broken off has no answer.
const BROKEN_OFF: &str = "the look was broken off: quorum is lost";

/// So many calls without an answer, one after the other, and a node is not asked any more: a single one may just be slow.
const UNANSWERED: u32 = 2;

/// When a look is over.
#[derive(Clone, Copy)]
pub(super) struct Deadline {
    at: UnixMs,
    whole: Duration,
}

impl Deadline {
    /// Of a look that begins now.
    pub(super) fn of(ports: &Ports, depth: Depth) -> Self {
        let calls = match depth {
            Depth::Watch => WATCH_CALLS,
            Depth::Full => FULL_CALLS,
        };
        Self::after(ports, CALL, calls)
    }

    /// After so many calls that take so long. Patience is for one call: a clock that runs faster does not make all of
    /// them together as short as one.
    pub(super) fn after(ports: &Ports, call: Duration, calls: u32) -> Self {
        let whole = ports.clock.patience(call) * calls;
        let ms = u64::try_from(whole.as_millis()).unwrap_or(u64::MAX);
        Self { at: UnixMs(ports.clock.now().0.saturating_add(ms)), whole }
    }

    fn left(self, now: UnixMs) -> Duration {
        Duration::from_millis(self.at.0.saturating_sub(now.0))
    }
}

/// How long a call is waited for.
#[derive(Clone, Copy)]
pub(super) enum Wait {
    /// So long, and not longer than the look.
    AtMost(Duration),
    /// So long, however long the look takes.
    Apart(Duration),
}

/// A node that is asked, or all of them: how many calls are under way, and how many were not answered, one after the
/// other. API and shell fail apart.
struct Asked {
    permits: Semaphore,
    api_silent: AtomicU32,
    shell_silent: AtomicU32,
}

impl Asked {
    fn new(at_once: usize) -> Self {
        Self { permits: Semaphore::new(at_once), api_silent: AtomicU32::new(0), shell_silent: AtomicU32::new(0) }
    }
}

/// What a program may take: time, and room for what it prints.
#[derive(Clone, Copy)]
pub(super) struct Allowed {
    pub(super) wait: Wait,
    pub(super) bound: Bound,
}

/// Reads through the ports.
pub(super) struct Reader<'a> {
    pub(super) ports: &'a Ports,
    meanwhile: &'a Meanwhile,
    avoid: &'a [NodeName],
    per_node: BTreeMap<NodeName, Asked>,
    cluster: Asked,
    deadline: Deadline,
}

impl<'a> Reader<'a> {
    pub(super) fn new(
        ports: &'a Ports,
        meanwhile: &'a Meanwhile,
        avoid: &'a [NodeName],
        nodes: &[NodeName],
        deadline: Deadline,
    ) -> Self {
        let (per_node, cluster) = (BTreeMap::new(), Asked::new(IN_FLIGHT_CLUSTER));
        Self { ports, meanwhile, avoid, per_node, cluster, deadline }.knowing(nodes)
    }

    /// The same, with more nodes: what is known of the others stays.
    pub(super) fn knowing(mut self, nodes: &[NodeName]) -> Self {
        for node in nodes {
            self.per_node.entry(node.clone()).or_insert_with(|| Asked::new(IN_FLIGHT_PER_NODE));
        }
        self
    }

    pub(super) fn now(&self) -> UnixMs {
        self.ports.clock.now()
    }

    /// The node as it is asked; the cluster for a node that was not known before.
    fn asked(&self, node: &NodeName) -> &Asked {
        self.per_node.get(node).unwrap_or(&self.cluster)
    }

    /// Makes one call; the error says why there is no answer.
    ///
    /// The call is polled before the clock, so that in the lab, where a sleep moves time on as soon as nothing else is
    /// left to do, no time passes beside a call that has its answer.
    async fn within<T>(&self, silent: &AtomicU32, wait: Wait, call: impl Future<Output = T>) -> Result<T, String> {
        if silent.load(Ordering::Relaxed) >= UNANSWERED {
            return Err(format!("not asked any more in this look: {UNANSWERED} calls before were not answered"));
        }
        if self.meanwhile.is_broken_off() {
            return Err(BROKEN_OFF.to_owned());
        }
        let clock = &self.ports.clock;
        let left = self.deadline.left(clock.now());
        let most = match wait {
            Wait::AtMost(most) => clock.patience(most).min(left),
            Wait::Apart(most) => clock.patience(most),
        };
        if most.is_zero() {
            return Err(format!("not answered within {} s: the look is over", self.deadline.whole.as_secs()));
        }
        let (waits, broken_off) = (pin!(self.waits(most)), pin!(self.meanwhile.broken_off()));
        let ended = select(waits, broken_off);
        match select(pin!(call), ended).await {
            Either::Left((answer, _)) => Ok(answer),
            Either::Right((Either::Right(_), _)) => Err(BROKEN_OFF.to_owned()),
            Either::Right((Either::Left(_), _)) => {
                silent.fetch_add(1, Ordering::Relaxed);
                Err(format!("not answered within {} s", most.as_secs()))
            }
        }
    }

    /// Waits so long for a call, and reports that it does.
    async fn waits(&self, most: Duration) {
        let clock = &self.ports.clock;
        let slow = clock.patience(SLOW).min(most);
        let mut left = most;
        while !left.is_zero() {
            clock.sleep(left.min(slow)).await;
            left = left.saturating_sub(slow);
            self.meanwhile.a_call_waits();
        }
    }

    /// Runs a program, with the times before and after it by our clock, not including the wait for others.
    pub(super) async fn run(
        &self,
        node: &NodeName,
        argv: &[String],
        Allowed { wait, bound }: Allowed,
    ) -> Result<(ShellOutput, UnixMs, UnixMs), String> {
        let asked = self.asked(node);
        let _permit = asked.permits.acquire().await;
        let before = self.now();
        let (Wait::AtMost(deadline) | Wait::Apart(deadline)) = wait;
        let call = self.ports.shell.run_bounded(node, argv, deadline, bound);
        match self.within(&asked.shell_silent, wait, call).await? {
            Err(error @ ShellError::Unreachable { .. }) => {
                asked.shell_silent.fetch_add(1, Ordering::Relaxed);
                Err(error.to_string())
            }
            ended => {
                asked.shell_silent.store(0, Ordering::Relaxed);
                ended.map(|output| (output, before, self.now())).map_err(|error| error.to_string())
            }
        }
    }

    /// A cluster-wide read.
    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, WhyUnknown> {
        let value = self.get_raw(path).await.map_err(|error| api_why(path, &error))?;
        lenient::read(value).map_err(|reason| WhyUnknown::new(format!("GET {path}"), reason))
    }

    /// A cluster-wide read whose refusal is information.
    pub(super) async fn get_raw(&self, path: &str) -> Result<Value, ApiError> {
        self.get_avoiding(path, &[]).await
    }

    /// A cluster-wide read that must not be answered by these endpoints either.
    pub(super) async fn get_avoiding(&self, path: &str, more: &[NodeName]) -> Result<Value, ApiError> {
        self.send(&self.cluster, path, more).await
    }

    /// A read below `/nodes/N`.
    pub(super) async fn node_get<T: DeserializeOwned>(&self, node: &NodeName, below: &str) -> Result<T, WhyUnknown> {
        let path = node_path(node, below);
        let value = self.node_get_raw(node, below).await.map_err(|error| api_why(&path, &error))?;
        lenient::read(value).map_err(|reason| WhyUnknown::new(format!("GET {path}"), reason))
    }

    /// A read below `/nodes/N` whose refusal is information.
    pub(super) async fn node_get_raw(&self, node: &NodeName, below: &str) -> Result<Value, ApiError> {
        self.send(self.asked(node), &node_path(node, below), &[]).await
    }

    /// `path` may have a query, as in `/cluster/resources?type=vm`.
    async fn send(&self, asked: &Asked, path: &str, more: &[NodeName]) -> Result<Value, ApiError> {
        let _permit = asked.permits.acquire().await;
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        let params = pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        let avoid = self.avoid.iter().chain(more).cloned().collect();
        let request = ApiRequest { method: Method::Get, path: path.to_owned(), params, avoid, expires: None };
        let call = self.ports.api.call(request);
        let answer = self.within(&asked.api_silent, Wait::AtMost(CALL), call).await.map_err(ApiError::Unreachable)?;
        asked.api_silent.store(0, Ordering::Relaxed);
        answer
    }
}

/// `/nodes/N/below`, with the name percent-encoded.
pub(super) fn node_path(node: &NodeName, below: &str) -> String {
    format!("/nodes/{}/{below}", percent_encoded(node.as_str()))
}

/// The reason for a failed read.
pub(super) fn api_why(path: &str, error: &ApiError) -> WhyUnknown {
    WhyUnknown::new(format!("GET {path}"), error.to_string())
}

/// The source of a reading from a program: `corosync-cfgtool -n on pve2`.
pub(super) fn shell_source(node: &NodeName, argv: &[&str]) -> String {
    let argv: Vec<String> = argv.iter().map(|arg| (*arg).to_owned()).collect();
    format!("{} on {node}", quote_all(&argv).replace('\n', "\\n"))
}

/// Both readings, or the reason for the first missing one.
pub(super) fn both<A, B>(a: Result<A, WhyUnknown>, b: Result<B, WhyUnknown>) -> Result<(A, B), WhyUnknown> {
    Ok((a?, b?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_from_outside_cannot_leave_its_path_element() {
        assert_eq!(node_path(&NodeName::from("pve1"), "status"), "/nodes/pve1/status");
        assert_eq!(percent_encoded("../x?y#z é"), "..%2Fx%3Fy%23z%20%C3%A9");
    }
}
