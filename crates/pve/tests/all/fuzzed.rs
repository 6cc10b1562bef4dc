//! No parser panics, whatever its input: arbitrary bytes, and mixtures of the words that it looks for.
//!
//! The result does not matter here: an error and an odd reading are both fine. A panic would end a run.

use proptest::collection::vec;
use proptest::prelude::*;
use quorate_pve::wire::*;

type Parser = fn(&str);
type Shape = fn(&serde_json::Value);

/// The parsers of text in each module of `wire`.
const PARSERS: [(&str, Parser); 20] = [
    ("apt", |text| drop(apt::parse(text))),
    ("boot", |text| drop((boot::kept(text, text), boot::efi_free(text)))),
    ("cfgtool", |text| drop(cfgtool::parse(text))),
    ("corosync_conf", |text| drop(corosync_conf::parse(text))),
    ("corosync_journal", |text| drop(corosync_journal::parse(text))),
    ("cpu_models", |text| drop((cpu_models::find(text, "x"), cpu_models::flags(text)))),
    ("df", |text| drop(df::parse(text))),
    ("disks", |text| drop((disks::pools(text), disks::arrays(text), disks::paths(text)))),
    ("dpkg", |text| drop((dpkg::parse_query(text), dpkg::parse_audit(text), dpkg::holds_lock(text)))),
    ("host", |text| drop((host::dkms_modules(text), host::corosync_complaints(text), host::nics(text, text)))),
    ("ip_address", |text| drop(ip_address::parse(text))),
    ("kernels", |text| drop((kernels::parse_files(text), kernels::parse_pins(text)))),
    ("migration_log", |text| {
        let _ = migration_log::transfer(text.lines());
    }),
    ("pct_list", |text| drop(pct_list::parse(text))),
    ("property", |text| drop((property::Properties::parse(text), property::size_bytes(text)))),
    ("qm_list", |text| drop(qm_list::parse(text))),
    ("quorumtool", |text| drop(quorumtool::parse(text))),
    ("systemctl", |text| drop((systemctl::parse_show(text), systemctl::parse_failed(text)))),
    ("upgrade_checker", |text| drop(upgrade_checker::parse("pve8to9", text))),
    ("upid", |text| assert!(upid::parse(text).is_none_or(|upid| text.contains(upid.node)))),
];

/// The shapes of answers of the API in each module of `wire`, which take any JSON.
const SHAPES: [(&str, Shape); 6] = [
    ("ceph", |value| {
        one::<ceph::Status>(value);
        one::<ceph::Metadata>(value);
        if let Ok(osd) = lenient::read::<ceph::OsdDaemon>(value.clone()) {
            let _ = osd.addresses();
        }
        one::<ceph::OsdDump>(value);
        one::<ceph::OkToStop>(value);
    }),
    ("cluster", |value| {
        one::<lenient::List<cluster::StatusEntry>>(value);
        one::<lenient::List<cluster::ConfigNode>>(value);
        one::<cluster::Options>(value);
        one::<lenient::List<cluster::GuestEntry>>(value);
        one::<lenient::List<cluster::StorageEntry>>(value);
        one::<lenient::List<cluster::BackupEntry>>(value);
        one::<lenient::List<cluster::ReplicationEntry>>(value);
        one::<cluster::Permissions>(value);
    }),
    ("guest", |value| {
        one::<guest::Preconditions>(value);
        one::<guest::Current>(value);
        one::<lenient::List<guest::Snapshot>>(value);
        if let Ok(config) = lenient::read::<guest::Config>(value.clone()) {
            let (flag, text) = (config.flag("onboot"), config.text("name"));
            let _ = (flag, text, config.raw_keys("lxc."), config.numbered(&["net"]).count());
            let _ = (config.keys().count(), config.raw());
        }
    }),
    ("ha", |value| {
        one::<ha::ManagerStatus>(value);
        one::<lenient::List<ha::Resource>>(value);
        one::<lenient::List<ha::Rule>>(value);
        one::<lenient::List<ha::Group>>(value);
        one::<lenient::List<ha::CurrentEntry>>(value);
    }),
    ("lenient", |value| {
        one::<lenient::List<lenient::Text>>(value);
        one::<lenient::Map<lenient::Int>>(value);
        one::<lenient::Flag>(value);
        let _ = lenient::flag(&value.to_string());
        let _ = lenient::read_text::<lenient::List<lenient::Int>>(&value.to_string());
    }),
    ("node", |value| {
        one::<node::Status>(value);
        one::<node::MigrationCapabilities>(value);
        one::<node::Repositories>(value);
        one::<node::Subscription>(value);
        one::<lenient::List<node::Service>>(value);
        one::<lenient::List<node::Interface>>(value);
        one::<lenient::List<node::PackageVersion>>(value);
        one::<lenient::List<node::Task>>(value);
        one::<lenient::List<node::Storage>>(value);
        one::<lenient::List<node::Disk>>(value);
    }),
];

fn one<T: serde::de::DeserializeOwned>(value: &serde_json::Value) {
    let _ = lenient::read::<T>(value.clone());
}

/// Every parser of text, and every shape if the text is JSON.
fn all(text: &str) {
    PARSERS.iter().for_each(|(_, parse)| parse(text));
    if let Ok(value) = serde_json::from_str(text) {
        answers(&value);
    }
}

fn answers(value: &serde_json::Value) {
    SHAPES.iter().for_each(|(_, read)| read(value));
}

#[test]
fn no_module_is_left_out() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/wire");
    let files = std::fs::read_dir(folder).unwrap().flatten().map(|entry| entry.path());
    let mut modules: Vec<String> = files.map(|path| path.file_stem().unwrap().to_string_lossy().into_owned()).collect();
    modules.retain(|name| name != "mod");
    modules.sort();
    let mut tried: Vec<&str> =
        PARSERS.iter().map(|(name, _)| *name).chain(SHAPES.iter().map(|(name, _)| *name)).collect();
    tried.sort_unstable();
    assert_eq!(modules, tried);
}

/// A whole answer that is as long as it may be, of one line and of many.
#[test]
fn no_parser_is_slow_or_deep_where_a_text_is_long() {
    for text in ["x".repeat(1 << 20), "1 2 3 4 5 6 7 8\n".repeat(20_000), "[".repeat(1 << 20), "(,".repeat(1 << 19)] {
        all(&text);
    }
}

/// Words that parsers look for, and what may be between them.
fn words() -> impl Strategy<Value = String> {
    let known = vec![
        " ",
        "\n",
        "\t",
        "\r",
        ":",
        ",",
        ";",
        "=",
        "(",
        ")",
        "{",
        "}",
        "[",
        "]",
        "/",
        "-",
        ".",
        "%",
        "\0",
        "ü",
        "\u{1b}[",
        "m",
        "0",
        "1",
        "18446744073709551616",
        "-1",
        "Inst",
        "Remv",
        "Conf",
        "node {",
        "nodelist",
        "quorum_votes:",
        "ring0_addr:",
        "Nodeid",
        "Votes",
        "Qdevice",
        "A,V,NMW",
        "Expected votes:",
        "Quorate:",
        "Yes",
        "link:",
        "connected",
        "localhost",
        "VMID",
        "NAME",
        "STATUS",
        "running",
        "stopped",
        "ActiveState=",
        "Id=",
        "loaded",
        "failed",
        "PASS: ",
        "FAIL: ",
        "= SUMMARY =",
        "TOTAL:",
        "WARN:",
        " is configured with: ",
        "(versions: ",
        "UPID:",
        "vmlinuz-",
        "Pinned kernel:",
        "iface",
        "bridge-ports",
        "bond-slaves",
        "Name=",
        "Retransmit List:",
        "is down",
        "is up",
        "1795348700.123456 pve1 corosync[1050]: ",
        "1795348700 pve1 corosync[1050]: ",
        "A processor failed, forming new configuration",
        "A new membership (",
        "Members joined: ",
        "left: ",
        "Failed to receive the leave message. failed:",
        "link: host: 2 ",
        "within the primary component",
        "within the non-primary component",
        "Avail",
        "/boot/efi",
        "pve-manager",
    ];
    vec(prop::sample::select(known), 0..60).prop_map(|words| words.concat())
}

fn json() -> impl Strategy<Value = serde_json::Value> {
    use serde_json::Value;
    let keys = prop::sample::select(vec![
        "vmid",
        "node",
        "status",
        "storage",
        "avail",
        "files",
        "repositories",
        "errors",
        "crs",
        "ha",
        "migration",
        "lxc",
        "local_disks",
        "not_allowed_nodes",
        "mapped-resource-info",
        "local_resources",
        "memory",
        "cpuinfo",
        "maxmem",
        "net0",
        "health",
        "checks",
        "summary",
        "muted",
        "pgmap",
        "pgs_by_state",
        "num_pgs",
        "mgrmap",
        "standbys",
        "fsmap",
        "by_rank",
        "quorum_names",
        "osds",
        "osd",
        "up",
        "state",
        "pools",
        "min_size",
        "flags",
        "mon",
        "mds",
        "back_addr",
        "ok_to_stop",
        "manager_status",
        "service_status",
        "node_status",
        "lrm_status",
        "timestamp",
        "sid",
        "failback",
        "rule",
        "resources",
        "nodes",
        "strict",
        "type",
        "armed-state",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        words().prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 6, move |inner| {
        prop_oneof![
            vec(inner.clone(), 0..6).prop_map(Value::Array),
            vec((keys.clone(), inner), 0..6).prop_map(|pairs| Value::Object(
                pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()
            )),
        ]
    })
}

proptest! {
    #[test]
    fn no_bytes_make_a_parser_panic(bytes in vec(any::<u8>(), 0..600)) {
        all(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn no_mixture_of_known_words_makes_a_parser_panic(text in words()) {
        all(&text);
    }

    #[test]
    fn no_json_makes_the_shape_of_an_answer_panic(value in json()) {
        answers(&value);
    }
}
