//! How old the lists are from which a node is told what it is offered.

use super::check::{Asked, Check, Waivable, finding_of, kinds};
use super::finding::{Finding, Severity};
use super::support::{ago, online};
use crate::ids::NodeName;
use crate::policy::Policy;
use crate::snapshot::{LISTS_TRUSTED_S, Snapshot};

pub(super) struct OldPackageLists;

kinds! {
    Old { node: NodeName, age_s: u64, hides: Severity } => hides, node,
        ("the package lists of {node} are {} old: what it is offered is not known", ago(age_s)),
        ("Read them again: quorate preflight, or on {node}: apt-get update (and read its warnings)");
    Kept { node: NodeName, warning: String } => Severity::Blocking, node,
        ("apt-get update on {node} kept old package lists, so what it is offered is not known: {warning}"),
        ("Make that source answer (on {node}: apt-get update), or disable it, then check again");
    NeverRead { node: NodeName, hides: Severity } => hides, node,
        ("when the package lists of {node} were last read is not known, and so is what it is offered"),
        ("Read them again: quorate preflight, or on {node}: apt-get update (and read its warnings)");
}

/// What apt says when it could not read a source and went on with what it had: with exit status 0. It is no reading of
/// a snapshot but the answer to a refresh.
pub(super) fn kept(node: NodeName, warning: String) -> Finding {
    finding_of::<OldPackageLists>(Found::Kept { node, warning })
}

impl Check for OldPackageLists {
    const ID: &'static str = "old-package-lists";
    const EXPLAIN: &'static str =
        "What a node is offered is known from its package lists, which PVE reads again every day. Lists that are older \
         than a day have not been read with success since: a repository that does not answer, a subscription that has \
         run out. With nothing pending by them the node only seems to be up to date, which is blocking; with updates \
         pending it is a warning, for there may be more. A refresh in which apt warns that a source did not answer, and keeps \
         what it had of it, is blocking. A run reads them again before it plans, and so does \
         `quorate preflight`; if that does not help, `apt-get update` on the node says why.";
    const WAIVABLE: Waivable = Waivable::Yes;
    const ASKED: Asked = Asked::BeforeARun;
    type Found = Found;

    fn look(snapshot: &Snapshot, _policy: &Policy, found: &mut Vec<Found>) {
        for node in online(snapshot) {
            let Some(packages) = node.packages.known() else { continue };
            let hides = if packages.pending.is_empty() { Severity::Blocking } else { Severity::Warning };
            let node = node.name.clone();
            match packages.lists_age_s {
                Some(age_s) if age_s <= LISTS_TRUSTED_S => {}
                Some(age_s) => found.push(Found::Old { node, age_s, hides }),
                None => found.push(Found::NeverRead { node, hides }),
            }
        }
    }
}
