//! What a node's release can do for a migration.

use quorate_core::ids::NodeName;
use quorate_core::observed::WhyUnknown;

use super::reader::{Reader, api_why, node_path};
use crate::ports::ApiError;
use crate::wire::lenient;
use crate::wire::node::MigrationCapabilities;

/// Can its VMs take the state of the firewall's connections along? Releases before 9.0 do not know this call (501), and
/// neither can their VMs.
pub(super) async fn moves_connections(reader: &Reader<'_>, node: &NodeName, offline: bool) -> Result<bool, WhyUnknown> {
    const BELOW: &str = "capabilities/qemu/migration";
    let source = format!("GET {}", node_path(node, BELOW));
    if offline {
        return Err(WhyUnknown::new(source, format!("{node} is offline, as other nodes see it")));
    }
    match reader.node_get_raw(node, BELOW).await {
        Ok(value) => {
            let capabilities: MigrationCapabilities =
                lenient::read(value).map_err(|reason| WhyUnknown::new(source, reason))?;
            Ok(capabilities.has_dbus_vmstate.0)
        }
        Err(ApiError::Refused { status: 501, .. }) => Ok(false),
        Err(error) => Err(api_why(&node_path(node, BELOW), &error)),
    }
}
