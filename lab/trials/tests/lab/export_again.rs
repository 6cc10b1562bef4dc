//! An export answers again what was exported: what is read, what preflight finds and what is planned from the file and
//! from the lab that is made of it agree, field by field.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use quorate_core::checks;
use quorate_core::policy::Policy;
use quorate_core::run::RunOutcome;
use quorate_core::snapshot::Snapshot;
use quorate_engine::{Ended, Prepared, refresh, stale};
use quorate_journal::Journal;
use quorate_pve::observe::{Hosts, Look, observe};
use quorate_trials::ports::SimPorts;
use quorate_trials::simulated_run::{DiesAt, SimulatedRun, unless_it_dies};
use quorate_world::World;
use quorate_world::cluster_file::{world_from_snapshot, world_from_toml};
use serde_json::{Value, json};

use crate::common;
use crate::every_check::rows::ROWS;
use crate::export_differences::EXPORT;
use crate::lab_from_snapshot::seen;

/// The recorded answers were put together from several moments: what the node lists is not what the API lists.
const OF_THE_RECORDING: [&str; 3] =
    ["nodes/*/local_guests[]/name", "nodes/*/local_guests[]/running", "nodes/*/local_guests[]/vmid"];

/// Steps at which a run is left: nothing of it is under way by itself then.
const LEFT_AT: [&str; 4] = ["eject-media", "maintenance-on", "upgrade", "reboot"];

/// The clusters of the lab: files of several shapes.
fn cluster_files() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let entries = |folder: &str| std::fs::read_dir(root.join(folder)).unwrap().map(|entry| entry.unwrap().path());
    let plain = entries("lab/world/clusters").filter(|path| !path.ends_with("plain.toml"));
    let scenarios = entries("scenarios").map(|path| path.join("cluster.toml")).filter(|path| path.exists());
    let mut files: Vec<PathBuf> = plain.chain(scenarios).collect();
    files.sort();
    files
}

/// The same world after its nodes have read their package lists.
fn refreshed(world: World) -> World {
    let sim = SimPorts::new(Arc::new(Mutex::new(world)));
    common::block_on(async {
        let ports = sim.ports();
        let look = Look { hosts: Hosts::Nobody, ..Look::full() };
        refresh(&ports, &stale(&observe(&ports, look).await)).await
    });
    sim.world().clone()
}

/// Differences by place, each with its first example.
#[derive(Default)]
struct Differences(BTreeMap<String, String>);

impl Differences {
    fn walk(&mut self, place: &str, file: &Value, lab: &Value) {
        match (file, lab) {
            // What was not read may be anything.
            (Value::Object(of_file), _) if of_file.len() == 1 && of_file.contains_key("unknown") => {}
            (Value::Object(of_file), Value::Object(of_lab)) => {
                for key in of_file.keys().chain(of_lab.keys()).collect::<BTreeSet<_>>() {
                    let get = |all: &serde_json::Map<String, Value>| all.get(key).cloned().unwrap_or(Value::Null);
                    self.walk(&format!("{place}/{key}"), &get(of_file), &get(of_lab));
                }
            }
            (Value::Array(of_file), Value::Array(of_lab)) if of_file.len() == of_lab.len() => {
                for (index, (of_file, of_lab)) in of_file.iter().zip(of_lab).enumerate() {
                    self.walk(&format!("{place}[{index}]"), of_file, of_lab);
                }
            }
            _ if file == lab || seconds_apart(place, file, lab) => {}
            _ => {
                let text = |value: &Value| value.to_string().chars().take(300).collect::<String>();
                let shown = format!("{place}: {} in the file, {} in the lab", text(file), text(lab));
                self.0.entry(general(place)).or_insert(shown);
            }
        }
    }

    fn assert_none(mut self, what: &str) {
        self.0.retain(|place, _| !EXPORT.iter().any(|(known, _)| *known == format!("{place}: differs")));
        let lines: Vec<String> = self.0.iter().map(|(place, shown)| format!("{place}\n      {shown}")).collect();
        assert!(lines.is_empty(), "{what}: {} places differ:\n  {}", lines.len(), lines.join("\n  "));
    }
}

/// Readings that grow by themselves from the look's beginning until they are read.
fn seconds_apart(place: &str, file: &Value, lab: &Value) -> bool {
    let grows = place.ends_with("/uptime_s/known") || place.ends_with("/lists_age_s");
    let apart = file.as_u64().zip(lab.as_u64()).map(|(file, lab)| file.abs_diff(lab));
    let measured = place.ends_with("/clock_skew_ms/known");
    let skew = file.as_i64().zip(lab.as_i64()).map(|(file, lab)| file.abs_diff(lab));
    (grows && apart.is_some_and(|apart| apart < 120)) || (measured && skew.is_some_and(|apart| apart < 50))
}

/// A path without names and numbers.
fn general(place: &str) -> String {
    const NAMED: [&str; 14] = [
        "nodes",
        "guests",
        "quorum",
        "etc_pve",
        "migration_throttle",
        "members",
        "links",
        "osds",
        "services",
        "lrm",
        "ways",
        "storages",
        "installed",
        "osds_ok_to_stop",
    ];
    let mut parts: Vec<String> = Vec::new();
    for part in place.split('/').filter(|part| !part.is_empty() && *part != "known") {
        let after_names = parts.last().is_some_and(|last| NAMED.contains(&last.as_str()));
        let (name, is_element) = part.split_once('[').map_or((part, false), |(name, _)| (name, true));
        match (name, parts.last_mut()) {
            // The elements of a list that was read.
            ("known", Some(last)) => last.push_str("[]"),
            _ if after_names => parts.push("*".to_owned()),
            _ => parts.push(format!("{name}{}", if is_element { "[]" } else { "" })),
        }
    }
    parts.join("/")
}

/// Compares a snapshot, after it was written and read, with what a lab made of it shows.
fn compare(differences: &mut Differences, name: &str, snapshot: &Snapshot, policy: &Policy, plans: Plans) {
    let text = serde_json::to_string(snapshot).unwrap();
    let file: Snapshot = serde_json::from_str(&text).unwrap();
    let (world, _) = world_from_snapshot(&file, 7).unwrap_or_else(|error| panic!("{name}: {error}"));
    let lab = seen(world);
    let value = |snapshot: &Snapshot| serde_json::to_value(snapshot).unwrap();
    let mut own = Differences::default();
    own.walk("", &value(&file), &value(&lab));
    for (place, shown) in own.0 {
        differences.0.entry(place).or_insert(format!("{name} {shown}"));
    }
    if !file.gaps().is_empty() {
        // What was not read is a finding in the file, and a guess in the lab.
        return;
    }
    let mut own = Differences::default();
    own.walk("preflight", &findings(&file, policy), &findings(&lab, policy));
    if plans == Plans::Compared {
        own.walk("plan", &plan(file, policy), &plan(lab, policy));
    }
    for (place, shown) in own.0 {
        differences.0.entry(place).or_insert(format!("{name} {shown}"));
    }
}

/// Making a plan takes its time.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Plans {
    Compared,
    NotMade,
}

fn findings(snapshot: &Snapshot, policy: &Policy) -> Value {
    let mut findings = checks::run_all(snapshot, policy, checks::Asked::BeforeARun);
    // How many placement groups are where is not in a snapshot.
    let unclean = snapshot.ceph().is_some_and(|ceph| !ceph.all_pgs_clean());
    let of_ceph = findings.iter_mut().filter(|one| unclean && one.check.starts_with("ceph-"));
    of_ceph.for_each(|one| one.problem.clear());
    serde_json::to_value(findings).unwrap()
}

fn plan(snapshot: Snapshot, policy: &Policy) -> Value {
    match Prepared::of(snapshot, policy, &"again".into()).plan {
        Ok((plan, _)) => serde_json::to_value(plan).unwrap(),
        Err(none) => serde_json::to_value(none.findings).unwrap(),
    }
}

#[test]
fn clusters_of_all_shapes_show_again_what_was_exported_and_are_planned_alike_before_and_after_a_refresh() {
    let mut differences = Differences::default();
    for path in cluster_files() {
        let world = world_from_toml(&std::fs::read_to_string(&path).unwrap(), 1).unwrap();
        let name = path.display().to_string();
        compare(&mut differences, &name, &seen(world.clone()), &common::policy(), Plans::Compared);
        compare(
            &mut differences,
            &format!("{name}, refreshed"),
            &seen(refreshed(world)),
            &common::policy(),
            Plans::Compared,
        );
    }
    differences.assert_none("the clusters of the lab");
}

#[test]
fn what_a_check_finds_it_finds_in_the_lab_of_the_export_too() {
    let mut differences = Differences::default();
    let demo = refreshed(common::demo());
    for row in ROWS {
        let (mut world, mut policy) = (demo.clone(), common::policy());
        (row.change)(&mut world, &mut policy);
        compare(&mut differences, &format!("{} ({})", row.check, row.words), &seen(world), &policy, Plans::NotMade);
    }
    differences.assert_none("the worlds of the checks");
}

#[test]
fn the_recorded_cluster_shows_again_what_was_read_of_it() {
    let text = include_str!("../../../../crates/pve/tests/fixtures/pve91-snapshot.json");
    let mut differences = Differences::default();
    compare(&mut differences, "recorded", &serde_json::from_str(text).unwrap(), &common::policy(), Plans::Compared);
    differences.0.retain(|place, _| !OF_THE_RECORDING.contains(&place.as_str()));
    differences.assert_none("the recorded cluster");
}

/// Worlds in the middle of a run: the driver has died at a step of the first node.
#[test]
fn a_cluster_in_the_middle_of_a_run_shows_again_what_was_exported() {
    let policy = common::policy();
    let world = common::demo;
    let Ok((plan, _)) = Prepared::of(seen(refreshed(world())), &policy, &"again".into()).plan else {
        panic!("the demo has a plan")
    };
    let mut differences = Differences::default();
    let first = plan.steps().take(20).filter(|(_, step)| LEFT_AT.iter().any(|kind| step.id.as_str().contains(kind)));
    for (_, step) in first {
        let dies = DiesAt { step: step.id.clone(), after_calls: 1 };
        let run = SimulatedRun { policy: policy.clone(), dies: Some(dies), ..SimulatedRun::default() };
        let sim = SimPorts::new(Arc::new(Mutex::new(world())));
        let journal = Journal::in_memory().unwrap();
        let ended = common::block_on(unless_it_dies(&sim, run.begin(&sim, &journal)));
        assert!(ended.is_none(), "it did not die at {}", step.id);
        let mut world = sim.world().clone();
        world.advance_to(world.now_ms + 3_000);
        compare(&mut differences, step.id.as_str(), &seen(world), &policy, Plans::NotMade);
    }
    differences.assert_none("the middle of a run");
}

fn set(snapshot: &mut Value, changes: &[(&str, Value)]) {
    for (place, value) in changes {
        let (above, key) = place.rsplit_once('/').unwrap();
        let above = snapshot.pointer_mut(above).unwrap_or_else(|| panic!("{place}"));
        match above {
            Value::Object(all) => drop(all.insert(key.replace("~1", "/"), value.clone())),
            Value::Array(all) if key == "-" => all.push(value.clone()),
            Value::Array(all) => all[key.parse::<usize>().unwrap()] = value.clone(),
            _ => panic!("{place}"),
        }
    }
}

#[test]
fn a_cluster_in_which_everything_is_unusual_shows_again_what_was_exported() {
    let mut snapshot = serde_json::to_value(seen(refreshed(common::demo()))).unwrap();
    let known = |value: Value| json!({"known": value});
    set(
        &mut snapshot,
        &[
            ("/nodes/pve1/subscription", known(json!("active"))),
            ("/nodes/pve2/subscription", known(json!("invalid"))),
            ("/nodes/pve1/packages/known/removals", json!(["postfix"])),
            ("/nodes/pve1/packages/known/kept_back", json!(["zfsutils-linux"])),
            (
                "/nodes/pve1/packages/known/pending/-",
                json!({"from": null, "name": "zlib-new", "to": "1.2", "origin": "Debian:13/stable"}),
            ),
            ("/nodes/pve2/packages/known/lists_age_s", json!(null)),
            ("/nodes/pve3/packages/known/locked", json!(true)),
            (
                "/nodes/pve1/upgrade_unit",
                known(
                    json!({"unit": "quorate-upgrade-ab12", "state": {"ended": {"failed": {"how": "exit status 100", "tail": ["E: broken", "E: more"]}}}}),
                ),
            ),
            (
                "/nodes/pve1/repositories",
                known(json!([
            {"path": "/etc/apt/sources.list.d/debian.sources", "enabled": true, "types": ["deb", "deb-src"], "uris": ["http://deb.debian.org/debian"], "suites": ["trixie", "trixie-updates"], "components": ["main", "contrib"], "origin": "Debian"},
            {"path": "/etc/apt/sources.list.d/docker.list", "enabled": false, "types": ["deb"], "uris": ["https://download.docker.com/linux/debian"], "suites": ["trixie"], "components": ["stable"], "origin": "Docker"}])),
            ),
            (
                "/nodes/pve1/host/boot/kept",
                known(
                    json!({"partitions": [{"uuid": "6D31-87F4", "loader": "grub", "kernels": ["6.17.2-1-pve"], "size_bytes": 1073741824}], "complaints": ["/dev/disk/by-uuid/CE07-1118 does not exist"]}),
                ),
            ),
            ("/nodes/pve1/host/boot/efi_free_bytes", known(json!(null))),
            ("/nodes/pve2/host/boot/efi_free_bytes", known(json!(null))),
            ("/nodes/pve1/host/boot/root", known(json!("btrfs"))),
            ("/nodes/pve1/host/nics", known(json!({"used": ["eno1", "enp3s0f0"], "pinned": ["enp3s0f0"]}))),
            ("/nodes/pve1/host/checker", known(json!(null))),
            ("/nodes/pve2/host/checker/known/finished", json!(false)),
            (
                "/nodes/pve1/failed_units",
                known(json!(["mnt-old.mount", "quorate-upgrade-ab12.service", "zfs-import-scan.service"])),
            ),
            ("/nodes/pve1/bridges", known(json!(["vmbr0", "vmbr7"]))),
            ("/nodes/pve1/running_manager", known(json!("9.1.0"))),
            ("/nodes/pve1/storages/known/vms/free_bytes", json!(1234567890123_u64)),
            ("/nodes/pve1/storages/known/local/free_bytes", json!(5555555555_u64)),
            ("/nodes/pve1/storages/known/local-lvm/free_bytes", json!(77777777777_u64)),
            (
                "/nodes/pve2/host/network/ways/known/pve1/logins/0/failed",
                json!("ssh: connect to host 10.10.1.1 port 22: Connection timed out"),
            ),
            (
                "/nodes/pve2/host/network/ways/known/pve1/logins/1/failed",
                json!("ssh: connect to host 10.10.1.1 port 22: Connection timed out"),
            ),
            ("/nodes/pve1/clock_skew_ms", known(json!(-3000))),
            ("/nodes/pve1/host/time_synchronised", known(json!(true))),
            (
                "/nodes/pve3/host/corosync_complaints",
                known(json!({"retransmits": 7, "links_lost": 2, "tokens_lost": 1})),
            ),
            ("/migration_throttle/pve3", known(json!({"retransmits": 3, "links_lost": 0, "tokens_lost": 0}))),
            ("/nodes/pve3/moves_connections", known(json!(true))),
            ("/nodes/pve3/reboot_required", known(json!([]))),
            ("/nodes/pve3/boot_free_bytes", known(json!(123456789))),
            ("/nodes/pve3/cpu/known/count", json!(48)),
            // Guests.
            ("/guests/vm:110/migration/known/cpu_model", json!(null)),
            ("/guests/vm:111/migration/known/cpu_flags", json!({"base": null, "added": ["aes"], "removed": ["pcid"]})),
            ("/guests/vm:112/migration/known/cpu_model", json!("custom-ours")),
            (
                "/guests/vm:112/migration/known/cpu_flags",
                json!({"base": "Cascadelake-Server", "added": ["aes"], "removed": []}),
            ),
            ("/guests/vm:110/migration/known/display", json!("virtio-gl")),
            ("/guests/vm:110/migration/known/most_cpus", json!(12)),
            ("/guests/vm:110/migration/known/firewalled", json!(true)),
            ("/guests/vm:110/migration/known/has_raw_args", json!(true)),
            ("/guests/vm:110/migration/known/untested", json!(["numa0", "zzz"])),
            ("/guests/vm:110/migration/known/machine", json!("pc-q35-9.2")),
            ("/guests/vm:110/migration/known/running_machine", json!("pc-q35-9.2+pve1")),
            ("/guests/vm:110/migration/known/bridges", json!(["vmbr0", "vmbr7"])),
            ("/guests/vm:110/memory_bytes", json!(4294967296_u64 + 1048576)),
            ("/guests/vm:110/tags", json!(["prod", "web"])),
            ("/guests/vm:110/onboot", known(json!(false))),
            (
                "/guests/vm:110/migration/known/local_resources",
                json!([{"key": "usb0", "mapping": "stick", "live_capable": false}, {"key": "usb1", "mapping": null, "live_capable": false}]),
            ),
            ("/guests/vm:111/migration/known/cd_drives", json!({"ide2": "none", "sata0": "cephfs:iso/x.iso"})),
            ("/guests/vm:111/migration/known/storages", json!(["cephfs", "vms"])),
            ("/guests/vm:111/migration/known/contents/cephfs", json!(["iso"])),
            ("/guests/ct:203/migration/known/local_mounts", json!(["mp0"])),
            (
                "/guests/ct:203/migration/known/host_needs",
                json!([{"key": "dev0", "what": "/dev/ttyUSB0", "kind": "device", "cold_start_only": false, "on": {"pve1": {"known": true}, "pve2": {"known": false}, "pve3": {"known": false}}}]),
            ),
            // HA.
            ("/ha/known/left_over", json!(["vm:999"])),
            ("/options/known/ha_shutdown_policy", json!("failover")),
            ("/options/known/max_workers", json!(2)),
            ("/options/known/crs", json!({"ha": "static"})),
            // Ceph.
            ("/ceph/known/node_flags", json!({"osd.1": ["nodown"], "pve2": ["noin", "noout"]})),
            ("/ceph/known/health", json!("ERR")),
            (
                "/ceph/known/checks/OSD_FLAGS",
                json!({"accepted": false, "message": "1 OSDs or CRUSH {nodes, device-classes} have {NOUP,NODOWN,NOIN,NOOUT} flags set", "muted": false, "severity": "WARN"}),
            ),
            (
                "/ceph/known/checks/OSD_SLOW_PING_TIME_BACK",
                json!({"accepted": false, "message": "Slow OSD heartbeats on back (longest 1200.000ms)", "muted": true, "severity": "WARN"}),
            ),
            (
                "/ceph/known/checks/MDS_DAMAGE",
                json!({"accepted": false, "message": "1 mds daemon damaged", "muted": false, "severity": "ERR"}),
            ),
            ("/ceph/known/osds/0/addresses", json!(["10.10.1.1", "10.20.0.1"])),
            ("/ceph/known/osds/1/version", json!("19.2.1")),
            ("/ceph/known/never_ran", json!([44])),
            // Work.
            ("/backups/known/0/enabled", json!(false)),
            ("/backups/known/0/node", json!("pve2")),
            (
                "/jobs",
                known(
                    json!([{"upid": "UPID:pve1:000012AB:0034F0A1:6AFA0C80:vzdump:110:root@pam:", "node": "pve1", "kind": "vzdump", "vmid": 110, "user": "root@pam", "started": 1794772096000_u64}]),
                ),
            ),
            (
                "/driver",
                known(
                    json!({"run": "ab12", "holder": "ben", "id": "0000000000000001", "head": {"seq": 7, "hash": "ab"}, "journal": "cd", "renewed": 1795348806225_u64, "released": true, "ended": true}),
                ),
            ),
        ],
    );
    let snapshot: Snapshot = serde_json::from_value(snapshot).unwrap();
    let mut differences = Differences::default();
    compare(&mut differences, "unusual", &snapshot, &common::policy(), Plans::NotMade);
    differences.assert_none("an unusual cluster");
}

#[test]
fn a_run_over_the_lab_of_an_export_upgrades_it_as_one_over_the_cluster_does() {
    let policy = common::policy();
    let exported = seen(refreshed(common::demo()));
    let (world, _) = world_from_snapshot(&exported, 7).unwrap();
    let outcome = common::hold(&SimulatedRun { policy, ..SimulatedRun::default() }, world);
    assert_eq!(outcome.ended, Some(Ended::Over(RunOutcome::Completed)), "{}", common::tell(&outcome));
    assert!(outcome.impact.clean, "{:#?}", outcome.impact);
    assert_eq!(outcome.impact.nodes_upgraded, 3);
}

#[test]
fn a_node_of_the_lab_gets_an_address_of_its_own_and_keeps_the_one_in_the_network_of_migrations() {
    let mut snapshot = seen(common::demo());
    let network = snapshot.options.known_mut().unwrap();
    network.migration_network = Some("10.10.1.0/24".to_owned());
    let (mut world, _) = world_from_snapshot(&snapshot, 7).unwrap();
    for (number, node) in ["pve1", "pve2", "pve3"].into_iter().enumerate() {
        world.readdress(&node.into(), std::net::Ipv4Addr::new(127, 77, 0, number as u8 + 1).into());
    }
    let lab = seen(world);
    let pve2 = &lab.nodes[&"pve2".into()].host.network;
    assert_eq!(pve2.own.known().unwrap().to_string(), "127.77.0.2");
    assert!(pve2.addresses.known().unwrap().iter().any(|address| address.ip.to_string() == "10.10.1.2"));
    assert_eq!(
        findings(&lab, &common::policy())
            .as_array()
            .unwrap()
            .iter()
            .filter(|one| one["check"] == "migration-ways")
            .count(),
        0
    );
}
