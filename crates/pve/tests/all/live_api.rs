//! The live API against a TLS server in this process that behaves as pveproxy does.
#![allow(clippy::disallowed_methods, reason = "real sockets in real time")]

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::ext::ReasonPhrase;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use quorate_core::command::Method;
use quorate_core::ids::NodeName;
use quorate_pve::live::{HostKey, LiveClock, LiveConfig, NodeEndpoint, Secret, Timeouts, ports, probe_fingerprint};
use quorate_pve::ports::{ApiError, ApiRequest, Ports};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls;

/// What the server does with a request.
#[derive(Clone, Copy, PartialEq)]
enum Manner {
    /// Answers.
    Answers,
    /// Answers, and closes the connection without announcing it.
    ForgetsConnections,
    /// Takes the request and closes without an answer.
    Swallows,
}

/// A server, and what it saw.
struct Server {
    address: SocketAddr,
    requests: Arc<Mutex<Vec<String>>>,
    connections: Arc<AtomicUsize>,
    /// What it answers.
    body: Arc<Mutex<String>>,
}

async fn serve(manner: Manner) -> Server {
    let key = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    let der = rustls::pki_types::PrivateKeyDer::try_from(key.signing_key.serialize_der()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![key.cert.der().clone()], der)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (requests, connections) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicUsize::new(0)));
    let (seen, count) = (requests.clone(), connections.clone());
    let body = Arc::new(Mutex::new(r#"{"data":{"version":"9.1.8"}}"#.to_owned()));
    let told_body = body.clone();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            count.fetch_add(1, Ordering::SeqCst);
            let (acceptor, seen, body) = (acceptor.clone(), seen.clone(), told_body.clone());
            tokio::spawn(async move {
                let Ok(stream) = acceptor.accept(stream).await else { return };
                let gone = Arc::new(tokio::sync::Notify::new());
                let told = gone.clone();
                let service =
                    service_fn(move |request| answer(request, (seen.clone(), body.clone()), manner, told.clone()));
                let connection =
                    hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
                tokio::select! {
                    _ = connection => {}
                    () = async {
                        gone.notified().await;
                        tokio::time::sleep(Duration::from_millis(50)).await;
                    } => {}
                }
            });
        }
    });
    Server { address, requests, connections, body }
}

async fn answer(
    request: Request<Incoming>,
    (seen, body_to_send): (Arc<Mutex<Vec<String>>>, Arc<Mutex<String>>),
    manner: Manner,
    gone: Arc<tokio::sync::Notify>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let token = request.headers().get("authorization").map(|value| value.to_str().unwrap().to_owned());
    assert!(!request.headers().contains_key("accept-encoding"), "gzip is never offered");
    let line = format!("{} {}", request.method(), request.uri());
    let body = request.into_body().collect().await.unwrap().to_bytes();
    seen.lock().unwrap().push(format!("{line} {}", String::from_utf8_lossy(&body)).trim().to_owned());
    if manner == Manner::Swallows {
        gone.notify_one();
        std::future::pending::<()>().await;
    }
    if manner == Manner::ForgetsConnections {
        gone.notify_one();
    }
    let mut response = Response::new(Full::new(Bytes::from(body_to_send.lock().unwrap().clone())));
    if token.as_deref() != Some("PVEAPIToken=root@pam!quorate=secret") {
        *response.status_mut() = hyper::StatusCode::UNAUTHORIZED;
        response.extensions_mut().insert(ReasonPhrase::from_static(b"Authentication failed!"));
        *response.body_mut() = Full::default();
    } else if line.contains("/locked") {
        *response.status_mut() = hyper::StatusCode::INTERNAL_SERVER_ERROR;
        response.extensions_mut().insert(ReasonPhrase::from_static(b"VM is locked (backup)"));
        *response.body_mut() = Full::new(Bytes::from(r#"{"data":null}"#));
    } else if line.contains("/down") {
        *response.status_mut() = hyper::StatusCode::from_u16(595).unwrap();
        response.extensions_mut().insert(ReasonPhrase::from_static(b"No route to host"));
        *response.body_mut() = Full::default();
    } else if line.contains("/once") && seen.lock().unwrap().len() == 1 {
        *response.status_mut() = hyper::StatusCode::from_u16(596).unwrap();
        response.extensions_mut().insert(ReasonPhrase::from_static(b"Broken pipe"));
        *response.body_mut() = Full::default();
    }
    Ok(response)
}

async fn endpoint(name: &str, server: &Server) -> NodeEndpoint {
    let api = (server.address.ip().to_string(), server.address.port());
    let fingerprint = probe_fingerprint(&api).await.unwrap();
    server.connections.store(0, Ordering::SeqCst);
    closed(name, api, fingerprint)
}

fn closed(name: &str, api: (String, u16), fingerprint: String) -> NodeEndpoint {
    let host_key = HostKey::Fingerprint("SHA256:none".into());
    NodeEndpoint { name: name.into(), api, fingerprint, ssh: ("127.0.0.1".into(), 1), host_key }
}

fn live(nodes: Vec<NodeEndpoint>, secret: &str) -> Ports {
    let config = LiveConfig {
        nodes,
        token_id: "root@pam!quorate".into(),
        token_secret: Secret::new(secret),
        ssh_keys: vec![],
        timeouts: Timeouts::default(),
    };
    ports(config, Arc::new(LiveClock::wall())).unwrap()
}

fn post(path: &str) -> ApiRequest {
    let params = vec![("target".to_owned(), "pve2".to_owned()), ("online".to_owned(), "1".to_owned())];
    ApiRequest { method: Method::Post, path: path.into(), params, avoid: vec![], expires: None }
}

#[tokio::test]
async fn reads_share_a_kept_connection_and_a_write_has_its_own() {
    let server = serve(Manner::Answers).await;
    let ports = live(vec![endpoint("a", &server).await], "secret");
    for _ in 0..3 {
        let data = ports.api.call(ApiRequest::get("/version")).await.unwrap();
        assert_eq!(data["version"], "9.1.8");
    }
    assert_eq!(server.connections.load(Ordering::SeqCst), 1);
    ports.api.call(post("/nodes/a/qemu/101/migrate")).await.unwrap();
    assert_eq!(server.connections.load(Ordering::SeqCst), 2);
    let requests = server.requests.lock().unwrap().clone();
    assert_eq!(requests[3], "POST /api2/json/nodes/a/qemu/101/migrate target=pve2&online=1");
}

#[tokio::test]
async fn a_kept_connection_that_has_gone_stale_is_silently_replaced() {
    let server = serve(Manner::ForgetsConnections).await;
    let ports = live(vec![endpoint("a", &server).await], "secret");
    for _ in 0..3 {
        ports.api.call(ApiRequest::get("/version")).await.unwrap();
        tokio::time::sleep(Duration::from_millis(120)).await;
    }
}

#[tokio::test]
async fn a_write_without_an_answer_is_in_doubt_and_is_not_sent_elsewhere() {
    let (silent, other) = (serve(Manner::Swallows).await, serve(Manner::Answers).await);
    let ports = live(vec![endpoint("a", &silent).await, endpoint("b", &other).await], "secret");
    let error = ports.api.call(post("/nodes/a/status")).await.unwrap_err();
    assert!(matches!(&error, ApiError::InDoubt { node, .. } if *node == NodeName::from("a")), "{error}");
    assert_eq!(silent.requests.lock().unwrap().len(), 1);
    assert!(other.requests.lock().unwrap().is_empty());
    // A read may be sent to the next one.
    ports.api.call(ApiRequest::get("/version")).await.unwrap();
    assert_eq!(other.requests.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn a_write_goes_to_the_next_endpoint_while_nothing_was_sent() {
    let other = serve(Manner::Answers).await;
    let nobody = closed("a", ("127.0.0.1".into(), 1), "00".repeat(32));
    let ports = live(vec![nobody.clone(), endpoint("b", &other).await], "secret");
    ports.api.call(post("/cluster/x")).await.unwrap();
    let error = live(vec![nobody], "secret").api.call(post("/x")).await.unwrap_err();
    assert!(matches!(error, ApiError::Unreachable(_)), "{error}");
}

#[tokio::test]
async fn an_unknown_certificate_gets_not_one_byte_and_both_fingerprints_are_named() {
    let server = serve(Manner::Answers).await;
    let mut endpoint = endpoint("a", &server).await;
    let real = std::mem::replace(&mut endpoint.fingerprint, "AB".repeat(32));
    let error = live(vec![endpoint], "secret").api.call(ApiRequest::get("/version")).await.unwrap_err();
    let ApiError::Fingerprint { seen, pinned, .. } = &error else { panic!("{error}") };
    assert_eq!((seen, pinned.starts_with("AB:AB:")), (&real, true));
    assert!(server.requests.lock().unwrap().is_empty());
}

#[tokio::test]
async fn the_reason_phrase_is_read_where_the_body_says_nothing() {
    let server = serve(Manner::Answers).await;
    let node = endpoint("a", &server).await;
    let ports = live(vec![node.clone()], "secret");
    let refused = |status, reason: &str| Err(ApiError::Refused { status, reason: reason.into(), errors: vec![] });
    assert_eq!(ports.api.call(ApiRequest::get("/locked")).await, refused(500, "VM is locked (backup)"));
    assert_eq!(ports.api.call(ApiRequest::get("/down")).await, refused(595, "No route to host"));
    let error = live(vec![node], "wrong-secret").api.call(ApiRequest::get("/version")).await.unwrap_err();
    assert_eq!(error, ApiError::Unauthorized { node: "a".into(), reason: "Authentication failed!".into() });
    assert!(!format!("{error} {error:?}").contains("secret"));
}

#[tokio::test]
async fn a_read_for_which_the_proxy_got_no_answer_is_asked_once_more_and_a_write_is_not() {
    let (a, b) = (serve(Manner::Answers).await, serve(Manner::Answers).await);
    let asked = |server: &Server| server.requests.lock().unwrap().len();
    let alone = live(vec![endpoint("a", &a).await], "secret");
    alone.api.call(ApiRequest::get("/once")).await.unwrap();
    assert_eq!(asked(&a), 2);
    let both = live(vec![endpoint("b", &b).await, endpoint("a", &a).await], "secret");
    both.api.call(ApiRequest::get("/once")).await.unwrap();
    assert_eq!((asked(&a), asked(&b)), (3, 1), "the other endpoint is asked first");
    assert!(alone.api.call(ApiRequest::get("/down")).await.is_err());
    assert_eq!(asked(&a), 5, "not without end");
    let c = serve(Manner::Answers).await;
    let refused = live(vec![endpoint("c", &c).await], "secret").api.call(post("/once")).await;
    assert!(matches!(refused, Err(ApiError::Refused { status: 596, .. })), "{refused:?}");
    assert_eq!(asked(&c), 1);
}

#[tokio::test]
async fn an_endpoint_to_be_avoided_is_not_asked_even_if_there_is_no_other() {
    let server = serve(Manner::Answers).await;
    let ports = live(vec![endpoint("a", &server).await], "secret");
    let request = ApiRequest { avoid: vec!["a".into()], ..ApiRequest::get("/version") };
    assert!(matches!(ports.api.call(request).await, Err(ApiError::Unreachable(_))));
    assert_eq!(server.connections.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_node_is_read_directly_and_through_others_once_it_could_not_be_reached() {
    let (a, b) = (serve(Manner::Answers).await, serve(Manner::Answers).await);
    let gone = ("127.0.0.1".to_owned(), 1);
    let nodes = vec![endpoint("a", &a).await, endpoint("b", &b).await, closed("c", gone, "AA".repeat(32))];
    let ports = live(nodes, "secret");
    let asked = |server: &Server| server.requests.lock().unwrap().len();
    ports.api.call(ApiRequest::get("/nodes/b/status")).await.unwrap();
    ports.api.call(ApiRequest::get("/version")).await.unwrap();
    ports.api.call(ApiRequest::get("/nodes/a/status")).await.unwrap();
    assert_eq!((asked(&a), asked(&b)), (2, 1), "b is read by itself, and everything else by the first");
    let avoiding = ApiRequest { avoid: vec!["b".into()], ..ApiRequest::get("/nodes/b/status") };
    ports.api.call(avoiding).await.unwrap();
    assert_eq!((asked(&a), asked(&b)), (3, 1), "whom the caller avoids is not asked, not even about itself");
    for calls in 4..6 {
        ports.api.call(ApiRequest::get("/nodes/c/status")).await.unwrap();
        assert_eq!((asked(&a), asked(&b)), (calls, 1), "c is not there, and a passes the question on");
    }
}

#[tokio::test]
async fn a_write_below_a_node_goes_to_that_node_and_nowhere_else() {
    let (a, b) = (serve(Manner::Answers).await, serve(Manner::Answers).await);
    let gone = ("127.0.0.1".to_owned(), 1);
    let nodes = vec![endpoint("a", &a).await, endpoint("b", &b).await, closed("c", gone, "AA".repeat(32))];
    let ports = live(nodes, "secret");
    let asked = |server: &Server| server.requests.lock().unwrap().len();
    let avoiding = ApiRequest { avoid: vec!["b".into()], ..post("/nodes/b/qemu/101/migrate") };
    ports.api.call(avoiding).await.unwrap();
    assert_eq!((asked(&a), asked(&b)), (0, 1), "another node would only pass it on, some time");
    let error = ports.api.call(post("/nodes/c/qemu/101/migrate")).await.unwrap_err();
    assert!(matches!(error, ApiError::Unreachable(_)), "{error}");
    assert_eq!((asked(&a), asked(&b)), (0, 1));
}

#[tokio::test]
async fn a_write_that_has_expired_when_the_connection_stands_is_not_sent() {
    let server = serve(Manner::Answers).await;
    let ports = live(vec![endpoint("a", &server).await], "secret");
    let migrate = |expires| ApiRequest { expires: Some(expires), ..post("/nodes/a/qemu/101/migrate") };
    let error = ports.api.call(migrate(ports.clock.now())).await.unwrap_err();
    assert_eq!(error, ApiError::Expired { node: "a".into() });
    assert_eq!(server.connections.load(Ordering::SeqCst), 1, "it is checked at the last moment");
    assert!(server.requests.lock().unwrap().is_empty());
    ports.api.call(migrate(ports.clock.now().plus_s(60))).await.unwrap();
    assert_eq!(server.requests.lock().unwrap().len(), 1);
}

/// `a` shows another certificate than the pinned one, and `b`, whose own is pinned, reports this one as that of `a`.
async fn renewed(reported: impl FnOnce(&str) -> String) -> (Server, Server, Ports, String) {
    let (a, b) = (serve(Manner::Answers).await, serve(Manner::Answers).await);
    let (mut first, second) = (endpoint("a", &a).await, endpoint("b", &b).await);
    let shown = std::mem::replace(&mut first.fingerprint, "AB".repeat(32));
    let nodes = format!(r#"{{"data":[{{"node":"a","ssl_fingerprint":"{}"}}]}}"#, reported(&shown));
    *b.body.lock().unwrap() = nodes;
    (a, b, live(vec![first, second], "secret"), shown)
}

#[tokio::test]
async fn a_certificate_that_a_member_vouches_for_is_taken_over_by_who_records_it() {
    let (a, _b, ports, shown) = renewed(str::to_owned).await;
    let read = || ports.api.call(ApiRequest::get("/nodes/a/status"));
    read().await.unwrap();
    assert!(a.requests.lock().unwrap().is_empty(), "nobody records it: b answers for a");
    let stranger = ports.api.strangers();
    assert_eq!((stranger.len(), stranger[0].node.as_str(), &stranger[0].shown), (1, "a", &shown));

    let (a, _b, ports, shown) = renewed(str::to_owned).await;
    ports.api.let_members_vouch();
    let write = ports.api.call(post("/nodes/a/qemu/101/migrate")).await.unwrap_err();
    assert!(matches!(write, ApiError::Fingerprint { .. }), "a write takes nothing over: {write}");
    ports.api.call(ApiRequest::get("/nodes/a/status")).await.unwrap();
    assert_eq!(a.requests.lock().unwrap().len(), 1);
    let [(it, by)] = &ports.api.taken_over()[..] else { panic!() };
    assert_eq!((it.node.as_str(), &it.shown, it.pinned.starts_with("AB:AB"), by.as_str()), ("a", &shown, true, "b"));
    assert_eq!((ports.api.taken_over().len(), ports.api.strangers().len()), (0, 0));
    ports.api.call(post("/nodes/a/qemu/101/migrate")).await.unwrap();
}

#[tokio::test]
async fn a_certificate_that_no_member_reports_is_never_taken_over() {
    for reported in ["CD".repeat(32), String::new()] {
        let (a, _b, ports, shown) = renewed(|_| reported).await;
        ports.api.let_members_vouch();
        ports.api.call(ApiRequest::get("/nodes/a/status")).await.unwrap();
        assert!(a.requests.lock().unwrap().is_empty() && ports.api.taken_over().is_empty());
        assert_eq!(ports.api.strangers()[0].shown, shown);
    }
}
