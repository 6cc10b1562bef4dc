//! Small spellings that several answers need: base64, SHA-1-like digests, times, sizes.

use ring::digest;

/// Standard base64 with padding.
pub(crate) fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let word = group.iter().fold(0_u32, |word, byte| word << 8 | u32::from(*byte)) << (8 * (3 - group.len()));
        for place in 0..4 {
            let sextet = (word >> (18 - 6 * place)) & 63;
            text.push(if place <= group.len() { char::from(ALPHABET[sextet as usize]) } else { '=' });
        }
    }
    text
}

/// Forty hex digits that change when the text does, as PVE's `digest` of a configuration file.
pub(crate) fn config_digest(text: &str) -> String {
    hex(digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, text.as_bytes()).as_ref())
}

/// Lower-case hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// A certificate's fingerprint as PVE prints it: SHA-256 of the DER bytes, upper-case pairs joined by colons.
pub(crate) fn fingerprint(der: &[u8]) -> String {
    let hash = digest::digest(&digest::SHA256, der);
    hash.as_ref().iter().map(|byte| format!("{byte:02X}")).collect::<Vec<_>>().join(":")
}

/// A moment split into the fields that a calendar has, UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Moment {
    year: u64,
    month: usize,
    day: u64,
    weekday: usize,
    second_of_day: u64,
}

const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
const WEEKDAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];

impl Moment {
    /// From seconds since 1970.
    pub(crate) fn at(unix_s: u64) -> Self {
        let days = unix_s / 86_400;
        // Days since 0000-03-01, then by eras of 400 years: the leap day comes last in a year that begins in March.
        let shifted = days + 719_468;
        let (era, of_era) = (shifted / 146_097, shifted % 146_097);
        let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
        let day_of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month_from_march = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
        let month = (month_from_march + 2) % 12;
        let year = era * 400 + year_of_era + u64::from(month < 2);
        Self { year, month: month as usize, day, weekday: (days % 7) as usize, second_of_day: unix_s % 86_400 }
    }

    fn clock(self) -> String {
        let s = self.second_of_day;
        format!("{:02}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60)
    }

    /// `Sun Nov 22 11:56:17 2026`, the day padded with a blank.
    pub(crate) fn ctime(self) -> String {
        let (weekday, month) = (WEEKDAYS[self.weekday], MONTHS[self.month]);
        format!("{weekday} {month} {:>2} {} {}", self.day, self.clock(), self.year)
    }

    /// `Sun, 22 Nov 2026 10:55:52 GMT`.
    pub(crate) fn http(self) -> String {
        let (weekday, month) = (WEEKDAYS[self.weekday], MONTHS[self.month]);
        format!("{weekday}, {:02} {month} {} {} GMT", self.day, self.year, self.clock())
    }

    /// `2026-11-22 11:11:09`.
    pub(crate) fn log(self) -> String {
        format!("{}-{:02}-{:02} {}", self.year, self.month + 1, self.day, self.clock())
    }

    /// `Nov 22 11:11:09`, as the journal begins its lines.
    pub(crate) fn journal(self) -> String {
        format!("{} {:02} {}", MONTHS[self.month], self.day, self.clock())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn base64_is_padded_to_groups_of_four() {
        for (bytes, text) in [("", ""), ("f", "Zg=="), ("fo", "Zm8="), ("foo", "Zm9v"), ("foobar", "Zm9vYmFy")] {
            assert_eq!(base64(bytes.as_bytes()), text);
        }
    }

    #[test]
    fn moments_print_as_the_recorded_answers_do() {
        assert_eq!(Moment::at(1_795_348_577).ctime(), "Sun Nov 22 11:56:17 2026");
        assert_eq!(Moment::at(1_795_344_952).http(), "Sun, 22 Nov 2026 10:55:52 GMT");
        assert_eq!(Moment::at(951_782_400).log(), "2000-02-29 00:00:00");
        assert_eq!(Moment::at(1_762_164_000).ctime(), "Mon Nov  3 10:00:00 2025");
    }
}
