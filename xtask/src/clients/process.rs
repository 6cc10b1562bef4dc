//! A program with a deadline: its lines are passed on and counted, and it is ended politely before it is killed.

use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crate::run::{Count, counted};

/// A script that is asked to end takes its lab down first.
const GRACE: Duration = Duration::from_secs(20);
const LOOK_AGAIN: Duration = Duration::from_millis(50);

/// Runs it to the end. Its lines go to our output; counts in them are added up.
pub(super) fn run(mut command: Command, deadline: Duration, count: &mut Count) -> Result<(), String> {
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = child.map_err(|error| format!("{}: {error}", command.get_program().display()))?;
    let lines = counted(&mut child);
    let status = wait(&mut child, deadline);
    count.add(lines.sum());
    match status? {
        status if status.success() => Ok(()),
        status => Err(status.to_string()),
    }
}

#[allow(clippy::disallowed_methods, reason = "how long other programs take is a matter of the wall clock")]
fn wait(child: &mut Child, deadline: Duration) -> Result<ExitStatus, String> {
    let begun = Instant::now();
    let mut asked_to_end = false;
    loop {
        if let Some(status) = child.try_wait().map_err(|error| error.to_string())? {
            let late = || format!("not done within {} s", deadline.as_secs_f64());
            return if asked_to_end { Err(late()) } else { Ok(status) };
        }
        if begun.elapsed() > deadline + GRACE {
            // Nothing more can be done if this fails.
            let _ = child.kill();
        } else if begun.elapsed() > deadline && !asked_to_end {
            asked_to_end = true;
            let _ = Command::new("kill").args(["-TERM", &child.id().to_string()]).status();
        }
        thread::sleep(LOOK_AGAIN);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[allow(clippy::disallowed_methods, reason = "the test runs other programs")]
    fn sh(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn a_program_that_does_not_end_is_ended_and_its_failure_is_named() {
        let error = run(sh("exec sleep 30"), Duration::from_millis(300), &mut Count::default()).unwrap_err();
        assert_eq!(error, "not done within 0.3 s");
    }

    #[test]
    fn what_a_program_counts_is_added_up_and_its_exit_code_decides() {
        let mut count = Count::default();
        let line = "echo 'test result: ok. 3 passed; 0 failed; 0 ignored'";
        run(sh(line), Duration::from_secs(20), &mut count).expect("it ends with 0");
        let error = run(sh(&format!("{line}; exit 3")), Duration::from_secs(20), &mut count).unwrap_err();
        assert_eq!((count.passed, error.as_str()), (6, "exit status: 3"));
    }
}
