//! Property strings: `local:iso/x.iso,media=cdrom,size=3M`. The first element may have no key.

use std::collections::BTreeMap;

/// A parsed property string.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Properties {
    /// The first element if it has no key: a volume, a CPU model, a network card's model.
    pub head: Option<String>,
    /// All elements with a key.
    pub named: BTreeMap<String, String>,
}

impl Properties {
    /// Parses a property string. Never fails: every text is one.
    pub fn parse(text: &str) -> Self {
        let mut properties = Self::default();
        for (index, part) in text.split(',').enumerate() {
            match part.split_once('=') {
                Some((key, value)) => {
                    properties.named.insert(key.trim().to_owned(), value.trim().to_owned());
                }
                None if index == 0 && !part.trim().is_empty() => properties.head = Some(part.trim().to_owned()),
                None => {}
            }
        }
        properties
    }

    /// The first element, or the value of its default key.
    pub fn first(&self, default_key: &str) -> Option<&str> {
        self.head.as_deref().or_else(|| self.get(default_key))
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.named.get(key).map(String::as_str)
    }
}

/// A size as in `size=32G`, in bytes; without a unit it is bytes.
pub fn size_bytes(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let factor: u64 = match text[digits.len()..].to_ascii_uppercase().as_str() {
        "" | "B" => 1,
        "K" => 1 << 10,
        "M" => 1 << 20,
        "G" => 1 << 30,
        "T" => 1 << 40,
        _ => return None,
    };
    // Fractions occur (`1.5G`); a float holds every real disk size with enough precision, and converts with saturation.
    match digits.parse::<u64>() {
        Ok(whole) => whole.checked_mul(factor),
        Err(_) => {
            digits.parse::<f64>().ok().filter(|number| *number >= 0.0).map(|number| (number * factor as f64) as u64)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_drive_has_its_volume_first_with_or_without_key() {
        let drive = Properties::parse("local:iso/x.iso,media=cdrom,size=3M");
        assert_eq!(drive.first("file"), Some("local:iso/x.iso"));
        assert_eq!(drive.get("media"), Some("cdrom"));
        assert_eq!(Properties::parse("file=local:1,size=1G").first("file"), Some("local:1"));
    }

    #[test]
    fn sizes_have_units_of_1024() {
        assert_eq!(size_bytes("32G"), Some(32 << 30));
        assert_eq!(size_bytes("1.5K"), Some(1536));
        assert_eq!(size_bytes("528K"), Some(528 << 10));
        assert_eq!(size_bytes("many"), None);
    }
}
