//! The binary `quorate`: reads the command line and the configuration, calls the other crates, prints.
//!
//! Standard output is data, standard error is talk. Every "no" says what happened, what it means for the cluster and
//! what to do, and ends with one of the exit codes in [`exit`].

mod clock;
mod commands;
mod config;
mod context;
mod diagnostics;
mod exit;
mod failure;
mod private_file;
mod render;

use std::process::ExitCode;

use clap::Parser;

use crate::context::{Context, Format};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::render::page::print_json;

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

fn main() -> ExitCode {
    let CommandLine { common, diagnostics, verb } = CommandLine::parse();
    let context = Context::new(common);
    let outcome = diagnostics::begin(&diagnostics)
        .and_then(|()| {
            tokio::runtime::Runtime::new()
                .map_err(|error| Failure::new(Exit::Internal, error.to_string(), "Nothing was begun.", &["Try again."]))
        })
        .and_then(|runtime| runtime.block_on(commands::perform(verb, &context)));
    match outcome {
        Ok(exit) => exit.into(),
        Err(failure) => {
            failure.page().print_err();
            if context.format() == Format::Json {
                print_json(&failure.json());
            }
            failure.exit.into()
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        super::CommandLine::command().debug_assert();
    }
}
