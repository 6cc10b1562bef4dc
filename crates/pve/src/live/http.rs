//! One HTTP/1.1 exchange with pveproxy. gzip is never offered.

use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper::ext::ReasonPhrase;
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderValue};
use hyper::{Request, Response};
use quorate_core::command::Method;
use quorate_core::ids::NodeName;

use crate::answer;
use crate::ports::{ApiData, ApiError, ApiRequest, percent_encoded};

/// Twice what the longest list of 64 nodes with 10 000 guests needs; a broken peer must not fill our memory.
const MOST_BYTES: usize = 16 << 20;

/// Values in one answer, four times as many as there are in that list: each takes far more memory than its text.
const MOST_VALUES: usize = 1 << 20;

/// For the status line and all headers.
const MOST_HEAD_BYTES: usize = 64 << 10;

/// pveproxy sends a dozen.
const MOST_HEADERS: usize = 64;

/// A connection that requests can be sent on.
pub(super) type Sender = SendRequest<Full<Bytes>>;

/// What a connection reads at most before the body.
pub(super) fn client() -> Builder {
    let mut builder = Builder::new();
    builder.max_buf_size(MOST_HEAD_BYTES).max_headers(MOST_HEADERS);
    builder
}

/// Makes the request. `None` if path or parameters cannot be put in a request line.
pub(super) fn request(request: &ApiRequest, host: &str, token: &HeaderValue) -> Option<Request<Full<Bytes>>> {
    let encoded = encode(&request.params);
    let in_query = matches!(request.method, Method::Get | Method::Delete);
    let mut uri = format!("/api2/json{}", request.path);
    if in_query && !encoded.is_empty() {
        uri = format!("{uri}?{encoded}");
    }
    let mut builder = Request::builder()
        .method(request.method.as_str())
        .uri(uri)
        .header(HOST, host)
        .header(ACCEPT, "application/json")
        .header(AUTHORIZATION, token);
    let body = if in_query { String::new() } else { encoded };
    if !in_query {
        builder = builder.header(CONTENT_TYPE, "application/x-www-form-urlencoded").header(CONTENT_LENGTH, body.len());
    }
    builder.body(Full::new(Bytes::from(body))).ok()
}

/// Form-encoded parameters; an array repeats its key.
fn encode(params: &[(String, String)]) -> String {
    let pairs = params.iter().map(|(key, value)| format!("{}={}", percent_encoded(key), percent_encoded(value)));
    pairs.collect::<Vec<_>>().join("&")
}

/// Sends the request and reads the whole answer. An error means: sent, at least in part, but not answered in full.
pub(super) async fn exchange(sender: &mut Sender, request: Request<Full<Bytes>>) -> Result<Answer, String> {
    let response = sender.send_request(request).await.map_err(|error| error.to_string())?;
    let status = response.status().as_u16();
    let reason = reason(&response);
    let compressed = response.headers().contains_key(hyper::header::CONTENT_ENCODING);
    let body = Limited::new(response.into_body(), MOST_BYTES).collect().await;
    let body = body.map_err(|error| match error.is::<LengthLimitError>() {
        true => format!("the answer is longer than {} MiB and was dropped", MOST_BYTES >> 20),
        false => format!("the answer broke off: {error}"),
    });
    let body = body?.to_bytes();
    if body.iter().filter(|byte| matches!(byte, b',' | b'[' | b'{')).count() > MOST_VALUES {
        return Err(format!("the answer has more than {MOST_VALUES} values and was dropped"));
    }
    if compressed {
        return Err("the answer is compressed, which was not requested".to_owned());
    }
    Ok(Answer { status, reason, body })
}

fn reason(response: &Response<Incoming>) -> String {
    match response.extensions().get::<ReasonPhrase>() {
        Some(reason) => String::from_utf8_lossy(reason.as_bytes()).trim().to_owned(),
        None => response.status().canonical_reason().unwrap_or_default().to_owned(),
    }
}

/// A whole answer.
pub(super) struct Answer {
    pub(super) status: u16,
    reason: String,
    body: Bytes,
}

impl Answer {
    /// What it means.
    pub(super) fn meaning(self, node: &NodeName) -> Result<ApiData, ApiError> {
        // Errors may come without a body, or with one that is not JSON.
        answer::meaning(node, self.status, &self.reason, serde_json::from_slice(&self.body).ok())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, reason: &str, body: &str) -> Result<ApiData, ApiError> {
        let body = Bytes::copy_from_slice(body.as_bytes());
        Answer { status, reason: reason.to_owned(), body }.meaning(&"pve1".into())
    }

    #[test]
    fn the_bodys_message_is_preferred_and_the_reason_phrase_serves_older_releases() {
        let new = answer(500, "first line", r#"{"data":null,"message":"first line\nsecond line\n"}"#);
        assert_eq!(
            new,
            Err(ApiError::Refused { status: 500, reason: "first line\nsecond line".into(), errors: vec![] })
        );
        let old = answer(500, "VM is locked (backup)", r#"{"data":null}"#);
        assert_eq!(old, Err(ApiError::Refused { status: 500, reason: "VM is locked (backup)".into(), errors: vec![] }));
        let proxy = answer(595, "No route to host", "");
        assert_eq!(proxy, Err(ApiError::Refused { status: 595, reason: "No route to host".into(), errors: vec![] }));
        let params = answer(
            400,
            "Parameter verification failed.",
            r#"{"data":null,"errors":{"target":"target is local node."}}"#,
        );
        assert!(matches!(params, Err(ApiError::Refused { errors, .. }) if errors == ["target: target is local node."]));
    }

    #[test]
    fn parameters_cannot_break_out_of_their_place() {
        let params = [("a b".to_owned(), "x&y=ü".to_owned()), ("media".to_owned(), "none,media=cdrom".to_owned())];
        assert_eq!(encode(&params), "a%20b=x%26y%3D%C3%BC&media=none%2Cmedia%3Dcdrom");
    }
}
