//! The parsers on genuine outputs, and on any bytes.

use std::path::{Path, PathBuf};

use proptest::prelude::*;
use quorate_pve::recorded::program;
use quorate_pve::wire::lenient::{self, Flag, List, Text};
use quorate_pve::wire::{
    apt, ceph, cfgtool, cluster, corosync_conf, df, dpkg, guest, ha, kernels, node, pct_list, property, qm_list,
    quorumtool, systemctl, upid,
};
use serde_json::Value;

fn fixture(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn files(folder: &str) -> Vec<(PathBuf, Value)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(folder);
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let read = |path: PathBuf| (path.clone(), serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap());
    paths.into_iter().map(read).collect()
}

/// Standard output of a recorded program.
fn stdout(name: &str) -> String {
    program(&fixture(name)).unwrap().2.stdout
}

/// The data of a recorded answer.
fn data(name: &str) -> Value {
    let call: Value = serde_json::from_str(&fixture(name)).unwrap();
    call["body"]["data"].clone()
}

#[test]
fn every_recorded_answer_fits_its_shape() {
    fn fits<T: serde::de::DeserializeOwned>(data: Value) -> Result<(), String> {
        lenient::read::<T>(data).map(|_| ())
    }
    let mut read = 0;
    for (file, call) in files("pve91/api").into_iter().chain(files("pve91/more")) {
        let (path, data) = (call["path"].as_str().unwrap(), call["body"]["data"].clone());
        if call["status"] != 200 {
            continue;
        }
        let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
        let result = match parts.as_slice() {
            ["cluster", "status"] => fits::<cluster::Status>(data),
            ["cluster", "config", "nodes"] => fits::<List<cluster::ConfigNode>>(data),
            ["cluster", "resources"] => fits::<List<cluster::GuestEntry>>(data),
            ["cluster", "options"] => fits::<cluster::Options>(data),
            ["cluster", "backup"] => fits::<List<cluster::BackupEntry>>(data),
            ["cluster", "replication"] | ["nodes", _, "replication"] => fits::<List<cluster::ReplicationEntry>>(data),
            ["access", "permissions"] => fits::<cluster::Permissions>(data),
            ["storage"] => fits::<List<cluster::StorageEntry>>(data),
            ["cluster", "ha", "resources"] => fits::<List<ha::Resource>>(data),
            ["cluster", "ha", "rules"] => fits::<List<ha::Rule>>(data),
            ["cluster", "ha", "status", "current"] => fits::<List<ha::CurrentEntry>>(data),
            ["cluster", "ha", "status", "manager_status"] => fits::<ha::ManagerStatus>(data),
            ["cluster", "ceph", "status"] => fits::<ceph::Status>(data),
            ["cluster", "ceph", "metadata"] => fits::<ceph::Metadata>(data),
            ["cluster", "tasks"] | ["nodes", _, "tasks"] => fits::<List<node::Task>>(data),
            ["nodes", _, "status"] => fits::<node::Status>(data),
            ["nodes", _, "services"] => fits::<List<node::Service>>(data),
            ["nodes", _, "disks", "list"] => fits::<List<node::Disk>>(data),
            ["nodes", _, "subscription"] => fits::<node::Subscription>(data),
            ["nodes", _, "network"] => fits::<List<node::Interface>>(data),
            ["nodes", _, "storage"] => fits::<List<node::Storage>>(data),
            ["nodes", _, "apt", "versions"] => fits::<List<node::PackageVersion>>(data),
            ["nodes", _, "apt", "repositories"] => fits::<node::Repositories>(data),
            ["nodes", _, "qemu" | "lxc"] => fits::<List<cluster::GuestEntry>>(data),
            ["nodes", _, _, _, "config"] => fits::<guest::Config>(data),
            ["nodes", _, _, _, "status", "current"] => fits::<guest::Current>(data),
            ["nodes", _, _, _, "migrate"] => fits::<guest::Preconditions>(data),
            ["nodes", _, _, _, "snapshot"] => fits::<List<guest::Snapshot>>(data),
            _ => panic!("{}: no reader for {path}", file.display()),
        };
        assert_eq!(result, Ok(()), "{}", file.display());
        read += 1;
    }
    assert!(read > 50, "only {read} answers were read");
}

#[test]
fn a_rule_against_a_target_is_read_and_an_allowed_target_has_an_empty_entry() {
    let read: guest::Preconditions =
        lenient::read(data("pve91/more/vm-migrate-preconditions-ha-negative-affinity.json")).unwrap();
    let blockers = &read.not_allowed_nodes.0["pve2"].blocking_ha_resources.0;
    assert_eq!((blockers[0].cause.0.as_str(), blockers[0].sid.0.as_str()), ("resource-affinity", "vm:101"));
    assert!(read.not_allowed_nodes.0["pve3"].blocking_ha_resources.0.is_empty());
}

#[test]
fn a_drained_node_shows_its_mode_and_where_its_services_will_be_moved_back_to() {
    let read: ha::ManagerStatus = lenient::read(data("pve91/more/ha-manager_status-maintenance-drained.json")).unwrap();
    let state = read.manager_status.unwrap();
    assert!(state.node_status.0.values().any(|status| status.0 == "maintenance"));
    assert!(state.service_status.0.values().any(|service| service.maintenance_node.is_some()));
    assert!(read.lrm_status.0.values().flatten().any(|lrm| lrm.mode == Some(Text("maintenance".into()))));
}

#[test]
fn ended_tasks_are_not_running_ones() {
    let tasks: List<node::Task> = lenient::read(data("pve91/more/node-tasks.json")).unwrap();
    assert!(!tasks.0.is_empty() && tasks.0.iter().all(|task| !task.is_running()));
    for task in &tasks.0 {
        assert_eq!(upid::parse(&task.upid.0).unwrap().node, "pve1");
    }
}

#[test]
fn apts_simulation_distinguishes_new_packages_from_upgrades() {
    let read = apt::parse(&stdout("pve91/shell/apt-dist-upgrade-simulate.txt")).unwrap();
    assert_eq!(read.installs.len(), 5);
    let kernel = &read.installs[1];
    assert_eq!((kernel.name.as_str(), &kernel.from), ("proxmox-kernel-6.17.14-1-pve-signed", &None));
    let manager = read.installs.iter().find(|install| install.name == "pve-manager").unwrap();
    assert_eq!((manager.from.as_deref(), manager.to.as_str()), (Some("9.1.8"), "9.1.9"));
    assert_eq!(manager.origin, "Proxmox VE:stable");
    assert!(read.removals.is_empty());
}

#[test]
fn quorum_is_read_in_good_and_bad_states() {
    let healthy = quorumtool::parse(&stdout("pve91/shell/corosync-quorumtool-s.txt")).unwrap();
    assert_eq!((healthy.quorate, healthy.total_votes, healthy.quorum, healthy.members.len()), (true, 3, 2, 3));
    let lost = quorumtool::parse(&stdout("pve91/more-shell/corosync-quorumtool-s-noquorum.txt")).unwrap();
    assert_eq!((lost.quorate, lost.total_votes, lost.quorum, lost.members.len()), (false, 1, 2, 1));
    let device = quorumtool::parse(&fixture("debian/corosync-quorumtool-s-qdevice.txt")).unwrap();
    assert_eq!(device.qdevice, Some(quorumtool::QdeviceLine { votes: 1, casting: true }));
    assert_eq!(device.members[0].qdevice.as_deref(), Some("A,V,NMW"));
    assert_eq!((device.members.len(), device.members[0].name.as_str()), (3, "node1"));
    assert!(quorumtool::parse(&fixture("debian/corosync-quorumtool-s-not-running.txt")).is_err());
    for name in ["one-down", "isolated-node3", "link0-cut", "expected1", "after-rejoin", "mixed-3.1.9-3.1.7"] {
        quorumtool::parse(&fixture(&format!("debian/corosync-quorumtool-s-{name}.txt"))).unwrap();
    }
}

#[test]
fn links_are_read_with_one_cut_and_with_a_node_down() {
    let cut = cfgtool::parse(&fixture("debian/corosync-cfgtool-n-link0-cut.txt")).unwrap();
    assert_eq!(cut[1].links, [(0, false), (1, true)]);
    let down = cfgtool::parse(&fixture("debian/corosync-cfgtool-n-one-down.txt")).unwrap();
    assert_eq!(down.len(), 1, "an unreachable node is not listed");
    assert_eq!(cfgtool::parse(&stdout("pve91/shell/corosync-cfgtool-n.txt")).unwrap().len(), 2);
}

#[test]
fn corosync_conf_gives_names_ids_votes_and_links() {
    let conf = corosync_conf::parse(&fixture("debian/corosync.conf")).unwrap();
    assert_eq!(conf.cluster_name.as_deref(), Some("labpve"));
    assert_eq!(conf.nodes.len(), 3);
    assert_eq!((conf.nodes[2].name.0.as_str(), conf.nodes[2].links().len()), ("node3", 2));
}

#[test]
fn guests_are_read_as_the_node_lists_them() {
    let running = qm_list::parse(&stdout("pve91/shell/qm-list-pve1.txt")).unwrap();
    assert_eq!(
        running.iter().map(|line| (line.vmid, line.name.as_str())).collect::<Vec<_>>(),
        [(102, "db1"), (103, "localdisk")]
    );
    let stopped = qm_list::parse(&stdout("pve91/more-shell/qm-list-noquorum.txt")).unwrap();
    assert!(stopped.iter().all(|line| line.status == "stopped"));
    assert_eq!(pct_list::parse(&stdout("pve91/shell/pct-list-empty.txt")), Ok(vec![]));
}

#[test]
fn ceph_is_read_from_the_api_and_from_its_own_tools_in_good_and_bad_states() {
    let noout: ceph::Status = lenient::read(data("pve91/more/ceph-status-noout.json")).unwrap();
    assert!(noout.health.unwrap().checks.0.contains_key("OSDMAP_FLAGS"));
    let down: ceph::Status = lenient::read_text(&stdout("pve91/more-shell/ceph-s-json-pve3-rebooting.txt")).unwrap();
    assert_eq!(down.quorum_names.unwrap().0, [Text("pve1".into()), Text("pve2".into())]);
    let dump: ceph::OsdDump = lenient::read_text(&stdout("pve91/more-shell/ceph-osd-dump-json-noout.txt")).unwrap();
    assert!(dump.flags.unwrap().0.starts_with("noout,"));
    let down: ceph::OsdDump =
        lenient::read_text(&stdout("pve91/more-shell/ceph-osd-dump-json-pve3-rebooting.txt")).unwrap();
    let up: Vec<bool> = down.osds.unwrap().0.iter().map(|osd| osd.up.0).collect();
    assert_eq!(up, [true, true, false]);
    let no: ceph::OkToStop = lenient::read_text(&fixture("debian/ok-to-stop-osd-two-nodes-NO.txt")).unwrap();
    assert_eq!(no.ok_to_stop, Some(Flag(false)));
    for (file, value) in files("debian-json") {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        if name.starts_with("ceph-s-") {
            let status: ceph::Status = lenient::read(value).unwrap();
            assert!(status.health.is_some() && status.pgmap.is_some() && status.quorum_names.is_some(), "{name}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(400) })]

    /// Any bytes: an error or a value, never a panic.
    #[test]
    fn no_parser_panics_on_any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        feed(&String::from_utf8_lossy(&bytes));
    }

    /// Lines of the words that the parsers look for, in any order.
    #[test]
    fn no_parser_panics_on_scrambled_outputs(words in proptest::collection::vec(word(), 0..60)) {
        feed(&words.concat());
    }

    /// Genuine outputs, cut and with one byte changed.
    #[test]
    fn no_parser_panics_on_damaged_genuine_outputs(which in 0..GENUINE.len(), at in 0usize..4000, byte in any::<u8>(), cut in 0usize..4000) {
        let mut bytes = fixture(GENUINE[which]).into_bytes();
        if let Some(place) = bytes.get_mut(at) {
            *place = byte;
        }
        bytes.truncate(cut.max(1));
        feed(&String::from_utf8_lossy(&bytes));
    }

    /// Any JSON, read as any shape.
    #[test]
    fn no_shape_panics_on_any_json(value in json()) {
        feed_json(&value);
    }
}

const GENUINE: [&str; 6] = [
    "pve91/shell/apt-dist-upgrade-simulate.txt",
    "pve91/shell/corosync-quorumtool-s.txt",
    "pve91/shell/corosync-cfgtool-n.txt",
    "pve91/shell/qm-list-pve1.txt",
    "debian/corosync-quorumtool-s-qdevice.txt",
    "debian/corosync.conf",
];

fn word() -> impl Strategy<Value = String> {
    let words = [
        "\n",
        " ",
        "  ",
        ":",
        "=",
        ",",
        "[",
        "]",
        "(",
        ")",
        "{",
        "}",
        "é",
        "0",
        "1",
        "0x1",
        "99999999999",
        "-1",
        "Inst ",
        "Remv ",
        "Nodeid",
        "Node ID: ",
        "Quorate: ",
        "Expected votes: ",
        "Total votes: ",
        "Quorum: ",
        "Flags: ",
        "Qdevice",
        "(votes",
        "(local)",
        "A,V,NMW",
        "Local node ID",
        "nodeid: ",
        "LINK: ",
        "connected",
        "VMID",
        "running",
        "Id=",
        "ActiveState=",
        "Pinned kernel:",
        "6.8.12-9-pve",
        "vmlinuz-",
        "/boot/",
        "UPID:",
        "node {",
        "nodelist {",
        " upgraded, ",
        " newly installed",
        "1.5G",
    ];
    prop_oneof![proptest::sample::select(words.to_vec()).prop_map(str::to_owned), "[ -~]{0,8}"]
}

fn json() -> impl Strategy<Value = Value> {
    let keys = [
        "type",
        "name",
        "vmid",
        "health",
        "checks",
        "pgmap",
        "osds",
        "osd",
        "manager_status",
        "lrm_status",
        "node_status",
        "files",
        "not_allowed_nodes",
        "local_disks",
        "status",
        "quorum_names",
        "crush_node_flags",
        "migration",
        "scsi0",
        "nodes",
    ];
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        ".{0,12}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 48, 6, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            proptest::collection::btree_map(
                proptest::sample::select(keys.to_vec()).prop_map(str::to_owned),
                inner,
                0..6
            )
            .prop_map(Value::from_iter),
        ]
    })
}

fn feed(text: &str) {
    let _ = apt::parse(text);
    let _ = cfgtool::parse(text);
    let _ = corosync_conf::parse(text);
    let _ = df::parse(text);
    let _ = (dpkg::parse_query(text), dpkg::parse_audit(text));
    let _ = (kernels::parse_files(text), kernels::parse_pins(text));
    let _ = (qm_list::parse(text), pct_list::parse(text));
    let _ = quorumtool::parse(text);
    let _ = (
        systemctl::parse_failed(text),
        systemctl::parse_show(text).map(|units| units.iter().map(|unit| unit.number()).sum::<u32>()),
    );
    let _ = (property::Properties::parse(text), property::size_bytes(text), lenient::flag(text));
    let _ = (upid::parse(text), program(text));
    let _ = lenient::read_text::<ceph::OsdDump>(text);
}

fn feed_json(value: &Value) {
    let _ = lenient::read::<cluster::Status>(value.clone());
    let _ = lenient::read::<List<cluster::ConfigNode>>(value.clone());
    let _ = lenient::read::<List<cluster::GuestEntry>>(value.clone());
    let _ = lenient::read::<cluster::Options>(value.clone());
    let _ = lenient::read::<cluster::Permissions>(value.clone());
    let _ = lenient::read::<List<cluster::StorageEntry>>(value.clone());
    let _ = lenient::read::<ha::ManagerStatus>(value.clone());
    let _ = lenient::read::<List<ha::Rule>>(value.clone());
    let _ = lenient::read::<ceph::Status>(value.clone());
    let _ = lenient::read::<ceph::Metadata>(value.clone());
    let _ = lenient::read::<ceph::OsdDump>(value.clone());
    let _ = lenient::read::<guest::Preconditions>(value.clone());
    let _ = lenient::read::<guest::Config>(value.clone()).map(|config| config.numbered(&["scsi"]).count());
    let _ = lenient::read::<node::Repositories>(value.clone());
    let _ = lenient::read::<node::Status>(value.clone());
}
