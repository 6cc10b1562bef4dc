//! What a lab leaves in its directory, so that Quorate, `curl`, `ssh` and any other client can talk to it.
//!
//! `quorate.toml` for Quorate, `ca.pem` with the nodes' certificates, `id_lab`, `known_hosts` and `ssh_config` for SSH.
//! Each lab writes all of it again, readable by its owner only; it is worth nothing once the lab has ended.

use std::fmt::Write as _;
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use quorate::toolkit::{wall_now, write_private as write};

use crate::lab::Lab;

/// Writes all files, with `policy` at the end of `quorate.toml`, and returns the path of `quorate.toml`.
pub(crate) fn write_files(lab: &Lab, dir: &Path, policy: &str) -> std::io::Result<PathBuf> {
    make_dir(dir)?;
    write(&dir.join("id_lab"), lab.ssh_private_key())?;
    write(&dir.join("known_hosts"), &lab.known_hosts())?;
    write(
        &dir.join("ca.pem"),
        &lab.endpoints().values().map(|node| node.certificate_pem.as_str()).collect::<String>(),
    )?;
    write(&dir.join("ssh_config"), &ssh_config(lab, &std::path::absolute(dir)?))?;
    let config = dir.join("quorate.toml");
    write(&config, &(config_text(lab) + policy))?;
    Ok(config)
}

/// Makes the lab's directory; a new one is accessible to its owner only.
pub(super) fn make_dir(dir: &Path) -> std::io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(dir)
}

/// A configuration so that `ssh -F …/ssh_config pve1 pvecm status` works from anywhere.
fn ssh_config(lab: &Lab, dir: &Path) -> String {
    let mut text = String::new();
    for node in lab.endpoints().values() {
        // Writing to a String does not fail.
        let _ = writeln!(text, "Host {}\n  HostName {}\n  Port {}", node.node, node.ssh.ip(), node.ssh.port());
    }
    let dir = dir.display();
    let _ = write!(
        text,
        "Host *\n  User root\n  IdentityFile \"{dir}/id_lab\"\n  IdentitiesOnly yes\n  UserKnownHostsFile \
         \"{dir}/known_hosts\"\n  StrictHostKeyChecking yes\n"
    );
    text
}

fn config_text(lab: &Lab) -> String {
    let mut text =
        "# The lab that `quorate-lab up` serves. Of no use once it has ended.\n[cluster]\nnodes = [\n".to_owned();
    for node in lab.endpoints().values() {
        let (name, api, ssh) = (&node.node, node.api, node.ssh);
        let (fingerprint, host_key) = (&node.fingerprint, &node.host_key_fingerprint);
        // Writing to a String does not fail.
        let _ = writeln!(
            text,
            "  {{ name = \"{name}\", api = \"{api}\", fingerprint = \"{fingerprint}\", ssh = \"{ssh}\", host-key = \
             \"{host_key}\" }},"
        );
    }
    let (token_id, secret) = lab.token();
    let clock = lab.clock();
    let _ = write!(
        text,
        "]\n\n[auth]\ntoken-id = \"{token_id}\"\ntoken-secret = \"{secret}\"\nssh-key = [\"id_lab\"]\n\n\
         [lab]\ntime-factor = {}\nstart-ms = {}\nbegan-ms = {}\n",
        clock.factor(),
        clock.now().0,
        wall_now().0
    );
    text
}
