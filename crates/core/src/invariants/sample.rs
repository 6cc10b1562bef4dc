//! A healthy cluster of three nodes for the tests of rules, checks and forecast: Ceph, HA, one pair kept apart.

use std::collections::{BTreeMap, BTreeSet};

use crate::ids::{GuestId, NodeName, OsdId, StorageId, UnixMs};
use crate::observed::Observed::{self, Known};
use crate::snapshot::*;
use crate::version::Version;

pub(crate) const GIB: u64 = 1 << 30;
pub(crate) const NODES: [&str; 3] = ["pve1", "pve2", "pve3"];

/// Three nodes with 64 GiB and pending updates; vm:101 on pve1 and vm:102 on pve2 are kept apart by HA. Not managed by
/// HA are vm:103 and ct:201 on pve1, and the stopped vm:104 and the template vm:900 on pve2.
pub(crate) fn cluster() -> Snapshot {
    let nodes = NODES.map(|name| (NodeName::new(name), node(name)));
    let guests = [
        guest(GuestId::vm(101), "pve1", 4),
        guest(GuestId::vm(102), "pve2", 4),
        guest(GuestId::vm(103), "pve1", 8),
        guest(GuestId::ct(201), "pve1", 2),
        stopped(guest(GuestId::vm(104), "pve2", 8)),
        Guest { template: true, ..stopped(guest(GuestId::vm(900), "pve2", 8)) },
    ];
    let mut snapshot = Snapshot {
        cluster_name: Known("lab".to_owned()),
        nodes: nodes.into_iter().collect(),
        guests: guests.into_iter().map(|guest| (guest.id, guest)).collect(),
        sees_all_guests: Known(true),
        missing_privileges: Known(Vec::new()),
        missing_for_volumes: Known(Vec::new()),
        etc_pve: NODES.map(|name| (NodeName::new(name), Known(EtcPve::Writable))).into_iter().collect(),
        quorum: NODES.map(|name| (NodeName::new(name), Known(view(name)))).into_iter().collect(),
        configured_votes: Known(NODES.map(|name| (NodeName::new(name), 1)).into_iter().collect()),
        storages: Known(storages()),
        ha: Known(ha()),
        ceph: Known(Some(ceph())),
        jobs: Known(Vec::new()),
        backups: Known(Vec::new()),
        replication: Known(Vec::new()),
        options: Known(Options::default()),
        driver: Known(None),
        ..Snapshot::empty(UnixMs(1_000_000_000))
    };
    list_locally(&mut snapshot);
    snapshot
}

/// Makes every node list the guests that are placed on it.
pub(crate) fn list_locally(snapshot: &mut Snapshot) {
    for node in snapshot.nodes.values_mut() {
        let here = snapshot.guests.values().filter(|guest| guest.node == node.name);
        let listed = here.map(|guest| LocalGuest {
            kind: guest.id.kind,
            vmid: guest.id.vmid,
            running: guest.may_be_running(),
            name: guest.name.clone(),
        });
        node.local_guests = Known(listed.collect());
    }
}

pub(crate) fn name(node: &str) -> NodeName {
    NodeName::new(node)
}

pub(crate) fn node_mut<'a>(snapshot: &'a mut Snapshot, name: &str) -> &'a mut Node {
    snapshot.nodes.get_mut(&NodeName::new(name)).expect("a node of the sample")
}

pub(crate) fn guest_mut(snapshot: &mut Snapshot, id: GuestId) -> &mut Guest {
    snapshot.guests.get_mut(&id).expect("a guest of the sample")
}

pub(crate) fn ceph_mut(snapshot: &mut Snapshot) -> &mut Ceph {
    snapshot.ceph.known_mut().and_then(Option::as_mut).expect("the sample has Ceph")
}

pub(crate) fn ha_mut(snapshot: &mut Snapshot) -> &mut Ha {
    snapshot.ha.known_mut().expect("the sample has HA")
}

pub(crate) fn view_mut<'a>(snapshot: &'a mut Snapshot, name: &str) -> &'a mut QuorumView {
    snapshot.quorum.get_mut(&NodeName::new(name)).and_then(Observed::known_mut).expect("a view of the sample")
}

/// A reading that failed.
pub(crate) fn gap<T>() -> Observed<T> {
    Observed::unknown("GET /nodes on pve1", "timed out")
}

/// The node crashed a while ago: the others see it gone, and nothing could be read on it.
pub(crate) fn crash(snapshot: &mut Snapshot, node: &str) {
    let gone = name(node);
    *node_mut(snapshot, node) = Node { online: Known(false), ..Node::unseen(gone.clone(), "no route to host") };
    snapshot.quorum.insert(gone.clone(), gap());
    for view in snapshot.quorum.values_mut().filter_map(Observed::known_mut) {
        view.members.remove(&gone);
        view.links.remove(&gone);
        view.total_votes -= 1;
        view.quorate = view.total_votes >= view.quorum;
    }
    for osd in ceph_mut(snapshot).osds.values_mut().filter(|osd| osd.node == gone) {
        osd.up = false;
    }
}

/// An upgrade of ours is running on the node.
pub(crate) fn upgrading(snapshot: &mut Snapshot, node: &str) {
    let unit = UpgradeUnit { unit: "quorate-upgrade-ab12".into(), state: UnitState::Running };
    node_mut(snapshot, node).upgrade_unit = Known(Some(unit));
}

pub(crate) fn pending(name: &str, from: &str, to: &str) -> PendingPackage {
    PendingPackage {
        name: name.to_owned(),
        from: Some(Version::from(from)),
        to: Version::from(to),
        origin: "Proxmox VE:stable".to_owned(),
    }
}

fn node(name: &str) -> Node {
    let storages = [("ceph", 500 * GIB), ("local", 50 * GIB), ("local-lvm", 100 * GIB)];
    let storages = storages.map(|(id, free_bytes)| (StorageId::new(id), StorageOnNode { active: true, free_bytes }));
    let service =
        |name: &str| Service { name: name.to_owned(), active: true, state: "running".to_owned(), enabled: true };
    Node {
        login_text: None,
        other_certificate: None,
        name: NodeName::new(name),
        online: Known(true),
        boot: Known(format!("boot-of-{name}").as_str().into()),
        uptime_s: Known(900_000),
        memory: Known(Memory { total_bytes: 64 * GIB, used_bytes: 20 * GIB, host_bytes: 2 * GIB }),
        cpu: Known(Cpu {
            count: 16,
            model: "EPYC".to_owned(),
            flags: ["aes", "avx2"].map(str::to_owned).into(),
            architecture: "x86_64".to_owned(),
        }),
        pve_version: Known(Version::from("9.1.1")),
        running_manager: Known(Version::from("9.1.1")),
        reboot_required: Known(None),
        going_down: Known(None),
        qemu_version: Known(Version::from("10.1.2-1")),
        corosync_version: Known(Version::from("3.1.9-pve2")),
        kernel: Known(Kernel {
            running: Version::from("6.17.2-1-pve"),
            installed: vec![Version::from("6.17.2-1-pve")],
            pinned: None,
            next_boot: None,
        }),
        packages: Known(Packages {
            pending: vec![
                pending("corosync", "3.1.9-pve2", "3.1.10-pve1"),
                pending("proxmox-kernel-6.17.4-1-pve-signed", "0", "6.17.4-1"),
                pending("pve-manager", "9.1.1", "9.1.4"),
                pending("pve-qemu-kvm", "10.1.2-1", "10.1.2-5"),
            ],
            removals: Vec::new(),
            kept_back: Vec::new(),
            held: Vec::new(),
            installed: BTreeMap::new(),
            broken: Vec::new(),
            lists_age_s: Some(60),
            locked: false,
        }),
        upgrade_unit: Known(None),
        repositories: Known(vec![
            repository("http://deb.debian.org/debian", &["trixie", "trixie-updates"], "main"),
            repository("http://download.proxmox.com/debian/pve", &["trixie"], "pve-no-subscription"),
        ]),
        subscription: Known(SubscriptionStatus::NotFound),
        root_free_bytes: Known(40 * GIB),
        boot_free_bytes: Known(40 * GIB),
        clock_skew_ms: Known(12),
        services: Known(crate::steps::NEEDED_SERVICES.map(service).to_vec()),
        failed_units: Known(Vec::new()),
        local_guests: Known(Vec::new()),
        storages: Known(storages.into_iter().collect()),
        bridges: Known(["vmbr0".to_owned()].into()),
        moves_connections: Known(false),
        host: HostFacts::quiet(),
    }
}

pub(crate) fn repository(uri: &str, suites: &[&str], component: &str) -> Repository {
    Repository {
        path: "/etc/apt/sources.list.d/proxmox.sources".to_owned(),
        enabled: true,
        types: vec!["deb".to_owned()],
        uris: vec![uri.to_owned()],
        suites: suites.iter().map(|suite| (*suite).to_owned()).collect(),
        components: vec![component.to_owned()],
        origin: None,
    }
}

fn storages() -> BTreeMap<StorageId, Storage> {
    let storage = |id: &str, kind: &str, shared: bool, content: &[&str]| {
        let content = content.iter().map(|kind| (*kind).to_owned()).collect();
        (
            StorageId::new(id),
            Storage { id: id.into(), kind: kind.to_owned(), shared, nodes: None, disabled: false, content },
        )
    };
    [
        storage("ceph", "rbd", true, &["images", "rootdir"]),
        storage("local", "dir", false, &["iso", "backup"]),
        storage("local-lvm", "lvmthin", false, &["images", "rootdir"]),
    ]
    .into()
}

fn guest(id: GuestId, node: &str, gib: u64) -> Guest {
    Guest {
        id,
        name: format!("g{}", id.vmid),
        node: NodeName::new(node),
        status: Known(GuestStatus::Running),
        template: false,
        memory_bytes: gib * GIB,
        cpus: 2,
        lock: Known(None),
        tags: BTreeSet::new(),
        onboot: Known(true),
        migration: Known(MigrationFacts {
            storages: ["ceph".into()].into(),
            bridges: ["vmbr0".to_owned()].into(),
            ..MigrationFacts::default()
        }),
    }
}

fn stopped(guest: Guest) -> Guest {
    Guest { status: Known(GuestStatus::Stopped), onboot: Known(false), ..guest }
}

fn view(viewer: &str) -> QuorumView {
    let members =
        NODES.iter().enumerate().map(|(index, node)| (name(node), Member { node_id: index as u32 + 1, votes: 1 }));
    let links = [0, 1].map(|number| Link { number, connected: true }).to_vec();
    QuorumView {
        quorate: true,
        expected_votes: 3,
        total_votes: 3,
        quorum: 2,
        members: members.collect(),
        qdevice: None,
        links: NODES.iter().filter(|node| **node != viewer).map(|node| (name(node), links.clone())).collect(),
        configured_links: 2,
        link_addresses: vec!["10.0.1.1".to_owned(), "10.0.2.1".to_owned()],
    }
}

fn ha() -> Ha {
    let service = |id: GuestId, node: &str| {
        let service = HaService {
            request: HaRequest::Started,
            state: Some(HaServiceState::Started),
            node: Some(name(node)),
            target: None,
            maintenance_node: None,
            failback: false,
        };
        (id, service)
    };
    let pair = [GuestId::vm(101), GuestId::vm(102)];
    let lrm = |node: &&str| {
        let status = LrmStatus { mode: LrmMode::Active, state: "active".to_owned(), seen: UnixMs(999_999_000) };
        (name(node), status)
    };
    Ha {
        master: Some(name("pve1")),
        master_seen: Some(UnixMs(999_995_000)),
        nodes: NODES.map(|node| (name(node), HaNodeState::Online)).into(),
        maintenance_requested: Default::default(),
        lrm: NODES.iter().map(lrm).collect(),
        services: [service(pair[0], "pve1"), service(pair[1], "pve2")].into(),
        rules: vec![AffinityRule::Resource(ResourceAffinity {
            id: "apart".to_owned(),
            guests: pair.into(),
            together: false,
        })],
        armed: None,
        left_over: BTreeSet::new(),
    }
}

fn ceph() -> Ceph {
    let version = Some(Version::from("19.2.3-pve4"));
    let osds = (0..6).map(|id| {
        let node = name(NODES[id as usize / 2]);
        (OsdId(id), Osd { node, up: true, weighted_in: true, version: version.clone(), addresses: BTreeSet::new() })
    });
    let daemon = |kind: DaemonKind, node: &&str, state: &str| CephDaemon {
        kind,
        name: (*node).to_owned(),
        node: name(node),
        state: state.to_owned(),
        version: version.clone(),
    };
    let mut daemons: Vec<CephDaemon> = NODES.iter().map(|node| daemon(DaemonKind::Mon, node, "peon")).collect();
    daemons.extend(NODES.iter().map(|node| daemon(DaemonKind::Mgr, node, "standby")));
    Ceph {
        health: HealthLevel::Ok,
        checks: BTreeMap::new(),
        flags: BTreeSet::new(),
        node_flags: BTreeMap::new(),
        never_ran: std::collections::BTreeSet::new(),
        pgs: vec![PgState { state: "active+clean".to_owned(), count: 128 }],
        pg_count: 128,
        pools: vec![Pool { name: "rbd".to_owned(), size: 3, min_size: 2 }],
        osds: osds.collect(),
        daemons,
        mon_quorum: NODES.map(str::to_owned).into(),
        installed: BTreeMap::new(),
        osds_ok_to_stop: NODES.map(|node| (name(node), Known(SafeToStop::Safe))).into(),
    }
}
