//! May the token do what a run will ask of it?

use super::check::{Asked, Check, Waivable, kinds};
use crate::policy::Policy;
use crate::snapshot::Snapshot;

pub(super) struct TokenPrivileges;

kinds! {
    Missing { missing: String } => Blocking, Cluster,
        ("the token lacks {missing}"),
        ("Add it to the token's role: pveum role modify ROLE --append 1 --privs {}",
            missing.rsplit(' ').next().unwrap_or(&missing));
}

impl Check for TokenPrivileges {
    const ID: &'static str = "token-privileges";
    const EXPLAIN: &'static str =
        "A privilege that is missing is found out before anything moves, not when a node is half drained. One finding \
         for each path and privilege that the token lacks. Note that a token with privilege separation has at most \
         what its user has, and needs its own entry. To fix it, add the privilege to the token's role.";
    const WAIVABLE: Waivable = Waivable::Never("a call would be refused in the middle of the run");
    const ASKED: Asked = Asked::BeforeARun;
    type Found = Found;

    fn look(snapshot: &Snapshot, _policy: &Policy, found: &mut Vec<Found>) {
        let missing = snapshot.missing_privileges.known().into_iter().flatten().cloned();
        found.extend(missing.map(|missing| Found::Missing { missing }));
    }
}
