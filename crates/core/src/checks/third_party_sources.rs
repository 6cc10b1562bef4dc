//! Package sources that belong neither to Debian nor to Proxmox.

use std::collections::BTreeSet;

use super::check::{Asked, Check, Waivable, kinds};
use super::support::{host, online, some, source_is_own};
use crate::ids::NodeName;
use crate::policy::Policy;
use crate::snapshot::Snapshot;

pub(super) struct ThirdPartySources;

kinds! {
    Foreign { node: NodeName, hosts: Vec<String> } => Warning, node,
        ("{node} draws packages from {}", some(&hosts)),
        ("See what they bring: apt-get -s dist-upgrade on {node}");
}

impl Check for ThirdPartySources {
    const ID: &'static str = "third-party-sources";
    const EXPLAIN: &'static str =
        "Packages from elsewhere (Docker, Zabbix, Ceph from its own site, a graphics driver) are built against Debian, \
         not against PVE, and dist-upgrade takes them along; some replace PVE's own. A warning that names the hosts; a \
         mirror of Proxmox's archive is not among them. Look at what they would bring with `apt-get -s dist-upgrade`, \
         and disable for the time of the run what is not needed.";
    const WAIVABLE: Waivable = Waivable::Yes;
    const ASKED: Asked = Asked::BeforeARun;
    type Found = Found;

    fn look(snapshot: &Snapshot, _policy: &Policy, found: &mut Vec<Found>) {
        for node in online(snapshot) {
            let enabled = node.repositories.known().into_iter().flatten().filter(|source| source.enabled);
            let others = enabled.filter(|source| !source_is_own(source));
            let hosts: BTreeSet<&str> = others.flat_map(|source| &source.uris).filter_map(|uri| host(uri)).collect();
            let hosts: Vec<String> = hosts.into_iter().map(str::to_owned).collect();
            if !hosts.is_empty() {
                found.push(Found::Foreign { node: node.name.clone(), hosts });
            }
        }
    }
}
