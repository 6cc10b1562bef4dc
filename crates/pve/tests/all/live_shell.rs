//! The live shell against an SSH server in this process.
#![allow(clippy::disallowed_methods, reason = "real sockets, real time, and key files of the test's own")]

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use quorate_core::ids::NodeName;
use quorate_pve::live::{HostKey, LiveClock, LiveConfig, NodeEndpoint, Secret, SshKey, Timeouts, ports};
use quorate_pve::ports::{Bound, Exit, Ports, ShellError, ShellOutput};
use russh::keys::ssh_key::{Algorithm, HashAlg, LineEnding, PrivateKey, PublicKey};
use russh::server::{Auth, ChannelOpenHandle, Config, Handler, Msg, Session, VerifiedPublicKey, run_stream};
use russh::{Channel, ChannelId, Sig};
use tokio::net::TcpListener;

const TOKEN: &str = "01234567-89ab-cdef-0123-456789abcdef";

fn new_key() -> PrivateKey {
    PrivateKey::random(&mut russh::keys::key::safe_rng(), Algorithm::Ed25519).unwrap()
}

/// A server, and what it saw.
struct Server {
    address: SocketAddr,
    host_key: PublicKey,
    client_key: PrivateKey,
    connections: Arc<AtomicUsize>,
    most_at_once: Arc<AtomicUsize>,
}

async fn serve() -> Server {
    let (host_key, client_key) = (new_key(), new_key());
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = Server {
        address: listener.local_addr().unwrap(),
        host_key: host_key.public_key().clone(),
        client_key: client_key.clone(),
        connections: Arc::default(),
        most_at_once: Arc::default(),
    };
    let config = Arc::new(Config {
        keys: vec![host_key],
        auth_rejection_time: Duration::ZERO,
        auth_rejection_time_initial: Some(Duration::ZERO),
        ..Config::default()
    });
    let (count, most) = (server.connections.clone(), server.most_at_once.clone());
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            count.fetch_add(1, Ordering::SeqCst);
            let client = client_key.public_key().clone();
            let handler = Node { client, now: Arc::default(), most: most.clone() };
            let config = config.clone();
            tokio::spawn(async move {
                if let Ok(session) = run_stream(config, stream, handler).await {
                    let _ = session.await;
                }
            });
        }
    });
    server
}

struct Node {
    client: PublicKey,
    now: Arc<AtomicUsize>,
    most: Arc<AtomicUsize>,
}

impl Handler for Node {
    type Error = russh::Error;

    async fn auth_publickey(&mut self, user: &str, key: VerifiedPublicKey<'_>) -> Result<Auth, Self::Error> {
        let known = user == "root" && key.public_key.key_data() == self.client.key_data();
        Ok(if known { Auth::Accept } else { Auth::reject() })
    }

    async fn channel_open_session(
        &mut self,
        _: Channel<Msg>,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        reply.accept().await;
        Ok(())
    }

    async fn exec_request(
        &mut self,
        channel: ChannelId,
        data: &[u8],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        let command = String::from_utf8_lossy(data).into_owned();
        session.channel_success(channel)?;
        match command.as_str() {
            "fail" => {
                session.extended_data(channel, 1, "no such thing\n")?;
                session.exit_status_request(channel, 100)?;
            }
            "killed" => session.exit_signal_request(channel, Sig::KILL, false, "", "")?,
            // The connection ends while the program runs.
            "lost" => return Err(russh::Error::Disconnect),
            "hang" => return Ok(()),
            // It ends when nobody reads any more.
            "flood" => {
                let handle = session.handle();
                tokio::spawn(async move { while handle.data(channel, "x".repeat(32 << 10)).await.is_ok() {} });
                return Ok(());
            }
            "lines" => {
                session.data(channel, "\n".repeat(30_000))?;
                session.exit_status_request(channel, 0)?;
            }
            "leak" => {
                let (one, other) = TOKEN.split_at(20);
                session.data(channel, format!("it is {one}"))?;
                session.extended_data(channel, 1, "MDEyMzQ1NjctODlhYi1jZGVmLTAxMjMtNDU2Nzg5YWJjZGVm")?;
                session.data(channel, other)?;
                session.exit_status_request(channel, 0)?;
            }
            "slow" => {
                let now = self.now.fetch_add(1, Ordering::SeqCst) + 1;
                self.most.fetch_max(now, Ordering::SeqCst);
                let (handle, now) = (session.handle(), self.now.clone());
                tokio::spawn(async move {
                    tokio::time::sleep(Duration::from_millis(150)).await;
                    now.fetch_sub(1, Ordering::SeqCst);
                    let _ = handle.exit_status_request(channel, 0).await;
                    let _ = handle.close(channel).await;
                });
                return Ok(());
            }
            echoed => {
                session.data(channel, echoed.to_owned())?;
                session.exit_status_request(channel, 0)?;
            }
        }
        session.eof(channel)?;
        session.close(channel)
    }
}

/// A directory for this test alone.
fn folder(name: &str) -> PathBuf {
    let folder = std::env::temp_dir().join(format!("quorate-{}-{name}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    folder
}

fn live(server: &Server, name: &str, key: &PrivateKey, host_key: HostKey) -> Ports {
    let path = folder(name).join("id_ed25519");
    let text = Secret::new(key.to_openssh(LineEnding::LF).unwrap().to_string());
    let config = LiveConfig {
        nodes: vec![NodeEndpoint {
            name: "pve1".into(),
            api: ("127.0.0.1".into(), 1),
            fingerprint: "00".repeat(32),
            ssh: (server.address.ip().to_string(), server.address.port()),
            host_key,
        }],
        token_id: "root@pam!quorate".into(),
        token_secret: Secret::new(TOKEN),
        ssh_keys: vec![SshKey { path, text }],
        timeouts: Timeouts::default(),
    };
    ports(config, Arc::new(LiveClock::wall())).unwrap()
}

fn pinned(key: &PublicKey) -> HostKey {
    HostKey::Fingerprint(key.fingerprint(HashAlg::Sha256).to_string())
}

async fn run(ports: &Ports, argv: &[&str]) -> Result<ShellOutput, ShellError> {
    let argv: Vec<String> = argv.iter().map(|arg| (*arg).to_owned()).collect();
    ports.shell.run(&NodeName::from("pve1"), &argv, Duration::from_secs(3)).await
}

#[tokio::test]
async fn programs_run_on_one_connection_and_their_arguments_stay_whole() {
    let server = serve().await;
    let ports = live(&server, "one", &server.client_key, pinned(&server.host_key));
    let output = run(&ports, &["echo", "a b", "c'd; reboot"]).await.unwrap();
    assert_eq!(output.stdout, r"echo 'a b' 'c'\''d; reboot'");
    assert!(output.succeeded());
    let failed = run(&ports, &["fail"]).await.unwrap();
    assert_eq!((failed.exit, failed.stderr.as_str()), (Exit::Status(100), "no such thing\n"));
    assert_eq!(run(&ports, &["killed"]).await.unwrap().exit, Exit::Signal("KILL".into()));
    assert_eq!(server.connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn at_most_three_programs_run_at_once_on_a_node() {
    let server = serve().await;
    let ports = live(&server, "three", &server.client_key, pinned(&server.host_key));
    let all = futures_util::future::join_all((0..9).map(|_| run(&ports, &["slow"]))).await;
    assert!(all.into_iter().all(|output| output.unwrap().succeeded()));
    assert_eq!(server.most_at_once.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn a_program_that_prints_without_end_is_cut_off_and_the_next_one_runs() {
    let server = serve().await;
    let ports = live(&server, "flood", &server.client_key, pinned(&server.host_key));
    let too_long = |result| matches!(result, Err(ShellError::TooLong { bound: Bound::USUAL, .. }));
    assert!(too_long(run(&ports, &["flood"]).await));
    assert!(too_long(run(&ports, &["lines"]).await));
    let (node, lines) = (NodeName::from("pve1"), ["lines".to_owned()]);
    let long = ports.shell.run_bounded(&node, &lines, Duration::from_secs(3), Bound::LONG).await.unwrap();
    assert_eq!(long.stdout.lines().count(), 30_000);
    assert!(run(&ports, &["true"]).await.unwrap().succeeded());
    assert_eq!(server.connections.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_secret_in_the_output_of_a_program_is_not_handed_on_even_if_it_comes_in_pieces() {
    let server = serve().await;
    let ports = live(&server, "leak", &server.client_key, pinned(&server.host_key));
    let output = run(&ports, &["leak"]).await.unwrap();
    assert_eq!((output.stdout.as_str(), output.stderr.as_str()), ("it is (secret)", "(secret)"));
    let key = server.client_key.to_openssh(LineEnding::LF).unwrap();
    let line = key.lines().nth(2).unwrap();
    assert_eq!(run(&ports, &["echo", line]).await.unwrap().stdout, "echo (secret)");
}

#[tokio::test]
async fn a_connection_lost_during_a_program_leaves_it_in_doubt_and_the_next_one_has_a_new_connection() {
    let server = serve().await;
    let ports = live(&server, "lost", &server.client_key, pinned(&server.host_key));
    assert!(run(&ports, &["true"]).await.is_ok());
    let error = run(&ports, &["lost"]).await.unwrap_err();
    assert!(matches!(error, ShellError::InDoubt { .. }), "{error}");
    assert!(run(&ports, &["true"]).await.is_ok());
    assert_eq!(server.connections.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn a_program_that_does_not_end_is_given_up_at_its_deadline() {
    let server = serve().await;
    let ports = live(&server, "hang", &server.client_key, pinned(&server.host_key));
    let began = Instant::now();
    let error = run(&ports, &["hang"]).await.unwrap_err();
    assert!(matches!(&error, ShellError::InDoubt { reason, .. } if reason.contains("3 s")), "{error}");
    assert!(began.elapsed() < Duration::from_secs(10));
}

#[tokio::test]
async fn an_unknown_host_key_ends_the_connection_before_the_login() {
    let server = serve().await;
    let other = new_key();
    let ports = live(&server, "stranger", &server.client_key, pinned(other.public_key()));
    let error = run(&ports, &["true"]).await.unwrap_err();
    let ShellError::HostKey { seen, known, .. } = &error else { panic!("{error}") };
    assert_eq!(*seen, server.host_key.fingerprint(HashAlg::Sha256).to_string());
    assert_eq!(*known, other.public_key().fingerprint(HashAlg::Sha256).to_string());
}

#[tokio::test]
async fn a_key_that_the_node_does_not_know_is_refused_with_a_message() {
    let server = serve().await;
    let ports = live(&server, "refused", &new_key(), pinned(&server.host_key));
    let error = run(&ports, &["true"]).await.unwrap_err();
    assert!(matches!(error, ShellError::Unauthorized { .. }), "{error}");
}

#[tokio::test]
async fn the_host_key_may_be_in_a_known_hosts_file() {
    let server = serve().await;
    let file = folder("known").join("known_hosts");
    let key = server.host_key.to_openssh().unwrap();
    std::fs::write(&file, format!("[127.0.0.1]:{} {key}\n", server.address.port())).unwrap();
    let ports = live(&server, "known", &server.client_key, HostKey::KnownHosts(file));
    assert!(run(&ports, &["true"]).await.unwrap().succeeded());
}

#[tokio::test]
async fn a_node_that_is_not_there_is_unreachable() {
    let mut server = serve().await;
    server.address = "127.0.0.1:1".parse().unwrap();
    let ports = live(&server, "nobody", &server.client_key, pinned(&server.host_key));
    assert!(matches!(run(&ports, &["true"]).await, Err(ShellError::Unreachable { .. })));
}
