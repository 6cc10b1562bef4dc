//! Questions to the operator at the terminal, or to a pipe: one line each.

use std::io::BufRead;

use super::say;
use crate::failure::Failure;

/// A line of text.
pub(super) fn line(question: &str) -> Result<String, Failure> {
    say([question.to_owned()]);
    let mut answer = String::new();
    let read = std::io::stdin().lock().read_line(&mut answer);
    match (read, answer.trim()) {
        (Ok(1..), answer) if !answer.is_empty() => Ok(answer.to_owned()),
        _ => Err(Failure::usage("there was no answer", "Answer, or give it as an option: see `quorate init --help`.")),
    }
}

/// Anything but `yes` ends the command.
pub(super) fn agreed(question: &str) -> Result<(), Failure> {
    let answer = line(&format!("{question} (yes/no)"))?;
    if answer == "yes" {
        return Ok(());
    }
    Err(Failure::usage(format!("the answer was {answer:?}, not yes"), "Do not continue until you are sure."))
}
