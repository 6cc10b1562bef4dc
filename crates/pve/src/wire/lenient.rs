//! Values that PVE writes in several ways: flags, numbers, texts, lists, maps.

use std::collections::BTreeMap;

use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// Deserialises an answer; the error says what did not match.
pub fn read<T: DeserializeOwned>(value: Value) -> Result<T, String> {
    serde_json::from_value(value).map_err(|error| format!("an answer of an unknown shape: {error}"))
}

/// Reads JSON text, skipping anything before the first brace or bracket (`ceph` prints an empty line).
pub fn read_text<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    let start = text.find(['{', '[']).ok_or("no JSON in the output")?;
    let mut stream = serde_json::Deserializer::from_str(&text[start..]).into_iter::<T>();
    match stream.next() {
        Some(Ok(value)) => Ok(value),
        Some(Err(error)) => Err(format!("JSON of an unknown shape: {error}")),
        None => Err("no JSON in the output".to_owned()),
    }
}

/// A flag: `1`, `"1"`, `true`, `"yes"`; missing, `null`, `""` and `0` are false.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Flag(pub bool);

impl<'de> Deserialize<'de> for Flag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::Null => Ok(Self(false)),
            Value::Bool(flag) => Ok(Self(flag)),
            Value::Number(number) => Ok(Self(number.as_f64() != Some(0.0))),
            Value::String(text) => {
                flag(&text).map(Self).ok_or_else(|| D::Error::custom(format!("not a flag: {text:?}")))
            }
            other => Err(D::Error::custom(format!("not a flag: {other}"))),
        }
    }
}

/// Reads a flag as written in a property string or configuration value.
pub fn flag(text: &str) -> Option<bool> {
    match text.trim().to_ascii_lowercase().as_str() {
        "1" | "true" | "yes" | "on" => Some(true),
        "" | "0" | "false" | "no" | "off" => Some(false),
        _ => None,
    }
}

/// A whole number, written as a number or as a text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Int(pub i64);

impl Int {
    /// As an unsigned number; a negative one counts as 0.
    pub fn unsigned(self) -> u64 {
        u64::try_from(self.0).unwrap_or(0)
    }

    /// As a small unsigned number, limited at both ends.
    pub fn small(self) -> u32 {
        u32::try_from(self.unsigned()).unwrap_or(u32::MAX)
    }
}

impl<'de> Deserialize<'de> for Int {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        // A fraction is cut off, as PVE does for `maxcpu`; floats convert with saturation.
        let number = match &value {
            Value::Number(number) => number.as_i64().or_else(|| number.as_f64().map(|float| float as i64)),
            Value::String(text) => {
                let text = text.trim();
                text.parse::<i64>().ok().or_else(|| text.parse::<f64>().ok().map(|float| float as i64))
            }
            Value::Bool(flag) => Some(i64::from(*flag)),
            _ => None,
        };
        number.map(Self).ok_or_else(|| D::Error::custom(format!("not a number: {value}")))
    }
}

/// A text, written as a text, number or flag.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Text(pub String);

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::Null => Ok(Self(String::new())),
            Value::String(text) => Ok(Self(text)),
            Value::Number(number) => Ok(Self(number.to_string())),
            Value::Bool(flag) => Ok(Self(if flag { "1" } else { "0" }.to_owned())),
            other => Err(D::Error::custom(format!("not a text: {other}"))),
        }
    }
}

/// A list: an array, or `null` for an empty one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct List<T>(pub Vec<T>);

impl<T> Default for List<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Self(Option::<Vec<T>>::deserialize(deserializer)?.unwrap_or_default()))
    }
}

/// A map: an object; `null` or an empty array for an empty one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Map<T>(pub BTreeMap<String, T>);

impl<T> Default for Map<T> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<'de, T: DeserializeOwned> Deserialize<'de> for Map<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::Null => Ok(Self::default()),
            Value::Array(list) if list.is_empty() => Ok(Self::default()),
            value => serde_json::from_value(value).map(Self).map_err(D::Error::custom),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_flag_may_be_written_in_many_ways_and_nonsense_is_an_error() {
        for yes in [json!(1), json!("1"), json!(true), json!("yes")] {
            assert_eq!(read::<Flag>(yes), Ok(Flag(true)));
        }
        for no in [json!(0), json!("0"), json!(""), json!(false), json!(null)] {
            assert_eq!(read::<Flag>(no), Ok(Flag(false)));
        }
        assert!(read::<Flag>(json!("perhaps")).is_err());
    }

    #[test]
    fn a_number_may_be_a_text_and_a_list_may_be_null() {
        assert_eq!(read::<Int>(json!("1795344866")), Ok(Int(1_795_344_866)));
        assert_eq!(read::<Int>(json!(1.5)), Ok(Int(1)));
        assert!(read::<Int>(json!("many")).is_err());
        assert_eq!(read::<List<Int>>(json!(null)), Ok(List(vec![])));
        assert!(read::<List<Int>>(json!({})).is_err());
        assert_eq!(read::<Map<Int>>(json!([])), Ok(Map::default()));
    }
}
