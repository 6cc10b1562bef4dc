//! Everything that Quorate can do to a cluster. One file per step, one line here.
//!
//! A step is data that describes itself: [`StepKind`] asks for everything that other code needs to know about it,
//! without a default, so that a new step cannot forget an answer. It answers one question about a snapshot: its
//! [`StepStatus`]. Guard and verify are the same function read at two moments, and resuming after a crash is the normal
//! path. The command it sends is data as well.
//!
//! What a run changes for a while and sets back later, a flag or a mode, is a [`Setting`]: see [`settings`].

mod effect;
mod mode;
mod profile;
pub mod settings;
mod status;
mod support;
mod why;

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

pub use change_setting::{set, undo};
pub use effect::{Change, Effect};
pub use mode::{Move, MoveMode};
pub use profile::{About, Class, IfImpossible, Limits, OnGuest, OnNode, Profile};
pub use refresh_packages::LISTS_MAX_AGE_S;
pub use settings::{Act, ExpectedVotes, Failback, Maintenance, Noout, Rebalance, Setting};
pub use status::StepStatus;
pub use support::{ceph_unsettled, is_benign, what_runs_on};
pub(crate) use support::{set_status, take_offline};
pub use upgrade_packages::{is_microcode, kernel_release};
pub use wait_back::NEEDED_SERVICES;
pub use why::{Why, lingers};

use crate::command::Command;
use crate::ids::{GuestId, NodeName, StorageId};
use crate::policy::Deadlines;
use crate::snapshot::Snapshot;

/// What every step says about itself.
pub trait StepKind {
    /// The verb in ids, plans and the journal: `migrate`.
    fn verb(&self) -> &'static str;
    /// One line for the plan: `migrate vm:101 web pve1 → pve2, live`.
    fn title(&self) -> String;
    /// What it is about, what it does to which node or guest, what it costs.
    fn profile(&self) -> Profile<'_>;
    /// What undoes it.
    fn undo(&self) -> Undo;
    /// How long it may take and how often it may be tried.
    fn limits(&self, deadlines: &Deadlines) -> Limits;
    /// Where it stands.
    fn status(&self, snapshot: &Snapshot) -> StepStatus;
    /// Exactly what will be sent; none for a step that only waits for a state.
    fn command(&self, snapshot: &Snapshot) -> Option<Command>;
    /// How it changes the forecast.
    fn effect(&self) -> Effect<'_>;
}

/// What undoes a step. No run ends while something is still to be undone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Undo {
    /// What it does is meant to stay, or it does nothing.
    Nothing,
    /// It changes something for a while: this step sets it back later in the run.
    Later(Step),
    /// It undoes itself when it is done; where it stops half-way, this step does what is left.
    UnlessDone(Step),
    /// It is an undo itself, and done only while the run has something to undo: what an administrator set is not ours
    /// to clear.
    ThisIsOne,
}

/// Declares the steps: one line each. Makes the [`Step`] enum and passes each question to the step's own file.
macro_rules! steps {
    ($($(#[$doc:meta])* $module:ident :: $name:ident),+ $(,)?) => {
        $(mod $module; pub use $module::$name;)+

        /// One step of any kind.
        #[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(rename_all = "kebab-case", tag = "step")]
        pub enum Step {
            $($(#[$doc])* $name($name),)+
        }

        /// Every kind of step by its module.
        const KINDS: &[&str] = &[$(stringify!($module)),+];

        impl Step {
            /// The step by what all steps have in common.
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
    /// Package lists are refreshed.
    refresh_packages::RefreshPackages,
    /// A flag or a mode is set for a while, or set back.
    change_setting::ChangeSetting,
    /// A CD image is ejected.
    eject_media::EjectMedia,
    /// A CD image that was ejected is put back.
    insert_media::InsertMedia,
    /// A guest is moved.
    migrate::Migrate,
    /// A guest that cannot move is shut down.
    shutdown_guest::ShutdownGuest,
    /// A VM that cannot move hibernates.
    hibernate_guest::HibernateGuest,
    /// A guest that was shut down, or hibernates, is started again.
    start_guest::StartGuest,
    /// A guest is shut down, to be moved while it is stopped.
    stop_to_move::StopToMove,
    /// A guest that was stopped for its move is started where it is.
    start_moved::StartMoved,
    /// The node itself says that nothing runs on it.
    wait_empty::WaitEmpty,
    /// Packages are upgraded, detached from us.
    upgrade_packages::UpgradePackages,
    /// The node is rebooted.
    reboot::Reboot,
    /// The node is handed over to its administrator.
    hand_over::HandOver,
    /// The node is back: member, links, services, storages, Ceph.
    wait_back::WaitBack,
    /// HA has nothing under way.
    wait_ha_idle::WaitHaIdle,
    /// The cluster is as it should be at the end.
    final_check::FinalCheck,
}

/// The verbs of all steps, so that a table over them cannot forget one.
pub fn verbs() -> impl Iterator<Item = String> {
    let kinds = KINDS.iter().filter(|kind| **kind != "change_setting").map(|kind| kind.replace('_', "-"));
    kinds.chain(settings::VERBS.iter().flatten().map(ToString::to_string))
}

/// What other code asks of a step, derived from its answers.
impl Step {
    /// The guest that it is about.
    pub fn guest(&self) -> Option<GuestId> {
        self.kind().profile().about.guest()
    }

    /// The node that it is about.
    pub fn node(&self) -> Option<&NodeName> {
        self.kind().profile().about.node()
    }

    /// What it means for its node.
    pub fn on_node(&self) -> OnNode {
        self.kind().profile().on_node
    }

    /// The move that it makes, if it makes one.
    pub fn moves(&self) -> Option<Move<'_>> {
        match self.kind().profile().on_guest {
            OnGuest::Moves(step) => Some(step),
            OnGuest::Nothing | OnGuest::Stops | OnGuest::Starts | OnGuest::Configures => None,
        }
    }

    /// The same step of any run: without the name by which a run finds its own unit again.
    #[must_use]
    pub fn of_any_run(&self) -> Self {
        match self {
            Self::UpgradePackages(step) => UpgradePackages { unit: "".into(), ..step.clone() }.into(),
            other => other.clone(),
        }
    }

    /// Storages that its node's return does not wait for.
    pub fn returns_without(&self) -> Option<&BTreeSet<StorageId>> {
        let Self::WaitBack(back) = self else { return None };
        Some(&back.without)
    }

    /// What a wait found amiss and did not wait for, since its node cannot bring it.
    pub fn not_waited_for(&self, snapshot: &Snapshot) -> Vec<Why> {
        let Self::WaitBack(back) = self else { return Vec::new() };
        back.not_waited_for(snapshot)
    }

    /// Does it move a guest?
    pub fn is_move(&self) -> bool {
        self.moves().is_some()
    }

    /// Does it only undo what an earlier step changed?
    pub fn is_undo(&self) -> bool {
        self.kind().undo() == Undo::ThisIsOne
    }

    /// The step that sets back later what this one changes for a while.
    pub fn undone_later_by(&self) -> Option<Step> {
        match self.kind().undo() {
            Undo::Later(step) => Some(step),
            Undo::Nothing | Undo::UnlessDone(_) | Undo::ThisIsOne => None,
        }
    }

    /// The step that does what is left where this one stops half-way.
    pub fn undone_on_the_way_by(&self) -> Option<Step> {
        match self.kind().undo() {
            Undo::UnlessDone(step) => Some(step),
            Undo::Nothing | Undo::Later(_) | Undo::ThisIsOne => None,
        }
    }

    /// The guest that it shuts down, to be started by another step.
    pub fn stops(&self) -> Option<GuestId> {
        self.guest().filter(|_| self.kind().profile().on_guest == OnGuest::Stops)
    }

    /// The guest that it starts again: its downtime ends.
    pub fn starts(&self) -> Option<GuestId> {
        self.guest().filter(|_| self.kind().profile().on_guest == OnGuest::Starts)
    }

    /// The guest that it starts on a node of its own: it was shut down there and stays there.
    pub fn starts_in_place(&self) -> Option<GuestId> {
        self.starts().filter(|_| self.node().is_some())
    }

    /// The guest that it starts wherever it is by then: it was stopped for its move.
    pub fn starts_moved(&self) -> Option<GuestId> {
        self.starts().filter(|_| self.node().is_none())
    }

    /// The guest that it stops and starts again by itself: a container that moves.
    pub fn restarts(&self) -> Option<GuestId> {
        self.moves().filter(Move::restarts).map(|step| step.guest)
    }

    /// The guest whose downtime begins with it.
    pub fn takes_down(&self) -> Option<GuestId> {
        self.stops().or_else(|| self.restarts())
    }

    /// The guest whose configuration it changes.
    pub fn configures(&self) -> Option<GuestId> {
        self.guest().filter(|_| self.kind().profile().on_guest == OnGuest::Configures)
    }

    /// Does it leave its node, and every guest, as they were: a look, or a setting of the whole cluster?
    pub fn leaves_nodes_as_they_are(&self) -> bool {
        self.on_node() == OnNode::Nothing && self.guest().is_none() && !self.is_undo()
    }

    /// Forecast: the state while it runs.
    pub fn during(&self, snapshot: &mut Snapshot) {
        self.kind().effect().during.apply(snapshot);
    }

    /// Forecast: the state once it is done.
    pub fn after(&self, snapshot: &mut Snapshot) {
        self.kind().effect().after.apply(snapshot);
    }
}

#[cfg(test)]
mod tests;
