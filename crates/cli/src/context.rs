//! What all commands share: where the configuration and the journal are, and what the output looks like.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use quorate_core::ids::{RunId, UnixMs};
use quorate_core::policy::Policy;
use quorate_journal::{Journal, Mode};
use quorate_pve::ports::Clock as _;

use crate::clock::wall_now;
use crate::commands::connect;
use crate::config::{self, Config};
use crate::diagnostics;
use crate::exit::Exit;
use crate::failure::Failure;

/// Options common to all commands.
#[derive(Debug, clap::Args)]
#[group(skip)]
pub(crate) struct Common {
    /// Configuration file; default: the first that exists of ./quorate.toml, $QUORATE_CONFIG,
    /// ~/.config/quorate/quorate.toml and /etc/quorate/quorate.toml
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
    /// What comes before the verb on a command line of this very program, with the same options.
    own: Vec<OsString>,
    config: PathBuf,
}

impl Context {
    pub(crate) fn new(common: Common, program: &[OsString], diagnostics: &diagnostics::Options) -> Self {
        let mut own = program.to_vec();
        let mut with = |option: &str, value: Option<&Path>| {
            own.extend(value.into_iter().flat_map(|value| [option.into(), value.as_os_str().to_owned()]));
        };
        with("--config", common.config.as_deref());
        with("--journal", common.journal.as_deref());
        own.extend(common.json.then(|| "--json".into()));
        own.extend(diagnostics.as_arguments());
        let config = common.config.clone().unwrap_or_else(config::found);
        Self { common, own, config }
    }

    /// The arguments of another process of this program, up to its verb.
    pub(crate) fn own_arguments(&self) -> &[OsString] {
        &self.own
    }

    /// What the output looks like.
    pub(crate) fn format(&self) -> Format {
        if self.common.json { Format::Json } else { Format::Text }
    }

    /// Path of the configuration file, whether it exists yet or not.
    pub(crate) fn config_path(&self) -> &Path {
        &self.config
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
        if self.common.config.is_none() && !self.config.exists() {
            return Ok(Policy::default());
        }
        Ok(self.config()?.policy)
    }

    /// Now, by the clock of a run: the lab's, if the configuration is one of a lab.
    pub(crate) fn run_now(&self) -> UnixMs {
        match self.config() {
            Ok(config) => connect::clock(config.lab.as_ref()).now(),
            Err(_) => wall_now(),
        }
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
