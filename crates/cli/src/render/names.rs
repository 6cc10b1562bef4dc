//! Names beside ids: `vm:114 voip`. A person knows guests by their names, commands and steps by their ids.

use std::collections::BTreeMap;

use quorate_core::ids::GuestId;

/// The names of the guests that a run is about, as far as they are known.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Names<'a> {
    known: &'a BTreeMap<GuestId, String>,
    newer: Option<&'a BTreeMap<GuestId, String>>,
}

impl<'a> Names<'a> {
    /// As its plans have named them.
    pub(crate) fn of(known: &'a BTreeMap<GuestId, String>) -> Self {
        Self { known, newer: None }
    }

    /// These come first: they were seen later.
    pub(crate) fn or_newer(self, newer: Option<&'a BTreeMap<GuestId, String>>) -> Self {
        Self { newer, ..self }
    }

    fn get(&self, guest: GuestId) -> Option<&str> {
        let newer = self.newer.and_then(|newer| newer.get(&guest));
        newer.or_else(|| self.known.get(&guest)).map(String::as_str)
    }

    /// `vm:114 voip`; the id alone where the name is not known.
    pub(crate) fn with(&self, guest: GuestId) -> String {
        match self.get(guest) {
            Some(name) => format!("{guest} {name}"),
            None => guest.to_string(),
        }
    }

    /// The text with a name after each id of a guest that has none yet. An id that is part of a longer word, as in a
    /// step's id (`pve1.migrate.vm:114`), stays as it is.
    pub(crate) fn in_text(&self, text: &str) -> String {
        let mut named = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = ["vm:", "ct:"].iter().filter_map(|kind| rest.find(kind)).min() {
            let digits = rest[at + 3..].bytes().take_while(u8::is_ascii_digit).count();
            let (before, id, after) = (&rest[..at], &rest[at..at + 3 + digits], &rest[at + 3 + digits..]);
            named.push_str(before);
            named.push_str(id);
            let is_a_word = !before.ends_with(|c: char| c.is_alphanumeric() || ".:-_/".contains(c))
                && !after.starts_with(|c: char| c.is_alphanumeric() || "-_/".contains(c));
            let name = GuestId::parse(id).filter(|_| is_a_word).and_then(|guest| self.get(guest));
            if let Some(name) = name.filter(|name| !after.trim_start().starts_with(name)) {
                named.push(' ');
                named.push_str(name);
            }
            rest = after;
        }
        named.push_str(rest);
        named
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stands_after_each_id_that_is_a_word_of_its_own() {
        let known = BTreeMap::from([(GuestId::vm(114), "voip".to_owned()), (GuestId::ct(20), "web".to_owned())]);
        let names = Names::of(&known);
        for (text, named) in [
            ("migrate vm:114 pve1 → pve2, live", "migrate vm:114 voip pve1 → pve2, live"),
            ("vm:114 voip is DOWN", "vm:114 voip is DOWN"),
            ("not seen: ct:20, vm:114", "not seen: ct:20 web, vm:114 voip"),
            ("answer  pve1.migrate.vm:114: done", "answer  pve1.migrate.vm:114: done"),
            ("vm:1144 and vm: and ct:", "vm:1144 and vm: and ct:"),
            ("日本 vm:114", "日本 vm:114 voip"),
        ] {
            assert_eq!(names.in_text(text), named);
        }
    }
}
