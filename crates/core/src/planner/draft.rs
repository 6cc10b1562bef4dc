//! The wave that is being written: steps, stage after stage.

use crate::plan::PlannedStep;

/// The wave that is being written.
pub(super) struct Draft {
    pub(super) prefix: String,
    pub(super) stage: u32,
    pub(super) steps: Vec<PlannedStep>,
}

impl Draft {
    pub(super) fn new(prefix: &str) -> Self {
        Self { prefix: prefix.to_owned(), stage: 0, steps: Vec::new() }
    }

    /// What follows waits for what was written so far.
    pub(super) fn next_stage(&mut self) {
        if self.steps.last().is_some_and(|step| step.stage == self.stage) {
            self.stage += 1;
        }
    }

    /// How long it takes so far.
    pub(super) fn duration_s(&self) -> u64 {
        crate::plan::duration_s(&self.steps)
    }
}
