//! No parser panics, whatever its input: arbitrary bytes, and mixtures of the words that it looks for.
//!
//! The result does not matter here: an error and an odd reading are both fine. A panic would end a run.

use proptest::collection::vec;
use proptest::prelude::*;
use quorate_pve::wire::*;

/// Every parser of text.
fn all(text: &str) {
    let _ = (apt::parse(text), boot::kept(text, text), boot::efi_free(text), cfgtool::parse(text));
    let _ = (
        corosync_conf::parse(text),
        corosync_journal::parse(text),
        df::parse(text),
        dpkg::parse_query(text),
        dpkg::parse_audit(text),
    );
    let _ = (dpkg::holds_lock(text), host::dkms_modules(text), host::corosync_complaints(text), host::nics(text, text));
    let _ = (kernels::parse_files(text), kernels::parse_pins(text), pct_list::parse(text), qm_list::parse(text));
    let _ = (quorumtool::parse(text), systemctl::parse_show(text), systemctl::parse_failed(text), upid::parse(text));
    let _ = (property::Properties::parse(text), property::size_bytes(text), lenient::flag(text));
    let _ = upgrade_checker::parse("pve8to9", text);
}

/// Every shape of an answer of the API, from any JSON.
fn answers(value: &serde_json::Value) {
    fn one<T: serde::de::DeserializeOwned>(value: &serde_json::Value) {
        let _ = lenient::read::<T>(value.clone());
    }
    one::<cluster::Options>(value);
    one::<lenient::List<cluster::GuestEntry>>(value);
    one::<lenient::List<cluster::StorageEntry>>(value);
    one::<lenient::List<cluster::BackupEntry>>(value);
    one::<lenient::List<cluster::ReplicationEntry>>(value);
    one::<cluster::Permissions>(value);
    one::<node::Status>(value);
    one::<node::Repositories>(value);
    one::<node::Subscription>(value);
    one::<lenient::List<node::Service>>(value);
    one::<lenient::List<node::Task>>(value);
    one::<lenient::List<node::Storage>>(value);
    one::<guest::Preconditions>(value);
    one::<guest::Current>(value);
    one::<ceph::Status>(value);
    one::<ceph::Metadata>(value);
    if let Ok(osd) = lenient::read::<ceph::OsdDaemon>(value.clone()) {
        let _ = osd.addresses();
    }
    one::<ceph::OsdDump>(value);
    one::<ceph::OkToStop>(value);
    one::<ha::ManagerStatus>(value);
    one::<lenient::List<ha::Resource>>(value);
    one::<lenient::List<ha::Rule>>(value);
    one::<lenient::List<ha::Group>>(value);
    one::<lenient::List<ha::CurrentEntry>>(value);
    if let Ok(config) = lenient::read::<guest::Config>(value.clone()) {
        let _ =
            (config.flag("onboot"), config.text("name"), config.raw_keys("lxc."), config.numbered(&["net"]).count());
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
