//! How long guests were down because of a run.

use std::collections::BTreeMap;

use serde::Serialize;

use super::View;
use crate::ids::GuestId;
use crate::run::Spent;

/// How long a guest was down because of us: from the command to the proof, so never less than the real downtime.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Downtime {
    /// Seconds, up to now.
    pub seconds: u64,
    /// It is still down.
    pub still_down: bool,
}

impl View {
    /// Guests that were down because of us.
    pub fn downtimes(&self) -> BTreeMap<GuestId, Downtime> {
        let now = self.now;
        let down = |spent: &Spent| Downtime { seconds: spent.seconds(now), still_down: spent.since.is_some() };
        let all = self.state.spent.iter().map(|(guest, spent)| (*guest, down(spent)));
        all.filter(|(_, down)| down.seconds > 0 || down.still_down).collect()
    }
}
