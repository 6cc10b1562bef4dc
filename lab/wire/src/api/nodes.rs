//! `/nodes`: the list of nodes, and what one node reports about itself.

use quorate_world::node::AfterDown;
use quorate_world::services::ServiceAction;
use ring::digest;
use serde_json::{Map, Value, json};

use super::access::manager;
use super::cluster::{address, memory_used, node_entry};
use super::storage::root_total;
use super::{Call, Route, route};
use crate::answer::{CallRefused, Reply, object};
use crate::text::hex;

pub(super) const ROUTES: &[Route] = &[
    route("GET", "/nodes", list),
    route("GET", "/nodes/{node}/status", status),
    route("POST", "/nodes/{node}/status", power),
    route("GET", "/nodes/{node}/time", time),
    route("GET", "/nodes/{node}/subscription", subscription),
    route("GET", "/nodes/{node}/network", network),
    route("GET", "/nodes/{node}/network/{iface}", interface),
    route("GET", "/nodes/{node}/services", services),
    route("GET", "/nodes/{node}/services/{service}/state", service_state),
    route("POST", "/nodes/{node}/services/{service}/start", service_start),
    route("POST", "/nodes/{node}/services/{service}/stop", service_stop),
    route("POST", "/nodes/{node}/services/{service}/restart", service_restart),
    route("POST", "/nodes/{node}/services/{service}/reload", service_reload),
    route("GET", "/nodes/{node}/capabilities/qemu/machines", machines),
];

fn list(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    let list = call.world.nodes.iter().map(|(name, node)| {
        let mut entry = node_entry(call, name, node);
        if let Some(fingerprint) = call.wire.gate.fingerprints.get(name) {
            entry.insert("ssl_fingerprint".into(), json!(fingerprint));
        }
        Value::Object(entry)
    });
    Ok(list.collect::<Value>().into())
}

fn status(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    let node = call.here();
    let (version, _, repoid) = manager(node);
    let kernel = &node.kernel.running;
    let build = "#1 SMP PREEMPT_DYNAMIC PMX";
    let used = memory_used(call.world, &call.node);
    let free = node.memory_bytes - used;
    let total = root_total(node);
    Ok(json!({
        "uptime": node.uptime_s(call.world.now_ms),
        "idle": 0,
        "wait": 0,
        "cpu": super::cluster::cpu_share(call.world, &call.node),
        "loadavg": ["0.42", "0.38", "0.35"],
        "kversion": format!("Linux {kernel} {build}"),
        "current-kernel": {"sysname": "Linux", "release": kernel, "version": build, "machine": "x86_64"},
        "boot-info": {"mode": "efi", "secureboot": 0},
        "pveversion": format!("pve-manager/{version}/{repoid}"),
        "cpuinfo": cpuinfo(node),
        "memory": {"total": node.memory_bytes, "used": used, "free": free, "available": free},
        "swap": {"total": 0, "used": 0, "free": 0},
        "ksm": {"shared": 0},
        "rootfs": {
            "total": total, "used": total - node.root_free_bytes, "free": node.root_free_bytes,
            "avail": node.root_free_bytes,
        },
    })
    .into())
}

fn cpuinfo(node: &quorate_world::node::Node) -> Value {
    json!({
        "cpus": node.cpus,
        "cores": node.cpus,
        "sockets": 1,
        "model": node.cpu_model,
        "vendor": if node.cpu_model.contains("AMD") { "AuthenticAMD" } else { "GenuineIntel" },
        "family": "6",
        "mhz": "2599.998",
        "hvm": "1",
        "user_hz": 100,
        "flags": node.cpu_flags().map(String::as_str).collect::<Vec<_>>().join(" "),
    })
}

/// Answers at once with nothing: no task, no guarantee.
fn power(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    let then = if call.args.text("command") == "reboot" { AfterDown::Reboot } else { AfterDown::Off };
    call.world.node_power(&call.node, then)?;
    Ok(Value::Null.into())
}

fn time(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    let local_s = call.world.now_ms.saturating_add_signed(call.here().clock_skew_ms) / 1000;
    Ok(json!({"timezone": "Etc/UTC", "time": local_s, "localtime": local_s}).into())
}

fn subscription(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    let node = call.here();
    let hash = digest::digest(&digest::SHA256, call.node.as_str().as_bytes());
    let server = hex(&hash.as_ref()[..16]).to_uppercase();
    if node.subscription == "notfound" {
        return Ok(json!({
            "status": "notfound",
            "message": "There is no subscription key",
            "serverid": server,
            "url": "https://www.proxmox.com/en/proxmox-virtual-environment/pricing",
        })
        .into());
    }
    Ok(json!({
        "status": node.subscription,
        "level": "c",
        "productname": "Proxmox VE Community Subscription 1 CPU/year",
        "serverid": server,
        "sockets": 1,
        "checktime": call.now_s() / 86_400 * 86_400,
        "nextduedate": "2027-06-30",
    })
    .into())
}

fn network(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    let only = call.args.get("type");
    let mut list = interfaces(call);
    list.retain(|entry| match only {
        None => true,
        Some("any_bridge" | "any_local_bridge") => entry["type"] == "bridge",
        Some(kind) => entry["type"] == kind,
    });
    // PVE::API2::Network: whatever type was asked for, a bridge is listed only for those who may see it.
    list.retain(|entry| {
        let path = format!("/sdn/zones/localnetwork/{}", entry["iface"].as_str().unwrap_or_default());
        entry["type"] != "bridge" || call.may(&path, &["SDN.Audit", "SDN.Use"])
    });
    Ok(Value::Array(list).into())
}

fn interface(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    let name = call.args.text("iface");
    let found = interfaces(call).into_iter().find(|entry| entry["iface"] == name);
    let mut found = object(found.ok_or_else(|| CallRefused::parameter("iface", "interface does not exist"))?);
    found.remove("iface");
    Ok(Value::Object(found).into())
}

/// One card, and the bridges on it.
fn interfaces(call: &Call<'_>) -> Vec<Value> {
    let node = call.here();
    let mut list = vec![json!({
        "iface": "eno1", "type": "eth", "active": 1, "method": "manual", "method6": "manual",
        "families": ["inet"], "priority": 3,
    })];
    for (number, bridge) in node.bridges.iter().enumerate() {
        let mut entry = object(json!({
            "iface": bridge, "type": "bridge", "active": 1, "autostart": 1, "method": "manual", "method6": "manual",
            "families": ["inet"], "priority": 4 + number, "bridge_ports": "eno1", "bridge_stp": "off",
            "bridge_fd": "0",
        }));
        if number == 0 {
            let ip = address(node);
            entry.insert("method".into(), json!("static"));
            entry.insert("address".into(), json!(ip));
            entry.insert("netmask".into(), json!("24"));
            entry.insert("cidr".into(), json!(format!("{ip}/24")));
        }
        list.push(Value::Object(entry));
    }
    list
}

/// The services that PVE reports on, present or not.
const SERVICES: [&str; 23] = [
    "chrony",
    "corosync",
    "cron",
    "ksmtuned",
    "lxcfs",
    "postfix",
    "proxmox-firewall",
    "pve-cluster",
    "pve-firewall",
    "pve-ha-crm",
    "pve-ha-lrm",
    "pve-lxc-syscalld",
    "pvedaemon",
    "pvefw-logger",
    "pveproxy",
    "pvescheduler",
    "pvestatd",
    "qmeventd",
    "spiceproxy",
    "sshd",
    "syslog",
    "systemd-journald",
    "systemd-timesyncd",
];

fn services(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    Ok(SERVICES.map(|name| Value::Object(service_entry(call, name))).into_iter().collect::<Value>().into())
}

fn service_state(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    let name = call.args.text("service");
    if !SERVICES.contains(&name) {
        let text = format!("value '{name}' does not have a value in the enumeration '{}'", SERVICES.join(", "));
        return Err(CallRefused::parameter("service", text));
    }
    Ok(Value::Object(service_entry(call, name)).into())
}

fn service_entry(call: &Call<'_>, name: &str) -> Map<String, Value> {
    object(match call.here().services.get(name) {
        Some(service) => json!({
            "service": name, "name": name, "desc": service.description, "state": service.sub_state,
            "active-state": service.active_state, "unit-state": service.unit_state,
        }),
        None => json!({
            "service": name, "name": name, "desc": format!("{name}.service"), "state": "dead",
            "active-state": "inactive", "unit-state": "not-found",
        }),
    })
}

fn service_start(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    service_action(call, ServiceAction::Start)
}

fn service_stop(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    service_action(call, ServiceAction::Stop)
}

fn service_restart(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    service_action(call, ServiceAction::Restart)
}

fn service_reload(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    service_action(call, ServiceAction::Reload)
}

fn service_action(call: &mut Call<'_>, action: ServiceAction) -> Result<Reply, CallRefused> {
    let name = call.args.text("service").to_owned();
    let user = call.caller.auth_id();
    Ok(json!(call.world.service(&call.node, &name, action, &user)?).into())
}

/// Machine types that the installed QEMU supports, newest first.
fn machines(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    const KNOWN: [(u32, u32); 16] = [
        (11, 0),
        (10, 2),
        (10, 1),
        (10, 0),
        (9, 2),
        (9, 1),
        (9, 0),
        (8, 2),
        (8, 1),
        (8, 0),
        (7, 2),
        (7, 1),
        (7, 0),
        (6, 2),
        (6, 1),
        (6, 0),
    ];
    let version = call.here().installed("pve-qemu-kvm").map_or("0.0".to_owned(), ToString::to_string);
    let mut numbers = version.split(['.', '-', '+']).map(|number| number.parse::<u32>().unwrap_or(0));
    let installed = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    let mut list = Vec::new();
    for (major, minor) in KNOWN.into_iter().filter(|known| *known <= installed) {
        for kind in ["i440fx", "q35"] {
            let version = format!("{major}.{minor}");
            list.push(json!({"id": format!("pc-{kind}-{version}"), "type": kind, "version": version}));
        }
    }
    Ok(Value::Array(list).into())
}
