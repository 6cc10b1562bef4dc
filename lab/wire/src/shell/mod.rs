//! A command line as root on a node: split as the shell splits it, each program as the real one answers.
//!
//! Options are parsed, not compared as strings: `ceph health -f json detail` is the same question as
//! `ceph health detail -f json`. What is not here ends as in bash: `command not found`, exit status 127.

mod apt;
mod ceph;
mod checker;
mod cluster_files;
mod conditions;
mod corosync;
mod debian;
mod disks;
mod files;
mod filters;
mod guests;
mod ha;
mod network;
mod pmxcfs;
mod power;
mod pve;
mod pvesh;
mod report;
mod script;
mod surroundings;
mod system_files;
mod systemd;

use std::time::Duration;

use quorate_core::ids::{NodeName, UnitName, Upid};
use quorate_world::World;
use quorate_world::node::{Node, UnitState};

use super::Wire;
use super::words::parse;
use script::Process;

/// How a command line ended, and what it printed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShellAnswer {
    /// How it ended.
    pub exit: ShellExit,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
    /// How long it took, in the world's time.
    pub delay: Duration,
    /// The command continues until this is over; its output follows then.
    pub follows: Option<Follow>,
}

/// Work that a program in the foreground waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Follow {
    /// A task of PVE's: `qm migrate`.
    Task(Upid),
    /// Work of systemd's: `apt-get dist-upgrade` without a unit of its own.
    Unit(UnitName),
}

/// How a command line ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ShellExit {
    /// With this status.
    Status(i32),
}

/// The result of one program.
#[derive(Clone, Debug, Default)]
struct Output {
    status: i32,
    stdout: String,
    stderr: String,
    delay: Duration,
    follows: Option<Follow>,
}

impl Output {
    fn ok(stdout: impl Into<String>) -> Self {
        Self { stdout: stdout.into(), ..Self::default() }
    }

    fn fail(status: i32, stderr: impl Into<String>) -> Self {
        Self { status, stderr: stderr.into(), ..Self::default() }
    }

    fn takes(self, delay: Duration) -> Self {
        Self { delay: self.delay + delay, ..self }
    }
}

/// A shell on one node.
struct Shell<'a> {
    wire: &'a Wire,
    world: &'a mut World,
    node: &'a NodeName,
    /// What comes in through a pipe.
    stdin: String,
    /// Variables that were set for the command.
    env: Vec<String>,
    /// The shell process that is at work.
    process: Process,
}

impl Shell<'_> {
    fn here(&self) -> &Node {
        &self.world.nodes[self.node]
    }

    /// Time by the node's own clock.
    fn clock_ms(&self) -> u64 {
        self.world.now_ms.saturating_add_signed(self.here().clock_skew_ms)
    }
}

/// Runs a command line.
pub(super) fn run(wire: &Wire, world: &mut World, node: &NodeName, command_line: &str) -> ShellAnswer {
    let line = match parse(command_line) {
        Ok(line) => line,
        Err(stderr) => {
            return Output::fail(2, stderr).into();
        }
    };
    let process = Process::new(vec!["bash".to_owned()]);
    let greeting = world.nodes.get(node).and_then(|node| node.greeting.clone());
    let mut shell = Shell { wire, world, node, stdin: String::new(), env: Vec::new(), process };
    let output = shell.list(&line);
    let stdout = greeting.map_or_else(String::new, |greeting| format!("{greeting}\n")) + &output.stdout;
    Output { stdout, ..output }.into()
}

impl From<Output> for ShellAnswer {
    fn from(output: Output) -> Self {
        let Output { status, stdout, stderr, delay, follows } = output;
        Self { exit: ShellExit::Status(status), stdout, stderr, delay, follows }
    }
}

/// The result of the work that a program waits for, if it has ended. It only ends in the boot in which it began.
pub(super) fn followed(world: &mut World, node: &NodeName, follow: &Follow) -> Option<ShellAnswer> {
    match follow {
        Follow::Task(upid) => {
            let task = world.tasks.all.get(upid)?;
            let end = task.end.as_ref()?;
            let lines = task.log.iter().filter(|line| !line.starts_with("TASK "));
            let stdout = lines.map(|line| format!("{line}\n")).collect::<String>();
            let fine = end.exitstatus == "OK" || end.exitstatus.starts_with("WARNINGS");
            let output = match fine {
                true => Output::ok(stdout),
                false => Output { stdout, ..Output::fail(255, format!("{}\n", end.exitstatus)) },
            };
            Some(output.into())
        }
        Follow::Unit(name) => {
            let machine = world.nodes.get_mut(node)?;
            let Some(unit) = machine.units.get(name) else {
                return Some(Output::fail(255, "").into());
            };
            let UnitState::Exited(status) = unit.state else { return None };
            let log = unit.log_path.as_ref().and_then(|path| machine.unit_logs.remove(path)).unwrap_or_default();
            machine.units.remove(name);
            let stdout = log.iter().map(|line| format!("{line}\n")).collect();
            Some(Output { status, stdout, ..Output::default() }.into())
        }
    }
}

impl Shell<'_> {
    /// One program, after `VAR=x`, `env`, `timeout`, `sudo` and the like have been taken off.
    fn program(&mut self, argv: &[String]) -> Output {
        let argv: Vec<&str> = argv.iter().map(String::as_str).collect();
        self.words(&argv)
    }

    fn words(&mut self, argv: &[&str]) -> Output {
        let Some((name, args)) = argv.split_first() else { return Output::default() };
        if let Some((variable, _)) = name.split_once('=').filter(|_| is_assignment(name)) {
            self.env.push(variable.to_owned());
            return self.words(args);
        }
        match *name {
            "env" => self.words(after_options(args, &["-u", "-C"], |_| false)),
            "export" => Output::default(),
            "sudo" | "nohup" | "nice" | "ionice" | "setsid" | "stdbuf" | "command" => {
                self.words(after_options(args, &["-n", "-c"], |_| false))
            }
            "timeout" => self.timeout(args),
            "bash" | "sh" => self.nested(args),
            name => self.call(name.rsplit('/').next().unwrap_or(name), args),
        }
    }

    /// `timeout 30 ceph -s`: a command that hangs for longer ends with 124.
    fn timeout(&mut self, args: &[&str]) -> Output {
        let rest = after_options(args, &["-k", "-s"], |_| false);
        let Some((limit, command)) = rest.split_first() else {
            return Output::fail(125, "timeout: missing operand\nTry 'timeout --help' for more information.\n");
        };
        let Some(limit) = duration(limit) else {
            let stderr =
                format!("timeout: invalid time interval ‘{limit}’\nTry 'timeout --help' for more information.\n");
            return Output::fail(125, stderr);
        };
        let output = self.words(command);
        if output.delay > limit && !limit.is_zero() {
            return Output::fail(124, "").takes(limit);
        }
        output
    }

    fn call(&mut self, name: &str, args: &[&str]) -> Output {
        let known = self
            .without_pmxcfs(name)
            .or_else(|| self.pve(name, args))
            .or_else(|| self.checker(name, args))
            .or_else(|| self.corosync(name, args))
            .or_else(|| self.ceph(name, args))
            .or_else(|| self.debian(name, args))
            .or_else(|| self.systemd(name, args))
            .or_else(|| self.surroundings(name, args))
            .or_else(|| self.disks(name, args))
            .or_else(|| self.network(name, args))
            .or_else(|| self.pmxcfs(name, args))
            .or_else(|| self.files(name, args))
            .or_else(|| self.filter(name, args));
        known.unwrap_or_else(|| Output::fail(127, format!("bash: line 1: {name}: command not found\n")))
    }
}

fn is_assignment(word: &str) -> bool {
    word.split_once('=').is_some_and(|(name, _)| {
        let good = |c: char| c.is_ascii_alphanumeric() || c == '_';
        !name.is_empty() && name.chars().all(good) && !name.starts_with(|c: char| c.is_ascii_digit())
    })
}

/// What follows a wrapper's own options; some of these take a value.
fn after_options<'a, 'b>(args: &'b [&'a str], with_value: &[&str], skip: fn(&str) -> bool) -> &'b [&'a str] {
    let mut at = 0;
    while let Some(arg) = args.get(at) {
        if *arg == "--" {
            return &args[at + 1..];
        }
        if with_value.contains(arg) {
            at += 1;
        } else if !arg.starts_with('-') && !skip(arg) {
            break;
        }
        at += 1;
    }
    args.get(at..).unwrap_or_default()
}

/// `30`, `30s`, `2m`, `1.5`.
fn duration(text: &str) -> Option<Duration> {
    let (number, factor) = match text.char_indices().last()? {
        (at, 's') => (&text[..at], 1.0),
        (at, 'm') => (&text[..at], 60.0),
        (at, 'h') => (&text[..at], 3600.0),
        (at, 'd') => (&text[..at], 86_400.0),
        _ => (text, 1.0),
    };
    let seconds: f64 = number.parse().ok()?;
    Duration::try_from_secs_f64(seconds * factor).ok()
}

/// Options of a program: switches, options with values, and what is left, wherever it stands.
struct Options<'a> {
    given: Vec<(&'a str, Option<&'a str>)>,
    rest: Vec<&'a str>,
}

impl<'a> Options<'a> {
    /// `with_value` names the options that take one: `-f`, `--format`.
    fn parse(args: &[&'a str], with_value: &[&str]) -> Self {
        let mut options = Self { given: Vec::new(), rest: Vec::new() };
        let mut args = args.iter().copied();
        while let Some(arg) = args.next() {
            if arg == "--" {
                options.rest.extend(args);
                break;
            }
            if let (true, Some((name, value))) = (arg.starts_with("--"), arg.split_once('=')) {
                options.given.push((name, Some(value)));
            } else if with_value.contains(&arg) {
                options.given.push((arg, args.next()));
            } else if let Some(short) = attached(arg, with_value) {
                options.given.push((&arg[..2], Some(&arg[short..])));
            } else if arg.starts_with('-') && arg.len() > 1 {
                options.given.push((arg, None));
            } else {
                options.rest.push(arg);
            }
        }
        options
    }

    fn has(&self, names: &[&str]) -> bool {
        self.given.iter().any(|(name, _)| names.contains(name))
    }

    fn value(&self, names: &[&str]) -> Option<&'a str> {
        self.given.iter().rev().find(|(name, _)| names.contains(name)).and_then(|(_, value)| *value)
    }

    fn values(&self, names: &[&str]) -> Vec<&'a str> {
        self.given.iter().filter(|(name, _)| names.contains(name)).filter_map(|(_, value)| *value).collect()
    }
}

/// `-fjson`: a short option with its value attached begins at this byte.
fn attached(arg: &str, with_value: &[&str]) -> Option<usize> {
    let short = arg.get(..2)?;
    (arg.len() > 2 && !arg.starts_with("--") && with_value.contains(&short)).then_some(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_found_wherever_they_stand() {
        let options = Options::parse(&["health", "-fjson", "detail", "--show=x", "-q", "--", "-z"], &["-f"]);
        assert_eq!(options.rest, ["health", "detail", "-z"]);
        assert_eq!(options.value(&["-f", "--format"]), Some("json"));
        assert_eq!(options.value(&["--show"]), Some("x"));
        assert!(options.has(&["-q"]) && !options.has(&["-z"]));
    }

    #[test]
    fn wrappers_are_taken_off_with_their_own_options() {
        let args = ["-i", "LC_ALL=C", "A=1", "qm", "list"];
        assert_eq!(after_options(&args, &["-u"], is_assignment), ["qm", "list"]);
        assert_eq!(duration("1.5m"), Some(Duration::from_secs(90)));
    }
}
