//! What runs and what is due, from a snapshot: tasks, backups, replication; and what its token may do.

use std::collections::{BTreeMap, BTreeSet};

use quorate_core::snapshot::{Job, Snapshot};

use super::Notes;
use crate::World;
use crate::access::{AclEntry, TOKEN};
use crate::events::Event;
use crate::pmxcfs::File;
use crate::tasks::Task;

/// Where Quorate keeps the lock of a run, as it writes it.
const DRIVER_LOCK: &str = "/etc/pve/priv/quorate-driver.json";
/// How long a task goes on that ran.
const TASK_MS: u64 = 600_000;

/// Sets it all.
pub(super) fn adjust(world: &mut World, snapshot: &Snapshot, notes: &mut Notes) {
    for job in snapshot.jobs.known().into_iter().flatten() {
        notes.guess(&job.upid, "when it ends is not known: in 10 minutes, and it changes nothing");
        task(world, job);
    }
    for job in snapshot.backups.known().into_iter().flatten() {
        if let Some(own) = world.backup_jobs.iter_mut().find(|own| own.id == job.id) {
            own.node = job.node.clone();
            own.enabled = job.enabled;
            own.next_run_s = job.next_run.map_or(own.next_run_s, |at| at.seconds());
        }
    }
    for job in snapshot.replication.known().into_iter().flatten() {
        let own = world.replication_jobs.iter_mut().find(|own| own.guest.vmid == job.vmid && own.target == job.target);
        let Some(own) = own else { continue };
        own.id = job.id.clone();
        own.source = job.source.clone();
        own.enabled = !job.disabled;
        own.fail_count = job.fail_count;
        own.error = job.error.clone();
        own.last_sync_s = job.last_sync.map_or(0, |at| at.seconds());
    }
    for (guest, node) in &snapshot.orphans {
        let path = format!("/etc/pve/nodes/{node}/{}/{}.conf", directory(*guest), guest.vmid);
        let file = File { text: Some("memory: 512\n".to_owned()), changed_ms: world.now_ms };
        world.files.insert(path, file);
    }
    if let Some(Some(lock)) = snapshot.driver.known() {
        notes.guess("the lock of a run", "is as it was: if it is held, `quorate run` waits until it is old");
        let text = serde_json::to_string(lock).ok();
        world.files.insert(DRIVER_LOCK.to_owned(), File { text, changed_ms: world.now_ms });
    }
    if let Some(options) = snapshot.options.known().filter(|options| !options.crs.is_empty()) {
        let settings: Vec<String> = options.crs.iter().map(|(key, value)| format!("{key}={value}")).collect();
        let file = File { text: Some(format!("crs: {}\n", settings.join(","))), changed_ms: world.now_ms };
        world.files.insert("/etc/pve/datacenter.cfg".to_owned(), file);
    }
    privileges(world, snapshot);
}

fn directory(guest: quorate_core::ids::GuestId) -> &'static str {
    match guest.kind {
        quorate_core::ids::GuestKind::Vm => "qemu-server",
        quorate_core::ids::GuestKind::Ct => "lxc",
    }
}

fn task(world: &mut World, job: &Job) {
    // UPID:NODE:PID:PSTART:STARTTIME:TYPE:ID:USER:
    let parts: Vec<&str> = job.upid.as_str().split(':').collect();
    let number = |at: usize| parts.get(at).and_then(|text| u64::from_str_radix(text, 16).ok()).unwrap_or_default();
    let task = Task {
        upid: job.upid.clone(),
        node: job.node.clone(),
        pid: number(2) as u32,
        pstart: number(3),
        starttime_s: job.started.seconds(),
        kind: job.kind.0.clone(),
        id: parts.get(6).map(|id| (*id).to_owned()).unwrap_or_default(),
        user: job.user.clone(),
        end: None,
        log: Vec::new(),
    };
    world.tasks.by_node.entry(job.node.clone()).or_default().push(job.upid.clone());
    world.tasks.running.insert(job.upid.clone());
    world.tasks.all.insert(job.upid.clone(), task);
    world.events.at(world.now_ms + TASK_MS, Event::TaskEnds(job.upid.clone(), "OK".to_owned()));
}

/// The token lacks what it lacked: on each path all that the administrator has, without these.
fn privileges(world: &mut World, snapshot: &Snapshot) {
    let all = [&snapshot.missing_privileges, &snapshot.missing_for_volumes];
    let lacking = all.into_iter().filter_map(|missing| missing.known()).flatten();
    let mut by_path: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for (path, privilege) in lacking.filter_map(|text| text.split_once(' ')) {
        by_path.entry(path).or_default().insert(privilege);
    }
    if by_path.is_empty() {
        return;
    }
    let access = &mut world.access;
    if let Some(token) = access.tokens.get_mut(TOKEN) {
        token.privsep = true;
    }
    let all = access.roles.get("Administrator").cloned().unwrap_or_default();
    let mut grant = |path: &str, lacking: &BTreeSet<&str>| {
        let role = format!("Exported{}", path.replace('/', "-"));
        let kept = all.iter().filter(|privilege| !lacking.contains(privilege.as_str())).cloned().collect();
        access.roles.insert(role.clone(), kept);
        access.acl.push(AclEntry { path: path.to_owned(), who: TOKEN.to_owned(), role, propagate: true });
    };
    if !by_path.contains_key("/") {
        grant("/", &BTreeSet::new());
    }
    for (path, lacking) in &by_path {
        grant(path, lacking);
    }
}
