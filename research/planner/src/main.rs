//! `quorate-planner-research plan …` and `… optima`; `cargo xtask bench` builds it for release and runs it.

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    if quorate_planner_research::run(&arguments) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
