//! The cluster's nodes, with everything that is pinned for each.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use quorate_core::ids::NodeName;
use quorate_pve::live::{
    self, HostKey, HostPort, LiveClock, LiveConfig, NodeEndpoint, Secret, Timeouts, known_fingerprints,
    probe_fingerprint, probe_host_key,
};
use quorate_pve::ports::{ApiError, ApiRequest, Ports};
use serde_json::Value;

use super::{Args, ask, say};
use crate::failure::Failure;

/// One node of the new configuration.
pub(super) struct Member {
    pub(super) name: NodeName,
    pub(super) api: HostPort,
    pub(super) fingerprint: String,
    pub(super) ssh: HostPort,
    pub(super) host_key: String,
}

/// A node as the cluster itself describes it.
struct Listed {
    name: NodeName,
    address: String,
    fingerprint: String,
}

pub(super) async fn find(
    args: &Args,
    first: &HostPort,
    fingerprint: &str,
    secret: &str,
) -> Result<Vec<Member>, Failure> {
    let ports = first_ports(args, first, fingerprint, secret)?;
    let listed = listed(&ports).await?;
    let mut members = Vec::new();
    for Listed { name, address, fingerprint } in listed {
        let api = (address.clone(), first.1);
        // Compared, not trusted: what the cluster says about the node and what the node shows must match.
        let shown = probe_fingerprint(&api).await.map_err(|error| {
            Failure::cluster(
                error.to_string(),
                &["Bring the node up first: the configuration needs the certificate of every node."],
            )
        })?;
        if shown != fingerprint.to_ascii_uppercase() {
            let what = format!("{name} shows the certificate {shown}, but the cluster says it is {fingerprint}");
            return Err(Failure::cluster(
                what,
                &["If it was just renewed, restart pveproxy there. Otherwise do not continue."],
            ));
        }
        let ssh = (address, args.ssh_port);
        let host_key = probe_host_key(&ssh).await.map_err(|error| {
            Failure::cluster(format!("{name}: {error}"), &["Is sshd running there, and on this port? See --ssh-port."])
        })?;
        members.push(Member { name, api, fingerprint: shown, ssh, host_key });
    }
    confirm_host_keys(args, &members)?;
    Ok(members)
}

fn first_ports(args: &Args, first: &HostPort, fingerprint: &str, secret: &str) -> Result<Ports, Failure> {
    let endpoint = NodeEndpoint {
        name: NodeName::from("first"),
        api: first.clone(),
        fingerprint: fingerprint.to_owned(),
        ssh: (first.0.clone(), args.ssh_port),
        // Its shell is not used here; a key that no host has would refuse any answer.
        host_key: HostKey::Fingerprint("none".to_owned()),
    };
    let config = LiveConfig {
        nodes: vec![endpoint],
        token_id: args.token_id.clone(),
        token_secret: Secret::new(secret),
        ssh_keys: Vec::new(),
        timeouts: Timeouts::default(),
    };
    Ok(live::ports(config, Arc::new(LiveClock::wall()))?)
}

async fn listed(ports: &Ports) -> Result<Vec<Listed>, Failure> {
    const JOIN: &str = "/cluster/config/join";
    let answer = ports.api.call(ApiRequest::get(JOIN)).await.map_err(|error| match error {
        ApiError::Refused { reason, .. } => Failure::cluster(
            format!("the cluster does not list its nodes: {reason}"),
            &["Is it a cluster at all? Run `pvecm status` on the node."],
        ),
        other => other.into(),
    })?;
    let nodes = answer["nodelist"].as_array().map_or(&[][..], Vec::as_slice);
    let listed: Option<Vec<Listed>> = nodes.iter().map(one).collect();
    listed.filter(|listed| !listed.is_empty()).ok_or_else(|| {
        Failure::cluster(
            format!("the answer to GET {JOIN} has no node with address and fingerprint"),
            &["Write the configuration by hand: docs/guide/configuration.md."],
        )
    })
}

fn one(node: &Value) -> Option<Listed> {
    let text = |key: &str| node[key].as_str().map(str::to_owned);
    Some(Listed { name: NodeName::new(text("name")?), address: text("pve_addr")?, fingerprint: text("pve_fp")? })
}

/// Host keys come from the command line or from a file of known hosts, or a person confirms them.
fn confirm_host_keys(args: &Args, members: &[Member]) -> Result<(), Failure> {
    let given: BTreeMap<&str, &str> = args.host_key.iter().map(|(name, key)| (name.as_str(), key.as_str())).collect();
    let file =
        args.known_hosts.clone().or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".ssh/known_hosts")));
    let mut unknown = BTreeSet::new();
    for member in members {
        let known = match given.get(member.name.as_str()) {
            Some(key) => vec![(*key).to_owned()],
            None => file.as_ref().map(|file| known_fingerprints(&member.ssh, file)).unwrap_or_default(),
        };
        if known.is_empty() {
            unknown.insert(member.name.clone());
        } else if !known.contains(&member.host_key) {
            let what = format!(
                "{} shows the host key {}, but the known one is {}",
                member.name,
                member.host_key,
                known.join(" or ")
            );
            return Err(Failure::cluster(
                what,
                &["Compare on the node's console. If it is not the same, do not continue."],
            ));
        }
    }
    if unknown.is_empty() {
        return Ok(());
    }
    say(["These host keys are not known yet:".to_owned()]);
    say(members
        .iter()
        .filter(|member| unknown.contains(&member.name))
        .map(|member| format!("    {}  {}", member.name, member.host_key)));
    say(["Compare each on its node's console: ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub".to_owned()]);
    ask::agreed("Are they the same?")
}
