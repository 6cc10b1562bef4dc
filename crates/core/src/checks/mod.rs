//! What an administrator should know before a run. One file per check, one line here.
//!
//! A check finds something in what was seen, and each thing that it can find is a variant of an enum in its file. What
//! was *not* seen is reported by one check alone, `unknown-readings`: the others are silent about it, so that one gap
//! is one finding. What a safety rule says is found by asking the rule (`rules.rs`); no check repeats it.

mod check;
mod choices;
mod drain;
mod finding;
mod guest_outcome;
mod rules;
mod stuck;
mod support;
#[cfg(test)]
mod tests;
mod waiving;

pub use check::{AnyCheck, Asked, Waivable};
pub use choices::{Choice, Question, choices, config_line, open_questions};
pub use finding::{Finding, Severity, Subject};
pub use guest_outcome::{GuestOutcome, GuestOutcomeKind, guest_outcome};
/// Is this line of PVE's checker one that no node can get rid of before it is drained?
pub use upgrade_checker::is_inherent;
pub use waiving::{accept, asked, means, parse_waiver, waivable};

use self::check::Check;
use crate::ids::NodeName;
use crate::policy::Policy;
use crate::snapshot::Snapshot;

/// Declares the checks: one line each.
macro_rules! checks {
    ($($module:ident :: $name:ident),+ $(,)?) => {
        $(mod $module;)+

        /// Every check.
        pub static ALL: &[AnyCheck] = &[$(AnyCheck::of::<$module::$name>()),+];
    };
}

checks! {
    unknown_readings::UnknownReadings,
    login_text::LoginText,
    certificates::Certificates,
    all_guests_visible::AllGuestsVisible,
    token_privileges::TokenPrivileges,
    driver_lock::DriverLockHeld,
    policy_names::PolicyNames,
    waivers::Waivers,
    spare_votes::SpareVotes,
    corosync_links::CorosyncLinks,
    corosync_noise::CorosyncNoise,
    shared_network::SharedNetwork,
    migration_ways::MigrationWays,
    ha_state::HaState,
    ha_rules::HaRules,
    other_movers::OtherMovers,
    shutdown_policy::ShutdownPolicy,
    ceph_health::CephHealth,
    ceph_versions::CephVersions,
    node_versions::NodeVersions,
    upgrade_checker::UpgradeChecker,
    pending_updates::PendingUpdates,
    old_package_lists::OldPackageLists,
    offered_versions::OfferedVersions,
    held_packages::HeldPackages,
    repositories::Repositories,
    third_party_sources::ThirdPartySources,
    dpkg_state::DpkgState,
    upgrade_unit::EarlierUpgrade,
    disk_space::DiskSpace,
    boot_loader::BootLoader,
    disk_health::DiskHealth,
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
    running_qemu::RunningQemu,
    container_cgroups::ContainerCgroups,
    mediated_devices::MediatedDevices,
    start_at_boot::StartAtBoot,
    guest_verdict::GuestOutcomes,
    orphaned_guests::OrphanedGuests,
    capacity::Capacity,
}

/// Marks the health checks of Ceph that a waiver accepts: neither a rule nor a step waits for their end. To be done with
/// each snapshot that a run or a plan is based on.
pub fn accept_health(snapshot: &mut Snapshot, policy: &Policy) {
    let Some(ceph) = snapshot.ceph.known_mut().and_then(Option::as_mut) else { return };
    for (code, check) in &mut ceph.checks {
        check.accepted = ceph_health::is_accepted(code, check, policy);
    }
}

/// The finding that apt could not read a source of this node and kept what it had of it, in apt's own words; waived if
/// the policy says so.
pub fn kept_old_lists(node: NodeName, warning: String, policy: &Policy) -> Finding {
    let mut finding = [old_package_lists::kept(node, warning)];
    waiving::waive(&mut finding, &policy.waive);
    let [finding] = finding;
    finding
}

/// The check with this id.
pub fn by_id(id: &str) -> Option<&'static AnyCheck> {
    ALL.iter().find(|check| check.id == id)
}

/// May another driver be at work in the cluster?
pub fn another_driver_works(snapshot: &Snapshot) -> bool {
    snapshot.driver.known().is_some_and(|lock| lock.as_ref().is_some_and(|lock| lock.may_live(snapshot.taken)))
}

/// Everything that is found at this time, with what is waived: the worst first, then by subject, then by check. Before
/// a run that is what the safety rules say and all checks find; but while another driver is at work, only that: what its
/// run does at this moment looks like damage, and every remedy would be against it. In a run the rules are asked before
/// each step, and only those checks are made that nothing else takes care of.
pub fn run_all(snapshot: &Snapshot, policy: &Policy, when: Asked) -> Vec<Finding> {
    found(snapshot, policy, when, None)
}

/// The same as far as it bears on a drain: only this node goes out, and nothing is upgraded.
pub fn before_a_drain(snapshot: &Snapshot, policy: &Policy, node: &NodeName, when: Asked) -> Vec<Finding> {
    found(snapshot, policy, when, Some(node))
}

fn found(snapshot: &Snapshot, policy: &Policy, when: Asked, drained: Option<&NodeName>) -> Vec<Finding> {
    let other = when == Asked::BeforeARun && another_driver_works(snapshot);
    let is_made = |check: &&AnyCheck| match other {
        true => check.id == driver_lock::DriverLockHeld::ID,
        false => when == Asked::BeforeARun || check.asked == when,
    };
    let mut findings: Vec<Finding> = ALL.iter().filter(is_made).flat_map(|check| check.run(snapshot, policy)).collect();
    if when == Asked::BeforeARun && !other {
        findings.extend(rules::findings(snapshot, policy, drained));
    }
    if let Some(node) = drained {
        findings.retain(|finding| drain::bears_on(finding, snapshot, node));
    }
    waiving::waive(&mut findings, &policy.waive);
    findings.sort_by(|one, other| {
        let worst_first = other.severity.cmp(&one.severity);
        let place = |finding: &Finding| (finding.subject.clone(), finding.check.clone(), finding.problem.clone());
        worst_first.then_with(|| place(one).cmp(&place(other)))
    });
    findings
}
