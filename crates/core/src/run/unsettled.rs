//! Orders that were sent and may still take effect: their answer was lost, or their driver died before it came.
//!
//! An order is settled by its answer, by its effect once that is seen, by a boot of the node that was to act since then
//! (what hung in its processes is gone), or when it is too old: no queue that it could wait in is that patient. Until
//! then nothing is begun that it could harm, and the run does not end.

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::command::Command;
use crate::fence::LATE_S;
use crate::ids::{NodeName, StepId, UnixMs};
use crate::snapshot::Snapshot;
use crate::steps::{Move, OnGuest, Step};

/// pveproxy and pvedaemon give up a request after half a minute; this is that and every wait behind it, many times over.
const API_S: u64 = 15 * 60;

/// An order of a shell is void when it comes late; this is that and the time of the longest look before it.
const SHELL_S: u64 = LATE_S + 4 * 60;

/// An order whose answer is not known.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Unsettled {
    /// The id of the step that sent it.
    pub id: StepId,
    /// The step.
    pub step: Step,
    /// The node that was to act.
    pub node: Option<NodeName>,
    /// When it was sent.
    pub since: UnixMs,
    /// Seconds after which it cannot take effect any more.
    pub within_s: u64,
}

/// An order that was sent before may still take effect.
#[derive(Clone, Debug, PartialEq, Eq, Error, Serialize, Deserialize)]
#[error("\"{order}\" was sent and not answered: it may still happen; that is waited for until {} min after it", .within_s / 60)]
pub struct MayStillHappen {
    /// What was ordered, in words.
    pub order: String,
    /// Seconds after which it cannot take effect any more.
    pub within_s: u64,
}

impl Unsettled {
    /// The order of a step that is about to be sent. Reading package lists again harms nothing at any time.
    pub(super) fn of(at: UnixMs, id: &StepId, step: &Step, command: Option<&Command>) -> Option<Self> {
        let (node, within_s) = match command? {
            Command::Shell { node, .. } => (Some(node.clone()), SHELL_S),
            Command::Api { path, .. } => {
                let node = path.strip_prefix("/nodes/").and_then(|rest| rest.split_once('/'));
                (node.map(|(node, _)| NodeName::new(node)), API_S)
            }
        };
        let harmless = matches!(step, Step::RefreshPackages(_));
        (!harmless).then(|| Self { id: id.clone(), step: step.clone(), node, since: at, within_s })
    }

    /// Would it harm what this step does, if it took effect now? The same order once more does not.
    pub fn harms(&self, step: &Step) -> bool {
        if self.step == *step {
            return false;
        }
        let same_guest = step.guest().is_some() && step.guest() == self.step.guest();
        let both = (step, &self.step);
        let same_setting =
            matches!(both, (Step::ChangeSetting(one), Step::ChangeSetting(other)) if one.setting == other.setting);
        let fills = step.on_node().needs_it_empty() && step.node().is_some() && step.node() == self.brings_to();
        same_guest || same_setting || fills
    }

    /// The node on which a guest runs because of it.
    fn brings_to(&self) -> Option<&NodeName> {
        match self.step.kind().profile().on_guest {
            OnGuest::Moves(Move { to, .. }) => Some(to),
            OnGuest::Starts => self.node.as_ref(),
            OnGuest::Nothing | OnGuest::Stops | OnGuest::Configures => None,
        }
    }

    /// Can it not take effect any more?
    pub(super) fn is_over(&self, snapshot: &Snapshot, now: UnixMs) -> bool {
        let node = self.node.as_ref().and_then(|node| snapshot.nodes.get(node));
        let booted =
            node.and_then(|node| node.uptime_s.known()).map(|up_s| snapshot.taken.0.saturating_sub(up_s * 1000));
        now.since_s(self.since) >= self.within_s || booted.is_some_and(|booted| booted > self.since.0)
    }

    /// In words.
    pub fn words(&self) -> MayStillHappen {
        MayStillHappen { order: self.step.kind().title(), within_s: self.within_s }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::Fixture;
    use crate::ids::GuestId;
    use crate::observed::Observed;
    use crate::run::{Event, RunState, StepOutcome};
    use crate::steps::{Failback, Migrate, MoveMode, Reboot, ShutdownGuest, StartGuest, set, undo};

    fn world() -> Snapshot {
        Fixture::cluster(3).vm(101, "pve1", 4).vm(102, "pve1", 4).snapshot()
    }

    fn sent_at() -> UnixMs {
        world().taken.plus_s(1)
    }

    fn migrate() -> Step {
        let [from, to] = ["pve1", "pve2"].map(NodeName::from);
        Migrate { guest: GuestId::vm(101), from, to, mode: MoveMode::Live, storages: [].into() }.into()
    }

    fn shutdown() -> Step {
        ShutdownGuest { guest: GuestId::vm(101), node: "pve1".into() }.into()
    }

    fn id() -> StepId {
        StepId::new("x")
    }

    /// A run that has sent the order of this step.
    fn sent(step: &Step) -> RunState {
        let mut state = RunState::default();
        let command = step.kind().command(&world());
        state.apply(sent_at(), &Event::StepStarted { id: id(), step: step.clone(), attempt: 1, command, undo: None });
        state
    }

    fn open(state: &RunState, snapshot: &Snapshot, after_s: u64) -> usize {
        state.unsettled_orders(snapshot, sent_at().plus_s(after_s)).count()
    }

    #[test]
    fn an_order_is_settled_by_its_answer_its_effect_or_that_it_did_nothing_but_not_by_silence() {
        let after = |event: Option<Event>| {
            let mut state = sent(&migrate());
            event.iter().for_each(|event| state.apply(sent_at(), event));
            open(&state, &world(), 10)
        };
        let words = || "words".to_owned();
        assert_eq!(after(None), 1, "its driver may have died after it was sent");
        assert_eq!(after(Some(Event::CommandInDoubt { id: id(), why: words() })), 1);
        assert_eq!(after(Some(Event::CommandAnswered { id: id(), answer: words(), job: None })), 0);
        assert_eq!(after(Some(Event::CommandNotDone { id: id(), why: words() })), 0);
        let ended = |outcome| Some(Event::StepEnded { id: id(), step: migrate(), outcome });
        assert_eq!(after(ended(StepOutcome::Done)), 0);
        assert_eq!(after(ended(StepOutcome::Abandoned(Vec::new()))), 1);
    }

    #[test]
    fn an_order_is_over_after_its_time_or_when_the_node_that_was_to_act_has_booted() {
        let state = sent(&migrate());
        assert_eq!([open(&state, &world(), API_S - 1), open(&state, &world(), API_S)], [1, 0]);
        let up = |node: &str, up_s: Observed<u64>| {
            let mut seen = world();
            seen.taken = sent_at().plus_s(100);
            seen.nodes.get_mut(&NodeName::from(node)).unwrap().uptime_s = up_s;
            open(&state, &seen, 100)
        };
        assert_eq!(up("pve1", Observed::Known(99)), 0, "it has booted since");
        assert_eq!(up("pve1", Observed::Known(101)), 1, "it was in this boot");
        assert_eq!(up("pve1", Observed::unknown("status", "refused")), 1);
        assert_eq!(up("pve2", Observed::Known(99)), 1, "another node");
    }

    #[test]
    fn an_order_harms_other_steps_of_its_guest_its_opposite_and_what_empties_the_node_that_it_fills() {
        let reboot = |node: &str| Step::from(Reboot { node: node.into(), from_boot: "b1".into() });
        let harms = |order: &Step, step: &Step| sent(order).unsettled[0].harms(step);
        let start = |vmid| Step::from(StartGuest { guest: GuestId::vm(vmid), node: "pve1".into() });
        assert!(harms(&shutdown(), &start(101)) && !harms(&shutdown(), &start(102)));
        assert!(!harms(&shutdown(), &shutdown()), "the same once more");
        assert!(harms(&migrate(), &reboot("pve2")) && !harms(&migrate(), &reboot("pve1")));
        assert!(harms(&start(101), &reboot("pve1")));
        let failback = Failback { guest: GuestId::vm(101) };
        assert!(harms(&set(failback.clone()), &undo(failback)));
    }
}
