//! The configuration file: which cluster, which credentials, what the operator allows.
//!
//! It is read completely before anything else happens. A mistake is shown with file, line, column and the line itself.

mod address;
mod check;
mod error;

use std::path::{Path, PathBuf};

use quorate_core::policy::Policy;
use quorate_journal::files::{self, Care, FileError};
use serde::Deserialize;
use toml::Spanned;

pub(crate) use address::address;
pub(crate) use check::{Config, HostKeyConfig, LabConfig, NodeConfig};
pub(crate) use error::ConfigError;

/// The name of the file that is read without `--config`.
const FILE: &str = "quorate.toml";

/// The file that is read without `--config`: the first that exists; the one in this directory if there is none.
pub(crate) fn found() -> PathBuf {
    let of = |variable: &str| std::env::var_os(variable).filter(|value| !value.is_empty()).map(PathBuf::from);
    let home = of("XDG_CONFIG_HOME").or_else(|| Some(of("HOME")?.join(".config")));
    let here = PathBuf::from(FILE);
    let all = [
        Some(here.clone()),
        of("QUORATE_CONFIG"),
        home.map(|home| home.join("quorate").join(FILE)),
        Some(Path::new("/etc/quorate").join(FILE)),
    ];
    all.into_iter().flatten().find(|path| path.exists()).unwrap_or(here)
}

/// The default journal, in the directory of the configuration file.
const DEFAULT_JOURNAL: &str = "quorate.db";

/// The file as written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    cluster: ClusterTable,
    auth: Spanned<AuthTable>,
    lab: Option<LabTable>,
    #[serde(default)]
    journal: JournalTable,
    #[serde(default)]
    policy: Option<Spanned<Policy>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ClusterTable {
    nodes: Spanned<Vec<Spanned<NodeTable>>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct NodeTable {
    name: Spanned<String>,
    api: Spanned<String>,
    fingerprint: Spanned<String>,
    ssh: Option<Spanned<String>>,
    host_key: Option<Spanned<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct AuthTable {
    token_id: Spanned<String>,
    token_secret: Option<Spanned<String>>,
    token_secret_file: Option<Spanned<PathBuf>>,
    token_secret_env: Option<Spanned<String>>,
    #[serde(default)]
    ssh_key: Vec<PathBuf>,
    known_hosts: Option<PathBuf>,
}

/// Written by `quorate-lab up`, so that our time is the lab's.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct LabTable {
    time_factor: Spanned<f64>,
    start_ms: u64,
    began_ms: u64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct JournalTable {
    path: Option<PathBuf>,
}

/// Reads and checks the file at `path`.
///
/// # Errors
/// [`ConfigError`] names the place.
pub(crate) fn load(path: &Path) -> Result<Config, ConfigError> {
    let refused = |error: FileError| ConfigError::whole_file(path, error.trouble.to_string()).mended_by(error.mend());
    let text = files::read(path, Care::Trusted).map_err(refused)?;
    let config = parse(path, &text)?;
    if config.auth.secret_is_here {
        files::read(path, Care::Secret).map_err(refused)?;
    }
    Ok(config)
}

pub(crate) fn parse(path: &Path, text: &str) -> Result<Config, ConfigError> {
    let file: File = toml::from_str(text).map_err(|error| {
        let message = error.message().to_owned();
        match error.span() {
            Some(span) => ConfigError::at(path, text, &span, message),
            None => ConfigError::whole_file(path, message),
        }
    })?;
    check::check(file, path, text)
}

#[cfg(test)]
mod tests;
