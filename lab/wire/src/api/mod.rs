//! The API: one module per area, each a table of routes and the functions behind them.
//!
//! What a call takes and whom it lets in is in [`super::schema`]; who calls, where it runs and what is refused before a
//! function is reached is in `dispatch`. A function here finds its parameters checked.

mod access;
mod apt;
mod bulk;
mod ceph;
mod ceph_daemons;
mod ceph_maps;
mod cluster;
pub(super) mod config;
pub(super) mod datacenter;
mod dispatch;
mod guest_changes;
mod guests;
mod ha;
mod ha_rules;
mod ha_status;
pub(super) mod host;
mod indexes;
pub(super) mod journals;
mod moves;
mod nodes;
mod power;
mod replication;
mod storage;
mod table;
mod tasks;
mod users;

use quorate_core::ids::{GuestId, GuestKind, NodeName};
use quorate_world::guest::Guest;
use quorate_world::node::Node;
use quorate_world::{World, WorldError};

pub(super) use access::manager;
pub(super) use apt::ordered as installed_packages;
pub(super) use cluster::address;
pub(super) use dispatch::{answer, local};
pub(super) use ha_status::{entries as ha_entries, manager_status as ha_manager_status};
pub(super) use storage::root_total;
pub(super) use table::children;
pub use table::endpoints;

use super::access::Caller;
use super::answer::{Refusal, Reply};
use super::params::Args;
use super::schema::Release;
use super::{Wire, release};

/// What does the work of a call.
type Handler = fn(&mut Call<'_>) -> Result<Reply, Refusal>;

/// A call that is answered here.
struct Route {
    method: &'static str,
    /// With names in braces, as in the schema.
    path: &'static str,
    run: Handler,
}

const fn route(method: &'static str, path: &'static str, run: Handler) -> Route {
    Route { method, path, run }
}

/// All calls that are answered.
fn routes() -> impl Iterator<Item = &'static Route> {
    [
        access::ROUTES,
        apt::ROUTES,
        bulk::ROUTES,
        ceph::ROUTES,
        ceph_daemons::ROUTES,
        cluster::ROUTES,
        datacenter::ROUTES,
        guest_changes::ROUTES,
        guests::ROUTES,
        ha::ROUTES,
        ha_rules::ROUTES,
        host::ROUTES,
        indexes::ROUTES,
        journals::ROUTES,
        moves::ROUTES,
        nodes::ROUTES,
        power::ROUTES,
        replication::ROUTES,
        storage::ROUTES,
        tasks::ROUTES,
        users::ROUTES,
    ]
    .into_iter()
    .flatten()
}

/// One call on the node where it runs.
struct Call<'a> {
    world: &'a mut World,
    wire: &'a Wire,
    caller: &'a Caller,
    /// The node where it runs: the one in the path, or the one that was asked.
    node: NodeName,
    /// Parameters, those in the path included.
    args: Args,
    /// The path as the schema writes it.
    path: &'static str,
}

impl Call<'_> {
    fn now_s(&self) -> u64 {
        self.world.now_ms / 1000
    }

    fn may(&self, path: &str, any_of: &[&str]) -> bool {
        may(self.world, self.caller, path, any_of)
    }

    /// Refuses what `may` does not allow.
    fn require(&self, path: &str, any_of: &[&str]) -> Result<(), Refusal> {
        match self.may(path, any_of) {
            true => Ok(()),
            false => Err(Refusal::Forbidden(format!("{path}, {}", any_of.join("|")))),
        }
    }

    fn sees_guest(&self, id: GuestId) -> bool {
        self.may(&format!("/vms/{}", id.vmid), &["VM.Audit"])
    }

    fn release(&self) -> Release {
        release(self.here())
    }

    fn here(&self) -> &Node {
        &self.world.nodes[&self.node]
    }

    /// Virtual machine or container, by the path.
    fn kind(&self) -> GuestKind {
        if self.path.starts_with("/nodes/{node}/lxc") { GuestKind::Ct } else { GuestKind::Vm }
    }

    /// The guest that the path names.
    fn guest_id(&self) -> Result<GuestId, Refusal> {
        let vmid = self.args.number("vmid").and_then(|vmid| u32::try_from(vmid).ok());
        let vmid = vmid.ok_or_else(|| Refusal::parameter("vmid", "type check ('integer') failed"))?;
        Ok(match self.kind() {
            GuestKind::Vm => GuestId::vm(vmid),
            GuestKind::Ct => GuestId::ct(vmid),
        })
    }

    /// The guest that the path names, if its configuration lies here.
    fn guest(&self) -> Result<&Guest, Refusal> {
        let id = self.guest_id()?;
        let here = self.world.guests.get(&id).filter(|guest| guest.node == self.node);
        here.ok_or_else(|| WorldError::NotHere { node: self.node.clone(), id }.into())
    }

    /// Without quorum /etc/pve cannot be written: `file` is below it.
    fn writes(&self, file: &str) -> Result<(), Refusal> {
        match self.world.writable(&self.node) {
            true => Ok(()),
            false => Err(WorldError::ReadOnly { path: file.to_owned(), pid: 153 }.into()),
        }
    }

    /// Without quorum no cluster-wide lock is granted.
    fn locks(&self, lock: &str) -> Result<(), Refusal> {
        match self.world.writable(&self.node) {
            true => Ok(()),
            false => Err(WorldError::NoLock(lock.to_owned()).into()),
        }
    }
}

impl From<WorldError> for Refusal {
    fn from(error: WorldError) -> Self {
        match error {
            WorldError::Parameter { field, message } => Self::parameter(&field, message),
            WorldError::Unreachable(_) => Self::Proxy(595, "No route to host"),
            other => Self::Failed(other.to_string()),
        }
    }
}

/// May the caller use one of these privileges there?
fn may(world: &World, caller: &Caller, path: &str, any_of: &[&str]) -> bool {
    caller.is_root() || any_of.iter().any(|privilege| world.access.allows(&caller.auth_id(), path, privilege))
}
