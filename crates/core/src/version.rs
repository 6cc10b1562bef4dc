//! Debian version numbers, compared the way dpkg does (deb-version(7)).
//!
//! Not semver: `9.0.0~16` comes before `9.0.0`, and `8.4.1` before `8.4.14`.

use std::cmp::Ordering;
use std::fmt;

use serde::{Deserialize, Serialize};

/// A Debian package version: `[epoch:]upstream[-revision]`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Version(String);

impl Version {
    /// Wraps a version as it is written in a package list.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The plain text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The number before the first dot: PVE's or Ceph's major release.
    pub fn major(&self) -> Option<u32> {
        let (_, upstream, _) = self.parts();
        upstream.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok()
    }

    fn parts(&self) -> (u64, &str, &str) {
        let (epoch, rest) = match self.0.split_once(':') {
            Some((epoch, rest)) => (epoch.parse().unwrap_or(0), rest),
            None => (0, self.0.as_str()),
        };
        match rest.rsplit_once('-') {
            Some((upstream, revision)) => (epoch, upstream, revision),
            None => (epoch, rest, ""),
        }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl From<&str> for Version {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

/// Where a character sorts in the non-digit part: `~` before the end, the end before letters, letters before the rest.
fn weight(c: Option<u8>) -> i32 {
    match c {
        Some(b'~') => -1,
        None => 0,
        Some(c) if c.is_ascii_digit() => 0,
        Some(c) if c.is_ascii_alphabetic() => i32::from(c),
        Some(c) => i32::from(c) + 256,
    }
}

fn compare_part(a: &str, b: &str) -> Ordering {
    let (mut a, mut b) = (a.as_bytes(), b.as_bytes());
    while !a.is_empty() || !b.is_empty() {
        while a.first().is_some_and(|c| !c.is_ascii_digit()) || b.first().is_some_and(|c| !c.is_ascii_digit()) {
            let order = weight(a.first().copied()).cmp(&weight(b.first().copied()));
            if order != Ordering::Equal {
                return order;
            }
            a = a.get(1..).unwrap_or(&[]);
            b = b.get(1..).unwrap_or(&[]);
        }
        let number = |s: &[u8]| s.iter().take_while(|c| c.is_ascii_digit()).count();
        let (digits_a, digits_b) = (number(a), number(b));
        let strip = |s: &[u8]| s.iter().take_while(|c| **c == b'0').count();
        let (num_a, num_b) = (&a[strip(&a[..digits_a])..digits_a], &b[strip(&b[..digits_b])..digits_b]);
        let order = num_a.len().cmp(&num_b.len()).then_with(|| num_a.cmp(num_b));
        if order != Ordering::Equal {
            return order;
        }
        a = &a[digits_a..];
        b = &b[digits_b..];
    }
    Ordering::Equal
}

impl Ord for Version {
    fn cmp(&self, other: &Self) -> Ordering {
        let (epoch_a, upstream_a, revision_a) = self.parts();
        let (epoch_b, upstream_b, revision_b) = other.parts();
        epoch_a
            .cmp(&epoch_b)
            .then_with(|| compare_part(upstream_a, upstream_b))
            .then_with(|| compare_part(revision_a, revision_b))
    }
}

impl PartialOrd for Version {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Version {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Version {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_sort_as_dpkg_sorts_them() {
        let ascending = ["9.0.0~16", "9.0.0", "9.0.0-1", "9.0.0-1+b1", "9.0.1", "9.0.10", "9.1", "1:0.1"];
        for pair in ascending.windows(2) {
            assert!(Version::from(pair[0]) < Version::from(pair[1]), "{} < {}", pair[0], pair[1]);
        }
        assert!(Version::from("8.4.1") < Version::from("8.4.14"));
        assert_eq!(Version::from("1.0-0"), Version::from("1.00-0"));
        assert!(Version::from("6.14.8-2-bpo12-pve") < Version::from("6.17.2-1-pve"));
        assert_eq!(Version::from("19.2.3-pve4").major(), Some(19));
    }
}
