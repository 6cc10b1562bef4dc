//! An order that changes a node carries its own condition, and the node checks it in the same command that acts.
//!
//! Between the decision and its effect a process may be frozen, a connection may hang, a node may boot and another
//! driver may take over. So what is sent is not the plain command but a shell script in front of it, with what must
//! still be so as its arguments: `sh -c SCRIPT quorate BOOT UPTIME DRIVER PROGRAM ARGUMENTS…`. It replaces itself by
//! the program, or says which condition does not hold and exits with [`NOT_DONE`]. The argument, order by order, is in
//! `docs/safety/orders.md`.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::command::Command;
use crate::ids::{BootId, DriverId, NodeName, UnixMs};
use crate::observed::{Observed, WhyUnknown};
use crate::snapshot::Snapshot;
use crate::steps::{OnNode, Step};

/// The exit status of an order whose condition does not hold: nothing was done (`EX_TEMPFAIL` of sysexits.h).
pub const NOT_DONE: i32 = 75;

/// An order that reaches its node later than this is not carried out, in seconds. The node counts them by its own
/// uptime, which does not stand still while the driver's machine sleeps.
pub const LATE_S: u64 = 60;

/// The node has not booted since it was looked at.
const THIS_BOOT: &str = r#"why="the node has booted since" && [ "$(cat /proc/sys/kernel/random/boot_id)" = "$1" ]"#;

/// It is not too late.
const IN_TIME: &str = r#"why="it comes too late" && [ "$(cut -d. -f1 /proc/uptime)" -le "$2" ] && shift 2"#;

/// The lock in the cluster is held by this driver. Without quorum, what a node shows below `/etc/pve` may be old.
const OURS: &str = concat!(
    r#"why="the node has no quorum" && stat -c %A /etc/pve/local | grep -q ^..w"#,
    r#" && why="this driver does not hold the lock in the cluster""#,
    r#" && grep -F "\"id\":\"$1\"" /etc/pve/priv/quorate-driver.json | grep -qF "\"released\":false" && shift"#
);

/// No guest runs there, by the node's own lists and by its processes: one that is just arriving is in neither list.
const EMPTY: &str = concat!(
    r#"why="what runs on the node cannot be read" && vms="$(qm list)" && cts="$(pct list)""#,
    r#" && units="$(systemctl list-units --plain --no-legend --state=activating,active,deactivating"#,
    r#" "[0-9]*.scope" "pve-container*.service")""#,
    r#" && why="a guest runs on the node" && [ -z "$units" ]"#,
    r#" && ! echo "$vms" | grep -q " [1-9][0-9]* *$" && ! echo "$cts" | grep -q "^[0-9][0-9]* *running""#
);

/// The node has no quorum. Then there is no lock to look at: nobody can take it.
const NO_QUORUM: &str =
    r#"why="the node has quorum, or cannot tell" && corosync-quorumtool -s | grep -q "^Quorate: *No""#;

/// The program takes the shell's place; what comes after it is read only if some condition did not hold.
const THEN: &str = r#"exec "$@"; echo "quorate: not done: $why" >&2; exit 75"#;

/// What must hold where an order takes effect, besides boot and time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// This driver holds the lock in the cluster.
    Ours,
    /// The same, and no guest runs on the node.
    OursAndEmpty,
    /// The node has no quorum.
    NoQuorum,
}

impl Condition {
    /// Every one of them.
    pub const ALL: [Self; 3] = [Self::Ours, Self::OursAndEmpty, Self::NoQuorum];

    /// The condition of a step's order.
    pub fn of(step: &Step) -> Self {
        match step.on_node() {
            OnNode::Reboots => Self::OursAndEmpty,
            _ => Self::Ours,
        }
    }

    /// The script that checks it.
    pub fn script(self) -> String {
        let parts: &[&str] = match self {
            Self::Ours => &[THIS_BOOT, IN_TIME, OURS, THEN],
            Self::OursAndEmpty => &[THIS_BOOT, IN_TIME, OURS, EMPTY, THEN],
            Self::NoQuorum => &[THIS_BOOT, IN_TIME, NO_QUORUM, THEN],
        };
        parts.join(" && ")
    }
}

/// Why an order cannot be given its condition. Without one it is not sent.
#[derive(Clone, Debug, PartialEq, Eq, Error, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unfenced {
    /// The node was not seen.
    #[error("{0} was not seen, so the order for it can have no condition")]
    NotSeen(NodeName),
    /// Its boot id is unknown.
    #[error("which boot {node} is in is not known: {why}")]
    NoBoot {
        /// The node that would act.
        node: NodeName,
        /// Why it is not known.
        why: WhyUnknown,
    },
    /// Its uptime is unknown.
    #[error("how long {node} has been up is not known: {why}")]
    NoUptime {
        /// The node that would act.
        node: NodeName,
        /// Why it is not known.
        why: WhyUnknown,
    },
    /// The driver has no id.
    #[error("this driver has no id, so no node can tell its orders from another driver's")]
    NoDriver,
}

/// The order of a step as it is really sent. A call of the API stays as it is: its condition is an expiry.
///
/// # Errors
/// Something that its condition needs is not known.
pub fn order(
    step: &Step,
    plain: Command,
    snapshot: &Snapshot,
    now: UnixMs,
    driver: Option<&DriverId>,
) -> Result<Command, Unfenced> {
    let Command::Shell { node, argv } = plain else { return Ok(plain) };
    let driver = driver.ok_or(Unfenced::NoDriver)?;
    let seen = snapshot.nodes.get(&node).ok_or_else(|| Unfenced::NotSeen(node.clone()))?;
    let [boot, latest] = boot_and_latest(&node, &seen.boot, &seen.uptime_s, now.since_s(snapshot.taken))?;
    Ok(fenced(node, Condition::of(step), [boot, latest, driver.to_string()], argv))
}

/// The order to lower expected votes as it is really sent. It is given without quorum, when nobody can hold the lock.
/// `since_s` is how long ago the node was asked.
///
/// # Errors
/// Something that its condition needs is not known.
pub fn without_quorum(
    plain: Command,
    boot: &Observed<BootId>,
    uptime_s: &Observed<u64>,
    since_s: u64,
) -> Result<Command, Unfenced> {
    let Command::Shell { node, argv } = plain else { return Ok(plain) };
    let arguments = boot_and_latest(&node, boot, uptime_s, since_s)?;
    Ok(fenced(node, Condition::NoQuorum, arguments, argv))
}

/// The boot that it must be in, and the uptime that it must not have passed.
fn boot_and_latest(
    node: &NodeName,
    boot: &Observed<BootId>,
    uptime_s: &Observed<u64>,
    since_s: u64,
) -> Result<[String; 2], Unfenced> {
    let boot = boot.read().map_err(|why| Unfenced::NoBoot { node: node.clone(), why: why.clone() })?;
    let uptime_s = uptime_s.read().map_err(|why| Unfenced::NoUptime { node: node.clone(), why: why.clone() })?;
    let latest_s = uptime_s.saturating_add(since_s).saturating_add(LATE_S);
    Ok([boot.to_string(), latest_s.to_string()])
}

fn fenced<const N: usize>(node: NodeName, condition: Condition, arguments: [String; N], argv: Vec<String>) -> Command {
    let front = ["sh".to_owned(), "-c".to_owned(), condition.script(), "quorate".to_owned()];
    Command::Shell { node, argv: front.into_iter().chain(arguments).chain(argv).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Fixture;
    use crate::steps::{Maintenance, Reboot, set};

    const DRIVER: &str = "0123456789abcdef";

    fn sent(
        step: &Step,
        change: impl FnOnce(&mut Snapshot),
        driver: Option<DriverId>,
    ) -> Result<Vec<String>, Unfenced> {
        let mut snapshot = Fixture::cluster(3).snapshot();
        let plain = step.kind().command(&snapshot).unwrap();
        for node in snapshot.nodes.values_mut() {
            (node.boot, node.uptime_s) = (Observed::Known("b1".into()), Observed::Known(1000));
        }
        change(&mut snapshot);
        match order(step, plain, &snapshot, snapshot.taken.plus_s(7), driver.as_ref())? {
            Command::Shell { argv, .. } => Ok(argv),
            Command::Api { .. } => panic!("{step:?} is not an order for a shell"),
        }
    }

    fn reboot() -> Step {
        Reboot { node: "pve1".into(), from_boot: "b1".into() }.into()
    }

    #[test]
    fn the_arguments_are_the_boot_the_latest_uptime_the_driver_and_the_plain_command() {
        let argv = sent(&reboot(), |_| (), Some(DRIVER.into())).unwrap();
        assert_eq!(argv[..2], ["sh", "-c"]);
        assert_eq!(argv[2], Condition::OursAndEmpty.script());
        assert_eq!(argv[3..], ["quorate", "b1", "1067", DRIVER, "systemctl", "reboot"]);
        let aside = sent(&set(Maintenance { node: "pve1".into() }), |_| (), Some(DRIVER.into())).unwrap();
        assert_eq!(aside[2], Condition::Ours.script());
    }

    #[test]
    fn without_boot_id_uptime_or_driver_there_is_no_order() {
        let gap = || WhyUnknown::new("cat", "refused");
        let node = || NodeName::from("pve1");
        let driver = || Some(DriverId::from(DRIVER));
        let no_boot =
            sent(&reboot(), |seen| seen.nodes.get_mut(&node()).unwrap().boot = Observed::Unknown(gap()), driver());
        assert_eq!(no_boot, Err(Unfenced::NoBoot { node: node(), why: gap() }));
        let no_uptime =
            sent(&reboot(), |seen| seen.nodes.get_mut(&node()).unwrap().uptime_s = Observed::Unknown(gap()), driver());
        assert_eq!(no_uptime, Err(Unfenced::NoUptime { node: node(), why: gap() }));
        let not_seen = sent(&reboot(), |seen| drop(seen.nodes.remove(&node())), driver());
        assert_eq!(not_seen, Err(Unfenced::NotSeen(node())));
        assert_eq!(sent(&reboot(), |_| (), None), Err(Unfenced::NoDriver));
    }

    #[test]
    fn a_script_needs_no_quoting_within_single_quotes() {
        for condition in Condition::ALL {
            assert!(!condition.script().contains('\''), "{condition:?}");
            assert!(condition.script().ends_with(&format!("exit {NOT_DONE}")), "{condition:?}");
        }
    }
}
