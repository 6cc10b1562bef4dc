//! Both shipped programs in one, as sessions start them: `programs quorate plan`, `programs quorate-lab up`.

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    match arguments.first().and_then(|name| name.to_str()) {
        Some("quorate") => quorate::run(arguments),
        Some("quorate-lab") => quorate_lab::run(arguments),
        _ => ExitCode::from(2),
    }
}
