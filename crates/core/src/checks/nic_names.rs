//! Names of network cards that a new kernel may change.

use super::check::{Asked, Check, Waivable, kinds};
use super::support::{coming_kernel, online, some};
use crate::ids::NodeName;
use crate::policy::Policy;
use crate::snapshot::Snapshot;
use crate::version::Version;

pub(super) struct NicNames;

kinds! {
    MayChange { node: NodeName, nics: Vec<String>, running: Version, coming: Version } => Warning, node,
        ("kernel {coming} is of another series than {running}, and may name {} of {node} differently", some(&nics)),
        ("On {node}: pve-network-interface-pinning generate; or have its console at hand");
}

impl Check for NicNames {
    const ID: &'static str = "nic-names";
    const EXPLAIN: &'static str =
        "A new kernel series can give a network card another name (enp3s0 becomes enp3s0np0), and then the node comes \
         back without network: only its console helps. Where a kernel of another series is coming and cards in \
         /etc/network/interfaces are not pinned by a .link file of systemd, that is a warning. Pin them with \
         `pve-network-interface-pinning generate` (PVE 8.4 and newer), or have the console at hand.";
    const WAIVABLE: Waivable = Waivable::Yes;
    const ASKED: Asked = Asked::BeforeARun;
    type Found = Found;

    fn look(snapshot: &Snapshot, _policy: &Policy, found: &mut Vec<Found>) {
        for node in online(snapshot) {
            let (Some(nics), Some(kernel)) = (node.host.nics.known(), node.kernel.known()) else { continue };
            let Some(coming) = coming_kernel(node) else { continue };
            let nics: Vec<String> = nics.loose().cloned().collect();
            if !nics.is_empty() && series(coming.as_str()) != series(kernel.running.as_str()) {
                let running = kernel.running.clone();
                found.push(Found::MayChange { node: node.name.clone(), nics, running, coming });
            }
        }
    }
}

/// `6.17` of `6.17.4-1-pve`.
fn series(release: &str) -> Vec<&str> {
    release.split(['.', '-']).take(2).collect()
}
