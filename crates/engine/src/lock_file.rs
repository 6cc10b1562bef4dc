//! The lock's directory and file in `/etc/pve`, as they are read and changed on a node.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use quorate_core::ids::NodeName;
use quorate_pve::observe::DRIVER_LOCK_FILE;
use quorate_pve::ports::{Exit, Ports, ShellOutput};

/// The lock.
const LOCK: &str = "/etc/pve/priv/lock/quorate";

const DEADLINE: Duration = Duration::from_secs(20);

/// Puts `$2` in the place of `$1` in the file `$3`, and renews the lock `$4`.
const REPLACE: &str = r#"cat "$3" | grep -qF "$1" && printf %s "$2" > "$3.new" && mv "$3.new" "$3" && touch -c "$4""#;

/// Writes `$1` into the file `$2`, unless there is one.
const CREATE: &str = r#"test -e "$2" || printf %s "$1" > "$2""#;

/// The directory and the file, on whichever node answers.
pub(crate) struct LockFile {
    ports: Ports,
    asked: Mutex<Asked>,
}

#[derive(Default)]
struct Asked {
    nodes: Vec<NodeName>,
    /// The node that answered last.
    answered: Option<NodeName>,
}

/// How a change of the file went.
pub(crate) enum Change {
    Made,
    /// It was not as expected, and is as it was.
    Refused,
    Unsure(String),
}

/// How the directory was made.
pub(crate) enum Made {
    Yes,
    /// It is there.
    Exists,
    Unsure(String),
}

impl LockFile {
    pub(crate) fn new(ports: Ports) -> Self {
        Self { ports, asked: Mutex::default() }
    }

    fn asked(&self) -> MutexGuard<'_, Asked> {
        self.asked.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nodes to ask, in this order.
    pub(crate) fn ask(&self, nodes: Vec<NodeName>) {
        self.asked().nodes = nodes;
    }

    /// Asks pmxcfs to release the directory: it does so only if that was not renewed for two minutes.
    pub(crate) async fn expire(&self) {
        let _ = self.on_any(&["touch", "-c", "-d", "@0", LOCK]).await;
    }

    /// Makes the directory.
    pub(crate) async fn make(&self) -> Made {
        match self.on_any(&["mkdir", LOCK]).await {
            Ok(output) if output.succeeded() => Made::Yes,
            Ok(output) if output.stderr.contains("File exists") => Made::Exists,
            Ok(output) => Made::Unsure(output.stderr.trim().to_owned()),
            Err(why) => Made::Unsure(why),
        }
    }

    /// Removes the directory. One that stays behind expires by itself.
    pub(crate) async fn unmake(&self) {
        let _ = self.on_any(&["rmdir", LOCK]).await;
    }

    /// Removes the file.
    pub(crate) async fn remove(&self) -> Result<(), String> {
        self.on_any(&["rm", "-f", DRIVER_LOCK_FILE]).await.map(drop)
    }

    /// The file; none if there is none.
    pub(crate) async fn read(&self) -> Result<Option<String>, String> {
        match self.on_any(&["cat", DRIVER_LOCK_FILE]).await? {
            output if output.succeeded() => Ok(Some(output.stdout)),
            output if output.stderr.contains("No such file") => Ok(None),
            output => Err(output.stderr.trim().to_owned()),
        }
    }

    /// Puts a text in the place of another one, and renews the lock.
    pub(crate) async fn replace(&self, before: &str, text: &str) -> Change {
        match self.on_any(&["sh", "-c", REPLACE, "sh", before, text, DRIVER_LOCK_FILE, LOCK]).await {
            Ok(output) if output.succeeded() => Change::Made,
            // What grep says of a text that is not there.
            Ok(ShellOutput { exit: Exit::Status(1), stderr, .. })
                if stderr.is_empty() || stderr.contains("No such file") =>
            {
                Change::Refused
            }
            Ok(output) => Change::Unsure(output.stderr.trim().to_owned()),
            Err(why) => Change::Unsure(why),
        }
    }

    /// Writes the file, unless there is one.
    pub(crate) async fn create(&self, text: &str) -> Change {
        match self.on_any(&["sh", "-c", CREATE, "sh", text, DRIVER_LOCK_FILE]).await {
            Ok(output) if output.succeeded() => match self.read().await {
                Ok(Some(found)) if found == text => Change::Made,
                Ok(_) => Change::Refused,
                Err(why) => Change::Unsure(why),
            },
            Ok(output) => Change::Unsure(output.stderr.trim().to_owned()),
            Err(why) => Change::Unsure(why),
        }
    }

    /// On the first node that answers and on which `/etc/pve` can be written; the last refusal if there is none.
    async fn on_any(&self, argv: &[&str]) -> Result<ShellOutput, String> {
        let argv: Vec<String> = argv.iter().map(|argument| (*argument).to_owned()).collect();
        let (mut reasons, mut refused) = (Vec::new(), None);
        for node in self.in_order() {
            match self.ports.shell.run(&node, &argv, DEADLINE).await {
                Ok(output) if output.stderr.contains("Permission denied") => refused = Some(output),
                Ok(output) => {
                    self.asked().answered = Some(node);
                    return Ok(output);
                }
                Err(error) => reasons.push(error.to_string()),
            }
        }
        if let Some(output) = refused {
            return Ok(output);
        }
        Err(if reasons.is_empty() { "no node to ask".to_owned() } else { reasons.join("; ") })
    }

    /// The node that answered last comes first, so that those that hang cost their time only once. The last one, which is
    /// about to go away, stays the last.
    fn in_order(&self) -> Vec<NodeName> {
        let asked = self.asked();
        let mut nodes = asked.nodes.clone();
        if let Some(at) = nodes.iter().position(|node| asked.answered.as_ref() == Some(node))
            && at + 1 < nodes.len()
        {
            nodes[..=at].rotate_right(1);
        }
        nodes
    }
}
