//! Reading through a node's shell. One connection attempt per look: a node that does not answer is not asked again.

use std::time::Duration;

use quorate_core::ids::{NodeName, UnixMs};
use quorate_core::observed::WhyUnknown;

use super::reader::{Allowed, CALL, Reader, Wait, shell_source};
use crate::ports::{Bound, Exit, ShellOutput};

/// For a program that answers at once.
pub(super) const QUICK: Allowed = Allowed { wait: Wait::AtMost(CALL), bound: Bound::USUAL };

/// For one that answers at once with a long list: of packages, of daemons.
pub(super) const LIST: Allowed = Allowed { bound: Bound::LONG, ..QUICK };

/// For one that computes a long list: apt.
pub(super) const SLOW: Allowed = Allowed { wait: Wait::AtMost(Duration::from_secs(90)), bound: Bound::LONG };

/// Exit status of a shell when there is no such program.
pub(super) const NO_SUCH_PROGRAM: Exit = Exit::Status(127);

/// Prints the id of a node's boot.
pub(super) const BOOT_ID: [&str; 2] = ["cat", "/proc/sys/kernel/random/boot_id"];

/// Prints a node's clock.
pub(super) const DATE: [&str; 2] = ["date", "+%s%3N"];

/// What [`DATE`] printed.
pub(super) fn date(text: &str) -> Result<UnixMs, String> {
    text.trim().parse().map(UnixMs).map_err(|_| format!("it printed {text:?} instead of a number"))
}

/// A node's shell, or why there is none.
pub(super) struct NodeShell<'a> {
    reader: &'a Reader<'a>,
    node: &'a NodeName,
    broken: Option<String>,
}

impl<'a> NodeShell<'a> {
    pub(super) fn new(reader: &'a Reader<'a>, node: &'a NodeName) -> Self {
        Self { reader, node, broken: None }
    }

    /// The same shell after its first command failed: everything further is unknown for the same reason.
    pub(super) fn broken(self, why: &WhyUnknown) -> Self {
        Self { broken: Some(why.reason.clone()), ..self }
    }

    /// Runs a program in the C locale; the caller decides what its exit status means.
    pub(super) async fn run(&self, argv: &[&str], allowed: Allowed) -> Result<ShellOutput, WhyUnknown> {
        self.timed(argv, allowed).await.map(|(output, _, _)| output)
    }

    /// The same, with the times before and after it by our clock, not including the wait for a permit.
    pub(super) async fn timed(
        &self,
        argv: &[&str],
        allowed: Allowed,
    ) -> Result<(ShellOutput, UnixMs, UnixMs), WhyUnknown> {
        let why = |reason: String| WhyUnknown::new(shell_source(self.node, argv), reason);
        if let Some(reason) = &self.broken {
            return Err(why(reason.clone()));
        }
        let words: Vec<String> = ["env", "LC_ALL=C"].iter().chain(argv).map(|word| (*word).to_owned()).collect();
        self.reader.run(self.node, &words, allowed).await.map_err(why)
    }

    /// Runs a program that must exit with status 0; returns its standard output.
    pub(super) async fn ok(&self, argv: &[&str], allowed: Allowed) -> Result<String, WhyUnknown> {
        let output = self.run(argv, allowed).await?;
        if output.succeeded() { Ok(output.stdout) } else { Err(self.failed(argv, &output)) }
    }

    /// Runs a program that must exit with status 0, and parses what it printed.
    pub(super) async fn parsed<T>(
        &self,
        argv: &[&str],
        allowed: Allowed,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Result<T, WhyUnknown> {
        let output = self.ok(argv, allowed).await?;
        parse(&output).map_err(|reason| self.misread(argv, reason))
    }

    /// The node whose shell it is.
    pub(super) fn node(&self) -> &'a NodeName {
        self.node
    }

    /// A program that printed something other than expected.
    pub(super) fn misread(&self, argv: &[&str], reason: String) -> WhyUnknown {
        WhyUnknown::new(shell_source(self.node, argv), reason)
    }

    /// The reason for a failure: how it ended, and the first line of its complaint.
    pub(super) fn failed(&self, argv: &[&str], output: &ShellOutput) -> WhyUnknown {
        let how = match &output.exit {
            Exit::Status(status) => format!("exit status {status}"),
            Exit::Signal(signal) => format!("ended by signal {signal}"),
        };
        let said = output.stderr.lines().chain(output.stdout.lines()).map(str::trim).find(|line| !line.is_empty());
        let reason = said.map_or(how.clone(), |said| format!("{how}: {said}"));
        WhyUnknown::new(shell_source(self.node, argv), reason)
    }
}
