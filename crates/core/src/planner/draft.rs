//! The wave that is being written: steps, stage after stage.

use std::collections::BTreeMap;

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

    /// Longest step of each stage, added up.
    pub(super) fn duration_s(&self) -> u64 {
        let mut by_stage: BTreeMap<u32, u64> = BTreeMap::new();
        for step in &self.steps {
            let longest = by_stage.entry(step.stage).or_default();
            *longest = step.estimate_s.max(*longest);
        }
        by_stage.values().sum()
    }
}
