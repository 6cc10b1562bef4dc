//! The lab as other programs see it: the shipped live client, and the `curl` and `ssh` of the system where they are
//! installed.

#![allow(clippy::disallowed_methods, reason = "the test runs other programs and gives them files")]

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::sync::Arc;

use quorate_core::ids::NodeName;
use quorate_lab::{Lab, LabOptions, Port};
use quorate_pve::live::{self, HostKey, LiveClock, LiveConfig, NodeEndpoint, Secret, SshKey, Timeouts};
use quorate_pve::observe::{Look, observe};
use quorate_world::cluster_file::{DEMO, world_from_toml};

async fn lab(number: u8, time_factor: u32) -> Lab {
    let world = world_from_toml(DEMO, 1).expect("the demo cluster builds");
    let first_address = Ipv4Addr::new(127, 77, number, 1);
    let options = LabOptions { time_factor, first_address, api_port: Port::Free, ssh_port: Port::Free };
    Lab::start(world, options).await.expect("the lab starts")
}

/// A directory of its own for keys, which goes away with the test.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("quorate-lab-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&path).expect("a directory can be made");
        Self(path)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        use std::os::unix::fs::PermissionsExt;
        let path = self.0.join(name);
        std::fs::write(&path, text).expect("a file can be written");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("and made private");
        path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_live_client_looks_at_the_lab_and_leaves_nothing_unknown() {
    let lab = lab(20, 1).await;
    let nodes = lab.endpoints().values().map(|endpoint| NodeEndpoint {
        name: endpoint.node.clone(),
        api: (endpoint.api.ip().to_string(), endpoint.api.port()),
        fingerprint: endpoint.fingerprint.clone(),
        ssh: (endpoint.ssh.ip().to_string(), endpoint.ssh.port()),
        host_key: HostKey::Fingerprint(endpoint.host_key_fingerprint.clone()),
    });
    let (token_id, secret) = lab.token();
    let config = LiveConfig {
        nodes: nodes.collect(),
        token_id: token_id.to_owned(),
        token_secret: Secret::new(secret),
        ssh_keys: vec![SshKey { path: "id".into(), text: Secret::new(lab.ssh_private_key()) }],
        timeouts: Timeouts::default(),
    };
    let clock = Arc::new(LiveClock::scaled(lab.clock().now(), f64::from(lab.clock().factor())));
    let ports = live::ports(config, clock).expect("the configuration is good");
    let snapshot = observe(&ports, Look::full()).await;
    assert_eq!(snapshot.gaps(), []);
    assert_eq!(snapshot.guests.len(), lab.with_world(|world| world.guests.len()));
}

fn run(program: &str, args: &[&str]) -> Option<Output> {
    match Command::new(program).args(args).output() {
        Ok(output) => Some(output),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => panic!("{program}: {error}"),
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn openssh_runs_commands_with_the_labs_key_and_known_hosts() {
    let scratch = Scratch::new("ssh");
    let lab = lab(21, 60).await;
    let key = scratch.write("id", lab.ssh_private_key());
    let hosts = scratch.write("known_hosts", &lab.known_hosts());
    let endpoint = lab.endpoints()[&NodeName::from("pve2")].clone();
    let hosts = format!("UserKnownHostsFile={}", hosts.display());
    let (port, at) = (endpoint.ssh.port().to_string(), format!("root@{}", endpoint.ssh.ip()));
    let key = key.display().to_string();
    let options = ["-F", "none", "-o", "StrictHostKeyChecking=yes", "-o", &hosts, "-i", &key, "-p", &port, &at];
    let ssh = |command: &str| {
        let mut args = options.to_vec();
        args.push(command);
        tokio::task::block_in_place(|| run("ssh", &args))
    };
    let Some(output) = ssh("qm list | head -n 1; ha-manager crm-command node-maintenance enable nowhere") else {
        return;
    };
    assert_eq!(output.status.code(), Some(255), "{}", text(&output.stderr));
    assert_eq!(text(&output.stdout).split_whitespace().next(), Some("VMID"));
    assert!(text(&output.stderr).contains("no such cluster node 'nowhere'"), "{}", text(&output.stderr));
    let output = ssh("sh -c 'exit 3' || uname -r").expect("ssh is there");
    assert_eq!(output.status.code(), Some(0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn curl_logs_in_with_a_password_and_changes_something_with_ticket_and_csrf_token() {
    let scratch = Scratch::new("curl");
    let lab = lab(22, 60).await;
    let endpoint = lab.endpoints()[&NodeName::from("pve1")].clone();
    let certificate = scratch.write("pve1.pem", &endpoint.certificate_pem).display().to_string();
    let base = format!("https://{}/api2/json", endpoint.api);
    let curl = |args: &[&str]| {
        let mut all = vec!["-sS", "-i", "--cacert", certificate.as_str()];
        all.extend(args);
        tokio::task::block_in_place(|| run("curl", &all)).map(|output| text(&output.stdout) + &text(&output.stderr))
    };
    let login = format!("username=root@pam&password={}", lab.root_password());
    let Some(answer) = curl(&["-d", &login, &format!("{base}/access/ticket")]) else { return };
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{answer}"));
    assert!(head.starts_with("HTTP/1.1 200 OK\r\n"), "{head}");
    let body: serde_json::Value = serde_json::from_str(body).expect("JSON");
    let cookie = format!("PVEAuthCookie={}", body["data"]["ticket"].as_str().expect("a ticket"));
    let csrf = format!("CSRFPreventionToken: {}", body["data"]["CSRFPreventionToken"].as_str().expect("a token"));
    let flag = format!("{base}/cluster/ceph/flags/noout");
    let without = curl(&["-X", "PUT", "-b", &cookie, "-d", "value=1", &flag]).expect("curl is there");
    assert!(without.starts_with("HTTP/1.1 401 Permission denied - invalid csrf token\r\n"), "{without}");
    let with = curl(&["-X", "PUT", "-b", &cookie, "-H", &csrf, "-d", "value=1", &flag]).expect("curl is there");
    assert!(with.ends_with("{\"data\":null}"), "{with}");
    assert!(lab.with_world(|world| world.ceph.as_ref().is_some_and(|ceph| ceph.flags.contains("noout"))));

    let redirect = format!("http://{}/", endpoint.api);
    let redirect = curl(&[&redirect]).expect("curl is there");
    assert!(redirect.starts_with("HTTP/1.1 301 "), "{redirect}");
}
