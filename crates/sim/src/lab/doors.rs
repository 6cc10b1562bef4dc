//! Which ports of a node are open now, and who is to be told when that changes.

use quorate_core::ids::NodeName;
use tokio::sync::watch;

use crate::wire::{api_listens, ssh_listens};
use crate::world::World;

/// The two ports of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Door {
    /// 8006.
    Api,
    /// 22.
    Ssh,
}

/// Is a port open, and in which life of the machine? A connection lives only as long as this stays the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Connections are refused.
    Closed,
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

    /// Looks at the world and tells of a change.
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
    match world.nodes.get(node).filter(|_| open) {
        Some(node) => State::Open { boot: node.boots },
        None => State::Closed,
    }
}

/// Ends when the port's state is another than it was: the moment to cut a connection.
pub(super) async fn until_changed(receiver: &mut watch::Receiver<State>, from: State) {
    // A sender that is gone means that the lab has stopped.
    let _ = receiver.wait_for(|state| *state != from).await;
}

/// Ends when the port is open; the error says that the lab has stopped.
pub(super) async fn until_open(receiver: &mut watch::Receiver<State>) -> Result<State, watch::error::RecvError> {
    Ok(*receiver.wait_for(|state| *state != State::Closed).await?)
}
