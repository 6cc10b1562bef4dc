//! Running cargo and other programs: what they print is passed on, and the tests in it are counted.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;

/// The result of a stage.
pub(crate) enum Outcome {
    Passed,
    Failed(String),
    Skipped(&'static str),
}

/// Tests that were run, over all programs of a stage.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Count {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) ignored: u64,
}

impl Count {
    /// Adds another count to this one.
    pub(crate) fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.ignored += other.ignored;
    }
}

#[allow(clippy::disallowed_methods, reason = "running cargo is what this program is for")]
pub(crate) fn command(root: &Path, arguments: &[&str]) -> Command {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.current_dir(root).args(arguments);
    command
}

pub(crate) fn has_tool(tool: &str) -> bool {
    let quiet = command(Path::new("."), &[tool, "--version"]).stdout(Stdio::null()).stderr(Stdio::null()).status();
    quiet.is_ok_and(|status| status.success())
}

pub(crate) fn cargo(root: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Outcome {
    let line = format!("cargo {}", arguments.join(" "));
    if matches!(arguments[0], "fmt" | "clippy") && !has_tool(arguments[0]) {
        return Outcome::Failed(format!("{line} is not installed: rustup component add rustfmt clippy"));
    }
    match command(root, arguments).envs(environment.iter().copied()).status() {
        Ok(status) if status.success() => Outcome::Passed,
        Ok(status) => Outcome::Failed(format!("{line}: {status}")),
        Err(error) => Outcome::Failed(format!("{line}: {error}")),
    }
}

/// As [`cargo`], with what it prints passed on, and the tests in it counted.
pub(crate) fn cargo_counted(root: &Path, arguments: &[&str], count: &mut Count) -> Outcome {
    let line = format!("cargo {}", arguments.join(" "));
    let child = command(root, arguments).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = match child {
        Ok(child) => child,
        Err(error) => return Outcome::Failed(format!("{line}: {error}")),
    };
    count.add(counted(&mut child).sum());
    match child.wait() {
        Ok(status) if status.success() => Outcome::Passed,
        Ok(status) => Outcome::Failed(format!("{line}: {status}")),
        Err(error) => Outcome::Failed(format!("{line}: {error}")),
    }
}

/// What a program prints, on its way to our own output, and the tests counted in it.
pub(crate) struct Lines {
    counts: mpsc::Receiver<Count>,
    readers: Vec<thread::JoinHandle<()>>,
}

/// Passes on what a program prints from now on.
pub(crate) fn counted(child: &mut Child) -> Lines {
    let (sender, counts) = mpsc::channel();
    let out = child.stdout.take().map(|out| pass_on(out, std::io::stdout(), sender.clone()));
    let err = child.stderr.take().map(|err| pass_on(err, std::io::stderr(), sender));
    Lines { counts, readers: out.into_iter().chain(err).collect() }
}

impl Lines {
    /// All that was counted, once both outputs are closed.
    pub(crate) fn sum(self) -> Count {
        let mut sum = Count::default();
        for one in self.counts {
            sum.add(one);
        }
        for reader in self.readers {
            reader.join().expect("passing lines on does not panic");
        }
        sum
    }
}

fn pass_on(
    from: impl Read + Send + 'static,
    mut to: impl Write + Send + 'static,
    counts: mpsc::Sender<Count>,
) -> thread::JoinHandle<()> {
    thread::spawn(move || {
        for line in BufReader::new(from).split(b'\n').map_while(Result::ok) {
            let line = String::from_utf8_lossy(&line);
            // The reader of our output may be gone; the stage continues all the same.
            let _ = writeln!(to, "{line}");
            if let Some(count) = count_in(&line) {
                let _ = counts.send(count);
            }
        }
    })
}

/// The count in the last line of a test program: cargo's or nextest's.
fn count_in(line: &str) -> Option<Count> {
    let line = line.trim();
    let counts = if let Some((_, counts)) = line.strip_prefix("test result: ").and_then(|rest| rest.split_once(". ")) {
        counts
    } else {
        let (_, counts) = line.strip_prefix("Summary [")?.split_once("run: ")?;
        counts
    };
    let of = |word: &str| -> u64 {
        let part = counts.split([',', ';']).map(str::trim).find_map(|part| part.strip_suffix(word));
        // `12 passed (1 slow)`: nextest puts remarks in brackets after the word.
        let part = part.or_else(|| counts.split([',', ';']).find_map(|part| part.split_once(word).map(|(n, _)| n)));
        part.and_then(|number| number.trim().parse().ok()).unwrap_or(0)
    };
    Some(Count { passed: of("passed"), failed: of("failed"), ignored: of("ignored") + of("skipped") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_count_is_read_from_cargos_and_from_nextests_last_line() {
        let cargo = "test result: ok. 3 passed; 1 failed; 2 ignored; 0 measured; 0 filtered out; finished in 0.01s";
        assert_eq!(count_in(cargo), Some(Count { passed: 3, failed: 1, ignored: 2 }));
        let nextest = "     Summary [   0.112s] 12 tests run: 10 passed (1 slow), 2 failed, 1 skipped";
        assert_eq!(count_in(nextest), Some(Count { passed: 10, failed: 2, ignored: 1 }));
        assert_eq!(count_in("test a ... ok"), None);
    }
}
