//! The process that calls: how many calls it has made, whether it lives, is frozen or meets trouble on the way.

use std::collections::BTreeMap;

use quorate_core::ids::NodeName;

/// From which call on nothing returns any more; calls of the API and of shells count, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// This call is not sent.
    Before(u64),
    /// This call takes effect, and its answer is not seen.
    After(u64),
}

/// What is wrong between caller and cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The API answers with this status and does nothing; a shell is not reached.
    Refuses(u16),
    /// The call takes effect, and its answer does not arrive.
    LosesAnswer,
    /// What changes something is held on its way and takes effect later. Whoever sent it hears nothing.
    ArrivesLate {
        /// Seconds from the moment at which it was sent.
        seconds: u64,
    },
}

#[derive(Debug, Default)]
pub(crate) struct Caller {
    pub(crate) calls: u64,
    pub(crate) dies: Option<Stop>,
    pub(crate) dead: bool,
    pub(crate) freezes: Option<Stop>,
    pub(crate) frozen: bool,
    /// Until which call.
    pub(crate) trouble: Option<(u64, Trouble)>,
    pub(crate) clock_off_ms: i64,
    /// Does it take over certificates that members vouch for, and which has it?
    pub(crate) members_vouch: bool,
    pub(crate) taken_over: BTreeMap<NodeName, String>,
    /// Endpoints that gave no answer, and until when they are left.
    pub(crate) left_until_ms: BTreeMap<NodeName, u64>,
}

/// A call whose answer is never seen, or not even sent.
pub(crate) struct Killed;

impl Caller {
    /// A call begins; its number.
    pub(crate) fn begins(&mut self) -> Result<u64, Killed> {
        if self.dead {
            return Err(Killed);
        }
        self.calls += 1;
        self.dead = matches!(self.dies, Some(Stop::Before(at)) if self.calls >= at);
        if self.dead { Err(Killed) } else { Ok(self.calls) }
    }

    /// The call has taken effect.
    pub(crate) fn has_called(&mut self) -> Result<(), Killed> {
        self.dead = matches!(self.dies, Some(Stop::After(at)) if self.calls >= at);
        if self.dead {
            return Err(Killed);
        }
        let calls = self.calls;
        self.frozen |= self.freezes.take_if(|stop| matches!(stop, Stop::After(at) if calls >= *at)).is_some();
        Ok(())
    }

    /// Is it frozen now, that is before its next call?
    pub(crate) fn stands_still(&mut self) -> bool {
        let next = self.calls + 1;
        self.frozen |= self.freezes.take_if(|stop| matches!(stop, Stop::Before(at) if next >= *at)).is_some();
        self.frozen
    }

    /// What goes wrong with the call under way.
    pub(crate) fn meets(&self) -> Option<Trouble> {
        self.trouble.filter(|(until, _)| self.calls <= *until).map(|(_, trouble)| trouble)
    }
}
