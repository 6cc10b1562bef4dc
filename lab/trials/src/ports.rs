//! The three ports over the world, in one process and in virtual time: what the engine's tests run on.
//!
//! Between caller and world lies the same as in the lab: the argument vector is quoted and split again, parameters are
//! encoded, an answer is read by the live client's own reader; only JSON is not written and read again. A sleep moves
//! the world on at once; every call costs a few milliseconds of the world's time.
//!
//! A [`Stop`] simulates the crash of the caller, or that it is frozen: from one call on, before or after it takes
//! effect, nothing returns, for ever or until it wakes. [`Trouble`] lies between caller and cluster for some calls, one
//! node's API may hang, and the caller's clock may be set wrong.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use quorate_core::ids::{NodeName, UnixMs};
use quorate_pve::ports::{
    Api, ApiData, ApiError, ApiRequest, Bound, Clock, PortFuture, Ports, Shell, ShellError, ShellOutput, Stranger,
};
use quorate_wire::{Credentials, Gate, Wire, fingerprint};
use quorate_world::World;
use quorate_world::access::{TOKEN, TOKEN_SECRET};

use crate::caller::Killed;
pub use crate::caller::{Stop, Trouble};
use crate::network::{Network, Order};
pub use crate::transport::{SharedWorld, Tap};
use crate::transport::{Transport, later};

/// All three ports over one world.
#[derive(Clone)]
pub struct SimPorts {
    transport: Arc<Transport>,
}

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
        let network = Arc::new(Mutex::new(Network::new(Wire::new(gate))));
        Self::over(world, network, credentials)
    }

    fn over(world: SharedWorld, network: Arc<Mutex<Network>>, credentials: Credentials) -> Self {
        let (caller, sent) = (Mutex::default(), Mutex::default());
        Self { transport: Arc::new(Transport { world, network, credentials, caller, sent, tap: None }) }
    }

    /// With an observer that looks at the world after each call.
    #[must_use]
    pub fn tapped(world: SharedWorld, tap: Tap) -> Self {
        let mut ports = Self::new(world);
        let transport = Arc::get_mut(&mut ports.transport).expect("nothing else uses these ports yet");
        transport.tap = Some(tap);
        ports
    }

    /// In the form that the engine takes.
    pub fn ports(&self) -> Ports {
        Ports { api: Arc::new(self.clone()), shell: Arc::new(self.clone()), clock: Arc::new(self.clone()) }
    }

    /// The world behind these ports.
    pub fn world(&self) -> MutexGuard<'_, World> {
        self.transport.world()
    }

    /// Calls of the API and of shells so far.
    pub fn calls(&self) -> u64 {
        self.transport.caller().calls
    }

    /// Sets when the caller dies.
    pub fn kill(&self, at: Stop) {
        self.transport.caller().dies = Some(at);
    }

    /// Sets when the caller is frozen, in the middle of that call.
    pub fn freeze(&self, at: Stop) {
        self.transport.caller().freezes = Some(at);
    }

    /// The caller wakes, exactly where it was.
    pub fn wake(&self) {
        self.transport.caller().frozen = false;
    }

    /// Makes the next calls go wrong.
    pub fn trouble(&self, calls: u64, trouble: Trouble) {
        let mut caller = self.transport.caller();
        caller.trouble = Some((caller.calls + calls, trouble));
    }

    /// From now on the API of this node takes connections and answers nothing, for so many seconds.
    pub fn hang(&self, node: &NodeName, seconds: u64) {
        self.transport.network().hang(&self.world(), node, seconds);
    }

    /// Lets an order arrive now.
    pub fn arrives(&self, order: &Order) {
        self.transport.at(0, |wire, world| order.arrive(wire, world));
    }

    /// Lets time pass, with all that is on its way.
    pub fn pass(&self, time: Duration) {
        self.transport.pass(time);
    }

    /// Sets the caller's clock forward or back.
    pub fn set_clock_off(&self, seconds: i64) {
        self.transport.caller().clock_off_ms += seconds * 1000;
    }

    /// The same cluster before a caller that has just been started: it has made no call yet, and lives.
    #[must_use]
    pub fn reborn(&self) -> Self {
        Self::over(self.transport.world.clone(), self.transport.network.clone(), self.transport.credentials.clone())
    }

    /// Certificates that are not the pinned ones, and were not taken over.
    fn renewed_certificates(&self) -> Vec<Stranger> {
        let taken_over = self.transport.caller().taken_over.clone();
        let world = self.world();
        let shown = world.nodes.values().filter_map(|node| Some((&node.name, node.renewed_certificate.as_ref()?)));
        let unknown = shown.filter(|(node, shown)| taken_over.get(*node) != Some(*shown));
        let stranger = |(node, shown): (&NodeName, &String)| {
            let (node, shown) = (node.clone(), shown.clone());
            Stranger { node, shown, pinned: "11:11".to_owned() }
        };
        unknown.map(stranger).collect()
    }

    /// Has the caller died?
    pub fn is_dead(&self) -> bool {
        self.transport.caller().dead
    }

    /// Is the caller frozen?
    pub fn is_frozen(&self) -> bool {
        self.transport.caller().frozen
    }
}

/// In place of the live client, which compares certificates when it connects: here no connection is made.
impl Api for SimPorts {
    fn strangers(&self) -> Vec<Stranger> {
        // Where members vouch, the read that met it has taken it over.
        if self.transport.caller().members_vouch { Vec::new() } else { self.renewed_certificates() }
    }

    fn let_members_vouch(&self) {
        self.transport.caller().members_vouch = true;
    }

    fn taken_over(&self) -> Vec<(Stranger, NodeName)> {
        if !self.transport.caller().members_vouch {
            return Vec::new();
        }
        let new = self.renewed_certificates();
        let taken = new.iter().map(|stranger| (stranger.node.clone(), stranger.shown.clone()));
        self.transport.caller().taken_over.extend(taken);
        let vouches = |node: &NodeName| self.world().nodes.keys().find(|other| *other != node).cloned();
        new.into_iter().filter_map(|stranger| vouches(&stranger.node).map(|by| (stranger, by))).collect()
    }

    fn call(&self, request: ApiRequest) -> PortFuture<'_, Result<ApiData, ApiError>> {
        let begun_ms = self.transport.world().now_ms;
        Box::pin(async move {
            Yield::default().await;
            self.transport.awake().await;
            let called = self.transport.call(|| self.transport.api(&request, begun_ms));
            self.transport.awake().await;
            match called {
                Ok(result) => result,
                Err(Killed) => std::future::pending().await,
            }
        })
    }
}

impl Shell for SimPorts {
    fn run_bounded<'a>(
        &'a self,
        node: &'a NodeName,
        argv: &'a [String],
        deadline: Duration,
        bound: Bound,
    ) -> PortFuture<'a, Result<ShellOutput, ShellError>> {
        let begun_ms = self.transport.world().now_ms;
        Box::pin(async move {
            Yield::default().await;
            self.transport.awake().await;
            let called = self.transport.call(|| self.transport.shell(node, argv, deadline, begun_ms));
            self.transport.awake().await;
            match called {
                Ok(result) => result.and_then(|output| bound.checked(node, output)),
                Err(Killed) => std::future::pending().await,
            }
        })
    }
}

impl Clock for SimPorts {
    fn now(&self) -> UnixMs {
        self.transport.now()
    }

    /// Counts from the moment of the call, so that two sleeps side by side take as long as the longer one.
    fn sleep(&self, duration: Duration) -> PortFuture<'_, ()> {
        let until_ms = later(self.transport.world().now_ms, duration);
        Box::pin(async move {
            // Time passes where nobody has anything else to do: a call that is under way beside this takes its own.
            for _ in 0..OTHERS_FIRST {
                Yield::default().await;
            }
            if self.is_dead() {
                std::future::pending::<()>().await;
            }
            self.transport.awake().await;
            self.transport.at(until_ms, |_, _| ());
        })
    }
}

/// So often the others are let on before a sleep moves the world on: more than any call takes, the renewal of a lock
/// before it included.
const OTHERS_FIRST: u32 = 100;

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
