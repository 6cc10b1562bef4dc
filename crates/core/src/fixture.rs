//! Clusters for tests, written in one line: `Fixture::cluster(3).vm(101, "pve1", 4).snapshot()`.
//!
//! Everything is known and healthy, every node has updates with a new kernel pending, and all guests are on shared
//! storage. A test changes what its scenario is about, with [`Fixture::node`], [`Fixture::guest`] and the like.

use std::collections::{BTreeMap, BTreeSet};

use crate::ids::{BootId, GuestId, NodeName, OsdId, StorageId, UnixMs};
use crate::observed::Observed::Known;
use crate::snapshot::{
    AffinityRule, Ceph, CephDaemon, Cpu, DaemonKind, EtcPve, Guest, GuestStatus, Ha, HaNodeState, HaRequest, HaService,
    HaServiceState, HealthLevel, HostFacts, Kernel, Link, LocalGuest, LrmMode, LrmStatus, Member, Memory,
    MigrationFacts, Node, NodeAffinity, Options, Osd, Packages, PendingPackage, PgState, QuorumView, ResourceAffinity,
    SafeToStop, Service, Snapshot, Storage, StorageOnNode, SubscriptionStatus,
};
use crate::steps::NEEDED_SERVICES;

const GIB: u64 = 1 << 30;

/// When every fixture's snapshot was taken, in seconds since 1970.
const TAKEN_S: u64 = 1_790_000_000;

/// A cluster under construction.
#[derive(Clone, Debug)]
pub struct Fixture(Snapshot);

impl Fixture {
    /// Nodes pve1 to pveN with 64 GiB each, a shared storage `shared`, a bridge vmbr0; no guest, no HA, no Ceph.
    pub fn cluster(nodes: u32) -> Self {
        let mut snapshot = Snapshot::empty(UnixMs(TAKEN_S * 1000));
        let names: Vec<NodeName> = (1..=nodes).map(|number| NodeName::new(format!("pve{number}"))).collect();
        let shared = Storage {
            id: StorageId::new("shared"),
            kind: "nfs".to_owned(),
            shared: true,
            nodes: None,
            disabled: false,
            content: ["images", "rootdir"].map(str::to_owned).into(),
        };
        snapshot.cluster_name = Known("fixture".to_owned());
        snapshot.sees_all_guests = Known(true);
        snapshot.missing_privileges = Known(Vec::new());
        snapshot.missing_for_volumes = Known(Vec::new());
        snapshot.configured_votes = Known(names.iter().map(|name| (name.clone(), 1)).collect());
        snapshot.storages = Known(BTreeMap::from([(shared.id.clone(), shared)]));
        snapshot.ha = Known(Ha::default());
        snapshot.ceph = Known(None);
        snapshot.jobs = Known(Vec::new());
        snapshot.backups = Known(Vec::new());
        snapshot.replication = Known(Vec::new());
        snapshot.options = Known(Options::default());
        snapshot.driver = Known(None);
        for name in &names {
            snapshot.nodes.insert(name.clone(), node(name));
            snapshot.quorum.insert(name.clone(), Known(quorum_view(name, &names)));
            snapshot.etc_pve.insert(name.clone(), Known(EtcPve::Writable));
        }
        Self(snapshot)
    }

    /// Adds a running VM with this much memory in GiB.
    #[must_use]
    pub fn vm(self, vmid: u32, node: &str, gib: u64) -> Self {
        let mut facts = MigrationFacts { running_machine: Some("pc-q35-9.2+pve1".to_owned()), ..usual_facts() };
        facts.cpu_model = Some("x86-64-v2-AES".to_owned());
        self.add(GuestId::vm(vmid), node, gib, facts)
    }

    /// Adds a running container with this much memory in GiB.
    #[must_use]
    pub fn ct(self, vmid: u32, node: &str, gib: u64) -> Self {
        self.add(GuestId::ct(vmid), node, gib, usual_facts())
    }

    fn add(mut self, id: GuestId, node: &str, gib: u64, facts: MigrationFacts) -> Self {
        let guest = Guest {
            id,
            name: format!("guest{}", id.vmid),
            node: node.into(),
            status: Known(GuestStatus::Running),
            template: false,
            memory_bytes: gib * GIB,
            cpus: 2,
            lock: Known(None),
            tags: BTreeSet::new(),
            onboot: Known(true),
            migration: Known(facts),
        };
        let listed = LocalGuest { kind: id.kind, vmid: id.vmid, running: true, name: guest.name.clone() };
        if let Some(local) = self.0.nodes.get_mut(&guest.node).and_then(|node| node.local_guests.known_mut()) {
            local.push(listed);
        }
        self.0.guests.insert(id, guest);
        self
    }

    /// Stops a guest that was added before, for longer than its node is up: it does not start by itself.
    #[must_use]
    pub fn stopped(mut self, id: GuestId) -> Self {
        if let Some(guest) = self.0.guests.get_mut(&id) {
            guest.status = Known(GuestStatus::Stopped);
            guest.onboot = Known(false);
            let local = self.0.nodes.get_mut(&guest.node).and_then(|node| node.local_guests.known_mut());
            for listed in local.into_iter().flatten().filter(|listed| listed.vmid == id.vmid) {
                listed.running = false;
            }
        }
        self
    }

    /// Changes a guest that was added before.
    #[must_use]
    pub fn guest(mut self, id: GuestId, change: impl FnOnce(&mut Guest)) -> Self {
        change(self.0.guests.get_mut(&id).expect("a test changes guests that it has added"));
        self
    }

    /// Changes what is known about moving a guest.
    #[must_use]
    pub fn facts(self, id: GuestId, change: impl FnOnce(&mut MigrationFacts)) -> Self {
        self.guest(id, |guest| change(guest.migration.known_mut().expect("a fixture's facts are known")))
    }

    /// Changes a node of the cluster.
    #[must_use]
    pub fn node(mut self, name: &str, change: impl FnOnce(&mut Node)) -> Self {
        change(self.0.nodes.get_mut(&NodeName::new(name)).expect("a test changes nodes of its cluster"));
        self
    }

    /// Gives a node this much memory in GiB.
    #[must_use]
    pub fn memory(self, name: &str, gib: u64) -> Self {
        self.node(name, |node| node.memory = Known(Memory { total_bytes: gib * GIB, used_bytes: 0, host_bytes: 0 }))
    }

    /// Makes a node one that has been upgraded and rebooted already.
    #[must_use]
    pub fn upgraded(self, name: &str) -> Self {
        self.node(name, |node| {
            let packages = node.packages.known_mut().expect("a fixture's packages are known");
            for package in std::mem::take(&mut packages.pending) {
                match package.name.as_str() {
                    "pve-manager" => {
                        node.running_manager = Known(package.to.clone());
                        node.pve_version = Known(package.to);
                    }
                    "pve-qemu-kvm" => node.qemu_version = Known(package.to),
                    _ => {}
                }
            }
            let new = NEW_KERNEL.into();
            node.kernel = Known(Kernel {
                running: new,
                installed: vec![OLD_KERNEL.into(), NEW_KERNEL.into()],
                pinned: None,
                next_boot: None,
            });
        })
    }

    /// Puts a guest that was added before under HA: started, failback on.
    #[must_use]
    pub fn managed(mut self, id: GuestId) -> Self {
        let service = HaService {
            request: HaRequest::Started,
            state: Some(HaServiceState::Started),
            node: self.0.guests.get(&id).map(|guest| guest.node.clone()),
            target: None,
            maintenance_node: None,
            failback: true,
        };
        self.ha_active().services.insert(id, service);
        self
    }

    fn ha_active(&mut self) -> &mut Ha {
        let seen = self.0.taken;
        let names: Vec<NodeName> = self.0.nodes.keys().cloned().collect();
        let ha = self.0.ha.known_mut().expect("a fixture's HA is known");
        ha.master = names.first().cloned();
        ha.master_seen = Some(seen);
        for name in names {
            ha.nodes.entry(name.clone()).or_insert(HaNodeState::Online);
            let lrm = LrmStatus { mode: LrmMode::Active, state: "active".to_owned(), seen };
            ha.lrm.entry(name).or_insert(lrm);
        }
        ha
    }

    /// Changes the state of HA.
    #[must_use]
    pub fn ha(mut self, change: impl FnOnce(&mut Ha)) -> Self {
        change(self.ha_active());
        self
    }

    /// Adds a rule that these HA guests prefer, or must be on, these nodes with these priorities.
    #[must_use]
    pub fn node_rule(self, id: &str, guests: &[GuestId], nodes: &[(&str, u32)], strict: bool) -> Self {
        let nodes = nodes.iter().map(|(name, priority)| ((*name).into(), *priority)).collect();
        let rule = NodeAffinity { id: id.to_owned(), guests: guests.iter().copied().collect(), nodes, strict };
        self.ha(|ha| ha.rules.push(AffinityRule::Node(rule)))
    }

    /// Adds a rule that keeps these HA guests on different nodes.
    #[must_use]
    pub fn apart(self, id: &str, guests: &[GuestId]) -> Self {
        let rule = ResourceAffinity { id: id.to_owned(), guests: guests.iter().copied().collect(), together: false };
        self.ha(|ha| ha.rules.push(AffinityRule::Resource(rule)))
    }

    /// Adds a rule that keeps these HA guests on one node.
    #[must_use]
    pub fn together(self, id: &str, guests: &[GuestId]) -> Self {
        let rule = ResourceAffinity { id: id.to_owned(), guests: guests.iter().copied().collect(), together: true };
        self.ha(|ha| ha.rules.push(AffinityRule::Resource(rule)))
    }

    /// Adds a clean Ceph with one OSD and one monitor on each node.
    #[must_use]
    pub fn ceph(mut self) -> Self {
        let names: Vec<NodeName> = self.0.nodes.keys().cloned().collect();
        let osd = |name: &NodeName| Osd {
            node: name.clone(),
            up: true,
            weighted_in: true,
            version: Some("19.2.3".into()),
            addresses: BTreeSet::new(),
        };
        let monitor = |name: &NodeName| CephDaemon {
            kind: DaemonKind::Mon,
            name: name.to_string(),
            node: name.clone(),
            state: "peon".to_owned(),
            version: Some("19.2.3".into()),
        };
        let ceph = Ceph {
            health: HealthLevel::Ok,
            checks: BTreeMap::new(),
            flags: BTreeSet::new(),
            node_flags: BTreeMap::new(),
            never_ran: std::collections::BTreeSet::new(),
            pgs: vec![PgState { state: "active+clean".to_owned(), count: 33 }],
            pg_count: 33,
            pools: Vec::new(),
            osds: names.iter().enumerate().map(|(number, name)| (OsdId(number as u32), osd(name))).collect(),
            daemons: names.iter().map(monitor).collect(),
            mon_quorum: names.iter().map(|name| name.as_str().to_owned()).collect(),
            installed: names.iter().map(|name| (name.clone(), "19.2.3".into())).collect(),
            osds_ok_to_stop: names.iter().map(|name| (name.clone(), Known(SafeToStop::Safe))).collect(),
        };
        self.0.ceph = Known(Some(ceph));
        self
    }

    /// Changes anything else in the snapshot.
    #[must_use]
    pub fn change(mut self, change: impl FnOnce(&mut Snapshot)) -> Self {
        change(&mut self.0);
        self
    }

    /// The snapshot that was built.
    pub fn snapshot(self) -> Snapshot {
        self.0
    }
}

const OLD_KERNEL: &str = "6.17.2-1-pve";
const NEW_KERNEL: &str = "6.17.4-1-pve";

fn usual_facts() -> MigrationFacts {
    MigrationFacts {
        storages: [StorageId::new("shared")].into(),
        bridges: ["vmbr0".to_owned()].into(),
        ..MigrationFacts::default()
    }
}

fn pending(name: &str, from: Option<&str>, to: &str) -> PendingPackage {
    PendingPackage {
        name: name.to_owned(),
        from: from.map(Into::into),
        to: to.into(),
        origin: "Proxmox VE:stable".to_owned(),
    }
}

fn node(name: &NodeName) -> Node {
    let service =
        |name: &str| Service { name: name.to_owned(), active: true, state: "running".to_owned(), enabled: true };
    let packages = Packages {
        pending: vec![
            pending("proxmox-kernel-6.17.4-1-pve-signed", None, "6.17.4-1"),
            pending("pve-manager", Some("9.1.1"), "9.1.4"),
            pending("pve-qemu-kvm", Some("10.1.2-3"), "10.1.2-5"),
        ],
        removals: Vec::new(),
        kept_back: Vec::new(),
        held: Vec::new(),
        installed: BTreeMap::new(),
        broken: Vec::new(),
        lists_age_s: Some(60),
        locked: false,
    };
    let mut node = Node::unseen(name.clone(), "not part of this fixture");
    node.online = Known(true);
    node.boot = Known(BootId::new(format!("boot-{name}")));
    node.uptime_s = Known(1_000_000);
    node.memory = Known(Memory { total_bytes: 64 * GIB, used_bytes: 8 * GIB, host_bytes: GIB / 2 });
    let flags = ["aes", "avx2"].map(str::to_owned).into();
    node.cpu = Known(Cpu { count: 32, model: "Fixture 9000".to_owned(), flags, architecture: "x86_64".to_owned() });
    node.pve_version = Known("9.1.1".into());
    node.running_manager = Known("9.1.1".into());
    node.reboot_required = Known(None);
    node.going_down = Known(None);
    node.qemu_version = Known("10.1.2-3".into());
    node.corosync_version = Known("3.1.9-pve2".into());
    node.kernel =
        Known(Kernel { running: OLD_KERNEL.into(), installed: vec![OLD_KERNEL.into()], pinned: None, next_boot: None });
    node.packages = Known(packages);
    node.upgrade_unit = Known(None);
    node.repositories = Known(Vec::new());
    node.subscription = Known(SubscriptionStatus::Active);
    node.root_free_bytes = Known(20 * GIB);
    node.boot_free_bytes = Known(GIB);
    node.clock_skew_ms = Known(0);
    node.services = Known(NEEDED_SERVICES.iter().map(|name| service(name)).collect());
    node.failed_units = Known(Vec::new());
    node.local_guests = Known(Vec::new());
    node.storages =
        Known(BTreeMap::from([(StorageId::new("shared"), StorageOnNode { active: true, free_bytes: 1000 * GIB })]));
    node.bridges = Known(["vmbr0".to_owned()].into());
    node.moves_connections = Known(false);
    node.host = HostFacts::quiet();
    node
}

fn quorum_view(viewer: &NodeName, names: &[NodeName]) -> QuorumView {
    let votes = names.len() as u32;
    let member = |number: usize| Member { node_id: number as u32 + 1, votes: 1 };
    let others = names.iter().filter(|name| *name != viewer);
    QuorumView {
        quorate: true,
        expected_votes: votes,
        total_votes: votes,
        quorum: votes / 2 + 1,
        members: names.iter().enumerate().map(|(number, name)| (name.clone(), member(number))).collect(),
        qdevice: None,
        links: others.map(|name| (name.clone(), vec![Link { number: 0, connected: true }])).collect(),
        configured_links: 1,
        link_addresses: vec!["192.0.2.1".to_owned()],
    }
}
