//! Links between the members.

use super::support::{Report, online, views};
use super::{Check, Finding, Severity, Subject};
use crate::policy::Policy;
use crate::snapshot::Snapshot;

pub(super) struct CorosyncLinks;

impl Check for CorosyncLinks {
    fn id(&self) -> &'static str {
        "corosync-links"
    }

    fn explain(&self) -> &'static str {
        "Every member should reach every other one over every configured link, as corosync itself sees it. A link that is \
         down is blocking: a reboot puts weight on the other, and if that one shakes the cluster splits. A single link is \
         a warning. Look with `corosync-cfgtool -n` on the node named, then at the network between the two."
    }

    fn run(&self, snapshot: &Snapshot, _policy: &Policy) -> Vec<Finding> {
        let mut report = Report::of(self);
        for (viewer, view) in views(snapshot) {
            for other in online(snapshot).map(|node| &node.name).filter(|other| *other != viewer) {
                let links = view.links.get(other).map_or(&[][..], Vec::as_slice);
                let up = links.iter().filter(|link| link.connected).count();
                let wanted = (view.configured_links as usize).max(links.len()).max(1);
                if up < wanted {
                    report.add(
                        Severity::Blocking,
                        viewer,
                        format!("{viewer} reaches {other} over {up} of {wanted} links"),
                        format!("Look at the network between them: corosync-cfgtool -n on {viewer}"),
                    );
                }
            }
        }
        if snapshot.nodes.len() > 1 && views(snapshot).next().is_some_and(|(_, view)| view.configured_links == 1) {
            report.add(
                Severity::Warning,
                Subject::Cluster,
                "corosync has one link only: if that network shakes while a node is out, the cluster stops",
                "Add a second link (ring1_addr in /etc/pve/corosync.conf)",
            );
        }
        report.findings()
    }
}
