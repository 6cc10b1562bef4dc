//! A flag or a mode is set for a while, or set back: everything about it follows from its [`Setting`].

use serde::{Deserialize, Serialize};

use super::settings::{Act, ExpectedVotes, Noout, Reading, Setting};
use super::{Change, Class, Effect, IfImpossible, Limits, OnGuest, OnNode, Profile, Step, StepKind, StepStatus, Undo};
use crate::command::Command;
use crate::policy::Deadlines;
use crate::snapshot::Snapshot;

/// Sets one setting, or undoes that.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChangeSetting {
    /// Set it or set it back.
    pub act: Act,
    /// The setting.
    #[serde(flatten)]
    pub setting: Setting,
}

/// The step that sets a flag or a mode for a while.
pub fn set(setting: impl Into<Setting>) -> Step {
    ChangeSetting { act: Act::Set, setting: setting.into() }.into()
}

/// The step that sets it back.
pub fn undo(setting: impl Into<Setting>) -> Step {
    ChangeSetting { act: Act::Undo, setting: setting.into() }.into()
}

impl Step {
    /// The noout that it sets or clears.
    pub fn noout(&self) -> Option<&Noout> {
        let Self::ChangeSetting(ChangeSetting { setting: Setting::Noout(noout), .. }) = self else { return None };
        Some(noout)
    }

    /// The expected votes that it lowers or raises again.
    pub fn expected_votes(&self) -> Option<&ExpectedVotes> {
        let Self::ChangeSetting(ChangeSetting { setting: Setting::ExpectedVotes(votes), .. }) = self else {
            return None;
        };
        Some(votes)
    }
}

impl StepKind for ChangeSetting {
    fn verb(&self) -> &'static str {
        let [set, undo] = self.setting.verbs();
        match self.act {
            Act::Set => set,
            Act::Undo => undo,
        }
    }

    fn title(&self) -> String {
        self.setting.kind().title(self.act)
    }

    fn profile(&self) -> Profile<'_> {
        let kind = self.setting.kind();
        let (class, on_node) = match self.act {
            Act::Set => (kind.class(), kind.on_node()),
            Act::Undo => (Class::Restoring, OnNode::Nothing),
        };
        Profile {
            about: kind.about(),
            class,
            on_node,
            on_guest: OnGuest::Nothing,
            consent: None,
            if_impossible: IfImpossible::PlanAgain,
            estimate_s: kind.estimate_s(),
        }
    }

    fn undo(&self) -> Undo {
        match self.act {
            Act::Set => Undo::Later(Step::from(Self { act: Act::Undo, setting: self.setting.clone() })),
            Act::Undo => Undo::ThisIsOne,
        }
    }

    fn limits(&self, deadlines: &Deadlines) -> Limits {
        self.setting.kind().limits(self.act, deadlines)
    }

    fn status(&self, snapshot: &Snapshot) -> StepStatus {
        let kind = self.setting.kind();
        match (self.act, kind.read(snapshot)) {
            (_, Err(why)) => StepStatus::blocked(why),
            (Act::Set, Ok(Reading::Set)) | (Act::Undo, Ok(Reading::NotSet)) => StepStatus::Done,
            (Act::Set, Ok(Reading::NotSet)) | (Act::Undo, Ok(Reading::Set)) | (_, Ok(Reading::InPart)) => {
                kind.may(self.act, snapshot)
            }
            (Act::Set, Ok(Reading::Gone(why))) => StepStatus::Impossible(why),
            (Act::Set, Ok(Reading::Away(why))) => StepStatus::blocked(why),
            (Act::Undo, Ok(Reading::Gone(_) | Reading::Away(_))) => StepStatus::Done,
        }
    }

    fn command(&self, snapshot: &Snapshot) -> Option<Command> {
        self.setting.kind().command(self.act, snapshot)
    }

    fn effect(&self) -> Effect<'_> {
        Effect {
            during: Change::Nothing,
            after: Change::cluster(|snapshot| self.setting.kind().write(self.act, snapshot)),
            promise: Change::Nothing,
        }
    }
}
