//! `quorate lab`: a cluster that is not there, served on loopback until it is interrupted.
//!
//! It writes a configuration and an SSH key into a directory, so that Quorate, another PVE client, `curl` or `ssh` can
//! talk to it as to a real one.

use std::fmt::Write as _;
use std::fs::{DirBuilder, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use quorate_sim::cluster_file::{DEMO, world_from_toml};
use quorate_sim::lab::{Lab, LabOptions, Port};
use quorate_sim::ledger::Ledger;
use serde_json::json;

use crate::clock::wall_now;
use crate::context::{Context, Format};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::render::page::{Page, print_json};

const NOTHING: &str = "No cluster was started.";

/// What the administrator of the demo cluster has agreed to.
pub(crate) const DEMO_POLICY: &str = r#"
[policy]
consents = ["restart-containers", "shutdown-guests", "eject-media"]

[policy.guests]
"vm:114" = "eject"
"vm:116" = "shutdown"
"#;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Directory for the configuration and the SSH key; it is made if it is not there
    #[arg(long, value_name = "DIR", default_value = "quorate-lab")]
    dir: PathBuf,
    /// A cluster file; without it, the cluster of the demo
    #[arg(long, value_name = "FILE")]
    cluster: Option<PathBuf>,
    /// How much faster than the wall clock the lab's time runs
    #[arg(long, value_name = "NUMBER", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    time_factor: u32,
    /// Seed of everything that is drawn by lot
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    seed: u64,
    /// Listen on ports that are free instead of 8006 and 2222
    #[arg(long)]
    any_port: bool,
}

pub(super) async fn perform(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let mut world = {
        let text = match &args.cluster {
            None => DEMO.to_owned(),
            Some(path) => std::fs::read_to_string(path).map_err(|error| {
                let what = format!("the cluster file {} cannot be read: {error}", path.display());
                Failure::new(Exit::Usage, what, NOTHING, &["Name another file."])
            })?,
        };
        world_from_toml(&text, args.seed)
            .map_err(|error| Failure::new(Exit::Usage, error.to_string(), NOTHING, &["Correct the file."]))?
    };
    Ledger::begin(&mut world);
    let port = |port| if args.any_port { Port::Free } else { Port::Fixed(port) };
    let (api_port, ssh_port) = (port(8006), port(2222));
    let options = LabOptions { time_factor: args.time_factor, api_port, ssh_port, ..LabOptions::default() };
    let lab = Lab::start(world, options)
        .await
        .map_err(|error| Failure::new(Exit::Internal, error.to_string(), NOTHING, &["Try --any-port."]))?;
    let policy = if args.cluster.is_none() { DEMO_POLICY } else { "" };
    let config = write_files(&lab, &args.dir, policy).map_err(|error| {
        let what = format!("the files cannot be written to {}: {error}", args.dir.display());
        Failure::new(Exit::Usage, what, NOTHING, &["Name another directory with --dir."])
    })?;
    tell(&lab, &config, context);
    wait_for_the_end().await;
    Ok(Exit::Ok)
}

fn tell(lab: &Lab, config: &Path, context: &Context) {
    if context.format() == Format::Json {
        let nodes: Vec<_> = lab
            .endpoints()
            .values()
            .map(|node| json!({ "name": node.node, "api": node.api.to_string(), "ssh": node.ssh.to_string() }))
            .collect();
        print_json(&json!({ "kind": "lab", "config": config, "nodes": nodes }));
        return;
    }
    let mut page = Page::default();
    for node in lab.endpoints().values() {
        page.line(format!("{}: https://{}, ssh {}", node.node, node.api, node.ssh));
    }
    page.line(format!("Time runs {} times as fast as outside. Interrupt (ctrl-c) ends it.", lab.clock().factor()));
    page.line("In another terminal:");
    page.line(format!("  quorate --config {} inspect", config.display()));
    page.print();
}

/// Ends with ctrl-c, or politely asked by SIGTERM.
async fn wait_for_the_end() {
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

/// Writes `quorate.toml`, with `policy` at its end, and `id_lab`; gives the path of the configuration.
pub(crate) fn write_files(lab: &Lab, dir: &Path, policy: &str) -> std::io::Result<PathBuf> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
    write(&dir.join("id_lab"), lab.ssh_private_key())?;
    let config = dir.join("quorate.toml");
    write(&config, &(config_text(lab) + policy))?;
    Ok(config)
}

/// Made by an earlier lab, they are of no use any more: written anew, readable by their owner only.
fn write(path: &Path, text: &str) -> std::io::Result<()> {
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())
}

fn config_text(lab: &Lab) -> String {
    let mut text =
        "# The lab that `quorate lab` serves. Of no use once it has ended.\n[cluster]\nnodes = [\n".to_owned();
    for node in lab.endpoints().values() {
        let (name, api, ssh) = (&node.node, node.api, node.ssh);
        let (fingerprint, host_key) = (&node.fingerprint, &node.host_key_fingerprint);
        // Writing to a String does not fail.
        let _ = writeln!(
            text,
            "  {{ name = \"{name}\", api = \"{api}\", fingerprint = \"{fingerprint}\", ssh = \"{ssh}\", host-key = \
             \"{host_key}\" }},"
        );
    }
    let (token_id, secret) = lab.token();
    let clock = lab.clock();
    let _ = write!(
        text,
        "]\n\n[auth]\ntoken-id = \"{token_id}\"\ntoken-secret = \"{secret}\"\nssh-key = [\"id_lab\"]\n\n\
         [lab]\ntime-factor = {}\nstart-ms = {}\nbegan-ms = {}\n",
        clock.factor(),
        clock.now().0,
        wall_now().0
    );
    text
}
