//! Nodes whose API shows another certificate than the pinned one.

use super::check::{Asked, Check, Waivable, kinds};
use super::support::online;
use crate::ids::NodeName;
use crate::policy::Policy;
use crate::snapshot::Snapshot;

pub(super) struct Certificates;

kinds! {
    NotThePinned { node: NodeName, shown: String, pinned: String } => Blocking, node,
        ("{node} shows the certificate {shown}, but {pinned} is pinned: nothing is sent to its API"),
        ("If it was renewed or replaced, print it on {node}: openssl x509 -in /etc/pve/local/pve-ssl.pem -noout \
          -fingerprint -sha256 (pveproxy-ssl.pem, if there is one). If that is {shown}, put it into quorate.toml in place \
          of the old one; a process that runs reads it when it is started again (quorate resume)");
}

impl Check for Certificates {
    const ID: &'static str = "certificates";
    const EXPLAIN: &'static str =
        "The certificate of each node is pinned, and nothing is sent to a host that shows another one. PVE renews a \
         node's certificate by itself two weeks before it ends, and a reinstalled node has a new one: then its API \
         cannot be used, and other nodes answer for it until they are away themselves. Blocking, before the next node \
         is drained. Compare the new fingerprint on the node itself and put it into quorate.toml. Within a run a \
         certificate is taken over without that if another node, whose own is the pinned one, reports it as that node's; \
         the journal says so.";
    const WAIVABLE: Waivable = Waivable::Never("nothing is sent to a host that does not show what is pinned");
    const ASKED: Asked = Asked::BeforeEachNode;
    type Found = Found;

    fn look(snapshot: &Snapshot, _policy: &Policy, found: &mut Vec<Found>) {
        let others = online(snapshot).filter_map(|node| Some((&node.name, node.other_certificate.as_ref()?)));
        found.extend(others.map(|(node, other)| Found::NotThePinned {
            node: node.clone(),
            shown: other.shown.clone(),
            pinned: other.pinned.clone(),
        }));
    }
}
