//! How many links corosync has. Whether all of them are up is checked by the rule `corosync-one-at-a-time`.

use super::check::{Asked, Check, Waivable, kinds};
use super::support::views;
use crate::policy::Policy;
use crate::snapshot::Snapshot;

pub(super) struct CorosyncLinks;

kinds! {
    OneLink => Warning, Cluster,
        ("corosync has one link only: if that network falters while a node is out, the cluster stops"),
        ("Add a second link (ring1_addr in /etc/pve/corosync.conf)");
}

impl Check for CorosyncLinks {
    const ID: &'static str = "corosync-links";
    const EXPLAIN: &'static str =
        "With a single link between the members, the cluster depends on one network: if it falters while a node is \
         out, quorum is lost. A warning. Add a second link on another network (ring1_addr in /etc/pve/corosync.conf). \
         A link that is configured and down is reported by the rule corosync-one-at-a-time, and blocking.";
    const WAIVABLE: Waivable = Waivable::Yes;
    const ASKED: Asked = Asked::BeforeARun;
    type Found = Found;

    fn look(snapshot: &Snapshot, _policy: &Policy, found: &mut Vec<Found>) {
        if snapshot.nodes.len() > 1 && views(snapshot).next().is_some_and(|(_, view)| view.configured_links == 1) {
            found.push(Found::OneLink);
        }
    }
}
