//! Indexes: what is below a path, according to the table itself. The key under which PVE lists it differs by path.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::{Call, Route, route};
use crate::answer::{CallRefused, Reply};

pub(super) const ROUTES: &[Route] = &[
    route("GET", "/", by_subdir),
    route("GET", "/access", by_subdir),
    route("GET", "/access/ticket", nothing),
    route("GET", "/cluster", by_name),
    route("GET", "/cluster/ceph", by_name),
    route("GET", "/cluster/config", by_name),
    route("GET", "/cluster/ha", by_id),
    route("GET", "/cluster/ha/status", by_name),
    route("GET", "/nodes/{node}", by_name),
    route("GET", "/nodes/{node}/apt", by_id),
    route("GET", "/nodes/{node}/capabilities", by_name),
    route("GET", "/nodes/{node}/capabilities/qemu", by_name),
    route("GET", "/nodes/{node}/ceph", by_name),
    route("GET", "/nodes/{node}/disks", by_name),
    route("GET", "/nodes/{node}/hardware", by_type),
    route("GET", "/nodes/{node}/lxc/{vmid}", by_subdir),
    route("GET", "/nodes/{node}/lxc/{vmid}/status", by_subdir),
    route("GET", "/nodes/{node}/qemu/{vmid}", by_subdir),
    route("GET", "/nodes/{node}/qemu/{vmid}/status", by_subdir),
    route("GET", "/nodes/{node}/replication/{id}", by_name),
    route("GET", "/nodes/{node}/services/{service}", by_subdir),
    route("GET", "/nodes/{node}/storage/{storage}", by_subdir),
    route("GET", "/nodes/{node}/tasks/{upid}", by_name),
];

fn by_name(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    Ok(index(call, "name"))
}

fn by_subdir(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    Ok(index(call, "subdir"))
}

fn by_id(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    Ok(index(call, "id"))
}

fn by_type(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    Ok(index(call, "type"))
}

/// The login path has a description but no answer.
fn nothing(_: &mut Call<'_>) -> Result<Reply, CallRefused> {
    Ok(Value::Null.into())
}

fn index(call: &Call<'_>, key: &str) -> Reply {
    let above = format!("{}/", call.path.trim_end_matches('/'));
    let below = |path: &'static str| path.strip_prefix(above.as_str())?.split('/').next();
    let names: BTreeSet<&str> = (call.known)(call.release())
        .into_iter()
        .filter_map(below)
        .filter(|name| !name.is_empty() && !name.starts_with('{'))
        .collect();
    names.into_iter().map(|name| Map::from_iter([(key.to_owned(), json!(name))])).collect::<Value>().into()
}
