//! Spans of time in words.

use crate::ids::UnixMs;

/// `12 s ago`.
pub(super) fn ago(now: UnixMs, then: UnixMs) -> String {
    format!("{} ago", span(now.since_s(then)))
}

/// `40 s`, `12 min 05 s`, `3 h 10 min`, `5 days`.
pub(crate) fn span(seconds: u64) -> String {
    match seconds {
        0..60 => format!("{seconds} s"),
        60..3600 => format!("{} min {:02} s", seconds / 60, seconds % 60),
        3600..172_800 => format!("{} h {:02} min", seconds / 3600, seconds / 60 % 60),
        _ => format!("{} days", seconds / 86_400),
    }
}
