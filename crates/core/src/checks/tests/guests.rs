//! Checks about guests and what works on them: each fires in one snapshot and not in the healthy one.

use super::super::*;
use super::{fires, run};
use crate::ids::{GuestId, GuestKind, UnixMs};
use crate::invariants::sample::*;
use crate::observed::Observed::Known;
use crate::policy::{ConsentKind, GuestPolicy, LocalDisks, StoppedGuests};
use crate::snapshot::*;

const VM: GuestId = GuestId { vmid: crate::ids::Vmid(103), kind: GuestKind::Vm };

fn with(id: GuestId, change: impl FnOnce(&mut Guest)) -> Snapshot {
    let mut snapshot = cluster();
    change(guest_mut(&mut snapshot, id));
    snapshot
}

fn facts(id: GuestId, change: impl FnOnce(&mut MigrationFacts)) -> Snapshot {
    with(id, |guest| change(guest.migration.known_mut().unwrap()))
}

fn disk(volid: &str, usage: DiskUse) -> LocalDisk {
    LocalDisk { volid: volid.to_owned(), drive: "ide2".to_owned(), size_bytes: 32 * GIB, usage, replicated: false }
}

fn policy_for(id: GuestId, what: GuestPolicy) -> Policy {
    Policy { guests: [(id, what)].into(), ..Policy::default() }
}

#[track_caller]
fn outcome(snapshot: &Snapshot, policy: &Policy, id: GuestId, severity: Severity, words: &str) {
    let found = by_id("guest-outcome").unwrap().run(snapshot, policy);
    let about = |finding: &&Finding| finding.subject == Subject::Guest(id);
    let hit = found.iter().filter(about).any(|it| it.severity == severity && it.problem.contains(words));
    assert!(hit, "no {severity:?} with {words:?} about {id} in {found:#?}");
}

#[test]
fn guest_outcome_a_container_is_restarted_with_consent() {
    let id = GuestId::ct(201);
    outcome(&cluster(), &Policy::default(), id, Severity::Consent, "is restarted when it moves");
    let agreed = Policy { consents: [ConsentKind::RestartContainers].into(), ..Policy::default() };
    outcome(&cluster(), &agreed, id, Severity::Info, "is restarted when it moves");
}

#[test]
fn guest_outcome_a_device_of_the_host_blocks_until_the_policy_decides() {
    let device = LocalResource { key: "hostpci0".to_owned(), mapping: None, live_capable: false };
    let snapshot = facts(VM, |facts| facts.local_resources.push(device));
    fires("guest-outcome", &snapshot, Severity::Blocking, "vm:103 g103 cannot leave pve1: hostpci0");
    let shutdown = policy_for(VM, GuestPolicy::Shutdown);
    outcome(&snapshot, &shutdown, VM, Severity::Consent, "is shut down while its node is upgraded");
    // HA is asked to keep it stopped, so it may be shut down as well.
    let mut managed = snapshot;
    let service = ha_mut(&mut managed).services[&GuestId::vm(101)].clone();
    ha_mut(&mut managed).services.insert(VM, service);
    outcome(&managed, &shutdown, VM, Severity::Consent, "is shut down while its node is upgraded");
    // A guest that can move is moved, whatever the policy allows.
    assert!(
        !by_id("guest-outcome").unwrap().run(&cluster(), &shutdown).iter().any(|it| it.subject == Subject::Guest(VM))
    );
}

#[test]
fn guest_outcome_a_mapped_device_can_be_moved_stopped_and_a_raw_one_cannot() {
    let device = |mapping: Option<&str>| LocalResource {
        key: "usb0".to_owned(),
        mapping: mapping.map(str::to_owned),
        live_capable: false,
    };
    let mapped = facts(VM, |facts| facts.local_resources.push(device(Some("dongle"))));
    fires("guest-outcome", &mapped, Severity::Blocking, "usb0 is the mapped device dongle");
    let offline = policy_for(VM, GuestPolicy::Offline);
    outcome(
        &mapped,
        &offline,
        VM,
        Severity::Consent,
        "is shut down, moved and started again, down for about 1 min 35 s",
    );
    assert_eq!(guest_outcome(&mapped, &offline, &mapped.guests[&VM]).kind, GuestOutcomeKind::MovedStopped);
    let words = |snapshot: &Snapshot| -> Vec<&str> {
        choices(snapshot, &Policy::default(), &snapshot.guests[&VM]).iter().map(|choice| choice.policy.word()).collect()
    };
    assert_eq!(words(&mapped), ["offline", "shutdown", "hibernate"]);
    let raw = facts(VM, |facts| facts.local_resources.push(device(None)));
    outcome(&raw, &offline, VM, Severity::Blocking, "usb0 is a device of its node");
    assert_eq!(words(&raw), ["shutdown", "hibernate"]);
    let pci = LocalResource { key: "hostpci0".to_owned(), ..device(None) };
    assert_eq!(words(&facts(VM, |facts| facts.local_resources.push(pci))), ["shutdown"], "PVE does not save its state");
    let hibernate = policy_for(VM, GuestPolicy::Hibernate);
    outcome(&raw, &hibernate, VM, Severity::Consent, "hibernates while its node is upgraded; its state takes");
    assert_eq!(guest_outcome(&raw, &hibernate, &raw.guests[&VM]).kind, GuestOutcomeKind::Hibernates);
    outcome(&mapped_pci(), &hibernate, VM, Severity::Blocking, "nor can it hibernate: the state of hostpci0");
    let free =
        facts(VM, |facts| facts.local_resources.push(LocalResource { live_capable: true, ..device(Some("vgpu")) }));
    assert!(!run("guest-outcome", &free).iter().any(|it| it.subject == Subject::Guest(VM)), "it moves live");
}

fn mapped_pci() -> Snapshot {
    let device = LocalResource { key: "hostpci0".to_owned(), mapping: Some("gpu".to_owned()), live_capable: false };
    facts(VM, |facts| facts.local_resources.push(device))
}

/// The remedy names the map where only a name stands in the way.
#[test]
fn guest_outcome_a_local_storage_that_only_its_node_has_is_for_the_map() {
    let mut snapshot = facts(VM, |facts| {
        facts.storages = ["nvme-pve1".into()].into();
        facts.local_disks.push(disk("nvme-pve1:vm-103-disk-0", DiskUse::Attached));
    });
    let storage = Storage {
        id: "nvme-pve1".into(),
        kind: "lvmthin".to_owned(),
        shared: false,
        nodes: Some([name("pve1")].into()),
        disabled: false,
        content: ["images".to_owned()].into(),
    };
    snapshot.storages.known_mut().unwrap().insert(storage.id.clone(), storage);
    fires("guest-outcome", &snapshot, Severity::Blocking, "pve2 does not have nvme-pve1");
    let named =
        |finding: &Finding| finding.remedy.contains("storage-map the storages of other nodes that take the place");
    assert!(run("guest-outcome", &snapshot).iter().any(named));
    assert!(!run("guest-outcome", &mapped_pci()).iter().any(named));
}

#[test]
fn guest_outcome_local_disks_have_their_size_and_time_and_replicas_their_nodes() {
    let local = |change: fn(&mut MigrationFacts)| {
        facts(VM, |facts| {
            facts.local_disks.push(disk("local-lvm:vm-103-disk-0", DiskUse::Attached));
            change(facts);
        })
    };
    fires(
        "guest-outcome",
        &local(|_| ()),
        Severity::Info,
        "takes 32.0 GiB of local disks along on each of its moves, about 1 min 6 s",
    );
    let stay = Policy { local_disks: LocalDisks::Stay, ..Policy::default() };
    outcome(&local(|_| ()), &stay, VM, Severity::Blocking, "its local disks (32.0 GiB) are not to be copied");
    let copy = Policy { local_disks: LocalDisks::Stay, ..policy_for(VM, GuestPolicy::Copy) };
    outcome(&local(|_| ()), &copy, VM, Severity::Info, "about 1 min 6 s");
    let questions = open_questions(&local(|_| ()), &stay);
    assert_eq!((questions.len(), questions[0].choices[0].policy), (1, GuestPolicy::Copy));
    assert_eq!(questions[0].choices[1].downtime_s, 95 + 66, "offline: with the time of the copy");
    fires(
        "guest-outcome",
        &local(|facts| facts.has_snapshots = true),
        Severity::Blocking,
        "is a local disk with snapshots",
    );
    let container = facts(GuestId::ct(201), |facts| {
        facts.local_disks.push(disk("local-lvm:vm-201-disk-0", DiskUse::Attached));
    });
    outcome(&container, &Policy::default(), GuestId::ct(201), Severity::Info, "32.0 GiB of local disks");
    let replicated = |targets: &[&str]| {
        let mut snapshot = local(|facts| facts.local_disks[0].replicated = true);
        let job = |target: &&str| ReplicationJob {
            id: format!("103-{target}"),
            vmid: VM.vmid,
            source: name("pve1"),
            target: name(target),
            fail_count: 0,
            error: None,
            last_sync: None,
            disabled: false,
        };
        snapshot.replication = Known(targets.iter().map(job).collect());
        snapshot
    };
    fires(
        "guest-outcome",
        &replicated(&["pve2"]),
        Severity::Info,
        "moves only to where its disks are replicated: pve2",
    );
    fires("guest-outcome", &replicated(&[]), Severity::Blocking, "its disks are not replicated to pve2");
}

#[test]
fn guest_outcome_unlike_processors_are_reported_by_their_flags_with_the_model_that_both_have() {
    let mut unlike = facts(VM, |facts| facts.cpu_model = Some("host".to_owned()));
    for node in ["pve2", "pve3"] {
        node_mut(&mut unlike, node).cpu.known_mut().unwrap().flags.clear();
    }
    node_mut(&mut unlike, "pve1").cpu.known_mut().unwrap().flags = ["aes", "avx2"].map(str::to_owned).into();
    fires("guest-outcome", &unlike, Severity::Blocking, "differ (pve2 lacks aes, avx2); both could give it kvm64");
    let alike = facts(VM, |facts| facts.cpu_model = Some("host".to_owned()));
    assert!(!run("guest-outcome", &alike).iter().any(|it| it.subject == Subject::Guest(VM)));
}

#[test]
fn guest_outcome_more_flags_on_the_same_processor_keep_no_guest_from_moving() {
    let mut upgraded = facts(VM, |facts| facts.cpu_model = Some("host".to_owned()));
    for node in ["pve2", "pve3"] {
        let flags = &mut node_mut(&mut upgraded, node).cpu.known_mut().unwrap().flags;
        flags.extend(["user_shstk", "bus_lock_detect"].map(str::to_owned));
    }
    assert!(!run("guest-outcome", &upgraded).iter().any(|it| it.subject == Subject::Guest(VM)), "it moves live");
    let mut named = facts(VM, |facts| facts.cpu_model = Some("x86-64-v3".to_owned()));
    for node in ["pve2", "pve3"] {
        node_mut(&mut named, node).cpu.known_mut().unwrap().flags.remove("avx2");
    }
    fires(
        "guest-outcome",
        &named,
        Severity::Blocking,
        "its CPU model is x86-64-v3, and the processors of pve1 and pve2",
    );
}

#[test]
fn guest_outcome_what_a_guest_needs_of_its_host_is_looked_for_on_each_node() {
    let need = |on: &[(&str, bool)], cold_start_only| HostNeed {
        key: "hookscript".to_owned(),
        what: "local:snippets/up.sh".to_owned(),
        kind: HostFile::Program,
        cold_start_only,
        on: on.iter().map(|(node, there)| (name(node), Known(*there))).collect(),
    };
    let about = |snapshot: &Snapshot| run("guest-outcome", snapshot).iter().any(|it| it.subject == Subject::Guest(VM));
    let nowhere = [("pve1", true), ("pve2", false), ("pve3", false)];
    let gone = facts(VM, |facts| facts.host_needs.push(need(&nowhere, false)));
    let words = "pve2: pve2 does not have local:snippets/up.sh, its hookscript; pve3: pve3 does not";
    fires("guest-outcome", &gone, Severity::Blocking, words);
    let here = facts(VM, |facts| facts.host_needs.push(need(&[("pve2", true), ("pve3", false)], false)));
    assert!(!about(&here), "one node takes it");
    let cold = facts(VM, |facts| facts.host_needs.push(need(&nowhere, true)));
    fires("guest-outcome", &cold, Severity::Warning, "when it starts anew, and pve2, pve3 do not have it");
    // What was not asked is not known, and a reading that is missing is no guest that moves.
    let unasked = facts(VM, |facts| facts.host_needs.push(need(&[("pve1", true)], false)));
    assert!(!about(&unasked));
    let moves = |target: &str| {
        let (guest, target) = (&unasked.guests[&VM], &unasked.nodes[&name(target)]);
        crate::placement::obstacle_there(&unasked, &Policy::default(), guest, target)
    };
    assert!(matches!(moves("pve2"), Err(crate::placement::Obstacle::Unknown(_))));
    let mut silent = need(&[], false);
    silent.on.insert(name("pve2"), crate::observed::Observed::unknown("stat on pve2", "no answer"));
    let silent = facts(VM, |facts| facts.host_needs.push(silent));
    fires("unknown-readings", &silent, Severity::Blocking, "stat on pve2");
}

#[test]
fn guest_outcome_what_pve_refuses_only_when_the_guest_arrives() {
    let display = facts(VM, |facts| facts.display = Some("virtio-gl".to_owned()));
    fires("guest-outcome", &display, Severity::Blocking, "its display is virtio-gl");
    outcome(&display, &policy_for(VM, GuestPolicy::Offline), VM, Severity::Consent, "is shut down, moved and started");
    let mut large = facts(VM, |facts| facts.most_cpus = 24);
    node_mut(&mut large, "pve2").cpu.known_mut().unwrap().count = 8;
    node_mut(&mut large, "pve3").cpu.known_mut().unwrap().count = 24;
    assert!(!run("guest-outcome", &large).iter().any(|it| it.problem.contains("24")), "pve3 takes it");
    node_mut(&mut large, "pve3").cpu.known_mut().unwrap().count = 8;
    fires("guest-outcome", &large, Severity::Blocking, "24 virtual processors and pve2 has 8");
    let mut content = cluster();
    let used = content.guests[&VM].migration.known().unwrap().storages.first().unwrap().clone();
    guest_mut(&mut content, VM).migration.known_mut().unwrap().contents.insert(used.clone(), ["images".into()].into());
    content.storages.known_mut().unwrap().get_mut(&used).unwrap().content = ["iso".into()].into();
    fires("guest-outcome", &content, Severity::Blocking, "is not for images, as its configuration says (content: iso)");
    let raw_disk = facts(VM, |facts| facts.local_disks.push(disk("/dev/disk/by-id/x", DiskUse::Attached)));
    fires("guest-outcome", &raw_disk, Severity::Blocking, "/dev/disk/by-id/x, a device or file of its node");
    let mut arm = cluster();
    for node in ["pve2", "pve3"] {
        "aarch64".clone_into(&mut node_mut(&mut arm, node).cpu.known_mut().unwrap().architecture);
    }
    fires("guest-outcome", &arm, Severity::Blocking, "pve2 is aarch64");
    let shared = LocalResource { key: "virtiofs".to_owned(), mapping: None, live_capable: false };
    let shared = facts(VM, |facts| facts.local_resources.push(shared));
    outcome(&shared, &policy_for(VM, GuestPolicy::Offline), VM, Severity::Consent, "is shut down, moved and started");
    let strange = facts(VM, |facts| facts.untested.extend(["warp-drive".to_owned()]));
    fires("guest-outcome", &strange, Severity::Warning, "nobody tests against the target: warp-drive");
}

#[test]
fn guest_outcome_a_machine_type_that_no_other_node_knows_is_reported() {
    let machine = |machine: &str| facts(VM, |facts| facts.running_machine = Some(machine.to_owned()));
    fires("guest-outcome", &machine("pc-q35-99.1+pve0"), Severity::Info, "the newest QEMU of the other nodes is");
    assert!(!run("guest-outcome", &machine("pc-q35-6.2")).iter().any(|it| it.subject == Subject::Guest(VM)));
}

#[test]
fn guest_outcome_a_local_image_is_ejected_with_consent() {
    let snapshot = facts(VM, |facts| facts.local_disks.push(disk("local:iso/debian.iso", DiskUse::Cdrom)));
    fires("guest-outcome", &snapshot, Severity::Blocking, "local:iso/debian.iso");
    let found = run("guest-outcome", &snapshot);
    assert!(found.iter().any(|finding| finding.remedy.contains("\"vm:103\" = \"eject\"")), "{found:#?}");
    outcome(&snapshot, &policy_for(VM, GuestPolicy::Eject), VM, Severity::Consent, "ejected from ide2");
}

#[test]
fn guest_outcome_a_lock_blocks_and_a_stopped_guest_is_left_alone() {
    let locked = |guest: &mut Guest| guest.lock = Known(Some(Lock("backup".to_owned())));
    fires("guest-outcome", &with(VM, locked), Severity::Blocking, "vm:103 is locked (backup)");
    let before = run("guest-outcome", &cluster());
    assert_eq!(run("guest-outcome", &with(GuestId::vm(104), locked)), before);
}

#[test]
fn a_stopped_guest_moves_if_that_is_wanted_and_nothing_forbids_it() {
    let stopped = |tag: Option<&str>| {
        with(VM, |guest| {
            guest.status = Known(GuestStatus::Stopped);
            guest.tags.extend(tag.map(str::to_owned));
        })
    };
    let wanted = Policy { stopped_guests: StoppedGuests::Move, ..Policy::default() };
    let kind = |snapshot: &Snapshot, policy: &Policy| guest_outcome(snapshot, policy, &snapshot.guests[&VM]).kind;
    assert_eq!(kind(&stopped(None), &wanted), GuestOutcomeKind::Offline);
    assert_eq!(kind(&stopped(None), &Policy::default()), GuestOutcomeKind::Untouched);
    assert_eq!(kind(&stopped(Some("quorate-skip")), &wanted), GuestOutcomeKind::Untouched);
    assert_eq!(kind(&stopped(Some("quorate-refuse")), &wanted), GuestOutcomeKind::Untouched);
}

#[test]
fn guest_outcome_checks_what_pve_does_not_test() {
    let mut snapshot = cluster();
    for node in ["pve2", "pve3"] {
        node_mut(&mut snapshot, node).bridges = Known(["vmbr1".to_owned()].into());
    }
    fires("guest-outcome", &snapshot, Severity::Blocking, "pve2: pve2 has no bridge vmbr0; pve3: pve3 has no bridge");
    node_mut(&mut snapshot, "pve3").bridges = Known(["vmbr0".to_owned()].into());
    outcome(&snapshot, &Policy::default(), GuestId::ct(201), Severity::Consent, "is restarted");
    let mut unlike = facts(VM, |facts| facts.cpu_model = Some("host".to_owned()));
    for node in ["pve2", "pve3"] {
        let cpu = node_mut(&mut unlike, node).cpu.known_mut().unwrap();
        cpu.flags.insert("avx512f".to_owned());
        "another one".clone_into(&mut cpu.model);
    }
    fires("guest-outcome", &unlike, Severity::Blocking, "CPU model is the host's");
    let args = facts(VM, |facts| facts.has_raw_args = true);
    fires("guest-outcome", &args, Severity::Warning, "raw QEMU arguments");
    let refused = facts(VM, |facts| {
        for node in ["pve2", "pve3"] {
            facts.refused.insert(name(node), vec![TargetRefusal::Storages(vec!["local-lvm".into()])]);
        }
    });
    fires("guest-outcome", &refused, Severity::Blocking, "PVE refuses pve2: it lacks storage local-lvm");
    let mount = facts(GuestId::ct(201), |facts| facts.local_mounts.push("mp0".to_owned()));
    fires("guest-outcome", &mount, Severity::Blocking, "mp0");
    let copied = facts(VM, |facts| facts.local_disks.push(disk("local-lvm:vm-103-disk-0", DiskUse::Attached)));
    fires("guest-outcome", &copied, Severity::Info, "32.0 GiB of local disks");
}

#[test]
fn guest_outcome_is_silent_about_guests_of_nodes_that_are_not_upgraded() {
    let mut snapshot = facts(VM, |facts| facts.local_mounts.push("mp0".to_owned()));
    node_mut(&mut snapshot, "pve1").packages.known_mut().unwrap().pending.clear();
    assert_eq!(run("guest-outcome", &snapshot), []);
}

#[test]
fn capacity_sums_up_with_each_node_out_in_turn() {
    let healthy = run("capacity", &cluster());
    assert_eq!(healthy.len(), 1, "{healthy:#?}");
    assert!(healthy[0].problem.contains("tightest with pve1 out"));
    let mut snapshot = cluster();
    guest_mut(&mut snapshot, VM).memory_bytes = 50 * GIB;
    guest_mut(&mut snapshot, GuestId::vm(102)).memory_bytes = 50 * GIB;
    guest_mut(&mut snapshot, GuestId::ct(201)).node = name("pve3");
    guest_mut(&mut snapshot, GuestId::ct(201)).memory_bytes = 40 * GIB;
    fires("capacity", &snapshot, Severity::Blocking, "with pve1 out its guests need 54.6 GiB, the others have");
    let mut snapshot = cluster();
    guest_mut(&mut snapshot, VM).memory_bytes = 40 * GIB;
    for (vmid, node) in [(105, "pve2"), (106, "pve3")] {
        let guest =
            Guest { id: GuestId::vm(vmid), node: name(node), memory_bytes: 28 * GIB, ..snapshot.guests[&VM].clone() };
        snapshot.guests.insert(guest.id, guest);
    }
    fires("capacity", &snapshot, Severity::Warning, "vm:103 on pve1 needs 40.3 GiB, no other node has more than");
}

#[test]
fn running_jobs_that_lock_a_guest_block_and_an_open_console_does_not() {
    let job = |kind: &str, vmid: Option<u32>| {
        let mut snapshot = cluster();
        snapshot.jobs.known_mut().unwrap().push(Job {
            upid: "UPID:pve1:1:2:3:x::root@pam:".into(),
            node: name("pve1"),
            kind: JobKind(kind.to_owned()),
            vmid: vmid.map(crate::ids::Vmid),
            user: "root@pam".to_owned(),
            started: UnixMs(999_000_000),
        });
        snapshot
    };
    fires("running-jobs", &job("vzdump", Some(103)), Severity::Blocking, "vm:103");
    fires("running-jobs", &job("vzdump", Some(104)), Severity::Warning, "vzdump by root@pam on pve1, for 1000 s");
    fires("running-jobs", &job("vzdump", None), Severity::Warning, "a task runs");
    fires("running-jobs", &job("vncproxy", Some(103)), Severity::Warning, "vncproxy");
    assert_eq!(run("running-jobs", &cluster()), []);
}

#[test]
fn upcoming_backups_within_the_time_of_a_run_are_reported() {
    let job = |minutes: u64, enabled: bool| {
        let mut snapshot = cluster();
        let next_run = Some(snapshot.cluster_time().plus_s(minutes * 60));
        snapshot.backups = Known(vec![BackupJob { id: "nightly".to_owned(), enabled, next_run, node: None }]);
        snapshot
    };
    fires("upcoming-backups", &job(30, true), Severity::Warning, "backup nightly begins in 30 min");
    assert_eq!(run("upcoming-backups", &job(30, false)), []);
    assert_eq!(run("upcoming-backups", &job(600, true)), []);
}

#[test]
fn replication_that_fails_is_reported_and_a_disabled_job_is_not() {
    let job = |fail_count, disabled| {
        let mut snapshot = cluster();
        snapshot.replication = Known(vec![ReplicationJob {
            id: "103-0".to_owned(),
            vmid: VM.vmid,
            source: name("pve1"),
            target: name("pve2"),
            fail_count,
            error: (fail_count > 0).then(|| "no route to host".to_owned()),
            last_sync: None,
            disabled,
        }]);
        snapshot
    };
    fires("replication", &job(3, false), Severity::Warning, "failed 3 times: no route to host");
    assert_eq!(run("replication", &job(0, false)), []);
    assert_eq!(run("replication", &job(3, true)), []);
}

#[test]
fn a_stopped_guest_that_starts_with_its_node_is_a_warning() {
    let stopped = |guest: &mut Guest| guest.status = Known(GuestStatus::Stopped);
    let starts = |change: fn(&mut Guest)| {
        with(VM, |guest| {
            stopped(guest);
            guest.onboot = Known(true);
            change(guest);
        })
    };
    fires("start-at-boot", &starts(|_| ()), Severity::Warning, "vm:103");
    assert!(run("start-at-boot", &starts(|_| ()))[0].remedy.contains("qm set 103 --onboot 0"));
    assert_eq!(run("start-at-boot", &starts(|guest| guest.onboot = Known(false))), []);
    assert_eq!(run("start-at-boot", &starts(|guest| guest.template = true)), []);
    assert_eq!(
        run("start-at-boot", &starts(|guest| guest.status = Known(GuestStatus::Running))),
        [],
        "it runs already"
    );
    let mut done = starts(|_| ());
    let node = done.guests[&VM].node.clone();
    node_mut(&mut done, node.as_str()).packages.known_mut().unwrap().pending.clear();
    assert_eq!(run("start-at-boot", &done), [], "its node has no turn");
}

#[test]
fn guests_that_run_an_older_qemu_than_is_installed_are_told() {
    let runs = |version: &str| facts(VM, |facts| facts.running_qemu = Some(version.into()));
    fires("running-qemu", &runs("9.2.0"), Severity::Info, "older QEMU than is installed there (10.1.2): vm:103");
    assert_eq!(run("running-qemu", &runs("10.1.2")), [], "the package's revision is not QEMU's");
    assert_eq!(run("running-qemu", &runs("10.2.0")), []);
}

#[test]
fn policy_names_are_names_of_this_cluster() {
    let check = by_id("policy-names").unwrap();
    let found = check.run(&cluster(), &policy_for(GuestId::vm(999), GuestPolicy::Eject));
    assert!(matches!(&found[..], [one] if one.severity == Severity::Warning && one.problem.contains("vm:999")));
    let found = check.run(&cluster(), &Policy { last: vec![name("pve9")], ..Policy::default() });
    assert!(matches!(&found[..], [one] if one.severity == Severity::Blocking && one.problem.contains("pve9")));
    assert_eq!(check.run(&cluster(), &policy_for(VM, GuestPolicy::Shutdown)), []);
}
