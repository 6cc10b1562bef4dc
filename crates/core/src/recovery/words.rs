//! A diagnosis in lines: for a pause, the log and the terminal alike.

use super::cause::{Cause, CauseKind, Standing};
use super::diagnose::Diagnosis;
use super::spans::span;

impl Diagnosis {
    /// The one line that sums it up.
    pub fn headline(&self) -> String {
        match &self.standing {
            Standing::Quorate { votes, needed } => format!("the cluster has quorum: {votes} votes, {needed} needed"),
            Standing::Lost { votes, needed, since: None } => {
                format!("the cluster has no quorum: {votes} votes are left, {needed} are needed")
            }
            Standing::Lost { votes, needed, since: Some(since) } => {
                let ago = span(self.taken.since_s(*since));
                format!("the cluster has no quorum since {ago}: {votes} votes are left, {needed} are needed")
            }
            Standing::NotKnown => "no node reports whether there is quorum".to_owned(),
        }
    }

    /// All that a pause says: the state, its causes, what will follow from it, what can be done in which order.
    pub fn lines(&self) -> Vec<String> {
        let mut lines = vec![self.headline()];
        for cause in &self.causes {
            lines.push(format!("cause: {}: {}", cause.title(), cause.evidence.join("; ")));
        }
        lines.push(
            "meaning: /etc/pve is read-only, nothing starts or moves; guests run on where no HA is active".to_owned(),
        );
        for fence in &self.fences {
            lines.push(match fence.overdue {
                true => format!("meaning: {} has active HA, and should have been reset by now", fence.node),
                false => format!(
                    "meaning: {} has active HA: it resets itself in {} s, with its guests",
                    fence.node, fence.left_s
                ),
            });
        }
        for (number, remedy) in self.remedies.iter().enumerate() {
            lines.push(format!("{}. {} (risk: {})", number + 1, remedy.title, remedy.risk));
        }
        lines
    }
}

impl Cause {
    /// The cause in a few words.
    pub fn title(&self) -> String {
        match &self.kind {
            CauseKind::Reboots { node, overdue: false, .. } => format!("{node} reboots"),
            CauseKind::Reboots { node, overdue: true, .. } => format!("{node} did not come back from its reboot"),
            CauseKind::WentDown { node } => format!("{node} was shut down or reboots"),
            CauseKind::Vanished { node } => format!("{node} died or is cut off"),
            CauseKind::Silent { node } => format!("{node} is silent"),
            CauseKind::CorosyncDown { node } => format!("corosync does not run on {node}"),
            CauseKind::CutOff { node } => format!("{node} is up, but cut off"),
            CauseKind::LinkFlaps { node } => format!("a link to {node} comes and goes"),
            CauseKind::DeviceAway { .. } => "the QDevice is away".to_owned(),
        }
    }
}
