//! One HTTP/1.1 exchange with pveproxy. gzip is never offered.

use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1::SendRequest;
use hyper::ext::ReasonPhrase;
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HOST, HeaderValue};
use hyper::{Request, Response};
use quorate_core::command::Method;
use quorate_core::ids::NodeName;

use crate::answer;
use crate::ports::{ApiData, ApiError, ApiRequest, percent_encoded};

/// More than any answer to a look; a broken peer must not fill our memory.
const MAX_ANSWER_BYTES: usize = 64 << 20;

/// A connection that requests can be sent on.
pub(super) type Sender = SendRequest<Full<Bytes>>;

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
    let body = Limited::new(response.into_body(), MAX_ANSWER_BYTES).collect().await;
    let body = body.map_err(|error| format!("the answer broke off: {error}"))?.to_bytes();
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

/// A shorter secret would match ordinary words; PVE's secrets are UUIDs.
const HIDDEN_FROM: usize = 8;

impl Answer {
    /// Removes our own secret if an answer repeats it, because answers are recorded and shown.
    pub(super) fn without(mut self, secret: &str) -> Self {
        if secret.len() >= HIDDEN_FROM {
            self.reason = self.reason.replace(secret, "(secret)");
            if self.body.windows(secret.len()).any(|window| window == secret.as_bytes()) {
                self.body = String::from_utf8_lossy(&self.body).replace(secret, "(secret)").into();
            }
        }
        self
    }

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
    fn our_own_secret_is_removed_from_any_answer_that_repeats_it() {
        const SECRET: &str = "01234567-89ab-cdef-0123-456789abcdef";
        let body = format!(r#"{{"data":{{"note":"{SECRET}"}},"message":"bad token {SECRET}\n"}}"#);
        let meaning = |status| {
            let (reason, body) = (format!("no {SECRET}"), Bytes::from(body.clone()));
            format!("{:?}", Answer { status, reason, body }.without(SECRET).meaning(&"pve1".into()))
        };
        assert!(meaning(200).contains("(secret)") && !meaning(200).contains(SECRET), "{}", meaning(200));
        assert!(meaning(401).contains("bad token (secret)") && !meaning(401).contains(SECRET), "{}", meaning(401));
        let kept = Answer { status: 500, reason: "no run".into(), body: Bytes::new() }.without("run");
        assert_eq!(kept.reason, "no run", "a word is not a secret");
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
