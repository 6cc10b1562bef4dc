//! Safety rules that are switched off, so that a test can show what each is for. Only with the feature `without-rules`,
//! which `quorate` is not built with.

use std::collections::BTreeSet;

use quorate_core::invariants::RuleId;
use quorate_core::run::Objection;

/// The rules that are switched off.
#[derive(Default)]
pub(crate) struct SwitchedOff {
    pub(crate) rules: BTreeSet<RuleId>,
    pub(crate) without_corosync_watch: bool,
}

impl SwitchedOff {
    /// Is the rule that objects switched off?
    pub(crate) fn has(&self, objection: &Objection) -> bool {
        match objection {
            Objection::Rule(refusal) => self.rules.contains(&refusal.rule),
            Objection::CorosyncWatch(_) => self.without_corosync_watch,
            Objection::Unfenced(_) | Objection::Unsettled(_) => false,
        }
    }
}
