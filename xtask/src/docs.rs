//! Pages that are made from the code: `docs/checks.md` and `docs/invariants.md`. `cargo xtask docs` writes them, and a
//! test is red where one is stale.

#![allow(clippy::disallowed_methods, reason = "pages of the documentation are what this writes")]

use std::fs;
use std::path::Path;

use quorate_core::text::wrapped;
use quorate_core::{checks, invariants};

/// Lines of a page are no longer than this.
const WIDTH: usize = 120;

const CHECKS: &str = "Checks before a run";
const ABOUT_CHECKS: [&str; 2] = [
    "`quorate preflight` makes every check on one snapshot (`crates/core/src/checks/`, one file per check), and every \
     [safety rule](invariants.md), for now and with each node out, one after the other. A finding is *blocking* (no \
     run until it is gone), needs *consent*, is a *warning*, or is *information*. Every finding names what was seen and \
     what to do about it. Its id (`disk-space/root-full`) stays the same when its words change. What could not be read \
     is found by `unknown-readings` alone; what a rule finds is listed under the rule's own id, and no check repeats it.",
    "`quorate explain ID` prints these texts. They are written in the code; this page is made from it by `cargo xtask \
     docs`.",
];

const RULES: &str = "Safety rules";
const ABOUT_RULES: [&str; 3] = [
    "Each rule is a predicate over one snapshot (`crates/core/src/invariants/`, one file per rule). A step that takes a \
     risk is begun only if every rule holds now, while it runs and after it, together with everything that is under way. \
     A step that undoes something must merely break no rule that holds. A reading that is missing on a node that is \
     online makes a rule *unknown*, and unknown lets nothing pass.",
    "Before a run preflight checks every rule as well, for now (`RULE/now`) and with each node out, one after the other, \
     as during its reboot (`RULE/node-out`); what a rule cannot decide for another reason than a missing reading is \
     `RULE/cannot-tell`. All of it is blocking and never waived.",
    "`quorate explain ID` prints these texts. They are written in the code; this page is made from it by `cargo xtask \
     docs`.",
];

/// Each page with its path below the project's top directory.
fn pages() -> [(&'static str, String); 2] {
    let checks = checks::ALL.iter().map(|check| (check.id, check.paragraphs().to_vec()));
    let rules = invariants::ALL.iter().map(|rule| (rule.id(), rule.paragraphs().to_vec()));
    [("docs/checks.md", page(CHECKS, &ABOUT_CHECKS, checks)), ("docs/invariants.md", page(RULES, &ABOUT_RULES, rules))]
}

/// Writes the pages.
pub(crate) fn write(root: &Path) -> std::io::Result<()> {
    pages().into_iter().try_for_each(|(path, text)| fs::write(root.join(path), text))
}

/// The pages that are not what the code says.
pub(crate) fn stale(root: &Path) -> Vec<String> {
    let is_stale = |(path, text): &(&str, String)| fs::read_to_string(root.join(path)).ok().as_ref() != Some(text);
    pages().iter().filter(|page| is_stale(page)).map(|(path, _)| (*path).to_owned()).collect()
}

fn page<'a>(title: &str, about: &[&str], sections: impl Iterator<Item = (&'a str, Vec<String>)>) -> String {
    let mut page = format!("# {title}\n");
    about.iter().for_each(|text| paragraph(&mut page, text));
    for (id, paragraphs) in sections {
        page.push_str(&format!("\n## {id}\n"));
        paragraphs.iter().for_each(|text| paragraph(&mut page, text));
    }
    page
}

fn paragraph(page: &mut String, text: &str) {
    page.push_str(&format!("\n{}\n", wrapped(text, WIDTH).join("\n")));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_page_is_stale() {
        assert_eq!(stale(&crate::root()), [""; 0], "cargo xtask docs writes them");
    }

    #[test]
    fn a_page_that_was_changed_by_hand_is_stale() {
        let root = std::env::temp_dir().join(format!("quorate-docs-{}", std::process::id()));
        fs::create_dir_all(root.join("docs")).unwrap();
        write(&root).unwrap();
        assert_eq!(stale(&root), [""; 0]);
        fs::write(root.join("docs/checks.md"), "# Checks before a run\n").unwrap();
        assert_eq!(stale(&root), ["docs/checks.md"]);
        fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn no_line_is_too_long() {
        for (path, text) in pages() {
            let long = text.lines().find(|line| line.chars().count() > WIDTH);
            assert_eq!(long, None, "{path}");
        }
    }
}
