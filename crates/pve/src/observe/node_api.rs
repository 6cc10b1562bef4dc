//! The API as one node answers it.

use quorate_core::ids::NodeName;
use quorate_core::observed::WhyUnknown;

use super::reader::{Reader, node_path};

/// The API of one node; an offline one is not asked.
pub(super) struct NodeApi<'a> {
    pub(super) reader: &'a Reader<'a>,
    pub(super) name: &'a NodeName,
    pub(super) offline: bool,
}

impl NodeApi<'_> {
    pub(super) async fn get<T: serde::de::DeserializeOwned>(&self, below: &str) -> Result<T, WhyUnknown> {
        if self.offline {
            let source = format!("GET {}", node_path(self.name, below));
            return Err(WhyUnknown::new(source, format!("{} is offline, as other nodes see it", self.name)));
        }
        self.reader.node_get(self.name, below).await
    }
}
