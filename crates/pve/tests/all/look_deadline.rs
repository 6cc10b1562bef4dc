//! A look has a deadline, and so has each of its calls: in virtual time, in which a wait is over as soon as nothing else
//! is left to do.

use std::collections::BTreeSet;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use quorate_core::ids::{NodeName, UnixMs};
use quorate_core::snapshot::Snapshot;
use quorate_pve::observe::{Depth, Hosts, Look, observe, quorum_views};
use quorate_pve::ports::{
    Api, ApiData, ApiError, ApiRequest, Bound, Clock, Exit, PortFuture, Ports, Shell, ShellError, ShellOutput,
};
use serde_json::Value;

/// A cluster whose every answer takes so long; without a time, none ever comes.
#[derive(Clone)]
struct Slow {
    now_ms: Arc<AtomicU64>,
    /// When each sleep that goes on ends, with a number of its own.
    sleeps: Arc<Mutex<BTreeSet<(u64, u64)>>>,
    calls: Arc<AtomicU64>,
    api: Option<Duration>,
    shell: Option<Duration>,
    prints: usize,
}

impl Slow {
    fn new(api: Option<u64>, shell: Option<u64>) -> Self {
        let time = |seconds: Option<u64>| seconds.map(Duration::from_secs);
        Self {
            now_ms: Arc::default(),
            sleeps: Arc::default(),
            calls: Arc::default(),
            api: time(api),
            shell: time(shell),
            prints: 0,
        }
    }

    fn ports(&self) -> Ports {
        Ports { api: Arc::new(self.clone()), shell: Arc::new(self.clone()), clock: Arc::new(self.clone()) }
    }

    fn seconds(&self) -> u64 {
        self.now_ms.load(Ordering::SeqCst) / 1000
    }

    async fn takes(&self, time: Option<Duration>) {
        self.calls.fetch_add(1, Ordering::SeqCst);
        match time {
            Some(time) => self.sleep(time).await,
            None => std::future::pending().await,
        }
    }
}

impl Api for Slow {
    fn call(&self, _: ApiRequest) -> PortFuture<'_, Result<ApiData, ApiError>> {
        Box::pin(async {
            self.takes(self.api).await;
            Ok(Value::Array(vec![]))
        })
    }
}

impl Shell for Slow {
    fn run_bounded<'a>(
        &'a self,
        node: &'a NodeName,
        argv: &'a [String],
        _: Duration,
        bound: Bound,
    ) -> PortFuture<'a, Result<ShellOutput, ShellError>> {
        Box::pin(async move {
            self.takes(self.shell).await;
            let asks_for_the_boot = argv.iter().any(|word| word.contains("boot_id")) && self.prints < 100;
            let stdout = match asks_for_the_boot {
                true => "6a0f2f5c-0000-4000-a000-000000000001\n".to_owned(),
                false => "x\n".repeat(self.prints),
            };
            bound.checked(node, ShellOutput { exit: Exit::Status(0), stdout, stderr: String::new() })
        })
    }
}

impl Clock for Slow {
    fn now(&self) -> UnixMs {
        UnixMs(self.now_ms.load(Ordering::SeqCst))
    }

    fn sleep(&self, duration: Duration) -> PortFuture<'_, ()> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let until_ms = self.now().0 + u64::try_from(duration.as_millis()).unwrap();
        let key = (until_ms, NUMBER.fetch_add(1, Ordering::SeqCst));
        self.sleeps.lock().unwrap().insert(key);
        Box::pin(Sleep { slow: self.clone(), key, polls: 0 })
    }
}

/// Of all sleeps the first to end moves time on, once everything else has had its chance.
struct Sleep {
    slow: Slow,
    key: (u64, u64),
    polls: u32,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let is_first = self.slow.sleeps.lock().unwrap().first() == Some(&self.key);
        if is_first && self.polls >= 3 {
            self.slow.now_ms.fetch_max(self.key.0, Ordering::SeqCst);
        }
        if self.slow.now().0 >= self.key.0 {
            self.slow.sleeps.lock().unwrap().remove(&self.key);
            return Poll::Ready(());
        }
        self.polls += 1;
        context.waker().wake_by_ref();
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        self.slow.sleeps.lock().unwrap().remove(&self.key);
    }
}

const NODES: [&str; 3] = ["pve1", "pve2", "pve3"];

/// Without PVE's checker, which has a time of its own.
async fn look(slow: &Slow, depth: Depth) -> Snapshot {
    let known_nodes = NODES.map(NodeName::from).to_vec();
    observe(&slow.ports(), Look { depth, known_nodes, hosts: Hosts::Nobody, ..Look::full() }).await
}

fn gaps(snapshot: &Snapshot) -> String {
    format!("{:?}", snapshot.gaps())
}

#[tokio::test]
async fn where_nothing_answers_a_look_is_over_after_a_few_calls() {
    for (depth, most) in [(Depth::Full, 90), (Depth::Watch, 60)] {
        let slow = Slow::new(None, None);
        let gaps = gaps(&look(&slow, depth).await);
        assert!(gaps.contains("not answered within 15 s") && gaps.contains("not asked any more"), "{gaps}");
        assert!(slow.seconds() <= most, "{} s", slow.seconds());
    }
}

#[tokio::test]
async fn where_only_the_api_is_silent_the_shells_are_read_in_the_same_look() {
    let slow = Slow::new(None, Some(0));
    let snapshot = look(&slow, Depth::Full).await;
    assert!(snapshot.nodes.values().all(|node| node.boot.known().is_some()));
    assert!(slow.seconds() <= 60, "{} s", slow.seconds());
}

#[tokio::test]
async fn a_look_in_which_every_call_is_slow_ends_at_its_deadline() {
    let slow = Slow::new(Some(14), Some(14));
    let gaps = gaps(&look(&slow, Depth::Watch).await);
    assert!(gaps.contains("the look is over"), "{gaps}");
    // In virtual time, the last call takes its whole time even if it is not waited for.
    assert!((50..=60 + 14).contains(&slow.seconds()), "{} s", slow.seconds());
}

#[tokio::test]
async fn no_time_passes_beside_a_call_that_has_its_answer() {
    let slow = Slow::new(Some(0), Some(0));
    look(&slow, Depth::Full).await;
    assert_eq!(slow.seconds(), 0);
}

#[tokio::test]
async fn the_nodes_own_views_have_a_deadline_too() {
    let slow = Slow::new(None, None);
    let views = quorum_views(&slow.ports(), &NODES.map(NodeName::from)).await;
    assert_eq!(views.nodes.len(), 3);
    assert!(slow.seconds() <= 60, "{} s", slow.seconds());
}

#[tokio::test]
async fn what_was_cut_off_is_unknown_and_never_a_shorter_list() {
    let slow = Slow { prints: Bound::LONG.lines + 1, ..Slow::new(Some(0), Some(0)) };
    let snapshot = look(&slow, Depth::Full).await;
    let node = &snapshot.nodes[&NodeName::from("pve1")];
    assert!(node.local_guests.known().is_none() && node.packages.known().is_none() && node.boot.known().is_none());
    assert!(gaps(&snapshot).contains("printed more than"), "{}", gaps(&snapshot));
}

/// Of three nodes two have lost their power without a word; the API answers nothing any more.
struct Survivor(Slow);

/// What the survivor prints, as recorded.
fn printed(argv: &[String]) -> Option<(i32, &'static str)> {
    let has = |word: &str| argv.iter().any(|argument| argument == word);
    Some(match () {
        () if has("corosync-quorumtool") => (2, include_str!("../fixtures/debian/corosync-quorumtool-s-no-quorum.txt")),
        () if has("corosync-cfgtool") => (0, "Local node ID 1, transport knet\n"),
        () if has("/etc/corosync/corosync.conf") => (0, include_str!("../fixtures/debian/corosync.conf")),
        () if has("/proc/uptime") => (0, "86400.12 172000.00\n"),
        () => return None,
    })
}

impl Shell for Survivor {
    fn run_bounded<'a>(
        &'a self,
        node: &'a NodeName,
        argv: &'a [String],
        deadline: Duration,
        bound: Bound,
    ) -> PortFuture<'a, Result<ShellOutput, ShellError>> {
        match printed(argv).filter(|_| node.as_str() == "node1") {
            Some((exit, stdout)) => Box::pin(async move {
                Ok(ShellOutput { exit: Exit::Status(exit), stdout: stdout.to_owned(), stderr: String::new() })
            }),
            None => self.0.run_bounded(node, argv, deadline, bound),
        }
    }
}

/// HA resets the survivor a minute after its quorum is lost.
#[tokio::test]
async fn a_look_that_waits_for_dead_nodes_sees_within_seconds_that_quorum_is_lost() {
    let slow = Slow::new(None, None);
    let ports = Ports { shell: Arc::new(Survivor(slow.clone())), ..slow.ports() };
    let known_nodes = ["node1", "node2", "node3"].map(NodeName::from).to_vec();
    let depth = Depth::Watch;
    let snapshot = observe(&ports, Look { depth, known_nodes, hosts: Hosts::Nobody, ..Look::full() }).await;
    // 5 s until a call counts as slow, and 24 for the nodes' own views, of which everything else hangs here.
    assert!(slow.seconds() <= 29, "{} s", slow.seconds());
    let view = snapshot.quorum[&NodeName::from("node1")].known().unwrap();
    assert!(!view.quorate && view.total_votes == 1);
    assert!(gaps(&snapshot).contains("the look was broken off: quorum is lost"), "{}", gaps(&snapshot));
}
