//! `quorate run`: inspects, plans, and upgrades the cluster if nothing forbids it.

use quorate_core::checks::{Finding, Severity, means, parse_waiver};
use quorate_core::forecast::Forecast;
use quorate_core::plan::{NoPlan, Plan};
use quorate_core::policy::{Policy, Waiver};
use quorate_core::run::{NotBegun, Request};
use quorate_engine::{Driver, Prepared, WhenPaused, look_before_a_run, new_run_id};
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
    // What is asked, and what the run is called after, does not depend on the package lists.
    let before = look_before_a_run(&connection.ports, connection.known_nodes()).await;
    demand_quorum(&before)?;
    guests::ask(&before, &mut policy, context)?;
    let cluster = before.cluster_name.known().cloned().unwrap_or_default();
    let (known_nodes, holder) = (connection.known_nodes(), this_driver());
    let mut lines = Lines::new(context.format());
    let mut driver = Driver::open(connection.ports, &journal, &holder, (run, cluster, policy.clone()), &mut lines)?
        .known_nodes(known_nodes)
        .telling()
        .when_paused(WhenPaused::Stay);
    if let Some(ended) = driver.take_lock().await? {
        return Ok(how_it_ended(&ended));
    }
    let Prepared { findings, plan, .. } = driver.prepare(&before).await?;
    let plan = match may_begin(findings.clone(), plan, &policy) {
        Ok(plan) => plan,
        Err(why) => {
            driver.end_before_it_began(why.clone()).await?;
            return refused(why, &findings, context);
        }
    };
    driver.follow(plan, &holder.text)?;
    for (waiver, findings) in waivers_used(&policy, &findings) {
        let by = if args.waive.contains(&waiver) { speaker() } else { "the configuration".to_owned() };
        driver.say(Request::Waive { waiver, findings }, &by)?;
    }
    let ended = driver.drive().await?;
    Ok(how_it_ended(&ended))
}

/// The plan, if nothing forbids to follow it.
pub(super) fn may_begin(
    findings: Vec<Finding>,
    plan: Result<(Plan, Forecast), NoPlan>,
    policy: &Policy,
) -> Result<Plan, NotBegun> {
    if blocks(&findings) {
        let blocking = findings.into_iter().filter(|finding| finding.severity == Severity::Blocking);
        return Err(NotBegun::Forbidden(blocking.collect()));
    }
    let (plan, _) = plan.map_err(NotBegun::NoPlan)?;
    let missing = consents_missing(&plan, policy);
    if missing.is_empty() { Ok(plan) } else { Err(NotBegun::NeedsConsent(missing)) }
}

/// The page of a run that ended before it began, and its exit code.
pub(super) fn refused(why: NotBegun, findings: &[Finding], context: &Context) -> Result<Exit, Failure> {
    match why {
        NotBegun::Forbidden(_) => {
            match context.format() {
                Format::Text => render::preflight::findings(findings).print(),
                Format::Json => findings.iter().for_each(print_json),
            }
            Ok(Exit::Blocked)
        }
        NotBegun::NoPlan(none) => Ok(no_plan(&none, context.format())),
        NotBegun::NeedsConsent(missing) => Err(consent_needed(&missing)),
        NotBegun::Aborted => Ok(Exit::Aborted),
    }
}

/// Each waiver that matched a finding, with the findings it waived.
pub(super) fn waivers_used(policy: &Policy, findings: &[Finding]) -> Vec<(Waiver, Vec<String>)> {
    let meant = |waiver: &Waiver| {
        let waived = findings.iter().filter(|finding| finding.waived.is_some() && means(waiver, finding));
        waived.map(|finding| format!("{}: {}", finding.subject, finding.problem)).collect::<Vec<_>>()
    };
    let used = policy.waive.iter().map(|waiver| (waiver.clone(), meant(waiver)));
    used.filter(|(_, findings)| !findings.is_empty()).collect()
}

/// One journal, one cluster, one run at a time.
pub(super) fn demand_no_open_run(journal: &Journal) -> Result<(), Failure> {
    let Some(run) = journal.latest_run()? else { return Ok(()) };
    let view = super::status::view(journal, &run)?;
    if view.state.ended.is_some() {
        return Ok(());
    }
    let happened = format!("run {run} in {} has not ended", journal.path().display());
    let next = match view.drained() {
        Some((node, _)) => format!("It has drained {node}: `quorate undrain {node}` gives it back."),
        None => {
            "`quorate resume` continues it; `quorate abort` undoes what it still has to undo and ends it.".to_owned()
        }
    };
    Err(Failure::new(Exit::Driver, happened, "Nothing was started.", &[&next]))
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
