//! What corosync complained of in the last day.

use super::support::{Report, online};
use super::{Check, Finding, Severity};
use crate::policy::Policy;
use crate::snapshot::Snapshot;

pub(super) struct CorosyncNoise;

/// Below this a day's retransmits are those of any network.
const MANY_RETRANSMITS: u32 = 20;

impl Check for CorosyncNoise {
    fn id(&self) -> &'static str {
        "corosync-noise"
    }

    fn explain(&self) -> &'static str {
        "corosync writes into its journal when packets had to be sent again, when a link was lost, and when the token of \
         its ring did not come round. A network that does this in quiet times will do worse while guests migrate, and a \
         node with active HA that loses the others resets itself. More than a few retransmits in the last day, or a lost \
         link or token that no reboot explains, are a warning. Look at the switch, at MTU and at what shares the network: \
         journalctl -u corosync --since -24h."
    }

    fn run(&self, snapshot: &Snapshot, _policy: &Policy) -> Vec<Finding> {
        const DAY_S: u64 = 24 * 3600;
        let mut report = Report::of(self);
        // A member that was rebooted today made all the others lose its links and a token.
        let quiet_day = online(snapshot).all(|node| node.uptime_s.known().is_some_and(|uptime_s| *uptime_s > DAY_S));
        for node in online(snapshot) {
            let Some(seen) = node.host.corosync_complaints.known() else { continue };
            let lost = seen.links_lost + seen.tokens_lost;
            if seen.retransmits < MANY_RETRANSMITS && (lost == 0 || !quiet_day) {
                continue;
            }
            let problem = format!(
                "corosync on {} complained in the last day: {} retransmits, {} links lost, {} tokens lost",
                node.name, seen.retransmits, seen.links_lost, seen.tokens_lost
            );
            let remedy =
                format!("Find the cause before guests migrate: journalctl -u corosync --since -24h on {}", node.name);
            report.add(Severity::Warning, &node.name, problem, remedy);
        }
        report.findings()
    }
}
