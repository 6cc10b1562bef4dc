//! Ports of a cluster that consists of a few facts: three nodes of which some are off, HA's rebalancing, the driver's
//! lock. What is asked beyond that is not answered, as by a cluster in bad shape.
//!
//! Commands that change something are kept in one list with the events of the run, so that a test sees what came first.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::Poll;
use std::time::Duration;

use quorate_core::command::Method;
use quorate_core::ids::{NodeName, UnixMs};
use quorate_core::run::Event;
use quorate_core::snapshot::DriverLock;
use quorate_engine::Watcher;
use quorate_journal::Journal;
use quorate_pve::ports::{
    Api, ApiData, ApiError, ApiRequest, Bound, Clock, Exit, PortFuture, Ports, Shell, ShellError, ShellOutput,
};
use serde_json::{Value, json};

const NODES: u32 = 3;

/// Uptime of the nodes in seconds: long enough for every deadline.
const UPTIME_S: u64 = 100_000;

/// The boot that every node is in.
const BOOT: &str = "6a0f2f5c-0000-4000-a000-000000000001";

/// The facts.
#[derive(Debug)]
pub(crate) struct Cluster {
    /// The cluster's time.
    pub(crate) now: UnixMs,
    /// Nodes that do not answer.
    pub(crate) off: BTreeSet<String>,
    /// Votes that are expected.
    pub(crate) expected: u32,
    /// `ha-auto-rebalance`.
    pub(crate) rebalances: bool,
    /// Is the driver's lock taken?
    pub(crate) lock: bool,
    /// The file beside it.
    pub(crate) file: Option<String>,
    /// How long the next look at the members takes, in seconds: all other calls take no time.
    pub(crate) slow_s: u64,
    /// Can `/etc/pve` be written?
    pub(crate) writable: bool,
    /// What was sent and written, in order.
    pub(crate) log: Vec<String>,
}

/// The cluster, shared.
#[derive(Clone, Debug)]
pub(crate) struct Fake(Arc<Mutex<Cluster>>);

impl Fake {
    /// A cluster with all nodes up.
    pub(crate) fn new() -> Self {
        Self(Arc::new(Mutex::new(Cluster {
            now: UnixMs(1_000_000_000),
            off: BTreeSet::new(),
            expected: NODES,
            rebalances: true,
            lock: false,
            file: None,
            slow_s: 0,
            writable: true,
            log: Vec::new(),
        })))
    }

    pub(crate) fn cluster(&self) -> MutexGuard<'_, Cluster> {
        self.0.lock().unwrap()
    }

    pub(crate) fn ports(&self) -> Ports {
        let fake = Arc::new(self.clone());
        Ports { api: fake.clone(), shell: fake.clone(), clock: fake }
    }

    pub(crate) fn nodes() -> Vec<NodeName> {
        (1..=NODES).map(|number| NodeName::new(format!("pve{number}"))).collect()
    }

    /// Each time that somebody asks, ten seconds have passed: two waits side by side take as long as the longer one.
    async fn passes(&self, until: UnixMs) {
        std::future::poll_fn(|context| {
            let mut cluster = self.cluster();
            if cluster.now >= until {
                return Poll::Ready(());
            }
            cluster.now = cluster.now.plus_s(10).min(until);
            context.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
    }

    /// What was sent to the cluster to change it; the driver's lock is not counted.
    pub(crate) fn sent(&self) -> Vec<String> {
        self.cluster().log.iter().filter(|line| line.starts_with("sent ")).cloned().collect()
    }

    /// The position in the list of the line that begins with this text.
    pub(crate) fn at(&self, begins: &str) -> usize {
        let cluster = self.cluster();
        let found = cluster.log.iter().position(|line| line.starts_with(begins));
        found.unwrap_or_else(|| panic!("{begins:?} is not among {:#?}", cluster.log))
    }
}

impl Cluster {
    fn members(&self) -> Vec<u32> {
        (1..=NODES).filter(|number| !self.off.contains(&format!("pve{number}"))).collect()
    }

    fn is_quorate(&self) -> bool {
        self.members().len() as u32 > self.expected / 2
    }

    fn quorumtool(&self) -> ShellOutput {
        let members = self.members();
        let quorate = if self.is_quorate() { "Yes" } else { "No" };
        let rows: String = members.iter().map(|id| format!("{id:>10} 1 pve{id}\n")).collect();
        let text = format!(
            "Node ID: {}\nQuorate: {quorate}\nExpected votes: {}\nTotal votes: {}\nQuorum: {}\nFlags: \n    Nodeid      \
             Votes Name\n{rows}",
            members[0],
            self.expected,
            members.len(),
            self.expected / 2 + 1
        );
        ShellOutput { exit: Exit::Status(if self.is_quorate() { 0 } else { 2 }), ..done(&text) }
    }

    /// As the first available node reports it.
    fn status(&self) -> Value {
        let members = self.members();
        let whole = json!({ "type": "cluster", "name": "fake", "quorate": u32::from(self.is_quorate()) });
        let node = |id| {
            let (online, local) = (u32::from(members.contains(&id)), u32::from(members.first() == Some(&id)));
            json!({ "type": "node", "name": format!("pve{id}"), "nodeid": id, "online": online, "local": local })
        };
        std::iter::once(whole).chain((1..=NODES).map(node)).collect()
    }

    fn take_lock(&mut self) -> ShellOutput {
        match (self.lock, self.writable && self.is_quorate()) {
            (_, false) => failed("Permission denied"),
            (true, true) => failed("mkdir: File exists"),
            (false, true) => {
                self.log.push("lock taken".to_owned());
                self.lock = true;
                done("")
            }
        }
    }

    /// The file is replaced if it is as expected, or made if there is none.
    fn write(&mut self, before: Option<&str>, text: &str) -> ShellOutput {
        if !(self.writable && self.is_quorate()) {
            return failed("Permission denied");
        }
        if self.file.as_deref() != before {
            return failed("");
        }
        self.file = Some(text.to_owned());
        done("")
    }

    /// What the driver's lock says.
    pub(crate) fn names(&self) -> DriverLock {
        serde_json::from_str(self.file.as_deref().expect("there is a file")).unwrap()
    }

    fn run(&mut self, argv: &[&str]) -> ShellOutput {
        match argv {
            ["mkdir", _] => self.take_lock(),
            // An order with its condition: what the condition is and that it is kept is the lab's to test.
            ["sh", "-c", script, "quorate", boot, _, rest @ ..] => {
                assert_eq!(*boot, BOOT);
                let driver = usize::from(script.contains("quorate-driver.json"));
                self.run(&rest[driver..])
            }
            ["pvesh", "set", "/cluster/options", "--crs", crs] => {
                self.log.push(format!("sent {}", argv.join(" ")));
                self.rebalances = crs.contains("ha-auto-rebalance=1");
                done("")
            }
            ["cat", "/proc/sys/kernel/random/boot_id"] => done(&format!("{BOOT}\n")),
            ["sh", "-c", _, "sh", before, text, _, _] => self.write(Some(before), text),
            ["sh", "-c", _, "sh", text, _] => self.write(None, text),
            ["cat", "/etc/pve/priv/quorate-driver.json"] => match &self.file {
                Some(text) => done(text),
                None => failed("No such file or directory"),
            },
            ["rmdir", _] => {
                self.log.push("lock released".to_owned());
                self.lock = false;
                done("")
            }
            ["touch" | "rm", ..] | ["journalctl", ..] => done(""),
            ["cat", "/etc/corosync/corosync.conf"] => done(&corosync_conf()),
            ["cat", "/proc/uptime"] => done(&format!("{UPTIME_S}.00 1.00\n")),
            ["corosync-quorumtool", "-s"] => self.quorumtool(),
            ["corosync-cfgtool", "-n"] => done("Local node ID 1, transport knet\n"),
            ["pvecm", "expected", votes] => {
                self.log.push(format!("sent {}", argv.join(" ")));
                self.expected = votes.parse().unwrap();
                done("")
            }
            _ => ShellOutput { exit: Exit::Status(127), ..failed("not a part of this cluster") },
        }
    }
}

fn corosync_conf() -> String {
    let node = |id| {
        format!(
            "  node {{\n    name: pve{id}\n    nodeid: {id}\n    quorum_votes: 1\n    ring0_addr: 10.0.0.{id}\n  }}\n"
        )
    };
    let nodes: String = (1..=NODES).map(node).collect();
    format!(
        "totem {{\n  cluster_name: fake\n  version: 2\n}}\nquorum {{\n  provider: corosync_votequorum\n}}\nnodelist {{\n{nodes}}}\n"
    )
}

fn done(stdout: &str) -> ShellOutput {
    ShellOutput { exit: Exit::Status(0), stdout: stdout.to_owned(), stderr: String::new() }
}

fn failed(stderr: &str) -> ShellOutput {
    ShellOutput { exit: Exit::Status(1), stdout: String::new(), stderr: stderr.to_owned() }
}

impl Api for Fake {
    fn call(&self, request: ApiRequest) -> PortFuture<'_, Result<ApiData, ApiError>> {
        let mut cluster = self.cluster();
        let options = request.path == "/cluster/options";
        let answer = match request.method {
            Method::Get if options => Ok(json!({ "crs": { "ha-auto-rebalance": u32::from(cluster.rebalances) } })),
            Method::Get if request.path == "/cluster/status" => Ok(cluster.status()),
            Method::Get if request.path.ends_with("/status") => Ok(json!({ "uptime": UPTIME_S })),
            Method::Get => Err(ApiError::Unreachable("not a part of this cluster".to_owned())),
            _ => panic!("nothing that this cluster knows is changed by {request:?}"),
        };
        let takes_s = if request.path == "/cluster/status" { std::mem::take(&mut cluster.slow_s) } else { 0 };
        let until = cluster.now.plus_s(takes_s);
        drop(cluster);
        Box::pin(async move {
            self.passes(until).await;
            answer
        })
    }
}

impl Shell for Fake {
    fn run_bounded<'a>(
        &'a self,
        node: &'a NodeName,
        argv: &'a [String],
        _deadline: Duration,
        _: Bound,
    ) -> PortFuture<'a, Result<ShellOutput, ShellError>> {
        let words: Vec<&str> = argv.iter().map(String::as_str).collect();
        let words = words.strip_prefix(&["env", "LC_ALL=C"]).unwrap_or(&words);
        let mut cluster = self.cluster();
        let answer = match cluster.off.contains(node.as_str()) {
            true => Err(ShellError::Unreachable { node: node.clone(), reason: "no route to host".to_owned() }),
            false => Ok(cluster.run(words)),
        };
        Box::pin(async move { answer })
    }
}

impl Clock for Fake {
    fn now(&self) -> UnixMs {
        self.cluster().now
    }

    fn sleep(&self, duration: Duration) -> PortFuture<'_, ()> {
        let until = self.cluster().now.plus_s(duration.as_secs());
        Box::pin(self.passes(until))
    }
}

/// Keeps the events in the cluster's list, and checks at each that the lease is held.
pub(crate) struct Listens<'a> {
    pub(crate) fake: Fake,
    pub(crate) journal: &'a Journal,
    pub(crate) events: Vec<Event>,
    /// What happens to the cluster at the third wait.
    pub(crate) meanwhile: fn(&mut Cluster),
    /// What happens to it when a step has been written, before its command is sent.
    pub(crate) frozen: Box<dyn FnMut(&mut Cluster) + Send>,
    pub(crate) waits: u32,
}

impl<'a> Listens<'a> {
    pub(crate) fn new(fake: &Fake, journal: &'a Journal) -> Self {
        Self { fake: fake.clone(), journal, events: Vec::new(), meanwhile: |_| {}, frozen: Box::new(|_| {}), waits: 0 }
    }
}

impl Watcher for Listens<'_> {
    fn event(&mut self, seq: u64, _: UnixMs, event: &Event) {
        let lease = self.journal.driver(UnixMs(0)).unwrap();
        assert!(lease.is_some(), "the lease is held when {event:?} is written");
        let run = self.journal.latest_run().unwrap().unwrap();
        let last = self.journal.events(&run).unwrap().pop().map(|entry| (entry.seq, entry.event));
        assert_eq!(last, Some((seq, event.clone())), "it is in the journal before it is reported");
        self.fake.cluster().log.push(format!("event {}", event.kind()));
        self.events.push(event.clone());
        if matches!(event, Event::StepStarted { .. }) {
            (self.frozen)(&mut self.fake.cluster());
        }
    }

    fn waiting(&mut self, _: UnixMs, on: &[String]) {
        self.waits += 1;
        assert!(self.waits < 500, "it waits without end: {on:?}, {:#?}", self.fake.cluster().log);
        if self.waits == 3 {
            (self.meanwhile)(&mut self.fake.cluster());
        }
    }
}
