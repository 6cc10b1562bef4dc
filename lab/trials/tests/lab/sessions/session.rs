//! A directory, the built program, and a lab for it to talk to.

use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use quorate_world::cluster_file::DEMO;
use serde_json::Value;

/// Both shipped programs; the first argument says which one.
pub(crate) const PROGRAMS: &str = env!("CARGO_BIN_EXE_programs");

/// A directory of its own, removed at the end.
pub(crate) struct Session {
    /// The directory; the program runs in it.
    pub(crate) dir: PathBuf,
}

/// How a command ended.
pub(crate) struct Outcome {
    /// Exit code.
    pub(crate) code: i32,
    /// Standard output.
    pub(crate) out: String,
    /// Standard error.
    pub(crate) err: String,
}

impl Session {
    /// Without a lab.
    pub(crate) fn new() -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("quorate-session-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        Self { dir }
    }

    /// Runs `quorate` to its end; with `lab` as first argument, `quorate-lab`.
    pub(crate) fn run(&self, arguments: &[&str]) -> Outcome {
        let output = self.command(arguments).output().unwrap();
        Outcome {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// Starts the program and leaves it alone.
    pub(crate) fn start(&self, arguments: &[&str]) -> Child {
        self.command(arguments).stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().unwrap()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let (program, arguments) = match arguments {
            ["lab", of_the_lab @ ..] => ("quorate-lab", of_the_lab),
            _ => ("quorate", arguments),
        };
        let mut command = Command::new(PROGRAMS);
        command
            .current_dir(&self.dir)
            .arg(program)
            .args(arguments)
            .env("USER", "anna")
            .env("TZ", "UTC")
            .env_remove("SUDO_USER")
            .stdin(Stdio::null());
        // Nothing may ever repeat this: `secrets.rs` looks for it.
        command.env("PVE_PASSWORD", "planted-in-the-environment-91c4");
        command
    }

    /// Writes a file into the directory.
    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.dir.join(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    }

    /// Reads a file of the directory.
    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.dir.join(name)).unwrap()
    }

    /// Puts this in the place of the policy that the lab has written.
    pub(crate) fn set_policy(&self, policy: &str) {
        let config = self.read("quorate.toml");
        let before = config.split_once("\n[policy]").map_or(config.as_str(), |(before, _)| before);
        self.write("quorate.toml", &format!("{before}{policy}"));
    }

    /// Replaces text in `quorate.toml`; it must be there.
    pub(crate) fn change_config(&self, from: &str, to: &str) {
        let text = self.read("quorate.toml");
        assert!(text.contains(from), "{from} is not in {text}");
        self.write("quorate.toml", &text.replacen(from, to, 1));
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

impl Outcome {
    /// The command ended with this code and says all of these.
    pub(crate) fn expect(&self, code: i32, words: &[&str]) -> &Self {
        let all = format!("{}{}", self.out, self.err);
        assert_eq!(self.code, code, "{all}");
        for word in words {
            assert!(all.contains(word), "{word:?} is not in:\n{all}");
        }
        self
    }
}

/// What the operator of the demo allows: these consents, and what is done with the two guests that cannot move.
pub(crate) fn demo_policy(consents: &[&str]) -> String {
    format!(
        "\n[policy]\nconsents = {consents:?}\n\n[policy.guests]\n\"vm:114\" = \"eject\"\n\"vm:116\" = \"shutdown\"\n"
    )
}

/// All consents that a run of the demo needs.
pub(crate) const ALL_CONSENTS: [&str; 3] = ["restart-containers", "shutdown-guests", "eject-media"];

/// What `quorate status` says, as JSON.
pub(crate) fn status(session: &Session) -> Result<Value, String> {
    let outcome = session.run(&["status", "--json"]);
    if outcome.code != 0 {
        return Err(outcome.out);
    }
    serde_json::from_str(&outcome.out).map_err(|error| error.to_string())
}

/// Waits until the run is so far.
pub(crate) fn wait_for_phase(session: &Session, phase: &str) {
    wait_for(phase, || {
        let status = status(session)?;
        if status["phase"] == phase { Ok(()) } else { Err(status["phase"].to_string()) }
    });
}

/// Waits until a step of this kind is under way and its command was sent.
pub(crate) fn wait_for_step(session: &Session, verb: &str) {
    wait_for(verb, || {
        let status = status(session)?;
        let steps = status["view"]["steps"].as_array().cloned().unwrap_or_default();
        let sent = |step: &Value| step["step"]["step"] == verb && step["ended"].is_null() && !step["answer"].is_null();
        if steps.iter().any(sent) { Ok(()) } else { Err(format!("{} steps so far", steps.len())) }
    });
}

/// A lab in a process of its own; its configuration is `quorate.toml` in the session's directory.
pub(crate) struct Lab {
    child: Child,
    /// Session of the lab.
    pub(crate) session: Session,
}

impl Lab {
    /// The demo cluster, with more lines at the end of its file.
    pub(crate) fn start(time_factor: u32, more: &str) -> Self {
        let cluster = if more.is_empty() { String::new() } else { format!("{DEMO}\n{more}") };
        Self::of(time_factor, &cluster)
    }

    /// The cluster of this file; without one, the demo.
    pub(crate) fn of(time_factor: u32, cluster: &str) -> Self {
        let session = Session::new();
        let factor = time_factor.to_string();
        let mut arguments = vec!["lab", "up", "--any-port", "--json", "--dir", ".", "--time-factor", &factor];
        if !cluster.is_empty() {
            session.write("cluster.toml", cluster);
            arguments.extend(["--cluster", "cluster.toml"]);
        }
        Self { child: begun(&session, &arguments), session }
    }

    /// Ends its process as a crash does.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// A new lab in the same directory, after the first one was killed.
    pub(crate) fn start_again(&mut self) {
        self.child = begun(&self.session, &["lab", "up", "--any-port", "--json", "--dir", "."]);
    }
}

/// A lab's process that has said where it is.
pub(crate) fn begun(session: &Session, arguments: &[&str]) -> Child {
    let mut child = session.start(arguments);
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert!(line.contains("\"kind\":\"lab\""), "the lab did not start: {line}");
    child
}

impl Drop for Lab {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Waits until something is true; fails with its last message after two minutes.
pub(crate) fn wait_for<T>(what: &str, mut look: impl FnMut() -> Result<T, String>) -> T {
    let begun = Instant::now();
    loop {
        match look() {
            Ok(value) => return value,
            Err(why) => assert!(begun.elapsed() < Duration::from_secs(120), "{what}: {why}"),
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A snapshot of a genuine three-node cluster, made of recorded answers.
pub(crate) fn genuine() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../crates/pve/tests/fixtures/pve91-snapshot.json")
}
