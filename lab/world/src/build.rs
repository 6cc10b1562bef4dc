//! From a cluster file to a healthy, running world.

use std::collections::{BTreeMap, BTreeSet};

use quorate_core::ids::{GuestId, GuestKind, NodeName, StorageId};
use quorate_core::version::Version;

use super::access::Access;
use super::build_ceph::build_ceph;
use super::build_guest::build_guest;
use super::corosync::{Corosync, Qdevice};
use super::events::{Event, Queue, Rng};
use super::guest::Activity;
use super::ha::{Ha, RequestState, Resource, Rule, RuleKind};
use super::node::{Kernel, Link, Node, Packages, Power, Repository, Surroundings, random_boot_id};
use super::packages::Archive;
use super::store::{BackupJob, Options, ReplicationJob, ShutdownPolicy, Storage};
use super::units::{GIB, MIB};
use super::{World, services};
use crate::cluster_file::{ClusterFile, ClusterFileError, GuestPart, NodePart};
use crate::impact::Impact;

impl World {
    /// Builds a healthy world: all nodes on and joined, all daemons up, HA settled.
    pub fn build(file: &ClusterFile, seed: u64) -> Result<Self, ClusterFileError> {
        let mut rng = Rng::new(seed);
        let now_ms = file.cluster.start_unix_s * 1000;
        let booted_ms = now_ms.saturating_sub(file.cluster.uptime_s * 1000);
        let mut nodes = BTreeMap::new();
        for (index, part) in file.nodes.iter().enumerate() {
            let node = build_node(file, part, index as u32 + 1, booted_ms, &mut rng);
            nodes.insert(part.name.clone(), node);
        }
        if nodes.is_empty() || nodes.len() != file.nodes.len() {
            return Err(ClusterFileError::Contradiction("no node, or two nodes with the same name".to_owned()));
        }
        let storages: BTreeMap<StorageId, Storage> =
            file.storages.iter().map(|part| (part.id.clone(), build_storage(part))).collect();
        let ceph = file.ceph.as_ref().map(|part| build_ceph(file, part, &nodes, &mut rng));
        let mut world = Self {
            now_ms,
            started_ms: now_ms,
            rng,
            guests: BTreeMap::new(),
            storages,
            ha: Ha::default(),
            ceph,
            corosync: build_corosync(file),
            tasks: super::tasks::Tasks::default(),
            migrations: super::migration::Migrations::default(),
            options: build_options(file)?,
            access: Access::standard(file),
            archive: build_archive(file),
            backup_jobs: file.backups.iter().map(|b| build_backup(b, file.cluster.start_unix_s)).collect(),
            replication_jobs: Vec::new(),
            replication_runs: BTreeMap::new(),
            armed: super::faults::Armed::default(),
            speed: super::speed::MachineSpeed::default(),
            events: Queue::default(),
            impact: Impact::default(),
            files: BTreeMap::new(),
            counter: 0,
            nodes,
        };
        for part in &file.guests {
            world.add_guest(part)?;
        }
        world.build_rules(file)?;
        world.build_replication(file)?;
        world.settle();
        for fault in &file.faults {
            world.inject(fault.clone());
        }
        Ok(world)
    }

    fn add_guest(&mut self, part: &GuestPart) -> Result<(), ClusterFileError> {
        if self.guests.keys().any(|id| id.vmid == part.id.vmid) && self.guest_of(part.id.vmid).is_some() {
            return Err(ClusterFileError::Contradiction(format!("two guests with number {}", part.id.vmid)));
        }
        if !self.storages.contains_key(&part.storage) {
            return Err(ClusterFileError::Contradiction(format!(
                "{} lies on storage {}, which is not there",
                part.id, part.storage
            )));
        }
        let node = self.nodes.get_mut(&part.node).ok_or_else(|| {
            ClusterFileError::Contradiction(format!("{} is on node {}, which is not there", part.id, part.node))
        })?;
        let mut guest = build_guest(part, self.now_ms)?;
        node.guests.insert(part.id);
        if part.state == "running" {
            node.processes.insert(part.id);
            guest.runs_on.insert(part.node.clone());
            guest.activity = Activity::Running;
            guest.started_ms = node.booted_ms + 60_000;
            guest.pid = 2_000 + part.id.vmid.0;
            if part.id.kind == GuestKind::Vm {
                guest.running_qemu = node.installed("pve-qemu-kvm").cloned();
                guest.running_machine = guest.running_qemu.as_ref().map(super::lifecycle::newest_machine);
            }
        }
        if let Some(state) = &part.ha {
            let state = RequestState::parse(state).ok_or_else(|| {
                ClusterFileError::Contradiction(format!("{}: no HA state is called {state:?}", part.id))
            })?;
            let resource = Resource { state, max_restart: 1, max_relocate: 1, failback: part.failback, comment: None };
            self.ha.resources.insert(part.id, resource);
        }
        self.guests.insert(part.id, guest);
        Ok(())
    }

    fn build_rules(&mut self, file: &ClusterFile) -> Result<(), ClusterFileError> {
        for part in &file.rules {
            let kind = match part.kind.as_str() {
                "keep-apart" => RuleKind::KeepApart,
                "keep-together" => RuleKind::KeepTogether,
                "node-affinity" => RuleKind::NodeAffinity { nodes: part.nodes.clone(), strict: part.strict },
                other => return Err(ClusterFileError::Contradiction(format!("no rule kind is called {other:?}"))),
            };
            let resources: BTreeSet<GuestId> = part.resources.iter().copied().collect();
            self.ha.rules.insert(part.id.clone(), Rule { kind, resources, disabled: false, comment: None });
        }
        Ok(())
    }

    fn build_replication(&mut self, file: &ClusterFile) -> Result<(), ClusterFileError> {
        for part in &file.replications {
            let guest = self.guests.get(&part.guest).ok_or_else(|| {
                ClusterFileError::Contradiction(format!("{} is replicated, but is not there", part.guest))
            })?;
            self.replication_jobs.push(ReplicationJob {
                id: format!("{}-0", part.guest.vmid),
                guest: part.guest,
                source: guest.node.clone(),
                target: part.target.clone(),
                schedule: part.schedule.clone(),
                enabled: true,
                last_sync_s: (self.now_ms / 1000).saturating_sub(300),
                fail_count: 0,
                error: None,
            });
        }
        Ok(())
    }

    /// Sets everything to rest (views, HA's state, Ceph's mapping) and starts the periodic rounds.
    fn settle(&mut self) {
        self.form_membership();
        self.ha_settle();
        if let Some(ceph) = &mut self.ceph {
            ceph.map_all();
        }
        let names: Vec<NodeName> = self.nodes.keys().cloned().collect();
        for (index, name) in names.into_iter().enumerate() {
            // Daemons of different nodes do not run in step.
            self.events.at(self.now_ms + 1_000 + (index as u64 * 700) % 5_000, Event::LrmRound(name));
        }
        self.events.at(self.now_ms + 4_000, Event::CrmRound);
        self.schedule_backups();
        let second_ms = 1_000 * (60 - self.now_ms / 1000 % 60);
        self.events.at(self.now_ms + second_ms, Event::ReplicationMinute);
        Impact::begin(self);
    }
}

/// How old the package lists are at the start.
const LISTS_AGE_MS: u64 = 9 * 3_600_000;

fn build_node(file: &ClusterFile, part: &NodePart, nodeid: u32, booted_ms: u64, rng: &mut Rng) -> Node {
    let mut installed: BTreeMap<String, Version> =
        file.installed.iter().map(|(name, version)| (name.clone(), Version::new(version.clone()))).collect();
    installed.extend(part.installed.iter().map(|(name, version)| (name.clone(), Version::new(version.clone()))));
    let running = Version::new(file.kernel.running.clone());
    let corosync_running = installed.get("corosync").cloned().unwrap_or_else(|| Version::new("3.1.9-pve2"));
    let lists = installed.clone();
    let refreshed_ms = (file.cluster.start_unix_s * 1000).saturating_sub(LISTS_AGE_MS);
    Node {
        name: part.name.clone(),
        nodeid,
        links: part.links.iter().map(|address| Link { address: address.clone(), up: true }).collect(),
        power: Power::On,
        boot_id: random_boot_id(rng),
        booted_ms: booted_ms + u64::from(nodeid) * 97_000,
        boots: 1,
        memory_bytes: part.memory_gib * GIB,
        host_used_bytes: part.host_used_gib * GIB,
        cpus: part.cpus,
        cpu_model: "Intel(R) Xeon(R) Silver 4310 CPU @ 2.10GHz".to_owned(),
        cpu_flags: if part.cpu_flags.is_empty() { usual_flags() } else { part.cpu_flags.clone() },
        kernel: Kernel {
            installed: vec![running.clone()],
            pinned: part.pinned.clone().map(Version::new),
            next_boot: None,
            running,
        },
        packages: Packages {
            installed,
            lists,
            // PVE has refreshed them last night.
            lists_at_ms: refreshed_ms,
            held: BTreeSet::new(),
            kept: BTreeSet::new(),
            removals: BTreeSet::new(),
            broken: Vec::new(),
            interrupted: false,
            locked_by: None,
        },
        old_manager: None,
        renewed_certificate: None,
        greeting: None,
        compute_only: part.compute_only,
        services: services::all_running(),
        units: BTreeMap::new(),
        unit_logs: BTreeMap::new(),
        root_free_bytes: 71 * GIB,
        boot_free_bytes: 71 * GIB,
        clock_skew_ms: 0,
        bridges: vec!["vmbr0".to_owned()],
        subscription: "notfound".to_owned(),
        repositories: repositories(file.ceph.as_ref().map(|ceph| ceph.release.as_str())),
        guests: BTreeSet::new(),
        processes: BTreeSet::new(),
        ssh_up: true,
        api_up: true,
        api_refused_until_ms: 0,
        corosync_up: true,
        corosync_running,
        startall_pending: false,
        api_error: None,
        journal: Vec::new(),
        nics_renamed: false,
        pmxcfs_alone: false,
        pmxcfs_away_until_ms: 0,
        pvestatd_hangs_until_ms: 0,
        shutdown_due: None,
        surroundings: Surroundings {
            addresses: part.addresses.clone(),
            disks: part.disks.clone(),
            kernel_flags: file
                .kernel
                .upcoming
                .iter()
                .map(|release| (Version::new(release.clone()), file.kernel.upcoming_flags.clone()))
                .collect(),
            ..Surroundings::with_paths(&part.paths)
        },
    }
}

fn usual_flags() -> Vec<String> {
    ["fpu", "sse4_2", "aes", "avx", "avx2", "avx512f"].map(str::to_owned).to_vec()
}

fn repositories(ceph: Option<&str>) -> Vec<Repository> {
    let entry = |path: &str, uri: &str, suite: &str, component: &str| Repository {
        path: format!("/etc/apt/sources.list.d/{path}"),
        enabled: true,
        uri: uri.to_owned(),
        suite: suite.to_owned(),
        component: component.to_owned(),
        ..Repository::default()
    };
    let mut all = vec![
        entry("debian.sources", "http://deb.debian.org/debian", "trixie", "main"),
        entry("debian.sources", "http://deb.debian.org/debian", "trixie-updates", "main"),
        entry("debian.sources", "http://security.debian.org/debian-security", "trixie-security", "main"),
        entry("proxmox.sources", "http://download.proxmox.com/debian/pve", "trixie", "pve-no-subscription"),
    ];
    if let Some(release) = ceph {
        let uri = format!("http://download.proxmox.com/debian/ceph-{release}");
        all.push(entry("ceph.sources", &uri, "trixie", "no-subscription"));
    }
    all
}

fn build_storage(part: &crate::cluster_file::StoragePart) -> Storage {
    Storage {
        id: part.id.clone(),
        kind: part.kind.clone(),
        shared: part.shared,
        content: part.content.clone(),
        nodes: part.nodes.iter().cloned().collect(),
        pool: part.pool.clone(),
        total_bytes: part.total_gib * GIB,
        used_bytes: part.used_gib * GIB,
        used_on: BTreeMap::new(),
        only_on: part.only_on.iter().map(|(volume, nodes)| (volume.clone(), nodes.iter().cloned().collect())).collect(),
        files: part.files.iter().map(|(volume, mib)| (volume.clone(), mib * MIB)).collect(),
        inactive_on: BTreeSet::new(),
        disabled: false,
        served_by: part.served_by,
    }
}

fn build_corosync(file: &ClusterFile) -> Corosync {
    let more = (file.nodes.len() as u64).saturating_sub(2);
    Corosync {
        cluster_name: file.cluster.name.clone(),
        config_version: file.cluster.config_version,
        votes: file.nodes.iter().map(|part| (part.name.clone(), part.votes)).collect(),
        token_ms: file.cluster.token_ms.unwrap_or(3_000 + 650 * more),
        qdevice: file.cluster.qdevice_votes.map(|votes| Qdevice { votes, alive: true }),
        views: BTreeMap::new(),
        ring_seq: 0x2f0,
        starved: BTreeSet::new(),
        drowned: BTreeSet::new(),
        strained: BTreeSet::new(),
        lowered: BTreeMap::new(),
        two_node: false,
        seen_all: BTreeSet::new(),
    }
}

fn build_options(file: &ClusterFile) -> Result<Options, ClusterFileError> {
    let part = &file.options;
    let shutdown_policy = match part.shutdown_policy.as_deref() {
        None | Some("conditional") => ShutdownPolicy::Conditional,
        Some("freeze") => ShutdownPolicy::Freeze,
        Some("failover") => ShutdownPolicy::Failover,
        Some("migrate") => ShutdownPolicy::Migrate,
        Some(other) => return Err(ClusterFileError::Contradiction(format!("no shutdown policy is called {other:?}"))),
    };
    Ok(Options {
        shutdown_policy,
        max_workers: part.max_workers,
        migration_type: part.migration_type.clone().unwrap_or_else(|| "secure".to_owned()),
        migration_network: part.migration_network.clone(),
        migration_link: part.migration_link,
        migration_bytes_per_s: part.migration_mib_per_s.unwrap_or(1_100) * MIB,
        migration_limit_bytes_per_s: None,
        streams_that_starve_corosync: part.streams_that_starve_corosync.unwrap_or(4),
        crs: "basic".to_owned(),
    })
}

fn build_archive(file: &ClusterFile) -> Archive {
    let mut archive = Archive {
        versions: file.archive.iter().map(|(name, v)| (name.clone(), Version::new(v.clone()))).collect(),
        ..Archive::default()
    };
    if let Some(release) = &file.kernel.upcoming {
        let version = Version::new(release.trim_end_matches("-pve").to_owned());
        archive.kernels.insert(format!("proxmox-kernel-{release}-signed"), version);
    }
    archive
}

fn build_backup(part: &crate::cluster_file::BackupPart, start_s: u64) -> BackupJob {
    BackupJob {
        id: part.id.clone(),
        enabled: true,
        schedule: part.schedule.clone(),
        next_run_s: start_s + part.next_run_in_s,
        guests: Vec::new(),
        storage: part.storage.clone(),
        node: None,
        mode: "snapshot".to_owned(),
    }
}
