//! The configuration file, right and wrong.

use super::*;

const FINGERPRINT: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
const HOST_KEY: &str = "SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

fn file(nodes: &str, auth: &str, rest: &str) -> String {
    format!("[cluster]\nnodes = [\n{nodes}]\n\n[auth]\n{auth}\n{rest}")
}

fn node(name: &str, api: &str) -> String {
    format!("  {{ name = \"{name}\", api = \"{api}\", fingerprint = \"{FINGERPRINT}\", host-key = \"{HOST_KEY}\" }},\n")
}

const AUTH: &str = "token-id = \"root@pam!quorate\"\ntoken-secret = \"0-1-2\"";

fn error(text: &str) -> String {
    parse(Path::new("q.toml"), text).unwrap_err().to_string()
}

#[test]
fn a_complete_file_is_understood_and_what_it_leaves_out_has_defaults() {
    let nodes =
        node("pve1", "https://192.0.2.11") + &node("pve2", "[2001:db8::2]:8443") + &node("pve3", "pve3.example:1");
    let text = file(&nodes, AUTH, "[policy]\nlast = [\"pve1\"]\nguests = { \"vm:105\" = \"shutdown\" }\n");
    let config = parse(Path::new("conf/q.toml"), &text).unwrap();
    let api: Vec<_> = config.nodes.iter().map(|node| (node.api.0.as_str(), node.api.1)).collect();
    assert_eq!(api, [("192.0.2.11", 8006), ("2001:db8::2", 8443), ("pve3.example", 1)]);
    assert_eq!(config.nodes[1].ssh, ("2001:db8::2".to_owned(), 22));
    assert!(config.nodes[0].fingerprint.starts_with("00:11:22:"));
    assert_eq!(config.journal, Path::new("conf/quorate.db"));
    assert_eq!(config.policy.last, ["pve1".into()]);
    assert_eq!(config.lab, None);
}

#[test]
fn an_unknown_key_is_reported_with_its_place_and_the_line_itself() {
    let text = file(&node("pve1", "a"), AUTH, "[policy]\nheadrom-percent = 5\n");
    let message = error(&text);
    let lines: Vec<&str> = message.lines().collect();
    assert!(lines[0].starts_with("q.toml:10:1: unknown field `headrom-percent`, expected one of"), "{message}");
    assert!(lines[0].contains("`headroom-percent`"), "{message}");
    assert_eq!(lines[2], "10 | headrom-percent = 5");
    assert_eq!(lines[3], "   | ^^^^^^^^^^^^^^^");
}

#[test]
fn the_mark_stands_below_the_mistake_where_letters_are_wide() {
    let text = file(&node("pve1", "a"), AUTH, "[policy]\nguests = { \"電話\" = \"shutdown\", \"網\" = \"eject\" }\n");
    let message = error(&text);
    let lines: Vec<&str> = message.lines().collect();
    assert!(lines[0].starts_with("q.toml:10:31: "), "{message}");
    assert_eq!(lines[2], "10 | guests = { \"電話\" = \"shutdown\", \"網\" = \"eject\" }");
    assert_eq!(lines[3], format!("   | {:32}^^^^", ""), "{message}");
}

#[test]
fn each_mistake_is_reported_at_its_place() {
    let good = node("pve1", "a");
    let cases = [
        (file("", AUTH, ""), "q.toml:2:9", "no node is listed"),
        (file(&(good.clone() + &good), AUTH, ""), "q.toml:4:12", "pve1 is listed twice"),
        (file(&node("pve 1", "a"), AUTH, ""), "q.toml:3:12", "short host name"),
        (file(&node("pve1", "a:99999"), AUTH, ""), "q.toml:3:26", "port"),
        (file(&node("pve1", "a/b"), AUTH, ""), "q.toml:3:26", "an address is"),
        (file(&good.replace(FINGERPRINT, "00:11"), AUTH, ""), "q.toml:3:45", "64 hexadecimal digits; this has 4"),
        (file(&good.replace(HOST_KEY, "ssh-ed25519 AAAA"), AUTH, ""), "q.toml:3", "SHA256:"),
        (file(&good, "token-id = \"root\"\ntoken-secret = \"x\"", ""), "q.toml:7:12", "user@realm!name"),
        (file(&good, "token-id = \"root@pam!q\"", ""), "q.toml:6", "exactly one of"),
        (
            file(&good, "token-id = \"root@pam!q\"\ntoken-secret-file = \"none\"", ""),
            "q.toml:8:21",
            "none cannot be read",
        ),
        (file(&good, AUTH, "[policy]\nlast = [\"pve9\"]"), "q.toml", "pve9, which is not in [cluster] nodes"),
        (file(&good, AUTH, "[policy]\nguests = { \"105\" = \"shutdown\" }"), "q.toml:10:12", "not a guest id"),
        (file(&good, AUTH, "[policy]\nreboot = \"never\""), "q.toml:10:10", "unknown variant `never`"),
        (
            file(&good, AUTH, "[policy]\nstorage-map = [[\"a\", \"b\"], [\"c\", \"a\"]]"),
            "q.toml",
            "has a in two groups",
        ),
        (file(&good, AUTH, "[policy]\nstorage-map = [[\"a\"]]"), "q.toml", "two or more storages"),
        (file(&good, AUTH, "[lab]\ntime-factor = 0\nstart-ms = 1\nbegan-ms = 1"), "q.toml:10:15", "from 1 to 100000"),
        ("[cluster]\nnodes = [\n".to_owned(), "q.toml:", "array"),
        ("[auth]\n".to_owned(), "q.toml", "missing field"),
    ];
    for (text, place, what) in cases {
        let message = error(&text);
        assert!(message.starts_with(place) && message.contains(what), "{place} {what}\n{message}\n{text}");
    }
}

#[test]
fn a_secret_is_never_printed() {
    let text = file(&node("pve1", "a"), AUTH, "");
    let config = parse(Path::new("q.toml"), &text).unwrap();
    assert!(!format!("{config:?}").contains("0-1-2"));
}

#[test]
fn a_host_key_comes_from_the_node_or_from_a_known_hosts_file_and_never_from_nowhere() {
    let nodes = node("pve1", "a").replace(&format!(", host-key = \"{HOST_KEY}\""), "");
    assert!(error(&file(&nodes, AUTH, "")).starts_with("q.toml:3:3: the node's SSH key is not known"));
    let auth = format!("{AUTH}\nknown-hosts = \"known_hosts\"");
    let config = parse(Path::new("conf/q.toml"), &file(&nodes, &auth, "")).unwrap();
    assert_eq!(config.nodes[0].host_key, HostKeyConfig::KnownHosts(PathBuf::from("conf/known_hosts")));
}
