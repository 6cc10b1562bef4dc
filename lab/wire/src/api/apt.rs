//! `/nodes/{node}/apt`: available upgrades, installed packages, repositories.

use std::collections::BTreeMap;

use quorate_world::node::{Node, Repository};
use ring::digest;
use serde_json::{Map, Value, json};

use super::access::manager;
use super::{Call, Route, route};
use crate::answer::{CallRefused, Reply, object};
use crate::text::hex;

pub(super) const ROUTES: &[Route] = &[
    // Reading the list does need the privilege to change it.
    route("GET", "/nodes/{node}/apt/update", pending),
    route("POST", "/nodes/{node}/apt/update", update),
    route("GET", "/nodes/{node}/apt/versions", versions),
    route("GET", "/nodes/{node}/apt/repositories", repositories),
    route("POST", "/nodes/{node}/apt/repositories", toggle_repository),
    route("PUT", "/nodes/{node}/apt/repositories", add_repository),
    route("GET", "/nodes/{node}/apt/changelog", changelog),
];

fn describe(package: &str) -> Map<String, Value> {
    let section = if package.starts_with("proxmox-kernel-") { "kernel" } else { "admin" };
    let title = format!("{package} of Proxmox VE");
    object(json!({
        "Package": package, "Title": title, "Description": title, "Section": section, "Priority": "optional",
        "Arch": if package.ends_with("-signed") || section == "admin" { "amd64" } else { "all" },
    }))
}

/// Upgrades according to the node's present lists; packages that would be removed are not shown here.
fn pending(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    let list = call.world.pending(&call.node).into_iter().map(|package| {
        let mut entry = describe(&package.name);
        entry.insert("Version".into(), json!(package.to));
        entry.insert("Origin".into(), json!(package.origin.split(':').next()));
        // A new package has no old version.
        if let Some(from) = &package.from {
            entry.insert("OldVersion".into(), json!(from));
        }
        Value::Object(entry)
    });
    Ok(list.collect::<Value>().into())
}

fn update(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    let user = call.caller.auth_id();
    Ok(json!(call.world.apt_update(&call.node, &user)?).into())
}

/// Installed packages in the order of `pveversion -v`: the two that name the release, kernels, then the rest.
pub(crate) fn ordered(node: &Node) -> Vec<(&str, &str)> {
    let rank = |package: &str| match package {
        "proxmox-ve" => 0,
        "pve-manager" => 1,
        "proxmox-kernel-helper" => 2,
        _ if package.starts_with("proxmox-kernel-") || package.starts_with("pve-kernel-") => 3,
        "ceph" => 4,
        _ => 5,
    };
    let mut list: Vec<_> =
        node.packages.installed.iter().map(|(package, version)| (package.as_str(), version.as_str())).collect();
    list.sort_by_key(|(package, _)| rank(package));
    list
}

fn versions(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    let node = call.here();
    let (version, _, repoid) = manager(node);
    let candidates: BTreeMap<_, _> =
        call.world.pending(&call.node).into_iter().map(|package| (package.name.clone(), package.to)).collect();
    let list = ordered(node).into_iter().map(|(package, installed)| {
        let mut entry = describe(package);
        let candidate = candidates.get(package).map_or(installed, |version| version.as_str());
        entry.insert("Version".into(), json!(candidate));
        // The name says "old version", but it is the installed one.
        entry.insert("OldVersion".into(), json!(installed));
        entry.insert("Origin".into(), json!("Proxmox"));
        let state =
            if node.packages.broken.iter().any(|broken| broken == package) { "HalfConfigured" } else { "Installed" };
        entry.insert("CurrentState".into(), json!(state));
        match package {
            "proxmox-ve" => entry.insert("RunningKernel".into(), json!(node.kernel.running)),
            "pve-manager" => entry.insert("ManagerVersion".into(), json!(format!("{version}/{repoid}"))),
            _ => None,
        };
        Value::Object(entry)
    });
    Ok(list.collect::<Value>().into())
}

fn repositories(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    let node = call.here();
    let mut by_file: BTreeMap<&str, Vec<&Repository>> = BTreeMap::new();
    for repository in &node.repositories {
        by_file.entry(&repository.path).or_default().push(repository);
    }
    let files: Vec<_> = by_file.iter().map(|(path, entries)| file(path, entries)).collect();
    let digest = hex(digest::digest(&digest::SHA256, json!(files).to_string().as_bytes()).as_ref());
    Ok(json!({
        "files": files, "errors": [], "infos": infos(&by_file), "digest": digest, "standard-repos": standard(node),
    })
    .into())
}

/// Switches one entry of a file on or off.
fn toggle_repository(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    let (path, index) = (call.args.text("path").to_owned(), call.args.number("index").unwrap_or(0));
    let enabled = call.args.switch("enabled");
    let Some(node) = call.world.nodes.get_mut(&call.node) else { return Ok(Value::Null.into()) };
    let mut of_file = node.repositories.iter_mut().filter(|repository| repository.path == path);
    let found = of_file.nth(usize::try_from(index).unwrap_or(usize::MAX));
    let found = found.ok_or_else(|| CallRefused::failed(format!("invalid index - {index}")))?;
    found.enabled = enabled.unwrap_or(found.enabled);
    Ok(Value::Null.into())
}

/// Adds a repository that PVE knows by name, or switches it on. Suites cannot be changed this way.
fn add_repository(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    let handle = call.args.text("handle").to_owned();
    let known = STANDARD.iter().find(|(known, ..)| *known == handle);
    let (_, _, component) = known.ok_or_else(|| CallRefused::failed(format!("unknown repository '{handle}'")))?;
    let nine = call.release() >= (9, 0);
    let Some(node) = call.world.nodes.get_mut(&call.node) else { return Ok(Value::Null.into()) };
    if let Some(there) = node.repositories.iter_mut().find(|repository| repository.component == *component) {
        there.enabled = true;
        return Ok(Value::Null.into());
    }
    let host = if handle == "enterprise" { "https://enterprise.proxmox.com" } else { "http://download.proxmox.com" };
    let (suite, end) = if nine { ("trixie", "sources") } else { ("bookworm", "list") };
    let name = if handle == "enterprise" { "pve-enterprise" } else { "proxmox" };
    node.repositories.push(Repository {
        path: format!("/etc/apt/sources.list.d/{name}.{end}"),
        enabled: true,
        uri: format!("{host}/debian/pve"),
        suite: suite.to_owned(),
        component: (*component).to_owned(),
        ..Repository::default()
    });
    Ok(Value::Null.into())
}

fn changelog(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    let name = call.args.text("name");
    let version = call.args.get("version").map(str::to_owned);
    let version = version.or_else(|| call.here().installed(name).map(|version| version.as_str().to_owned()));
    let version = version.ok_or_else(|| CallRefused::failed(format!("unable to find package '{name}'")))?;
    Ok(json!(format!("{name} ({version}) stable; urgency=medium\n\n  * a change in the lab\n")).into())
}

fn file(path: &str, entries: &[&Repository]) -> Value {
    let kind = if path.ends_with(".sources") { "sources" } else { "list" };
    let entries: Vec<_> = entries
        .iter()
        .map(|entry| {
            let words = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
            json!({
                "Types": words(entry.types.as_deref().unwrap_or("deb")), "URIs": words(&entry.uri),
                "Suites": words(&entry.suite), "Components": words(&entry.component),
                "FileType": kind, "Enabled": u8::from(entry.enabled),
            })
        })
        .collect();
    let hash = digest::digest(&digest::SHA256, json!(entries).to_string().as_bytes());
    json!({"path": path, "file-type": kind, "repositories": entries, "digest": hash.as_ref()})
}

fn infos(by_file: &BTreeMap<&str, Vec<&Repository>>) -> Value {
    let mut list = Vec::new();
    for (path, entries) in by_file {
        for (index, entry) in entries.iter().enumerate() {
            // By the release file that apt has of it. What a vendor writes there is not known here: nothing is said.
            let origin = match () {
                () if entry.origin.is_some() => entry.origin.as_deref().unwrap_or_default(),
                () if entry.uri.contains("proxmox.com") => "Proxmox",
                () if entry.uri.contains("debian.org") => "Debian",
                () => continue,
            };
            // The index is a string.
            list.push(json!({"path": path, "index": index.to_string(), "kind": "origin", "message": origin}));
        }
    }
    list.into()
}

/// The repositories that PVE knows by name: handle, name, component.
const STANDARD: [(&str, &str, &str); 3] = [
    ("enterprise", "Enterprise", "pve-enterprise"),
    ("no-subscription", "No-Subscription", "pve-no-subscription"),
    ("test", "Test", "pve-test"),
];

/// PVE's repositories, each switched on, off, or (without a status) not configured.
fn standard(node: &Node) -> Value {
    let entry = |&(handle, name, component): &(&str, &str, &str)| {
        let mut entry = object(json!({
            "handle": handle, "name": name, "description": format!("The {name} repository of Proxmox VE."),
        }));
        let there: Vec<_> = node.repositories.iter().filter(|repository| repository.component == component).collect();
        if !there.is_empty() {
            entry.insert("status".into(), json!(u8::from(there.iter().any(|repository| repository.enabled))));
        }
        Value::Object(entry)
    };
    STANDARD.iter().map(entry).collect()
}
