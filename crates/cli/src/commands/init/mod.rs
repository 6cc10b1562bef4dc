//! `quorate init ADDRESS`: first contact with a cluster, ending in a configuration in which everything is pinned.
//!
//! Trust begins with two checks by a person: the certificate of one node, and the SSH host keys that are not in their
//! `known_hosts` file. Everything else follows from there: the other nodes' certificates are compared with what the
//! cluster itself reports over the first, pinned connection. Nothing but reads is sent.

mod ask;
mod check;
mod members;

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use quorate_journal::files::{self, Care, write_new};
use quorate_pve::live::{HostPort, probe_fingerprint};
use quorate_pve::observe::least_role;

use crate::config::address;
use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::render::page::Page;
use members::Member;

/// Makes a role that can do a run, and no more. `docs/guide/access.md` says what each privilege is for.
fn role_command() -> String {
    let privileges: Vec<&str> = least_role().into_iter().collect();
    format!("pveum role add Quorate -privs \"{}\"", privileges.join(" "))
}

const API_PORT: u16 = 8006;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Address of any one node, with a port if it is not 8006
    address: String,
    /// The SHA-256 fingerprint of its certificate; without it you are asked to compare
    #[arg(long, value_name = "AA:BB:…")]
    fingerprint: Option<String>,
    /// The API token
    #[arg(long, value_name = "USER@REALM!NAME", default_value = "quorate@pve!run")]
    token_id: String,
    /// File with the token's secret; if it does not exist, you are asked for the secret and it is written there
    #[arg(long, value_name = "FILE", default_value = "token.secret")]
    token_secret_file: PathBuf,
    /// Private key for SSH as root; may be repeated. Keys of ssh-agent are used as well
    #[arg(long, value_name = "FILE")]
    ssh_key: Vec<PathBuf>,
    /// Port of the nodes' SSH servers
    #[arg(long, value_name = "PORT", default_value_t = 22)]
    ssh_port: u16,
    /// Host key of a node, as NAME=SHA256:…; may be repeated. You are asked about the others, unless known_hosts has
    /// them
    #[arg(long, value_name = "NAME=SHA256:…", value_parser = host_key)]
    host_key: Vec<(String, String)>,
    /// Your known_hosts file; default: ~/.ssh/known_hosts
    #[arg(long, value_name = "FILE")]
    known_hosts: Option<PathBuf>,
}

fn host_key(text: &str) -> Result<(String, String), String> {
    let (name, key) = text.split_once('=').ok_or("it is NAME=SHA256:…")?;
    key.starts_with("SHA256:")
        .then(|| (name.to_owned(), key.trim_end_matches('=').to_owned()))
        .ok_or_else(|| "it is NAME=SHA256:…".to_owned())
}

pub(super) async fn perform(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let path = context.config_path();
    if path.exists() {
        let what = format!("{} exists already and is not overwritten", path.display());
        return Err(Failure::usage(what, "Move it away, or name another file with --config."));
    }
    let first = address(&args.address, API_PORT)
        .map_err(|why| Failure::usage(why, "Give an address like 192.0.2.11 or pve1.example."))?;
    let fingerprint = first_fingerprint(args, &first).await?;
    let secret = secret(args)?;
    let members = members::find(args, &first, &fingerprint, &secret).await?;
    let text = config_text(args, path, &members);
    write_new(path, &text).map_err(|error| cannot_write(path, &error))?;
    say([format!("Written: {}. Trying it now.", path.display())]);
    check::check(&context.config()?, context).await
}

/// The one certificate that a person compares.
async fn first_fingerprint(args: &Args, first: &HostPort) -> Result<String, Failure> {
    let shown = probe_fingerprint(first).await.map_err(|error| {
        Failure::cluster(error.to_string(), &["Is this the address of a node, and is pveproxy running there?"])
    })?;
    if let Some(expected) = &args.fingerprint {
        let digits = |text: &str| text.chars().filter(char::is_ascii_hexdigit).collect::<String>().to_ascii_uppercase();
        if digits(expected) != digits(&shown) {
            let what = format!("{} shows the certificate {shown}, but you expect {expected}", args.address);
            return Err(Failure::cluster(
                what,
                &["Compare on the node's console. If it is not the same, do not continue."],
            ));
        }
        return Ok(shown);
    }
    say([
        format!("{} shows the certificate", args.address),
        format!("    {shown}"),
        "Compare it on the node's console:".to_owned(),
        "    openssl x509 -in /etc/pve/local/pve-ssl.pem -noout -fingerprint -sha256".to_owned(),
        "(pveproxy-ssl.pem if you installed your own certificate)".to_owned(),
    ]);
    ask::agreed("Is it the same?")?;
    Ok(shown)
}

/// The token's secret: from its file, or typed in and then stored there.
fn secret(args: &Args) -> Result<String, Failure> {
    let path = &args.token_secret_file;
    if path.exists() {
        return Ok(files::read(path, Care::Secret)?.trim().to_owned());
    }
    let Some((user, name)) = args.token_id.split_once('!') else {
        let what = format!("{} is not a token id, which is USER@REALM!NAME", args.token_id);
        return Err(Failure::usage(what, "Give --token-id as shown in the GUI under Permissions, API Tokens."));
    };
    say([
        "Create a role with the least privileges, a user and a token. On any node, as root:".to_owned(),
        format!("    {}", role_command()),
        format!("    pveum user add {user}"),
        format!("    pveum acl modify / --users {user} --roles Quorate"),
        format!("    pveum user token add {user} {name} --privsep 0"),
        "The last command prints the secret, once.".to_owned(),
    ]);
    let secret = ask::line("The secret:")?;
    write_new(path, &format!("{secret}\n")).map_err(|error| cannot_write(path, &error))?;
    Ok(secret)
}

fn config_text(args: &Args, path: &Path, members: &[Member]) -> String {
    let quoted = |text: &str| toml::Value::String(text.to_owned()).to_string();
    let address = |(host, port): &HostPort, default: u16| match (*port == default, host.contains(':')) {
        (true, _) => host.clone(),
        (false, true) => format!("[{host}]:{port}"),
        (false, false) => format!("{host}:{port}"),
    };
    let mut text =
        String::from("# Written by `quorate init`. All keys: docs/guide/configuration.md\n\n[cluster]\nnodes = [\n");
    for Member { name, api, fingerprint, ssh, host_key } in members {
        let _ = writeln!(
            text,
            "  {{ name = {}, api = {}, fingerprint = {}, ssh = {}, host-key = {} }},",
            quoted(name.as_str()),
            quoted(&address(api, API_PORT)),
            quoted(fingerprint),
            quoted(&address(ssh, 22)),
            quoted(host_key)
        );
    }
    let beside = |file: &Path| {
        let here = std::path::absolute(file).unwrap_or_else(|_| file.to_owned());
        let folder = std::path::absolute(path).ok().and_then(|path| path.parent().map(Path::to_owned));
        let short = folder.and_then(|folder| here.strip_prefix(folder).map(Path::to_owned).ok());
        quoted(&short.unwrap_or(here).to_string_lossy())
    };
    let _ = write!(
        text,
        "]\n\n[auth]\ntoken-id = {}\ntoken-secret-file = {}\n",
        quoted(&args.token_id),
        beside(&args.token_secret_file)
    );
    if !args.ssh_key.is_empty() {
        let keys: Vec<String> = args.ssh_key.iter().map(|key| beside(key)).collect();
        let _ = writeln!(text, "ssh-key = [{}]", keys.join(", "));
    }
    text.push_str("\n[policy]\nconsents = []\n");
    text
}

fn cannot_write(path: &Path, error: &std::io::Error) -> Failure {
    Failure::usage(format!("{} cannot be written: {error}", path.display()), "Name another file or directory.")
}

/// Prints messages on standard error.
fn say(lines: impl IntoIterator<Item = String>) {
    let mut page = Page::default();
    for line in lines {
        page.line(line);
    }
    page.print_err();
}

#[cfg(test)]
mod tests {
    use super::role_command;

    #[test]
    fn the_readme_and_the_guide_give_the_role_that_init_prints() {
        let role = role_command();
        for page in [include_str!("../../../../../README.md"), include_str!("../../../../../docs/guide/access.md")] {
            assert!(page.contains(&role), "{role}");
        }
    }
}
