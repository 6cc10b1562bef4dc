//! How far prices go at each step.
//!
//! Without a limit: as far as a length that is halved where nothing gets better, from the best prices on. With a limit
//! that is to be ruled out: towards a bound well above it (Polyak's step), without going back, for where no plan can be
//! that cheap the bound has no end.

/// Steps without a limit.
const STEPS: usize = 200;

/// Steps towards a limit.
const STEPS_TO_LIMIT: usize = 500;

/// So many steps without a better bound are borne, without a limit and with one.
const STALE: [usize; 2] = [8, 20];

/// The first length, as a share of what everybody's weight comes to.
const FIRST_LENGTH: f64 = 0.1;

/// The bound that steps go towards, as a multiple of the limit.
const BEYOND: f64 = 1.5;

pub(super) struct Stride {
    limit: Option<f64>,
    length: f64,
    stale: usize,
}

impl Stride {
    pub(super) fn new(limit: Option<f64>, once: f64) -> Self {
        let length = if limit.is_some() { 1.0 } else { once * FIRST_LENGTH };
        Self { limit, length, stale: 0 }
    }

    pub(super) fn most_steps(&self) -> usize {
        if self.limit.is_some() { STEPS_TO_LIMIT } else { STEPS }
    }

    /// Shorter after too many steps that bettered nothing. True if it goes on from the best prices then.
    pub(super) fn shorten(&mut self, better: bool) -> bool {
        self.stale = if better { 0 } else { self.stale + 1 };
        if self.stale <= STALE[usize::from(self.limit.is_some())] {
            return false;
        }
        (self.length, self.stale) = (self.length / 2.0, 0);
        self.limit.is_none()
    }

    /// How far along what is over, whose square is `norm`.
    pub(super) fn length(&self, bound: f64, norm: f64) -> f64 {
        match self.limit {
            Some(limit) => self.length * (limit * BEYOND - bound) / norm,
            None => self.length / norm.sqrt(),
        }
    }
}
