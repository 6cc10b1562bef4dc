//! What an answer of the API means: the one reader, for the live transport, for recordings and for the lab's trials.
//!
//! PVE carries its error text in the reason phrase, newer releases in the body as well.

use quorate_core::ids::NodeName;
use serde_json::Value;

use crate::ports::{ApiData, ApiError};

/// Reads the answer of one node: its status, its reason phrase, and its body if that is JSON.
///
/// # Errors
/// PVE refused, or reported success with a body that is not JSON.
pub fn meaning(node: &NodeName, status: u16, reason: &str, body: Option<Value>) -> Result<ApiData, ApiError> {
    if (200..300).contains(&status) {
        return match body {
            Some(mut body) => Ok(body.get_mut("data").map(Value::take).unwrap_or(Value::Null)),
            None => Err(ApiError::InDoubt { node: node.clone(), reason: "the answer is not JSON".to_owned() }),
        };
    }
    let message = body.as_ref().and_then(|body| body.get("message")).and_then(Value::as_str).map(str::trim);
    let reason = message.filter(|message| !message.is_empty()).unwrap_or(reason).to_owned();
    match status {
        401 => Err(ApiError::Unauthorized { node: node.clone(), reason }),
        403 => Err(ApiError::Forbidden { reason }),
        status => Err(ApiError::Refused { status, reason, errors: errors(body.as_ref()) }),
    }
}

/// `{"errors":{"target":"target is local node."}}` as `target: target is local node.`
fn errors(body: Option<&Value>) -> Vec<String> {
    let map = body.and_then(|body| body.get("errors")).and_then(Value::as_object);
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), |text| text.trim().to_owned());
    let mut errors: Vec<String> =
        map.into_iter().flatten().map(|(name, value)| format!("{name}: {}", text(value))).collect();
    errors.sort();
    errors
}
