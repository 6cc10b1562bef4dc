//! Containers with limits for the first generation of cgroups.

use super::support::{Report, some};
use super::{Check, Finding, Severity};
use crate::policy::Policy;
use crate::snapshot::Snapshot;

pub(super) struct ContainerCgroups;

impl Check for ContainerCgroups {
    fn id(&self) -> &'static str {
        "container-cgroups"
    }

    fn explain(&self) -> &'static str {
        "Raw settings that begin with lxc.cgroup. are meant for the first generation of cgroups. PVE 9 has only the second: \
         a limit or a device permission that was set this way is gone once the container is started there, and a \
         container moves by a restart. A warning. Write lxc.cgroup2. instead, in /etc/pve/lxc/ID.conf, with the names of \
         the second generation. Whether the system in a container is too old for it (systemd before 232: CentOS 7, Ubuntu \
         16.04) PVE's own checker looks up; see upgrade-checker."
    }

    fn run(&self, snapshot: &Snapshot, _policy: &Policy) -> Vec<Finding> {
        let mut report = Report::of(self);
        for guest in snapshot.guests.values() {
            let keys = guest.migration.known().map_or(&[][..], |facts| &facts.old_cgroup_keys);
            if !keys.is_empty() {
                let problem = format!("{} has settings for cgroup v1 that have no effect: {}", guest.id, some(keys));
                let remedy = format!("Write lxc.cgroup2. instead: /etc/pve/lxc/{}.conf", guest.id.vmid);
                report.add(Severity::Warning, guest.id, problem, remedy);
            }
        }
        report.findings()
    }
}
