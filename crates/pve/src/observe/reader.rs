//! The one place through which everything is read: which node is asked, how many requests at once, and how a failure is
//! worded.

use std::collections::BTreeMap;

use quorate_core::command::{Method, quote_all};
use quorate_core::ids::{NodeName, UnixMs};
use quorate_core::observed::WhyUnknown;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::sync::Semaphore;

use crate::ports::{ApiError, ApiRequest, Ports, percent_encoded};
use crate::wire::lenient;

/// Requests in flight per node, API calls and programs together: a look must not be a load.
const IN_FLIGHT_PER_NODE: usize = 3;

/// Cluster-wide requests in flight: they all go to one endpoint.
const IN_FLIGHT_CLUSTER: usize = 6;

/// Reads through the ports.
pub(super) struct Reader<'a> {
    pub(super) ports: &'a Ports,
    avoid: &'a [NodeName],
    per_node: BTreeMap<NodeName, Semaphore>,
    cluster: Semaphore,
}

impl<'a> Reader<'a> {
    pub(super) fn new(ports: &'a Ports, avoid: &'a [NodeName], nodes: &[NodeName]) -> Self {
        let permits = |name: &NodeName| (name.clone(), Semaphore::new(IN_FLIGHT_PER_NODE));
        Self { ports, avoid, per_node: nodes.iter().map(permits).collect(), cluster: Semaphore::new(IN_FLIGHT_CLUSTER) }
    }

    pub(super) fn now(&self) -> UnixMs {
        self.ports.clock.now()
    }

    /// The permits of a node; those of the cluster for a node that was not known before.
    pub(super) fn permits(&self, node: &NodeName) -> &Semaphore {
        self.per_node.get(node).unwrap_or(&self.cluster)
    }

    /// A cluster-wide read.
    pub(super) async fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, WhyUnknown> {
        let value = self.get_raw(path).await.map_err(|error| api_why(path, &error))?;
        lenient::read(value).map_err(|reason| WhyUnknown::new(format!("GET {path}"), reason))
    }

    /// A cluster-wide read whose refusal is information.
    pub(super) async fn get_raw(&self, path: &str) -> Result<Value, ApiError> {
        self.get_avoiding(path, &[]).await
    }

    /// A cluster-wide read that must not be answered by these endpoints either.
    pub(super) async fn get_avoiding(&self, path: &str, more: &[NodeName]) -> Result<Value, ApiError> {
        let _permit = self.cluster.acquire().await;
        self.send(path, more).await
    }

    /// A read below `/nodes/N`.
    pub(super) async fn node_get<T: DeserializeOwned>(&self, node: &NodeName, below: &str) -> Result<T, WhyUnknown> {
        let path = node_path(node, below);
        let value = self.node_get_raw(node, below).await.map_err(|error| api_why(&path, &error))?;
        lenient::read(value).map_err(|reason| WhyUnknown::new(format!("GET {path}"), reason))
    }

    /// A read below `/nodes/N` whose refusal is information.
    pub(super) async fn node_get_raw(&self, node: &NodeName, below: &str) -> Result<Value, ApiError> {
        let _permit = self.permits(node).acquire().await;
        self.send(&node_path(node, below), &[]).await
    }

    /// `path` may have a query, as in `/cluster/resources?type=vm`.
    async fn send(&self, path: &str, more: &[NodeName]) -> Result<Value, ApiError> {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let pairs = query.split('&').filter_map(|pair| pair.split_once('='));
        let params = pairs.map(|(key, value)| (key.to_owned(), value.to_owned())).collect();
        let avoid = self.avoid.iter().chain(more).cloned().collect();
        self.ports.api.call(ApiRequest { method: Method::Get, path: path.to_owned(), params, avoid }).await
    }
}

/// `/nodes/N/below`, with the name percent-encoded.
pub(super) fn node_path(node: &NodeName, below: &str) -> String {
    format!("/nodes/{}/{below}", percent_encoded(node.as_str()))
}

/// The reason for a failed read.
pub(super) fn api_why(path: &str, error: &ApiError) -> WhyUnknown {
    WhyUnknown::new(format!("GET {path}"), error.to_string())
}

/// The source of a reading from a program: `corosync-cfgtool -n on pve2`.
pub(super) fn shell_source(node: &NodeName, argv: &[&str]) -> String {
    let argv: Vec<String> = argv.iter().map(|arg| (*arg).to_owned()).collect();
    format!("{} on {node}", quote_all(&argv).replace('\n', "\\n"))
}

/// Both readings, or the reason for the first missing one.
pub(super) fn both<A, B>(a: Result<A, WhyUnknown>, b: Result<B, WhyUnknown>) -> Result<(A, B), WhyUnknown> {
    Ok((a?, b?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_from_outside_cannot_leave_its_path_element() {
        assert_eq!(node_path(&NodeName::from("pve1"), "status"), "/nodes/pve1/status");
        assert_eq!(percent_encoded("../x?y#z é"), "..%2Fx%3Fy%23z%20%C3%A9");
    }
}
