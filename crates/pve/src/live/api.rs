//! The PVE API at whichever endpoint answers.
//!
//! Reads are in `reads`. A write has a connection of its own and goes to another endpoint only while none was
//! established: once a byte is on its way, no answer means [`ApiError::InDoubt`]. A write below `/nodes/N/` goes to N
//! and nowhere else, and none is sent when it has expired.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use hyper::header::HeaderValue;
use hyper_util::rt::TokioIo;
use quorate_core::command::Method;
use quorate_core::ids::NodeName;
use tokio::sync::Semaphore;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tracing::{debug, info, warn};

use super::clock::LiveClock;
use super::config::{HostPort, LiveConfig, LiveError, NodeEndpoint};
use super::http::{self, Sender};
use super::identities::Identities;
use super::secrets::Secrets;
use super::stopwatch::Stopwatch;
use super::tls;
use crate::ports::{Api, ApiData, ApiError, ApiRequest, Clock, PortFuture, Stranger};

/// Requests in flight per endpoint; pveproxy has few workers, and others use them too.
const IN_FLIGHT: usize = 8;

/// Connections that are kept for the next read.
const KEPT: usize = 8;

/// The API of a live cluster.
pub(super) struct LiveApi {
    pub(super) endpoints: Vec<Endpoint>,
    token: HeaderValue,
    connector: TlsConnector,
    connect: Duration,
    answer: Duration,
    clock: LiveClock,
    pub(super) read: Duration,
    pub(super) rest: Duration,
    /// The order in which endpoints are asked: one that answered goes to the front, one that could not be reached to
    /// the end.
    pub(super) order: Mutex<Vec<usize>>,
    pub(super) identities: Identities,
}

pub(super) struct Endpoint {
    pub(super) name: NodeName,
    address: HostPort,
    host: String,
    pinned: Mutex<String>,
    kept: Mutex<Vec<Sender>>,
    pub(super) permits: Semaphore,
    /// Since when it has not answered a read.
    pub(super) silent_since: Mutex<Option<Stopwatch>>,
}

impl LiveApi {
    pub(super) fn new(config: &LiveConfig, clock: &LiveClock) -> Result<Self, LiveError> {
        let token = format!("PVEAPIToken={}={}", config.token_id, config.token_secret.0);
        let mut token = HeaderValue::from_str(&token).map_err(|_| LiveError::Token)?;
        token.set_sensitive(true);
        let endpoint = |node: &NodeEndpoint| Endpoint {
            name: node.name.clone(),
            address: node.api.clone(),
            host: host_header(&node.api),
            pinned: Mutex::new(tls::normalise(&node.fingerprint)),
            kept: Mutex::new(Vec::new()),
            permits: Semaphore::new(IN_FLIGHT),
            silent_since: Mutex::new(None),
        };
        Ok(Self {
            endpoints: config.nodes.iter().map(endpoint).collect(),
            token,
            connector: tls::connector().map_err(LiveError::Tls)?,
            connect: clock.timeout(config.timeouts.connect),
            answer: clock.timeout(config.timeouts.answer),
            clock: clock.clone(),
            read: clock.timeout(config.timeouts.read),
            rest: clock.timeout(config.timeouts.rest),
            order: Mutex::new((0..config.nodes.len()).collect()),
            identities: Identities::default(),
        })
    }

    async fn send(&self, request: ApiRequest) -> Result<ApiData, ApiError> {
        let mut failures: Vec<ApiError> = Vec::new();
        for index in self.endpoints_for(&request) {
            let endpoint = &self.endpoints[index];
            match self.write(endpoint, &request).await {
                Err(error) if may_go_elsewhere(&error, request.method) => {
                    self.prefer(index, false);
                    warn!(node = %endpoint.name, %error, "the API of this node failed, the others are tried");
                    failures.push(error);
                }
                answered => {
                    self.prefer(index, !matches!(answered, Err(ApiError::InDoubt { .. })));
                    return answered;
                }
            }
        }
        Err(most_telling(failures))
    }

    /// The endpoints that may be asked, in order: for a write that goes to one node only, none but that.
    fn endpoints_for(&self, request: &ApiRequest) -> Vec<usize> {
        let own = request.only_at().and_then(|_| self.own_endpoint(request));
        if let Some(own) = own {
            return vec![own];
        }
        let order = self.order.lock().unwrap_or_else(PoisonError::into_inner).clone();
        order.into_iter().filter(|index| !request.avoid.contains(&self.endpoints[*index].name)).collect()
    }

    pub(super) fn prefer(&self, index: usize, answers: bool) {
        let mut order = self.order.lock().unwrap_or_else(PoisonError::into_inner);
        order.retain(|other| *other != index);
        let place = if answers { 0 } else { order.len() };
        order.insert(place, index);
    }

    async fn write(&self, endpoint: &Endpoint, request: &ApiRequest) -> Result<ApiData, ApiError> {
        let sender = self.open(endpoint).await?;
        self.exchange(endpoint, sender, request).await.unwrap_or_else(|reason| Err(in_doubt(endpoint, reason)))
    }

    /// The outer error: there was no complete answer.
    pub(super) async fn exchange(
        &self,
        endpoint: &Endpoint,
        mut sender: Sender,
        request: &ApiRequest,
    ) -> Result<Result<ApiData, ApiError>, String> {
        let Some(http) = http::request(request, &endpoint.host, &self.token) else {
            let reason = format!("{:?} is not a path", request.path);
            return Ok(Err(ApiError::Refused { status: 400, reason, errors: Vec::new() }));
        };
        let (node, method, path) = (&endpoint.name, request.method.as_str(), &request.path);
        let stopwatch = Stopwatch::start();
        // Nothing may come between this and the send.
        if request.has_expired(self.clock.now()) {
            return Ok(Err(ApiError::Expired { node: node.clone() }));
        }
        let answer = timeout(self.answer, http::exchange(&mut sender, http)).await;
        let answer = answer.unwrap_or_else(|_| Err(format!("no answer within {} s", self.answer.as_secs())));
        let answer = answer.inspect_err(|reason| {
            warn!(%node, method, path, reason, ms = stopwatch.ms(), "API call without a complete answer");
        })?;
        // Neither parameters nor bodies are logged: they may contain secrets.
        debug!(%node, method, path, status = answer.status, ms = stopwatch.ms(), "API call answered");
        if request.method == Method::Get {
            endpoint.keep(sender);
        }
        Ok(answer.meaning(&endpoint.name))
    }

    /// A fresh connection to a node whose certificate was checked. Nothing has been sent if this fails.
    pub(super) async fn open(&self, endpoint: &Endpoint) -> Result<Sender, ApiError> {
        let unreachable = |reason: String| ApiError::Unreachable(format!("{} ({})", endpoint.name, reason));
        let late = |_| Err(format!("no connection within {} s", self.connect.as_secs()));
        info!(node = %endpoint.name, address = endpoint.host, "connecting to the API");
        let connected = timeout(self.connect, tls::connect(&self.connector, &endpoint.address)).await;
        let (stream, seen) = connected.unwrap_or_else(late).map_err(unreachable)?;
        let (node, pinned) = (endpoint.name.clone(), endpoint.pinned());
        info!(%node, expected = pinned, seen, "the node showed its certificate");
        self.identities.showed(Stranger { node: node.clone(), shown: seen.clone(), pinned: pinned.clone() });
        if seen != pinned {
            return Err(ApiError::Fingerprint { node, seen, pinned });
        }
        let handshake = http::client().handshake(TokioIo::new(stream)).await;
        let (sender, connection) = handshake.map_err(|error| unreachable(error.to_string()))?;
        // Ends by itself when the sender is dropped or the peer closes.
        tokio::spawn(connection);
        Ok(sender)
    }
}

impl Endpoint {
    pub(super) fn pinned(&self) -> String {
        self.pinned.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn pin(&self, fingerprint: &str) {
        *self.pinned.lock().unwrap_or_else(PoisonError::into_inner) = fingerprint.to_owned();
    }

    pub(super) fn take(&self) -> Option<Sender> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        while let Some(sender) = kept.pop() {
            if sender.is_ready() && !sender.is_closed() {
                return Some(sender);
            }
        }
        None
    }

    /// pveproxy closes the connection after an error; it is found closed when it is used again.
    fn keep(&self, sender: Sender) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.len() < KEPT && !sender.is_closed() {
            kept.push(sender);
        }
    }
}

fn host_header(address: &HostPort) -> String {
    let (host, port) = address;
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

pub(super) fn in_doubt(endpoint: &Endpoint, reason: String) -> ApiError {
    ApiError::InDoubt { node: endpoint.name.clone(), reason }
}

/// Without a connection, anything may be tried elsewhere; without an answer, only reads.
pub(super) fn may_go_elsewhere(error: &ApiError, method: Method) -> bool {
    match error {
        ApiError::Unreachable(_) | ApiError::Fingerprint { .. } => true,
        ApiError::InDoubt { .. } => method == Method::Get,
        ApiError::Expired { .. }
        | ApiError::Unauthorized { .. }
        | ApiError::Forbidden { .. }
        | ApiError::Refused { .. } => false,
    }
}

/// Which error counts: a wrong certificate first, then a missing answer; if no node answers, one error lists them all.
pub(super) fn most_telling(failures: Vec<ApiError>) -> ApiError {
    let alarm = failures.iter().find(|error| matches!(error, ApiError::Fingerprint { .. }));
    let doubt = failures.iter().find(|error| matches!(error, ApiError::InDoubt { .. }));
    if let Some(error) = alarm.or(doubt) {
        return error.clone();
    }
    let reason = |error| match error {
        ApiError::Unreachable(reason) => reason,
        other => other.to_string(),
    };
    let reasons: Vec<String> = failures.into_iter().map(reason).collect();
    let none = "no endpoint is left to ask".to_owned();
    ApiError::Unreachable(if reasons.is_empty() { none } else { reasons.join("; ") })
}

impl Api for LiveApi {
    fn strangers(&self) -> Vec<Stranger> {
        self.identities.strangers()
    }

    fn let_members_vouch(&self) {
        self.identities.let_members_vouch();
    }

    fn taken_over(&self) -> Vec<(Stranger, NodeName)> {
        self.identities.taken_over()
    }

    fn call(&self, request: ApiRequest) -> PortFuture<'_, Result<ApiData, ApiError>> {
        Box::pin(async move {
            let answered = match request.method {
                Method::Get => self.read(&request).await,
                Method::Post | Method::Put | Method::Delete => self.send(request).await,
            };
            Secrets::of_this_process().clean_api(answered)
        })
    }
}
