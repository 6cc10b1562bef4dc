//! Everything that a snapshot does not know, in one list.

use serde::{Deserialize, Serialize};

use super::Snapshot;
use crate::observed::{Observed, WhyUnknown};

/// One missing reading.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// Where it is missing: `nodes/pve1/kernel`.
    pub place: String,
    /// Why it is missing.
    pub why: WhyUnknown,
}

struct Gaps(Vec<Gap>);

impl Gaps {
    fn look<T>(&mut self, place: &str, value: &Observed<T>) {
        if let Observed::Unknown(why) = value {
            self.0.push(Gap { place: place.to_owned(), why: why.clone() });
        }
    }
}

impl Snapshot {
    /// All missing readings, in a fixed order.
    pub fn gaps(&self) -> Vec<Gap> {
        let mut gaps = Gaps(Vec::new());
        // Destructured, so that a new field cannot be forgotten here.
        let Self {
            format: _,
            taken: _,
            cluster_name,
            nodes,
            guests,
            // Nothing depends on them.
            orphans: _,
            sees_all_guests,
            missing_privileges,
            // Needed by some policies only; `token-privileges` says it where it is missing.
            missing_for_volumes: _,
            quorum,
            etc_pve,
            // If it is missing, guests migrate more slowly; that is no reason not to begin.
            migration_throttle: _,
            configured_votes,
            storages,
            ha,
            ceph,
            jobs,
            backups,
            replication,
            options,
            driver,
        } = self;
        gaps.look("cluster_name", cluster_name);
        gaps.look("sees_all_guests", sees_all_guests);
        gaps.look("missing_privileges", missing_privileges);
        gaps.look("configured_votes", configured_votes);
        gaps.look("storages", storages);
        gaps.look("ha", ha);
        gaps.look("ceph", ceph);
        gaps.look("jobs", jobs);
        gaps.look("backups", backups);
        gaps.look("replication", replication);
        gaps.look("options", options);
        gaps.look("driver", driver);
        for (name, view) in quorum {
            gaps.look(&format!("quorum/{name}"), view);
        }
        for (name, state) in etc_pve {
            gaps.look(&format!("etc_pve/{name}"), state);
        }
        for node in nodes.values() {
            node_gaps(&mut gaps, node);
        }
        for guest in guests.values() {
            let place = |what: &str| format!("guests/{}/{what}", guest.id);
            gaps.look(&place("status"), &guest.status);
            gaps.look(&place("lock"), &guest.lock);
            gaps.look(&place("onboot"), &guest.onboot);
            gaps.look(&place("migration"), &guest.migration);
            for need in guest.migration.known().into_iter().flat_map(|facts| &facts.host_needs) {
                need.on.iter().for_each(|(node, seen)| gaps.look(&place(&format!("{} on {node}", need.key)), seen));
            }
        }
        if let Some(ceph) = ceph.known().and_then(Option::as_ref) {
            for (node, outcome) in &ceph.osds_ok_to_stop {
                gaps.look(&format!("ceph/osds_ok_to_stop/{node}"), outcome);
            }
        }
        gaps.0
    }
}

fn node_gaps(gaps: &mut Gaps, node: &super::Node) {
    let super::Node {
        name,
        // What it makes unknown is listed.
        login_text: _,
        other_certificate: _,
        online,
        boot,
        uptime_s,
        memory,
        cpu,
        pve_version,
        running_manager,
        reboot_required,
        going_down,
        qemu_version,
        corosync_version,
        kernel,
        packages,
        upgrade_unit,
        repositories,
        subscription,
        root_free_bytes,
        boot_free_bytes,
        clock_skew_ms,
        services,
        failed_units,
        local_guests,
        storages,
        bridges,
        moves_connections,
        host,
    } = node;
    let place = |what: &str| format!("nodes/{name}/{what}");
    gaps.look(&place("online"), online);
    gaps.look(&place("boot"), boot);
    gaps.look(&place("uptime_s"), uptime_s);
    gaps.look(&place("memory"), memory);
    gaps.look(&place("cpu"), cpu);
    gaps.look(&place("pve_version"), pve_version);
    gaps.look(&place("running_manager"), running_manager);
    gaps.look(&place("reboot_required"), reboot_required);
    gaps.look(&place("going_down"), going_down);
    gaps.look(&place("qemu_version"), qemu_version);
    gaps.look(&place("corosync_version"), corosync_version);
    gaps.look(&place("kernel"), kernel);
    gaps.look(&place("packages"), packages);
    gaps.look(&place("upgrade_unit"), upgrade_unit);
    gaps.look(&place("repositories"), repositories);
    gaps.look(&place("subscription"), subscription);
    gaps.look(&place("root_free_bytes"), root_free_bytes);
    gaps.look(&place("boot_free_bytes"), boot_free_bytes);
    gaps.look(&place("clock_skew_ms"), clock_skew_ms);
    gaps.look(&place("services"), services);
    gaps.look(&place("failed_units"), failed_units);
    gaps.look(&place("local_guests"), local_guests);
    gaps.look(&place("storages"), storages);
    gaps.look(&place("bridges"), bridges);
    gaps.look(&place("moves_connections"), moves_connections);
    let super::HostFacts {
        checker,
        time_synchronised,
        dkms_modules,
        corosync_complaints,
        nics,
        movers,
        boot,
        disks,
        network,
    } = host;
    gaps.look(&place("host/checker"), checker);
    gaps.look(&place("host/time_synchronised"), time_synchronised);
    gaps.look(&place("host/dkms_modules"), dkms_modules);
    gaps.look(&place("host/corosync_complaints"), corosync_complaints);
    gaps.look(&place("host/nics"), nics);
    gaps.look(&place("host/movers"), movers);
    let super::NodeNetwork { own, addresses, ways } = network;
    gaps.look(&place("host/network/own"), own);
    gaps.look(&place("host/network/addresses"), addresses);
    gaps.look(&place("host/network/ways"), ways);
    let super::Boot { root, kept, efi_free_bytes } = boot;
    gaps.look(&place("host/boot/root"), root);
    gaps.look(&place("host/boot/kept"), kept);
    gaps.look(&place("host/boot/efi_free_bytes"), efi_free_bytes);
    let super::Disks { root, pools, arrays, smart, paths } = disks;
    gaps.look(&place("host/disks/root"), root);
    gaps.look(&place("host/disks/pools"), pools);
    gaps.look(&place("host/disks/arrays"), arrays);
    gaps.look(&place("host/disks/smart"), smart);
    gaps.look(&place("host/disks/paths"), paths);
}
