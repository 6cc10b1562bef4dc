//! A request to the API as bytes and headers.

use quorate_core::ids::NodeName;

use super::access::Credentials;

/// One request as it came in at one node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiRequest {
    /// The node that was asked; a path about another one is forwarded to it.
    pub asked: NodeName,
    /// `GET`, `POST`, `PUT`, `DELETE`.
    pub method: String,
    /// The path below `/api2/json`, percent-encoded as received.
    pub path: String,
    /// The query string, after the question mark.
    pub query: String,
    /// The request's body.
    pub body: Vec<u8>,
    /// The `Content-Type` header.
    pub content_type: Option<String>,
    /// Credentials sent with it, not yet checked.
    pub credentials: Credentials,
}
