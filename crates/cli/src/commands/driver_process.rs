//! The process that drives a run: one of its own, in a session of its own, so that it outlives the terminal.
//!
//! Who begins or takes up a run starts it and then only reads the journal. `--foreground` leaves it out, for a service
//! manager and for scripts that want to have the driver itself in their hands.

use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, setsid};
use quorate_core::ids::RunId;
use quorate_engine::{Driver, Ended, WhenPaused};
use quorate_journal::{Journal, Mode, files};

use super::connect::connect;
use super::who::{how_it_ended, this_driver};
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::render;
use crate::signals::Signals;

/// Options of verbs that drive.
#[derive(Clone, Copy, Debug, clap::Args)]
#[group(skip)]
pub(crate) struct Foreground {
    /// Work on the run in this very process, which then must not be ended: for service managers
    #[arg(long)]
    pub(crate) foreground: bool,
}

/// The hidden verb by which a run's driver is started.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    run: String,
    /// End at a pause
    #[arg(long)]
    leave: bool,
}

/// Works on the run until it ends or a signal comes.
pub(super) async fn perform(args: &Args, context: &Context) -> Result<Exit, Failure> {
    // It fails where the process leads a session already, which is as well.
    let _ = setsid();
    let journal = Journal::open(&context.journal_path()?, Mode::Drive)?;
    let when_paused = if args.leave { WhenPaused::Leave } else { WhenPaused::Stay };
    let run = RunId::new(args.run.clone());
    take_up(&journal, run, when_paused, context, &mut quorate_engine::Silent).await
}

/// Takes up a run in this process.
pub(super) async fn take_up(
    journal: &Journal,
    run: RunId,
    when_paused: WhenPaused,
    context: &Context,
    watcher: &mut dyn quorate_engine::Watcher,
) -> Result<Exit, Failure> {
    journal.verify_chain()?;
    let connection = connect(&context.config()?).await?;
    let known_nodes = connection.known_nodes();
    let mut driver = Driver::take_up(connection.ports, journal, &this_driver(), run.clone(), watcher)?
        .known_nodes(known_nodes)
        .telling()
        .when_paused(when_paused);
    drive(&mut driver, journal, &run, context).await
}

/// Drives until the run ends or a signal comes, and then says what is not as it was.
pub(super) async fn drive(
    driver: &mut Driver<'_>,
    journal: &Journal,
    run: &RunId,
    context: &Context,
) -> Result<Exit, Failure> {
    let signals = Signals::listen()?;
    let (first, second) = (signals.clone(), signals);
    let ended: Option<Ended> = tokio::select! {
        ended = driver.drive_until(first.stop(1)) => ended?,
        // It does not want to wait until the lock is released: that expires by itself.
        () = second.stop(2) => None,
    };
    match ended {
        Some(ended) => Ok(how_it_ended(&ended)),
        None => {
            let view = super::status::view(journal, run)?.looked_at(context.run_now());
            render::stopped::stopped(&view).print_err();
            Ok(Exit::Stopped)
        }
    }
}

/// A driver in a process of its own.
pub(super) struct Process {
    child: Child,
    output: PathBuf,
}

/// Starts the driver of a run.
pub(super) fn start(
    journal: &Path,
    run: &RunId,
    when_paused: WhenPaused,
    context: &Context,
) -> Result<Process, Failure> {
    let mut output: OsString = journal.as_os_str().to_owned();
    output.push(".driver.log");
    let output = PathBuf::from(output);
    let failed = |error: std::io::Error| {
        Failure::new(
            Exit::Internal,
            format!("the process that works on the run could not be started: {error}"),
            "The run is in the journal, and nothing was done yet.",
            &["`quorate resume --foreground` works on it in the terminal."],
        )
    };
    // What it says at its end; of this start only.
    files::replace(&output, "").map_err(|error| failed(std::io::Error::other(error.to_string())))?;
    let log = || files::append(&output).map_err(|error| failed(std::io::Error::other(error.to_string())));
    let (out, err): (File, File) = (log()?, log()?);
    let mut command = own_program().map_err(failed)?;
    command.args(context.own_arguments()).arg("drive").arg(run.as_str());
    if when_paused == WhenPaused::Leave {
        command.arg("--leave");
    }
    let child = command.stdin(Stdio::null()).stdout(out).stderr(err).spawn().map_err(failed)?;
    Ok(Process { child, output })
}

#[allow(clippy::disallowed_methods, reason = "it starts itself, on this machine")]
fn own_program() -> std::io::Result<std::process::Command> {
    Ok(std::process::Command::new(std::env::current_exe()?))
}

impl Process {
    /// How it ended, if it has.
    pub(super) fn ended(&mut self) -> std::io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }

    /// What it said at its end.
    pub(super) fn said(&self) -> String {
        std::fs::read_to_string(&self.output).unwrap_or_default()
    }

    /// Tells it to stop.
    pub(super) fn stop(&self) {
        if let Ok(pid) = i32::try_from(self.child.id()) {
            // One that is gone needs not to be told.
            let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
        }
    }
}
