//! Is dpkg in order and free?

use super::check::{Asked, Check, HALF, Waivable, kinds};
use super::support::{online, some};
use crate::ids::NodeName;
use crate::policy::Policy;
use crate::snapshot::Snapshot;

pub(super) struct DpkgState;

kinds! {
    HalfInstalled { node: NodeName, packages: Vec<String> } => Blocking, node,
        ("packages on {node} are half installed: {}", some(&packages)),
        ("On {node}: dpkg --configure -a; apt-get -f install");
    Locked { node: NodeName } => Warning, node,
        ("another process holds dpkg's lock on {node}"),
        ("See which it is: fuser -v /var/lib/dpkg/lock-frontend on {node}");
}

impl Check for DpkgState {
    const ID: &'static str = "dpkg-state";
    const EXPLAIN: &'static str =
        "A package that is half installed or half configured makes the next upgrade fail with the node empty: \
         blocking. Fix it with `dpkg --configure -a` and `apt-get -f install` on the node. Another process that uses \
         dpkg is a warning: the run waits for its lock, and fails if it is held too long.";
    const WAIVABLE: Waivable = Waivable::WarningsOnly(HALF);
    const ASKED: Asked = Asked::BeforeEachNode;
    type Found = Found;

    fn look(snapshot: &Snapshot, _policy: &Policy, found: &mut Vec<Found>) {
        for node in online(snapshot) {
            let (name, Some(packages)) = (&node.name, node.packages.known()) else { continue };
            if !packages.broken.is_empty() {
                found.push(Found::HalfInstalled { node: name.clone(), packages: packages.broken.clone() });
            }
            if packages.locked {
                found.push(Found::Locked { node: name.clone() });
            }
        }
    }
}
