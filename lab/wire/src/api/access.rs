//! `/version`, `/access/ticket`, `/access/permissions`: the caller, and what it may do.

use std::collections::BTreeSet;

use quorate_world::node::Node;
use ring::digest;
use serde_json::{Map, Value, json};

use super::{Call, Route, route};
use crate::answer::{CallRefused, Reply};
use crate::text::hex;
use crate::upstream;

pub(super) const ROUTES: &[Route] = &[
    route("GET", "/version", version),
    route("GET", "/nodes/{node}/version", version),
    route("POST", "/access/ticket", ticket),
    route("GET", "/access/permissions", permissions),
];

/// Version, release and build hash of pve-manager; the hash goes with the version.
pub(crate) fn manager(node: &Node) -> (String, String, String) {
    // What answers is what the services were started with.
    let version = node
        .old_manager
        .as_ref()
        .or(node.installed("pve-manager"))
        .map_or("0", |version| upstream(version.as_str()))
        .to_owned();
    let release = version.split('.').take(2).collect::<Vec<_>>().join(".");
    let repoid = hex(&digest::digest(&digest::SHA256, version.as_bytes()).as_ref()[..4]);
    (version, release, repoid)
}

fn version(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    let (version, release, repoid) = manager(call.here());
    Ok(json!({"version": version, "release": release, "repoid": repoid}).into())
}

fn ticket(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    let mut user = call.args.text("username").to_owned();
    if let Some(realm) = call.args.get("realm") {
        user = format!("{user}@{realm}");
    }
    let access = &call.world.access;
    let (ticket, csrf) = call
        .wire
        .gate
        .log_in(access, &user, call.args.text("password"), call.now_s())
        .ok_or(CallRefused::LoginFailed)?;
    let mut data = json!({"username": user, "ticket": ticket, "CSRFPreventionToken": csrf, "cap": caps(call, &user)});
    if access.allows(&user, "/", "Sys.Audit") {
        data["clustername"] = json!(call.world.corosync.cluster_name);
    }
    Ok(data.into())
}

/// What the web interface shows and hides: privileges by area.
fn caps(call: &Call<'_>, user: &str) -> Value {
    let areas = [
        ("vms", "/vms", &["VM."][..]),
        ("nodes", "/nodes", &["Sys."]),
        ("storage", "/storage", &["Datastore."]),
        ("dc", "/", &["Sys.Audit", "Sys.Modify", "SDN."]),
        ("access", "/access", &["User.", "Group."]),
        ("sdn", "/sdn", &["SDN."]),
        ("mapping", "/mapping", &["Mapping."]),
    ];
    let mut caps = Map::new();
    for (area, path, starts) in areas {
        let held = call.world.access.privileges(user, path);
        let mut shown: BTreeSet<&str> =
            held.into_keys().filter(|privilege| starts.iter().any(|start| privilege.starts_with(start))).collect();
        if area != "dc" && call.world.access.allows(user, path, "Permissions.Modify") {
            shown.insert("Permissions.Modify");
        }
        caps.insert(area.to_owned(), shown.into_iter().map(|privilege| (privilege.to_owned(), json!(1))).collect());
    }
    caps.into()
}

fn permissions(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    let who = call.args.get("userid").map_or_else(|| call.caller.auth_id(), str::to_owned);
    if who != call.caller.auth_id() && !call.may("/access", &["Sys.Audit"]) {
        return Err(CallRefused::Forbidden("/access, Sys.Audit".to_owned()));
    }
    let paths: BTreeSet<String> = match call.args.get("path") {
        Some(path) => BTreeSet::from([path.to_owned()]),
        None => {
            let fixed = ["/", "/access", "/access/groups", "/nodes", "/pool", "/sdn", "/storage", "/vms"];
            let listed = call.world.access.acl.iter().map(|entry| entry.path.clone());
            fixed.iter().map(|path| (*path).to_owned()).chain(listed).collect()
        }
    };
    let mut found = Map::new();
    for path in paths {
        let held = call.world.access.privileges(&who, &path);
        if !held.is_empty() {
            let held =
                held.into_iter().map(|(privilege, propagate)| (privilege.to_owned(), json!(u8::from(propagate))));
            found.insert(path, held.collect::<Map<_, _>>().into());
        }
    }
    Ok(Value::Object(found).into())
}
