//! What happened last.

use std::collections::BTreeMap;

use quorate_core::ids::{StepId, UnixMs};
use quorate_core::run::Event;
use quorate_journal::Entry;

use super::facts::Facts;
use super::tone::Tone;
use crate::render::log;
use crate::render::units::clock;

/// Events that are kept for the picture.
const LAST_EVENTS: usize = 200;

/// The last events, oldest first, each with how long it took where that is known.
pub(super) fn events(facts: &Facts<'_>) -> Vec<(UnixMs, String, Tone)> {
    let mut begun: BTreeMap<&StepId, UnixMs> = BTreeMap::new();
    let mut told = Vec::new();
    for Entry { at, event, .. } in facts.entries {
        let took = match event {
            Event::StepStarted { id, .. } => {
                begun.entry(id).or_insert(*at);
                None
            }
            Event::StepEnded { id, .. } => begun.remove(id).map(|from| at.since_s(from)),
            _ => None,
        };
        if let Some(tone) = tone(event) {
            let took = took.map(|took| format!("  ({})", clock(took))).unwrap_or_default();
            told.push((*at, facts.names().in_text(&log::headline(event)) + &took, tone));
        }
    }
    told.split_off(told.len().saturating_sub(LAST_EVENTS))
}

/// How much an event matters; none for what is only in the log.
fn tone(event: &Event) -> Option<Tone> {
    Some(match event {
        Event::CommandAnswered { .. } | Event::FirstSeen { .. } | Event::OutputKept { .. } => return None,
        // What is under way is shown by itself.
        Event::StepStarted { attempt: 0 | 1, .. } => return None,
        Event::StepEnded { outcome, .. } if outcome.is_done() => Tone::Good,
        Event::StepStarted { .. }
        | Event::StepEnded { .. }
        | Event::CommandInDoubt { .. }
        | Event::CommandNotDone { .. }
        | Event::ThrottleChanged { .. }
        | Event::CertificateTakenOver { .. }
        | Event::PauseAsked { .. }
        | Event::Paused { .. }
        | Event::AbortBegun { .. } => Tone::Warn,
        Event::ChangedOutside { .. } => Tone::Bad,
        Event::RunStarted { .. }
        | Event::DriverTookOver { .. }
        | Event::ListsRefreshBegun { .. }
        | Event::ListsRefreshed { .. }
        | Event::FoundSet { .. }
        | Event::PlanAdopted { .. }
        | Event::Consented { .. }
        | Event::DowntimeAgreed { .. }
        | Event::Waived { .. }
        | Event::ConfirmedOff { .. }
        | Event::GuestRanSince { .. }
        | Event::FinalCheck { .. }
        | Event::Resumed { .. }
        | Event::RunEnded { .. } => Tone::Plain,
    })
}
