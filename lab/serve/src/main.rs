//! The binary `quorate-lab`.

use std::process::ExitCode;

fn main() -> ExitCode {
    quorate_lab::run(std::env::args_os())
}
