//! Which steps leave what alone: so that a walk over thousands of steps neither copies nor counts what cannot change.

use crate::plan::PlannedStep;
use crate::steps::Step;

/// Is the cluster another one while this step runs? A node is away, or has its packages changed.
pub(super) fn changes_while_it_runs(step: &Step) -> bool {
    matches!(step, Step::UpgradePackages(_) | Step::Reboot(_))
}

/// Steps after which the same guests run on the same nodes.
pub(super) fn is_about_a_node(step: &Step) -> bool {
    matches!(
        step,
        Step::RefreshPackages(_)
            | Step::ProveEmpty(_)
            | Step::EnterMaintenance(_)
            | Step::SetNoout(_)
            | Step::UpgradePackages(_)
            | Step::Reboot(_)
            | Step::ProveBack(_)
            | Step::UnsetNoout(_)
            | Step::LeaveMaintenance(_)
            | Step::SettleHa(_)
            | Step::FinalCheck(_)
    )
}

/// Does a stage consist of moves alone?
pub(super) fn is_travel(stage: &[PlannedStep]) -> bool {
    stage.iter().all(|planned| matches!(planned.step, Step::Migrate(_)))
}
