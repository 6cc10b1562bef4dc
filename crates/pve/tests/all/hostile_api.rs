//! The live API against peers that accept and never answer, that send without end, and that repeat our secret.
#![allow(clippy::disallowed_methods, reason = "real sockets in real time")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use quorate_core::ids::UnixMs;
use quorate_pve::live::{HostKey, LiveClock, LiveConfig, NodeEndpoint, Secret, Timeouts, ports, probe_fingerprint};
use quorate_pve::observe::{Look, observe};
use quorate_pve::ports::{ApiError, ApiRequest, Ports};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls;

const TOKEN: &str = "01234567-89ab-cdef-0123-456789abcdef";

/// What a peer does with a request.
#[derive(Clone, Copy, PartialEq)]
enum Manner {
    /// Answers.
    Answers,
    /// Reads, and is silent.
    Hangs,
    /// Answers the first request on each connection only.
    HangsLater,
    /// Sends this many bytes of a JSON text.
    Sends(usize),
    /// Sends this many bytes of a header.
    SendsHead(usize),
    /// Sends a JSON text with this many values.
    SendsValues(usize),
    /// Answers with our own token in many forms.
    Repeats,
}

struct Peer {
    address: SocketAddr,
    fingerprint: String,
    connections: Arc<AtomicUsize>,
    requests: Arc<AtomicUsize>,
}

async fn peer(manner: Manner) -> Peer {
    let key = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    let der = rustls::pki_types::PrivateKeyDer::try_from(key.signing_key.serialize_der()).unwrap();
    let config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![key.cert.der().clone()], der)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (connections, requests) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (made, asked) = (connections.clone(), requests.clone());
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            made.fetch_add(1, Ordering::SeqCst);
            let (acceptor, asked) = (acceptor.clone(), asked.clone());
            tokio::spawn(async move {
                if let Ok(stream) = acceptor.accept(stream).await {
                    // It ends when the client has had enough.
                    let _ = talk(stream, manner, &asked).await;
                }
            });
        }
    });
    let fingerprint = probe_fingerprint(&(address.ip().to_string(), address.port())).await.unwrap();
    connections.store(0, Ordering::SeqCst);
    Peer { address, fingerprint, connections, requests }
}

async fn talk(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    manner: Manner,
    asked: &AtomicUsize,
) -> std::io::Result<()> {
    for number in 0.. {
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            request.push(stream.read_u8().await?);
        }
        asked.fetch_add(1, Ordering::SeqCst);
        match manner {
            Manner::Hangs => std::future::pending().await,
            Manner::HangsLater if number > 0 => std::future::pending().await,
            Manner::Sends(bytes) => {
                stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n{\"data\":\"").await?;
                send(&mut stream, bytes, b"xxxxxxxxxxxxxxxx").await?;
                stream.write_all(b"\"}").await?;
                return stream.shutdown().await;
            }
            Manner::SendsHead(bytes) => {
                stream.write_all(b"HTTP/1.1 200 OK\r\nX-Long: ").await?;
                send(&mut stream, bytes, b"xxxxxxxxxxxxxxxx").await?;
                stream.write_all(b"\r\n\r\n").await?;
                return stream.shutdown().await;
            }
            Manner::SendsValues(values) => {
                stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n{\"data\":[0").await?;
                send(&mut stream, values * 2, b",0").await?;
                stream.write_all(b"]}").await?;
                return stream.shutdown().await;
            }
            Manner::Repeats => {
                let encoded = TOKEN.replace('-', "%2D");
                let body = format!(
                    r#"{{"data":{{"{TOKEN}":["{encoded}","MDEyMzQ1NjctODlhYi1jZGVmLTAxMjMtNDU2Nzg5YWJjZGVm"]}}}}"#
                );
                stream
                    .write_all(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()).as_bytes())
                    .await?;
            }
            Manner::Answers | Manner::HangsLater => {
                let body = r#"{"data":[]}"#;
                stream
                    .write_all(format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len()).as_bytes())
                    .await?;
            }
        }
        stream.flush().await?;
    }
    Ok(())
}

async fn send(stream: &mut (impl AsyncWrite + Unpin), bytes: usize, pattern: &[u8]) -> std::io::Result<()> {
    let chunk = pattern.repeat((64 << 10) / pattern.len());
    for sent in (0..bytes).step_by(chunk.len()) {
        stream.write_all(&chunk[..chunk.len().min(bytes - sent) / pattern.len() * pattern.len()]).await?;
    }
    Ok(())
}

fn live(peers: &[(&str, &Peer)]) -> Ports {
    live_at(LiveClock::wall(), peers)
}

fn live_at(clock: LiveClock, peers: &[(&str, &Peer)]) -> Ports {
    let node = |(name, peer): &(&str, &Peer)| NodeEndpoint {
        name: (*name).into(),
        api: (peer.address.ip().to_string(), peer.address.port()),
        fingerprint: peer.fingerprint.clone(),
        ssh: ("127.0.0.1".into(), 1),
        host_key: HostKey::Fingerprint("SHA256:none".into()),
    };
    let second = Duration::from_secs(1);
    let config = LiveConfig {
        nodes: peers.iter().map(node).collect(),
        token_id: "root@pam!quorate".into(),
        token_secret: Secret::new(TOKEN),
        ssh_keys: vec![],
        timeouts: Timeouts { connect: second * 2, answer: second * 9, read: second * 2, rest: second * 60 },
    };
    ports(config, Arc::new(clock)).unwrap()
}

fn reason(error: &ApiError) -> String {
    error.to_string()
}

#[tokio::test]
async fn an_endpoint_that_hangs_is_left_for_the_others_and_asked_again_only_when_nobody_else_answers() {
    let (hangs, answers) = (peer(Manner::Hangs).await, peer(Manner::Answers).await);
    let ports = live(&[("a", &hangs), ("b", &answers)]);
    let began = Instant::now();
    for path in ["/version", "/nodes/a/status", "/cluster/status", "/nodes/a/qemu", "/nodes/b/qemu"] {
        ports.api.call(ApiRequest::get(path)).await.unwrap();
    }
    assert_eq!(hangs.requests.load(Ordering::SeqCst), 1, "one wait shows that it hangs");
    assert_eq!(answers.requests.load(Ordering::SeqCst), 5);
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    let only_a = ApiRequest { avoid: vec!["b".into()], ..ApiRequest::get("/version") };
    let error = ports.api.call(only_a).await.unwrap_err();
    assert!(reason(&error).contains("not answered within 2 s"), "{error}");
    assert_eq!(hangs.requests.load(Ordering::SeqCst), 2, "nobody else was left to ask");
}

#[tokio::test]
async fn a_read_that_was_not_answered_is_not_repeated_at_the_same_endpoint() {
    let later = peer(Manner::HangsLater).await;
    let ports = live(&[("a", &later)]);
    ports.api.call(ApiRequest::get("/version")).await.unwrap();
    let error = ports.api.call(ApiRequest::get("/version")).await.unwrap_err();
    assert!(reason(&error).contains("not answered within 2 s"), "{error}");
    assert_eq!((later.connections.load(Ordering::SeqCst), later.requests.load(Ordering::SeqCst)), (1, 2));
}

#[tokio::test]
async fn a_read_waits_for_a_place_no_longer_than_for_an_answer() {
    let hangs = peer(Manner::Hangs).await;
    let ports = live(&[("a", &hangs)]);
    let all = (0..24).map(|_| ports.api.call(ApiRequest::get("/version")));
    let began = Instant::now();
    assert!(futures_util::future::join_all(all).await.iter().all(Result::is_err));
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}

/// Ten times as fast as the wall clock: one call is waited for two seconds, and a look twelve times as long.
#[tokio::test]
async fn a_look_in_which_no_api_answers_is_over_after_a_few_calls_and_says_why() {
    let (one, other) = (peer(Manner::Hangs).await, peer(Manner::Hangs).await);
    let ports = live_at(LiveClock::scaled(UnixMs(0), 10.0), &[("a", &one), ("b", &other)]);
    let began = Instant::now();
    let snapshot = observe(&ports, Look { known_nodes: vec!["a".into(), "b".into()], ..Look::full() }).await;
    assert!(began.elapsed() < Duration::from_secs(15), "{:?}", began.elapsed());
    let gaps = format!("{:?}", snapshot.gaps());
    assert!(gaps.contains("not answered within 20 s") && gaps.contains("not asked any more in this look"), "{gaps}");
}

/// Most memory that this process has ever used.
fn most_memory() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<usize>().unwrap() << 10
}

#[tokio::test]
async fn a_gigabyte_in_an_answer_is_dropped_as_it_comes() {
    const GIB: usize = 1 << 30;
    let before = most_memory();
    let cases = [
        (Manner::Sends(GIB), "longer than 16 MiB"),
        (Manner::SendsHead(GIB), "a was asked"),
        (Manner::SendsValues(7 << 20), "more than 1048576 values"),
    ];
    for (manner, why) in cases {
        let sends = peer(manner).await;
        let error = live(&[("a", &sends)]).api.call(ApiRequest::get("/version")).await.unwrap_err();
        assert!(matches!(error, ApiError::InDoubt { .. }) && reason(&error).contains(why), "{error}");
    }
    let grown = most_memory() - before;
    assert!(grown < 100 << 20, "{} MiB", grown >> 20);
}

#[tokio::test]
async fn an_answer_as_long_as_that_of_a_large_cluster_is_read() {
    let sends = peer(Manner::Sends(12 << 20)).await;
    let data = live(&[("a", &sends)]).api.call(ApiRequest::get("/version")).await.unwrap();
    assert_eq!(data.as_str().unwrap().len(), 12 << 20);
}

#[tokio::test]
async fn a_secret_that_an_answer_repeats_is_not_handed_on() {
    let repeats = peer(Manner::Repeats).await;
    let data = live(&[("a", &repeats)]).api.call(ApiRequest::get("/version")).await.unwrap();
    assert_eq!(data, serde_json::json!({ "(secret)": ["(secret)", "(secret)"] }));
}
