//! The binary `quorate`.

use std::process::ExitCode;

fn main() -> ExitCode {
    quorate::run(std::env::args_os())
}
