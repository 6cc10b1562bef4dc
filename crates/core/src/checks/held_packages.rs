//! Packages that an upgrade leaves as they are.

use super::check::{Asked, Check, Waivable, kinds};
use super::support::{online, some};
use crate::ids::NodeName;
use crate::policy::Policy;
use crate::snapshot::Snapshot;

pub(super) struct HeldPackages;

kinds! {
    Held { node: NodeName, packages: Vec<String> } => Warning, node,
        ("{node} holds {}: no upgrade changes them", some(&packages)),
        ("If it is not meant to stay, on {node}: apt-mark unhold {}", packages.join(" "));
    KeptBack { node: NodeName, packages: Vec<String> } => Warning, node,
        ("the upgrade of {node} would keep back {}", some(&packages)),
        ("See why, on {node}: apt-get -s install {}", packages.join(" "));
}

impl Check for HeldPackages {
    const ID: &'static str = "held-packages";
    const EXPLAIN: &'static str =
        "Packages that an administrator holds (`apt-mark hold`), and packages that apt keeps back because what they \
         need is not offered, stay as they are while the rest of the node is upgraded, and while other nodes get them. \
         A warning that names them. `apt-mark unhold` ends a hold; `apt-get -s install PACKAGE` says what is missing.";
    const WAIVABLE: Waivable = Waivable::Yes;
    const ASKED: Asked = Asked::BeforeARun;
    type Found = Found;

    fn look(snapshot: &Snapshot, _policy: &Policy, found: &mut Vec<Found>) {
        for node in online(snapshot) {
            let Some(packages) = node.packages.known() else { continue };
            if !packages.held.is_empty() {
                found.push(Found::Held { node: node.name.clone(), packages: packages.held.clone() });
            }
            // apt keeps back what is held as well.
            let others = packages.kept_back.iter().filter(|package| !packages.held.contains(package));
            let others: Vec<String> = others.cloned().collect();
            if !others.is_empty() {
                found.push(Found::KeptBack { node: node.name.clone(), packages: others });
            }
        }
    }
}
