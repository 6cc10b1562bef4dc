//! What our token may do, and whether it sees everything.
//!
//! PVE filters lists silently: a token without VM.Audit sees an empty node, not an error. So the lists are never
//! proof of emptiness by themselves.

use std::collections::BTreeMap;

use quorate_core::ids::{GuestId, GuestKind, NodeName};
use quorate_core::observed::{Observed, WhyUnknown};
use quorate_core::snapshot::Guest;

use super::node::NodeLook;
use crate::wire::cluster::{GuestEntry, Permissions};

/// Privileges that a run needs, each on everything below its path. They are the same in PVE 8 and 9.
const NEEDED: [(&str, &str); 11] = [
    ("/", "Sys.Audit"),
    ("/", "Sys.Console"),
    ("/", "Sys.Modify"),
    ("/nodes", "Sys.Audit"),
    ("/nodes", "Sys.Modify"),
    ("/nodes", "Sys.PowerMgmt"),
    ("/storage", "Datastore.Audit"),
    ("/vms", "VM.Audit"),
    ("/vms", "VM.Config.CDROM"),
    ("/vms", "VM.Migrate"),
    ("/vms", "VM.PowerMgmt"),
];

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
    let mut places = Vec::new();
    let here = permissions.0.get(base).map(|privileges| privileges.0.get(privilege).is_some_and(|flag| flag.0));
    if !here.unwrap_or_else(|| holds(permissions, base, privilege)) {
        places.push(base.to_owned());
    }
    // `/` is needed only on `/` itself; the paths below it have lines of their own.
    if base != "/" {
        let below =
            permissions.0.keys().filter(|path| path.strip_prefix(base).is_some_and(|rest| rest.starts_with('/')));
        places.extend(below.filter(|path| !holds(permissions, path, privilege)).cloned());
    }
    places
}

/// Privileges that are missing for a run, as `path privilege`.
pub(super) fn missing(permissions: &Result<Permissions, WhyUnknown>) -> Observed<Vec<String>> {
    let permissions = match permissions {
        Ok(permissions) => permissions,
        Err(why) => return Observed::Unknown(why.clone()),
    };
    let mut missing = Vec::new();
    for (path, privilege) in NEEDED {
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
        Ok(permissions) if !lacks(permissions, "/vms", "VM.Audit").is_empty() => return Observed::Known(false),
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

    #[test]
    fn a_privilege_that_does_not_propagate_is_missing() {
        let permissions: Permissions = read(json!({"/vms": {"VM.Audit": 0}, "/": {"VM.Audit": 1}})).unwrap();
        assert_eq!(lacks(&permissions, "/vms", "VM.Audit"), ["/vms"]);
        assert!(!holds(&permissions, "/vms/101", "VM.Audit"));
    }
}
