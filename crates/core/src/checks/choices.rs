//! What can be done with a guest that cannot move while it runs: each policy that helps, with its downtime.
//!
//! Asked at plan time and named in findings, so that nobody has to guess the right word. A policy that is named here
//! gets the guest out of the way, as far as is known now; whether there is room for it is for the plan to say.

use serde::{Deserialize, Serialize};

use super::stuck::{stuck, stuck_stopped};
use super::support::has_turn;
use crate::ids::GuestId;
use crate::placement::{disk_bytes, state_place};
use crate::planner::cost::{DOWN_FOR_A_TURN_S, offline_s};
use crate::policy::{GuestPolicy, Policy};
use crate::snapshot::{Guest, GuestStatus, HaRequest, Snapshot};

/// One policy that helps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Choice {
    /// The policy to set for the guest.
    pub policy: GuestPolicy,
    /// Expected downtime in seconds.
    pub downtime_s: u64,
    /// What happens to the guest with it, in words.
    pub what: String,
}

/// A guest that is in the way, and what helps.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Question {
    /// The guest that cannot move.
    pub guest: GuestId,
    /// Its name.
    pub name: String,
    /// Why it cannot move.
    pub why: String,
    /// What helps, the least downtime first.
    pub choices: Vec<Choice>,
}

/// The line of the configuration's `[policy.guests]` that sets this policy.
pub fn config_line(guest: GuestId, policy: GuestPolicy) -> String {
    format!("\"{guest}\" = \"{}\"", policy.word())
}

/// Guests that are in the way of a run and for which the policy does not say what to do, in order.
pub fn open_questions(snapshot: &Snapshot, policy: &Policy) -> Vec<Question> {
    let turn = |guest: &&Guest| snapshot.nodes.get(&guest.node).is_none_or(|node| has_turn(snapshot, node, policy));
    let asked = snapshot.guests.values().filter(|guest| guest.may_be_running() && policy.of(guest).is_none());
    let asked = asked.filter(|guest| !guest.tags.contains(crate::policy::tags::SKIP)).filter(turn);
    let question = |guest: &Guest| {
        let why = stuck(snapshot, policy, guest)?;
        let choices = choices(snapshot, policy, guest);
        Some(Question { guest: guest.id, name: guest.name.clone(), why, choices })
    };
    asked.filter_map(question).collect()
}

/// What helps with one guest, the least downtime first.
pub fn choices(snapshot: &Snapshot, policy: &Policy, guest: &Guest) -> Vec<Choice> {
    let with = |way| {
        let mut with = policy.clone();
        with.guests.insert(guest.id, way);
        with
    };
    let moves_with = |way| stuck(snapshot, &with(way), guest).is_none();
    let mut choices = Vec::new();
    let mut add = |policy, downtime_s, what: &str| choices.push(Choice { policy, downtime_s, what: what.to_owned() });
    if moves_with(GuestPolicy::Eject) {
        add(GuestPolicy::Eject, 0, "its CD image is ejected, it moves live, and the image is put back where possible");
    }
    if moves_with(GuestPolicy::Copy) {
        add(GuestPolicy::Copy, 0, "its local disks are copied while it runs");
    }
    if !guest.status.is(&GuestStatus::Running) {
        return choices;
    }
    if let Some(downtime_s) = offline_downtime_s(snapshot, &with(GuestPolicy::Offline), guest) {
        add(GuestPolicy::Offline, downtime_s, "it is shut down, moved with its local disks, and started on the target");
    }
    add(
        GuestPolicy::Shutdown,
        DOWN_FOR_A_TURN_S,
        "it is shut down while its node is upgraded, and started there again",
    );
    if let Ok(place) = state_place(snapshot, guest, |_| 0) {
        let memory_s = guest.memory_bytes.div_ceil(policy.migration_bytes_per_s.max(1));
        let what =
            format!("its memory is written to {} while its node is upgraded, and it goes on from there", place.storage);
        add(GuestPolicy::Hibernate, DOWN_FOR_A_TURN_S + 2 * memory_s, &what);
    }
    choices
}

/// How long an offline move would keep it down; none where it cannot be moved stopped either.
pub(super) fn offline_downtime_s(snapshot: &Snapshot, policy: &Policy, guest: &Guest) -> Option<u64> {
    if !guest.status.is(&GuestStatus::Running) || stuck_stopped(snapshot, policy, guest).is_some() {
        return None;
    }
    let bytes = guest.migration.known().map_or(0, disk_bytes);
    let managed = snapshot.ha_service(guest.id).is_some_and(|service| service.request != HaRequest::Ignored);
    Some(offline_s(bytes, managed, policy).1)
}
