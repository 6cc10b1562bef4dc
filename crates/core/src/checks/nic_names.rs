//! Names of network cards that a new kernel may change.

use super::support::{Report, coming_kernel, online, some};
use super::{Check, Finding, Severity};
use crate::policy::Policy;
use crate::snapshot::Snapshot;

pub(super) struct NicNames;

impl Check for NicNames {
    fn id(&self) -> &'static str {
        "nic-names"
    }

    fn explain(&self) -> &'static str {
        "A new kernel series can name a network card otherwise (enp3s0 becomes enp3s0np0), and then the node comes back \
         without network: only its console helps. Where a kernel of another series is to come and cards in \
         /etc/network/interfaces are not held fast by a .link file of systemd, that is a warning. Hold them fast with \
         pve-network-interface-pinning generate (PVE 8.4 and newer), or have the console at hand."
    }

    fn run(&self, snapshot: &Snapshot, _policy: &Policy) -> Vec<Finding> {
        let mut report = Report::of(self);
        for node in online(snapshot) {
            let (Some(nics), Some(kernel)) = (node.host.nics.known(), node.kernel.known()) else { continue };
            let Some(coming) = coming_kernel(node) else { continue };
            let loose: Vec<String> = nics.loose().cloned().collect();
            if loose.is_empty() || series(coming.as_str()) == series(kernel.running.as_str()) {
                continue;
            }
            let problem = format!(
                "kernel {coming} is of another series than {}, and may name {} of {} otherwise",
                kernel.running,
                some(&loose),
                node.name
            );
            let remedy =
                format!("On {}: pve-network-interface-pinning generate; or have its console at hand", node.name);
            report.add(Severity::Warning, &node.name, problem, remedy);
        }
        report.findings()
    }
}

/// `6.17` of `6.17.4-1-pve`.
fn series(release: &str) -> Vec<&str> {
    release.split(['.', '-']).take(2).collect()
}
