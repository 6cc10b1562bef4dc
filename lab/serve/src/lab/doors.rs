//! Which ports of a node are open now: listens while they are, and cuts every connection when they are not.
//!
//! A machine without power cuts nothing and refuses nothing: open connections hang, and new ones too. Here the system
//! takes them, since it cannot be kept from that, and nobody answers.

use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use quorate_core::ids::NodeName;
use quorate_wire::{api_listens, ssh_listens};
use quorate_world::World;
use quorate_world::node::Power;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// How often the world's time advances when there are no requests.
pub(super) const TICK: Duration = Duration::from_millis(20);

/// The two ports of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Door {
    /// Port 8006.
    Api,
    /// Port 22.
    Ssh,
}

/// Is a port open, and in which boot of the machine? A connection lives only as long as this stays the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Connections are refused.
    Closed,
    /// The machine has no power: nothing is answered, not even with a refusal.
    Silent,
    /// Connections are accepted, in this boot of the machine.
    Open {
        /// Number of the boot.
        boot: u32,
    },
}

/// Sends the state of one port.
pub(super) struct Signal {
    node: NodeName,
    door: Door,
    sender: watch::Sender<State>,
}

impl Signal {
    pub(super) fn new(world: &World, node: &NodeName, door: Door) -> Self {
        let (sender, _) = watch::channel(state(world, node, door));
        Self { node: node.clone(), door, sender }
    }

    pub(super) fn listen(&self) -> watch::Receiver<State> {
        self.sender.subscribe()
    }

    /// Looks at the world and reports a change.
    pub(super) fn update(&self, world: &World) {
        let now = state(world, &self.node, self.door);
        self.sender.send_if_modified(|before| std::mem::replace(before, now) != now);
    }
}

fn state(world: &World, node: &NodeName, door: Door) -> State {
    let open = match door {
        Door::Api => api_listens(world, node),
        Door::Ssh => ssh_listens(world, node),
    };
    match world.nodes.get(node) {
        Some(node) if node.power == Power::Off => State::Silent,
        Some(node) if open => State::Open { boot: node.boots },
        _ => State::Closed,
    }
}

/// Keeps one port until the lab stops: listens while it is open, hands each connection to `serve`, and drops them all
/// when the port closes or the machine reboots.
pub(super) async fn keep<Served>(
    first: TcpListener,
    mut door: watch::Receiver<State>,
    serve: impl Fn(TcpStream, SocketAddr) -> Served,
) where
    Served: Future<Output = ()> + Send + 'static,
{
    let Ok(address) = first.local_addr() else { return };
    let mut listener = Some(first);
    loop {
        let state = *door.borrow();
        if state == State::Closed {
            listener = None;
            // The error says that the lab has stopped.
            if door.wait_for(|state| *state != State::Closed).await.is_err() {
                return;
            }
            continue;
        }
        let Some(open) = listen_again(&mut listener, address).await else { continue };
        if state == State::Silent {
            until_changed(&mut door, state).await;
            if door.has_changed().is_err() {
                return;
            }
            continue;
        }
        tokio::select! {
            () = until_changed(&mut door, state) => {
                if door.has_changed().is_err() {
                    return;
                }
            }
            accepted = open.accept() => {
                if let Ok((stream, _)) = accepted {
                    let _ = stream.set_nodelay(true);
                    let served = serve(stream, address);
                    let mut ends = door.clone();
                    tokio::spawn(async move {
                        let mut served = pin!(served);
                        tokio::select! {
                            () = until_changed(&mut ends, state) => {}
                            () = &mut served => return,
                        }
                        // Nobody works on it any more, and it stays open until the machine is there again.
                        until_not_silent(&mut ends).await;
                    });
                }
            }
        }
    }
}

/// Returns at once unless the machine is without power.
async fn until_not_silent(receiver: &mut watch::Receiver<State>) {
    let _ = receiver.wait_for(|state| *state != State::Silent).await;
}

/// Returns when the port's state has changed: the moment to cut a connection.
async fn until_changed(receiver: &mut watch::Receiver<State>, from: State) {
    // A sender that is gone means that the lab has stopped.
    let _ = receiver.wait_for(|state| *state != from).await;
}

/// The listener, opened again on the same port if the machine had been away.
#[allow(clippy::disallowed_methods, reason = "another program's port is a matter of the wall clock")]
async fn listen_again(listener: &mut Option<TcpListener>, address: SocketAddr) -> Option<&TcpListener> {
    if listener.is_none() {
        match TcpListener::bind(address).await {
            Ok(bound) => *listener = Some(bound),
            // Another program may have the port for a moment.
            Err(_) => tokio::time::sleep(TICK).await,
        }
    }
    listener.as_ref()
}
