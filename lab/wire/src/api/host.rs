//! What one machine reports about its hardware, names, certificates and disks.

use quorate_core::ids::GuestKind;
use quorate_world::disks::RecordedDisk;
use serde_json::{Map, Value, json};

use super::cluster::address;
use super::{Call, Route, route};
use crate::answer::{CallRefused, Reply, object};
use crate::text::config_digest;

pub(super) const ROUTES: &[Route] = &[
    route("GET", "/nodes/{node}/certificates/info", certificates),
    route("GET", "/nodes/{node}/config", config),
    route("GET", "/nodes/{node}/dns", dns),
    route("GET", "/nodes/{node}/hosts", hosts),
    route("GET", "/nodes/{node}/netstat", none),
    route("GET", "/nodes/{node}/report", report),
    route("GET", "/nodes/{node}/disks/list", disks),
    route("GET", "/nodes/{node}/disks/smart", smart),
    route("GET", "/nodes/{node}/disks/directory", none),
    route("GET", "/nodes/{node}/disks/lvm", lvm),
    route("GET", "/nodes/{node}/disks/lvmthin", lvmthin),
    route("GET", "/nodes/{node}/disks/zfs", zfs),
    route("GET", "/nodes/{node}/disks/zfs/{name}", zfs_pool),
    route("GET", "/nodes/{node}/hardware/pci", pci),
    route("GET", "/nodes/{node}/hardware/usb", none),
    route("GET", "/nodes/{node}/capabilities/qemu/cpu", cpus),
    route("GET", "/nodes/{node}/capabilities/qemu/cpu-flags", cpu_flags),
    route("GET", "/nodes/{node}/capabilities/qemu/migration", migration),
    route("POST", "/nodes/{node}/wakeonlan", wake),
    route("POST", "/nodes/{node}/subscription", check_subscription),
];

fn none(_: &mut Call<'_>) -> Result<Reply, CallRefused> {
    Ok(json!([]).into())
}

/// One certificate, the node's own; what pveproxy shows.
fn certificates(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    let made_s = call.world.started_ms / 1000;
    let name = &call.node;
    let mut entry = object(json!({
        "filename": "pve-ssl.pem", "subject": format!("/OU=PVE Cluster Node/O=Proxmox Virtual Environment/CN={name}"),
        "issuer": "/CN=Proxmox Virtual Environment/O=PVE Cluster Manager CA", "notbefore": made_s,
        "notafter": made_s + 2 * 365 * 86_400, "public-key-bits": 2048, "public-key-type": "rsaEncryption",
        "san": ["127.0.0.1", "0000:0000:0000:0000:0000:0000:0000:0001", "localhost", address(call.here()), name],
    }));
    if let Some(fingerprint) = call.wire.gate.fingerprints.get(name) {
        entry.insert("fingerprint".into(), json!(fingerprint));
    }
    Ok(json!([entry]).into())
}

fn config(_: &mut Call<'_>) -> Result<Reply, CallRefused> {
    Ok(json!({}).into())
}

fn dns(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    let ip = address(call.here());
    let network = ip.rsplit_once('.').map_or(ip, |(network, _)| network);
    Ok(json!({"search": "lab.internal", "dns1": format!("{network}.254")}).into())
}

/// `/etc/hosts`.
pub(crate) fn hosts_file(node: &quorate_world::node::Node) -> String {
    let (name, ip) = (&node.name, address(node));
    format!("127.0.0.1 localhost.localdomain localhost\n{ip} {name}.lab.internal {name}\n")
}

fn hosts(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    let data = hosts_file(call.here());
    Ok(json!({"digest": config_digest(&data), "data": data}).into())
}

/// The headings that pvereport prints, and what the lab knows below them.
fn report(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    let node = call.here();
    let (version, _, repoid) = super::manager(node);
    let packages: String = super::installed_packages(node)
        .into_iter()
        .map(|(package, version)| format!("{package}: {version}\n"))
        .collect();
    let kernel = &node.kernel.running;
    Ok(json!(format!(
        "==== general system info ====\n\n# hostname\n{}\n\n# pveversion --verbose\npve-manager: {version}/{repoid} \
         (running kernel: {kernel})\n{packages}\n# cat /etc/hosts\n{}\n==== info about storage ====\n\n==== info about \
         virtual guests ====\n\n==== info about network ====\n\n==== info about cluster ====\n",
        call.node,
        hosts_file(node)
    ))
    .into())
}

/// The disk of the system, then one for each OSD.
fn disk_entries(call: &Call<'_>) -> Vec<Map<String, Value>> {
    let entry = |number: usize, used: &str, size: u64, osd: i64| {
        let letter = char::from(b'a' + u8::try_from(number % 26).unwrap_or(0));
        let list = if osd < 0 { Value::Null } else { json!([osd.to_string()]) };
        object(json!({
            "devpath": format!("/dev/sd{letter}"), "used": used, "size": size, "osdid": osd, "osdid-list": list,
            "gpt": 1, "mounted": u8::from(osd < 0), "health": "PASSED", "model": "LAB_DISK", "vendor": "LAB     ",
            "serial": format!("{}{number:04}", call.node), "wwn": "unknown", "rpm": 0, "type": "ssd", "wearout": 97,
        }))
    };
    let recorded = &call.here().surroundings.disks.recorded;
    if !recorded.is_empty() {
        let one = |(number, disk): (usize, &RecordedDisk)| {
            let mut entry = entry(number, "unknown", 0, -1);
            let own =
                [("devpath", &disk.device), ("model", &disk.model), ("serial", &disk.serial), ("health", &disk.health)];
            entry.extend(own.map(|(key, value)| (key.to_owned(), json!(value))));
            entry
        };
        return recorded.iter().enumerate().map(one).collect();
    }
    let mut list = vec![entry(0, "BIOS boot", super::root_total(call.here()), -1)];
    let osds = call.world.ceph.iter().flat_map(|ceph| &ceph.osds).filter(|(_, osd)| osd.host == call.node);
    for (number, (id, osd)) in osds.enumerate() {
        list.push(entry(number + 1, "LVM", osd.total_bytes, i64::from(id.0)));
    }
    for (device, health) in &call.here().surroundings.disks.smart {
        match list.iter_mut().find(|entry| entry["devpath"] == device.as_str()) {
            Some(entry) => drop(entry.insert("health".into(), json!(health))),
            None => {
                let mut more = entry(list.len(), "unused", 1 << 40, -1);
                more.extend([("devpath".into(), json!(device)), ("health".into(), json!(health))]);
                list.push(more);
            }
        }
    }
    list
}

fn disks(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    let only = call.args.get("type");
    let wanted = |entry: &Map<String, Value>| match only {
        Some("unused") => false,
        Some("journal_disks") => entry["type"] == "ssd",
        _ => true,
    };
    Ok(disk_entries(call).into_iter().filter(wanted).map(Value::Object).collect::<Value>().into())
}

fn smart(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    let path = call.args.text("disk");
    let Some(entry) = disk_entries(call).into_iter().find(|entry| entry["devpath"] == path) else {
        return Err(CallRefused::failed(format!("device '{path}' does not exist")));
    };
    let mut found = object(json!({"health": entry["health"], "type": "ata"}));
    if !call.args.is_on("healthonly") {
        found.insert("attributes".into(), json!([]));
    }
    Ok(Value::Object(found).into())
}

/// Local storages of this kind that this node has.
fn local<'a>(call: &'a Call<'_>, kind: &'a str) -> impl Iterator<Item = &'a quorate_world::store::Storage> {
    call.world.storages.values().filter(move |storage| storage.kind == kind && storage.is_on(&call.node))
}

fn lvm(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    let groups = local(call, "lvmthin").map(|storage| {
        let (size, free) = (storage.total_bytes, storage.total_bytes.saturating_sub(storage.used_bytes));
        let disk = json!({"name": "/dev/sda3", "leaf": 1, "size": size, "free": free});
        json!({"name": "pve", "leaf": 0, "size": size, "free": free, "lvcount": 3, "children": [disk]})
    });
    Ok(json!({"leaf": 0, "children": groups.collect::<Value>()}).into())
}

fn lvmthin(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    let pools = local(call, "lvmthin").map(|storage| {
        json!({
            "lv": "data", "vg": "pve", "lv_size": storage.total_bytes, "used": storage.used_bytes,
            "metadata_size": 1_u64 << 30, "metadata_used": 32_u64 << 20,
        })
    });
    Ok(pools.collect::<Value>().into())
}

fn zfs(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    let pools = local(call, "zfspool").take(1).map(|storage| {
        let used = storage.used_bytes.min(storage.total_bytes);
        json!({
            "name": "rpool", "size": storage.total_bytes, "alloc": used, "free": storage.total_bytes - used, "frag": 4,
            "dedup": 1.0, "health": "ONLINE",
        })
    });
    Ok(pools.collect::<Value>().into())
}

fn zfs_pool(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    let name = call.args.text("name");
    if name != "rpool" || local(call, "zfspool").next().is_none() {
        return Err(CallRefused::failed(format!("command 'zpool status -P {name}' failed: exit code 1")));
    }
    let disk = json!({"name": "/dev/sda3", "leaf": 1, "state": "ONLINE", "read": 0, "write": 0, "cksum": 0, "msg": ""});
    let mirror = json!({"name": "mirror-0", "leaf": 0, "state": "ONLINE", "read": 0, "write": 0, "cksum": 0, "msg": "", "children": [disk]});
    let top = json!({"name": "rpool", "leaf": 0, "state": "ONLINE", "read": 0, "write": 0, "cksum": 0, "msg": "", "children": [mirror]});
    Ok(json!({
        "name": "rpool", "state": "ONLINE", "errors": "No known data errors", "leaf": 0, "children": [top],
        "scan": "none requested",
    })
    .into())
}

/// The chipset and, as far as guests use them, devices of the host.
fn pci(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    let mut list = vec![device("0000:00:00.0", "0x060000", "Host bridge", -1)];
    let here = call.world.guests.values().filter(|guest| guest.node == call.node && guest.id.kind == GuestKind::Vm);
    let raw = here.flat_map(|guest| &guest.devices).filter(|(key, _)| key.starts_with("hostpci"));
    let mut used: Vec<_> = raw.map(|(_, value)| value.split(',').next().unwrap_or_default()).collect();
    used.sort_unstable();
    used.dedup();
    list.extend(used.into_iter().enumerate().map(|(at, id)| {
        let group = i64::try_from(at).unwrap_or(0) + 1;
        device(id, "0x030000", "GPU", group)
    }));
    if call.args.switch("verbose") == Some(false) {
        let short: Vec<_> = list.iter().map(|entry| json!({"id": entry["id"]})).collect();
        return Ok(Value::Array(short).into());
    }
    Ok(Value::Array(list).into())
}

fn device(id: &str, class: &str, name: &str, group: i64) -> Value {
    json!({
        "id": id, "class": class, "vendor": "0x8086", "device": "0x1237", "iommugroup": group, "device_name": name,
        "vendor_name": "Intel Corporation", "subsystem_vendor": "0x1af4", "subsystem_device": "0x1100",
        "subsystem_vendor_name": "Red Hat, Inc.",
    })
}

/// Models that every QEMU of the last years has.
const MODELS: [(&str, &str); 14] = [
    ("Broadwell", "GenuineIntel"),
    ("Cascadelake-Server", "GenuineIntel"),
    ("EPYC", "AuthenticAMD"),
    ("EPYC-Milan", "AuthenticAMD"),
    ("EPYC-Rome", "AuthenticAMD"),
    ("Haswell", "GenuineIntel"),
    ("Icelake-Server", "GenuineIntel"),
    ("Skylake-Server", "GenuineIntel"),
    ("host", "default"),
    ("kvm64", "default"),
    ("max", "default"),
    ("qemu64", "default"),
    ("x86-64-v2-AES", "default"),
    ("x86-64-v3", "default"),
];

fn cpus(_: &mut Call<'_>) -> Result<Reply, CallRefused> {
    Ok(MODELS
        .map(|(name, vendor)| json!({"name": name, "vendor": vendor, "custom": 0}))
        .into_iter()
        .collect::<Value>()
        .into())
}

fn cpu_flags(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    let known = [
        ("aes", "Activate AES instruction set for HW acceleration."),
        ("nested-virt", "Controls nested virtualization, namely 'svm' for AMD CPUs and 'vmx' for Intel CPUs."),
        ("pdpe1gb", "Allow guest OS to use 1GB size pages, if host HW supports it."),
    ];
    let newest = call.release() >= (9, 2);
    let list = known.map(|(name, description)| {
        let mut entry = object(json!({"name": name, "description": description}));
        if newest {
            let able = call.world.nodes.values().filter(|node| node.cpu_flags().any(|flag| flag == name));
            entry.insert("supported-on".into(), able.map(|node| json!(node.name)).collect());
        }
        Value::Object(entry)
    });
    Ok(list.into_iter().collect::<Value>().into())
}

fn migration(_: &mut Call<'_>) -> Result<Reply, CallRefused> {
    Ok(json!({"has-dbus-vmstate": 1}).into())
}

fn wake(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    Err(CallRefused::failed(format!("No wake on LAN MAC address defined for '{}'!", call.node)))
}

/// With a key PVE asks the server again; the lab's server repeats its last answer.
fn check_subscription(_: &mut Call<'_>) -> Result<Reply, CallRefused> {
    Ok(Value::Null.into())
}
