//! Containers with limits for the first generation of cgroups.

use super::check::{Asked, Check, Waivable, kinds};
use super::support::some;
use crate::ids::GuestId;
use crate::policy::Policy;
use crate::snapshot::Snapshot;

pub(super) struct ContainerCgroups;

kinds! {
    OldKeys { guest: GuestId, keys: Vec<String> } => Warning, guest,
        ("{guest} has settings for cgroup v1 that have no effect: {}", some(&keys)),
        ("Write lxc.cgroup2. instead: /etc/pve/lxc/{}.conf", guest.vmid);
}

impl Check for ContainerCgroups {
    const ID: &'static str = "container-cgroups";
    const EXPLAIN: &'static str =
        "Raw settings that begin with `lxc.cgroup.` are meant for the first generation of cgroups. PVE 9 has only the \
         second: a limit or a device permission that was set this way is gone once the container is started there, and \
         a container moves by a restart. A warning. Write `lxc.cgroup2.` instead, in /etc/pve/lxc/ID.conf, with the \
         names of the second generation. Whether the system in a container is too old for it (systemd before 232: \
         CentOS 7, Ubuntu 16.04) is looked up by PVE's own checker; see upgrade-checker.";
    const WAIVABLE: Waivable = Waivable::Yes;
    const ASKED: Asked = Asked::BeforeARun;
    type Found = Found;

    fn look(snapshot: &Snapshot, _policy: &Policy, found: &mut Vec<Found>) {
        for guest in snapshot.guests.values() {
            let keys = guest.migration.known().map_or(&[][..], |facts| &facts.old_cgroup_keys);
            if !keys.is_empty() {
                found.push(Found::OldKeys { guest: guest.id, keys: keys.to_vec() });
            }
        }
    }
}
