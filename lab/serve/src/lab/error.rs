//! Why a lab does not start.

use std::net::{Ipv4Addr, SocketAddr};

use quorate_core::ids::NodeName;
use thiserror::Error;

/// Why a lab did not start.
#[derive(Debug, Error)]
pub enum LabError {
    /// A port could not be bound.
    #[error(
        "cannot listen on {address} for {node}: {reason}. Choose another address or port, or stop what listens there."
    )]
    Listen {
        /// The node that should listen there.
        node: NodeName,
        /// Address and port.
        address: SocketAddr,
        /// What the operating system said.
        reason: std::io::Error,
    },
    /// There are more nodes than addresses after the first one.
    #[error("no address after {first} for node {node}: start with a lower one")]
    Addresses {
        /// The first address.
        first: Ipv4Addr,
        /// The node that got none.
        node: NodeName,
    },
    /// A key or certificate could not be made.
    #[error("cannot make {what}: {reason}")]
    Key {
        /// What was to be made.
        what: &'static str,
        /// What the library said.
        reason: String,
    },
}
