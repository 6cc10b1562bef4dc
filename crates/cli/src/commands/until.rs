//! Times on the command line: until when, and for how long.

use jiff::civil::Time;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan};
use quorate_core::ids::UnixMs;

/// A moment, or the next time that the clock shows this.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Until {
    Moment(Timestamp),
    Daily(Time),
}

impl Until {
    /// The moment that is meant, seen from now.
    pub(crate) fn after(self, now: UnixMs) -> UnixMs {
        let moment = match self {
            Self::Moment(moment) => Some(moment),
            Self::Daily(time) => next(time, now),
        };
        // One that cannot be told is over: no node is begun.
        UnixMs(moment.and_then(|moment| u64::try_from(moment.as_millisecond()).ok()).unwrap_or(0))
    }
}

fn next(time: Time, now: UnixMs) -> Option<Timestamp> {
    let now = Timestamp::from_millisecond(i64::try_from(now.0).ok()?).ok()?.to_zoned(TimeZone::system());
    let today = now.date().to_datetime(time).to_zoned(TimeZone::system()).ok()?;
    let next = if today > now { today } else { today.checked_add(1.day()).ok()? };
    Some(next.timestamp())
}

pub(crate) fn parse_until(text: &str) -> Result<Until, String> {
    let time = text.parse::<Time>().map(Until::Daily);
    time.or_else(|_| text.parse::<Timestamp>().map(Until::Moment))
        .map_err(|_| "write a time of day, `06:00`, or a moment with its zone, `2026-12-01T06:00:00+01:00`".to_owned())
}

/// Seconds.
pub(crate) fn parse_soak_s(text: &str) -> Result<u64, String> {
    let seconds = text.parse::<SignedDuration>().ok().and_then(|duration| u64::try_from(duration.as_secs()).ok());
    seconds.ok_or_else(|| "write a time, `30m`, `90s` or `2h`".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_of_day_is_the_next_one_and_a_moment_is_itself() {
        let now = UnixMs(1_795_359_884_000);
        let Until::Daily(time) = parse_until("06:00").unwrap() else { panic!("it is a time of day") };
        let at = Until::Daily(time).after(now);
        assert!(at > now && at <= now.plus_s(24 * 3600), "{at:?}");
        assert_eq!(parse_until("1970-01-01T00:00:07Z").unwrap().after(now), UnixMs(7000));
        assert!(parse_until("soon").is_err());
    }

    #[test]
    fn a_soak_is_a_time_with_its_unit() {
        assert_eq!(parse_soak_s("30m"), Ok(1800));
        assert_eq!(parse_soak_s("2h"), Ok(7200));
        assert!(parse_soak_s("-5m").is_err() && parse_soak_s("half an hour").is_err());
    }
}
