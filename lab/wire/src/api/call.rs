//! One authenticated call: what its function sees of the world, and what it may refuse.

use quorate_core::ids::{GuestId, GuestKind, NodeName};
use quorate_world::guest::Guest;
use quorate_world::node::Node;
use quorate_world::{World, WorldError};

use crate::access::Caller;
use crate::answer::{CallRefused, Reply};
use crate::params::Args;
use crate::schema::Release;
use crate::{Wire, release};

/// The function behind a call.
pub(super) type Handler = fn(&mut Call<'_>) -> Result<Reply, CallRefused>;

/// A call that is answered here.
pub(super) struct Route {
    pub(super) method: &'static str,
    /// The path with names in braces, as in the schema.
    pub(super) path: &'static str,
    pub(super) run: Handler,
}

pub(super) const fn route(method: &'static str, path: &'static str, run: Handler) -> Route {
    Route { method, path, run }
}

/// One call on the node where it runs.
pub(super) struct Call<'a> {
    pub(super) world: &'a mut World,
    pub(super) wire: &'a Wire,
    pub(super) caller: &'a Caller,
    /// The node where it runs: the one in the path, or the one that was asked.
    pub(super) node: NodeName,
    /// Parameters, including those in the path.
    pub(super) args: Args,
    /// The path as the schema writes it.
    pub(super) path: &'static str,
    /// The paths of all calls that a release answers.
    pub(super) known: fn(Release) -> Vec<&'static str>,
}

impl Call<'_> {
    pub(super) fn now_s(&self) -> u64 {
        self.world.now_ms / 1000
    }

    pub(super) fn may(&self, path: &str, any_of: &[&str]) -> bool {
        may(self.world, self.caller, path, any_of)
    }

    /// Refuses what `may` does not allow.
    pub(super) fn require(&self, path: &str, any_of: &[&str]) -> Result<(), CallRefused> {
        match self.may(path, any_of) {
            true => Ok(()),
            false => Err(CallRefused::Forbidden(format!("{path}, {}", any_of.join("|")))),
        }
    }

    pub(super) fn sees_guest(&self, id: GuestId) -> bool {
        self.may(&format!("/vms/{}", id.vmid), &["VM.Audit"])
    }

    pub(super) fn release(&self) -> Release {
        release(self.here())
    }

    pub(super) fn here(&self) -> &Node {
        &self.world.nodes[&self.node]
    }

    /// Virtual machine or container, by the path.
    pub(super) fn kind(&self) -> GuestKind {
        if self.path.starts_with("/nodes/{node}/lxc") { GuestKind::Ct } else { GuestKind::Vm }
    }

    /// The guest that the path names.
    pub(super) fn guest_id(&self) -> Result<GuestId, CallRefused> {
        let vmid = self.args.number("vmid").and_then(|vmid| u32::try_from(vmid).ok());
        let vmid = vmid.ok_or_else(|| CallRefused::parameter("vmid", "type check ('integer') failed"))?;
        Ok(match self.kind() {
            GuestKind::Vm => GuestId::vm(vmid),
            GuestKind::Ct => GuestId::ct(vmid),
        })
    }

    /// The guest that the path names, if its configuration lies here.
    pub(super) fn guest(&self) -> Result<&Guest, CallRefused> {
        let id = self.guest_id()?;
        let here = self.world.guests.get(&id).filter(|guest| guest.node == self.node);
        here.ok_or_else(|| WorldError::NotHere { node: self.node.clone(), id }.into())
    }

    /// Without quorum /etc/pve cannot be written: `file` is below it.
    pub(super) fn writes(&self, file: &str) -> Result<(), CallRefused> {
        match self.world.writable(&self.node) {
            true => Ok(()),
            false => Err(WorldError::ReadOnly { path: file.to_owned(), pid: 153 }.into()),
        }
    }

    /// Without quorum no cluster-wide lock is granted.
    pub(super) fn locks(&self, lock: &str) -> Result<(), CallRefused> {
        match self.world.writable(&self.node) {
            true => Ok(()),
            false => Err(WorldError::NoLock(lock.to_owned()).into()),
        }
    }
}

impl From<WorldError> for CallRefused {
    fn from(error: WorldError) -> Self {
        match error {
            WorldError::Parameter { field, message } => Self::parameter(&field, message),
            WorldError::Unreachable(_) => Self::Proxy(595, "No route to host"),
            other => Self::Failed(other.to_string()),
        }
    }
}

/// May the caller use one of these privileges there?
pub(super) fn may(world: &World, caller: &Caller, path: &str, any_of: &[&str]) -> bool {
    caller.is_root() || any_of.iter().any(|privilege| world.access.allows(&caller.auth_id(), path, privilege))
}
