//! `quorate run`: inspects, plans, and upgrades the cluster if nothing forbids it.

use quorate_core::checks::{Finding, means, parse_waiver};
use quorate_core::plan::WhyNoPlan;
use quorate_core::policy::{Policy, Waiver};
use quorate_core::run::Request;
use quorate_engine::{Beginning, Driver, Lists, Prepared, WhenPaused, new_run_id, prepare};
use quorate_journal::{Journal, Mode};

use super::ask::{how_it_ended, speaker, this_driver};
use super::connect::connect;
use super::guests;
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
pub(crate) struct Args {
    /// Accept a finding as it is, for a reason that is recorded in the journal; may be repeated
    #[arg(long, value_name = "CHECK[:SUBJECT]=REASON", value_parser = parse_waiver)]
    waive: Vec<Waiver>,
}

pub(super) async fn perform(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let config = context.config()?;
    let journal = Journal::open(&context.journal_path()?, Mode::Drive)?;
    demand_no_open_run(&journal)?;
    let connection = connect(&config).await?;
    let now = connection.ports.clock.now();
    let run = new_run_id(now, &connection.known_nodes().iter().map(ToString::to_string).collect::<String>());
    let mut policy = connection.policy.clone();
    policy.waive.extend(args.waive.iter().cloned());
    let Prepared { snapshot, findings, plan } =
        prepare(&connection.ports, connection.known_nodes(), &policy, &run, Lists::Refresh).await;
    demand_quorum(&snapshot)?;
    let answered = guests::ask(&snapshot, &mut policy, context)?;
    let Prepared { snapshot, findings, plan } = match answered {
        true => {
            // That a repository failed is not part of the snapshot.
            let lists = findings.into_iter().filter(|finding| WhyNoPlan::PackageLists.is(finding));
            let again = Prepared::of(snapshot, &policy, &run);
            Prepared { findings: lists.chain(again.findings).collect(), ..again }
        }
        false => Prepared { snapshot, findings, plan },
    };
    if blocks(&findings) {
        match context.format() {
            Format::Text => render::preflight::findings(&findings).print(),
            Format::Json => findings.iter().for_each(print_json),
        }
        return Ok(Exit::Blocked);
    }
    let plan = match plan {
        Ok((plan, _)) => plan,
        Err(none) => return Ok(no_plan(&none, context.format())),
    };
    let missing = consents_missing(&plan, &policy);
    if !missing.is_empty() {
        return Err(consent_needed(&missing));
    }
    let cluster = snapshot.cluster_name.known().cloned().unwrap_or_default();
    let beginning = Beginning { run, cluster, policy: policy.clone(), plan };
    let known_nodes = connection.known_nodes();
    let mut lines = Lines::new(context.format());
    let mut driver = Driver::begin(connection.ports, &journal, &this_driver(), beginning, &mut lines)?
        .known_nodes(known_nodes)
        .having_seen(snapshot)
        .when_paused(WhenPaused::Stay);
    for (waiver, findings) in waivers_used(&policy, &findings) {
        let by = if args.waive.contains(&waiver) { speaker() } else { "the configuration".to_owned() };
        driver.say(Request::Waive { waiver, findings }, &by)?;
    }
    let ended = driver.drive().await?;
    Ok(how_it_ended(&ended))
}

/// Each waiver that matched a finding, with the findings it waived.
fn waivers_used(policy: &Policy, findings: &[Finding]) -> Vec<(Waiver, Vec<String>)> {
    let meant = |waiver: &Waiver| {
        let waived = findings.iter().filter(|finding| finding.waived.is_some() && means(waiver, finding));
        waived.map(|finding| format!("{}: {}", finding.subject, finding.problem)).collect::<Vec<_>>()
    };
    let used = policy.waive.iter().map(|waiver| (waiver.clone(), meant(waiver)));
    used.filter(|(_, findings)| !findings.is_empty()).collect()
}

/// One journal, one cluster, one run at a time.
fn demand_no_open_run(journal: &Journal) -> Result<(), Failure> {
    let Some(run) = journal.latest_run()? else { return Ok(()) };
    let view = super::status::view(journal, &run)?;
    if view.state.ended.is_some() {
        return Ok(());
    }
    let happened = format!("run {run} in {} has not ended", journal.path().display());
    let next = "`quorate resume` continues it; `quorate abort` undoes what it still has to undo and ends it.";
    Err(Failure::new(Exit::Driver, happened, "Nothing was started.", &[next]))
}

fn consent_needed(missing: &std::collections::BTreeSet<quorate_core::policy::ConsentKind>) -> Failure {
    let kinds: Vec<String> = missing.iter().map(|kind| format!("\"{}\"", render::log::consent(*kind))).collect();
    Failure::new(
        Exit::NeedsConsent,
        format!("the plan needs your consent to {}", kinds.join(", ")),
        "Nothing was started.",
        &[&format!("See `quorate plan`; then, in the configuration: [policy] consents = [{}].", kinds.join(", "))],
    )
}
