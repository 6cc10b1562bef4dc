//! One call of a simulated port: from its caller through the network to the world, and back.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use quorate_core::command::{Method, quote_all};
use quorate_core::ids::{NodeName, UnixMs};
use quorate_pve::answer::meaning;
use quorate_pve::ports::{ApiData, ApiError, ApiRequest, Exit, ShellError, ShellOutput, percent_encoded};
use quorate_wire::{ApiAnswer, Credentials, Follow, ShellAnswer, ShellExit, Wire, api_listens, is_on, ssh_listens};
use quorate_world::World;
use quorate_world::node::Power;

use crate::caller::{Caller, Killed, Trouble};
use crate::network::{Network, Order};

/// What a call costs besides the time that the answer itself takes. Calls side by side do not add up.
const CALL_MS: u64 = 5;

/// How long the live client waits for an answer of the API, and for how long it leaves an endpoint that gave none.
const ANSWER: Duration = Duration::from_secs(45);
const LEFT_MS: u64 = 60_000;

/// How long the live client waits for a connection.
const CONNECT: Duration = Duration::from_secs(8);

/// How long pveproxy waits for another node before it answers 596.
const FORWARDED: Duration = Duration::from_secs(30);

/// The world behind the ports.
pub type SharedWorld = Arc<Mutex<World>>;

pub(crate) struct Transport {
    pub(crate) world: SharedWorld,
    pub(crate) network: Arc<Mutex<Network>>,
    pub(crate) credentials: Credentials,
    pub(crate) caller: Mutex<Caller>,
    /// What was sent last, for the observer.
    pub(crate) sent: Mutex<Option<Order>>,
    pub(crate) tap: Option<Tap>,
}

/// Looks at the world after each call has taken effect; the number is the call's, the order what was sent, if it was.
pub type Tap = Arc<dyn Fn(u64, Option<Order>, &World) + Send + Sync>;

impl Transport {
    pub(crate) fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn caller(&self) -> MutexGuard<'_, Caller> {
        self.caller.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn network(&self) -> MutexGuard<'_, Network> {
        self.network.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Does something with the world, not before `at_ms`.
    pub(crate) fn at<T>(&self, at_ms: u64, act: impl FnOnce(&Wire, &mut World) -> T) -> T {
        let mut world = self.world();
        let mut network = self.network();
        let now_ms = world.now_ms.max(at_ms);
        network.advance(&mut world, now_ms);
        act(&network.wire, &mut world)
    }

    /// Returns once the caller is not frozen.
    pub(crate) async fn awake(&self) {
        std::future::poll_fn(|context| {
            if !self.caller().stands_still() {
                return Poll::Ready(());
            }
            // Whoever polls several calls at once polls only those again that ask for it.
            context.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
    }

    /// By the caller's clock.
    pub(crate) fn now(&self) -> UnixMs {
        let off_ms = self.caller().clock_off_ms;
        UnixMs(self.world().now_ms.saturating_add_signed(off_ms))
    }

    /// Waits from now on.
    pub(crate) fn pass(&self, time: Duration) {
        let until_ms = later(self.world().now_ms, time);
        self.at(until_ms, |_, _| ());
    }

    /// Counts a call, and does it unless the caller is dead or dies before.
    pub(crate) fn call<T>(&self, act: impl FnOnce() -> T) -> Result<T, Killed> {
        let number = self.caller().begins()?;
        let result = act();
        let sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(tap) = &self.tap {
            tap(number, sent, &self.world());
        }
        self.caller().has_called()?;
        Ok(result)
    }

    fn sends(&self, order: &Order) {
        *self.sent.lock().unwrap_or_else(PoisonError::into_inner) = Some(order.clone());
    }

    /// The endpoint that takes this request. A read leaves one that hangs, after waiting for it, and goes to others.
    fn endpoint(&self, request: &ApiRequest, begun_ms: u64) -> Result<NodeName, ApiError> {
        let may_be_asked = |node: &NodeName| match request.only_at() {
            Some(only) => node.as_str() == only,
            None => !request.avoid.contains(node),
        };
        let listening: Vec<NodeName> = self.at(begun_ms + CALL_MS, |_, world| {
            world.nodes.keys().filter(|node| may_be_asked(node) && api_listens(world, node)).cloned().collect()
        });
        let mut doubt = None;
        for node in listening {
            if request.method != Method::Get || self.hangs_until(&node).is_none() {
                return Ok(node);
            }
            let now_ms = self.world().now_ms;
            let is_left = self.caller().left_until_ms.get(&node).is_some_and(|until_ms| now_ms < *until_ms);
            if !is_left {
                self.at(later(begun_ms, ANSWER), |_, _| ());
                self.caller().left_until_ms.insert(node.clone(), later(begun_ms, ANSWER) + LEFT_MS);
            }
            doubt = Some(no_answer(node));
        }
        Err(doubt.unwrap_or_else(|| ApiError::Unreachable("every node refuses the connection".to_owned())))
    }

    fn hangs_until(&self, node: &NodeName) -> Option<u64> {
        let (world, network) = (self.world(), self.network());
        network.hangs_until(&world, node)
    }

    /// Does another node forward this request to one whose API hangs?
    fn is_forwarded_in_vain(&self, request: &ApiRequest, asked: &NodeName) -> bool {
        let about = request.node().map(NodeName::from).filter(|node| node != asked);
        about.is_some_and(|node| self.hangs_until(&node).is_some())
    }

    /// Keeps an order that something holds on its way. True if something does.
    fn is_held(&self, order: &Order) -> bool {
        let hangs = if order.is_api() { self.hangs_until(&order.to) } else { None };
        let trouble = self.caller().meets();
        let (world, mut network) = (self.world(), self.network());
        let late_ms = match trouble {
            Some(Trouble::ArrivesLate { seconds }) => Some(world.now_ms + seconds * 1000),
            _ => None,
        };
        let Some(until_ms) = late_ms.max(hangs) else { return false };
        let held = order.changes(&network.wire, &world);
        if held {
            network.hold(order.clone(), until_ms);
        }
        held
    }

    pub(crate) fn api(&self, request: &ApiRequest, begun_ms: u64) -> Result<ApiData, ApiError> {
        let asked = self.endpoint(request, begun_ms)?;
        if request.has_expired(self.now()) {
            return Err(ApiError::Expired { node: asked });
        }
        let trouble = self.caller().meets();
        if let Some(Trouble::Refuses(status)) = trouble {
            return read_answer(&asked, ApiAnswer::refusal(status));
        }
        if self.is_forwarded_in_vain(request, &asked) {
            self.at(later(begun_ms, FORWARDED), |_, _| ());
            return read_answer(&asked, ApiAnswer::refusal(596));
        }
        let sent = wire_request(&asked, request, &self.credentials);
        let order = self.at(0, |_, world| Order::api(world, sent.clone(), request.expires));
        self.sends(&order);
        if self.is_held(&order) {
            self.at(later(begun_ms, ANSWER), |_, _| ());
            return Err(no_answer(asked));
        }
        let answer = self.at(0, |wire, world| wire.api(world, &sent));
        self.pass(answer.delay);
        if trouble == Some(Trouble::LosesAnswer) || !self.at(0, |_, world| is_on(world, &asked)) {
            return Err(ApiError::InDoubt { node: asked, reason: "the connection was closed".to_owned() });
        }
        read_answer(&asked, answer)
    }

    /// Moves the world on until what a program waits for has ended.
    fn end_of(&self, node: &NodeName, follow: &Follow, until_ms: u64) -> Option<ShellAnswer> {
        loop {
            let (end, now_ms) = self.at(0, |wire, world| (wire.followed(world, node, follow), world.now_ms));
            if end.is_some() || now_ms >= until_ms {
                return end;
            }
            self.pass(Duration::from_secs(1));
        }
    }

    pub(crate) fn shell(
        &self,
        node: &NodeName,
        argv: &[String],
        deadline: Duration,
        begun_ms: u64,
    ) -> Result<ShellOutput, ShellError> {
        let trouble = self.caller().meets();
        let unreachable = || ShellError::Unreachable { node: node.clone(), reason: "connection refused".to_owned() };
        if self.at(begun_ms + CALL_MS, |_, world| has_no_power(world, node)) {
            // Nothing refuses the connection: it is given up after some time.
            self.at(later(begun_ms, CONNECT), |_, _| ());
            let reason = format!("no connection within {} s", CONNECT.as_secs());
            return Err(ShellError::Unreachable { node: node.clone(), reason });
        }
        let boot = |world: &World| world.nodes.get(node).filter(|_| ssh_listens(world, node)).map(|node| node.boots);
        let before = self.at(begun_ms + CALL_MS, |_, world| boot(world)).ok_or_else(unreachable)?;
        if matches!(trouble, Some(Trouble::Refuses(_))) {
            return Err(unreachable());
        }
        let in_doubt = |reason: String| ShellError::InDoubt { node: node.clone(), reason };
        let line = quote_all(argv);
        let order = self.at(0, |_, world| Order::shell(world, node, line.clone()));
        self.sends(&order);
        if self.is_held(&order) {
            self.pass(deadline);
            return Err(in_doubt(format!("no answer within {} s", deadline.as_secs())));
        }
        let answer = self.at(0, |wire, world| wire.shell(world, node, &line));
        self.pass(answer.delay.min(deadline));
        if answer.delay > deadline {
            return Err(in_doubt(format!("no answer within {} s", deadline.as_secs())));
        }
        if trouble == Some(Trouble::LosesAnswer) || self.at(0, |_, world| boot(world)) != Some(before) {
            return Err(in_doubt("the connection was closed".to_owned()));
        }
        let answer = match &answer.follows {
            None => answer,
            Some(follow) => {
                let until_ms = later(begun_ms, deadline);
                let end = self.end_of(node, follow, until_ms);
                end.ok_or_else(|| in_doubt(format!("no answer within {} s", deadline.as_secs())))?
            }
        };
        let ShellExit::Status(status) = answer.exit;
        Ok(ShellOutput { exit: Exit::Status(status), stdout: answer.stdout, stderr: answer.stderr })
    }
}

fn has_no_power(world: &World, node: &NodeName) -> bool {
    world.nodes.get(node).is_some_and(|node| node.power == Power::Off)
}

fn no_answer(node: NodeName) -> ApiError {
    ApiError::InDoubt { node, reason: format!("no answer within {} s", ANSWER.as_secs()) }
}

pub(crate) fn later(now_ms: u64, time: Duration) -> u64 {
    now_ms.saturating_add(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
}

/// The request as it would be sent: parameters of GET and DELETE behind the path, all others as a form.
fn wire_request(asked: &NodeName, request: &ApiRequest, credentials: &Credentials) -> quorate_wire::ApiRequest {
    let pairs =
        request.params.iter().map(|(key, value)| format!("{}={}", percent_encoded(key), percent_encoded(value)));
    let form = pairs.collect::<Vec<_>>().join("&");
    let in_query = matches!(request.method, Method::Get | Method::Delete);
    quorate_wire::ApiRequest {
        asked: asked.clone(),
        method: request.method.as_str().to_owned(),
        path: request.path.clone(),
        query: if in_query { form.clone() } else { String::new() },
        body: if in_query { Vec::new() } else { form.into_bytes() },
        content_type: (!in_query).then(|| "application/x-www-form-urlencoded".to_owned()),
        credentials: credentials.clone(),
    }
}

/// An answer, read by the reader of the live client.
fn read_answer(asked: &NodeName, answer: ApiAnswer) -> Result<ApiData, ApiError> {
    let body = (!answer.body.is_empty()).then(|| answer.body.into_json());
    meaning(asked, answer.status, &answer.reason, body)
}
