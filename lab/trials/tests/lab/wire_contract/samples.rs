//! One call of every kind that succeeds: the values for the names in a path, and the parameters.

use quorate_core::ids::GuestKind;

use super::{Lab, Method, data, encode, pairs};

/// A call, ready to be sent.
pub(crate) struct Sample {
    pub(crate) path: String,
    pub(crate) params: Vec<(String, String)>,
}

/// Labs from which each test starts afresh for every call: the newest release, and 8.4 for what ended with it.
pub(crate) struct Start {
    newest: Lab,
    eight: Lab,
}

impl Start {
    pub(crate) fn new() -> Self {
        Self { newest: furnished(), eight: with_group() }
    }

    /// A lab that answers this call.
    pub(crate) fn lab(&self, method: &Method) -> Lab {
        let of = if method.path.starts_with("/cluster/ha/groups") { &self.eight } else { &self.newest };
        Lab { wire: of.wire.clone(), world: of.world.clone() }
    }
}

fn of_release(release: &str, ha_manager: &str) -> Lab {
    let mut lab = Lab::demo();
    lab.world.ha.groups_became_rules = release.starts_with('9');
    for node in lab.world.nodes.values_mut() {
        node.packages.installed.insert("pve-manager".into(), release.into());
        node.packages.installed.insert("pve-ha-manager".into(), ha_manager.into());
    }
    lab
}

fn do_all(lab: &mut Lab, calls: &[(&str, &str, &str)]) {
    for (method, path, params) in calls {
        let answer = lab.call("pve1", method, path, &pairs(params));
        assert_eq!(answer.status, 200, "{method} {path}: {} {}", answer.reason, super::body(&answer));
    }
}

fn with_group() -> Lab {
    let mut lab = of_release("8.4.14", "4.0.7");
    do_all(&mut lab, &[("POST", "/cluster/ha/groups", "group=first&nodes=pve1:2,pve2")]);
    lab
}

/// Things that a world may lack and a call needs: jobs, a rule, a user, a snapshot, a pool of disks.
pub(crate) fn furnished() -> Lab {
    let mut lab = of_release("9.2.11", "5.2.0");
    let mut pool = lab.world.storages[&"local-lvm".into()].clone();
    (pool.id, pool.kind) = ("tank".into(), "zfspool".to_owned());
    lab.world.storages.insert("tank".into(), pool);
    for vmid in [110, 111, 112] {
        let id = quorate_core::ids::GuestId::vm(vmid);
        lab.world.guests.get_mut(&id).expect("the demo has it").agent = true;
    }
    do_all(
        &mut lab,
        &[
            ("POST", "/cluster/replication", "id=110-0&type=local&target=pve2&schedule=*/15"),
            ("POST", "/cluster/ha/rules", "rule=spare&type=node-affinity&resources=vm:101&nodes=pve1:2,pve2"),
            ("POST", "/access/users", "userid=guest@pve"),
            ("POST", "/access/users/guest@pve/token/tt", ""),
            ("POST", "/access/roles", "roleid=Spare&privs=VM.Audit"),
            ("PUT", "/access/acl", "path=/vms&users=guest@pve&roles=Spare"),
            ("POST", "/nodes/pve1/qemu/110/snapshot", "snapname=before"),
            ("POST", "/nodes/pve1/lxc/205/snapshot", "snapname=before"),
            ("POST", "/nodes/pve1/apt/update", ""),
        ],
    );
    lab.wait_s(30);
    lab
}

/// Parameters of those calls that need any, besides what the path names.
const PARAMS: &[(&str, &str, &str)] = &[
    ("POST", "/access/ticket", "username=root@pam&password=quorate"),
    ("POST", "/access/users", "userid=second@pve"),
    ("POST", "/access/roles", "roleid=Second&privs=VM.Audit,VM.Migrate"),
    ("PUT", "/access/acl", "path=/vms&users=guest@pve&roles=PVEAuditor"),
    ("PUT", "/cluster/ceph/flags", "noout=1&noscrub=1"),
    ("PUT", "/cluster/ceph/flags/{flag}", "value=1"),
    ("POST", "/cluster/ha/groups", "group=second&nodes=pve2"),
    ("PUT", "/cluster/ha/groups/{group}", "nodes=pve2,pve3"),
    ("POST", "/cluster/ha/resources", "sid=vm:110&state=started&max_restart=2"),
    ("PUT", "/cluster/ha/resources/{sid}", "state=stopped"),
    ("POST", "/cluster/ha/resources/{sid}/migrate", "node=pve3"),
    ("POST", "/cluster/ha/resources/{sid}/relocate", "node=pve3"),
    ("POST", "/cluster/ha/rules", "rule=second&type=resource-affinity&affinity=negative&resources=vm:104,vm:105"),
    ("PUT", "/cluster/ha/rules/{rule}", "type=node-affinity&nodes=pve1:2,pve3"),
    ("POST", "/cluster/ha/status/disarm-ha", "resource-mode=freeze"),
    ("PUT", "/cluster/options", "max_workers=2&keyboard=de&migration=type=secure,network=10.10.3.0/24"),
    ("POST", "/cluster/replication", "id=119-0&type=local&target=pve3"),
    ("PUT", "/cluster/replication/{id}", "schedule=*/30"),
    ("POST", "/cluster/bulk-action/guest/start", "vms=117"),
    ("POST", "/cluster/bulk-action/guest/shutdown", "vms=110"),
    ("POST", "/cluster/bulk-action/guest/suspend", "vms=110"),
    ("POST", "/cluster/bulk-action/guest/migrate", "vms=110&target=pve2&online=1"),
    ("POST", "/nodes/{node}/migrateall", "target=pve2&maxworkers=1&vms=110"),
    ("GET", "/nodes/{node}/apt/changelog", "name=pve-manager"),
    ("POST", "/nodes/{node}/apt/repositories", "path=@repository&index=0&enabled=1"),
    ("PUT", "/nodes/{node}/apt/repositories", "handle=no-subscription"),
    ("GET", "/nodes/{node}/ceph/cfg/value", "config-keys=global:fsid"),
    ("GET", "/nodes/{node}/ceph/cmd-safety", "service=osd&id=0&action=stop"),
    ("POST", "/nodes/{node}/ceph/restart", "service=mon.pve1"),
    ("POST", "/nodes/{node}/ceph/start", "service=osd"),
    ("POST", "/nodes/{node}/ceph/stop", "service=osd.0"),
    ("POST", "/nodes/{node}/ceph/restart-bulk", "service-type=osd&dry-run=1"),
    ("GET", "/nodes/{node}/disks/smart", "disk=/dev/sda"),
    ("GET", "/nodes/{node}/rrddata", "timeframe=hour"),
    ("GET", "/nodes/{node}/qemu/{vmid}/rrddata", "timeframe=hour"),
    ("GET", "/nodes/{node}/lxc/{vmid}/rrddata", "timeframe=hour"),
    ("GET", "/nodes/{node}/storage/{storage}/rrddata", "timeframe=hour"),
    ("GET", "/nodes/{node}/qemu/{vmid}/feature", "feature=snapshot"),
    ("POST", "/nodes/{node}/qemu/{vmid}/dbus-vmstate", "action=start"),
    ("PUT", "/nodes/{node}/qemu/{vmid}/config", "onboot=1&tags=a;b"),
    ("POST", "/nodes/{node}/qemu/{vmid}/config", "cores=2"),
    ("PUT", "/nodes/{node}/lxc/{vmid}/config", "onboot=1"),
    ("PUT", "/nodes/{node}/qemu/{vmid}/resize", "disk=scsi0&size=%2B1G"),
    ("PUT", "/nodes/{node}/lxc/{vmid}/resize", "disk=rootfs&size=%2B1G"),
    ("POST", "/nodes/{node}/qemu/{vmid}/migrate", "target=pve2&online=1"),
    ("POST", "/nodes/{node}/lxc/{vmid}/migrate", "target=pve2&restart=1"),
    ("POST", "/nodes/{node}/qemu/{vmid}/status/suspend", "todisk=1&statestorage=local"),
    ("POST", "/nodes/{node}/qemu/{vmid}/snapshot", "snapname=second"),
    ("POST", "/nodes/{node}/lxc/{vmid}/snapshot", "snapname=second"),
    ("POST", "/nodes/{node}/status", "command=reboot"),
];

/// The value for a name in braces, where that is the same for every call.
const NAMES: &[(&str, &str)] = &[
    ("code", "OSDMAP_FLAGS"),
    ("flag", "noout"),
    ("group", "first"),
    ("iface", "vmbr0"),
    ("rule", "spare"),
    ("service", "pveproxy"),
    ("sid", "vm:104"),
    ("snapname", "before"),
    ("tokenid", "tt"),
    ("userid", "guest@pve"),
    ("storage", "local"),
    ("osdid", "0"),
    ("roleid", "Spare"),
];

/// Calls whose sample names something else than its kind does.
const OTHERS: &[(&str, &str, &str, &str)] = &[
    ("POST", "/access/users/{userid}/token/{tokenid}", "tokenid", "second"),
    ("POST", "/nodes/{node}/qemu/{vmid}/status/start", "vmid", "119"),
    ("POST", "/nodes/{node}/lxc/{vmid}/status/start", "vmid", "205"),
    ("POST", "/nodes/{node}/services/{service}/stop", "service", "chrony"),
    ("GET", "/nodes/{node}/ceph/pool/{name}", "name", "vms"),
    ("GET", "/nodes/{node}/disks/zfs/{name}", "name", "rpool"),
    ("GET", "/cluster/replication/{id}", "id", "110-0"),
    ("PUT", "/cluster/replication/{id}", "id", "110-0"),
    ("DELETE", "/cluster/replication/{id}", "id", "110-0"),
];

/// A call that succeeds, about `node` where the path names one; what it needs is first set up in the lab.
pub(crate) fn sample(lab: &mut Lab, method: &Method, node: &str) -> Sample {
    if method.path.ends_with("/status/start") || method.path.ends_with("/startall") {
        let kind = if method.path.contains("/lxc/") { "lxc/205" } else { "qemu/119" };
        lab.call("pve1", "POST", &format!("/nodes/pve1/{kind}/status/stop"), &[]);
        lab.wait_s(20);
    }
    if method.path.ends_with("/status/resume") {
        let kind = if method.path.contains("/lxc/") { "lxc/205" } else { "qemu/110" };
        lab.call("pve1", "POST", &format!("/nodes/pve1/{kind}/status/suspend"), &[]);
        lab.wait_s(5);
    }
    let parts = method.path.split('/').map(|part| match part.strip_prefix('{').and_then(|p| p.strip_suffix('}')) {
        Some(name) => encode(&named(lab, method, name, node)),
        None => part.to_owned(),
    });
    let path = parts.collect::<Vec<_>>().join("/");
    let params = PARAMS.iter().find(|(verb, path, _)| (*verb, *path) == (&method.method, &method.path));
    let mut params = pairs(params.map_or("", |(.., params)| params));
    for (_, value) in &mut params {
        *value = value.replace("%2B", "+");
        if value == "@repository" {
            *value = lab.world.nodes[&node.into()].repositories[0].path.clone();
        }
    }
    Sample { path, params }
}

fn named(lab: &mut Lab, method: &Method, name: &str, node: &str) -> String {
    let other = OTHERS.iter().find(|(verb, path, of, _)| (*verb, *path, *of) == (&method.method, &method.path, name));
    if let Some((.., value)) = other {
        return (*value).to_owned();
    }
    match name {
        "node" => node.to_owned(),
        "vmid" => guest_on(lab, node, if method.path.contains("/lxc/") { GuestKind::Ct } else { GuestKind::Vm }),
        "upid" => {
            let tasks = lab.get(node, &format!("/nodes/{node}/tasks?source=all&limit=1"));
            match tasks[0]["upid"].as_str() {
                Some(upid) => upid.to_owned(),
                None => {
                    let answer = lab.call(node, "POST", &format!("/nodes/{node}/apt/update"), &[]);
                    data(&answer).as_str().expect("a task").to_owned()
                }
            }
        }
        "id" if method.path.contains("/backup/") => {
            lab.get("pve1", "/cluster/backup")[0]["id"].as_str().expect("a job").to_owned()
        }
        "id" if method.path.contains("/replication/") => "110-0".to_owned(),
        name => {
            let value = NAMES.iter().find(|(known, _)| *known == name);
            value
                .unwrap_or_else(|| panic!("no sample for {{{name}}} of {} {}", method.method, method.path))
                .1
                .to_owned()
        }
    }
}

/// A guest that runs on the node, is not in HA and can do everything.
fn guest_on(lab: &Lab, node: &str, kind: GuestKind) -> String {
    let fits = |guest: &&quorate_world::guest::Guest| {
        guest.node.as_str() == node
            && guest.id.kind == kind
            && guest.is_running()
            && guest.devices.is_empty()
            && !lab.world.ha.resources.contains_key(&guest.id)
            && (kind == GuestKind::Ct || guest.agent)
    };
    lab.world.guests.values().find(fits).unwrap_or_else(|| panic!("no such guest on {node}")).id.vmid.to_string()
}
