//! `quorate-lab demo`: a whole run, from inspect to report, against a lab cluster inside this process.
//!
//! The lab is reached as any cluster is: through a configuration file, HTTPS with pinned fingerprints and an API token,
//! and SSH. The last page is the lab's impact report: what the world itself recorded, not what the tool says.

use std::path::PathBuf;
use std::time::Instant;

use quorate::toolkit::{Came, Exit, Failure, Format, Page, Pages, print_json, whole_run};
use quorate_world::cluster_file::{DEMO, POLICIES, POLICIES_POLICY, world_from_toml};
use quorate_world::impact::{Impact, ImpactReport};

use super::files::write_files;
use super::up::DEMO_POLICY;
use crate::impact_page::impact_page;
use crate::lab::{Lab, LabOptions, Port};

const NOTHING: &str = "No cluster outside this process was touched.";

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// How much faster than the wall clock the lab's time runs
    #[arg(long, value_name = "NUMBER", default_value_t = 90, value_parser = clap::value_parser!(u32).range(1..=1000))]
    time_factor: u32,
    /// Use another cluster, in which each policy for guests that cannot move is used once
    #[arg(long)]
    policies: bool,
    /// Seed of all random choices
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    seed: u64,
}

pub(super) async fn perform(args: &Args, format: Format) -> Result<Exit, Failure> {
    #[allow(clippy::disallowed_methods, reason = "the impact report says how long the demo took in real time")]
    let began = Instant::now();
    let dir = TemporaryDir::new()?;
    let pages = Pages(format);
    pages.title("The lab: three Proxmox VE nodes on loopback, each with HTTPS and SSH");
    let lab = start_lab(args).await?;
    pages.page(&where_it_is(&lab));
    let policy = if args.policies { POLICIES_POLICY } else { DEMO_POLICY };
    let config = write_files(&lab, &dir.0, policy)
        .map_err(|error| fault(format!("the demo's files cannot be written: {error}")))?;
    let agreed = |downtimes| {
        lab.with_world(|world| {
            for (guest, seconds) in downtimes {
                world.impact.consent(guest, seconds);
            }
        });
    };
    let Came { exit, plan } = whole_run(&config, &dir.0.join("journal.db"), pages, agreed).await?;
    let impact = lab.with_world(|world| {
        let bound = plan.as_ref().map_or(0, |plan| plan.bound.moves);
        Impact::report(world, bound, began.elapsed().as_secs_f64())
    });
    show(&impact, pages);
    if exit != Exit::Ok {
        return Ok(exit);
    }
    Ok(if impact.clean { Exit::Ok } else { Exit::Harm })
}

async fn start_lab(args: &Args) -> Result<Lab, Failure> {
    let cluster = if args.policies { POLICIES } else { DEMO };
    let mut world = world_from_toml(cluster, args.seed).map_err(|error| fault(error.to_string()))?;
    Impact::begin(&mut world);
    let options = LabOptions {
        time_factor: args.time_factor,
        api_port: Port::Free,
        ssh_port: Port::Free,
        ..LabOptions::default()
    };
    Lab::start(world, options).await.map_err(|error| fault(error.to_string()))
}

fn fault(what: String) -> Failure {
    Failure::new(Exit::Internal, what, NOTHING, &["Try again; if it happens again, report it with this message."])
}

fn where_it_is(lab: &Lab) -> Page {
    let mut page = Page::default();
    for node in lab.endpoints().values() {
        page.line(format!(
            "{}: https://{}, ssh {}, pinned {}…",
            node.node,
            node.api,
            node.ssh,
            &node.fingerprint[..23]
        ));
    }
    page.line(format!("One second here is {} seconds there.", lab.clock().factor()));
    page
}

fn show(impact: &ImpactReport, pages: Pages) {
    match pages.0 {
        Format::Json => print_json(impact),
        Format::Text => {
            pages.title("Impact report");
            impact_page(impact).print();
        }
    }
}

/// A directory that is removed when the demo is over.
struct TemporaryDir(PathBuf);

impl TemporaryDir {
    #[allow(clippy::disallowed_methods, reason = "the lab's key, configuration and journal need a place")]
    fn new() -> Result<Self, Failure> {
        let path = std::env::temp_dir().join(format!("quorate-demo-{}", std::process::id()));
        std::fs::create_dir_all(&path).map_err(|error| fault(format!("{} cannot be made: {error}", path.display())))?;
        Ok(Self(path))
    }
}

impl Drop for TemporaryDir {
    #[allow(clippy::disallowed_methods, reason = "the demo removes what it made")]
    fn drop(&mut self) {
        // At worst it stays behind: it only holds the keys of a lab that has ended.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
