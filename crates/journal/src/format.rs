//! The number of the file format.

use std::fmt;

/// Format of a file. A new minor format adds what older programs may overlook when they read; a new major one does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Format {
    /// Refused if newer than ours.
    pub major: u32,
    /// Read-only if newer than ours.
    pub minor: u32,
}

impl Format {
    /// The format that this program writes.
    pub const CURRENT: Self = Self { major: 1, minor: 2 };

    pub(crate) fn of_user_version(version: i64) -> Self {
        let version = u32::try_from(version).unwrap_or(u32::MAX);
        Self { major: version / 1000, minor: version % 1000 }
    }

    pub(crate) fn user_version(self) -> u32 {
        self.major * 1000 + self.minor
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}
