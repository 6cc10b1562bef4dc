//! What an administrator should know before a run. One file per check, one line here.
//!
//! A check says what it found in what was seen. What was *not* seen is the business of one check alone,
//! `unknown-readings`: the others are silent about it, so that one gap is one finding.

mod choices;
pub mod classes;
mod fate;
mod support;
#[cfg(test)]
mod tests;
mod waiver_text;

pub use choices::{Choice, Question, choices, config_line, open_questions};
pub use fate::{Fate, FateKind, fate};
use serde::{Deserialize, Serialize};

use crate::ids::{GuestId, NodeName, StorageId};
use crate::policy::Policy;
use crate::snapshot::Snapshot;

/// One thing found, with its evidence and its remedy.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// The check's id: `quorum-margin`.
    pub check: String,
    /// How much it matters.
    pub severity: Severity,
    /// What it is about.
    pub subject: Subject,
    /// What is wrong, in one sentence, with the figures that were seen.
    pub problem: String,
    /// What to do about it, with the literal command where there is one.
    pub remedy: String,
    /// The operator's reason, if the finding is waived.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waived: Option<String>,
}

/// How much a finding matters. Ordered: the worst is the greatest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Good to know.
    Info,
    /// The operator takes it as it is, with a reason.
    Waived,
    /// Look at it; a run is possible.
    Warning,
    /// A run is possible once the operator has agreed.
    Consent,
    /// No run while this stands. Unknown readings are of this kind.
    Blocking,
}

/// What a finding is about. Ordered as an administrator reads: the cluster, then nodes, then guests.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Subject {
    /// All of it.
    Cluster,
    /// A node.
    Node(NodeName),
    /// A storage.
    Storage(StorageId),
    /// A guest.
    Guest(GuestId),
}

impl std::fmt::Display for Subject {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Cluster => f.pad("cluster"),
            Self::Node(name) => name.fmt(f),
            Self::Storage(id) => id.fmt(f),
            Self::Guest(id) => id.fmt(f),
        }
    }
}

/// A check: a pure function from what was seen to what was found.
pub trait Check: Sync {
    /// Its id, as in findings and `quorate explain`.
    fn id(&self) -> &'static str;
    /// What it is for, how a finding looks, how to mend it: the text of `quorate explain`.
    fn explain(&self) -> &'static str;
    /// What it finds.
    fn run(&self, snapshot: &Snapshot, policy: &Policy) -> Vec<Finding>;
}

/// Declares the checks: one line each.
macro_rules! checks {
    ($($module:ident :: $name:ident),+ $(,)?) => {
        $(mod $module;)+

        /// Every check.
        pub const ALL: &[&dyn Check] = &[$(&$module::$name),+];
    };
}

checks! {
    unknown_readings::UnknownReadings,
    all_guests_visible::AllGuestsVisible,
    token_privileges::TokenPrivileges,
    driver_lock::DriverLockHeld,
    policy_names::PolicyNames,
    waivers::Waivers,
    quorum_margin::QuorumSpare,
    nodes_online::NodesOnline,
    corosync_links::CorosyncLinks,
    corosync_noise::CorosyncNoise,
    shared_network::SharedNetwork,
    ha_state::HaState,
    ha_rules::HaRules,
    other_movers::OtherMovers,
    shutdown_policy::ShutdownPolicy,
    ceph_health::CephHealth,
    ceph_versions::CephVersions,
    node_versions::NodeVersions,
    upgrade_checker::UpgradeChecker,
    pending_updates::PendingUpdates,
    repositories::Repositories,
    third_party_sources::ThirdPartySources,
    dpkg_state::DpkgState,
    upgrade_unit::EarlierUpgrade,
    disk_space::DiskSpace,
    boot_loader::BootLoader,
    kernel_pins::KernelPins,
    nic_names::NicNames,
    dkms_modules::DkmsModules,
    clock_skew::ClockSkew,
    time_sync::TimeSync,
    services::Services,
    failed_units::FailedUnits,
    storages::Storages,
    running_jobs::RunningJobs,
    upcoming_backups::UpcomingBackups,
    replication::Replication,
    machine_versions::MachineVersions,
    container_cgroups::ContainerCgroups,
    mediated_devices::MediatedDevices,
    guest_verdict::GuestVerdict,
    capacity::Capacity,
}

/// The check with this id.
pub fn by_id(id: &str) -> Option<&'static dyn Check> {
    ALL.iter().copied().find(|check| check.id() == id)
}

/// Is this line of PVE's checker one that no node can be rid of before it is drained?
pub use upgrade_checker::is_inherent;

/// Everything that all checks find, with what is waived: the worst first, then by subject, then by check.
pub fn run_all(snapshot: &Snapshot, policy: &Policy) -> Vec<Finding> {
    let mut findings: Vec<Finding> = ALL.iter().flat_map(|check| check.run(snapshot, policy)).collect();
    classes::waive(&mut findings, &policy.waive);
    findings.sort_by(|one, other| {
        let worst_first = other.severity.cmp(&one.severity);
        let place = |finding: &Finding| (finding.subject.clone(), finding.check.clone(), finding.problem.clone());
        worst_first.then_with(|| place(one).cmp(&place(other)))
    });
    findings
}
