//! Looks and plans. Nothing in the cluster is changed; package lists are refreshed if asked.

use quorate_core::checks::{self, Asked, Finding, Subject};
use quorate_core::forecast::Forecast;
use quorate_core::ids::{NodeName, RunId, UnixMs};
use quorate_core::plan::{NoPlan, Plan, WhyNoPlan};
use quorate_core::planner::Ongoing;
use quorate_core::policy::Policy;
use quorate_core::run::{plan_and_verify, upgrade_unit};
use quorate_core::snapshot::Snapshot;
use quorate_pve::observe::{Hosts, Look, observe};
use quorate_pve::ports::Ports;

use crate::refresh::{ListsRead, Refreshed, refresh, stale};

/// Everything that an operator should see before a run.
#[derive(Clone, Debug)]
pub struct Prepared {
    /// What was seen.
    pub snapshot: Snapshot,
    /// What was found, worst first.
    pub findings: Vec<Finding>,
    /// The plan, checked by code other than the planner's; or why there is none.
    pub plan: Result<(Plan, Forecast), NoPlan>,
    /// How the package lists were read again; none if they are as they were.
    pub lists: Option<ListsRead>,
}

/// What a run starts with.
#[derive(Clone, Debug)]
pub struct Beginning {
    /// The run's id.
    pub run: RunId,
    /// The cluster's name.
    pub cluster: String,
    /// What the operator allows.
    pub policy: Policy,
    /// The plan that it follows first.
    pub plan: Plan,
}

/// What to do about package lists that are old.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lists {
    /// Leave them: nothing at all is changed.
    AsTheyAre,
    /// Refresh them, as a plan that is about to be followed needs it.
    Refresh,
}

/// Looks at the cluster and plans a run of that id.
pub async fn prepare(
    ports: &Ports,
    known_nodes: Vec<NodeName>,
    policy: &Policy,
    run: &RunId,
    lists: Lists,
) -> Prepared {
    let (mut findings, mut read) = (Vec::new(), None);
    let begun = ports.clock.now();
    if lists == Lists::Refresh {
        let before = look_before_a_run(ports, known_nodes.clone()).await;
        // Not while a driver may be at work; the check of its lock says who it is, and that is in the way of a plan.
        if before.driver.known().is_some() && !checks::another_driver_works(&before) {
            let refreshed = refresh(ports, &stale(&before)).await;
            read = Some(refreshed.as_read(ports.clock.now().since_s(begun)));
            findings = not_refreshed(refreshed, policy);
        }
    }
    let snapshot = observe(ports, Look { known_nodes, ..Look::full() }).await;
    let mut prepared = of_snapshot(snapshot, policy, run);
    findings.append(&mut prepared.findings);
    Prepared { findings, lists: read, ..prepared }
}

/// Looks at everything but what PVE's checker says: that is run once, after the package lists were refreshed.
pub async fn look_before_a_run(ports: &Ports, known_nodes: Vec<NodeName>) -> Snapshot {
    observe(ports, Look { known_nodes, hosts: Hosts::Nobody, ..Look::full() }).await
}

/// What is in the way after a refresh.
pub(crate) fn not_refreshed(refreshed: Refreshed, policy: &Policy) -> Vec<Finding> {
    let failed = refreshed.failed.into_iter().map(|(node, why)| refresh_failed(node, &why));
    let kept = refreshed.kept.into_iter().map(|(node, warning)| checks::kept_old_lists(node, warning, policy));
    failed.chain(kept).collect()
}

fn refresh_failed(node: NodeName, why: &str) -> Finding {
    let problem = format!("the package lists of {node} could not be refreshed: {why}");
    let remedy = format!(
        "run `apt-get update` on {node}, and fix or switch off the repository that it names; the run refreshes the lists \
         once more before the node is drained and would stop there"
    );
    WhyNoPlan::PackageLists.finding(Subject::Node(node), problem, remedy)
}

impl Prepared {
    /// The same from a snapshot that was taken before.
    pub fn of(snapshot: Snapshot, policy: &Policy, run: &RunId) -> Self {
        of_snapshot(snapshot, policy, run)
    }

    /// The same for a drain of one node.
    pub fn of_drain(mut snapshot: Snapshot, policy: &Policy, run: &RunId, node: &NodeName) -> Self {
        checks::accept_health(&mut snapshot, policy);
        let findings = checks::before_a_drain(&snapshot, policy, node, Asked::BeforeARun);
        if checks::another_driver_works(&snapshot) {
            return Self { plan: Err(NoPlan::refused(findings.clone())), snapshot, findings, lists: None };
        }
        let plan = plan_and_verify(&snapshot, policy, &Ongoing::drain(node.clone(), upgrade_unit(run)));
        Self { snapshot, findings, plan, lists: None }
    }
}

fn of_snapshot(mut snapshot: Snapshot, policy: &Policy, run: &RunId) -> Prepared {
    checks::accept_health(&mut snapshot, policy);
    let findings = checks::run_all(&snapshot, policy, Asked::BeforeARun);
    if checks::another_driver_works(&snapshot) {
        // What its run has under way is no reason against a plan, and none for a remedy.
        return Prepared { plan: Err(NoPlan::refused(findings.clone())), snapshot, findings, lists: None };
    }
    let plan = plan_and_verify(&snapshot, policy, &Ongoing::fresh(upgrade_unit(run)));
    Prepared { snapshot, findings, plan, lists: None }
}

/// A run's id: short enough to type, from the moment and the snapshot.
pub fn new_run_id(now: UnixMs, cluster: &str) -> RunId {
    // FNV-1a: the id must be unlikely to repeat, nothing more.
    let bytes = cluster.bytes().chain(now.0.to_le_bytes());
    let hash =
        bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    RunId::new(format!("{:08x}", hash >> 32))
}
