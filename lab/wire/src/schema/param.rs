//! Checks parameters against their description: unknown, missing, wrong. The texts are PVE's.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{Release, values};

/// The parameters of a call.
#[derive(Debug, Default, Deserialize)]
#[serde(transparent)]
pub(crate) struct Params(BTreeMap<String, Param>);

/// The description of one parameter.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Param {
    #[serde(default, rename = "type")]
    kind: Kind,
    #[serde(default)]
    optional: u8,
    #[serde(default)]
    format: String,
    #[serde(default, rename = "enum")]
    words: Vec<String>,
    minimum: Option<f64>,
    maximum: Option<f64>,
    min_length: Option<usize>,
    max_length: Option<usize>,
    #[serde(default)]
    pattern: String,
    /// Another parameter that must be there with it.
    requires: Option<String>,
    /// The release that added it.
    #[serde(default)]
    since: Release,
    /// Description of an array's elements.
    items: Option<Box<Param>>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    #[default]
    String,
    Boolean,
    Integer,
    Number,
    Array,
}

/// The highest number that a numbered key may have.
const NUMBERED: [(&str, u32); 15] = [
    ("ide", 3),
    ("sata", 5),
    ("scsi", 30),
    ("virtio", 15),
    ("virtiofs", 9),
    ("net", 31),
    ("hostpci", 15),
    ("usb", 13),
    ("serial", 3),
    ("parallel", 2),
    ("numa", 7),
    ("ipconfig", 31),
    ("unused", 255),
    ("mp", 255),
    ("dev", 255),
];

impl Params {
    /// What is wrong with these, by parameter.
    pub(crate) fn errors<'a>(
        &self,
        sent: impl Iterator<Item = (&'a str, &'a str)> + Clone,
        release: Release,
    ) -> BTreeMap<String, String> {
        let mut errors = BTreeMap::new();
        let is_sent = |wanted: &str| sent.clone().any(|(name, _)| name == wanted);
        for (name, value) in sent.clone() {
            let Some(param) = self.find(name).filter(|param| param.since <= release) else {
                let text = "property is not defined in schema and the schema does not allow additional properties";
                errors.insert(name.to_owned(), text.to_owned());
                continue;
            };
            if let Err(text) = param.check(name, value) {
                errors.insert(name.to_owned(), text);
            }
            if let Some(other) = param.requires.as_ref().filter(|other| !is_sent(other)) {
                errors.insert(other.clone(), format!("missing property - '{name}' requires this property"));
            }
        }
        let required = self.0.iter().filter(|(_, param)| param.optional == 0 && param.since <= release);
        for (name, _) in required.filter(|(name, _)| !is_sent(name)) {
            errors.insert(name.clone(), "property is missing and it is not optional".to_owned());
        }
        errors
    }

    /// Finds a parameter by name; `ide2` is found as `ide[n]`.
    fn find(&self, name: &str) -> Option<&Param> {
        self.0.get(name).or_else(|| {
            let stem = name.trim_end_matches(|c: char| c.is_ascii_digit());
            let number: u32 = name[stem.len()..].parse().ok()?;
            let last = NUMBERED.iter().find(|(known, _)| *known == stem).map_or(u32::MAX, |(_, last)| *last);
            self.0.get(&format!("{stem}[n]")).filter(|_| number <= last)
        })
    }
}

impl Param {
    /// Is this an allowed value? The order is PVE's: type, format, bounds, words.
    fn check(&self, name: &str, value: &str) -> Result<(), String> {
        match self.kind {
            Kind::Boolean if values::boolean(value).is_none() => return Err(type_check("boolean", value)),
            Kind::Integer if value.parse::<i64>().is_err() => return Err(type_check("integer", value)),
            Kind::Number if value.parse::<f64>().is_err() => return Err(type_check("number", value)),
            Kind::Array => return self.check_items(name, value),
            _ => {}
        }
        let format = if name == "upid" { "pve-upid" } else { &self.format };
        values::format(format, value).map_err(|text| match format {
            "pve-upid" => text,
            _ => format!("invalid format - {text}"),
        })?;
        if let Some(least) = self.min_length.filter(|least| value.chars().count() < *least) {
            return Err(format!("value must be at least {least} characters long"));
        }
        if let Some(most) = self.max_length.filter(|most| value.chars().count() > *most) {
            return Err(format!("value may only be {most} characters long"));
        }
        if !values::pattern(&self.pattern, value) {
            return Err("value does not match the regex pattern".to_owned());
        }
        if matches!(self.kind, Kind::Integer | Kind::Number) {
            let number: f64 = value.parse().unwrap_or_default();
            if let Some(least) = self.minimum.filter(|least| number < *least) {
                return Err(format!("value must have a minimum value of {least}"));
            }
            if let Some(most) = self.maximum.filter(|most| number > *most) {
                return Err(format!("value must have a maximum value of {most}"));
            }
        }
        if !self.words.is_empty() && !self.words.iter().any(|word| word == value) {
            let words = self.words.join(", ");
            return Err(format!("value '{value}' does not have a value in the enumeration '{words}'"));
        }
        Ok(())
    }

    fn check_items(&self, name: &str, value: &str) -> Result<(), String> {
        let Some(item) = &self.items else { return Ok(()) };
        value.split(',').filter(|value| !value.is_empty()).try_for_each(|value| item.check(name, value))
    }
}

fn type_check(kind: &str, value: &str) -> String {
    format!("type check ('{kind}') failed - got '{value}'")
}

#[cfg(test)]
mod tests {
    use super::super::methods;
    use super::*;

    fn errors(method: &str, path: &str, sent: &[(&str, &str)], release: &str) -> BTreeMap<String, String> {
        let found = methods().iter().find(|known| known.method == method && known.path == path).unwrap();
        found.params.errors(sent.iter().copied(), Release::parse(release))
    }

    #[test]
    fn every_wrong_parameter_is_named_with_pves_text() {
        let path = "/nodes/{node}/qemu/{vmid}/migrate";
        let sent = [
            ("node", "pve1"),
            ("vmid", "99"),
            ("target", "no/good"),
            ("online", "maybe"),
            ("foo", "1"),
            ("bwlimit", "-1"),
        ];
        let found = errors("POST", path, &sent, "9.1.8");
        let expected = BTreeMap::from([
            ("vmid", "invalid format - value does not look like a valid VM ID\n"),
            ("target", "invalid format - value does not look like a valid node name\n"),
            ("online", "type check ('boolean') failed - got 'maybe'"),
            ("foo", "property is not defined in schema and the schema does not allow additional properties"),
            ("bwlimit", "value must have a minimum value of 0"),
        ]);
        assert_eq!(found.iter().map(|(key, text)| (key.as_str(), text.as_str())).collect::<BTreeMap<_, _>>(), expected);
        assert_eq!(errors("POST", path, &[], "9.1.8")["target"], "property is missing and it is not optional");
    }

    #[test]
    fn an_older_release_does_not_know_a_newer_parameter() {
        let sent = [("node", "pve1"), ("vmid", "101"), ("target", "pve2"), ("with-conntrack-state", "1")];
        let path = "/nodes/{node}/qemu/{vmid}/migrate";
        assert!(errors("POST", path, &sent, "9.0.3").is_empty());
        assert!(errors("POST", path, &sent, "8.4.14").contains_key("with-conntrack-state"));
    }

    #[test]
    fn numbered_keys_end_where_pve_ends_and_a_key_may_need_another() {
        let path = "/nodes/{node}/qemu/{vmid}/config";
        let at = [("node", "pve1"), ("vmid", "101")];
        let with = |key: &'static str, value: &'static str| errors("PUT", path, &[at[0], at[1], (key, value)], "9.1.8");
        assert!(with("ide3", "none,media=cdrom").is_empty());
        assert!(with("ide4", "none,media=cdrom").contains_key("ide4"));
        assert_eq!(with("force", "1")["delete"], "missing property - 'force' requires this property");
        assert_eq!(with("bootdisk", "floppy")["bootdisk"], "value does not match the regex pattern");
    }
}
