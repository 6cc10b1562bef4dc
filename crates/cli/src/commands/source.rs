//! Where a snapshot comes from: a cluster, or a file that `quorate export` wrote.

use std::path::{Path, PathBuf};

use quorate_core::policy::Policy;
use quorate_core::snapshot::{SNAPSHOT_FORMAT, Snapshot};
use quorate_pve::observe::{Look, observe};
use serde::Deserialize;

use super::connect::connect;
use crate::context::Context;
use crate::failure::Failure;

/// Arguments of commands that look.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Use this exported snapshot instead of a cluster
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
}

/// A snapshot, and the policy that it is judged by.
pub(crate) async fn look(args: &Args, context: &Context) -> Result<(Snapshot, Policy), Failure> {
    match &args.from {
        Some(path) => Ok((read(path)?, context.policy()?)),
        None => {
            let connection = connect(&context.config()?).await?;
            let look = Look { known_nodes: connection.known_nodes(), ..Look::full() };
            Ok((observe(&connection.ports, look).await, connection.policy))
        }
    }
}

/// Only what every format has.
#[derive(Deserialize)]
struct Head {
    format: u32,
}

fn read(path: &Path) -> Result<Snapshot, Failure> {
    const NEXT: &str = "Name a file that `quorate export` of this version wrote.";
    let name = path.display();
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure::usage(format!("the snapshot {name} cannot be read: {error}"), NEXT))?;
    let head: Head =
        serde_json::from_str(&text).map_err(|error| Failure::usage(format!("{name} is no snapshot: {error}"), NEXT))?;
    if head.format != SNAPSHOT_FORMAT {
        let what = format!("the snapshot {name} has format {}, and this Quorate reads {SNAPSHOT_FORMAT}", head.format);
        return Err(Failure::usage(what, NEXT));
    }
    serde_json::from_str(&text).map_err(|error| Failure::usage(format!("{name} is no whole snapshot: {error}"), NEXT))
}
