//! Events as lines: for `quorate log`, and for the terminal of a running `quorate run`.

use quorate_core::checks::Finding;
use quorate_core::ids::{NodeName, UnixMs};
use quorate_core::policy::ConsentKind;
use quorate_core::run::{Event, PauseCause, RunKind, RunOutcome, StepOutcome};
use quorate_core::view::View;
use quorate_journal::Entry;

use super::names::Names;
use super::page::Page;
use super::preflight::{problem, word};
use super::stopped;
use super::units::{date, duration, time_of_day};

/// Lines of one event: what a program printed is kept in the journal, and nobody reads more of it here.
const MOST_LINES: usize = 200;

/// Further lines of an event stand below its text.
const INDENT: &str = "                    ";

/// The last events of a run, so many.
pub(crate) fn log(entries: &[Entry], last: usize) -> Page {
    let mut page = Page::default();
    let (mut day, mut view) = (String::new(), View::default());
    let from = entries.len().saturating_sub(last);
    for (place, entry) in entries.iter().enumerate() {
        view.apply(entry.at, &entry.event);
        if place < from {
            continue;
        }
        let date = date(entry.at);
        if date != day {
            page.line(&date);
            day = date;
        }
        page.page(&event(entry.seq, entry.at, &entry.event, &view));
    }
    page
}

/// The hash chain over the whole journal is intact.
pub(crate) fn verified(events: u64) -> Page {
    let mut page = Page::default();
    page.line(format!("{events} events, each unchanged since it was written and in the original order."));
    page
}

/// One event: a line, and further lines where it has more to say. `view` is the run up to this event.
pub(crate) fn event(seq: u64, at: UnixMs, event: &Event, view: &View) -> Page {
    let mut page = Page::default();
    let names = Names::of(&view.names);
    let (what, more) = describe(event);
    page.line(format!("{} {seq:>5}  {}", time_of_day(at), names.in_text(&what)));
    // A command and what a program printed stay as they are.
    let literal = match event {
        Event::StepStarted { command: Some(_), .. } => 1,
        Event::OutputKept { .. } => usize::MAX,
        _ => 0,
    };
    for (place, line) in more.iter().take(MOST_LINES).enumerate() {
        let line = if place < literal { line.clone() } else { names.in_text(line) };
        page.line(format!("{INDENT}{line}"));
    }
    if more.len() > MOST_LINES {
        page.line(format!("{INDENT}and {} more lines (all with --json)", more.len() - MOST_LINES));
    }
    if matches!(event, Event::Paused { .. } | Event::AbortBegun { .. }) {
        stopped::not_as_it_was(view).iter().for_each(|line| page.line(format!("{INDENT}{line}")));
    }
    page
}

/// One event in one line, without its time.
pub(crate) fn headline(event: &Event) -> String {
    describe(event).0
}

fn describe(event: &Event) -> (String, Vec<String>) {
    match event {
        Event::RunStarted { run, kind, cluster, policy: _, version } => {
            let what = match kind {
                RunKind::Upgrade => "run".to_owned(),
                RunKind::Recovery => "recovery".to_owned(),
                RunKind::Drain { node } => format!("drain of {node}, run"),
            };
            (format!("{what} {run} starts on cluster {cluster}, Quorate {version}"), Vec::new())
        }
        Event::DriverTookOver { driver, .. } => (format!("run by {driver}"), Vec::new()),
        Event::ListsRefreshBegun { nodes } => {
            let nodes: Vec<&str> = nodes.iter().map(NodeName::as_str).collect();
            (format!("refreshes the package lists of {}", nodes.join(", ")), Vec::new())
        }
        Event::ListsRefreshed { failed } => {
            let each = failed.iter().map(|(node, why)| format!("{node}: {why}"));
            (format!("package lists refreshed, {} failed", failed.len()), each.collect())
        }
        Event::FoundSet { undo, by } => (format!("{by} wants this undone: {}", undo.kind().title()), Vec::new()),
        Event::PlanAdopted { plan, why } => {
            let steps = plan.steps().count();
            let what = format!(
                "plan {}: {steps} steps, {} migrations, about {} ({why})",
                short(plan.id.as_str()),
                plan.costs.moves,
                duration(plan.costs.duration_s)
            );
            (what, Vec::new())
        }
        Event::Consented { kinds, by } => {
            let kinds: Vec<&str> = kinds.iter().map(|kind| consent(*kind)).collect();
            (format!("{by} consents to {}", kinds.join(", ")), Vec::new())
        }
        Event::DowntimeAgreed { allowed_s, margin_percent, by } => {
            let total: u64 = allowed_s.values().sum();
            let each = allowed_s.iter().map(|(guest, seconds)| format!("{guest} at most {}", duration(*seconds)));
            let what = format!(
                "{by} consents to at most {} of downtime ({margin_percent} % above the plan's estimate)",
                duration(total)
            );
            (what, each.collect())
        }
        Event::Waived { waiver, findings, by } => {
            (format!("{by} waives {waiver}: {}", waiver.reason), findings.clone())
        }
        Event::ThrottleChanged { throttle, why } => (format!("migration throttle: {throttle}"), why.clone()),
        Event::ConfirmedOff { off: _, words, by } => (format!("{by} confirms"), words.clone()),
        Event::StepStarted { id: _, step, attempt, command, undo } => {
            let again = if *attempt > 1 { format!(", attempt {attempt}") } else { String::new() };
            let waits = if *attempt == 0 { ", waiting until it can start" } else { "" };
            let mut more: Vec<String> = command.iter().map(ToString::to_string).collect();
            more.extend(undo.iter().map(|to_undo| format!("to undo later: {}", to_undo.kind().title())));
            (format!("start   {}{again}{waits}", step.kind().title()), more)
        }
        Event::CommandAnswered { id, answer, job } => {
            let answer = match job {
                Some(job) if job.as_str() == answer => format!("task {job}"),
                Some(job) => format!("{answer} (task {job})"),
                None => answer.clone(),
            };
            (format!("answer  {id}: {answer}"), Vec::new())
        }
        Event::CommandInDoubt { id, why } => (format!("in doubt {id}: {why}"), Vec::new()),
        Event::CommandNotDone { id, why } => (format!("not done {id}: {why}"), Vec::new()),
        Event::StepEnded { id: _, step, outcome } => {
            (format!("{} {}", ended_word(outcome), step.kind().title()), because(outcome))
        }
        Event::GuestRanSince { guest, since } => {
            (format!("{guest} was back at {}: its downtime is counted up to then", time_of_day(*since)), Vec::new())
        }
        Event::FirstSeen { boots, running } => first_seen(boots.keys(), running.len()),
        Event::ChangedOutside { change } => (format!("OUTSIDE {change}"), Vec::new()),
        Event::CertificateTakenOver { node, pinned, shown, by } => {
            let more = format!("{pinned} was pinned. Put the new one into quorate.toml");
            (format!("CERTIFICATE of {node} is now {shown}: {by} vouches for it"), vec![more])
        }
        Event::OutputKept { id, node, lines } => {
            let lines = lines.iter().map(|line| format!("| {line}")).collect();
            (format!("output  {id} on {node}"), lines)
        }
        Event::FinalCheck { node, findings } => final_check(node, findings),
        Event::PauseAsked { by } => (format!("{by} asks for a pause when the current node is done"), Vec::new()),
        Event::Paused { pause } => (format!("PAUSED  {}", paused(pause.cause())), pause.lines()),
        Event::Resumed { by } => (format!("resumed by {by}"), Vec::new()),
        Event::AbortBegun { by } => {
            (format!("abort requested by {by}: from now on only what is left to undo is done"), Vec::new())
        }
        Event::RunEnded { outcome } => (format!("run {}", ended(outcome)), Vec::new()),
    }
}

fn first_seen<'a>(nodes: impl Iterator<Item = &'a NodeName>, guests: usize) -> (String, Vec<String>) {
    let boots = nodes.map(|node| format!("the boot of {node}"));
    let guests = match guests {
        0 => None,
        1 => Some("1 guest that runs".to_owned()),
        many => Some(format!("{many} guests that run")),
    };
    (format!("noted   {}", boots.chain(guests).collect::<Vec<_>>().join(", ")), Vec::new())
}

fn final_check(node: &NodeName, findings: &[Finding]) -> (String, Vec<String>) {
    let what = match findings.len() {
        0 => "nothing found".to_owned(),
        1 => "1 finding".to_owned(),
        many => format!("{many} findings"),
    };
    let each = findings.iter().map(|finding| format!("{:<8}  {}", word(finding.severity), problem(finding)));
    (format!("final check after the last node, {node}: {what}"), each.collect())
}

fn ended_word(outcome: &StepOutcome) -> &'static str {
    match outcome {
        StepOutcome::Done | StepOutcome::DoneWithout(_) => "done   ",
        StepOutcome::FoundDone => "already",
        StepOutcome::NoEffect(_) => "no effect of",
        StepOutcome::Abandoned(_) => "given up",
        StepOutcome::HandedOver(_) => "LEFT TO YOU:",
    }
}

fn because(outcome: &StepOutcome) -> Vec<String> {
    Some(outcome.why()).filter(|why| !why.is_empty()).into_iter().collect()
}

/// The first characters of a hash: enough to tell two apart.
pub(crate) fn short(hash: &str) -> &str {
    hash.get(..8).unwrap_or(hash)
}

/// A kind of consent as it is written in the configuration and on the command line.
pub(crate) fn consent(kind: ConsentKind) -> &'static str {
    match kind {
        ConsentKind::RestartContainers => "restart-containers",
        ConsentKind::ShutdownGuests => "shutdown-guests",
        ConsentKind::HibernateGuests => "hibernate-guests",
        ConsentKind::MoveOffline => "move-offline",
        ConsentKind::EjectMedia => "eject-media",
    }
}

/// Why a run is paused, in words.
pub(crate) fn paused(cause: PauseCause) -> &'static str {
    match cause {
        PauseCause::Operator => "by the operator",
        PauseCause::NeedsConsent => "your consent is needed",
        PauseCause::Findings => "a finding that forbids a run",
        PauseCause::ChangedOutside => "a node or a guest went down, and not by this run",
        PauseCause::Drained => "until the node is given back",
        PauseCause::Stuck => "stuck",
        PauseCause::LostQuorum => "no quorum; it continues by itself when quorum is back",
    }
}

/// How a run ended, in words.
pub(crate) fn ended(outcome: &RunOutcome) -> &'static str {
    match outcome {
        RunOutcome::Completed => "completed: every node is done and nothing is left to undo",
        RunOutcome::Aborted => "aborted: not every node is done, and nothing is left to undo",
        RunOutcome::NothingDone(_) => "ended before it began: no plan was followed, and nothing is left to undo",
        RunOutcome::Recovered => "recovered: the configured votes are expected again, and nothing is left to undo",
    }
}
