//! One request of the API from the door to the answer: who asks, does the path exist, may he, where does it run, are
//! the parameters right, and only then what is asked.
//!
//! The order is PVE's: an unknown path is 501 even without privileges, a missing privilege is 403 even when the node
//! concerned is down, and only the node that it concerns looks at the parameters.

mod access;
mod apt;
mod ceph;
mod cluster;
pub(super) mod config;
mod guests;
mod ha;
mod ha_rules;
mod ha_status;
mod moves;
mod nodes;
#[cfg(test)]
mod schema_tests;
mod storage;
mod tasks;

use std::time::Duration;

use quorate_core::ids::{GuestId, GuestKind, NodeName};
use serde_json::Value;

pub(super) use access::manager;
pub(super) use apt::ordered as installed_packages;
pub(super) use cluster::{address, object, root_total};
pub(super) use ha_status::{entries as ha_entries, manager_status as ha_manager_status};

use super::access::{Caller, Intent, percent_decode};
use super::answer::{ApiAnswer, ApiRequest, ErrorBody, Refusal, Reply, refused, success};
use super::params::{Args, Kind, Param};
use super::{Wire, api_listens, connect_failure, release};
use crate::world::{World, WorldError};

/// An endpoint.
pub(super) struct Route {
    pub(super) method: &'static str,
    /// With names in braces: `/nodes/{node}/qemu/{vmid}/config`.
    pub(super) path: &'static str,
    pub(super) params: &'static [Param],
    needs: Needs,
    /// The release that brought it.
    since: (u32, u32),
    run: fn(&mut Call<'_>) -> Result<Reply, Refusal>,
}

/// What a caller needs.
#[derive(Clone, Copy)]
enum Needs {
    /// No login at all.
    Nothing,
    /// A login; lists are filtered by what the caller may see.
    Login,
    /// One of these privileges on that path.
    Privilege(&'static str, &'static [&'static str]),
}

const fn route(
    method: &'static str,
    path: &'static str,
    needs: Needs,
    params: &'static [Param],
    run: fn(&mut Call<'_>) -> Result<Reply, Refusal>,
) -> Route {
    Route { method, path, params, needs, since: (0, 0), run }
}

const fn since(release: (u32, u32), route: Route) -> Route {
    Route { since: release, ..route }
}

/// All endpoints.
fn routes() -> impl Iterator<Item = &'static Route> {
    [
        access::ROUTES,
        apt::ROUTES,
        ceph::ROUTES,
        cluster::ROUTES,
        guests::ROUTES,
        ha::ROUTES,
        moves::ROUTES,
        nodes::ROUTES,
        storage::ROUTES,
        tasks::ROUTES,
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
    args: Args,
}

impl Call<'_> {
    fn now_s(&self) -> u64 {
        self.world.now_ms / 1000
    }

    fn may(&self, path: &str, any_of: &[&str]) -> bool {
        may(self.world, self.caller, path, any_of)
    }

    fn release(&self) -> (u32, u32) {
        release(self.here())
    }

    fn here(&self) -> &crate::world::node::Node {
        &self.world.nodes[&self.node]
    }

    /// The guest that the path names.
    fn guest_id(&self, kind: GuestKind) -> Result<GuestId, Refusal> {
        let vmid = self.args.number("vmid").and_then(|vmid| u32::try_from(vmid).ok());
        let vmid = vmid.ok_or_else(|| Refusal::parameter("vmid", "type check ('integer') failed"))?;
        Ok(match kind {
            GuestKind::Vm => GuestId::vm(vmid),
            GuestKind::Ct => GuestId::ct(vmid),
        })
    }

    /// The guest that the path names, if its configuration lies here.
    fn guest(&self, kind: GuestKind) -> Result<&crate::world::guest::Guest, Refusal> {
        let id = self.guest_id(kind)?;
        let here = self.world.guests.get(&id).filter(|guest| guest.node == self.node);
        here.ok_or_else(|| WorldError::NotHere { node: self.node.clone(), id }.into())
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
    let held = world.access.privileges(&caller.auth_id(), path);
    any_of.iter().any(|privilege| held.contains_key(*privilege))
}

/// Answers a request from outside.
pub(super) fn answer(wire: &Wire, world: &mut World, request: &ApiRequest) -> ApiAnswer {
    let now_s = world.now_ms / 1000;
    let asked = &world.nodes[&request.asked];
    let style = if release(asked) >= (8, 4) { ErrorBody::WithMessage } else { ErrorBody::Bare };
    let mut delay = Duration::ZERO;
    match serve(wire, world, request, &mut delay) {
        Ok(reply) => success(reply, now_s),
        Err(refusal) => {
            let mut answer = refused(&refusal, style, now_s);
            answer.delay += delay;
            answer
        }
    }
}

fn serve(wire: &Wire, world: &mut World, request: &ApiRequest, delay: &mut Duration) -> Result<Reply, Refusal> {
    if let Some(text) = &world.nodes[&request.asked].api_error {
        return Err(Refusal::failed(text.clone()));
    }
    let has_body = !request.body.is_empty();
    let unknown = || Refusal::NotImplemented(format!("{} {}", request.method, percent_decode(&request.path)));
    if has_body && matches!(request.method.as_str(), "GET" | "DELETE") {
        return Err(unknown());
    }
    let found = find(&request.method, &request.path);
    let open = found.as_ref().is_some_and(|(route, _)| matches!(route.needs, Needs::Nothing));
    let caller = if open {
        Caller { user: String::new(), token: None }
    } else {
        let intent = if request.method == "GET" { Intent::Read } else { Intent::Change };
        wire.gate.authenticate(&world.access, &request.credentials, intent, world.now_ms / 1000)?
    };
    let (route, vars) = found.ok_or_else(unknown)?;
    let args = Args::of(request)?;
    dispatch(wire, world, &caller, &request.asked, (route, vars), args, delay)
}

/// A call from a shell on the node itself (`pvesh`): as root, with the same tables.
pub(super) fn local(
    wire: &Wire,
    world: &mut World,
    node: &NodeName,
    method: &str,
    path: &str,
    args: Args,
) -> Result<Value, Refusal> {
    let found = find(method, path).ok_or_else(|| Refusal::NotImplemented(format!("{method} {path}")))?;
    let mut delay = Duration::ZERO;
    let reply = dispatch(wire, world, &Caller::root(), node, found, args, &mut delay)?;
    Ok(reply.into_data())
}

type Found = (&'static Route, Vec<(&'static str, String)>);

fn dispatch(
    wire: &Wire,
    world: &mut World,
    caller: &Caller,
    asked: &NodeName,
    (route, vars): Found,
    mut args: Args,
    delay: &mut Duration,
) -> Result<Reply, Refusal> {
    let unknown = |route: &Route, vars: &[(&str, String)]| {
        Refusal::NotImplemented(format!("{} {}", route.method, fill(route.path, vars)))
    };
    if release(&world.nodes[asked]) < route.since {
        return Err(unknown(route, &vars));
    }
    if let Needs::Privilege(path, any_of) = route.needs {
        let path = fill(path, &vars);
        if !may(world, caller, &path, any_of) {
            return Err(Refusal::Forbidden(format!("{path}, {}", any_of.join("|"))));
        }
    }
    let node = runs_on(world, asked, &vars, delay)?;
    if release(&world.nodes[&node]) < route.since {
        return Err(unknown(route, &vars));
    }
    args.check(route.params, release(&world.nodes[&node]))?;
    check_path(&vars)?;
    for (name, value) in &vars {
        args.insert(name, value);
    }
    (route.run)(&mut Call { world, wire, caller, node, args })
}

/// Where a call runs: the path's node, reached from the one asked.
fn runs_on(
    world: &World,
    asked: &NodeName,
    vars: &[(&str, String)],
    delay: &mut Duration,
) -> Result<NodeName, Refusal> {
    let named = vars.iter().find(|(name, _)| *name == "node").map(|(_, node)| NodeName::new(node.as_str()));
    let Some(target) = named.filter(|target| target.as_str() != "localhost" && target != asked) else {
        return Ok(asked.clone());
    };
    let Some(node) = world.nodes.get(&target) else {
        return Err(Refusal::failed(format!(
            "hostname lookup '{target}' failed - failed to get address info for: {target}: Temporary failure in name resolution"
        )));
    };
    if !api_listens(world, &target) {
        let (reason, takes) = connect_failure(node);
        *delay += takes;
        return Err(Refusal::Proxy(595, reason));
    }
    match &node.api_error {
        Some(text) => Err(Refusal::failed(text.clone())),
        None => Ok(target),
    }
}

fn check_path(vars: &[(&str, String)]) -> Result<(), Refusal> {
    for (name, value) in vars {
        let kind = match *name {
            "node" => Kind::Node,
            "vmid" => Kind::Vmid,
            "upid" => Kind::Upid,
            _ => Kind::Text,
        };
        kind.check(value).map_err(|text| Refusal::parameter(name, text))?;
    }
    Ok(())
}

/// Finds the endpoint of a path, and what stands in the places of the names in braces.
fn find(method: &str, path: &str) -> Option<Found> {
    let asked: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    let matching = |route: &'static Route| {
        let pattern: Vec<&'static str> = route.path.split('/').filter(|part| !part.is_empty()).collect();
        if route.method != method || pattern.len() != asked.len() {
            return None;
        }
        let mut vars = Vec::new();
        for (part, value) in pattern.iter().zip(&asked) {
            match part.strip_prefix('{').and_then(|part| part.strip_suffix('}')) {
                Some(name) => vars.push((name, percent_decode(value))),
                None if part == value => {}
                None => return None,
            }
        }
        Some((route, vars))
    };
    // A literal path is meant before one with a name in its place.
    routes().filter_map(matching).min_by_key(|(_, vars)| vars.len())
}

fn fill(path: &str, vars: &[(&str, String)]) -> String {
    vars.iter().fold(path.to_owned(), |path, (name, value)| path.replace(&format!("{{{name}}}"), value))
}
