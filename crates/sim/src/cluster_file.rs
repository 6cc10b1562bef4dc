//! A cluster described in TOML, and the world made of it.

use thiserror::Error;

use crate::world::World;

/// Why a cluster file cannot be used.
#[derive(Debug, Error)]
pub enum ClusterFileError {
    /// Not TOML, or not of this shape.
    #[error("the cluster file cannot be read: {0}")]
    Shape(#[from] toml::de::Error),
    /// It contradicts itself.
    #[error("the cluster file contradicts itself: {0}")]
    Contradiction(String),
}

/// The demo cluster's file.
pub const DEMO: &str = include_str!("../clusters/demo.toml");

/// Builds a world from a cluster file's text.
pub fn world_from_toml(text: &str, seed: u64) -> Result<World, ClusterFileError> {
    let _ = (text, seed);
    Err(ClusterFileError::Contradiction("not yet".to_owned()))
}
