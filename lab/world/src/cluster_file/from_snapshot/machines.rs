//! Machines from a snapshot: what a cluster file cannot express about a node.

use quorate_core::ids::{NodeName, Vmid};
use quorate_core::observed::Observed;
use quorate_core::snapshot::{
    Boot, CheckerReport, CorosyncComplaints, GoingDown, Node as Seen, NodeNetwork, Repository as SeenRepository,
    Service as SeenService, Snapshot, SubscriptionStatus,
};

use super::Notes;
use crate::World;
use crate::node::{
    Address, AfterDown, BootPartition, JournalLine, Node, RecordedChecker, Repository, Service, Surroundings,
};

/// When a shutdown happens that is scheduled.
const SOON_MIN: u64 = 10;
/// The throttle of migrations looks at less, the check of corosync's noise at more.
const RECENT_MS: u64 = 5_000;
const EARLIER_MS: u64 = 6 * 3_600_000;

/// Sets what was read of each machine.
pub(super) fn adjust(world: &mut World, snapshot: &Snapshot, notes: &mut Notes) {
    for (name, seen) in &snapshot.nodes {
        let now_ms = world.now_ms;
        let Some(node) = world.nodes.get_mut(name) else { continue };
        let member = snapshot.quorum.values().filter_map(|view| view.known()?.members.get(name)).next();
        node.nodeid = member.map_or(node.nodeid, |member| member.node_id);
        system(node, seen, now_ms);
        software(node, seen);
        around(&mut node.surroundings, seen);
        network(node, &seen.host.network, snapshot);
    }
    for (name, seen) in &snapshot.nodes {
        if let Some(Some(down)) = seen.going_down.known() {
            going_down(world, name, *down, notes);
        }
    }
    memory(world, snapshot);
}

fn set<T: Clone>(place: &mut T, seen: &Observed<T>) {
    if let Some(value) = seen.known() {
        *place = value.clone();
    }
}

fn system(node: &mut Node, seen: &Seen, now_ms: u64) {
    set(&mut node.boot_id, &seen.boot);
    set(&mut node.clock_skew_ms, &seen.clock_skew_ms);
    set(&mut node.root_free_bytes, &seen.root_free_bytes);
    set(&mut node.boot_free_bytes, &seen.boot_free_bytes);
    node.greeting = seen.login_text.clone();
    node.renewed_certificate = seen.other_certificate.as_ref().map(|other| other.shown.clone());
    if let Some(memory) = seen.memory.known() {
        node.memory_bytes = memory.total_bytes;
        node.host_used_bytes = memory.host_bytes;
    }
    if let Some(uptime_s) = seen.uptime_s.known() {
        node.booted_ms = now_ms.saturating_sub(uptime_s * 1000);
    }
    if let Some(cpu) = seen.cpu.known() {
        node.cpu_model = cpu.model.clone();
        node.cpu_flags = cpu.flags.iter().cloned().collect();
    }
    if let Some(bridges) = seen.bridges.known() {
        node.bridges = bridges.iter().cloned().collect();
    }
}

fn software(node: &mut Node, seen: &Seen) {
    if let Some(subscription) = seen.subscription.known() {
        let word = match subscription {
            SubscriptionStatus::Active => "active",
            SubscriptionStatus::NotFound => "notfound",
            SubscriptionStatus::Invalid => "expired",
        };
        node.subscription = word.to_owned();
    }
    if let Some(repositories) = seen.repositories.known() {
        node.repositories = repositories.iter().map(repository).collect();
    }
    if let Some(services) = seen.services.known() {
        for (name, service) in &mut node.services {
            match services.iter().find(|seen| seen.name == *name) {
                Some(seen) => as_seen(service, seen),
                None => *service = unit(&service.description.clone(), "inactive", "dead", "not-found"),
            }
        }
        for seen in services.iter().filter(|seen| !node.services.contains_key(&seen.name)).collect::<Vec<_>>() {
            let mut service = unit(&seen.name, "active", "running", "static");
            as_seen(&mut service, seen);
            node.services.insert(seen.name.clone(), service);
        }
    }
    let own_unit = seen.upgrade_unit.known().and_then(Option::as_ref).map(|unit| unit.unit.as_str());
    for name in seen.failed_units.known().into_iter().flatten() {
        let bare = name.strip_suffix(".service").unwrap_or(name);
        if own_unit == Some(bare) {
            continue;
        }
        let failed = || unit(bare, "failed", "failed", "static");
        node.services.entry(bare.to_owned()).or_insert_with(failed).active_state = "failed".to_owned();
    }
    for name in seen.host.movers.known().into_iter().flatten() {
        node.services.insert(name.clone(), unit(name, "active", "running", "enabled"));
    }
}

fn unit(description: &str, active: &str, sub: &str, unit: &str) -> Service {
    let [active_state, sub_state, unit_state] = [active, sub, unit].map(str::to_owned);
    Service { active_state, sub_state, unit_state, description: description.to_owned() }
}

fn as_seen(service: &mut Service, seen: &SeenService) {
    service.active_state = match (seen.active, seen.state.as_str()) {
        (true, _) => "active",
        (false, "failed") => "failed",
        (false, _) => "inactive",
    }
    .to_owned();
    service.sub_state = seen.state.clone();
    if seen.enabled != service.unit_state.starts_with("enabled") || service.unit_state == "not-found" {
        service.unit_state = if seen.enabled { "enabled" } else { "disabled" }.to_owned();
    }
}

fn repository(seen: &SeenRepository) -> Repository {
    Repository {
        path: seen.path.clone(),
        enabled: seen.enabled,
        uri: seen.uris.join(" "),
        suite: seen.suites.join(" "),
        component: seen.components.join(" "),
        types: Some(seen.types.join(" ")),
        origin: seen.origin.clone(),
    }
}

fn around(around: &mut Surroundings, seen: &Seen) {
    set(&mut around.reboot_required, &seen.reboot_required);
    around.time_kept = seen.host.time_synchronised.known().copied();
    if let Some(modules) = seen.host.dkms_modules.known() {
        let kernel = seen.kernel.known().map_or("6.17", |kernel| kernel.running.as_str());
        around.dkms = modules.iter().map(|module| format!("{module}, {kernel}, x86_64: installed")).collect();
    }
    if let Some(nics) = seen.host.nics.known() {
        around.nics = nics.used.iter().cloned().collect();
        around.pinned_nics = nics.pinned.iter().cloned().collect();
    }
    boot(around, &seen.host.boot);
    if let Some(report) = seen.host.checker.known() {
        // Where none is installed, none answers to any name.
        let none = RecordedChecker { tool: String::new(), lines: Vec::new(), finished: true };
        around.recorded_checker = Some(report.as_ref().map_or(none, checker));
    }
}

fn boot(around: &mut Surroundings, seen: &Boot) {
    set(&mut around.root, &seen.root);
    set(&mut around.efi_free_bytes, &seen.efi_free_bytes);
    let Some(Some(kept)) = seen.kept.known() else { return };
    let partition = |seen: &quorate_core::snapshot::BootPartition| BootPartition {
        uuid: seen.uuid.clone(),
        loader: seen.loader.clone(),
        size_bytes: seen.size_bytes.unwrap_or_default(),
        kernels: Some(seen.kernels.iter().cloned().collect()),
        present: true,
    };
    around.boot_partitions = kept.partitions.iter().map(partition).collect();
    around.boot_complaints = kept.complaints.iter().map(|complaint| format!("WARN: {complaint}")).collect();
}

fn checker(report: &CheckerReport) -> RecordedChecker {
    let lines = report.lines.iter().map(|line| [line.section.clone(), line.level.to_string(), line.text.clone()]);
    RecordedChecker { tool: report.tool.clone(), lines: lines.collect(), finished: report.finished }
}

fn network(node: &mut Node, seen: &NodeNetwork, snapshot: &Snapshot) {
    if let Some(addresses) = seen.addresses.known() {
        let address = |seen: &quorate_core::snapshot::Address| {
            let (interface, ip, prefix, mtu) = (seen.interface.clone(), seen.ip, seen.prefix, seen.mtu);
            Address { interface, ip, prefix, mtu }
        };
        node.surroundings.interfaces = addresses.iter().map(address).collect();
        let network = snapshot.options.known().and_then(|options| options.migration_network.as_deref());
        let of_migrations =
            |address: &&Address| network.is_some_and(|network| crate::migration_network::is_in(address.ip, network));
        let own = |address: &&Address| seen.own.is(&address.ip);
        let all = &node.surroundings.interfaces;
        let by = all.iter().find(of_migrations).or_else(|| all.iter().find(own));
        node.surroundings.mtu = by.map_or(node.surroundings.mtu, |address| address.mtu);
    }
    for (to, way) in seen.ways.known().into_iter().flatten() {
        if let Some(said) = way.logins.iter().find_map(|login| login.failed.clone()) {
            node.surroundings.login_fails.insert(to.clone(), said);
        }
        if let Some(bytes) = way.lost_packets {
            node.surroundings.narrow.insert(to.clone(), bytes);
        }
    }
}

/// Sets what is in the journals, as far as it is counted: of the last day, and of the last minute.
pub(super) fn journals(world: &mut World, snapshot: &Snapshot) {
    for (name, seen) in &snapshot.nodes {
        let clock_ms = world.clock_ms(name);
        let counted = seen.host.corosync_complaints.known().copied().unwrap_or_default();
        let recent = snapshot.migration_throttle.get(name).and_then(Observed::known).copied().unwrap_or_default();
        if let Some(node) = world.nodes.get_mut(name) {
            complaints(node, clock_ms, counted, recent);
        }
    }
}

fn complaints(node: &mut Node, clock_ms: u64, counted: CorosyncComplaints, recent: CorosyncComplaints) {
    node.journal.clear();
    let mut add = |lines: u32, before_ms: u64, text: &str| {
        let line = JournalLine { at_ms: clock_ms.saturating_sub(before_ms), unit: "corosync", text: text.to_owned() };
        node.journal.extend(std::iter::repeat_n(line, lines as usize));
    };
    let texts = |seen: CorosyncComplaints| {
        [
            (seen.retransmits, "[TOTEM ] Retransmit List: 2f1"),
            (seen.links_lost, "[KNET  ] link: host: 1 link: 0 is down"),
            (seen.tokens_lost, "[TOTEM ] Token has not been received in 2737 ms"),
        ]
    };
    for ((all, text), (late, _)) in texts(counted).into_iter().zip(texts(recent)) {
        add(all.saturating_sub(late), EARLIER_MS, text);
    }
    for (late, text) in texts(recent) {
        add(late, RECENT_MS, text);
    }
}

fn going_down(world: &mut World, name: &NodeName, down: GoingDown, notes: &mut Notes) {
    match down {
        GoingDown::Now => drop(world.node_power(name, AfterDown::Reboot)),
        GoingDown::Later => {
            notes
                .guess(name, format!("when it is to be shut down is not known: in {SOON_MIN} minutes, and it reboots"));
            world.node_power_later(name, AfterDown::Reboot, SOON_MIN);
        }
    }
}

/// What the guests of a node hold in all, shared out among them. What those hold that the token does not see is the
/// host's own for whoever does not see them.
fn memory(world: &mut World, snapshot: &Snapshot) {
    for (_, guest) in world.guests.iter_mut().filter(|(id, _)| !snapshot.guests.contains_key(id)) {
        guest.resident_bytes = Some(0);
    }
    for (name, seen) in &snapshot.nodes {
        let Some(memory) = seen.memory.known() else { continue };
        let held = memory.used_bytes.saturating_sub(memory.host_bytes);
        let running: Vec<(Vmid, u64)> = snapshot
            .guests_on(name)
            .filter(|guest| guest.may_be_running())
            .map(|guest| (guest.id.vmid, guest.memory_bytes))
            .collect();
        let all: u128 = running.iter().map(|(_, bytes)| u128::from(*bytes)).sum();
        let (mut before, mut given) = (0_u128, 0_u128);
        for (vmid, bytes) in running {
            before += u128::from(bytes);
            let until = u128::from(held) * before / all.max(1);
            let share = until - given;
            given = until;
            let guest = world.guests.values_mut().find(|guest| guest.id.vmid == vmid);
            if let Some(guest) = guest {
                guest.resident_bytes = u64::try_from(share).ok();
            }
        }
    }
}
