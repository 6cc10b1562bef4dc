//! Scenarios: each folder is a story, and its log is what the cluster says about it.
//!
//! A folder of `scenarios/` holds a cluster, one or more scripts, and for each script the log that playing it must
//! give, byte for byte. A script is what an administrator, an agent or another tool would send: commands in a node's
//! shell, calls of a node's API, waiting; and faults. With `quorate …` lines the real engine takes over. The log ends
//! with the impact report. How a script is written: `scenarios/README.md`.
//!
//! Everything happens in virtual time over the same wire that the lab serves. Nothing here reads Quorate's own shapes
//! of an answer: what is logged of a call is what came back.

mod condition;
mod drive;
mod log;
mod script;
mod stage;

use std::path::{Path, PathBuf};

use quorate_core::policy::Policy;
use quorate_world::cluster_file::{ClusterFileError, world_from_toml};
use quorate_world::impact::ImpactReport;
use thiserror::Error;

pub use self::script::{Action, Line, Script, ScriptError};

/// Why a scenario cannot be played.
#[derive(Debug, Error)]
pub enum ScenarioError {
    /// A file cannot be read.
    #[error("{path} cannot be read: {reason}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        reason: std::io::Error,
    },
    /// The cluster.
    #[error("{path}: {reason}")]
    Cluster {
        /// The file.
        path: PathBuf,
        /// Why not.
        reason: ClusterFileError,
    },
    /// The policy.
    #[error("{path}: {reason}")]
    Policy {
        /// The file.
        path: PathBuf,
        /// Why not.
        reason: toml::de::Error,
    },
    /// A line of the script.
    #[error("{path}, {reason}")]
    Script {
        /// The file.
        path: PathBuf,
        /// Which line, and why.
        reason: ScriptError,
    },
}

/// A folder: one cluster, and the scripts that are played over it.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// The folder's name.
    pub name: String,
    folder: PathBuf,
    cluster: String,
    policy: Policy,
    scripts: Vec<PathBuf>,
}

/// One script, played to its end.
#[derive(Clone, Debug)]
pub struct Played {
    /// What happened, as in the log file.
    pub log: String,
    /// The impact report: what the lab itself counted.
    pub impact: ImpactReport,
}

impl Scenario {
    /// Reads a folder: `cluster.toml`, `policy.toml` if there is one, and every `*.txt`.
    ///
    /// # Errors
    /// A file cannot be read or makes no sense.
    pub fn read(folder: &Path) -> Result<Self, ScenarioError> {
        let cluster = read(&folder.join("cluster.toml"))?;
        let path = folder.join("policy.toml");
        let policy = if path.exists() { read(&path)? } else { String::new() };
        let policy = toml::from_str(&policy).map_err(|reason| ScenarioError::Policy { path, reason })?;
        let entries = std::fs::read_dir(folder);
        let entries = entries.map_err(|reason| ScenarioError::Read { path: folder.to_owned(), reason })?;
        let mut scripts: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        scripts.retain(|path| path.extension().is_some_and(|extension| extension == "txt"));
        scripts.sort();
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        Ok(Self { name, folder: folder.to_owned(), cluster, policy, scripts })
    }

    /// Its scripts, by path.
    pub fn scripts(&self) -> &[PathBuf] {
        &self.scripts
    }

    /// Where the log of a script is kept: `expected.log` for `script.txt`, `quorate.log` for `quorate.txt`.
    pub fn log_of(script: &Path) -> PathBuf {
        if script.file_name().is_some_and(|name| name == "script.txt") {
            return script.with_file_name("expected.log");
        }
        script.with_extension("log")
    }

    /// Plays one script from the cluster's beginning. Not from within an async runtime: it has one of its own.
    ///
    /// # Errors
    /// A file cannot be read or makes no sense. What goes wrong in the story is in the log.
    pub fn play(&self, script: &Path) -> Result<Played, ScenarioError> {
        let at = |reason| ScenarioError::Script { path: script.to_owned(), reason };
        let lines = Script::parse(&read(script)?).map_err(at)?;
        let cluster = |reason| ScenarioError::Cluster { path: self.folder.join("cluster.toml"), reason };
        let world = world_from_toml(&self.cluster, SEED).map_err(cluster)?;
        lines.check(&world).map_err(at)?;
        Ok(stage::Stage::new(world, self.policy.clone()).play(&lines))
    }
}

/// The seed of every scenario's world.
const SEED: u64 = 1;

fn read(path: &Path) -> Result<String, ScenarioError> {
    std::fs::read_to_string(path).map_err(|reason| ScenarioError::Read { path: path.to_owned(), reason })
}
