//! All that is known of a run at one moment.

use quorate_core::ids::UnixMs;
use quorate_core::progress::{Glance, Progress};
use quorate_core::view::View;
use quorate_journal::Entry;

use crate::render::driver::Standing;
use crate::render::names::Names;

/// A driver whose clock differs by more from that of its machine runs in a lab.
const SAME_CLOCK_S: u64 = 5;

/// All that a picture is made of.
pub(crate) struct Facts<'a> {
    pub(crate) view: &'a View,
    pub(crate) entries: &'a [Entry],
    pub(crate) progress: Option<&'a Progress>,
    pub(crate) standing: &'a Standing,
    /// A process was just started that will work on it.
    pub(crate) starts: bool,
}

impl Facts<'_> {
    pub(crate) fn glance(&self) -> Option<&Glance> {
        self.progress?.glance.as_ref()
    }

    /// Now, by the clock of the run: this machine's, except in a lab, whose time runs faster.
    pub(crate) fn now(&self) -> UnixMs {
        let last = self.view.state.last_event;
        if let Some(ended) = self.view.ended {
            return ended;
        }
        match self.progress {
            Some(Progress { at, wall, .. }) if at.since_s(*wall).max(wall.since_s(*at)) <= SAME_CLOCK_S => {
                self.standing.now.max(last)
            }
            Some(progress) => progress.at.max(last),
            None => last,
        }
    }

    /// The names of guests: as they were last seen, or else as the plans have them.
    pub(crate) fn names(&self) -> Names<'_> {
        Names::of(&self.view.names).or_newer(self.glance().map(|glance| &glance.names))
    }
}
