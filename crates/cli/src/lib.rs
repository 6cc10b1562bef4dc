//! The program `quorate`: reads the command line and the configuration, calls the other crates, prints.
//!
//! Standard output is data, standard error is messages. Every refusal says what happened, what it means for the cluster
//! and what to do, and ends with one of the exit codes in `exit`.

mod clock;
mod commands;
mod config;
mod context;
mod diagnostics;
mod exit;
mod failure;
mod live;
mod render;
mod signals;
mod terminal;
pub mod toolkit;
mod whole_run;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser;

use crate::context::Context;

/// Upgrades a Proxmox VE cluster node by node while every guest keeps running.
#[derive(Debug, Parser)]
#[command(name = "quorate", version, arg_required_else_help = true, infer_subcommands = false)]
struct CommandLine {
    #[command(flatten)]
    common: context::Common,
    #[command(flatten)]
    diagnostics: diagnostics::Options,
    #[command(subcommand)]
    verb: commands::Verb,
}

/// Runs the command line; the first argument is the program's own name.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    // A program that contains this one has words of its own before ours.
    let own = std::env::args_os().count().saturating_sub(arguments.len());
    let program: Vec<OsString> = std::env::args_os().skip(1).take(own).collect();
    let CommandLine { common, diagnostics, verb } = CommandLine::parse_from(arguments);
    let context = Context::new(common, &program, &diagnostics);
    let command = async {
        diagnostics::begin(&diagnostics)?;
        commands::perform(verb, &context).await
    };
    toolkit::conclude("quorate", context.format(), command)
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        super::CommandLine::command().debug_assert();
    }
}
