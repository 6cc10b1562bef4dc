//! One node: what its API and its shell answer.

use std::collections::BTreeMap;

use quorate_core::ids::{BootId, GuestKind, NodeName, StorageId, Vmid};
use quorate_core::observed::{Observed, WhyUnknown};
use quorate_core::snapshot::{
    CorosyncComplaints, Cpu, EtcPve, GoingDown, HostFacts, LocalGuest, Memory, Node, QuorumView, Repository, Service,
    StorageOnNode, SubscriptionStatus,
};
use quorate_core::version::Version;

use super::down;
use super::login::greeting;
use super::look::{Look, keep_or};
use super::membership::Membership;
use super::node_api::NodeApi;
use super::packages::{self, Versions};
use super::reader::{Reader, node_path};
use super::repositories;
use super::shell::{BOOT_ID, DATE, NodeShell, QUICK, date};
use super::{capabilities, host, quorum};
use crate::wire::cluster::GuestEntry;
use crate::wire::lenient::{Int, List};
use crate::wire::node as wire;
use crate::wire::{df, pct_list, qm_list, systemctl};

/// A node, and what else was read from it along the way.
pub(super) struct NodeLook {
    pub(super) node: Node,
    pub(super) quorum: Observed<QuorumView>,
    pub(super) etc_pve: Observed<EtcPve>,
    pub(super) migration_throttle: Observed<CorosyncComplaints>,
    /// `GET /nodes/N/qemu`.
    pub(super) vms: Result<Vec<GuestEntry>, WhyUnknown>,
    /// `GET /nodes/N/lxc`.
    pub(super) cts: Result<Vec<GuestEntry>, WhyUnknown>,
    /// Running tasks.
    pub(super) tasks: Result<Vec<wire::Task>, WhyUnknown>,
    /// The state word of each guest in `qm list` and `pct list`.
    pub(super) local_states: LocalStates,
}

/// Reads one node.
pub(super) async fn look_at(
    reader: &Reader<'_>,
    membership: &Membership,
    look: &Look<'_>,
    name: &NodeName,
) -> NodeLook {
    let shell = NodeShell::new(reader, name);
    // The first command proves the connection; if it fails, nothing else is tried.
    let (shell, boot, login_text) = match shell.run(&BOOT_ID, QUICK).await {
        Err(why) => (shell.broken(&why), Observed::Unknown(why), None),
        Ok(output) if output.succeeded() => match greeting(&output.stdout) {
            None => (shell, Observed::Known(BootId::new(output.stdout.trim())), None),
            Some(text) => {
                let why = shell.misread(&BOOT_ID, format!("the login shell of root prints text of its own: {text:?}"));
                (shell.broken(&why), Observed::Unknown(why), Some(text))
            }
        },
        Ok(output) => {
            let why = shell.failed(&BOOT_ID, &output);
            (shell, Observed::Unknown(why), None)
        }
    };
    let online = membership
        .online
        .get(name)
        .cloned()
        .unwrap_or_else(|| Observed::unknown("GET /cluster/status", format!("{name} is not in the answer")));
    let old = look.previous.and_then(|previous| previous.nodes.get(name));
    let same_boot = old.is_some_and(|old| boot.known().is_some() && old.boot == boot && old.online.is(&true));
    // What a reboot or an absence may have changed is not taken over.
    let old = old.filter(|_| same_boot && online.is(&true));
    let anew = look.closely(name) || old.is_none();

    let api = NodeApi { reader, name, offline: membership.is_offline(name) };
    let (answers, told, quorum, etc_pve, migration_throttle) = tokio::join!(
        read_api(&api, old, anew),
        read_shell(&shell, &api, old, look),
        quorum::read(&shell, name, membership),
        quorum::etc_pve(&shell),
        host::migration_throttle(&shell)
    );
    let versions = complete_versions(&api, told.packages.versions).await;
    let (local_guests, local_states) = told.local;
    let node = Node {
        name: name.clone(),
        login_text,
        other_certificate: None,
        online,
        boot,
        uptime_s: answers.uptime_s,
        memory: answers.memory,
        cpu: answers.cpu,
        pve_version: versions.pve_manager,
        running_manager: answers.running_manager,
        reboot_required: told.reboot_required,
        going_down: told.going_down,
        qemu_version: versions.qemu,
        corosync_version: versions.corosync,
        kernel: told.packages.kernel,
        packages: told.packages.packages,
        upgrade_unit: told.packages.unit,
        repositories: answers.repositories,
        subscription: answers.subscription,
        root_free_bytes: answers.root_free_bytes,
        boot_free_bytes: told.boot_free_bytes,
        clock_skew_ms: told.clock_skew_ms,
        services: answers.services,
        failed_units: told.failed_units,
        local_guests,
        storages: answers.storages,
        bridges: answers.bridges,
        moves_connections: answers.moves_connections,
        host: told.host,
    };
    NodeLook {
        node,
        quorum,
        etc_pve,
        migration_throttle,
        vms: answers.vms,
        cts: answers.cts,
        tasks: answers.tasks,
        local_states,
    }
}

/// Versions that the shell could not provide are read from the API.
async fn complete_versions(api: &NodeApi<'_>, mut mine: Versions) -> Versions {
    let parts = [&mine.pve_manager, &mine.qemu, &mine.corosync];
    if parts.iter().all(|version| version.known().is_some()) {
        return mine;
    }
    let listed = packages::versions_from_api(api.get("apt/versions").await, api.name);
    for (mine, listed) in [
        (&mut mine.pve_manager, listed.pve_manager),
        (&mut mine.qemu, listed.qemu),
        (&mut mine.corosync, listed.corosync),
    ] {
        if mine.known().is_none() && listed.known().is_some() {
            *mine = listed;
        }
    }
    mine
}

struct FromApi {
    running_manager: Observed<Version>,
    uptime_s: Observed<u64>,
    memory: Observed<Memory>,
    cpu: Observed<Cpu>,
    root_free_bytes: Observed<u64>,
    services: Observed<Vec<Service>>,
    subscription: Observed<SubscriptionStatus>,
    repositories: Observed<Vec<Repository>>,
    storages: Observed<BTreeMap<StorageId, StorageOnNode>>,
    bridges: Observed<std::collections::BTreeSet<String>>,
    moves_connections: Observed<bool>,
    vms: Result<Vec<GuestEntry>, WhyUnknown>,
    cts: Result<Vec<GuestEntry>, WhyUnknown>,
    tasks: Result<Vec<wire::Task>, WhyUnknown>,
}

async fn read_api(api: &NodeApi<'_>, old: Option<&Node>, anew: bool) -> FromApi {
    let (status, vms, cts, tasks, services, subscription, repositories, storages, bridges, moves_connections) = tokio::join!(
        api.get::<wire::Status>("status"),
        api.get::<List<GuestEntry>>("qemu"),
        api.get::<List<GuestEntry>>("lxc"),
        api.get::<List<wire::Task>>("tasks?source=active&limit=500"),
        keep_or(old.map(|old| &old.services), anew, async { services(api).await.into() }),
        keep_or(old.map(|old| &old.subscription), anew, async { subscription(api).await.into() }),
        keep_or(old.map(|old| &old.repositories), anew, async { repositories::read(api).await.into() }),
        keep_or(old.map(|old| &old.storages), anew, async { storages(api).await.into() }),
        keep_or(old.map(|old| &old.bridges), anew, async { bridges(api).await.into() }),
        keep_or(old.map(|old| &old.moves_connections), anew, async {
            capabilities::moves_connections(api.reader, api.name, api.offline).await.into()
        }),
    );
    let source = format!("GET {}", node_path(api.name, "status"));
    FromApi {
        running_manager: field(&status, &source, "pveversion", |status| {
            let version = status.pveversion.as_ref()?.0.strip_prefix("pve-manager/")?.split('/').next()?;
            Some(Version::new(version))
        }),
        uptime_s: field(&status, &source, "uptime", |status| status.uptime.map(Int::unsigned)),
        memory: memory(
            field(&status, &source, "memory", |status| {
                let memory = status.memory?;
                Some((memory.total?.unsigned(), memory.used?.unsigned()))
            }),
            &vms,
            &cts,
        ),
        cpu: field(&status, &source, "cpuinfo", |status| {
            let cpu = status.cpuinfo.as_ref()?;
            let flags = cpu.flags.0.split_whitespace().map(str::to_owned).collect();
            let machine = status.current_kernel.as_ref().map(|kernel| kernel.machine.0.clone());
            // Releases that do not say run on x86_64 only.
            let architecture = machine.filter(|machine| !machine.is_empty()).unwrap_or_else(|| "x86_64".to_owned());
            Some(Cpu { count: cpu.cpus?.small(), model: cpu.model.0.clone(), flags, architecture })
        }),
        root_free_bytes: field(&status, &source, "rootfs", |status| Some(status.rootfs?.avail?.unsigned())),
        services,
        subscription,
        repositories,
        storages,
        bridges,
        moves_connections,
        vms: vms.and_then(|list| whole(list.0, api.name, "qemu")),
        cts: cts.and_then(|list| whole(list.0, api.name, "lxc")),
        tasks: tasks.map(|list| list.0.into_iter().filter(wire::Task::is_running).collect()),
    }
}

/// Memory in use that belongs to no listed guest is the host's own. Unknown without the lists.
fn memory(
    total_and_used: Observed<(u64, u64)>,
    vms: &Result<List<GuestEntry>, WhyUnknown>,
    cts: &Result<List<GuestEntry>, WhyUnknown>,
) -> Observed<Memory> {
    let (total_bytes, used_bytes) = match total_and_used {
        Observed::Known(both) => both,
        Observed::Unknown(why) => return Observed::Unknown(why),
    };
    let mut host_bytes = used_bytes;
    for list in [vms, cts] {
        match list {
            Ok(list) => list.0.iter().for_each(|guest| host_bytes = host_bytes.saturating_sub(resident_bytes(guest))),
            Err(why) => return Observed::Unknown(why.clone()),
        }
    }
    Observed::Known(Memory { total_bytes, used_bytes, host_bytes })
}

/// The memory that a guest uses on its host now.
fn resident_bytes(guest: &GuestEntry) -> u64 {
    let held = guest.memhost.filter(|held| held.unsigned() > 0).or(guest.mem);
    held.map_or(0, Int::unsigned)
}

/// One field of the status; without it the reading is unknown, not zero.
fn field<T>(
    status: &Result<wire::Status, WhyUnknown>,
    source: &str,
    name: &str,
    take: impl FnOnce(&wire::Status) -> Option<T>,
) -> Observed<T> {
    match status {
        Err(why) => Observed::Unknown(why.clone()),
        Ok(status) => match take(status) {
            Some(value) => Observed::Known(value),
            None => Observed::unknown(source, format!("the answer has no {name}")),
        },
    }
}

/// A guest list is accepted only if every entry says which guest it is and how much memory it has.
fn whole(list: Vec<GuestEntry>, node: &NodeName, kind: &str) -> Result<Vec<GuestEntry>, WhyUnknown> {
    if list.iter().all(|entry| entry.vmid.is_some() && entry.maxmem.is_some()) {
        return Ok(list);
    }
    Err(WhyUnknown::new(format!("GET {}", node_path(node, kind)), "an entry lacks its vmid or maxmem"))
}

async fn services(api: &NodeApi<'_>) -> Result<Vec<Service>, WhyUnknown> {
    let list = api.get::<List<wire::Service>>("services").await?;
    let installed = list.0.into_iter().filter(|service| service.unit_state.0 != "not-found");
    let mut services: Vec<Service> = installed
        .map(|service| Service {
            name: service.name.0,
            active: service.active_state.0 == "active",
            state: service.state.0,
            enabled: service.unit_state.0.starts_with("enabled"),
        })
        .collect();
    services.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(services)
}

async fn subscription(api: &NodeApi<'_>) -> Result<SubscriptionStatus, WhyUnknown> {
    let answer = api.get::<wire::Subscription>("subscription").await?;
    match answer.status.as_ref().map(|status| status.0.as_str()) {
        Some("active") => Ok(SubscriptionStatus::Active),
        Some("notfound") => Ok(SubscriptionStatus::NotFound),
        Some("new" | "invalid" | "expired" | "suspended") => Ok(SubscriptionStatus::Invalid),
        other => {
            let source = format!("GET {}", node_path(api.name, "subscription"));
            Err(WhyUnknown::new(source, format!("an unknown status: {:?}", other.unwrap_or("none"))))
        }
    }
}

async fn storages(api: &NodeApi<'_>) -> Result<BTreeMap<StorageId, StorageOnNode>, WhyUnknown> {
    let list = api.get::<List<wire::Storage>>("storage").await?;
    let convert = |entry: wire::Storage| {
        let free_bytes = entry.avail.map_or(0, Int::unsigned);
        (StorageId::new(entry.storage.0), StorageOnNode { active: entry.active.0, free_bytes })
    };
    Ok(list.0.into_iter().map(convert).collect())
}

/// Bridges, and the virtual networks of SDN, to which guests are connected in the same way.
async fn bridges(api: &NodeApi<'_>) -> Result<std::collections::BTreeSet<String>, WhyUnknown> {
    let list = api.get::<List<wire::Interface>>("network?type=any_bridge").await?;
    let is_bridge = |interface: &wire::Interface| matches!(interface.kind.0.as_str(), "bridge" | "OVSBridge" | "vnet");
    Ok(list.0.into_iter().filter(is_bridge).map(|interface| interface.iface.0).collect())
}

/// The state word of each guest in the node's own lists.
type LocalStates = BTreeMap<(GuestKind, Vmid), String>;

struct FromShell {
    going_down: Observed<Option<GoingDown>>,
    reboot_required: Observed<Option<Vec<String>>>,
    packages: packages::Readings,
    boot_free_bytes: Observed<u64>,
    clock_skew_ms: Observed<i64>,
    failed_units: Observed<Vec<String>>,
    local: (Observed<Vec<LocalGuest>>, LocalStates),
    host: HostFacts,
}

async fn read_shell(shell: &NodeShell<'_>, api: &NodeApi<'_>, old: Option<&Node>, look: &Look<'_>) -> FromShell {
    const FAILED: [&str; 5] = ["systemctl", "list-units", "--failed", "--plain", "--no-legend"];
    const BOOT_FREE: [&str; 4] = ["df", "-B1", "--output=avail", "/boot"];
    let failed = |text: &str| Ok(systemctl::parse_failed(text));
    let name = shell.node();
    let anew = look.closely(name) || old.is_none();
    let (going_down, reboot_required, packages, boot_free_bytes, clock_skew_ms, failed_units, local, host) = tokio::join!(
        down::going_down(shell),
        keep_or(old.map(|old| &old.reboot_required), anew, async { down::reboot_required(shell).await.into() }),
        packages::read(shell, name, old, anew),
        keep_or(old.map(|old| &old.boot_free_bytes), anew, async {
            shell.parsed(&BOOT_FREE, QUICK, df::parse).await.into()
        }),
        keep_or(old.map(|old| &old.clock_skew_ms), anew, async { clock_skew(shell).await.into() }),
        keep_or(old.map(|old| &old.failed_units), anew, async { shell.parsed(&FAILED, QUICK, failed).await.into() }),
        local_guests(shell),
        host::read(shell, api, old, look),
    );
    FromShell {
        going_down: going_down.into(),
        reboot_required,
        packages,
        boot_free_bytes,
        clock_skew_ms,
        failed_units,
        local,
        host,
    }
}

/// The node's clock minus ours: the smallest difference that the times before and after the call allow, since the
/// answer was made at some moment between them.
async fn clock_skew(shell: &NodeShell<'_>) -> Result<i64, WhyUnknown> {
    let (output, before, after) = shell.timed(&DATE, QUICK).await?;
    if !output.succeeded() {
        return Err(shell.failed(&DATE, &output));
    }
    let theirs = date(&output.stdout).map_err(|reason| shell.misread(&DATE, reason))?;
    Ok(theirs.ahead_ms(theirs.clamp(before, after.max(before))))
}

/// Guests as the node itself lists them, both kinds or none.
async fn local_guests(shell: &NodeShell<'_>) -> (Observed<Vec<LocalGuest>>, LocalStates) {
    let (vms, cts) = tokio::join!(
        shell.parsed(&["qm", "list"], QUICK, qm_list::parse),
        shell.parsed(&["pct", "list"], QUICK, pct_list::parse)
    );
    let vms = vms.map(|lines| lines.into_iter().map(|line| (GuestKind::Vm, line.vmid, line.status, line.name)));
    let cts = cts.map(|lines| lines.into_iter().map(|line| (GuestKind::Ct, line.vmid, line.status, line.name)));
    let mut states = BTreeMap::new();
    let mut guests = Vec::new();
    let mut missing = None;
    for lines in [vms.map(Vec::from_iter), cts.map(Vec::from_iter)] {
        match lines {
            Err(why) => missing = Some(why),
            Ok(lines) => {
                for (kind, vmid, status, name) in lines {
                    let vmid = Vmid(vmid);
                    guests.push(LocalGuest { kind, vmid, running: status != "stopped", name });
                    states.insert((kind, vmid), status);
                }
            }
        }
    }
    guests.sort_by_key(|guest| guest.vmid);
    (missing.map_or(Observed::Known(guests), Observed::Unknown), states)
}
