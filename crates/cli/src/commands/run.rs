//! `quorate run`: inspects, plans, and upgrades the cluster if nothing forbids it.

use std::collections::BTreeSet;

use quorate_core::checks::{Finding, Severity, means, parse_waiver};
use quorate_core::ids::{RunId, UnixMs};
use quorate_core::plan::Plan;
use quorate_core::planner::Ongoing;
use quorate_core::planner::report::report;
use quorate_core::policy::{ConsentKind, PauseBetween, Policy, Waiver};
use quorate_core::run::{NotBegun, Request};
use quorate_engine::{Driver, Prepared, Silent, Watcher, WhenPaused, look_before_a_run, new_run_id};
use quorate_journal::files::{self, Care};
use quorate_journal::{Journal, Mode};

use super::begin::{self, Word, demand_somebody};
use super::connect::connect;
use super::driver_process::{self, Foreground};
use super::follow::follow;
use super::guests;
use super::plan::no_plan;
use super::preflight::{blocks, demand_quorum};
use super::until::{Until, parse_soak_s, parse_until};
use super::watch::Lines;
use super::who::{how_it_ended, speaker, this_driver, this_process};
use crate::context::{Context, Format};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::live::Since;
use crate::render;
use crate::render::begin::About;
use crate::render::log::short;
use crate::render::page::{Page, print_json};
use crate::render::plan::consents_missing;
use crate::signals::Signals;

const UNTOUCHED: &str = "Nothing was started.";

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    word: WordArgs,
    /// Show the plan only, as `quorate plan` does
    #[arg(long, conflicts_with = "yes")]
    dry_run: bool,
    /// Follow exactly this plan: a file that `quorate plan --out` wrote, or the id of a plan. Refused if the plan of now
    /// is another one
    #[arg(long, value_name = "FILE|ID")]
    plan: Option<String>,
    #[command(flatten)]
    between: BetweenArgs,
}

/// How a run is begun, of whatever kind it is.
#[derive(Debug, clap::Args)]
#[group(skip)]
pub(super) struct WordArgs {
    /// Accept a finding as it is, for a reason that is recorded in the journal; may be repeated
    #[arg(long, value_name = "CHECK[:SUBJECT]=REASON", value_parser = parse_waiver)]
    pub(super) waive: Vec<Waiver>,
    /// Do not ask for the word: for scripts, with the consents in the configuration
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    here: Foreground,
}

/// What happens between two nodes.
#[derive(Debug, clap::Args)]
#[group(skip)]
struct BetweenArgs {
    /// Begin no node that would not be done by then, and pause: a local time of day or a moment, `06:00`,
    /// `2026-12-01T06:00:00+01:00`
    #[arg(long, value_name = "TIME", value_parser = parse_until)]
    until: Option<Until>,
    /// Pause when the first node is done
    #[arg(long, conflicts_with = "approve_each_node")]
    pause_after_first: bool,
    /// Pause before each node but the first
    #[arg(long)]
    approve_each_node: bool,
    /// Watch the cluster for so long between two nodes: `30m`, `90s`, `2h`
    #[arg(long, value_name = "TIME", value_parser = parse_soak_s)]
    soak: Option<u64>,
}

impl BetweenArgs {
    fn apply(&self, policy: &mut Policy, now: UnixMs) {
        let between = &mut policy.between_nodes;
        if self.pause_after_first {
            between.pause = PauseBetween::AfterFirst;
        }
        if self.approve_each_node {
            between.pause = PauseBetween::AfterEach;
        }
        between.soak_s = self.soak.unwrap_or(between.soak_s);
        between.until = self.until.map(|until| until.after(now));
    }
}

pub(super) async fn perform(args: &Args, context: &Context) -> Result<Exit, Failure> {
    if args.dry_run {
        return super::plan::perform(&super::plan::Args::of_a_run(), context).await;
    }
    args.word.demand_somebody("run", context)?;
    let journal = Journal::open(&context.journal_path()?, Mode::Drive)?;
    demand_no_open_run(&journal)?;
    let begun = begin(args, &journal, context).await?;
    handed_over(begun, journal, &args.word, context).await
}

/// What the terminal does once the run is in the journal.
pub(super) async fn handed_over(
    begun: Begun,
    journal: Journal,
    word: &WordArgs,
    context: &Context,
) -> Result<Exit, Failure> {
    match begun {
        Begun::Ended(exit) => Ok(exit),
        Begun::HandedOver(run) => {
            // What was on the page is not shown again.
            let since = if word.yes { Since::Begin } else { Since::Now };
            let path = journal.path().to_owned();
            drop(journal);
            let driver = driver_process::start(&path, &run, WhenPaused::Stay, context)?;
            follow(driver, &run, since, context).await
        }
    }
}

/// How far this process went with the run.
pub(super) enum Begun {
    Ended(Exit),
    /// The run is in the journal with its plan, for the process that will drive it.
    HandedOver(RunId),
}

async fn begin(args: &Args, journal: &Journal, context: &Context) -> Result<Begun, Failure> {
    let connection = connect(&context.config()?).await?;
    let clock = connection.ports.clock.clone();
    let run = new_run_id(clock.now(), &connection.known_nodes().iter().map(ToString::to_string).collect::<String>());
    let mut policy = connection.policy.clone();
    policy.waive.extend(args.word.waive.iter().cloned());
    args.between.apply(&mut policy, clock.now());
    if context.format() == Format::Text {
        let mut talk = Page::default();
        talk.line("Looking at the cluster. Package lists that are older than an hour are read again.");
        talk.print_err();
    }
    // What is asked, and what the run is called after, does not depend on the package lists.
    let before = look_before_a_run(&connection.ports, connection.known_nodes()).await;
    demand_quorum(&before)?;
    guests::ask(&before, &mut policy, context)?;
    let cluster = before.cluster_name.known().cloned().unwrap_or_default();
    let known_nodes = connection.known_nodes();
    let (mut lines, mut silent) = (Lines::new(context.format()), Silent);
    let watcher = args.word.watcher(&mut lines, &mut silent);
    // One that is stopped before the word has begun nothing, and says so in the journal.
    let stop = Signals::while_asking()?;
    let begins = (run, cluster, policy);
    let mut driver = Driver::open(connection.ports, journal, &this_driver(), begins, watcher)?
        .known_nodes(known_nodes)
        .telling()
        .when_paused(WhenPaused::Stay);
    if let Some(ended) = driver.take_lock().await? {
        return Ok(Begun::Ended(how_it_ended(&ended)));
    }
    let Some(prepared) = stop.unless(driver.prepare(&before)).await else {
        return nothing_begun(driver, context).await;
    };
    let plan = args.plan.as_deref();
    worded(&args.word, plan, (driver, stop), &prepared?, (journal, clock.now()), context).await
}

/// The operator has left before the word was given.
pub(super) async fn nothing_begun(mut driver: Driver<'_>, context: &Context) -> Result<Begun, Failure> {
    driver.end_before_it_began(NotBegun::Aborted).await?;
    refused(NotBegun::Aborted, &[], context).map(Begun::Ended)
}

impl WordArgs {
    /// Where another process will drive, the terminal shows the journal; at a terminal the page says what matters.
    pub(super) fn watcher<'a>(&self, lines: &'a mut Lines, silent: &'a mut Silent) -> &'a mut dyn Watcher {
        if self.here.foreground { lines } else { silent }
    }

    /// Demands that somebody is there to be asked, or that `--yes` was said.
    pub(super) fn demand_somebody(&self, verb: &str, context: &Context) -> Result<(), Failure> {
        demand_somebody(verb, self.yes, context.format() == Format::Json)
    }
}

/// Asks for the word, and follows the plan if it is given: here, or by handing the run over.
pub(super) async fn worded(
    word: &WordArgs,
    plan: Option<&str>,
    (mut driver, stop): (Driver<'_>, Signals),
    prepared: &Prepared,
    (journal, now): (&Journal, UnixMs),
    context: &Context,
) -> Result<Begun, Failure> {
    let policy = driver.state().policy.clone();
    match stop.unless(may_begin(word.yes, plan, prepared, &policy, &driver, now)).await {
        None => return nothing_begun(driver, context).await,
        Some(Err(why)) => {
            driver.end_before_it_began(why.clone()).await?;
            return refused(why, &prepared.findings, context).map(Begun::Ended);
        }
        Some(Ok((plan, consents))) => {
            driver.follow(plan, &this_process())?;
            said(word, &mut driver, waivers_used(&policy, &prepared.findings), consents)?;
        }
    }
    let run = driver.run().clone();
    if word.here.foreground {
        return driver_process::drive(&mut driver, journal, &run, context).await.map(Begun::Ended);
    }
    driver.let_go().await;
    Ok(Begun::HandedOver(run))
}

/// What the operator said before the run began is in the journal like what is said later.
fn said(
    word: &WordArgs,
    driver: &mut Driver<'_>,
    waived: Vec<(Waiver, Vec<String>)>,
    consents: BTreeSet<ConsentKind>,
) -> Result<(), Failure> {
    for (waiver, findings) in waived {
        let by = if word.waive.contains(&waiver) { speaker() } else { "the configuration".to_owned() };
        driver.say(Request::Waive { waiver, findings }, &by)?;
    }
    if !consents.is_empty() {
        driver.say(Request::Approve { kinds: consents }, &speaker())?;
    }
    Ok(())
}

/// The plan that is followed, and what was consented to here; or why the run does not begin.
async fn may_begin(
    yes: bool,
    agreed: Option<&str>,
    prepared: &Prepared,
    policy: &Policy,
    driver: &Driver<'_>,
    now: UnixMs,
) -> Result<(Plan, BTreeSet<ConsentKind>), NotBegun> {
    let Prepared { snapshot, findings, plan, lists } = prepared;
    if blocks(findings) {
        let blocking = findings.iter().filter(|finding| finding.severity == Severity::Blocking);
        return Err(NotBegun::Forbidden(blocking.cloned().collect()));
    }
    let (plan, _) = plan.as_ref().map_err(|none| NotBegun::NoPlan(none.clone()))?;
    if let Some(agreed) = agreed
        && let Err(differs) = the_same(plan, agreed)
    {
        return Err(NotBegun::AnotherPlan(differs));
    }
    let missing = consents_missing(plan, policy);
    if yes {
        return if missing.is_empty() { Ok((plan.clone(), missing)) } else { Err(NotBegun::NeedsConsent(missing)) };
    }
    if lists.is_some() {
        render::begin::lists(snapshot, *lists).print_err();
    }
    let report = report(plan, snapshot, policy, &Ongoing::fresh("quorate-upgrade".into()));
    let about = About { plan, report: &report, snapshot, policy, findings, now };
    render::begin::page(&about).print_err();
    match begin::asked(&about, missing, driver).await {
        Word::Begin(consents) => Ok((plan.clone(), consents)),
        Word::NotThese(kinds) => Err(NotBegun::NeedsConsent(kinds)),
        Word::No => Err(NotBegun::Aborted),
    }
}

/// Is it the plan that was agreed to: by the id, its beginning, or the file that it was written to?
fn the_same(plan: &Plan, agreed: &str) -> Result<(), Vec<String>> {
    let is_the_id = agreed.len() >= 8 && agreed.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_the_id && plan.id.as_str().starts_with(agreed) {
        return Ok(());
    }
    if is_the_id && !std::path::Path::new(agreed).exists() {
        return Err(vec![format!("the plan of now is {}, and not {agreed}", short(plan.id.as_str()))]);
    }
    let text = files::read(std::path::Path::new(agreed), Care::Trusted).map_err(|error| vec![error.to_string()])?;
    let written: Plan = serde_json::from_str(&text).map_err(|error| vec![format!("{agreed} is no plan: {error}")])?;
    if written.id == plan.id { Ok(()) } else { Err(written.differences(plan)) }
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
        NotBegun::AnotherPlan(differs) => {
            let differs: Vec<&str> = differs.iter().map(String::as_str).collect();
            let next: Vec<&str> =
                differs.into_iter().chain(["See `quorate plan`, and agree to the new one."]).collect();
            Err(Failure::new(Exit::NeedsConsent, "the plan is not the one that was agreed to", UNTOUCHED, &next))
        }
        NotBegun::Aborted => {
            let mut page = Page::default();
            page.line(UNTOUCHED);
            page.print_err();
            Ok(Exit::Aborted)
        }
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
    Err(Failure::new(Exit::Driver, happened, UNTOUCHED, &[&next]))
}

fn consent_needed(missing: &std::collections::BTreeSet<quorate_core::policy::ConsentKind>) -> Failure {
    let kinds: Vec<String> = missing.iter().map(|kind| format!("\"{}\"", render::log::consent(*kind))).collect();
    Failure::new(
        Exit::NeedsConsent,
        format!("the plan needs your consent to {}", kinds.join(", ")),
        UNTOUCHED,
        &[&format!("See `quorate plan`; then, in the configuration: [policy] consents = [{}].", kinds.join(", "))],
    )
}
