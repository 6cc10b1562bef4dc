//! Parameters of API calls: reading them from query, form or JSON, and checking them against a small table.
//!
//! PVE refuses every parameter that it does not know, so the tables here are part of the contract. The texts of the
//! errors are PVE's.

use std::collections::BTreeMap;

use serde_json::Value;

use super::access::percent_decode;
use super::answer::{ApiRequest, Refusal};

/// Parameters by name, as text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Args(BTreeMap<String, String>);

/// One parameter that an endpoint knows.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Param {
    /// Its name; `ide[n]` stands for `ide0`, `ide1`, ….
    pub(crate) name: &'static str,
    /// What its value must look like.
    pub(crate) kind: Kind,
    /// Must it be there?
    pub(crate) need: Need,
    /// The release that brought it, `(9, 0)`.
    pub(crate) since: (u32, u32),
}

/// What a value must look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Anything.
    Text,
    /// 0, 1 and their many spellings.
    Boolean,
    /// A whole number within bounds.
    Integer(i64, i64),
    /// One of these words.
    Enum(&'static [&'static str]),
    /// A node's name.
    Node,
    /// A guest's number.
    Vmid,
    /// A task's id.
    Upid,
}

/// Must a parameter be there?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Need {
    /// It may be left out.
    Optional,
    /// It may not.
    Required,
}

/// A parameter that may be left out.
pub(crate) const fn opt(name: &'static str, kind: Kind) -> Param {
    Param { name, kind, need: Need::Optional, since: (0, 0) }
}

/// A parameter that must be there.
pub(crate) const fn req(name: &'static str, kind: Kind) -> Param {
    Param { name, kind, need: Need::Required, since: (0, 0) }
}

/// A parameter that older releases do not know.
pub(crate) const fn since(release: (u32, u32), param: Param) -> Param {
    Param { since: release, ..param }
}

impl Args {
    /// From pairs.
    pub(crate) fn from_pairs<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        Self(pairs.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect())
    }

    /// What a request sends: the query of GET and DELETE, the body of POST and PUT.
    pub(crate) fn of(request: &ApiRequest) -> Result<Self, Refusal> {
        let mut args = Self::from_form(&request.query);
        let is_json = request.content_type.as_deref().is_some_and(|kind| kind.starts_with("application/json"));
        if is_json && !request.body.is_empty() {
            let body: Value = serde_json::from_slice(&request.body)
                .map_err(|error| Refusal::failed(format!("invalid json: {error}")))?;
            for (key, value) in body.as_object().into_iter().flatten() {
                args.0.insert(key.clone(), plain(value));
            }
        } else {
            args.0.extend(Self::from_form(&String::from_utf8_lossy(&request.body)).0);
        }
        Ok(args)
    }

    fn from_form(form: &str) -> Self {
        let pairs = form.split('&').filter(|pair| !pair.is_empty()).map(|pair| {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            (form_decode(key), form_decode(value))
        });
        Self(pairs.collect())
    }

    /// A parameter's text.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// A parameter that the table says is there.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.get(name).unwrap_or_default()
    }

    /// A switch; left out means off.
    pub(crate) fn is_on(&self, name: &str) -> bool {
        self.get(name).and_then(boolean) == Some(true)
    }

    /// A switch, if it is there.
    pub(crate) fn switch(&self, name: &str) -> Option<bool> {
        self.get(name).and_then(boolean)
    }

    /// A number.
    pub(crate) fn number(&self, name: &str) -> Option<u64> {
        self.get(name)?.parse().ok()
    }

    /// Adds what the path says.
    pub(crate) fn insert(&mut self, name: &str, value: &str) {
        self.0.insert(name.to_owned(), value.to_owned());
    }

    /// Takes a parameter out.
    pub(crate) fn take(&mut self, name: &str) -> Option<String> {
        self.0.remove(name)
    }

    /// All, in order of their names.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// Checks everything against the table of an endpoint, as a node of that release does.
    pub(crate) fn check(&self, table: &[Param], release: (u32, u32)) -> Result<(), Refusal> {
        let mut errors = BTreeMap::new();
        let known: Vec<_> = table.iter().filter(|param| param.since <= release).collect();
        for (name, value) in &self.0 {
            match known.iter().find(|param| param.is_for(name)) {
                Some(param) => {
                    if let Err(text) = param.kind.check(value) {
                        errors.insert(name.clone(), text);
                    }
                }
                None => {
                    let text = "property is not defined in schema and the schema does not allow additional properties";
                    errors.insert(name.clone(), text.to_owned());
                }
            }
        }
        for param in known.iter().filter(|param| param.need == Need::Required) {
            if !self.0.contains_key(param.name) {
                errors.insert(param.name.to_owned(), "property is missing and it is not optional".to_owned());
            }
        }
        if errors.is_empty() { Ok(()) } else { Err(Refusal::Parameters(errors)) }
    }
}

impl Param {
    fn is_for(&self, name: &str) -> bool {
        match self.name.strip_suffix("[n]") {
            Some(stem) => {
                name.strip_prefix(stem).is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
            }
            None => self.name == name,
        }
    }
}

impl Kind {
    /// Does a value look like that? The error is PVE's text.
    pub(crate) fn check(self, value: &str) -> Result<(), String> {
        match self {
            Self::Text => Ok(()),
            Self::Boolean => match boolean(value) {
                Some(_) => Ok(()),
                None => Err(format!("type check ('boolean') failed - got '{value}'")),
            },
            Self::Integer(low, high) => integer(value, low, high),
            Self::Vmid => integer(value, 100, 999_999_999),
            Self::Enum(words) if words.contains(&value) => Ok(()),
            Self::Enum(words) => {
                Err(format!("value '{value}' does not have a value in the enumeration '{}'", words.join(", ")))
            }
            Self::Node if is_node_name(value) => Ok(()),
            Self::Node => Err("invalid format - value does not look like a valid node name\n".to_owned()),
            Self::Upid if is_upid(value) => Ok(()),
            Self::Upid => Err("unable to parse worker upid".to_owned()),
        }
    }
}

fn integer(value: &str, low: i64, high: i64) -> Result<(), String> {
    let Ok(number) = value.parse::<i64>() else {
        return Err(format!("type check ('integer') failed - got '{value}'"));
    };
    if number < low {
        return Err(format!("value must have a minimum value of {low}"));
    }
    if number > high {
        return Err(format!("value must have a maximum value of {high}"));
    }
    Ok(())
}

fn boolean(value: &str) -> Option<bool> {
    match value {
        "1" | "on" | "yes" | "true" => Some(true),
        "0" | "off" | "no" | "false" => Some(false),
        _ => None,
    }
}

fn is_node_name(value: &str) -> bool {
    let good = |b: u8| b.is_ascii_alphanumeric() || b == b'-';
    !value.is_empty() && value.bytes().all(good) && !value.starts_with('-') && !value.ends_with('-')
}

fn is_upid(value: &str) -> bool {
    let fields: Vec<_> = value.split(':').collect();
    let hex = |field: &str, length: std::ops::RangeInclusive<usize>| {
        length.contains(&field.len()) && field.bytes().all(|b| b.is_ascii_hexdigit())
    };
    matches!(fields[..], ["UPID", node, pid, pstart, start, kind, _, user, ""]
        if is_node_name(node) && hex(pid, 8..=8) && hex(pstart, 8..=9) && hex(start, 8..=8)
            && !kind.is_empty() && !user.is_empty())
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Bool(on) => u8::from(*on).to_string(),
        Value::Null => String::new(),
        Value::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    }
}

fn form_decode(text: &str) -> String {
    percent_decode(&text.replace('+', " "))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: [Param; 5] = [
        req("target", Kind::Node),
        opt("online", Kind::Boolean),
        since((9, 0), opt("with-conntrack-state", Kind::Boolean)),
        opt("ide[n]", Kind::Text),
        opt("limit", Kind::Integer(0, 500)),
    ];

    fn errors(pairs: &[(&str, &str)], release: (u32, u32)) -> BTreeMap<String, String> {
        match Args::from_pairs(pairs.iter().copied()).check(&TABLE, release) {
            Ok(()) => BTreeMap::new(),
            Err(Refusal::Parameters(errors)) => errors,
            Err(other) => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_wrong_parameter_is_named_with_the_text_that_a_real_node_gave() {
        let found = errors(&[("target", "pve_2"), ("online", "maybe"), ("foo", "bar"), ("limit", "501")], (9, 1));
        let expected = BTreeMap::from([
            ("foo", "property is not defined in schema and the schema does not allow additional properties"),
            ("limit", "value must have a maximum value of 500"),
            ("online", "type check ('boolean') failed - got 'maybe'"),
            ("target", "invalid format - value does not look like a valid node name\n"),
        ]);
        let found: BTreeMap<_, _> = found.iter().map(|(key, text)| (key.as_str(), text.as_str())).collect();
        assert_eq!(found, expected);
        assert_eq!(errors(&[], (9, 1))["target"], "property is missing and it is not optional");
    }

    #[test]
    fn an_older_release_does_not_know_a_newer_parameter() {
        let sent = [("target", "pve2"), ("with-conntrack-state", "1"), ("ide2", "none,media=cdrom")];
        assert!(errors(&sent, (9, 0)).is_empty());
        assert!(errors(&sent, (8, 4)).contains_key("with-conntrack-state"));
    }

    #[test]
    fn form_and_json_bodies_say_the_same() {
        let mut request = ApiRequest {
            asked: NodeName::from("pve1"),
            method: "POST".into(),
            path: "/x".into(),
            query: String::new(),
            body: b"ide2=none%2Cmedia%3Dcdrom&name=a+b&online=1".to_vec(),
            content_type: Some("application/x-www-form-urlencoded".into()),
            credentials: Default::default(),
        };
        let form = Args::of(&request).unwrap();
        request.body = br#"{"ide2":"none,media=cdrom","name":"a b","online":true}"#.to_vec();
        request.content_type = Some("application/json".into());
        assert_eq!(Args::of(&request).unwrap(), form);
        assert_eq!(form.text("name"), "a b");
    }

    use quorate_core::ids::NodeName;
}
