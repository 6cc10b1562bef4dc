//! Answers of the API as bytes and headers, and the shapes of PVE's refusals.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Map, Value, json};

use super::text::{Moment, gzip};

/// PVE answers no 401 before this much time has passed since the request came in.
const UNAUTHORIZED_DELAY: Duration = Duration::from_secs(3);

/// An answer of the API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiAnswer {
    /// HTTP status; 595 and 596 are PVE's own.
    pub status: u16,
    /// The reason phrase, which carries the first line of an error.
    pub reason: String,
    /// Headers in PVE's spelling, without `Content-Length` and `Connection`.
    pub headers: Vec<(&'static str, String)>,
    /// JSON, or nothing at all.
    pub body: Body,
    /// How long PVE takes, in the world's time.
    pub delay: Duration,
}

/// The body of an answer: it is turned into bytes only where it is sent as bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// An empty body.
    Nothing,
    /// JSON.
    Json(Value),
    /// JSON, compressed with gzip.
    Packed(Value),
}

impl Body {
    /// The body as it is sent.
    pub fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Nothing => Vec::new(),
            Self::Json(value) => value.to_string().into_bytes(),
            Self::Packed(value) => gzip(value.to_string().as_bytes()),
        }
    }

    /// The body, unpacked and parsed; `null` for an empty body.
    pub fn into_json(self) -> Value {
        match self {
            Self::Nothing => Value::Null,
            Self::Json(value) | Self::Packed(value) => value,
        }
    }

    /// Is the body empty?
    pub fn is_empty(&self) -> bool {
        *self == Self::Nothing
    }
}

impl ApiAnswer {
    /// The answer of a proxy, or of a worker that does not know the call: a status without a body.
    pub fn refusal(status: u16) -> Self {
        let reason = match status {
            401 => "authentication failure",
            595 => "Connection refused",
            596 => "Connection timed out",
            _ => "got timeout",
        };
        Self { status, reason: reason.to_owned(), headers: Vec::new(), body: Body::Nothing, delay: Duration::ZERO }
    }

    /// PVE closes the connection after every refusal.
    pub fn closes(&self) -> bool {
        self.status >= 400
    }
}

/// The result of an endpoint.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Reply {
    data: Value,
    total: Option<usize>,
    packed: bool,
}

impl From<Value> for Reply {
    fn from(data: Value) -> Self {
        Self { data, total: None, packed: false }
    }
}

impl Reply {
    /// Not wrapped in `{"data":…}`.
    pub(super) fn into_data(self) -> Value {
        self.data
    }

    /// Compressed, whether the client offered that or not.
    pub(super) fn gzip(self) -> Self {
        Self { packed: true, ..self }
    }

    /// A list that was cut, with its full length.
    pub(super) fn page(data: Vec<Value>, total: usize) -> Self {
        Self { data: Value::Array(data), total: Some(total), packed: false }
    }
}

/// Why PVE refuses a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum CallRefused {
    /// 401 before anything else was looked at: an empty body.
    Unauthorized(String),
    /// 401 of the login itself: with a body.
    LoginFailed,
    /// 403, `/vms/101, VM.Migrate`.
    Forbidden(String),
    /// 400 with a text for each parameter.
    Parameters(BTreeMap<String, String>),
    /// 500: the handler died with this text.
    Failed(String),
    /// 501: no such path or method on this version.
    NotImplemented(String),
    /// 595, 596: the node that it concerns could not be reached; an empty body.
    Proxy(u16, &'static str),
}

impl CallRefused {
    /// A refusal because the handler died.
    pub(crate) fn failed(text: impl Into<String>) -> Self {
        Self::Failed(text.into())
    }

    /// A refusal because one parameter is wrong.
    pub(crate) fn parameter(name: &str, text: impl Into<String>) -> Self {
        Self::Parameters(BTreeMap::from([(name.to_owned(), text.into())]))
    }

    /// The text for people, with which the reason phrase begins.
    pub(crate) fn message(&self) -> String {
        match self {
            Self::Unauthorized(text) | Self::Failed(text) => text.clone(),
            Self::LoginFailed => "authentication failure".to_owned(),
            Self::Forbidden(what) => format!("Permission check failed ({what})"),
            Self::Parameters(_) => "Parameter verification failed.".to_owned(),
            Self::NotImplemented(what) => format!("Method '{what}' not implemented"),
            Self::Proxy(_, reason) => (*reason).to_owned(),
        }
    }

    fn status(&self) -> u16 {
        match self {
            Self::Unauthorized(_) | Self::LoginFailed => 401,
            Self::Forbidden(_) => 403,
            Self::Parameters(_) => 400,
            Self::Failed(_) => 500,
            Self::NotImplemented(_) => 501,
            Self::Proxy(status, _) => *status,
        }
    }
}

/// Does the body of a refusal repeat its text? Releases before 8.4 have it in the reason phrase only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ErrorBody {
    /// `{"data":null,"message":"…\n"}`.
    WithMessage,
    /// `{"data":null}`.
    Bare,
}

/// The answer to a request that succeeded.
pub(super) fn success(reply: Reply, now_s: u64) -> ApiAnswer {
    let mut body = Map::from_iter([("data".to_owned(), reply.data)]);
    if let Some(total) = reply.total {
        body.insert("total".to_owned(), json!(total));
    }
    let body = if reply.packed { Body::Packed(Value::Object(body)) } else { Body::Json(Value::Object(body)) };
    let headers = headers(now_s, &body);
    ApiAnswer { status: 200, reason: "OK".to_owned(), headers, body, delay: Duration::ZERO }
}

/// The answer to a request that was refused.
pub(super) fn refused(refusal: &CallRefused, style: ErrorBody, now_s: u64) -> ApiAnswer {
    let status = refusal.status();
    let message = refusal.message();
    let body = match refusal {
        CallRefused::Unauthorized(_) | CallRefused::Proxy(..) => Body::Nothing,
        _ => error_body(refusal, &message, style),
    };
    ApiAnswer {
        status,
        // A line feed would end the status line: PVE keeps the first line only.
        reason: message.lines().next().unwrap_or_default().to_owned(),
        headers: headers(now_s, &body),
        body,
        delay: if status == 401 { UNAUTHORIZED_DELAY } else { Duration::ZERO },
    }
}

/// The object that `json!({…})` makes.
pub(crate) fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

fn error_body(refusal: &CallRefused, message: &str, style: ErrorBody) -> Body {
    let mut body = Map::from_iter([("data".to_owned(), Value::Null)]);
    if let CallRefused::Parameters(errors) = refusal {
        body.insert("errors".to_owned(), json!(errors));
    }
    if style == ErrorBody::WithMessage {
        // All but the 501 end with a line feed.
        let end = if matches!(refusal, CallRefused::NotImplemented(_)) { "" } else { "\n" };
        body.insert("message".to_owned(), json!(format!("{message}{end}")));
    }
    Body::Json(Value::Object(body))
}

fn headers(now_s: u64, body: &Body) -> Vec<(&'static str, String)> {
    let date = Moment::at(now_s).http();
    let mut all = vec![
        ("Cache-Control", "max-age=0".to_owned()),
        ("Date", date.clone()),
        ("Pragma", "no-cache".to_owned()),
        ("Server", "pve-api-daemon/3.0".to_owned()),
    ];
    if !body.is_empty() {
        all.push(("Content-Type", "application/json;charset=UTF-8".to_owned()));
    }
    all.push(("Expires", date));
    if matches!(body, Body::Packed(_)) {
        all.push(("Content-Encoding", "gzip".to_owned()));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_first_line_of_an_error_is_in_the_reason_phrase() {
        let answer = refused(&CallRefused::failed("one\ntwo"), ErrorBody::WithMessage, 0);
        assert_eq!((answer.status, answer.reason.as_str()), (500, "one"));
        assert_eq!(String::from_utf8(answer.body.bytes()).unwrap(), r#"{"data":null,"message":"one\ntwo\n"}"#);
    }

    #[test]
    fn releases_before_8_4_have_the_text_in_the_reason_phrase_only() {
        let answer = refused(&CallRefused::failed("VM is locked (backup)"), ErrorBody::Bare, 0);
        assert_eq!(answer.reason, "VM is locked (backup)");
        assert_eq!(answer.body.bytes(), br#"{"data":null}"#);
    }
}
