//! Rules about single source files.

use super::tree::{Complaint, Tree, code_lines, is_test_file, rust};

/// A file fits in one's head: one that needs more has two subjects.
const MAX_LINES: usize = 400;

/// Tests are lists; they may be longer.
const MAX_TEST_LINES: usize = 600;

pub(super) fn not_too_long(tree: &Tree) -> Vec<Complaint> {
    let complain = |(path, text): (&str, &str)| {
        let allowed = if is_test_file(path) { MAX_TEST_LINES } else { MAX_LINES };
        let lines = text.lines().count();
        (lines > allowed).then(|| Complaint::of_file(path, format!("{lines} lines; at most {allowed}: split it")))
    };
    rust(tree).filter_map(complain).collect()
}

pub(super) fn begins_with_its_purpose(tree: &Tree) -> Vec<Complaint> {
    let complain = |(path, text): (&str, &str)| {
        let documented = text.trim_start().starts_with("//!");
        (!documented).then(|| Complaint::of_file(path, "does not begin with `//!` and what the file is for"))
    };
    rust(tree).filter_map(complain).collect()
}

/// What the core must not even mention: with any of it, the same input no longer gives the same output.
const IMPURE: &[&str] = &[
    "std::time",
    "std::fs",
    "std::net",
    "std::thread",
    "std::process",
    "std::env",
    "std::io",
    "HashMap",
    "HashSet",
    "rand::",
    "tokio",
    "async ",
    ".await",
];

pub(super) fn core_is_pure(tree: &Tree) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for (path, text) in rust(tree).filter(|(path, _)| path.starts_with("crates/core/src/")) {
        for (index, line) in code_lines(text) {
            for word in IMPURE.iter().filter(|word| line.contains(**word)) {
                complaints.push(Complaint::at(path, index, format!("`{word}`: the core is pure")));
            }
        }
    }
    complaints
}

pub(super) fn nothing_left_to_do(tree: &Tree) -> Vec<Complaint> {
    let macros = [concat!("to", "do!"), concat!("unimple", "mented!"), concat!("db", "g!")];
    let mut complaints = Vec::new();
    for (path, text) in rust(tree) {
        for (index, line) in code_lines(text) {
            for word in macros.iter().filter(|word| line.contains(**word)) {
                complaints.push(Complaint::at(path, index, format!("`{word}` is left")));
            }
        }
    }
    complaints
}

#[cfg(test)]
mod tests {
    use super::super::tree::{texts, tree_of};
    use super::*;

    #[test]
    fn a_long_file_is_named_with_its_length_and_a_test_file_may_be_longer() {
        let long = "//! Doc.\n".repeat(401);
        let tree = tree_of(&[("crates/a/src/lib.rs", &long), ("crates/a/tests/a.rs", &long), ("notes.md", &long)]);
        assert_eq!(texts(&not_too_long(&tree)), ["crates/a/src/lib.rs: 401 lines; at most 400: split it"]);
    }

    #[test]
    fn a_file_without_a_module_doc_is_named() {
        let tree = tree_of(&[("src/a.rs", "use std::fmt;\n"), ("src/b.rs", "//! What it is for.\n")]);
        assert_eq!(texts(&begins_with_its_purpose(&tree)).len(), 1);
    }

    #[test]
    fn a_clock_in_the_core_is_found_and_one_in_a_comment_is_not() {
        let text = "//! No std::time here.\nuse std::time::Instant;\n";
        let tree = tree_of(&[("crates/core/src/a.rs", text), ("crates/pve/src/a.rs", text)]);
        assert_eq!(texts(&core_is_pure(&tree)), ["crates/core/src/a.rs:2: `std::time`: the core is pure"]);
    }

    #[test]
    fn an_unfinished_place_is_found() {
        let text = format!("//! Doc.\nfn a() {{ {}() }}\n", concat!("to", "do!"));
        assert_eq!(texts(&nothing_left_to_do(&tree_of(&[("src/a.rs", &text)]))).len(), 1);
    }
}
