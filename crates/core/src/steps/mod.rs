//! Everything that Quorate can do to a cluster. One file per step, one line here.
//!
//! A step answers one question about a snapshot: its [`StepStatus`]. Guard and verify are the same function read
//! at two moments, and resuming after a crash is the normal path. The command it sends is data as well.

mod support;

use serde::{Deserialize, Serialize};

pub use migrate::Travel;
pub use prove_back::NEEDED_SERVICES;
pub use refresh_packages::LISTS_MAX_AGE_S;
pub(crate) use support::take_offline;
pub use support::{BENIGN_CEPH_CHECKS, ceph_unsettled, what_runs_on};
use support::{
    NOOUT_LIMITS, all_guests_seen, bring_online, ceph_helper_for, done_when_empty, guest, guest_job, guest_state,
    ha_wants, helper_for, job_on, node, node_mut, noout_set_for, not_locked, read,
};
pub use upgrade_packages::kernel_release;

use crate::command::Command;
use crate::ids::GuestId;
use crate::policy::Deadlines;
use crate::snapshot::Snapshot;

/// Where a step stands, judged by nothing but a snapshot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StepStatus {
    /// Its own needs are met; it may be begun.
    Ready,
    /// It is under way, and this is the evidence.
    Running(String),
    /// What it is for is so.
    Done,
    /// Something it needs is not so, or not known; waiting may help.
    Blocked(Vec<String>),
    /// It can never be done as it stands; a new plan is needed.
    Impossible(String),
}

/// How long a step may take and how often it may be tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limits {
    /// From the first start to done; then the run pauses with a diagnosis.
    pub deadline_s: u64,
    /// After the command was sent, its effect may be invisible for this long: not to be sent again before.
    pub settle_s: u64,
    /// How often the command may be sent.
    pub attempts: u32,
}

/// Does a step take a risk, or give back?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Every safety rule must hold.
    RiskTaking,
    /// It must merely break no rule that holds: otherwise a node lost by accident forbids its own cure.
    Restoring,
}

/// What every step can tell about itself.
pub trait StepKind {
    /// The verb in ids, plans and the journal: `migrate`.
    fn verb(&self) -> &'static str;
    /// What it acts on, for its id: `vm:101`; none if it is the wave's node itself.
    fn subject(&self) -> Option<String> {
        None
    }
    /// One line for the plan: `migrate vm:101 web pve1 → pve2, live`.
    fn title(&self) -> String;
    /// Risk-taking or restoring.
    fn class(&self) -> Class;
    /// Where it stands.
    fn status(&self, snapshot: &Snapshot) -> StepStatus;
    /// Forecast: the state while it runs, where that is another than the one before it.
    fn during(&self, _snapshot: &mut Snapshot) {}
    /// Forecast: the state once it is done.
    fn after(&self, snapshot: &mut Snapshot);
    /// Has its command stopped half way, so that something is down until the rest of it is sent?
    fn is_half_done(&self, _snapshot: &Snapshot) -> bool {
        false
    }
    /// Exactly what will be sent; none for a step that only waits for a state.
    fn command(&self, _snapshot: &Snapshot) -> Option<Command> {
        None
    }
    /// The step that pays back what this one changes.
    fn owes(&self) -> Option<Step> {
        None
    }
    /// What is owed from its order until it is done, and with that no more: a step that stops half way leaves it to others.
    fn owes_on_the_way(&self) -> Option<Step> {
        None
    }
    /// Its limits.
    fn limits(&self, deadlines: &Deadlines) -> Limits;
}

/// Declares the steps: one line each. Makes the [`Step`] enum and sends each question to its file.
macro_rules! steps {
    ($($(#[$doc:meta])* $module:ident :: $name:ident),+ $(,)?) => {
        $(mod $module; pub use $module::$name;)+

        /// Any step.
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case", tag = "step")]
        pub enum Step {
            $($(#[$doc])* $name($name),)+
        }

        /// Every kind of step by its module, so that a table over all of them cannot forget one.
        pub const KINDS: &[&str] = &[$(stringify!($module)),+];

        impl Step {
            /// The step as what it has in common with all others.
            pub fn kind(&self) -> &dyn StepKind {
                match self {
                    $(Self::$name(step) => step,)+
                }
            }
        }

        $(impl From<$name> for Step {
            fn from(step: $name) -> Self {
                Self::$name(step)
            }
        })+
    };
}

steps! {
    /// Package lists are read anew.
    refresh_packages::RefreshPackages,
    /// HA is told not to take a guest back by itself.
    hold_failback::HoldFailback,
    /// HA may take a guest back again.
    restore_failback::RestoreFailback,
    /// HA is told not to balance guests by itself.
    hold_rebalance::HoldRebalance,
    /// HA may balance guests by itself again.
    restore_rebalance::RestoreRebalance,
    /// A CD image is ejected.
    eject_media::EjectMedia,
    /// A CD image that was ejected is put back.
    insert_media::InsertMedia,
    /// A guest is moved.
    migrate::Migrate,
    /// A guest that cannot move is shut down.
    shutdown_guest::ShutdownGuest,
    /// A guest that was shut down is started again.
    start_guest::StartGuest,
    /// A guest is shut down, to be moved while it is stopped.
    stop_to_move::StopToMove,
    /// A guest that was stopped for its move is started where it is.
    start_moved::StartMoved,
    /// The node itself says that nothing runs on it.
    prove_empty::ProveEmpty,
    /// HA sends nothing to the node.
    enter_maintenance::EnterMaintenance,
    /// HA may use the node again.
    leave_maintenance::LeaveMaintenance,
    /// Ceph does not move data because the node's OSDs are down.
    set_noout::SetNoout,
    /// Ceph may move data again.
    unset_noout::UnsetNoout,
    /// Packages are upgraded, detached from us.
    upgrade_packages::UpgradePackages,
    /// The node is rebooted.
    reboot::Reboot,
    /// The node is back: member, links, services, storages, Ceph.
    prove_back::ProveBack,
    /// HA has nothing under way.
    settle_ha::SettleHa,
    /// The cluster is as it should be at the end.
    final_check::FinalCheck,
    /// Those who are left have quorum, without nodes that a person has seen to be off.
    lower_votes::LowerVotes,
    /// Expected votes are what the configuration says.
    restore_votes::RestoreVotes,
}

impl Step {
    /// Does it only give back what an earlier step changed? Then it is done only while that is owed: what an
    /// administrator set is not ours to clear.
    pub fn is_payback(&self) -> bool {
        matches!(
            self,
            Self::RestoreFailback(_)
                | Self::RestoreRebalance(_)
                | Self::LeaveMaintenance(_)
                | Self::UnsetNoout(_)
                | Self::StartGuest(_)
                | Self::StartMoved(_)
                | Self::InsertMedia(_)
                | Self::RestoreVotes(_)
        )
    }

    /// The guest that this step shuts down, to be started by another.
    pub fn stops(&self) -> Option<GuestId> {
        match self {
            Self::ShutdownGuest(step) => Some(step.guest),
            Self::StopToMove(step) => Some(step.guest),
            _ => None,
        }
    }

    /// The guest that this step starts again.
    pub fn starts(&self) -> Option<GuestId> {
        match self {
            Self::StartGuest(step) => Some(step.guest),
            Self::StartMoved(step) => Some(step.guest),
            _ => None,
        }
    }

    /// The guest that this step stops and starts again by itself: a container that moves.
    pub fn restarts(&self) -> Option<GuestId> {
        match self {
            Self::Migrate(step) if step.restarts() => Some(step.guest),
            _ => None,
        }
    }

    /// The guest whose downtime begins with this step.
    pub fn takes_down(&self) -> Option<GuestId> {
        self.stops().or_else(|| self.restarts())
    }
}
