//! The lab's checker: every command of ours is checked against the truth when it is about to reach the cluster.
//!
//! It is what fuzzing relies on, written apart from the tool's own rules, and it reads the world, not a snapshot.
//! What a command does wrong counts only if it could have been known: a condition must have been there for
//! [`KNOWABLE_MS`], because nothing notices yet a node that lost its power this second.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use quorate_core::ids::{GuestId, NodeName};
use quorate_core::steps::{Act, ChangeSetting, MoveMode, Setting, Step};
use thiserror::Error;

use quorate_world::World;
use quorate_world::guest::Guest;
use quorate_world::node::Power;
use quorate_world::safety_checker::is_out;

/// Corosync notices a lost node after up to 10 s, Ceph after 20 s, and a look takes a few seconds more.
const KNOWABLE_MS: u64 = 40_000;

/// Why a node must not be stopped now. The checker's own reasons, named after the rules that should catch them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Error)]
enum WhyNotStop {
    #[error("one-node-out: {0} is out")]
    AnotherIsOut(NodeName),
    #[error("no-guest-on-a-node-we-stop: {guest} runs on {node}")]
    GuestRuns { guest: GuestId, node: NodeName },
    #[error("quorum-margin: {left} votes would be left of {needed} needed")]
    TooFewVotes { left: u32, needed: u32 },
    #[error("ceph-redundancy: data would be left with fewer copies than it needs")]
    TooFewCopies,
    #[error("ceph-redundancy: the monitors would lose their quorum")]
    TooFewMonitors,
}

/// A node, and a reason not to stop it.
type Reason = (NodeName, WhyNotStop);

/// Watches the truth while a run goes on.
#[derive(Debug, Default)]
pub(crate) struct Judge {
    /// Since when each node has had each reason not to be stopped.
    since_ms: BTreeMap<Reason, u64>,
    /// Committed memory of each node, a while back.
    committed: VecDeque<(u64, BTreeMap<NodeName, u64>)>,
    /// What was done although there was a reason not to.
    pub(crate) wrongs: Vec<String>,
    /// How many of them are those of the command that was sent last.
    of_last: usize,
}

impl Judge {
    /// Looks at the truth; to be called whenever anything happens.
    pub(crate) fn look(&mut self, world: &World) {
        let now = world.now_ms;
        let reasons: BTreeSet<Reason> = world
            .nodes
            .keys()
            .flat_map(|node| why_not_stop(world, node).into_iter().map(|why| (node.clone(), why)))
            .collect();
        self.since_ms.retain(|reason, _| reasons.contains(reason));
        for reason in reasons {
            self.since_ms.entry(reason).or_insert(now);
        }
        let committed = world.nodes.keys().map(|node| (node.clone(), world.node_committed_bytes(node)));
        self.committed.push_back((now, committed.collect()));
        while self.committed.len() > 1 && self.committed[1].0 + KNOWABLE_MS <= now {
            self.committed.pop_front();
        }
    }

    /// A step's command is about to be sent.
    pub(crate) fn sends(&mut self, world: &World, step: &Step) {
        self.look(world);
        let now = world.now_ms;
        let mut wrongs: Vec<String> = Vec::new();
        match step {
            Step::UpgradePackages(upgrade) => wrongs.extend(in_words(self.known_reasons(&upgrade.node, now))),
            Step::Reboot(reboot) => wrongs.extend(in_words(self.known_reasons(&reboot.node, now))),
            Step::HandOver(over) => wrongs.extend(in_words(self.known_reasons(&over.node, now))),
            Step::ChangeSetting(ChangeSetting { act: Act::Set, setting: Setting::Maintenance(enter) }) => {
                let mut others = self.known_reasons(&enter.node, now);
                others.retain(|why| matches!(why, WhyNotStop::AnotherIsOut(_)));
                wrongs.extend(in_words(others));
            }
            Step::Migrate(migrate) => {
                // A stopped guest is moved as files; its memory counts when it is started.
                if world.guests.get(&migrate.guest).is_some_and(Guest::is_running) {
                    wrongs.extend(self.does_not_fit(world, migrate.guest, &migrate.to));
                }
                wrongs.extend(backward(world, migrate.guest, &migrate.to, migrate.mode));
            }
            Step::StartGuest(start) => {
                let node = world.guests.get(&start.guest).map(|guest| guest.node.clone());
                wrongs.extend(node.and_then(|node| self.does_not_fit(world, start.guest, &node)));
            }
            Step::ShutdownGuest(shutdown) if !world.impact.has_consent(shutdown.guest) => {
                wrongs.push(format!("{} is shut down without consent", shutdown.guest));
            }
            Step::HibernateGuest(hibernate) if !world.impact.has_consent(hibernate.guest) => {
                wrongs.push(format!("{} hibernates without consent", hibernate.guest));
            }
            // Harmless to what this checker looks at: guests, votes and copies stay as they are, or come back.
            Step::RefreshPackages(_)
            | Step::ChangeSetting(_)
            | Step::EjectMedia(_)
            | Step::InsertMedia(_)
            | Step::ShutdownGuest(_)
            | Step::HibernateGuest(_)
            | Step::StopToMove(_)
            | Step::StartMoved(_)
            | Step::WaitEmpty(_)
            | Step::WaitBack(_)
            | Step::WaitHaIdle(_)
            | Step::FinalCheck(_) => {}
        }
        self.of_last = wrongs.len();
        self.wrongs.extend(wrongs.into_iter().map(|why| format!("at {}: {why}", step.kind().title())));
    }

    /// The command that was sent last did nothing, by its own condition: nothing wrong was done.
    pub(crate) fn not_done(&mut self) {
        self.wrongs.truncate(self.wrongs.len() - std::mem::take(&mut self.of_last));
    }

    /// Reasons not to stop a node that have been there for long enough to be known.
    fn known_reasons(&self, node: &NodeName, now: u64) -> Vec<WhyNotStop> {
        let old = self.since_ms.iter().filter(|((of, _), since)| of == node && now >= **since + KNOWABLE_MS);
        old.map(|((_, why), _)| why.clone()).collect()
    }

    /// More than the machine has, counting what was on it all the while.
    fn does_not_fit(&self, world: &World, guest: GuestId, to: &NodeName) -> Option<String> {
        let machine = world.nodes.get(to)?;
        let least = self.committed.iter().filter_map(|(_, of)| of.get(to)).min()?;
        let needed = machine.host_used_bytes + least + world.guests.get(&guest)?.memory_bytes;
        let fits = needed <= machine.memory_bytes || world.guests.get(&guest)?.runs_on.contains(to);
        (!fits).then(|| format!("memory-fits: {to} would hold {needed} of {} bytes", machine.memory_bytes))
    }
}

fn in_words(reasons: Vec<WhyNotStop>) -> impl Iterator<Item = String> {
    reasons.into_iter().map(|why| why.to_string())
}

fn backward(world: &World, guest: GuestId, to: &NodeName, mode: MoveMode) -> Option<String> {
    let guest = world.guests.get(&guest).filter(|guest| guest.is_running())?;
    if matches!(mode, MoveMode::Restart | MoveMode::Offline) {
        return None;
    }
    let (there, runs) = (world.nodes.get(to)?.installed("pve-qemu-kvm")?, guest.running_qemu.as_ref()?);
    (there < runs).then(|| format!("forward-only: {} runs {runs}, {to} has {there}", guest.id))
}

/// Why this node must not be stopped now, by the truth.
fn why_not_stop(world: &World, node: &NodeName) -> Vec<WhyNotStop> {
    let mut why = Vec::new();
    let is_on = world.nodes.get(node).is_some_and(|machine| machine.power == Power::On);
    if !is_on {
        return why;
    }
    why.extend(
        world
            .nodes
            .keys()
            .filter(|other| *other != node && is_out(world, other))
            .map(|other| WhyNotStop::AnotherIsOut(other.clone())),
    );
    let running = world.nodes[node].processes.iter();
    why.extend(running.map(|guest| WhyNotStop::GuestRuns { guest: *guest, node: node.clone() }));
    if let Some(view) = world.corosync.views.get(node) {
        let left = view.total_votes.saturating_sub(world.corosync.votes.get(node).copied().unwrap_or(0));
        if left < view.quorum {
            why.push(WhyNotStop::TooFewVotes { left, needed: view.quorum });
        }
    }
    if let Some(ceph) = &world.ceph {
        let mine = |id: &quorate_core::ids::OsdId| ceph.osds.get(id).is_some_and(|osd| osd.host == *node);
        let starved = ceph.pgs.iter().filter(|pg| pg.up.iter().any(mine)).filter(|pg| {
            let left = pg.up.iter().filter(|id| !mine(id) && ceph.osds.get(id).is_some_and(|osd| osd.up));
            let needed = ceph.pools.get(&pg.pool).map_or(1, |pool| pool.min_size as usize);
            left.filter(|id| !pg.backfill.contains_key(id)).count() < needed
        });
        if starved.count() > 0 {
            why.push(WhyNotStop::TooFewCopies);
        }
        let mons =
            ceph.mon_quorum().iter().filter(|name| ceph.mons.get(*name).is_some_and(|mon| mon.host != *node)).count();
        if ceph.mons.values().any(|mon| mon.host == *node) && mons * 2 <= ceph.mons.len() {
            why.push(WhyNotStop::TooFewMonitors);
        }
    }
    why
}
