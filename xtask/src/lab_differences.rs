//! `docs/lab-differences.md`: where the lab is not a Proxmox cluster. Its tables are those that the tests of the lab
//! use; the words around them are in `lab_differences.md` beside this file.
//!
//! What differs for the same reason and in the same place is one line of the page.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

/// Where the tests of the lab are.
const TESTS: &str = "lab/trials/tests/lab";

const PAGE: &str = "docs/lab-differences.md";

/// The page with a mark `{{NAME}}` for each table.
const WORDS: &str = include_str!("lab_differences.md");

/// The name of a table in the tests, and the file that has it.
const TABLES: &[(&str, &str)] = &[
    ("ACCEPTED", "fixtures/accepted_differences.rs"),
    ("EXPORT", "fixtures/export_differences.rs"),
    ("UNDESCRIBED", "wire_contract/undescribed.rs"),
    ("LEFT_OUT", "wire_contract/differences.rs"),
];

/// Writes the page.
pub(crate) fn write(root: &Path) -> io::Result<()> {
    #[allow(clippy::disallowed_methods, reason = "a page of the documentation is what this writes")]
    fs::write(root.join(PAGE), page(root)?)
}

/// Says so if the page is not what it would be now.
pub(crate) fn stale(root: &Path) -> Vec<String> {
    let told = |why: String| vec![format!("{PAGE}: {why}")];
    match (page(root), fs::read_to_string(root.join(PAGE))) {
        (Ok(new), Ok(old)) if new == old => Vec::new(),
        (Ok(_), Ok(_)) => told("is not what the tests of the lab say: cargo xtask docs".to_owned()),
        (Err(why), _) | (_, Err(why)) => told(why.to_string()),
    }
}

fn page(root: &Path) -> io::Result<String> {
    let mut page = WORDS.to_owned();
    for (name, file) in TABLES {
        let path = format!("{TESTS}/{file}");
        let named = |why: &str| io::Error::other(format!("{path}: {why}"));
        let source = fs::read_to_string(root.join(&path)).map_err(|why| named(&why.to_string()))?;
        let rows = rows(&source, name).ok_or_else(|| named(&format!("no table {name} of pairs of texts")))?;
        page = page.replace(&format!("{{{{{name}}}}}"), &by_reason(&rows));
    }
    Ok(page)
}

/// The pairs of a `const NAME: &[(&str, &str)]`: what, and why.
fn rows(source: &str, name: &str) -> Option<Vec<(String, String)>> {
    let (_, rest) = source.split_once(&format!("const {name}: &[(&str, &str)] = &["))?;
    let (table, _) = rest.split_once("\n];")?;
    let texts: Vec<&str> = table.split('"').skip(1).step_by(2).collect();
    let pairs = texts.chunks_exact(2);
    // A quotation mark inside of a text would shift all that follow.
    let sound = pairs.remainder().is_empty() && !texts.is_empty() && !table.contains('\\');
    sound.then(|| pairs.map(|pair| (pair[0].to_owned(), pair[1].to_owned())).collect())
}

/// One list for each reason.
fn by_reason(rows: &[(String, String)]) -> String {
    let mut reasons: BTreeMap<&str, BTreeMap<(&str, &str), Vec<&str>>> = BTreeMap::new();
    for (what, why) in rows {
        let (place, kind) = what.split_once(": ").unwrap_or((what, ""));
        // Only a key of an answer has a kind: a call stays as it is.
        let (inside, key) = place.rsplit_once('/').filter(|_| !kind.is_empty()).unwrap_or((place, ""));
        reasons.entry(why).or_default().entry((inside, kind)).or_default().push(key);
    }
    let mut lines = Vec::new();
    for (why, places) in reasons {
        let places: Vec<String> = places.into_iter().map(|((inside, kind), keys)| place(inside, kind, &keys)).collect();
        if let [only] = places.as_slice() {
            lines.push(format!("- {}: {only}", capital(why)));
        } else {
            lines.push(format!("- {}:", capital(why)));
            lines.extend(places.into_iter().map(|place| format!("  - {place}")));
        }
    }
    lines.join("\n")
}

fn place(inside: &str, kind: &str, keys: &[&str]) -> String {
    if kind.is_empty() {
        return format!("`{inside}`");
    }
    let keys: Vec<String> = keys.iter().map(|key| format!("`{key}`")).collect();
    format!("`{inside}`, {kind}: {}", keys.join(", "))
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or(String::new(), |first| first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_what_the_tests_of_the_lab_say() {
        assert_eq!(stale(&crate::root()), [""; 0]);
    }

    #[test]
    fn what_differs_alike_is_one_line_below_its_reason() {
        let source = "const T: &[(&str, &str)] = &[\n    (\"GET /a[]/b: missing\", \"goes with EFI\"),\n    \
                      (\"GET /a[]/c: missing\", \"goes with EFI\"),\n    (\"POST /d\", \"nothing to do\"),\n    \
                      (\"POST /e\", \"nothing to do\"),\n];\n";
        let rows = rows(source, "T").expect("four rows");
        let page = "- Goes with EFI: `GET /a[]`, missing: `b`, `c`\n- Nothing to do:\n  - `POST /d`\n  - `POST /e`";
        assert_eq!(by_reason(&rows), page);
    }

    #[test]
    fn a_table_that_cannot_be_read_is_no_empty_table() {
        assert_eq!(rows("const T: &[(&str, &str)] = &[\n];\n", "T"), None);
        assert_eq!(rows("const T: &[(&str, &str)] = &[\n    (\"a\", \"b \\\" c\"),\n];\n", "T"), None);
        assert_eq!(rows("", "T"), None);
    }
}
