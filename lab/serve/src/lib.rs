//! The program `quorate-lab`: a simulated cluster, served on loopback over HTTPS and SSH.
//!
//! `demo` upgrades one with Quorate in the same process; `up` serves one until it is ended, and the other verbs talk to
//! the lab of a directory through its control socket. None of them touches any other cluster. For tests, [`Lab`] serves
//! a world in the caller's process.

mod commands;
mod impact_page;
mod lab;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Parser;
use quorate::toolkit::{Format, conclude};

pub use lab::{Endpoint, Lab, LabClock, LabError, LabOptions, Port};

/// A simulated Proxmox VE cluster: served on loopback, broken on purpose, with an impact report
#[derive(Debug, Parser)]
#[command(name = "quorate-lab", version, arg_required_else_help = true, infer_subcommands = false)]
struct CommandLine {
    /// Print JSON
    #[arg(long, global = true)]
    json: bool,
    #[command(subcommand)]
    verb: commands::Verb,
}

/// Does what the command line says; the first argument is the program's own name.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let CommandLine { json, verb } = CommandLine::parse_from(arguments);
    let format = if json { Format::Json } else { Format::Text };
    conclude("quorate-lab", format, commands::perform(&verb, format))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        super::CommandLine::command().debug_assert();
    }
}
