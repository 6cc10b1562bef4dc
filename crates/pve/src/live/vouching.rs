//! A certificate that another node vouches for.
//!
//! PVE renews certificates by itself, and every member has those of all in `/etc/pve`. In a run, where each change is
//! written down, a certificate is taken over if another node reports it as that node's: one whose own certificate is the
//! pinned one. Only a read does that; a write goes to what is pinned, or nowhere.

use quorate_core::ids::NodeName;
use tracing::warn;

use super::api::{Endpoint, LiveApi};
use super::http::Sender;
use super::tls;
use crate::ports::{ApiError, ApiRequest, Stranger};

impl LiveApi {
    /// A connection for a read: to what is pinned, or to what a member vouches for.
    pub(super) async fn open_or_take_over(&self, endpoint: &Endpoint) -> Result<Sender, ApiError> {
        let refused = match self.open(endpoint).await {
            Err(error @ ApiError::Fingerprint { .. }) if self.identities.may_members_vouch() => error,
            opened => return opened,
        };
        let ApiError::Fingerprint { node, seen: shown, pinned } = refused.clone() else { return Err(refused) };
        let Some(by) = self.voucher(endpoint, &shown).await else { return Err(refused) };
        warn!(%node, pinned, shown, %by, "another certificate is taken over");
        endpoint.pin(&shown);
        self.identities.take_over(Stranger { node, shown, pinned }, by);
        self.open(endpoint).await
    }

    /// The node that reports this certificate as the endpoint's. Only the first that answers is believed.
    async fn voucher(&self, stranger: &Endpoint, shown: &str) -> Option<NodeName> {
        let request = ApiRequest::get("/nodes");
        for other in self.endpoints.iter().filter(|other| other.name != stranger.name) {
            let Ok(sender) = self.open(other).await else { continue };
            let Ok(Ok(nodes)) = self.exchange(other, sender, &request).await else { continue };
            let mut nodes = nodes.as_array()?.iter();
            let it = nodes.find(|node| node["node"].as_str() == Some(stranger.name.as_str()))?;
            let reported = tls::normalise(it["ssl_fingerprint"].as_str()?);
            return (reported == shown).then(|| other.name.clone());
        }
        None
    }
}
