//! How old may be what is acted upon?

use quorate_core::ids::UnixMs;

/// Nothing is sent on a look that ended longer ago, in seconds: making a plan in between takes less.
const ACT_WITHIN_S: u64 = 120;

/// Nor on one that began longer ago: the longest look takes 180 s. A process may stand still in the middle of it as well.
const BEGUN_WITHIN_S: u64 = 180 + ACT_WITHIN_S;

/// When what is acted upon was seen: its oldest reading, and its newest.
#[derive(Clone, Copy)]
pub(crate) struct Looked {
    begun: UnixMs,
    ended: UnixMs,
}

impl Looked {
    /// From then until then.
    pub(crate) fn between(begun: UnixMs, ended: UnixMs) -> Self {
        Self { begun, ended }
    }

    /// All of it at one moment.
    pub(crate) fn at(moment: UnixMs) -> Self {
        Self::between(moment, moment)
    }

    /// Why it is nothing to act upon any more, by a clock that counts the time that this machine slept.
    pub(crate) fn too_old(self, now: UnixMs) -> Option<String> {
        let is_old = now.since_s(self.ended) > ACT_WITHIN_S || now.since_s(self.begun) > BEGUN_WITHIN_S;
        is_old.then(|| format!("not sent: what it was decided upon was seen {} s ago", now.since_s(self.begun)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_is_as_old_as_its_end_and_a_long_one_as_its_beginning() {
        let too_old = |begun_s: u64, ended_s: u64, now_s: u64| {
            let at = |seconds: u64| UnixMs(seconds * 1000);
            Looked::between(at(begun_s), at(ended_s)).too_old(at(now_s)).is_some()
        };
        assert!(!too_old(0, 10, 130) && too_old(0, 10, 131));
        assert!(!too_old(0, 250, 300) && too_old(0, 250, 301), "it stood still in the middle");
    }
}
