//! The demo cluster served on loopback, asked over real HTTPS and real SSH.

#![allow(clippy::disallowed_methods, reason = "these tests compare the lab with the wall clock")]

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::ext::ReasonPhrase;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use quorate_core::ids::NodeName;
use quorate_lab::{Endpoint, Lab, LabOptions, Port};
use quorate_world::cluster_file::{DEMO, world_from_toml};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

/// Accepts any certificate; the test compares its fingerprint itself.
#[derive(Debug)]
struct TrustAll;

impl ServerCertVerifier for TrustAll {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }
    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }
    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }
    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        rustls::crypto::ring::default_provider().signature_verification_algorithms.supported_schemes()
    }
}

async fn lab(number: u8, factor: u32) -> Lab {
    let world = world_from_toml(DEMO, 1).expect("the demo cluster builds");
    let options = LabOptions {
        time_factor: factor,
        first_address: Ipv4Addr::new(127, 77, number, 1),
        api_port: Port::Free,
        ssh_port: Port::Free,
    };
    Lab::start(world, options).await.expect("the lab starts")
}

fn endpoint<'a>(lab: &'a Lab, node: &str) -> &'a Endpoint {
    &lab.endpoints()[&NodeName::from(node)]
}

struct Answer {
    status: u16,
    reason: String,
    headers: hyper::HeaderMap,
    body: Value,
    certificate: Vec<u8>,
}

async fn ask(address: SocketAddr, request: Request<Full<Bytes>>) -> std::io::Result<Answer> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("ring has the default protocols")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(TrustAll))
        .with_no_client_auth();
    let stream = TcpStream::connect(address).await?;
    let name = ServerName::from(address.ip());
    let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
    let certificate = stream.get_ref().1.peer_certificates().expect("a server shows one")[0].to_vec();
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(std::io::Error::other)?;
    tokio::spawn(connection);
    let response: Response<_> = sender.send_request(request).await.map_err(std::io::Error::other)?;
    let (parts, body) = response.into_parts();
    let reason = parts.extensions.get::<ReasonPhrase>().map(|reason| reason.as_bytes().to_vec());
    let reason = reason.map_or_else(
        || parts.status.canonical_reason().unwrap_or_default().to_owned(),
        |bytes| String::from_utf8_lossy(&bytes).into_owned(),
    );
    let bytes = body.collect().await.map_err(std::io::Error::other)?.to_bytes();
    let body = if bytes.is_empty() { Value::Null } else { serde_json::from_slice(&bytes).expect("JSON") };
    Ok(Answer { status: parts.status.as_u16(), reason, headers: parts.headers, body, certificate })
}

fn request(lab: &Lab, method: &str, path: &str, body: &'static str) -> Request<Full<Bytes>> {
    let (id, secret) = lab.token();
    Request::builder()
        .method(method)
        .uri(format!("/api2/json{path}"))
        .header("Host", "lab")
        .header("Authorization", format!("PVEAPIToken={id}={secret}"))
        .header("Content-Type", "application/x-www-form-urlencoded")
        .body(Full::from(body))
        .expect("a request")
}

async fn get(lab: &Lab, node: &str, path: &str) -> Answer {
    ask(endpoint(lab, node).api, request(lab, "GET", path, "")).await.expect("the node answers")
}

struct Trusting;

impl russh::client::Handler for Trusting {
    type Error = russh::Error;

    async fn check_server_key(&mut self, _: &russh::keys::PublicKeyOrCertificate) -> Result<bool, Self::Error> {
        Ok(true)
    }
}

type SshClient = russh::client::Handle<Trusting>;

async fn ssh(lab: &Lab, node: &str) -> Result<SshClient, russh::Error> {
    let key = russh::keys::PrivateKey::from_openssh(lab.ssh_private_key()).expect("the lab's key is one");
    ssh_with(endpoint(lab, node).ssh, key).await
}

async fn ssh_with(address: SocketAddr, key: russh::keys::PrivateKey) -> Result<SshClient, russh::Error> {
    let config = Arc::new(russh::client::Config::default());
    let mut client = russh::client::connect(config, address, Trusting).await?;
    let key = russh::keys::PrivateKeyWithHashAlg::new(Arc::new(key), None);
    match client.authenticate_publickey("root", key).await?.success() {
        true => Ok(client),
        false => Err(russh::Error::NotAuthenticated),
    }
}

async fn run(client: &SshClient, command: &str) -> (u32, String, String) {
    let mut channel = client.channel_open_session().await.expect("a channel");
    channel.exec(true, command).await.expect("exec");
    let (mut status, mut stdout, mut stderr) = (u32::MAX, Vec::new(), Vec::new());
    while let Some(message) = channel.wait().await {
        match message {
            russh::ChannelMsg::Data { data } => stdout.extend_from_slice(&data),
            russh::ChannelMsg::ExtendedData { data, .. } => stderr.extend_from_slice(&data),
            russh::ChannelMsg::ExitStatus { exit_status } => status = exit_status,
            _ => {}
        }
    }
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    (status, text(stdout), text(stderr))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_api_answers_on_every_node_with_the_certificate_that_the_cluster_names() {
    let lab = lab(10, 1).await;
    let list = get(&lab, "pve1", "/nodes").await;
    assert_eq!((list.status, list.reason.as_str()), (200, "OK"));
    for (name, endpoint) in lab.endpoints() {
        let answer = ask(endpoint.api, request(&lab, "GET", "/version", "")).await.expect("the node answers");
        assert_eq!(answer.body["data"]["release"], "9.1");
        let hash = ring::digest::digest(&ring::digest::SHA256, &answer.certificate);
        let seen = hash.as_ref().iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(":");
        assert_eq!(seen, endpoint.fingerprint);
        let entries = list.body["data"].as_array().expect("a list");
        let entry = entries.iter().find(|entry| entry["node"] == name.as_str()).expect("the node is listed");
        assert_eq!(entry["ssl_fingerprint"], seen);
    }
    let status = get(&lab, "pve2", "/cluster/status").await;
    let local = status.body["data"].as_array().expect("a list").iter().find(|entry| entry["local"] == 1);
    assert_eq!(local.expect("one is local")["ip"], "127.77.10.2");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_carries_its_text_in_the_reason_phrase_and_closes_the_connection() {
    let lab = lab(11, 60).await;
    let answer = get(&lab, "pve1", "/nodes/pve1/qemu/999/config").await;
    let text = "Configuration file 'nodes/pve1/qemu-server/999.conf' does not exist";
    assert_eq!((answer.status, answer.reason.as_str()), (500, text));
    assert_eq!(answer.body["message"], format!("{text}\n"));
    assert_eq!(answer.headers["connection"], "close");
    assert_eq!(answer.headers["server"], "pve-api-daemon/3.0");
    assert_eq!(answer.headers["content-type"], "application/json;charset=UTF-8");

    let nobody = Request::get("/api2/json/nodes").header("Host", "lab").body(Full::default()).expect("a request");
    let before = lab.clock().now();
    let answer = ask(endpoint(&lab, "pve1").api, nobody).await.expect("the node answers");
    assert_eq!((answer.status, answer.reason.as_str(), answer.body), (401, "No ticket", Value::Null));
    assert!(lab.clock().now().since_s(before) >= 3, "a 401 comes after three seconds of the lab's time");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shell_runs_commands_as_root_with_their_exit_status() {
    let lab = lab(12, 60).await;
    let client = ssh(&lab, "pve1").await.expect("the key is accepted");
    let (status, stdout, _) = run(&client, "env LC_ALL=C corosync-quorumtool -s").await;
    assert_eq!(status, 0);
    assert!(stdout.contains("Quorate:          Yes\n"), "{stdout}");
    let (status, _, stderr) = run(&client, "foo --bar").await;
    assert_eq!((status, stderr.as_str()), (127, "bash: line 1: foo: command not found\n"));
    let (_, boot, _) = run(&client, "cat /proc/sys/kernel/random/boot_id").await;
    assert_eq!(boot.trim(), lab.with_world(|world| world.nodes[&NodeName::from("pve1")].boot_id.to_string()));

    let stranger = russh::keys::ssh_key::private::Ed25519Keypair::from_seed(&[9; 32]).into();
    assert!(ssh_with(endpoint(&lab, "pve1").ssh, stranger).await.is_err(), "only the lab's key is accepted");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_power_cut_is_silent_open_connections_hang_and_new_ones_get_no_answer_until_the_machine_is_back() {
    let lab = lab(13, 60).await;
    let node = NodeName::from("pve2");
    let client = ssh(&lab, "pve2").await.expect("the key is accepted");
    let (_, before, _) = run(&client, "cat /proc/sys/kernel/random/boot_id").await;
    let mut waiting = tokio::spawn(async move {
        let answer = run(&client, "sleep 20").await;
        (answer, client)
    });
    tokio::time::sleep(Duration::from_millis(100)).await;
    lab.with_world(|world| world.power_off(&node));
    // The command would have ended by now, if the machine still ran.
    let hangs = tokio::time::timeout(Duration::from_secs(1), &mut waiting).await;
    assert!(hangs.is_err(), "nobody says that the connection is gone");
    let answer = tokio::time::timeout(Duration::from_millis(300), get(&lab, "pve2", "/version")).await;
    assert!(answer.is_err(), "nothing answers, not even with a refusal");
    let answer = get(&lab, "pve1", "/nodes/pve2/status").await;
    assert_eq!((answer.status, answer.reason.as_str()), (595, "No route to host"));
    assert_eq!(answer.body, Value::Null);

    lab.with_world(|world| world.power_on(&node));
    let ended = tokio::time::timeout(Duration::from_secs(5), waiting).await.expect("the session is cut").unwrap();
    assert_eq!(ended.0.0, u32::MAX, "the machine that is back knows nothing of it");
    let mut boot = String::new();
    for _ in 0..100 {
        tokio::time::sleep(Duration::from_millis(100)).await;
        if let Ok(client) = ssh(&lab, "pve2").await {
            boot = run(&client, "cat /proc/sys/kernel/random/boot_id").await.1;
            break;
        }
    }
    assert!(!boot.is_empty(), "the node came back on the same port");
    assert_ne!(boot, before);
}
