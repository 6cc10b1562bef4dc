//! `quorate demo`: a whole run, from inspect to report, against a lab cluster inside this process.
//!
//! The lab is reached as any cluster is: through a configuration file, HTTPS with pinned fingerprints and an API token,
//! and SSH. What is printed last is the lab's ledger of harm; it is the world's account and not the tool's.

use std::path::PathBuf;
use std::time::Instant;

use quorate_core::plan::Plan;
use quorate_engine::{Beginning, Driver, Lists, Prepared, Watcher, WhenPaused, new_run_id, prepare};
use quorate_journal::{Journal, Mode};
use quorate_sim::cluster_file::{DEMO, POLICIES, POLICIES_POLICY, world_from_toml};
use quorate_sim::lab::{Lab, LabOptions, Port};
use quorate_sim::ledger::{Ledger, LedgerReport};
use quorate_sim::rehearsal::consented_seconds;

use super::ask::this_driver;
use super::connect::{Connection, connect};
use super::lab::{DEMO_POLICY, write_files};
use super::plan::no_plan;
use super::preflight::blocks;
use super::watch::Lines;
use crate::config;
use crate::context::{Context, Format};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::render;
use crate::render::page::{Page, print_json};
use crate::render::plan::Detail;

const NOTHING: &str = "No cluster outside this process was touched.";

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// How much faster than the wall clock the lab's time runs
    #[arg(long, value_name = "NUMBER", default_value_t = 90, value_parser = clap::value_parser!(u32).range(1..=1000))]
    time_factor: u32,
    /// Another cluster, in which each policy for guests that cannot move is used once
    #[arg(long)]
    policies: bool,
    /// Seed of everything that is drawn by lot
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    seed: u64,
}

pub(super) async fn perform(args: &Args, context: &Context) -> Result<Exit, Failure> {
    #[allow(clippy::disallowed_methods, reason = "the ledger says how long the demo took on the wall")]
    let began = Instant::now();
    let stage = Stage { format: context.format(), dir: TemporaryDir::new()? };
    stage.title("The lab: three Proxmox VE nodes on loopback, each with HTTPS and SSH");
    let lab = start_lab(args).await?;
    stage.tell_lab(&lab);
    let policy = if args.policies { POLICIES_POLICY } else { DEMO_POLICY };
    let file = write_files(&lab, &stage.dir.0, policy)
        .map_err(|error| fault(format!("the demo's files cannot be written: {error}")))?;
    let config = config::load(&file).map_err(|error| fault(error.to_string()))?;
    let connection = connect(&config).await?;
    let exit = stage.run(&lab, connection, context).await?;
    let ledger = lab.with_world(|world| {
        let bound = exit.plan.as_ref().map_or(0, |plan| plan.bound.moves);
        Ledger::report(world, bound, began.elapsed().as_secs_f64())
    });
    stage.ledger(&ledger);
    if exit.exit != Exit::Ok {
        return Ok(exit.exit);
    }
    Ok(if ledger.clean { Exit::Ok } else { Exit::Harm })
}

async fn start_lab(args: &Args) -> Result<Lab, Failure> {
    let cluster = if args.policies { POLICIES } else { DEMO };
    let mut world = world_from_toml(cluster, args.seed).map_err(|error| fault(error.to_string()))?;
    Ledger::begin(&mut world);
    let options = LabOptions {
        time_factor: args.time_factor,
        api_port: Port::Free,
        ssh_port: Port::Free,
        ..LabOptions::default()
    };
    Lab::start(world, options).await.map_err(|error| fault(error.to_string()))
}

fn fault(what: String) -> Failure {
    Failure::new(Exit::Internal, what, NOTHING, &["Try again; if it stays, report it with this message."])
}

/// How far the demo came.
struct Came {
    exit: Exit,
    plan: Option<Plan>,
}

/// What the demo prints, and where it keeps its files.
struct Stage {
    format: Format,
    dir: TemporaryDir,
}

impl Stage {
    async fn run(&self, lab: &Lab, connection: Connection, context: &Context) -> Result<Came, Failure> {
        let Connection { ref ports, ref policy, .. } = connection;
        let run = new_run_id(ports.clock.now(), "demo");
        self.title("Inspect: one picture of the cluster");
        let prepared = prepare(ports, connection.known_nodes(), policy, &run, Lists::Refresh).await;
        let Prepared { snapshot, findings, plan } = prepared;
        self.page(&render::inspect::snapshot(&snapshot));
        self.title("Preflight: what could be in the way");
        self.page(&render::preflight::findings(&findings));
        if blocks(&findings) {
            return Ok(Came { exit: Exit::Blocked, plan: None });
        }
        let plan = match plan {
            Ok((plan, _)) => plan,
            Err(none) => return Ok(Came { exit: no_plan(&none, context), plan: None }),
        };
        self.title("Plan: every step, checked by code other than the code that made it");
        self.page(&render::plan::plan(&plan, &snapshot, policy, Detail::Steps));
        lab.with_world(|world| {
            for (guest, seconds) in consented_seconds(&plan, policy) {
                world.ledger.consent(guest, seconds);
            }
        });

        self.title("Run");
        let cluster = snapshot.cluster_name.known().cloned().unwrap_or_default();
        let beginning = Beginning { run: run.clone(), cluster, policy: policy.clone(), plan: plan.clone() };
        let journal = Journal::open(&self.dir.0.join("journal.db"), Mode::Drive)?;
        let mut lines = Lines::new(self.format);
        let mut driver =
            Driver::begin(ports.clone(), &journal, &this_driver(), beginning, &mut lines as &mut dyn Watcher)?
                .known_nodes(connection.known_nodes())
                .when_paused(WhenPaused::Leave);
        let ended = driver.drive().await?;
        self.title("Report: from the journal alone");
        self.page(&render::report::report(&super::status::view(&journal, &run)?));
        Ok(Came { exit: super::ask::how_it_ended(&ended), plan: Some(plan) })
    }

    fn title(&self, title: &str) {
        if self.format == Format::Text {
            let mut page = Page::default();
            page.gap();
            page.line(format!("── {title}"));
            page.gap();
            page.print();
        }
    }

    fn page(&self, page: &Page) {
        if self.format == Format::Text {
            page.print();
        }
    }

    fn tell_lab(&self, lab: &Lab) {
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
        self.page(&page);
    }

    fn ledger(&self, ledger: &LedgerReport) {
        match self.format {
            Format::Json => print_json(ledger),
            Format::Text => {
                self.title("Ledger of harm: the world's own account");
                render::ledger::ledger(ledger).print();
            }
        }
    }
}

/// Gone when the demo is over.
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
        // Left behind at worst: it holds keys of a lab that has ended.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
