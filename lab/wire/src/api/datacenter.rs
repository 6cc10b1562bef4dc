//! Settings of the whole cluster: `datacenter.cfg`, backup jobs, mappings, how to join.
//!
//! The world acts on some options; all others are kept as text and shown again.

use std::collections::{BTreeMap, BTreeSet};

use quorate_world::World;
use quorate_world::store::{BackupJob, ShutdownPolicy};
use serde_json::{Map, Value, json};

use super::cluster::address;
use super::{Call, Route, route};
use crate::answer::{CallRefused, Reply, object};
use crate::text::config_digest;

pub(super) const ROUTES: &[Route] = &[
    route("GET", "/cluster/options", options),
    route("PUT", "/cluster/options", set_options),
    route("GET", "/cluster/backup", backups),
    route("GET", "/cluster/backup/{id}", backup),
    route("GET", "/cluster/backup-info/not-backed-up", not_backed_up),
    route("GET", "/cluster/mapping/dir", none),
    route("GET", "/cluster/mapping/pci", none),
    route("GET", "/cluster/mapping/usb", none),
    route("GET", "/cluster/qemu/custom-cpu-models", none),
    route("GET", "/cluster/config/apiversion", api_version),
    route("GET", "/cluster/config/join", join),
];

fn none(_: &mut Call<'_>) -> Result<Reply, CallRefused> {
    Ok(json!([]).into())
}

const FILE: &str = "/etc/pve/datacenter.cfg";

/// Options that the world does not act on, as they were set.
fn kept(world: &World) -> BTreeMap<String, String> {
    let text = world.files.get(FILE).and_then(|file| file.text.as_deref()).unwrap_or_default();
    text.lines()
        .filter_map(|line| line.split_once(": "))
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

/// The file as in /etc/pve, without options that have PVE's default.
pub(crate) fn file(world: &World) -> String {
    let mut lines = kept(world);
    for (key, value) in acted_on(world) {
        let text = match &value {
            Value::Object(parts) => {
                let parts: Vec<_> = parts.iter().map(|(key, value)| format!("{key}={}", plain(value))).collect();
                parts.join(",")
            }
            value => plain(value),
        };
        lines.entry(key).or_insert(text);
    }
    lines.iter().map(|(key, value)| format!("{key}: {value}\n")).collect()
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn acted_on(world: &World) -> Map<String, Value> {
    let options = &world.options;
    let mut found = Map::new();
    if options.shutdown_policy != ShutdownPolicy::Conditional {
        found.insert("ha".into(), json!({"shutdown_policy": policy_word(options.shutdown_policy)}));
    }
    if let Some(workers) = options.max_workers {
        found.insert("max_workers".into(), json!(workers));
    }
    if options.migration_type != "secure" || options.migration_network.is_some() {
        let mut migration = object(json!({"type": options.migration_type}));
        if let Some(network) = &options.migration_network {
            migration.insert("network".into(), json!(network));
        }
        found.insert("migration".into(), migration.into());
    }
    if options.crs != "basic" {
        found.insert("crs".into(), json!({"ha": options.crs}));
    }
    found
}

const POLICIES: [(ShutdownPolicy, &str); 4] = [
    (ShutdownPolicy::Conditional, "conditional"),
    (ShutdownPolicy::Failover, "failover"),
    (ShutdownPolicy::Freeze, "freeze"),
    (ShutdownPolicy::Migrate, "migrate"),
];

fn policy_word(policy: ShutdownPolicy) -> &'static str {
    POLICIES.iter().find(|(known, _)| *known == policy).map_or("conditional", |(_, word)| word)
}

/// Options with PVE's default are left out. Without the privilege only what every page needs is shown.
fn options(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    let mut found = object(json!({"mac_prefix": "BC:24:11", "description": ""}));
    found.extend(acted_on(call.world));
    for (key, value) in kept(call.world) {
        let parts: Option<Map<_, _>> = value
            .split(',')
            .map(|part| part.split_once('='))
            .map(|part| part.map(|(key, value)| (key.to_owned(), json!(value))))
            .collect();
        // Property strings are parsed into objects, except the bandwidth limits.
        let shown = match parts {
            Some(parts) if key != "bwlimit" => Value::Object(parts),
            _ => json!(value),
        };
        found.insert(key, shown);
    }
    let tags: BTreeSet<_> = call.world.guests.values().flat_map(|guest| guest.tags.iter()).collect();
    found.insert("allowed-tags".into(), json!(tags));
    if !call.may("/", &["Sys.Audit"]) {
        found.retain(|key, _| matches!(key.as_str(), "allowed-tags" | "console" | "tag-style" | "consent-text"));
    }
    Ok(Value::Object(found).into())
}

/// A property string; the first part may lack its key.
fn parts<'a>(text: &'a str, default_key: &'a str) -> BTreeMap<&'a str, &'a str> {
    text.split(',').map(|part| part.split_once('=').unwrap_or((default_key, part))).collect()
}

fn set_options(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    call.locks("file-datacenter_cfg")?;
    let deleted: Vec<String> = call.args.text("delete").split([',', ' ', ';']).map(str::to_owned).collect();
    let mut kept = kept(call.world);
    let given: BTreeMap<String, String> =
        call.args.iter().filter(|(key, _)| *key != "delete").map(|(key, value)| (key.into(), value.into())).collect();
    for key in &deleted {
        kept.remove(key);
        set_option(call.world, key, None)?;
    }
    for (key, value) in given {
        if !set_option(call.world, &key, Some(&value))? {
            kept.insert(key, value);
        }
    }
    let text: String = kept.iter().map(|(key, value)| format!("{key}: {value}\n")).collect();
    let node = call.node.clone();
    call.world.pmxcfs_write(&node, FILE, &text).map_err(CallRefused::failed)?;
    Ok(Value::Null.into())
}

/// Sets an option that the world acts on, or resets it to its default; false for any other.
fn set_option(world: &mut World, key: &str, value: Option<&str>) -> Result<bool, CallRefused> {
    let options = &mut world.options;
    let bad = |text: String| CallRefused::parameter(key, format!("invalid format - format error\n{text}\n"));
    match key {
        "max_workers" => options.max_workers = value.and_then(|value| value.parse().ok()),
        "ha" => {
            let word = value
                .map_or("conditional", |value| parts(value, "shutdown_policy").remove("shutdown_policy").unwrap_or(""));
            let found = POLICIES.iter().find(|(_, known)| *known == word);
            let words = "freeze, failover, conditional, migrate";
            options.shutdown_policy = found
                .ok_or_else(|| {
                    bad(format!(
                        "ha.shutdown_policy: value '{word}' does not have a value in the enumeration '{words}'"
                    ))
                })?
                .0;
        }
        "crs" => {
            options.crs = value.and_then(|value| parts(value, "ha").remove("ha")).unwrap_or("basic").to_owned();
            // The scheduler's other settings are kept verbatim.
            return Ok(false);
        }
        "migration" => {
            let given = value.map(|value| parts(value, "type")).unwrap_or_default();
            let kind = given.get("type").copied().unwrap_or("secure");
            if !matches!(kind, "secure" | "insecure") {
                return Err(bad(format!(
                    "migration.type: value '{kind}' does not have a value in the enumeration 'secure, insecure'"
                )));
            }
            options.migration_type = kind.to_owned();
            options.migration_network = given.get("network").map(|network| (*network).to_owned());
        }
        _ => return Ok(false),
    }
    Ok(true)
}

fn backup_entry(job: &BackupJob) -> Value {
    let mut entry = object(json!({
        "id": job.id, "type": "vzdump", "enabled": u8::from(job.enabled), "schedule": job.schedule,
        "storage": job.storage, "mode": job.mode, "next-run": job.next_run_s,
    }));
    if job.guests.is_empty() {
        entry.insert("all".into(), json!(1));
    } else {
        let vmids: Vec<_> = job.guests.iter().map(|guest| guest.vmid.to_string()).collect();
        entry.insert("vmid".into(), json!(vmids.join(",")));
    }
    if let Some(node) = &job.node {
        entry.insert("node".into(), json!(node));
    }
    entry.into()
}

fn backups(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    Ok(call.world.backup_jobs.iter().map(backup_entry).collect::<Value>().into())
}

fn backup(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    let id = call.args.text("id");
    let job = call.world.backup_jobs.iter().find(|job| job.id == id);
    let mut entry =
        object(backup_entry(job.ok_or_else(|| CallRefused::parameter("id", format!("No such job '{id}'")))?));
    entry.remove("next-run");
    Ok(Value::Object(entry).into())
}

fn not_backed_up(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    let jobs: Vec<&BackupJob> = call.world.backup_jobs.iter().filter(|job| job.enabled).collect();
    let covered = |guest: &quorate_world::guest::Guest| {
        jobs.iter().any(|job| {
            let here = job.node.as_ref().is_none_or(|node| *node == guest.node);
            here && (job.guests.is_empty() || job.guests.contains(&guest.id))
        })
    };
    let left = call.world.guests.values().filter(|guest| !covered(guest) && call.sees_guest(guest.id));
    let list = left.map(|guest| json!({"vmid": guest.id.vmid, "name": guest.name, "type": guest.id.kind.api()}));
    Ok(list.collect::<Value>().into())
}

fn api_version(_: &mut Call<'_>) -> Result<Reply, CallRefused> {
    Ok(json!(1).into())
}

fn join(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    let preferred = match call.args.get("node") {
        None | Some("current connected node") => call.node.to_string(),
        Some(node) => node.to_owned(),
    };
    if !call.world.nodes.keys().any(|node| node.as_str() == preferred) {
        return Err(CallRefused::failed(format!("no such node '{preferred}'")));
    }
    let votes = |name| call.world.corosync.votes.get(name).copied().unwrap_or(1).to_string();
    let nodes = call.world.nodes.iter().map(|(name, node)| {
        let mut entry = object(json!({
            "name": name, "nodeid": node.nodeid.to_string(), "quorum_votes": votes(name), "pve_addr": address(node),
        }));
        for (number, link) in node.links.iter().enumerate() {
            entry.insert(format!("ring{number}_addr"), json!(link.address));
        }
        if let Some(fingerprint) = call.wire.gate.fingerprints.get(name) {
            entry.insert("pve_fp".into(), json!(fingerprint));
        }
        Value::Object(entry)
    });
    let nodes: Value = nodes.collect();
    let digest = config_digest(&nodes.to_string());
    let totem = super::cluster::totem_section(call);
    Ok(json!({"nodelist": nodes, "preferred_node": preferred, "totem": totem, "config_digest": digest}).into())
}
