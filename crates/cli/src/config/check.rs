//! From the file as written to what the rest of the program uses: every value is checked here, once.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use quorate_core::checks::accept;
use quorate_core::ids::{NodeName, UnixMs};
use quorate_core::policy::Policy;
use quorate_journal::files::{self, Care};
use quorate_pve::live::Secret;
use toml::Spanned;

use super::{AuthTable, ConfigError, DEFAULT_JOURNAL, File, LabTable, NodeTable};

const API_PORT: u16 = 8006;
const SSH_PORT: u16 = 22;

/// The checked configuration.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    /// Nodes in the order of the file.
    pub(crate) nodes: Vec<NodeConfig>,
    /// Credentials for API and SSH.
    pub(crate) auth: AuthConfig,
    /// The lab's time; none for a real cluster.
    pub(crate) lab: Option<LabConfig>,
    /// Path of the journal file.
    pub(crate) journal: PathBuf,
    /// What the operator allows.
    pub(crate) policy: Policy,
}

/// One node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct NodeConfig {
    /// Its name in the cluster.
    pub(crate) name: NodeName,
    /// Host and port of its API.
    pub(crate) api: (String, u16),
    /// SHA-256 of its certificate, as `AA:BB:…`.
    pub(crate) fingerprint: String,
    /// Host and port of its SSH server.
    pub(crate) ssh: (String, u16),
    /// The host key that it must show.
    pub(crate) host_key: HostKeyConfig,
}

/// How a node's host key is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum HostKeyConfig {
    /// By its fingerprint, `SHA256:…`.
    Fingerprint(String),
    /// By a `known_hosts` file.
    KnownHosts(PathBuf),
}

/// The clock of a lab.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct LabConfig {
    /// How much faster than the wall clock it runs.
    pub(crate) time_factor: f64,
    /// The lab's time when it began.
    pub(crate) start: UnixMs,
    /// The wall clock's time when it began.
    pub(crate) began: UnixMs,
}

/// Credentials.
#[derive(Clone)]
pub(crate) struct AuthConfig {
    /// `user@realm!name`.
    pub(crate) token_id: String,
    /// Never printed.
    pub(crate) token_secret: Secret,
    /// Is the secret in the configuration itself?
    pub(crate) secret_is_here: bool,
    /// Private keys to try, in order.
    pub(crate) ssh_keys: Vec<PathBuf>,
}

impl fmt::Debug for AuthConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthConfig").field("token_id", &self.token_id).finish_non_exhaustive()
    }
}

/// The file while it is checked.
struct Source<'a> {
    path: &'a Path,
    text: &'a str,
}

impl Source<'_> {
    fn wrong(&self, span: &Range<usize>, message: impl Into<String>) -> ConfigError {
        ConfigError::at(self.path, self.text, span, message)
    }

    /// Paths in the file are relative to its own directory.
    fn beside(&self, path: &Path) -> PathBuf {
        self.path.parent().unwrap_or(Path::new("")).join(path)
    }
}

pub(super) fn check(file: File, path: &Path, text: &str) -> Result<Config, ConfigError> {
    let source = Source { path, text };
    let known_hosts = file.auth.get_ref().known_hosts.as_ref().map(|path| source.beside(path));
    let nodes = nodes(&source, &file.cluster.nodes, known_hosts.as_deref())?;
    let auth = auth(&source, &file.auth)?;
    let lab = file.lab.map(|table| lab(&source, &table)).transpose()?;
    let policy = policy(&source, file.policy, &nodes)?;
    let journal = source.beside(&file.journal.path.unwrap_or_else(|| PathBuf::from(DEFAULT_JOURNAL)));
    Ok(Config { nodes, auth, lab, journal, policy })
}

fn lab(source: &Source<'_>, table: &LabTable) -> Result<LabConfig, ConfigError> {
    let LabTable { time_factor, start_ms, began_ms } = table;
    if !(1.0..=100_000.0).contains(time_factor.get_ref()) {
        return Err(source.wrong(&time_factor.span(), "time-factor is a number from 1 to 100000"));
    }
    let (start, began) = (UnixMs(*start_ms), UnixMs(*began_ms));
    Ok(LabConfig { time_factor: *time_factor.get_ref(), start, began })
}

fn nodes(
    source: &Source<'_>,
    tables: &Spanned<Vec<Spanned<NodeTable>>>,
    known_hosts: Option<&Path>,
) -> Result<Vec<NodeConfig>, ConfigError> {
    let mut nodes: Vec<NodeConfig> = Vec::new();
    for table in tables.get_ref() {
        let NodeTable { name, api, fingerprint, ssh, host_key } = table.get_ref();
        if !is_host_name(name.get_ref()) {
            return Err(source.wrong(&name.span(), "a node's name is its short host name: letters, digits, hyphens"));
        }
        let node_name = NodeName::new(name.get_ref().clone());
        if nodes.iter().any(|node| node.name == node_name) {
            return Err(source.wrong(&name.span(), format!("{node_name} is listed twice")));
        }
        let api_address = address(source, api, API_PORT)?;
        let ssh = match ssh {
            Some(ssh) => address(source, ssh, SSH_PORT)?,
            None => (api_address.0.clone(), SSH_PORT),
        };
        nodes.push(NodeConfig {
            name: node_name,
            api: api_address,
            fingerprint: certificate_fingerprint(source, fingerprint)?,
            ssh,
            host_key: match (host_key, known_hosts) {
                (Some(host_key), _) => HostKeyConfig::Fingerprint(key_fingerprint(source, host_key)?),
                (None, Some(path)) => HostKeyConfig::KnownHosts(path.to_owned()),
                (None, None) => {
                    let what = "the node's SSH key is not known: give it with host-key here, or a file with \
                                known-hosts in [auth]";
                    return Err(source.wrong(&table.span(), what));
                }
            },
        });
    }
    if nodes.is_empty() {
        return Err(source.wrong(&tables.span(), "no node is listed: every node of the cluster belongs here"));
    }
    Ok(nodes)
}

fn address(source: &Source<'_>, text: &Spanned<String>, default_port: u16) -> Result<(String, u16), ConfigError> {
    super::address(text.get_ref(), default_port).map_err(|what| source.wrong(&text.span(), what))
}

fn certificate_fingerprint(source: &Source<'_>, text: &Spanned<String>) -> Result<String, ConfigError> {
    let digits: Vec<char> = text.get_ref().chars().filter(|c| *c != ':').collect();
    if digits.len() != 64 || !digits.iter().all(char::is_ascii_hexdigit) {
        let what = format!(
            "a fingerprint is the SHA-256 of the certificate, 64 hexadecimal digits; this has {} characters. \
             `openssl x509 -in /etc/pve/local/pve-ssl.pem -noout -fingerprint -sha256` on the node prints it",
            digits.len()
        );
        return Err(source.wrong(&text.span(), what));
    }
    let pairs = digits.chunks(2).map(|pair| pair.iter().collect::<String>().to_ascii_uppercase());
    Ok(pairs.collect::<Vec<_>>().join(":"))
}

fn key_fingerprint(source: &Source<'_>, text: &Spanned<String>) -> Result<String, ConfigError> {
    let base64 = |c: char| c.is_ascii_alphanumeric() || c == '+' || c == '/';
    match text.get_ref().trim_end_matches('=').strip_prefix("SHA256:") {
        Some(hash) if hash.len() == 43 && hash.chars().all(base64) => Ok(format!("SHA256:{hash}")),
        _ => {
            let what = "a host key is given as its fingerprint, `SHA256:` and 43 characters; \
                        `ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub` on the node prints it";
            Err(source.wrong(&text.span(), what))
        }
    }
}

fn auth(source: &Source<'_>, table: &Spanned<AuthTable>) -> Result<AuthConfig, ConfigError> {
    let AuthTable { token_id, token_secret, token_secret_file, token_secret_env, ssh_key, known_hosts: _ } =
        table.get_ref();
    let well_formed =
        token_id.get_ref().split_once('!').is_some_and(|(user, name)| user.contains('@') && !name.is_empty());
    if !well_formed {
        return Err(source.wrong(&token_id.span(), "a token's id is `user@realm!name`, as in `root@pam!quorate`"));
    }
    let secret = match (token_secret, token_secret_file, token_secret_env) {
        (Some(secret), None, None) => secret.get_ref().clone(),
        (None, Some(file), None) => {
            let path = source.beside(file.get_ref());
            let read = files::read(&path, Care::Secret);
            read.map_err(|error| source.wrong(&file.span(), error.to_string()).mended_by(error.mend()))?
        }
        (None, None, Some(name)) => std::env::var(name.get_ref())
            .map_err(|_| source.wrong(&name.span(), format!("the environment has no variable {}", name.get_ref())))?,
        _ => {
            let what = "exactly one of token-secret-file, token-secret-env and token-secret belongs here";
            return Err(source.wrong(&table.span(), what));
        }
    };
    let (token_secret, inline) = (secret.trim().to_owned(), token_secret.is_some());
    // It goes into an HTTP header as it is.
    if token_secret.is_empty() || !token_secret.chars().all(|c| c.is_ascii_graphic()) {
        return Err(source.wrong(&table.span(), "the token's secret is empty or has characters that no secret has"));
    }
    let ssh_keys = ssh_key.iter().map(|path| source.beside(path)).collect();
    let token_secret = Secret::new(token_secret);
    Ok(AuthConfig { token_id: token_id.get_ref().clone(), token_secret, secret_is_here: inline, ssh_keys })
}

fn policy(source: &Source<'_>, table: Option<Spanned<Policy>>, nodes: &[NodeConfig]) -> Result<Policy, ConfigError> {
    let Some(table) = table else { return Ok(Policy::default()) };
    let span = table.span();
    let policy = table.into_inner();
    let mut named = policy.first.iter().chain(&policy.last).chain(&policy.spare);
    let unknown = named.find(|name| !nodes.iter().any(|node| node.name == **name));
    if let Some(name) = unknown {
        return Err(source.wrong(&span, format!("policy names the node {name}, which is not in [cluster] nodes")));
    }
    if let Some(name) = policy.first.iter().find(|name| policy.last.contains(name)) {
        return Err(source.wrong(&span, format!("policy has {name} both first and last")));
    }
    if let Some(why) = policy.waive.iter().find_map(|waiver| accept(waiver).err()) {
        return Err(source.wrong(&span, format!("[[policy.waive]]: {why}")));
    }
    let mut named = policy.storage_map.iter().flatten().collect::<Vec<_>>();
    named.sort();
    if let Some(pair) = named.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(source.wrong(&span, format!("storage-map has {} in two groups", pair[0])));
    }
    if policy.storage_map.iter().any(|group| group.len() < 2) {
        return Err(source.wrong(&span, "a group of storage-map is two or more storages that take each other's place"));
    }
    if policy.headroom_percent > 90 {
        return Err(source.wrong(&span, format!("headroom-percent is at most 90, not {}", policy.headroom_percent)));
    }
    if policy.parallel_migrations == Some(0) || policy.migration_bytes_per_s == 0 || policy.link_bytes_per_s == Some(0)
    {
        let what = "parallel-migrations, migration-bytes-per-s and link-bytes-per-s are at least 1";
        return Err(source.wrong(&span, what));
    }
    if policy.cpu_limit_percent == Some(0) || policy.balance_points > 100 {
        return Err(source.wrong(&span, "cpu-limit-percent is at least 1, and balance-points are at most 100"));
    }
    Ok(policy)
}

fn is_host_name(text: &str) -> bool {
    !text.is_empty() && text.len() <= 63 && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
}
