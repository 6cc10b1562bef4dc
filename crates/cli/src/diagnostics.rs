//! `-v` and `--log-file`: what happens on the connections, to diagnose failures in the field.
//!
//! Each event is one line, cleaned like all text that may come from outside, and of bounded length. It contains no
//! secrets: of a call, only the method, path and status are logged, and what a library logs is searched for them.

use std::ffi::OsString;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use quorate_journal::files;
use quorate_pve::live::Secrets;
use tracing_subscriber::filter::{LevelFilter, Targets};
use tracing_subscriber::fmt::writer::BoxMakeWriter;
use tracing_subscriber::prelude::*;

use crate::failure::Failure;
use crate::render::page::{bounded, clean};

/// Options common to all commands.
#[derive(Debug, clap::Args)]
#[group(skip)]
pub(crate) struct Options {
    /// Log to standard error: -v connections and failures, -vv also each call and command, -vvv also the logs of the
    /// TLS and SSH libraries
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
    /// Log to this file instead, at least as much as with -vv; only its owner can read it
    #[arg(long, global = true, value_name = "FILE")]
    log_file: Option<PathBuf>,
}

impl Options {
    /// The same options for another process.
    pub(crate) fn as_arguments(&self) -> Vec<OsString> {
        let loud = std::iter::repeat_n(OsString::from("-v"), usize::from(self.verbose));
        let file = self.log_file.iter().flat_map(|path| ["--log-file".into(), path.as_os_str().to_owned()]);
        loud.chain(file).collect()
    }
}

/// Starts logging to where the options say; without them, nothing is logged.
pub(crate) fn begin(options: &Options) -> Result<(), Failure> {
    let (verbosity, writer) = match &options.log_file {
        None if options.verbose == 0 => return Ok(()),
        None => (options.verbose, BoxMakeWriter::new(|| OneLine(io::stderr()))),
        Some(path) => (options.verbose.max(2), BoxMakeWriter::new(Mutex::new(OneLine(log_file(path)?)))),
    };
    let (ours, others) = match verbosity {
        0 | 1 => (LevelFilter::INFO, LevelFilter::WARN),
        2 => (LevelFilter::DEBUG, LevelFilter::WARN),
        _ => (LevelFilter::TRACE, LevelFilter::TRACE),
    };
    let levels = Targets::new().with_target("quorate", ours).with_default(others);
    tracing_subscriber::registry().with(tracing_subscriber::fmt::layer().with_writer(writer)).with(levels).init();
    Ok(())
}

fn log_file(path: &Path) -> Result<std::fs::File, Failure> {
    files::append(path).map_err(|error| {
        let happened = format!("the log file {} cannot be written: {error}", path.display());
        Failure::usage(happened, "Name another file with --log-file, or leave it out.")
    })
}

/// Takes whole events, and writes each as one clean line.
struct OneLine<W>(W);

impl<W: Write> Write for OneLine<W> {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(event);
        let text = Secrets::of_this_process().clean(text.trim_end());
        self.0.write_all((bounded(&clean(&text)) + "\n").as_bytes())?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_line_whatever_is_in_it() {
        let mut lines = OneLine(Vec::new());
        lines.write_all(b"INFO reason=\"no\nINFO forged\x1b[2J\"\n").unwrap();
        assert_eq!(lines.0, b"INFO reason=\"no\\nINFO forged\\x1b[2J\"\n");
    }
}
