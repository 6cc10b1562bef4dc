//! The three ports over the world, in one process and in virtual time: what the engine's tests run on.
//!
//! Between caller and world lies the same as in the lab: the argument vector is quoted and split again, parameters are
//! encoded, an answer is read by the live client's own reader; only JSON is not written and read again. A sleep moves
//! the world on at once; every call costs a few milliseconds of the world's time.
//!
//! A [`Kill`] simulates the crash of the caller: from one call on, before or after it takes effect, nothing returns.
//! [`Trouble`] lies between caller and cluster for some calls, and the caller's clock may be set wrong.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use quorate_core::command::quote_all;
use quorate_core::ids::{NodeName, UnixMs};
use quorate_pve::answer::meaning;
use quorate_pve::ports::{
    Api, ApiData, ApiError, ApiRequest, Clock, Exit, PortFuture, Ports, Shell, ShellError, ShellOutput, percent_encoded,
};

use quorate_wire::{
    ApiAnswer, Credentials, Follow, Gate, ShellAnswer, ShellExit, Wire, api_listens, fingerprint, is_on, ssh_listens,
};
use quorate_world::World;
use quorate_world::access::{TOKEN, TOKEN_SECRET};

/// What a call costs besides the time that the answer itself takes. Calls side by side do not add up.
const CALL_MS: u64 = 5;

/// The world behind the ports.
pub type SharedWorld = Arc<Mutex<World>>;

/// From which call on nothing returns any more; calls of the API and of shells count, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kill {
    /// This call is not sent.
    Before(u64),
    /// This call takes effect, and its answer is lost.
    After(u64),
}

/// What is wrong between caller and cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The API answers with this status and does nothing; a shell is not reached.
    Refuses(u16),
    /// The call takes effect, and its answer does not arrive.
    LosesAnswer,
}

/// All three ports over one world.
#[derive(Clone)]
pub struct SimPorts {
    inner: Arc<Inner>,
}

struct Inner {
    world: SharedWorld,
    wire: Mutex<Wire>,
    credentials: Credentials,
    calls: Mutex<Calls>,
    tap: Option<Tap>,
}

/// Looks at the world after each call has taken effect; the number is the call's.
pub type Tap = Arc<dyn Fn(u64, &World) + Send + Sync>;

#[derive(Default)]
struct Calls {
    made: u64,
    kill: Option<Kill>,
    dead: bool,
    /// Until which call.
    trouble: Option<(u64, Trouble)>,
    clock_off_ms: i64,
}

/// A call whose answer is never seen, or not even sent.
struct Killed;

impl SimPorts {
    /// With the token that every world has.
    pub fn new(world: SharedWorld) -> Self {
        Self::with_credentials(world, Credentials::token(TOKEN, TOKEN_SECRET))
    }

    /// With these credentials.
    pub fn with_credentials(world: SharedWorld, credentials: Credentials) -> Self {
        // Nothing checks these certificates; a fixed one per node keeps the answers the same from run to run.
        let gate = {
            let world = world.lock().unwrap_or_else(PoisonError::into_inner);
            let names = world.nodes.keys();
            let fingerprints = names.map(|name| (name.clone(), fingerprint(name.as_str().as_bytes())));
            Gate { ticket_key: [0; 32], fingerprints: fingerprints.collect() }
        };
        let wire = Mutex::new(Wire::new(gate));
        Self { inner: Arc::new(Inner { world, wire, credentials, calls: Mutex::default(), tap: None }) }
    }

    /// With an observer that looks at the world after each call.
    #[must_use]
    pub fn tapped(world: SharedWorld, tap: Tap) -> Self {
        let mut ports = Self::new(world);
        let inner = Arc::get_mut(&mut ports.inner).expect("nothing else uses these ports yet");
        inner.tap = Some(tap);
        ports
    }

    /// In the form that the engine takes.
    pub fn ports(&self) -> Ports {
        Ports { api: Arc::new(self.clone()), shell: Arc::new(self.clone()), clock: Arc::new(self.clone()) }
    }

    /// The world behind these ports.
    pub fn world(&self) -> MutexGuard<'_, World> {
        self.inner.world()
    }

    /// Calls of the API and of shells so far.
    pub fn calls(&self) -> u64 {
        self.inner.calls().made
    }

    /// Sets when the caller dies.
    pub fn kill(&self, kill: Kill) {
        self.inner.calls().kill = Some(kill);
    }

    /// Makes the next calls go wrong.
    pub fn trouble(&self, calls: u64, trouble: Trouble) {
        let mut inner = self.inner.calls();
        inner.trouble = Some((inner.made + calls, trouble));
    }

    /// Sets the caller's clock forward or back.
    pub fn set_clock_off(&self, seconds: i64) {
        self.inner.calls().clock_off_ms += seconds * 1000;
    }

    /// The same cluster before a caller that has just been started: it has made no call yet, and lives.
    #[must_use]
    pub fn reborn(&self) -> Self {
        Self::with_credentials(self.inner.world.clone(), self.inner.credentials.clone())
    }

    /// Has the caller died?
    pub fn is_dead(&self) -> bool {
        self.inner.calls().dead
    }
}

impl Inner {
    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn calls(&self) -> MutexGuard<'_, Calls> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What goes wrong with the call under way.
    fn met(&self) -> Option<Trouble> {
        let calls = self.calls();
        calls.trouble.filter(|(until, _)| calls.made <= *until).map(|(_, trouble)| trouble)
    }

    /// Does something with the world, not before `at_ms`.
    fn at<T>(&self, at_ms: u64, act: impl FnOnce(&Wire, &mut World) -> T) -> T {
        let mut world = self.world();
        let mut wire = self.wire.lock().unwrap_or_else(PoisonError::into_inner);
        let now_ms = world.now_ms.max(at_ms);
        wire.advance(&mut world, now_ms);
        act(&wire, &mut world)
    }

    /// Waits from now on.
    fn pass(&self, time: Duration) {
        let until_ms = later(self.world().now_ms, time);
        self.at(until_ms, |_, _| ());
    }

    /// Counts a call, and does it unless the caller is dead or dies before.
    fn call<T>(&self, act: impl FnOnce() -> T) -> Result<T, Killed> {
        let number = {
            let mut calls = self.calls();
            if calls.dead {
                return Err(Killed);
            }
            calls.made += 1;
            if matches!(calls.kill, Some(Kill::Before(at)) if calls.made >= at) {
                calls.dead = true;
                return Err(Killed);
            }
            calls.made
        };
        let result = act();
        if let Some(tap) = &self.tap {
            tap(number, &self.world());
        }
        let mut calls = self.calls();
        if matches!(calls.kill, Some(Kill::After(at)) if number >= at) {
            calls.dead = true;
            return Err(Killed);
        }
        Ok(result)
    }

    fn api(&self, request: &ApiRequest, begun_ms: u64) -> Result<ApiData, ApiError> {
        let asked = self.at(begun_ms + CALL_MS, |_, world| {
            let mut nodes = world.nodes.keys().filter(|node| !request.avoid.contains(node));
            nodes.find(|node| api_listens(world, node)).cloned()
        });
        let asked = asked.ok_or_else(|| ApiError::Unreachable("every node refuses the connection".to_owned()))?;
        let trouble = self.met();
        if let Some(Trouble::Refuses(status)) = trouble {
            return read_answer(&asked, ApiAnswer::refusal(status));
        }
        let sent = wire_request(&asked, request, &self.credentials);
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

    fn shell(
        &self,
        node: &NodeName,
        argv: &[String],
        deadline: Duration,
        begun_ms: u64,
    ) -> Result<ShellOutput, ShellError> {
        let trouble = self.met();
        let unreachable = || ShellError::Unreachable { node: node.clone(), reason: "connection refused".to_owned() };
        let boot = |world: &World| world.nodes.get(node).filter(|_| ssh_listens(world, node)).map(|node| node.boots);
        let before = self.at(begun_ms + CALL_MS, |_, world| boot(world)).ok_or_else(unreachable)?;
        if matches!(trouble, Some(Trouble::Refuses(_))) {
            return Err(unreachable());
        }
        let answer = self.at(0, |wire, world| wire.shell(world, node, &quote_all(argv)));
        self.pass(answer.delay.min(deadline));
        let in_doubt = |reason: String| ShellError::InDoubt { node: node.clone(), reason };
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

fn later(now_ms: u64, time: Duration) -> u64 {
    now_ms.saturating_add(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
}

/// The request as it would be sent: parameters of GET and DELETE behind the path, all others as a form.
fn wire_request(asked: &NodeName, request: &ApiRequest, credentials: &Credentials) -> quorate_wire::ApiRequest {
    use quorate_core::command::Method;
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

impl Api for SimPorts {
    fn call(&self, request: ApiRequest) -> PortFuture<'_, Result<ApiData, ApiError>> {
        let begun_ms = self.inner.world().now_ms;
        Box::pin(async move {
            Yield::default().await;
            match self.inner.call(|| self.inner.api(&request, begun_ms)) {
                Ok(result) => result,
                Err(Killed) => std::future::pending().await,
            }
        })
    }
}

impl Shell for SimPorts {
    fn run<'a>(
        &'a self,
        node: &'a NodeName,
        argv: &'a [String],
        deadline: Duration,
    ) -> PortFuture<'a, Result<ShellOutput, ShellError>> {
        let begun_ms = self.inner.world().now_ms;
        Box::pin(async move {
            Yield::default().await;
            match self.inner.call(|| self.inner.shell(node, argv, deadline, begun_ms)) {
                Ok(result) => result,
                Err(Killed) => std::future::pending().await,
            }
        })
    }
}

impl Clock for SimPorts {
    fn now(&self) -> UnixMs {
        let off_ms = self.inner.calls().clock_off_ms;
        UnixMs(self.inner.world().now_ms.saturating_add_signed(off_ms))
    }

    /// Counts from the moment of the call, so that two sleeps side by side take as long as the longer one.
    fn sleep(&self, duration: Duration) -> PortFuture<'_, ()> {
        let until_ms = later(self.inner.world().now_ms, duration);
        Box::pin(async move {
            Yield::default().await;
            if self.is_dead() {
                std::future::pending::<()>().await;
            }
            self.inner.at(until_ms, |_, _| ());
        })
    }
}

/// Lets the other tasks run once: a caller that only ever sleeps virtually would never let them.
#[derive(Default)]
struct Yield {
    yielded: bool,
}

impl Future for Yield {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if std::mem::replace(&mut self.yielded, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    }
}
