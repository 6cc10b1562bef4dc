//! The HTTPS side of a node: TLS, HTTP/1.1, exact reason phrases, connections that end with the machine.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::ext::ReasonPhrase;
use hyper::header::{AUTHORIZATION, CONNECTION, CONTENT_TYPE, COOKIE, HeaderMap, TRANSFER_ENCODING};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use quorate_core::ids::NodeName;
use quorate_wire::{ApiAnswer, ApiRequest, Credentials};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use super::keys::Tls;
use super::shared::Shared;

/// PVE's limit for a request's body.
const BODY_LIMIT_BYTES: usize = 512 << 10;
const PREFIX: &str = "/api2/json";

/// The API of one node.
#[derive(Clone)]
pub(super) struct Site {
    shared: Arc<Shared>,
    node: NodeName,
    tls: Arc<Tls>,
}

impl Site {
    pub(super) fn new(shared: Arc<Shared>, node: NodeName, tls: Tls) -> Self {
        Self { shared, node, tls: Arc::new(tls) }
    }

    /// Serves one connection that came to this address, to its end.
    pub(super) async fn connection(self, mut stream: TcpStream, address: SocketAddr) {
        // The first byte of a TLS handshake; anything else is a client that forgot the s of https.
        let mut first = [0];
        if stream.peek(&mut first).await.is_ok_and(|n| n == 1) && first != [0x16] {
            let redirect = format!(
                "HTTP/1.1 301 Moved Permanently\r\nLocation: https://{address}/\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
            );
            let _ = stream.write_all(redirect.as_bytes()).await;
            return;
        }
        let Ok(stream) = self.tls.acceptor.accept(stream).await else { return };
        let service = service_fn(move |request| respond(self.shared.clone(), self.node.clone(), request));
        // Why a connection ends is the client's business; there is nothing to report it to.
        let _ = http1::Builder::new().title_case_headers(true).serve_connection(TokioIo::new(stream), service).await;
    }
}

async fn respond(
    shared: Arc<Shared>,
    node: NodeName,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let chunked = request.headers().contains_key(TRANSFER_ENCODING);
    let (parts, body) = request.into_parts();
    let Some(path) = parts.uri.path().strip_prefix(PREFIX).filter(|_| !chunked) else {
        return Ok(plain(StatusCode::NOT_IMPLEMENTED, "Not Implemented"));
    };
    let body = match Limited::new(body, BODY_LIMIT_BYTES).collect().await {
        Ok(body) => body.to_bytes().to_vec(),
        Err(_) => return Ok(plain(StatusCode::NOT_IMPLEMENTED, "for data too large")),
    };
    let header = |name: &str| text(&parts.headers, name);
    let asked = ApiRequest {
        asked: node,
        method: parts.method.as_str().to_owned(),
        path: path.to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        body,
        content_type: header(CONTENT_TYPE.as_str()),
        credentials: Credentials {
            authorization: header(AUTHORIZATION.as_str()),
            cookie: header(COOKIE.as_str()),
            csrf: header("csrfpreventiontoken"),
        },
    };
    let answer = shared.with(|wire, world| wire.api(world, &asked));
    shared.clock.sleep(answer.delay).await;
    Ok(response(answer))
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    Some(headers.get(name)?.to_str().ok()?.to_owned())
}

fn plain(status: StatusCode, reason: &'static str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    response.headers_mut().insert(CONNECTION, hyper::header::HeaderValue::from_static("close"));
    response.extensions_mut().insert(ReasonPhrase::from_static(reason.as_bytes()));
    response
}

fn response(answer: ApiAnswer) -> Response<Full<Bytes>> {
    let connection = if answer.closes() { "close" } else { "Keep-Alive" };
    let mut builder = Response::builder().status(answer.status).header(CONNECTION, connection);
    for (name, value) in &answer.headers {
        builder = builder.header(*name, value);
    }
    // A character that is illegal in a status line is a bug in one of our texts, not a reason to give no answer.
    let legal = answer.reason.replace(|c: char| c.is_control() && c != '\t', "?");
    if let Ok(reason) = ReasonPhrase::try_from(legal.into_bytes()) {
        builder = builder.extension(reason);
    }
    builder
        .body(Full::new(Bytes::from(answer.body.bytes())))
        .unwrap_or_else(|_| plain(StatusCode::INTERNAL_SERVER_ERROR, "unprintable answer"))
}
