//! What is written for a guest beside its moves: the image that is ejected and put back, the stop and the start around
//! the move of one that cannot move while it runs.

use crate::ids::GuestId;
use crate::policy::ConsentKind;
use crate::steps::{EjectMedia, InsertMedia, StartMoved, Step, StopToMove};

use super::cost::{migration_s, offline_s};
use super::draft::Draft;
use super::problem::{self, media};
use super::staging::Leg;
use super::waves::Writer;

impl Writer<'_> {
    pub(super) fn eject(&mut self, draft: &mut Draft, id: GuestId) {
        let Some(guest) = self.problem.snapshot.guests.get(&id) else { return };
        let media = media(guest, self.problem.policy);
        if media.is_empty() || !self.ejected.insert(id) {
            return;
        }
        let images = guest.migration.known().map(|facts| &facts.images_on);
        for (drive, volid) in media {
            let mut lies_on = images.and_then(|images| images.get(&volid)).cloned().unwrap_or_default();
            lies_on.insert(guest.node.clone());
            let step = EjectMedia { guest: id, node: guest.node.clone(), drive, volid, lies_on };
            let back = step.back();
            self.add(draft, step, "an image on a storage of its node keeps the guest from moving", None);
            self.owed.push(back.into());
        }
        // What becomes of it is known at the end of the plan.
        self.consents.insert((ConsentKind::EjectMedia, id), (0, String::new()));
    }

    /// What of the ejected images is put back, and what cannot be.
    pub(super) fn put_back(&mut self, draft: &mut Draft) {
        let back: Vec<InsertMedia> = self
            .owed
            .iter()
            .filter_map(|step| if let Step::InsertMedia(back) = step { Some(back.clone()) } else { None })
            .collect();
        for step in back {
            let here = self.problem.snapshot.guests.get(&step.guest).map(|guest| &guest.node);
            let Some(node) = self.at.get(&step.guest).or(here).cloned() else { continue };
            let InsertMedia { guest, drive, volid, .. } = &step;
            let (what, why) = match step.out_of_reach(&node) {
                None => (
                    format!("{volid} is ejected from {drive} of {guest} and put back at the end"),
                    "given back: the image lies there too".to_owned(),
                ),
                Some(_) => (
                    format!("{volid} is ejected from {drive} of {guest} and NOT put back: {node} does not have it"),
                    format!("it CANNOT be: {node} does not have the image; the report hands it over to you"),
                ),
            };
            if let Some((_, told)) = self.consents.get_mut(&(ConsentKind::EjectMedia, *guest)) {
                *told = if told.is_empty() { what } else { format!("{told}; {what}") };
            }
            self.add(draft, step, &why, None);
        }
    }

    /// Down, over, and up again, with nothing between: one guest at a time, so that none waits for another.
    pub(super) fn offline_leg(&mut self, draft: &mut Draft, leaving: Option<usize>, leg: Leg) {
        let Some(mover) = self.problem.movers[leg.step.item].get(leg.mover) else { return };
        let (guest, bytes) = (mover.guest, mover.bytes);
        let managed = self.ha.is_some_and(|ha| problem::managed(ha, guest).is_some());
        let node = self.name(leg.step.from).clone();
        let (stop, start) = (Step::from(StopToMove { guest, node }), Step::from(StartMoved { guest }));
        let (stop_s, down_s) = offline_s(bytes, managed, self.problem.policy);
        let start_s = down_s.saturating_sub(stop_s + migration_s(bytes, managed, self.problem.policy));
        draft.next_stage();
        let why = "it cannot move while it runs, and the operator lets it be moved stopped";
        self.add(draft, stop, why, Some(stop_s));
        let to = self.name(leg.step.to);
        let what = format!("{guest} is shut down, moved to {to} and started there");
        self.down(draft, guest, down_s, ConsentKind::MoveOffline, what);
        draft.next_stage();
        self.leg(draft, leaving, leg);
        draft.next_stage();
        self.add(draft, start, "given back", Some(start_s));
    }

    /// Guests that were stopped for their move and do not go on stopped are not left down until the end.
    pub(super) fn start_half_way(&mut self, draft: &mut Draft) {
        if !self.waves.is_empty() {
            return;
        }
        let movers = || self.problem.movers.iter().flatten();
        let goes_on = |guest| movers().any(|mover| mover.guest == guest && self.problem.stops_to_move(mover));
        let starts = |step: &&Step| matches!(step, Step::StartMoved(start) if !goes_on(start.guest));
        let left: Vec<Step> = self.owed.iter().filter(starts).cloned().collect();
        for step in left {
            self.alone(draft, step, "given back");
        }
    }
}
