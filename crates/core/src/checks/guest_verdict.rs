//! What each guest will experience, and what keeps it from moving.

use super::check::{Asked, Check, Waivable, kinds};
use super::choices::{Choice, choices, config_line, offline_downtime_s};
use super::finding::Severity;
use super::stuck::stuck;
use super::support::{gib, has_turn, lasting, some};
use crate::ids::{GuestId, GuestKind, NodeName, StorageId};
use crate::observed::Observed;
use crate::placement::{StatePlace, disk_bytes, state_place};
use crate::policy::{ConsentKind, GuestPolicy, Policy};
use crate::snapshot::{DiskUse, Guest, MigrationFacts, Snapshot, Storage};
use crate::version::Version;

pub(super) struct GuestOutcomes;

kinds! {
    Locked { guest: GuestId, lock: String } => Blocking, guest,
        ("{guest} is locked ({lock}) and cannot move"),
        ("Wait for its task. If that is long dead: {} unlock {}", tool(guest), guest.vmid);
    CannotLeave { guest: GuestId, name: String, node: NodeName, stuck: String, remedy: String } => Blocking, guest,
        ("{guest} {name} cannot leave {node}: {stuck}"),
        ("{remedy}");
    StaysDown { guest: GuestId, name: String, agreed: bool } => cost(agreed), guest,
        ("{guest} {name} is shut down while its node is upgraded"),
        ("{}", agree(agreed));
    Hibernates { guest: GuestId, name: String, storage: StorageId, bytes: u64, agreed: bool } => cost(agreed), guest,
        ("{guest} {name} hibernates while its node is upgraded; its state takes {} of {storage}", gib(bytes)),
        ("{}", agree(agreed));
    MovedStopped { guest: GuestId, name: String, down_s: u64, stuck: String, agreed: bool } => cost(agreed), guest,
        ("{guest} {name} is shut down, moved and started again, down for about {}: {stuck}", lasting(down_s)),
        ("{}", agree(agreed));
    MediaEjected { guest: GuestId, name: String, volume: String, drive: String, agreed: bool } => cost(agreed), guest,
        ("{guest} {name} has {volume} ejected from {drive}; the plan says whether it is put back"),
        ("{}", agree(agreed));
    Restarted { guest: GuestId, name: String, agreed: bool } => cost(agreed), guest,
        ("{guest} {name} is restarted when it moves"),
        ("{}", agree(agreed));
    RawArguments { guest: GuestId } => Warning, guest,
        ("{guest} has raw QEMU arguments (args), which nobody tests against the target"),
        ("Try a migration by hand, or shut it down for the run");
    Untested { guest: GuestId, settings: Vec<String> } => Warning, guest,
        ("{guest} has settings that nobody tests against the target: {}", settings.join(", ")),
        ("Look whether they mean the same on every node, or shut the guest down for the run");
    NotAtNextStart { guest: GuestId, what: String, key: String, nodes: Vec<String> } => Warning, guest,
        ("{guest} needs {what} ({key}) when it starts anew, and {} not have it", do_not(&nodes)),
        ("Copy it there, or put it on a storage that all nodes share");
    DisksCopied { guest: GuestId, bytes: u64, seconds: u64 } => Info, guest,
        ("{guest} takes {} of local disks along on each of its moves, about {}", gib(bytes), lasting(seconds)),
        ("Nothing to do.");
    BoundToReplicas { guest: GuestId, targets: Vec<String> } => Info, guest,
        ("{guest} moves only to where its disks are replicated: {}", targets.join(", ")),
        ("Nothing to do.");
    NewMachine { guest: GuestId, machine: String, newest: Version } => Info, guest,
        ("{guest} runs with the machine type {machine}, and the newest QEMU of the other nodes is {newest}"),
        ("Nothing to do: the plan moves it to upgraded nodes only.");
}

impl Check for GuestOutcomes {
    const ID: &'static str = "guest-outcome";
    const EXPLAIN: &'static str =
        "Every running guest on a node that is to be upgraded is checked: its configuration, PVE's precondition call \
         and what that call does not test. That is: bridges; active storages and what their configuration lets them \
         hold; the CPU model, custom ones too, and the number of virtual processors; the display virtio-gl, which QEMU \
         does not migrate; hook scripts, devices of containers and other files that must be on the target (hookscript, \
         dev0, rng0, lxc.mount.entry, lxc.hook…). A processor is judged by what it lacks of the guest's model: more \
         flags on the same processor, as a new kernel shows them, are no matter. Settings that nobody can test are a \
         warning, and so are those that Quorate does not know. A VM that moves live is no finding. \
         A container moves by restart, seconds of downtime: consent. A guest that nothing can move is blocking until \
         the policy says what to do: [policy.guests] \"vm:116\" = \"shutdown\" takes it down for its node's reboot, \
         \"hibernate\" writes the memory of a VM to a storage for that, so that it goes on where it was (not under HA, \
         not with a PCI device), \
         \"offline\" shuts it down, moves it and starts it again, \"eject\" empties a CD drive that holds a local \
         image, \"copy\" copies its local disks, \"refuse\" leaves it alone. A lock is blocking; if its task is long \
         dead: qm unlock ID. Raw QEMU arguments are a warning, because nobody tests them.";
    const WAIVABLE: Waivable = Waivable::WarningsOnly("policy and consent decide what is done with a guest");
    const ASKED: Asked = Asked::BeforeARun;
    type Found = Found;

    fn look(snapshot: &Snapshot, policy: &Policy, found: &mut Vec<Found>) {
        for guest in snapshot.guests.values().filter(|guest| guest.may_be_running()) {
            if snapshot.nodes.get(&guest.node).is_none_or(|node| has_turn(snapshot, node, policy)) {
                judge(snapshot, policy, guest, found);
            }
        }
    }
}

fn judge(snapshot: &Snapshot, policy: &Policy, guest: &Guest, found: &mut Vec<Found>) {
    if let Observed::Known(Some(lock)) = &guest.lock {
        found.push(Found::Locked { guest: guest.id, lock: lock.0.clone() });
    }
    if let Some(stuck) = stuck(snapshot, policy, guest) {
        found.push(in_the_way(snapshot, policy, guest, stuck));
    } else if let Some(facts) = guest.migration.known() {
        moves(snapshot, policy, guest, facts, found);
    }
}

/// One that cannot move while it runs: what the policy does with it, or that it says nothing.
fn in_the_way(snapshot: &Snapshot, policy: &Policy, guest: &Guest, stuck: String) -> Found {
    let (id, name) = (guest.id, guest.name.clone());
    let agreed = |kind| policy.consents.contains(&kind);
    if policy.allows(guest, GuestPolicy::Shutdown) {
        return Found::StaysDown { guest: id, name, agreed: agreed(ConsentKind::ShutdownGuests) };
    }
    if policy.allows(guest, GuestPolicy::Hibernate) {
        return match state_place(snapshot, guest, |_| 0) {
            Ok(StatePlace { storage, bytes }) => {
                let agreed = agreed(ConsentKind::HibernateGuests);
                Found::Hibernates { guest: id, name, storage, bytes, agreed }
            }
            Err(why) => {
                let (node, remedy) = (guest.node.clone(), remedy(snapshot, policy, guest));
                let stuck = format!("{stuck}; nor can it hibernate: {}", why.text());
                Found::CannotLeave { guest: id, name, node, stuck, remedy }
            }
        };
    }
    match offline_downtime_s(snapshot, policy, guest).filter(|_| policy.allows(guest, GuestPolicy::Offline)) {
        Some(down_s) => {
            Found::MovedStopped { guest: id, name, down_s, stuck, agreed: agreed(ConsentKind::MoveOffline) }
        }
        None => {
            let (node, remedy) = (guest.node.clone(), remedy(snapshot, policy, guest));
            Found::CannotLeave { guest: id, name, node, stuck, remedy }
        }
    }
}

/// One that moves: what that costs, and what else there is to know.
fn moves(snapshot: &Snapshot, policy: &Policy, guest: &Guest, facts: &MigrationFacts, found: &mut Vec<Found>) {
    let (id, name) = (guest.id, || guest.name.clone());
    if let Some(disk) = facts.local_disks.iter().find(|disk| disk.usage == DiskUse::Cdrom) {
        let (volume, drive) = (disk.volid.to_string(), disk.drive.to_string());
        let agreed = policy.consents.contains(&ConsentKind::EjectMedia);
        found.push(Found::MediaEjected { guest: id, name: name(), volume, drive, agreed });
    }
    if id.kind == GuestKind::Ct {
        let agreed = policy.consents.contains(&ConsentKind::RestartContainers);
        found.push(Found::Restarted { guest: id, name: name(), agreed });
    }
    if facts.has_raw_args {
        found.push(Found::RawArguments { guest: id });
    }
    if !facts.untested.is_empty() {
        found.push(Found::Untested { guest: id, settings: facts.untested.iter().cloned().collect() });
    }
    found.extend(not_at_next_start(id, facts));
    let bytes = disk_bytes(facts);
    if bytes > 0 {
        let seconds = bytes.div_ceil(policy.migration_bytes_per_s.max(1));
        found.push(Found::DisksCopied { guest: id, bytes, seconds });
    }
    if facts.local_disks.iter().any(|disk| disk.replicated) {
        let jobs = snapshot.replication.known().into_iter().flatten().filter(|job| job.vmid == id.vmid);
        found.push(Found::BoundToReplicas { guest: id, targets: jobs.map(|job| job.target.to_string()).collect() });
    }
    found.extend(too_new_a_machine(snapshot, guest));
}

/// A running guest does not need it to move, but it will not start anew where it went.
fn not_at_next_start(guest: GuestId, facts: &MigrationFacts) -> impl Iterator<Item = Found> + '_ {
    facts.host_needs.iter().filter(|need| need.cold_start_only).filter_map(move |need| {
        let missing = need.on.iter().filter(|(_, there)| there.is(&false));
        let nodes: Vec<String> = missing.map(|(node, _)| node.to_string()).collect();
        let (what, key) = (need.what.clone(), need.key.clone());
        (!nodes.is_empty()).then_some(Found::NotAtNextStart { guest, what, key, nodes })
    })
}

fn do_not(nodes: &[String]) -> String {
    format!("{} {}", some(nodes), if nodes.len() == 1 { "does" } else { "do" })
}

/// A machine type that the QEMU of no other node knows yet: the guest was started after its node's last upgrade.
fn too_new_a_machine(snapshot: &Snapshot, guest: &Guest) -> Option<Found> {
    let machine = guest.migration.known()?.running_machine.as_deref()?;
    let version = machine.rsplit('-').next()?.split('+').next()?;
    version.starts_with(|c: char| c.is_ascii_digit()).then_some(())?;
    let needed = Version::new(version);
    let others = snapshot.nodes.values().filter(|node| node.name != guest.node);
    let known: Vec<&Version> = others.filter_map(|node| node.qemu_version.known()).collect();
    let newest = known.iter().max()?;
    let (machine, newest) = (machine.to_owned(), (*newest).clone());
    (newest < needed).then_some(Found::NewMachine { guest: guest.id, machine, newest })
}

/// Every policy that helps, as its line in the configuration.
fn remedy(snapshot: &Snapshot, policy: &Policy, guest: &Guest) -> String {
    let line = |choice: &Choice| {
        let down =
            if choice.downtime_s == 0 { "no downtime".to_owned() } else { format!("down ~{}", lasting(choice.downtime_s)) };
        format!("{} ({down})", config_line(guest.id, choice.policy))
    };
    let lines: Vec<String> = choices(snapshot, policy, guest).iter().map(line).collect();
    let map = |id: &StorageId| format!(", or name in storage-map the storages of other nodes that take the place of {id}");
    let map = only_here(snapshot, policy, guest).map(map).unwrap_or_default();
    if lines.is_empty() {
        return format!("Remove what binds it to its node{map}");
    }
    format!(
        "Remove what binds it to its node{map}, or say under [policy.guests] what to do with it: {}",
        lines.join(", or ")
    )
}

/// A local storage with disks of the guest that no other node has, and for which the policy names no other.
fn only_here<'a>(snapshot: &Snapshot, policy: &Policy, guest: &'a Guest) -> Option<&'a StorageId> {
    let (facts, storages) = (guest.migration.known()?, snapshot.storages.known()?);
    let elsewhere = |storage: &Storage| snapshot.nodes.keys().any(|node| *node != guest.node && storage.is_on(node));
    let bound = |id: &&StorageId| storages.get(*id).is_some_and(|storage| !storage.shared && !elsewhere(storage));
    let mapped = |id: &StorageId| policy.storage_map.iter().any(|group| group.contains(id));
    facts.storages.iter().filter(|id| !facts.only_media_on(id) && !mapped(id)).find(bound)
}

/// A cost needs consent; once that is given, it is for information.
fn cost(agreed: bool) -> Severity {
    if agreed { Severity::Info } else { Severity::Consent }
}

fn agree(agreed: bool) -> &'static str {
    match agreed {
        true => "Nothing to do: you have agreed to this.",
        false => "Agree to it with the plan, or name it under consents in the configuration",
    }
}

fn tool(guest: GuestId) -> &'static str {
    match guest.kind {
        GuestKind::Vm => "qm",
        GuestKind::Ct => "pct",
    }
}
