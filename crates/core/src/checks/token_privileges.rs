//! May the token do what a run will ask of it?

use super::check::{Asked, Check, Waivable, kinds};
use crate::observed::WhyUnknown;
use crate::policy::Policy;
use crate::snapshot::Snapshot;

pub(super) struct TokenPrivileges;

kinds! {
    Missing { missing: String } => Blocking, Cluster,
        ("the token lacks {missing}"),
        ("Add it to the token's role: pveum role modify ROLE --append 1 --privs {}",
            missing.rsplit(' ').next().unwrap_or(&missing));
    NotKnown { why: WhyUnknown } => Blocking, Cluster,
        ("whether the token may allocate volumes, as storage-map and hibernating guests need, is not known: {why}"),
        ("Look again; it needs VM.Config.Disk on /vms and Datastore.AllocateSpace on /storage");
}

impl Check for TokenPrivileges {
    const ID: &'static str = "token-privileges";
    const EXPLAIN: &'static str =
        "A privilege that is missing is found out before anything moves, not when a node is half drained. One finding \
         for each path and privilege that the token lacks. Note that a token with privilege separation has at most \
         what its user has, and needs its own entry. Only with storage-map in the policy, or with a guest that \
         hibernates, it needs VM.Config.Disk on /vms and Datastore.AllocateSpace on /storage too. To fix it, add the privilege to the token's role.";
    const WAIVABLE: Waivable = Waivable::Never("a call would be refused in the middle of the run");
    const ASKED: Asked = Asked::BeforeARun;
    type Found = Found;

    fn look(snapshot: &Snapshot, policy: &Policy, found: &mut Vec<Found>) {
        let missing = snapshot.missing_privileges.known().into_iter().flatten().cloned();
        found.extend(missing.map(|missing| Found::Missing { missing }));
        if !policy.allocates_volumes(snapshot) {
            return;
        }
        match snapshot.missing_for_volumes.read() {
            Ok(missing) => found.extend(missing.iter().cloned().map(|missing| Found::Missing { missing })),
            Err(why) => found.push(Found::NotKnown { why: why.clone() }),
        }
    }
}
