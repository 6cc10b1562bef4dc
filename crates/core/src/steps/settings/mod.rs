//! Flags and modes that a run sets for a while and sets back: one file per setting, one line here.
//!
//! A setting says how it is read from a snapshot, how it is set and how that is undone. Both steps, their status,
//! forecast and undo follow from it in [`super::ChangeSetting`]. What is already set when the step comes is the
//! administrator's: it is found done, nothing is to be undone for it, and so it is never cleared.

use serde::{Deserialize, Serialize};

use super::profile::{About, Class, Limits, OnNode};
use super::status::StepStatus;
use super::why::Why;
use crate::command::Command;
use crate::policy::Deadlines;
use crate::snapshot::Snapshot;

/// What is done with a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Act {
    /// It is set.
    Set,
    /// It is set back to what it was.
    Undo,
}

/// The state in which a setting was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reading {
    /// It is set.
    Set,
    /// It is as it was before, or higher.
    NotSet,
    /// Some nodes have it so, others otherwise.
    InPart,
    /// What it applied to is gone.
    Gone(Why),
    /// What it applies to is not there now, and may come back.
    Away(Why),
}

/// What every setting says about itself.
pub trait SettingKind {
    /// One line for the plan.
    fn title(&self, act: Act) -> String;
    /// What it is about.
    fn about(&self) -> About<'_>;
    /// What must hold before it may be set. To undo it is always restoring.
    fn class(&self) -> Class;
    /// What it means for its node while it is set.
    fn on_node(&self) -> OnNode;
    /// How long either takes, in seconds.
    fn estimate_s(&self) -> u64;
    /// How long either may take and how often it may be tried.
    fn limits(&self, act: Act, deadlines: &Deadlines) -> Limits;
    /// The state in which it was seen.
    ///
    /// # Errors
    /// A reading is missing, or the setting can be neither set nor undone now.
    fn read(&self, snapshot: &Snapshot) -> Result<Reading, Why>;
    /// May it be done now, if it is not done: ready, or what prevents it.
    fn may(&self, act: Act, snapshot: &Snapshot) -> StepStatus;
    /// What is sent.
    fn command(&self, act: Act, snapshot: &Snapshot) -> Option<Command>;
    /// Forecast: what the snapshot shows once it is done.
    fn write(&self, act: Act, snapshot: &mut Snapshot);
}

/// Declares the settings: one line each.
macro_rules! settings {
    ($($(#[$doc:meta])* $module:ident :: $name:ident),+ $(,)?) => {
        $(mod $module; pub use $module::$name;)+

        /// One setting of any kind.
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case", tag = "setting")]
        pub enum Setting {
            $($(#[$doc])* $name($name),)+
        }

        /// The verbs of every setting: that of setting it and that of undoing it.
        pub const VERBS: &[[&str; 2]] = &[$($module::VERBS),+];

        impl Setting {
            /// The setting by what all settings have in common.
            pub fn kind(&self) -> &dyn SettingKind {
                match self {
                    $(Self::$name(setting) => setting,)+
                }
            }

            /// The verb of setting it and that of undoing it.
            pub fn verbs(&self) -> [&'static str; 2] {
                match self {
                    $(Self::$name(_) => $module::VERBS,)+
                }
            }
        }

        $(impl From<$name> for Setting {
            fn from(setting: $name) -> Self {
                Self::$name(setting)
            }
        })+
    };
}

settings! {
    /// HA does not take a guest back by itself.
    failback::Failback,
    /// HA does not balance guests by itself.
    rebalance::Rebalance,
    /// HA sends nothing to the node.
    maintenance::Maintenance,
    /// Ceph does not move data because the node's OSDs are down.
    noout::Noout,
    /// The nodes that are left have quorum, without nodes that an administrator confirmed powered off.
    expected_votes::ExpectedVotes,
}
