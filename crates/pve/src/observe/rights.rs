//! What our token may do, and whether it sees everything.
//!
//! PVE filters lists silently: a token without VM.Audit sees an empty node, not an error. So the lists are never
//! proof of emptiness by themselves.

use std::collections::{BTreeMap, BTreeSet};

use quorate_core::ids::{GuestId, GuestKind, NodeName, StorageId};
use quorate_core::observed::{Observed, WhyUnknown};
use quorate_core::snapshot::{Guest, ReplicationJob, Storage};

use super::node::NodeLook;
use crate::wire::cluster::{GuestEntry, Permissions};

/// Privileges that a run needs, each on everything below its path. They are the same in PVE 8 and 9.
const NEEDED: [(&str, &str); 9] = [
    ("/", "Sys.Audit"),
    ("/nodes", "Sys.Audit"),
    ("/nodes", "Sys.Modify"),
    (BRIDGES.0, BRIDGES.1),
    (STORAGES.0, STORAGES.1),
    (GUESTS.0, GUESTS.1),
    ("/vms", "VM.Config.CDROM"),
    ("/vms", "VM.Migrate"),
    ("/vms", "VM.PowerMgmt"),
];

/// What a run needs besides where it allocates volumes: `targetstorage` of a move and the state of a guest that
/// hibernates both ask for them (qemu-server, pve-container).
const NEEDED_FOR_VOLUMES: [(&str, &str); 2] = [("/storage", "Datastore.AllocateSpace"), ("/vms", "VM.Config.Disk")];

/// The privileges of a role that can do a run, and no more.
pub fn least_role() -> BTreeSet<&'static str> {
    NEEDED.iter().map(|(_, privilege)| *privilege).collect()
}

/// The privileges that it needs besides with `storage-map` in the policy, or with a guest that hibernates.
pub fn role_for_volumes() -> BTreeSet<&'static str> {
    NEEDED_FOR_VOLUMES.iter().map(|(_, privilege)| *privilege).collect()
}

/// `GET /nodes/N/network` leaves out each bridge without this one on it, whatever type is asked for (pve-manager,
/// `PVE::API2::Network`; seen on PVE 9.1).
const BRIDGES: (&str, &str) = ("/sdn/zones", "SDN.Audit");

/// `GET /storage` and `GET /nodes/N/storage` leave out each storage without it.
const STORAGES: (&str, &str) = ("/storage", "Datastore.Audit");

/// The lists of guests and of replication jobs leave out each guest without it.
const GUESTS: (&str, &str) = ("/vms", "VM.Audit");

/// Makes a reading unknown that PVE shortens, without an error, for want of a privilege: a list in which something may
/// be missing says nothing about what is not there.
fn demand<T>(
    permissions: &Result<Permissions, WhyUnknown>,
    (base, privilege): (&str, &str),
    source: &str,
    reading: &mut Observed<T>,
) {
    let why = match permissions {
        _ if reading.known().is_none() => return,
        Err(why) => why.clone(),
        Ok(permissions) => match lacks(permissions, base, privilege).first() {
            None => return,
            Some(place) => {
                WhyUnknown::new(source, format!("without {privilege} on {place} PVE leaves out what is there"))
            }
        },
    };
    *reading = Observed::Unknown(why);
}

/// Takes back every reading that PVE has shortened. Tasks are judged where they are read.
pub(super) fn take_back_shortened(
    permissions: &Result<Permissions, WhyUnknown>,
    nodes: &mut BTreeMap<NodeName, NodeLook>,
    storages: &mut Observed<BTreeMap<StorageId, Storage>>,
    replication: &mut Observed<Vec<ReplicationJob>>,
) {
    for (name, seen) in nodes {
        demand(permissions, BRIDGES, &format!("GET /nodes/{name}/network"), &mut seen.node.bridges);
        demand(permissions, STORAGES, &format!("GET /nodes/{name}/storage"), &mut seen.node.storages);
    }
    demand(permissions, STORAGES, "GET /storage", storages);
    demand(permissions, GUESTS, "GET /cluster/replication", replication);
}

/// Does the token hold a privilege on a path, directly or from above?
///
/// An entry on a path replaces what comes from above; only propagated privileges (flag 1) are inherited.
pub(super) fn holds(permissions: &Permissions, path: &str, privilege: &str) -> bool {
    if let Some(here) = permissions.0.get(path) {
        return here.0.contains_key(privilege);
    }
    let mut above = path;
    while let Some((parent, _)) = above.rsplit_once('/') {
        above = if parent.is_empty() { "/" } else { parent };
        if let Some(there) = permissions.0.get(above) {
            return there.0.get(privilege).is_some_and(|propagates| propagates.0);
        }
        if above == "/" {
            break;
        }
    }
    false
}

/// Does it hold on a path and everything below? Returns the paths where it does not.
fn lacks(permissions: &Permissions, base: &str, privilege: &str) -> Vec<String> {
    let here = permissions.0.get(base).map(|privileges| privileges.0.get(privilege).is_some_and(|flag| flag.0));
    if !here.unwrap_or_else(|| holds(permissions, base, privilege)) {
        // What is below has it only where an entry of its own gives it: one line says enough.
        return vec![base.to_owned()];
    }
    // `/` is needed only on `/` itself; the paths below it have lines of their own.
    let is_below = |path: &&String| path.strip_prefix(base).is_some_and(|rest| base != "/" && rest.starts_with('/'));
    permissions.0.keys().filter(is_below).filter(|path| !holds(permissions, path, privilege)).cloned().collect()
}

/// Privileges that are missing for a run, as `path privilege`.
pub(super) fn missing(permissions: &Result<Permissions, WhyUnknown>) -> Observed<Vec<String>> {
    missing_of(permissions, &NEEDED)
}

/// The same for what only some policies need.
pub(super) fn missing_for_volumes(permissions: &Result<Permissions, WhyUnknown>) -> Observed<Vec<String>> {
    missing_of(permissions, &NEEDED_FOR_VOLUMES)
}

fn missing_of(permissions: &Result<Permissions, WhyUnknown>, needed: &[(&str, &str)]) -> Observed<Vec<String>> {
    let permissions = match permissions {
        Ok(permissions) => permissions,
        Err(why) => return Observed::Unknown(why.clone()),
    };
    let mut missing = Vec::new();
    for (path, privilege) in needed {
        missing.extend(lacks(permissions, path, privilege).into_iter().map(|place| format!("{place} {privilege}")));
    }
    missing.sort();
    Observed::Known(missing)
}

/// Does the token see all guests? According to its privileges, and to what the nodes themselves list.
pub(super) fn sees_all_guests(
    permissions: &Result<Permissions, WhyUnknown>,
    nodes: &BTreeMap<NodeName, NodeLook>,
    resources: &Result<Vec<GuestEntry>, WhyUnknown>,
    guests: &BTreeMap<GuestId, Guest>,
) -> Observed<bool> {
    let mut local = nodes.values().filter_map(|seen| seen.node.local_guests.known()).flatten();
    let unseen = local.any(|guest| !guests.contains_key(&GuestId { vmid: guest.vmid, kind: guest.kind }));
    if unseen {
        return Observed::Known(false);
    }
    match permissions {
        Err(why) => return Observed::Unknown(why.clone()),
        Ok(permissions) if !lacks(permissions, GUESTS.0, GUESTS.1).is_empty() => return Observed::Known(false),
        Ok(_) => {}
    }
    // The privileges are there; but without the cluster's list, guests on a silent node are not listed anywhere.
    let silent = || nodes.values().find_map(|seen| seen.vms.as_ref().err().or(seen.cts.as_ref().err()));
    if let (Err(why), Some(silent)) = (resources, silent()) {
        return Observed::unknown(why.source.clone(), format!("{}; and {silent}", why.reason));
    }
    Observed::Known(true)
}

/// Kind of a guest in the cluster's list.
pub(super) fn kind(text: &str) -> Option<GuestKind> {
    match text {
        "qemu" => Some(GuestKind::Vm),
        "lxc" => Some(GuestKind::Ct),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::lenient::read;
    use serde_json::json;

    #[test]
    fn an_acl_below_that_takes_a_privilege_away_is_found() {
        let all = json!({"VM.Audit": 1, "VM.Migrate": 1});
        let permissions: Permissions = read(json!({"/": all, "/vms": all, "/vms/101": {"VM.Migrate": 1}})).unwrap();
        assert_eq!(lacks(&permissions, "/vms", "VM.Audit"), ["/vms/101"]);
        assert!(lacks(&permissions, "/vms", "VM.Migrate").is_empty());
        assert!(holds(&permissions, "/vms/102", "VM.Audit"));
    }

    /// The role of an older README had no SDN.Audit, and a genuine PVE 9.1 left vmbr0 out of the list.
    #[test]
    fn bridges_are_unknown_without_the_privilege_to_see_them_never_absent() {
        let role: serde_json::Value =
            serde_json::from_str(include_str!("../../tests/fixtures/access_permissions.role.json")).unwrap();
        let mut bridges = Observed::Known(vec!["vmbr1"]);
        let permissions: Permissions = read(role["data"].clone()).unwrap();
        demand(&Ok(permissions), BRIDGES, "GET /nodes/pve1/network", &mut bridges);
        let Observed::Unknown(why) = &bridges else { panic!("{bridges:?}") };
        let expected = "without SDN.Audit on /sdn/zones PVE leaves out what is there";
        assert_eq!((why.source.as_str(), why.reason.as_str()), ("GET /nodes/pve1/network", expected));

        let permissions: Permissions = read(json!({"/": {"SDN.Audit": 1}})).unwrap();
        let mut bridges = Observed::Known(vec!["vmbr0"]);
        demand(&Ok(permissions), BRIDGES, "GET /nodes/pve1/network", &mut bridges);
        assert_eq!(bridges, Observed::Known(vec!["vmbr0"]));
        let permissions: Permissions =
            read(json!({"/": {"SDN.Audit": 1}, "/sdn/zones/localnetwork/vmbr1": {"VM.Audit": 1}})).unwrap();
        demand(&Ok(permissions), BRIDGES, "GET /nodes/pve1/network", &mut bridges);
        assert!(bridges.known().is_none(), "one bridge is taken out of its sight");
    }

    #[test]
    fn a_privilege_that_does_not_propagate_is_missing() {
        let permissions: Permissions = read(json!({"/vms": {"VM.Audit": 0}, "/": {"VM.Audit": 1}})).unwrap();
        assert_eq!(lacks(&permissions, "/vms", "VM.Audit"), ["/vms"]);
        assert!(!holds(&permissions, "/vms/101", "VM.Audit"));
    }
}
