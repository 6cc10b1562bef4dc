//! `quorate-lab up`: serves a cluster on loopback until it is interrupted or ended by `quorate-lab down`.
//!
//! It prints where the nodes are and how to log in, and writes ready-to-use files for Quorate, `curl` and `ssh`. When
//! it is interrupted it prints the impact report; `quorate-lab down` prints it itself.

use std::path::{Path, PathBuf};

use quorate::toolkit::{Exit, Failure, Format, Page, print_json, read_snapshot};
use quorate_world::World;
use quorate_world::cluster_file::{ClusterFile, DEMO, synthetic, world_from_snapshot};
use quorate_world::impact::Impact;
use serde_json::json;

use super::files::{make_dir, write_files};
use crate::impact_page::impact_page;
use crate::lab::control::Control;
use crate::lab::{Lab, LabOptions, Port};

const NOTHING: &str = "No cluster was started.";

/// What the demo cluster's administrator has agreed to.
pub(crate) const DEMO_POLICY: &str = r#"
[policy]
consents = ["restart-containers", "shutdown-guests", "eject-media"]

[policy.guests]
"vm:114" = "eject"
"vm:116" = "shutdown"
"#;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    place: super::door::Place,
    /// A cluster file; without it, the cluster of the demo
    #[arg(long, value_name = "FILE")]
    cluster: Option<PathBuf>,
    /// A cluster like the one in this snapshot (`quorate export`); guesses are listed on standard error
    #[arg(long, value_name = "SNAPSHOT", conflicts_with = "cluster")]
    from: Option<PathBuf>,
    /// A made-up cluster with this many nodes instead
    #[arg(long, value_name = "NUMBER", requires = "guests", conflicts_with_all = ["cluster", "from"],
        value_parser = clap::value_parser!(u32).range(1..=64))]
    nodes: Option<u32>,
    /// Number of guests in the made-up cluster
    #[arg(long, value_name = "NUMBER", requires = "nodes", value_parser = clap::value_parser!(u32).range(0..=20_000))]
    guests: Option<u32>,
    /// How much faster than the wall clock the lab's time runs
    #[arg(long, value_name = "NUMBER", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    time_factor: u32,
    /// Seed of all random choices
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    seed: u64,
    /// Listen on any free ports instead of 8006 and 2222
    #[arg(long)]
    any_port: bool,
}

pub(super) async fn perform(args: &Args, format: Format) -> Result<Exit, Failure> {
    let mut world = build(args)?;
    Impact::begin(&mut world);
    let dir = &args.place.dir;
    let cannot_write = |error: std::io::Error| {
        let what = format!("the files cannot be written to {}: {error}", dir.display());
        Failure::new(Exit::Usage, what, NOTHING, &["Name another directory with --dir."])
    };
    make_dir(dir).map_err(cannot_write)?;
    let control = Control::open(dir).await.map_err(|error| {
        let next = "End that lab with `quorate-lab down`, or name another directory with --dir.";
        Failure::new(Exit::Usage, error.to_string(), NOTHING, &[next])
    })?;
    let port = |port| if args.any_port { Port::Free } else { Port::Fixed(port) };
    let (api_port, ssh_port) = (port(8006), port(2222));
    let options = LabOptions { time_factor: args.time_factor, api_port, ssh_port, ..LabOptions::default() };
    let lab = Lab::start(world, options)
        .await
        .map_err(|error| Failure::new(Exit::Internal, error.to_string(), NOTHING, &["Try --any-port."]))?;
    let is_demo = args.cluster.is_none() && args.from.is_none() && args.nodes.is_none();
    let config = write_files(&lab, dir, if is_demo { DEMO_POLICY } else { "" }).map_err(cannot_write)?;
    tell(&lab, &config, format);
    let asked_by = tokio::select! {
        stream = control.serve(&lab) => Some(stream),
        () = interrupted() => None,
    };
    let wall_s = control.open_for_s();
    let world = lab.stop().await;
    drop(control);
    if asked_by.is_none() && format == Format::Text {
        impact_page(&Impact::report(&world, 0, wall_s)).print();
    }
    // The client that asked waits for this: from now on nothing listens.
    drop(asked_by);
    Ok(Exit::Ok)
}

fn build(args: &Args) -> Result<World, Failure> {
    let wrong = |error: quorate_world::cluster_file::ClusterFileError| {
        Failure::new(Exit::Usage, error.to_string(), NOTHING, &["Correct the file."])
    };
    if let Some(path) = &args.from {
        let (world, notes) = world_from_snapshot(&read_snapshot(path)?, args.seed).map_err(wrong)?;
        let mut page = Page::default();
        for note in notes {
            page.line(format!("not in the snapshot: {note}"));
        }
        page.print_err();
        return Ok(world);
    }
    let file = match (&args.cluster, args.nodes, args.guests) {
        (Some(path), ..) => {
            let text = std::fs::read_to_string(path).map_err(|error| {
                let what = format!("the cluster file {} cannot be read: {error}", path.display());
                Failure::new(Exit::Usage, what, NOTHING, &["Name another file."])
            })?;
            ClusterFile::parse(&text)
        }
        (None, Some(nodes), Some(guests)) => synthetic(nodes, guests),
        _ => ClusterFile::parse(DEMO),
    };
    World::build(&file.map_err(wrong)?, args.seed).map_err(wrong)
}

fn tell(lab: &Lab, config: &Path, format: Format) {
    let (token_id, secret) = lab.token();
    if format == Format::Json {
        let nodes: Vec<_> = lab
            .endpoints()
            .values()
            .map(|node| {
                json!({ "name": node.node, "api": node.api.to_string(), "ssh": node.ssh.to_string(),
                        "fingerprint": node.fingerprint, "host-key": node.host_key })
            })
            .collect();
        print_json(&json!({
            "kind": "lab", "config": config, "nodes": nodes,
            "token-id": token_id, "token-secret": secret,
            "user": "root@pam", "password": lab.root_password(), "time-factor": lab.clock().factor(),
        }));
        return;
    }
    let dir = config.parent().unwrap_or(Path::new("."));
    let dir = if dir.as_os_str().is_empty() { Path::new(".") } else { dir }.display();
    let mut page = Page::default();
    for node in lab.endpoints().values() {
        page.line(format!("{}: https://{}, ssh {}", node.node, node.api, node.ssh));
    }
    page.line(format!("Login: root@pam, password {}", lab.root_password()));
    page.line(format!("Token: {token_id}={secret}"));
    page.line(format!("Time runs {} times as fast as outside. Interrupt (ctrl-c) ends it.", lab.clock().factor()));
    page.line("In another terminal:");
    page.line(format!("  quorate --config {} inspect", config.display()));
    if let Some(node) = lab.endpoints().values().next() {
        page.line(format!("  ssh -F {dir}/ssh_config {} pvecm status", node.node));
        page.line(format!(
            "  curl --cacert {dir}/ca.pem -H 'Authorization: PVEAPIToken={token_id}={secret}' \
             https://{}/api2/json/cluster/status",
            node.api
        ));
    }
    let option = if format!("{dir}") == super::door::DEFAULT_DIR { String::new() } else { format!(" --dir {dir}") };
    page.line(format!("  quorate-lab status|fault|ledger|down{option}"));
    page.print();
}

/// Returns on ctrl-c or SIGTERM.
async fn interrupted() {
    use tokio::signal::unix::{SignalKind, signal};
    let Ok(mut terminated) = signal(SignalKind::terminate()) else {
        let _ = tokio::signal::ctrl_c().await;
        return;
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        _ = terminated.recv() => {}
    }
}
