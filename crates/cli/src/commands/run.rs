//! `quorate run`: looks, plans, and upgrades the cluster if nothing forbids it.

use quorate_engine::{Beginning, Driver, Lists, Prepared, WhenPaused, new_run_id, prepare};
use quorate_journal::{Journal, Mode};

use super::ask::{how_it_ended, this_driver};
use super::connect::connect;
use super::plan::no_plan;
use super::preflight::{blocks, demand_quorum};
use super::watch::Lines;
use crate::context::{Context, Format};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::render;
use crate::render::page::print_json;
use crate::render::plan::consents_missing;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(super) async fn perform(_: &Args, context: &Context) -> Result<Exit, Failure> {
    let config = context.config()?;
    let journal = Journal::open(&context.journal_path()?, Mode::Drive)?;
    demand_no_open_run(&journal)?;
    let connection = connect(&config).await?;
    let now = connection.ports.clock.now();
    let run = new_run_id(now, &connection.known_nodes().iter().map(ToString::to_string).collect::<String>());
    let Prepared { snapshot, findings, plan } =
        prepare(&connection.ports, connection.known_nodes(), &connection.policy, &run, Lists::Refresh).await;
    demand_quorum(&snapshot)?;
    if blocks(&findings) {
        match context.format() {
            Format::Text => render::preflight::findings(&findings).print(),
            Format::Json => findings.iter().for_each(print_json),
        }
        return Ok(Exit::Blocked);
    }
    let plan = match plan {
        Ok((plan, _)) => plan,
        Err(none) => return Ok(no_plan(&none, context)),
    };
    let missing = consents_missing(&plan, &connection.policy);
    if !missing.is_empty() {
        return Err(consent_needed(&missing));
    }
    let cluster = snapshot.cluster_name.known().cloned().unwrap_or_default();
    let beginning = Beginning { run, cluster, policy: connection.policy.clone(), plan };
    let known_nodes = connection.known_nodes();
    let mut lines = Lines::new(context.format());
    let mut driver = Driver::begin(connection.ports, &journal, &this_driver(), beginning, &mut lines)?
        .known_nodes(known_nodes)
        .when_paused(WhenPaused::Stay);
    let ended = driver.drive().await?;
    Ok(how_it_ended(&ended))
}

/// One journal, one cluster, one run at a time.
fn demand_no_open_run(journal: &Journal) -> Result<(), Failure> {
    let Some(run) = journal.latest_run()? else { return Ok(()) };
    let view = super::status::view(journal, &run)?;
    if view.state.ended.is_some() {
        return Ok(());
    }
    let happened = format!("run {run} in {} is not over", journal.path().display());
    let next = "`quorate resume` takes it up; `quorate abort` pays back what it owes and ends it.";
    Err(Failure::new(Exit::Driver, happened, "Nothing was begun.", &[next]))
}

fn consent_needed(missing: &std::collections::BTreeSet<quorate_core::policy::ConsentKind>) -> Failure {
    let kinds: Vec<String> = missing.iter().map(|kind| format!("\"{}\"", render::log::consent(*kind))).collect();
    Failure::new(
        Exit::NeedsConsent,
        format!("the plan needs your consent to {}", kinds.join(", ")),
        "Nothing was begun.",
        &[&format!("See `quorate plan`; then, in the configuration: [policy] consents = [{}].", kinds.join(", "))],
    )
}
