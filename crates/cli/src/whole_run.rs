//! A whole run on the terminal in one go, each page under its own heading: inspect, preflight, plan, run, report.
//!
//! It reaches the cluster as every verb does, through a configuration file, and uses the same engine; it only leaves
//! out the questions to an operator between the pages. `quorate-lab demo` uses it.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use quorate_core::ids::{GuestId, RunId};
use quorate_core::plan::Plan;
use quorate_engine::{Beginning, Driver, Ended, Lists, Prepared, Silent, Watcher, WhenPaused, new_run_id, prepare};
use quorate_journal::{Journal, Mode};

use crate::commands::connect::{Connection, connect};
use crate::commands::plan::no_plan;
use crate::commands::preflight::blocks;
use crate::commands::status::view;
use crate::commands::watch::Lines;
use crate::commands::who::{how_it_ended, this_driver};
use crate::config;
use crate::context::Format;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::live::{self, Left, Since};
use crate::render;
use crate::render::page::Page;
use crate::render::plan::Detail;

/// How far a whole run got.
#[derive(Debug)]
pub struct Came {
    /// The exit code of the whole run.
    pub exit: Exit,
    /// The first plan, if there was one.
    pub plan: Option<Plan>,
}

/// Pages with headings between them, for people; nothing is printed in JSON format.
#[derive(Clone, Copy, Debug)]
pub struct Pages(pub Format);

impl Pages {
    /// Prints a heading.
    pub fn title(self, title: &str) {
        let mut page = Page::default();
        page.gap();
        page.line(format!("── {title}"));
        page.gap();
        self.page(&page);
    }

    /// Prints a page.
    pub fn page(self, page: &Page) {
        if self.0 == Format::Text {
            page.print();
        }
    }
}

/// Inspects, plans, runs and reports. Before the run starts, `agreed` receives the agreed downtime in seconds per
/// guest.
///
/// # Errors
/// The configuration is wrong, the cluster cannot be reached, or the journal cannot be used.
pub async fn whole_run(
    config: &Path,
    journal: &Path,
    pages: Pages,
    agreed: impl FnOnce(BTreeMap<GuestId, u64>),
) -> Result<Came, Failure> {
    let config = config::load(config).map_err(|error| Failure::usage(error.to_string(), "Correct the file."))?;
    let connection = connect(&config).await?;
    let Connection { ref ports, ref policy, .. } = connection;
    let run = new_run_id(ports.clock.now(), "demo");
    pages.title("Inspect: a snapshot of the cluster");
    let prepared = prepare(ports, connection.known_nodes(), policy, &run, Lists::Refresh).await;
    let Prepared { snapshot, findings, plan, .. } = prepared;
    pages.page(&render::inspect::snapshot(&snapshot));
    pages.title("Preflight: what could prevent the upgrade");
    pages.page(&render::preflight::findings(&findings));
    if blocks(&findings) {
        return Ok(Came { exit: Exit::Blocked, plan: None });
    }
    let plan = match plan {
        Ok((plan, _)) => plan,
        Err(none) => return Ok(Came { exit: no_plan(&none, pages.0), plan: None }),
    };
    pages.title("Plan: every step, verified by code independent of the planner");
    pages.page(&render::plan::plan(&plan, &snapshot, policy, Detail::Steps));
    agreed(plan.downtime_allowed_s(policy));

    pages.title("Run");
    let cluster = snapshot.cluster_name.known().cloned().unwrap_or_default();
    let beginning = Beginning { run: run.clone(), cluster, policy: policy.clone(), plan: plan.clone() };
    let path = journal;
    let journal = Journal::open(path, Mode::Drive)?;
    let is_drawn = live::is_drawn(pages.0);
    let (mut lines, mut silent) = (Lines::new(pages.0), Silent);
    let watcher: &mut dyn Watcher = if is_drawn { &mut silent } else { &mut lines };
    let mut driver = Driver::begin(ports.clone(), &journal, &this_driver(), beginning, watcher)?
        .known_nodes(connection.known_nodes())
        .telling()
        // Who sees it paused can resume it.
        .when_paused(if is_drawn { WhenPaused::Stay } else { WhenPaused::Leave });
    let ended = if is_drawn { drawn(&mut driver, path, &run).await? } else { Some(driver.drive().await?) };
    let Some(ended) = ended else { return Ok(Came { exit: Exit::Aborted, plan: Some(plan) }) };
    pages.title("Report: from the journal alone");
    pages.page(&render::report::report(&view(&journal, &run)?));
    Ok(Came { exit: how_it_ended(&ended), plan: Some(plan) })
}

/// Drives a run in this process, and shows it as `quorate attach` would. None if whoever watches wants an end of it.
async fn drawn(driver: &mut Driver<'_>, journal: &Path, run: &RunId) -> Result<Option<Ended>, Failure> {
    let journal = Journal::open(journal, Mode::Ask)?;
    let gone = AtomicBool::new(false);
    let mut driving = std::pin::pin!(driver.drive());
    tokio::select! {
        ended = &mut driving => return Ok(Some(ended?)),
        left = live::watch(&journal, run, Format::Text, Since::Begin, &gone) => match left? {
            Left::Stop => return Ok(None),
            Left::RunOver | Left::Paused | Left::NoDriver | Left::Detached => {}
        },
    }
    Ok(Some(driving.await?))
}
