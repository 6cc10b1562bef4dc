//! The corosync watch: how many guests may travel at once, judged by how corosync's heartbeat fares.
//!
//! A migration fills its network. Where corosync has to share it, its token comes late, then packets are sent again, then
//! a member is lost, and with active HA that member resets itself with all its guests. The signs come in that order, and
//! with each look every node is asked for them. At the first one guests travel one at a time; if it goes on, none sets out
//! until a minute has passed without any. What is on its way is not stopped: a move that is broken off begins anew.
//!
//! Where corosync has one link only there may be no sign before it is too late. There the number of travellers grows by
//! one, and only after the last one has been on its way for long enough to be heard.
//!
//! Speed is not limited (`bwlimit`): a guest that writes faster than its migration may send never arrives, and HA, whose
//! watchdog is what a starved heartbeat sets off, takes no limit with its orders to migrate.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ids::{NodeName, UnixMs};
use crate::run::RunState;
use crate::snapshot::{CorosyncComplaints, Snapshot};
use crate::steps::{Move, Step, Travel};

/// Signs of the last so many seconds count, and so long it must be quiet again.
pub const WINDOW_S: u64 = 60;

/// So many retransmits of one node within the window are more than a beginning. A saturated link has one each five
/// seconds.
const MANY_RETRANSMITS: u32 = 4;

/// On a single link the next guest sets out so much later: three times what a saturated link takes to complain.
const RAMP_S: u64 = 15;

/// HA only notes an order, and lets the guest set out some rounds later: so much more.
const HA_ROUNDS_S: u64 = 45;

/// The name under which it refuses, like a rule's.
pub const WATCH: &str = "corosync-watch";

/// How many may travel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pace {
    /// As many as the plan has.
    #[default]
    AsPlanned,
    /// One.
    OneAtATime,
    /// None sets out.
    Hold,
}

impl fmt::Display for Pace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AsPlanned => "guests travel as planned",
            Self::OneAtATime => "guests travel one at a time",
            Self::Hold => "no guest sets out",
        })
    }
}

/// A pace, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restraint {
    /// How many may travel.
    pub pace: Pace,
    /// The signs: one line each. Empty if all is quiet.
    pub why: Vec<String>,
}

/// Reads the signs. `under_work` may be away: that its links are lost is no sign.
pub fn restraint(snapshot: &Snapshot, under_work: Option<&NodeName>) -> Restraint {
    let mut restraint = Restraint { pace: Pace::AsPlanned, why: Vec::new() };
    let online = |name: &NodeName| snapshot.nodes.get(name).is_some_and(|node| node.online.is(&true));
    let is_away = under_work.is_some_and(|node| !online(node));
    for (name, heard) in snapshot.heartbeat.iter().filter(|(name, _)| online(name)) {
        let (pace, why) = match heard.read() {
            Err(why) => (Pace::OneAtATime, format!("what corosync on {name} complains of is not known: {why}")),
            Ok(CorosyncComplaints { retransmits, links_lost, tokens_lost }) => {
                let lost = if is_away { 0 } else { links_lost + tokens_lost };
                let pace = match (lost, *retransmits) {
                    (1.., _) | (_, MANY_RETRANSMITS..) => Pace::Hold,
                    (_, 1..) => Pace::OneAtATime,
                    _ => continue,
                };
                let why = format!(
                    "corosync on {name} in the last minute: {retransmits} retransmits, {links_lost} links lost, \
                     {tokens_lost} tokens lost"
                );
                (pace, why)
            }
        };
        restraint.pace = restraint.pace.max(pace);
        restraint.why.push(why);
    }
    restraint
}

/// What speaks against beginning this step now: one line each, with the watch's name before it. Only guests that set out
/// are held back.
pub fn against(state: &RunState, step: &Step, snapshot: &Snapshot) -> Vec<String> {
    if !step.is_move() {
        return Vec::new();
    }
    let travelling = state
        .under_way()
        .filter(|(_, record)| record.step.is_move() && record.command.is_some() && record.step != *step);
    let set_out: Vec<UnixMs> = travelling
        .map(|(_, record)| match record.step.moves() {
            Some(Move { travel: Travel::Ha, .. }) => record.last_started.plus_s(HA_ROUNDS_S),
            _ => record.last_started,
        })
        .collect();
    let Restraint { pace, why } = restraint(snapshot, state.current_node());
    let refused = match pace {
        Pace::AsPlanned => false,
        Pace::OneAtATime => !set_out.is_empty(),
        Pace::Hold => true,
    };
    if refused {
        return why.into_iter().map(|why| format!("{WATCH} ({pace}): {why}")).collect();
    }
    let heard = set_out.iter().max().is_none_or(|last| snapshot.taken >= last.plus_s(RAMP_S));
    if heard || !has_one_link(snapshot) {
        return Vec::new();
    }
    vec![format!(
        "{WATCH} (one more at a time): corosync has one link only, and the last guest has just set out: whether the \
         heartbeat bears it is not to be heard yet"
    )]
}

/// Has some node one corosync link only? Migrations may have to share it.
fn has_one_link(snapshot: &Snapshot) -> bool {
    snapshot.quorum.values().filter_map(|view| view.known()).any(|view| view.configured_links <= 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Fixture;
    use crate::ids::GuestId;
    use crate::observed::Observed::{self, Known};
    use crate::run::Event;
    use crate::steps::Migrate;

    fn heard(retransmits: u32, links_lost: u32, tokens_lost: u32) -> Observed<CorosyncComplaints> {
        Known(CorosyncComplaints { retransmits, links_lost, tokens_lost })
    }

    /// Three nodes of which pve2 heard this.
    fn cluster(pve2: Observed<CorosyncComplaints>) -> Snapshot {
        let mut snapshot = Fixture::cluster(3).snapshot();
        for name in ["pve1", "pve3"] {
            snapshot.heartbeat.insert(name.into(), heard(0, 0, 0));
        }
        snapshot.heartbeat.insert("pve2".into(), pve2);
        snapshot
    }

    fn migrate(vmid: u32) -> Step {
        let (from, to) = ("pve1".into(), "pve2".into());
        Migrate { guest: GuestId::vm(vmid), from, to, travel: Travel::Live }.into()
    }

    /// A run in which vm:101 set out so many seconds before the snapshot.
    fn travelling(snapshot: &Snapshot, seconds: u64) -> RunState {
        let at = UnixMs(snapshot.taken.0 - seconds * 1000);
        let step = migrate(101);
        let command = step.kind().command(snapshot);
        let started = Event::StepStarted { id: "pve1.migrate.vm:101".into(), step, attempt: 1, command, owes: None };
        RunState::of([(at, &started)])
    }

    #[test]
    fn the_pace_falls_with_the_signs_and_says_which() {
        let pace = |heard| restraint(&cluster(heard), None).pace;
        assert_eq!(pace(heard(0, 0, 0)), Pace::AsPlanned);
        assert_eq!(pace(heard(1, 0, 0)), Pace::OneAtATime);
        assert_eq!(pace(heard(4, 0, 0)), Pace::Hold);
        assert_eq!(pace(heard(0, 1, 0)), Pace::Hold);
        assert_eq!(pace(heard(0, 0, 1)), Pace::Hold);
        assert_eq!(
            pace(Observed::unknown("journalctl on pve2", "timed out")),
            Pace::OneAtATime,
            "unknown is not quiet"
        );
        assert!(restraint(&cluster(heard(1, 0, 0)), None).why[0].contains("pve2 in the last minute: 1 retransmits"));
    }

    #[test]
    fn the_links_of_a_node_that_is_away_for_its_reboot_are_no_sign() {
        let mut snapshot = cluster(heard(0, 2, 1));
        assert_eq!(restraint(&snapshot, Some(&"pve1".into())).pace, Pace::Hold);
        snapshot.nodes.get_mut(&"pve1".into()).unwrap().online = Known(false);
        assert_eq!(restraint(&snapshot, Some(&"pve1".into())).pace, Pace::AsPlanned);
    }

    #[test]
    fn at_the_first_sign_a_second_guest_waits_and_the_first_goes_and_later_none_sets_out() {
        let strained = cluster(heard(1, 0, 0));
        assert!(
            against(&travelling(&strained, 40), &migrate(102), &strained)[0]
                .starts_with("corosync-watch (guests travel one")
        );
        assert!(against(&RunState::default(), &migrate(102), &strained).is_empty());
        let starving = cluster(heard(9, 0, 0));
        assert_eq!(against(&RunState::default(), &migrate(102), &starving).len(), 1);
        assert!(against(&RunState::default(), &crate::steps::FinalCheck {}.into(), &starving).is_empty());
    }

    #[test]
    fn on_a_single_link_the_next_guest_sets_out_only_after_the_last_one_was_heard() {
        let quiet = cluster(heard(0, 0, 0));
        let mut single = quiet.clone();
        for view in single.quorum.values_mut().filter_map(Observed::known_mut) {
            view.configured_links = 1;
        }
        assert_eq!(against(&travelling(&single, 14), &migrate(102), &single).len(), 1);
        assert!(against(&travelling(&single, 15), &migrate(102), &single).is_empty());
        let through_ha = Event::StepStarted {
            id: "pve1.migrate.vm:103".into(),
            step: Migrate { guest: GuestId::vm(103), from: "pve1".into(), to: "pve2".into(), travel: Travel::Ha }
                .into(),
            attempt: 1,
            command: migrate(103).kind().command(&single),
            owes: None,
        };
        let ordered = |ago_s: u64| RunState::of([(UnixMs(single.taken.0 - ago_s * 1000), &through_ha)]);
        assert_eq!(against(&ordered(59), &migrate(102), &single).len(), 1, "HA may only now let it set out");
        assert!(against(&ordered(60), &migrate(102), &single).is_empty());
        assert!(against(&travelling(&single, 14), &migrate(101), &single).is_empty(), "a repeat of its own");
        let mut two = quiet;
        for view in two.quorum.values_mut().filter_map(Observed::known_mut) {
            view.configured_links = 2;
        }
        assert!(against(&travelling(&two, 1), &migrate(102), &two).is_empty());
    }
}
