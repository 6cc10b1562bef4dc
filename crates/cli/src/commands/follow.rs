//! The terminal while a process works on a run: it reads the journal and shows what is written, and ctrl-C asks.
//!
//! The end of this process is not the end of the run. Only a second ctrl-C and SIGTERM stop the driver that this one
//! has started; SIGHUP, as from a terminal that is closed, ends nothing.

use std::pin::pin;
use std::process::ExitStatus;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use quorate_core::ids::RunId;
use quorate_core::run::Request;
use quorate_journal::{Journal, Mode};
use tokio::signal::unix::SignalKind;

use super::driver_process::Process;
use super::who::speaker;
use crate::clock::wall_now;
use crate::context::{Context, Format};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::live::{self, Left, Since};
use crate::render;
use crate::render::page::{Page, bounded, clean};
use crate::signals;
use crate::terminal::{self, ask, somebody_is_there};

/// How often the driver is looked after.
const LOOK: Duration = Duration::from_millis(100);

/// How long a driver that was told to stop has for that: it releases its lock in the cluster.
const STOPS_WITHIN: Duration = Duration::from_secs(30);

/// How the terminal was left.
enum How {
    /// The driver's process ended.
    Over(ExitStatus),
    /// Nobody looks any more, and the run goes on.
    Detached,
    /// The driver is to be stopped.
    Stop,
    /// The terminal itself is gone.
    HungUp,
}

/// Shows the run until its driver has ended, or nobody wants to see it any more.
pub(super) async fn follow(mut driver: Process, run: &RunId, since: Since, context: &Context) -> Result<Exit, Failure> {
    let journal = Journal::open(&context.journal_path()?, Mode::Ask)?;
    let how = watched(&mut driver, &journal, run, since, context).await?;
    if live::is_drawn(context.format()) && !matches!(how, How::HungUp | How::Stop) {
        let view = super::status::view(&journal, run)?.looked_at(context.run_now());
        render::status::status(&view, &render::driver::Standing::of(&journal, run)?).print();
    }
    match how {
        How::Over(status) => Ok(concluded(&driver, status, context.format())),
        How::Detached => Ok(left(run)),
        How::HungUp => Ok(Exit::Ok),
        How::Stop => stop(driver, &journal, run, context).await,
    }
}

async fn watched(
    driver: &mut Process,
    journal: &Journal,
    run: &RunId,
    since: Since,
    context: &Context,
) -> Result<How, Failure> {
    let (gone, is_drawn) = (AtomicBool::new(false), live::is_drawn(context.format()));
    let mut watching = pin!(live::watch(journal, run, context.format(), since, &gone));
    let mut interrupt = signals::of(SignalKind::interrupt())?;
    let mut terminate = signals::of(SignalKind::terminate())?;
    let mut hang_up = signals::of(SignalKind::hangup())?;
    loop {
        let ended = driver.ended().map_err(lost)?;
        gone.store(ended.is_some(), Ordering::Relaxed);
        tokio::select! {
            () = a_moment() => {}
            left = &mut watching => match (left?, ended) {
                (Left::Detached, None) => return Ok(How::Detached),
                (Left::Stop, None) => return Ok(How::Stop),
                (_, Some(status)) => return Ok(How::Over(status)),
                (_, None) => return Ok(How::Over(ended_soon(driver).await?.ok_or_else(still_there)?)),
            },
            _ = hang_up.recv() => return Ok(How::HungUp),
            _ = terminate.recv() => return Ok(How::Stop),
            // Where a picture is drawn, ctrl-C is one of its keys.
            _ = interrupt.recv(), if !is_drawn => {
                if !somebody_is_there() {
                    return Ok(How::Stop);
                }
                let chosen = tokio::select! {
                    chosen = menu(journal, run, context) => chosen?,
                    _ = interrupt.recv() => Chosen::Stop,
                    _ = terminate.recv() => Chosen::Stop,
                    _ = hang_up.recv() => return Ok(How::HungUp),
                };
                match chosen {
                    Chosen::GoOn => {}
                    Chosen::Leave => return Ok(How::Detached),
                    Chosen::Ask(request) => journal.post_request(run, wall_now(), &speaker(), &request)?,
                    Chosen::Stop => return Ok(How::Stop),
                }
            }
        }
    }
}

/// How it ended, if it does that soon: it has nothing left to do, or was told to stop.
async fn ended_soon(driver: &mut Process) -> Result<Option<ExitStatus>, Failure> {
    for _ in 0..STOPS_WITHIN.as_millis() / LOOK.as_millis() {
        if let Some(status) = driver.ended().map_err(lost)? {
            return Ok(Some(status));
        }
        a_moment().await;
    }
    Ok(None)
}

#[allow(clippy::disallowed_methods, reason = "a person watches in real time")]
async fn a_moment() {
    tokio::time::sleep(LOOK).await;
}

/// What ctrl-C was meant for.
enum Chosen {
    GoOn,
    Leave,
    Ask(Request),
    Stop,
}

/// Asks; the run goes on meanwhile.
async fn menu(journal: &Journal, run: &RunId, context: &Context) -> Result<Chosen, Failure> {
    let view = super::status::view(journal, run)?.looked_at(context.run_now());
    let mut page = Page::default();
    page.gap();
    page.line("The run continues while you choose. Now:");
    render::stopped::not_as_it_was(&view).iter().for_each(|line| page.line(format!("  {line}")));
    let node = view.state.current_node.as_ref().map_or("the current node", |node| node.as_str());
    page.line(format!(
        "  1  continue in the background   2  finish {node}, then pause   3  undo and stop   Enter: go on"
    ));
    page.print_err();
    ask("(ctrl-C again stops the driver at once)").await;
    Ok(match terminal::line().await.as_deref() {
        Some("1") | None => Chosen::Leave,
        Some("2") => Chosen::Ask(Request::PauseAfterNode),
        Some("3") => Chosen::Ask(Request::Abort),
        Some(_) => Chosen::GoOn,
    })
}

fn left(run: &RunId) -> Exit {
    let mut page = Page::default();
    page.line(format!("Run {run} continues in the background: `quorate attach` shows it again."));
    page.print_err();
    Exit::Ok
}

/// Stops the driver, and says what is not as it was.
async fn stop(mut driver: Process, journal: &Journal, run: &RunId, context: &Context) -> Result<Exit, Failure> {
    driver.stop();
    if ended_soon(&mut driver).await?.is_none() {
        // Told again it does not wait until its lock in the cluster is released.
        driver.stop();
        ended_soon(&mut driver).await?.ok_or_else(still_there)?;
    }
    let view = super::status::view(journal, run)?.looked_at(context.run_now());
    render::stopped::stopped(&view).print_err();
    Ok(Exit::Stopped)
}

/// The driver's exit code is this command's, and what it had to say is said here.
fn concluded(driver: &Process, status: ExitStatus, format: Format) -> Exit {
    let mut page = Page::default();
    for line in driver.said().lines() {
        match format {
            Format::Json if line.starts_with('{') => render::page::print_line(line),
            _ => page.line(clean(&bounded(line))),
        }
    }
    page.print_err();
    let code = status.code().and_then(|code| Exit::ALL.iter().find(|(exit, _)| i32::from(exit.code()) == code));
    code.map_or_else(
        || {
            let mut page = Page::default();
            page.line(format!("The process that worked on the run ended by itself: {status}."));
            page.line("What it had begun continues on the cluster. `quorate resume` continues the run.");
            page.print_err();
            Exit::Driver
        },
        |(exit, _)| *exit,
    )
}

fn still_there() -> Failure {
    lost(std::io::Error::other("it should have ended by now, and has not"))
}

fn lost(error: std::io::Error) -> Failure {
    Failure::new(
        Exit::Internal,
        format!("the process that works on the run cannot be watched: {error}"),
        "It goes on.",
        &["`quorate status` shows the run."],
    )
}
