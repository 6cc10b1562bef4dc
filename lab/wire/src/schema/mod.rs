//! Each API call's parameters, required privileges and first release: tables, built once.
//!
//! `published.json` is an excerpt of the schema that PVE publishes, newest release, without its descriptions. Where
//! snapshots only bracket the release that added something, the file has the first one by the package history.
//! `more.json`, written by hand, has what the excerpt leaves out and other clients call. What is inside a property
//! string (`virtio=…,bridge=…`) is not described.

mod needs;
mod param;
mod values;

use std::sync::LazyLock;

use serde::Deserialize;

pub(crate) use needs::Needs;
pub(crate) use param::Params;
pub(crate) use values::{boolean, format};

/// One method of one path.
#[derive(Debug, Deserialize)]
pub(crate) struct Method {
    /// `GET`, `POST`, `PUT`, `DELETE`.
    pub(crate) method: String,
    /// The path with names in braces: `/nodes/{node}/qemu/{vmid}/config`.
    pub(crate) path: String,
    /// The release that added it.
    #[serde(default)]
    pub(crate) since: Release,
    /// Who may call it.
    #[serde(rename = "may")]
    pub(crate) needs: Needs,
    /// Parameters, including those in the path.
    pub(crate) params: Params,
}

/// The methods of all paths.
pub(crate) fn methods() -> &'static [Method] {
    static METHODS: LazyLock<Vec<Method>> = LazyLock::new(|| {
        let read = |text: &str| -> Vec<Method> { serde_json::from_str(text).expect("our own tables can be read") };
        let mut all = read(include_str!("published.json"));
        all.extend(read(include_str!("more.json")));
        all
    });
    &METHODS
}

/// A release of PVE, as far as behaviour depends on it: the version of pve-manager.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(from = "String")]
pub(crate) struct Release(u32, u32, u32);

impl Release {
    /// `9.1.8` of `9.1.8-1`; what is missing counts as 0.
    pub(crate) fn parse(version: &str) -> Self {
        let mut numbers = version.split(['.', '-', '~', '+']).map(|number| number.parse().unwrap_or(0));
        let mut next = || numbers.next().unwrap_or(0);
        Self(next(), next(), next())
    }
}

impl From<String> for Release {
    fn from(version: String) -> Self {
        Self::parse(&version)
    }
}

impl PartialEq<(u32, u32)> for Release {
    fn eq(&self, other: &(u32, u32)) -> bool {
        (self.0, self.1) == *other
    }
}

impl PartialOrd<(u32, u32)> for Release {
    fn partial_cmp(&self, other: &(u32, u32)) -> Option<std::cmp::Ordering> {
        Some((self.0, self.1).cmp(other))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn releases_are_compared_as_numbers_and_to_the_point_release() {
        assert!(Release::parse("9.10.1") > Release::parse("9.2.11"));
        assert!(Release::parse("9.1.4-1") < Release::parse("9.1.5"));
        assert!(Release::parse("8.4.14") >= (8, 4) && Release::parse("8.3.5") < (8, 4));
    }

    #[test]
    fn no_method_stands_there_twice() {
        let mut names: Vec<_> = methods().iter().map(|method| (&method.method, &method.path)).collect();
        names.sort();
        let all = names.len();
        names.dedup();
        assert_eq!(names.len(), all);
    }
}
