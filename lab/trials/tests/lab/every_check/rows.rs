//! The worlds in which each check fires.

use quorate_core::ids::{DriverId, GuestId, NodeName, UnitName, UnixMs};
use quorate_core::policy::{Policy, Waiver};
use quorate_core::snapshot::{DriverLock, JournalHead};
use quorate_pve::observe::DRIVER_LOCK_FILE;
use quorate_world::World;
use quorate_world::access::{AclEntry, TOKEN};
use quorate_world::corosync::Qdevice;
use quorate_world::faults::{Fault, FaultKind};
use quorate_world::ha::{Rule, RuleKind, ServiceState};
use quorate_world::node::{AfterDown, BootPartition, Node, Repository, Service, Unit, UnitState};
use quorate_world::store::{BackupJob, ReplicationJob, ShutdownPolicy};

/// A world in which a check fires, or a safety rule is broken: its id, what is done to the healthy demo cluster, and
/// words of the finding.
pub(crate) struct Row {
    pub(crate) check: &'static str,
    pub(crate) words: &'static str,
    pub(crate) change: fn(&mut World, &mut Policy),
}

pub(super) fn node<'a>(world: &'a mut World, name: &str) -> &'a mut Node {
    world.nodes.get_mut(&NodeName::from(name)).unwrap()
}

/// A fault happens, and enough time passes for everything to have noticed.
fn planned_fault(world: &mut World, seconds: u64, kind: FaultKind) {
    world.inject(Fault { at_s: 0, kind });
    world.advance_to(world.now_ms + seconds * 1000);
}

fn disks(world: &mut World) -> &mut quorate_world::disks::Disks {
    &mut node(world, "pve2").surroundings.disks
}

fn guest(world: &mut World, id: GuestId) -> &mut quorate_world::guest::Guest {
    world.guests.get_mut(&id).unwrap()
}

/// The token may do what this role allows, and nothing else.
fn only(world: &mut World, role: &str) {
    world.access.tokens.get_mut(TOKEN).unwrap().privsep = true;
    world.access.acl.push(AclEntry { path: "/".into(), who: TOKEN.into(), role: role.into(), propagate: true });
}

fn source(uri: &str, suite: &str, component: &str) -> Repository {
    Repository {
        path: "/etc/apt/sources.list.d/more.sources".into(),
        enabled: true,
        uri: uri.into(),
        suite: suite.into(),
        component: component.into(),
        ..Repository::default()
    }
}

pub(crate) const ROWS: &[Row] = &[
    Row { check: "unknown-readings", words: "not known", change: |world, _| node(world, "pve2").ssh_up = false },
    Row {
        check: "login-text",
        words: "prints text of its own",
        change: |world, _| node(world, "pve2").greeting = Some("Welcome!".to_owned()),
    },
    Row {
        check: "certificates",
        words: "pve2 shows the certificate 22:22",
        change: |world, _| node(world, "pve2").renewed_certificate = Some("22:22".to_owned()),
    },
    Row {
        check: "orphaned-guests",
        words: "pve-old is no node of this cluster",
        change: |world, _| {
            let file = "/etc/pve/nodes/pve-old/qemu-server/900.conf";
            world.pmxcfs_write(&"pve1".into(), file, "memory: 512\n").unwrap();
        },
    },
    Row {
        check: "all-guests-visible",
        words: "missing from the API's list",
        change: |world, _| only(world, "PVESysAdmin"),
    },
    Row { check: "token-privileges", words: "the token lacks", change: |world, _| only(world, "PVEAuditor") },
    Row {
        check: "driver-lock",
        words: "the cluster is being upgraded",
        change: |world, _| {
            let lock = DriverLock {
                run: "ab12".into(),
                holder: "ben".into(),
                id: DriverId::drawn(1),
                head: JournalHead { seq: 7, hash: "ab".into() },
                journal: "cd".into(),
                renewed: UnixMs(world.now_ms),
                released: false,
                ended: false,
            };
            let json = serde_json::to_string(&lock).unwrap();
            world.pmxcfs_write(&"pve1".into(), DRIVER_LOCK_FILE, &json).unwrap();
        },
    },
    Row {
        check: "policy-names",
        words: "the policy names vm:999",
        change: |_, policy| {
            policy.guests.insert(GuestId::vm(999), quorate_core::policy::GuestPolicy::Refuse);
        },
    },
    Row {
        check: "waivers",
        words: "matches nothing that was found",
        change: |_, policy| {
            policy.waive.push(Waiver::parse("failed-units:pve1=we know").unwrap());
        },
    },
    Row {
        check: "quorum-margin",
        words: "with pve1 out: pve2 would count 1 votes where 2 are needed for quorum",
        change: |world, _| {
            planned_fault(world, 90, FaultKind::PowerOff { node: "pve3".into() });
        },
    },
    Row {
        check: "one-node-out",
        words: "pve3 is offline",
        change: |world, _| {
            planned_fault(world, 90, FaultKind::PowerOff { node: "pve3".into() });
        },
    },
    Row {
        check: "corosync-one-at-a-time",
        words: "over 1 of 2 links",
        change: |world, _| {
            planned_fault(world, 30, FaultKind::LinkDown { node: "pve3".into(), link: 1 });
        },
    },
    Row {
        check: "spare-votes",
        words: "the QDevice gives pve1 no vote",
        change: |world, _| {
            world.corosync.qdevice = Some(Qdevice { votes: 1, alive: true });
            planned_fault(world, 60, FaultKind::Qdevice { alive: false });
        },
    },
    Row {
        check: "corosync-links",
        words: "corosync has one link only",
        change: |world, _| world.nodes.values_mut().for_each(|node| node.links.truncate(1)),
    },
    Row {
        check: "ha-state",
        words: "HA has given",
        change: |world, _| world.ha.manager.services.values_mut().next().unwrap().state = ServiceState::Error,
    },
    Row {
        check: "ceph-health",
        words: "the flag norebalance is set for all OSDs",
        change: |world, _| {
            world.ceph.as_mut().unwrap().flags.insert("norebalance".into());
        },
    },
    Row {
        check: "corosync-noise",
        words: "complained in the last day",
        change: |world, _| {
            planned_fault(world, 200, FaultKind::LinkFlaps { node: "pve3".into(), link: 1, times: 5, every_s: 20 });
        },
    },
    Row {
        check: "shared-network",
        words: "are in the migration network",
        change: |world, _| {
            world.options.migration_network = Some("10.0.0.0/8".into());
        },
    },
    Row {
        check: "shared-network",
        words: "are in the network of the node's own address",
        change: |world, _| {
            world.options.migration_network = None;
            world.nodes.values_mut().for_each(|node| node.links.truncate(1));
        },
    },
    Row {
        check: "migration-ways",
        words: "pve2 has no address in the migration network 10.10.3.0/24",
        change: |world, _| node(world, "pve2").surroundings.addresses.clear(),
    },
    Row {
        check: "migration-ways",
        words: "pve2 has 2 addresses in the migration network",
        change: |world, _| node(world, "pve2").surroundings.addresses.push("10.10.3.99/24".into()),
    },
    Row {
        check: "migration-ways",
        words: "pve1 cannot log in at pve2 (10.10.3.2) as PVE does to move a guest: Host key verification failed.",
        change: |world, _| {
            node(world, "pve1").surroundings.login_fails.insert("pve2".into(), "Host key verification failed.".into());
        },
    },
    Row {
        check: "migration-ways",
        words: "packets of 9000 bytes from pve1 do not reach pve3",
        change: |world, _| node(world, "pve1").surroundings.mtu = 9000,
    },
    Row {
        check: "shared-network",
        words: "are addresses at which their OSDs serve",
        change: |world, _| {
            world.nodes.values_mut().for_each(|node| node.links.truncate(1));
        },
    },
    Row {
        check: "one-node-out",
        words: "pve2 is in HA maintenance mode",
        change: |world, _| {
            planned_fault(world, 600, FaultKind::AdminMaintenance { node: "pve2".into(), on: true });
        },
    },
    Row {
        check: "ha-rules",
        words: "are kept apart, with a node out there are 2 nodes",
        change: |world, _| {
            let resources = [101, 102, 103].map(GuestId::vm).into();
            world
                .ha
                .rules
                .insert("apart".into(), Rule { kind: RuleKind::KeepApart, resources, disabled: false, comment: None });
        },
    },
    Row {
        check: "other-movers",
        words: "proxlb is running on pve2",
        change: |world, _| {
            let service = Service {
                active_state: "active".into(),
                sub_state: "running".into(),
                unit_state: "enabled".into(),
                description: "ProxLB".into(),
            };
            node(world, "pve2").services.insert("proxlb".into(), service);
        },
    },
    Row {
        check: "shutdown-policy",
        words: "the HA shutdown policy is migrate",
        change: |world, _| {
            world.options.shutdown_policy = ShutdownPolicy::Migrate;
        },
    },
    Row {
        check: "ceph-redundancy",
        words: "OSD_DOWN",
        change: |world, _| {
            let osd = *world.ceph.as_ref().unwrap().osds.keys().next().unwrap();
            planned_fault(world, 60, FaultKind::OsdFails { osd });
        },
    },
    Row {
        check: "ceph-versions",
        words: "daemons of Ceph run different major releases",
        change: |world, _| {
            let osds = &mut world.ceph.as_mut().unwrap().osds;
            osds.values_mut().next().unwrap().version = "20.2.0-pve1".into();
        },
    },
    Row {
        check: "node-versions",
        words: "different major releases of PVE",
        change: |world, _| {
            node(world, "pve2").packages.installed.insert("pve-manager".into(), "8.4.14".into());
        },
    },
    Row {
        check: "upgrade-checker",
        words: "systemd-boot meta-package installed",
        change: |world, _| {
            node(world, "pve2").surroundings.checker_says.push("FAIL: systemd-boot meta-package installed".into());
        },
    },
    Row {
        check: "pending-updates",
        words: "pve2 is up to date",
        change: |world, _| {
            let packages = &mut node(world, "pve2").packages;
            packages.lists = packages.installed.clone();
        },
    },
    Row {
        check: "pending-updates",
        words: "waits for a reboot: a reboot was asked for (/run/reboot-required: libc6)",
        change: |world, _| {
            let node = node(world, "pve2");
            node.packages.lists = node.packages.installed.clone();
            node.surroundings.reboot_required = Some(vec!["libc6".into()]);
        },
    },
    Row {
        check: "old-package-lists",
        words: "the package lists of pve2 are 31 days old",
        change: |world, _| node(world, "pve2").packages.lists_at_ms -= 31 * 86_400_000,
    },
    Row {
        check: "offered-versions",
        words: "pve2 is not offered what other nodes have or are offered: pve-manager",
        change: |world, _| {
            let packages = &mut node(world, "pve2").packages;
            packages.lists = packages.installed.clone();
        },
    },
    Row {
        check: "held-packages",
        words: "pve2 holds pve-manager",
        change: |world, _| {
            node(world, "pve2").packages.held.insert("pve-manager".into());
        },
    },
    Row {
        check: "one-node-out",
        words: "pve3 is about to go down: a shutdown is scheduled there",
        change: |world, _| world.node_power_later(&"pve3".into(), AfterDown::Reboot, 10),
    },
    Row {
        check: "one-node-out",
        words: "pve3 is going down: its systemd is stopping",
        change: |world, _| {
            world.node_power(&"pve3".into(), AfterDown::Reboot).unwrap();
            world.advance_to(world.now_ms + 1_000);
        },
    },
    Row {
        check: "repositories",
        words: "mix the releases bookworm and trixie",
        change: |world, _| {
            node(world, "pve2").repositories.push(source("http://deb.debian.org/debian", "bookworm", "main"));
        },
    },
    Row {
        check: "repositories",
        words: "more.sources on pve2 names bookworm, and Debian's and Proxmox's own sources there name trixie",
        change: |world, _| {
            let vendor = source("https://repo.vendor.example/agent/debian", "bookworm", "main");
            node(world, "pve2").repositories.push(vendor);
        },
    },
    Row {
        check: "third-party-sources",
        words: "pve2 draws packages from download.docker.com",
        change: |world, _| {
            let docker = source("https://download.docker.com/linux/debian", "trixie", "stable");
            node(world, "pve2").repositories.push(docker);
        },
    },
    Row {
        check: "dpkg-state",
        words: "half installed: pve-manager",
        change: |world, _| {
            node(world, "pve2").packages.broken.push("pve-manager".into());
        },
    },
    Row {
        check: "upgrade-unit",
        words: "is still running on pve2",
        change: |world, _| {
            let name = UnitName::new("quorate-upgrade-ab12");
            let unit = Unit {
                name: name.clone(),
                log_path: None,
                started_ms: world.now_ms,
                pid: 4711,
                answers_itself: true,
                state: UnitState::Running,
            };
            node(world, "pve2").units.insert(name, unit);
        },
    },
    Row {
        check: "disk-space",
        words: "/ on pve2 has 1.0 GiB free",
        change: |world, _| {
            node(world, "pve2").root_free_bytes = 1 << 30;
        },
    },
    Row {
        check: "boot-loader",
        words: "boot partition 6D31-87F4 of pve2 has 0.5 GiB and 5 kernels",
        change: |world, _| {
            let kernels = ["6.8.12-4-pve", "6.14.8-2-pve", "6.14.11-1-pve", "6.17.1-1-pve", "6.17.2-1-pve"];
            let partition = BootPartition {
                uuid: "6D31-87F4".into(),
                loader: "uefi".into(),
                size_bytes: 512 << 20,
                kernels: Some(kernels.map(str::to_owned).to_vec()),
                present: true,
            };
            node(world, "pve2").surroundings.boot_partitions.push(partition);
        },
    },
    Row {
        check: "boot-loader",
        words: "/ of pve2 is on ZFS",
        change: |world, _| {
            node(world, "pve2").surroundings.root = "zfs".into();
        },
    },
    Row {
        check: "disk-health",
        words: "ZFS pool rpool of pve2, with its system, is DEGRADED: One or more devices could not be used",
        change: |world, _| {
            node(world, "pve2").surroundings.root = "zfs".into();
            node(world, "pve2").surroundings.disks.pools.insert("rpool".into(), "DEGRADED".into());
        },
    },
    Row {
        check: "disk-health",
        words: "ZFS pool tank of pve2: One or more devices has experienced an unrecoverable error.",
        change: |world, _| drop(disks(world).pools.insert("tank".into(), "ONLINE".into())),
    },
    Row {
        check: "disk-health",
        words: "array md0 of pve2 has 1 of its 2 disks",
        change: |world, _| drop(disks(world).arrays.insert("md0".into(), "U_".into())),
    },
    Row {
        check: "disk-health",
        words: "array md1 of pve2 is not running",
        change: |world, _| drop(disks(world).arrays.insert("md1".into(), String::new())),
    },
    Row {
        check: "disk-health",
        words: "SMART says FAILED! of /dev/sda of pve2",
        change: |world, _| drop(disks(world).smart.insert("/dev/sda".into(), "FAILED!".into())),
    },
    Row {
        check: "disk-health",
        words: "paths to multipath device mpatha of pve2 do not work: sdc; 1 left",
        change: |world, _| {
            disks(world).paths.insert("sdb".into(), "mpatha ready".into());
            disks(world).paths.insert("sdc".into(), "mpatha faulty".into());
        },
    },
    Row {
        check: "disk-health",
        words: "no path to multipath device mpatha of pve2 works: sdc",
        change: |world, _| drop(disks(world).paths.insert("sdc".into(), "mpatha faulty".into())),
    },
    Row {
        check: "kernel-pins",
        words: "pve2 has kernel 6.17.2-1-pve pinned",
        change: |world, _| {
            node(world, "pve2").kernel.pinned = Some("6.17.2-1-pve".into());
        },
    },
    Row {
        check: "nic-names",
        words: "is of another series than 6.14.8-2-pve",
        change: |world, _| {
            let kernel = &mut node(world, "pve2").kernel;
            kernel.running = "6.14.8-2-pve".into();
        },
    },
    Row {
        check: "dkms-modules",
        words: "pve2 builds nvidia/550.90 by itself",
        change: |world, _| {
            node(world, "pve2").surroundings.dkms.push("nvidia/550.90, 6.17.2-1-pve, x86_64: installed".into());
        },
    },
    Row {
        check: "clock-skew",
        words: "the clock of pve2 is",
        change: |world, _| {
            node(world, "pve2").clock_skew_ms = 60_000;
        },
    },
    Row {
        check: "time-sync",
        words: "the clock of pve2 is not kept by a time server",
        change: |world, _| {
            node(world, "pve2").clock_skew_ms = 60_000;
        },
    },
    Row {
        check: "services",
        words: "service pvestatd on pve2",
        change: |world, _| {
            let service = node(world, "pve2").services.get_mut("pvestatd").unwrap();
            (service.active_state, service.sub_state) = ("failed".into(), "failed".into());
        },
    },
    Row {
        check: "failed-units",
        words: "failed units on pve2",
        change: |world, _| {
            let service = node(world, "pve2").services.get_mut("chrony").unwrap();
            (service.active_state, service.sub_state) = ("failed".into(), "failed".into());
        },
    },
    Row {
        check: "storages",
        words: "storage vms (rbd) is not active on pve2",
        change: |world, _| {
            world
                .storages
                .get_mut(&quorate_core::ids::StorageId::new("vms"))
                .unwrap()
                .inactive_on
                .insert("pve2".into());
        },
    },
    Row {
        check: "running-jobs",
        words: "cannot move while a task works on it: qmigrate",
        change: |world, _| {
            planned_fault(world, 3, FaultKind::AdminMoves { guest: GuestId::vm(120), target: "pve1".into() });
        },
    },
    Row {
        check: "upcoming-backups",
        words: "backup nightly-extra begins in",
        change: |world, _| {
            let job = BackupJob {
                id: "nightly-extra".into(),
                enabled: true,
                schedule: "*:0/10".into(),
                next_run_s: world.now_ms / 1000 + 600,
                guests: Vec::new(),
                storage: "cephfs".into(),
                node: None,
                mode: "snapshot".into(),
            };
            world.backup_jobs.push(job);
        },
    },
    Row {
        check: "replication",
        words: "failed 3 times: no route to host",
        change: |world, _| {
            let job = ReplicationJob {
                id: "111-0".into(),
                guest: GuestId::vm(111),
                source: world.guests[&GuestId::vm(111)].node.clone(),
                target: "pve1".into(),
                schedule: "*/15".into(),
                enabled: true,
                last_sync_s: world.now_ms / 1000 - 7200,
                fail_count: 3,
                error: Some("no route to host".into()),
            };
            world.replication_jobs.push(job);
        },
    },
    Row {
        check: "machine-versions",
        words: "vm:111 is configured with machine type pc-i440fx-5.2",
        change: |world, _| {
            guest(world, GuestId::vm(111)).machine = Some("pc-i440fx-5.2".into());
        },
    },
    Row {
        check: "container-cgroups",
        words: "ct:203 has settings for cgroup v1",
        change: |world, _| {
            guest(world, GuestId::ct(203)).extra.insert("lxc.cgroup.cpuset.cpus".into(), "0-1".into());
        },
    },
    Row {
        check: "mediated-devices",
        words: "hostpci0 of vm:111 depends on a driver",
        change: |world, _| {
            guest(world, GuestId::vm(111)).devices.insert("hostpci0".into(), "0000:01:00.0,mdev=nvidia-63".into());
        },
    },
    Row {
        check: "running-qemu",
        words: "vm:111",
        change: |world, _| guest(world, GuestId::vm(111)).running_qemu = Some("9.0.2-1".into()),
    },
    Row {
        check: "start-at-boot",
        words: "is stopped, and PVE starts it when",
        change: |world, _| {
            let id = *world.guests.iter().find(|(_, guest)| !guest.is_running() && !guest.template).unwrap().0;
            world.ha.resources.remove(&id);
            guest(world, id).onboot = true;
        },
    },
    Row {
        check: "guest-outcome",
        words: "vm:111 web2 cannot leave",
        change: |world, _| {
            guest(world, GuestId::vm(111)).devices.insert("hostpci0".into(), "0000:01:00.0".into());
        },
    },
    Row {
        check: "capacity",
        words: "with pve2 out its guests need",
        change: |world, _| guest(world, GuestId::vm(111)).memory_bytes = 1 << 40,
    },
];
