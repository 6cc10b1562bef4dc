//! What all commands share: where the configuration and the journal are, and what the output looks like.

use std::path::{Path, PathBuf};

use quorate_core::ids::RunId;
use quorate_core::policy::Policy;
use quorate_journal::{Journal, Mode};

use crate::config::{self, Config, DEFAULT_FILE};
use crate::exit::Exit;
use crate::failure::Failure;

/// Options common to all commands.
#[derive(Debug, clap::Args)]
#[group(skip)]
pub(crate) struct Common {
    /// Configuration file
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Journal file; default: the one named in the configuration
    #[arg(long, global = true, value_name = "FILE")]
    journal: Option<PathBuf>,
    /// Print JSON
    #[arg(long, global = true)]
    json: bool,
}

/// What the output looks like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Pages for people.
    Text,
    /// For programs: one value per line.
    Json,
}

/// What all commands share.
#[derive(Debug)]
pub(crate) struct Context {
    common: Common,
}

impl Context {
    pub(crate) fn new(common: Common) -> Self {
        Self { common }
    }

    /// What the output looks like.
    pub(crate) fn format(&self) -> Format {
        if self.common.json { Format::Json } else { Format::Text }
    }

    /// Path of the configuration file, whether it exists yet or not.
    pub(crate) fn config_path(&self) -> &Path {
        self.common.config.as_deref().unwrap_or(Path::new(DEFAULT_FILE))
    }

    /// Loads and checks the configuration file.
    pub(crate) fn config(&self) -> Result<Config, Failure> {
        let path = self.config_path();
        config::load(path).map_err(|error| {
            let next = if let Some(mend) = error.mend() {
                mend
            } else if path.exists() {
                "Correct the file. docs/guide/configuration.md describes every key."
            } else {
                "Write one with `quorate init ADDRESS`, or name yours with --config FILE."
            };
            Failure::usage(error.to_string(), next)
        })
    }

    /// The policy in the configuration; the defaults if there is no configuration and none was named.
    pub(crate) fn policy(&self) -> Result<Policy, Failure> {
        if self.common.config.is_none() && !Path::new(DEFAULT_FILE).exists() {
            return Ok(Policy::default());
        }
        Ok(self.config()?.policy)
    }

    /// Path of the journal file.
    pub(crate) fn journal_path(&self) -> Result<PathBuf, Failure> {
        match &self.common.journal {
            Some(path) => Ok(path.clone()),
            None => Ok(self.config()?.journal),
        }
    }

    /// Opens the journal and finds the run: the one asked for, or else the latest.
    pub(crate) fn journal_and_run(&self, mode: Mode, run: Option<&str>) -> Result<(Journal, RunId), Failure> {
        let journal = Journal::open(&self.journal_path()?, mode)?;
        let runs = journal.runs()?;
        let found = match run {
            None => runs.last().cloned(),
            Some(asked) => runs.iter().find(|run| run.as_str() == asked).cloned(),
        };
        let Some(found) = found else {
            let path = journal.path().display();
            let known: Vec<&str> = runs.iter().map(RunId::as_str).collect();
            let (happened, next) = match run {
                Some(asked) => {
                    (format!("the journal {path} has no run {asked}"), format!("It has: {}.", known.join(", ")))
                }
                None => (format!("the journal {path} holds no run"), "Start one with `quorate run`.".to_owned()),
            };
            return Err(Failure::new(Exit::Journal, happened, "Nothing was changed on the cluster.", &[&next]));
        };
        Ok((journal, found))
    }
}
