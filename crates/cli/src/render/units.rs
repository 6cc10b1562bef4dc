//! Numbers for people: bytes, durations, moments.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use quorate_core::ids::UnixMs;

/// `1.5 GiB`: three significant figures at most, so that columns stay narrow.
#[allow(clippy::cast_precision_loss, reason = "rounded for people anyway")]
pub fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 6] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
    let mut value = bytes as f64;
    let mut unit = 0;
    while value >= 1000.0 && unit + 1 < UNITS.len() {
        value /= 1024.0;
        unit += 1;
    }
    let whole = unit == 0 || value >= 10.0 || (value - value.round()).abs() < 0.05;
    if whole { format!("{value:.0} {}", UNITS[unit]) } else { format!("{value:.1} {}", UNITS[unit]) }
}

/// `45 s`, `3 min`, `3 min 20 s`, `1 h 05 min`.
pub fn duration(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 if seconds.is_multiple_of(60) => format!("{} min", seconds / 60),
        60..3600 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        _ => format!("{} h {:02} min", seconds / 3600, seconds % 3600 / 60),
    }
}

/// `1:12`, `1:02:10`: for what is counted while one looks on.
pub(crate) fn clock(seconds: u64) -> String {
    let (minutes, seconds) = (seconds / 60, seconds % 60);
    match minutes {
        0..60 => format!("{minutes}:{seconds:02}"),
        _ => format!("{}:{:02}:{seconds:02}", minutes / 60, minutes % 60),
    }
}

/// `45 s`, `8 min`, `1 h 05 min`: for what is only known roughly.
pub(crate) fn minutes(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3570 => format!("{} min", (seconds + 30) / 60),
        _ => duration(seconds.saturating_add(30) / 60 * 60),
    }
}

/// `16:04 CET`: the end of something that is only known roughly.
pub(crate) fn until(at: UnixMs) -> String {
    formatted(at, "%H:%M %Z", &zone())
}

/// `2026-11-22 16:04:05 CET`.
pub(crate) fn moment(at: UnixMs) -> String {
    formatted(at, "%F %T %Z", &zone())
}

/// `16:04:05 CET`.
pub(crate) fn time_of_day(at: UnixMs) -> String {
    formatted(at, "%T %Z", &zone())
}

/// `16:04:05`, where the zone is told beside it.
pub(crate) fn second(at: UnixMs) -> String {
    formatted(at, "%T", &zone())
}

/// `2026-11-22`.
pub(crate) fn date(at: UnixMs) -> String {
    formatted(at, "%F", &zone())
}

/// The zone of `$TZ`, or else of this machine; UTC, by name, where it has none.
#[cfg(not(test))]
fn zone() -> TimeZone {
    // What TZ says and is no zone is not guessed at.
    TimeZone::try_system().unwrap_or(TimeZone::UTC)
}

/// Golden pages are the same on every machine.
#[cfg(test)]
fn zone() -> TimeZone {
    TimeZone::UTC
}

/// The one place where a moment becomes text. One beyond the year 9999 comes from a broken clock, and is shown as the
/// last possible one.
fn formatted(at: UnixMs, format: &str, zone: &TimeZone) -> String {
    let timestamp = i64::try_from(at.0).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
    timestamp.unwrap_or(Timestamp::MAX).to_zoned(zone.clone()).strftime(format).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_have_three_figures_at_most() {
        let cases = [
            (0, "0 B"),
            (999, "999 B"),
            (1024, "1 KiB"),
            (1536, "1.5 KiB"),
            (64 << 30, "64 GiB"),
            (1000 << 30, "1 TiB"),
        ];
        for (value, text) in cases {
            assert_eq!(bytes(value), text);
        }
    }

    #[test]
    fn durations_have_two_units_at_most() {
        for (value, text) in [(0, "0 s"), (60, "1 min"), (200, "3 min 20 s"), (3900, "1 h 05 min")] {
            assert_eq!(duration(value), text);
        }
    }

    #[test]
    fn what_is_counted_and_what_is_only_known_roughly_is_short() {
        for (value, text) in [(0, "0:00"), (72, "1:12"), (3599, "59:59"), (3730, "1:02:10")] {
            assert_eq!(clock(value), text);
        }
        for (value, text) in [(59, "59 s"), (89, "1 min"), (90, "2 min"), (3569, "59 min"), (3570, "1 h 00 min")] {
            assert_eq!(minutes(value), text);
        }
        assert!(minutes(u64::MAX).ends_with("min"));
    }

    #[test]
    fn moments_are_right_around_leap_days_and_at_the_ends_of_years() {
        let cases = [
            (0, "1970-01-01 00:00:00 UTC"),
            (951_782_400, "2000-02-29 00:00:00 UTC"),
            (1_735_689_599, "2024-12-31 23:59:59 UTC"),
            (1_795_359_884, "2026-11-22 15:04:44 UTC"),
        ];
        for (seconds, text) in cases {
            assert_eq!(moment(UnixMs(seconds * 1000)), text);
        }
        assert!(moment(UnixMs(u64::MAX)).starts_with("9999"));
    }

    #[test]
    fn a_moment_is_told_in_local_time_with_the_zone_that_it_had_then() {
        let munich = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
        let told = |seconds: u64| formatted(UnixMs(seconds * 1000), "%F %T %Z", &munich);
        assert_eq!(told(1_795_359_884), "2026-11-22 16:04:44 CET");
        assert_eq!(told(1_785_600_000), "2026-08-01 18:00:00 CEST");
        let nameless = TimeZone::fixed(jiff::tz::offset(5));
        assert_eq!(formatted(UnixMs(0), "%T %Z", &nameless), "05:00:00 +05");
    }
}
