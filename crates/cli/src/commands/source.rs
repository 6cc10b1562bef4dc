//! Where a snapshot comes from: a cluster, or a file that `quorate export` wrote.

use std::path::{Path, PathBuf};

use quorate_core::policy::Policy;
use quorate_core::snapshot::{SNAPSHOT_FORMAT, Snapshot};
use quorate_engine::{Lists, Prepared, new_run_id, prepare};
use quorate_pve::observe::{Look, observe};
use serde::Deserialize;

use super::connect::connect;
use crate::context::{Context, Format};
use crate::failure::Failure;
use crate::render;

/// Arguments of commands that read the cluster.
#[derive(Debug, Default, clap::Args)]
#[group(skip)]
pub(crate) struct Args {
    /// Use this exported snapshot instead of the cluster
    #[arg(long, value_name = "FILE")]
    from: Option<PathBuf>,
}

/// Arguments of commands that plan.
#[derive(Debug, Default, clap::Args)]
#[group(skip)]
pub(crate) struct PlanArgs {
    #[command(flatten)]
    source: Args,
    /// Leave the package lists of the nodes as they are: by default those older than an hour are read again, as a run
    /// does it (apt-get update)
    #[arg(long, conflicts_with = "from")]
    no_refresh: bool,
    /// The default, for scripts from before it was
    #[arg(long, hide = true, conflicts_with_all = ["from", "no_refresh"])]
    refresh: bool,
}

/// Everything that an operator should see before a run, and the policy that it is checked against.
pub(super) async fn prepared(args: &PlanArgs, context: &Context) -> Result<(Prepared, Policy), Failure> {
    if let Some(path) = &args.source.from {
        let (snapshot, policy) = (read(path)?, context.policy()?);
        let cluster = snapshot.cluster_name.known().map_or("", String::as_str);
        // The id only names the upgrade units; taken from the snapshot's time, so that a file always gives the same
        // plan.
        let run = new_run_id(snapshot.taken, cluster);
        return Ok((Prepared::of(snapshot, &policy, &run), policy));
    }
    let connection = connect(&context.config()?).await?;
    let run = new_run_id(connection.ports.clock.now(), "");
    let lists = if args.no_refresh { Lists::AsTheyAre } else { Lists::Refresh };
    let known_nodes = connection.known_nodes();
    let prepared = prepare(&connection.ports, known_nodes, &connection.policy, &run, lists).await;
    if context.format() == Format::Text {
        let line = render::begin::lists(&prepared.snapshot, prepared.lists);
        if args.no_refresh { line.print() } else { line.print_err() }
    }
    Ok((prepared, connection.policy))
}

/// A snapshot.
pub(super) async fn look(args: &Args, context: &Context) -> Result<Snapshot, Failure> {
    match &args.from {
        Some(path) => read(path),
        None => {
            let connection = connect(&context.config()?).await?;
            let look = Look { known_nodes: connection.known_nodes(), ..Look::full() };
            Ok(observe(&connection.ports, look).await)
        }
    }
}

/// The part that every format has.
#[derive(Deserialize)]
struct Head {
    format: u32,
}

/// A snapshot from a file.
///
/// # Errors
/// The file cannot be read, or is not a snapshot in this version's format.
pub fn read(path: &Path) -> Result<Snapshot, Failure> {
    const NEXT: &str = "Name a file written by `quorate export` of this version.";
    let name = path.display();
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure::usage(format!("the snapshot {name} cannot be read: {error}"), NEXT))?;
    let head: Head = serde_json::from_str(&text)
        .map_err(|error| Failure::usage(format!("{name} is not a snapshot: {error}"), NEXT))?;
    if head.format != SNAPSHOT_FORMAT {
        let what = format!("the snapshot {name} has format {}, and this Quorate reads {SNAPSHOT_FORMAT}", head.format);
        return Err(Failure::usage(what, NEXT));
    }
    serde_json::from_str(&text)
        .map_err(|error| Failure::usage(format!("{name} is not a complete snapshot: {error}"), NEXT))
}
