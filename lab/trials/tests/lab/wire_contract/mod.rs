//! The lab against PVE's published schema: every call that it answers, on every node, by one table of samples.
//!
//! The schema's fixtures are a cut of the newest release, without prose. What the lab says otherwise, and what it
//! leaves out, is in tables here, of which `cargo xtask docs` makes `docs/lab-differences.md`.

mod differences;
mod forwarding;
mod parameters;
mod privileges;
mod returns;
mod samples;
mod undescribed;
mod versions;
mod without_quorum;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use quorate_core::ids::NodeName;
use quorate_wire::{ApiAnswer, ApiRequest, Credentials, Gate, Wire};
use quorate_world::World;
use quorate_world::access::{TOKEN, TOKEN_SECRET};
use quorate_world::cluster_file::{DEMO, world_from_toml};
use serde::Deserialize;
use serde_json::Value;

/// A world and its outside.
pub(crate) struct Lab {
    pub(crate) wire: Wire,
    pub(crate) world: World,
}

impl Lab {
    /// The demo cluster after a minute, in which HA has settled.
    pub(crate) fn demo() -> Self {
        Self::of(DEMO)
    }

    /// Another cluster file, after a minute.
    pub(crate) fn of(text: &str) -> Self {
        let world = world_from_toml(text, 7).expect("the cluster builds");
        let fingerprints = world.nodes.keys().map(|node| (node.clone(), "AA:BB".to_owned())).collect();
        let mut lab = Self { wire: Wire::new(Gate { ticket_key: [1; 32], fingerprints }), world };
        lab.wait_s(60);
        lab
    }

    pub(crate) fn wait_s(&mut self, seconds: u64) {
        let later_ms = self.world.now_ms + seconds * 1000;
        self.wire.advance(&mut self.world, later_ms);
    }

    /// One call with the token of root, asked at a node.
    pub(crate) fn call(&mut self, asked: &str, method: &str, path: &str, params: &[(String, String)]) -> ApiAnswer {
        self.call_as(&Credentials::token(TOKEN, TOKEN_SECRET), asked, method, path, params)
    }

    pub(crate) fn call_as(
        &mut self,
        credentials: &Credentials,
        asked: &str,
        method: &str,
        path: &str,
        params: &[(String, String)],
    ) -> ApiAnswer {
        let form: Vec<_> = params.iter().map(|(key, value)| format!("{key}={}", encode(value))).collect();
        let form = form.join("&");
        let in_body = matches!(method, "POST" | "PUT");
        let request = ApiRequest {
            asked: NodeName::from(asked),
            method: method.to_owned(),
            path: path.to_owned(),
            query: if in_body { String::new() } else { form.clone() },
            body: if in_body { form.into_bytes() } else { Vec::new() },
            content_type: in_body.then(|| "application/x-www-form-urlencoded".to_owned()),
            credentials: credentials.clone(),
        };
        self.wire.api(&mut self.world, &request)
    }

    /// A GET that succeeds.
    pub(crate) fn get(&mut self, asked: &str, path: &str) -> Value {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let params: Vec<_> = pairs(query);
        let answer = self.call(asked, "GET", path, &params);
        assert_eq!(answer.status, 200, "{path}: {}", answer.reason);
        data(&answer)
    }
}

pub(crate) fn pairs(form: &str) -> Vec<(String, String)> {
    form.split('&').filter_map(|pair| pair.split_once('=')).map(|(key, value)| (key.into(), value.into())).collect()
}

/// What is under `data`; an answer that is compressed is not read.
pub(crate) fn data(answer: &ApiAnswer) -> Value {
    body(answer)["data"].clone()
}

pub(crate) fn body(answer: &ApiAnswer) -> Value {
    serde_json::from_slice(&answer.body.bytes()).unwrap_or_default()
}

pub(crate) fn encode(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

/// A method as the schema has it, read here once more: the lab's own reader is what is tested.
#[derive(Deserialize)]
pub(crate) struct Method {
    pub(crate) method: String,
    pub(crate) path: String,
    #[serde(default)]
    pub(crate) since: String,
    pub(crate) may: Value,
    pub(crate) params: serde_json::Map<String, Value>,
}

/// What the lab answers, with its description.
pub(crate) fn methods() -> Vec<Method> {
    let mut all: Vec<Method> =
        serde_json::from_str(include_str!("../../../../wire/src/schema/published.json")).expect("the schema is JSON");
    let more: Vec<Method> =
        serde_json::from_str(include_str!("../../../../wire/src/schema/more.json")).expect("the schema is JSON");
    all.extend(more);
    let answered = quorate_wire::endpoints();
    all.retain(|known| answered.contains(&(known.method.as_str(), known.path.as_str())));
    assert_eq!(all.len(), answered.len());
    // What can only be refused: there are no pools, and no node has an address to be woken by.
    all.retain(|known| !["/pools/{poolid}", "/nodes/{node}/wakeonlan"].contains(&known.path.as_str()));
    all
}
