//! Steps, checks and invariants: every one has an id of its own, a section in its page of the documentation, and at
//! least one test or scenario that names it.

use std::collections::BTreeMap;

use super::tree::{Complaint, Tree, is_test_file, rust};

struct Registry {
    /// One file per entry below here.
    folder: &'static str,
    /// What comes before the ids: strings up to `end`.
    begin: &'static str,
    end: &'static str,
    /// The page with a section per id.
    page: &'static str,
}

const ID: &str = "fn id(&self) -> &'static str {";
/// In a check.
const CHECK_ID: &str = "const ID: &'static str =";
const VERB: &str = "fn verb(&self) -> &'static str {";
/// Of setting a flag or a mode, and of undoing that.
const VERBS: &str = "const VERBS: [&str; 2] =";

const REGISTRIES: &[Registry] = &[
    Registry { folder: "crates/core/src/steps/", begin: VERB, end: "}", page: "docs/steps.md" },
    Registry { folder: "crates/core/src/steps/settings/", begin: VERBS, end: ";", page: "docs/steps.md" },
    Registry { folder: "crates/core/src/checks/", begin: CHECK_ID, end: ";", page: "docs/checks.md" },
    Registry { folder: "crates/core/src/invariants/", begin: ID, end: "}", page: "docs/invariants.md" },
];

pub(super) fn ids_are_unique_documented_and_tested(tree: &Tree) -> Vec<Complaint> {
    let tests = text_of_tests(tree);
    REGISTRIES.iter().flat_map(|registry| look(registry, tree, &tests)).collect()
}

fn look(registry: &Registry, tree: &Tree, tests: &[String]) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    let mut owners: BTreeMap<String, &str> = BTreeMap::new();
    for (path, text) in rust(tree).filter(|(path, _)| path.starts_with(registry.folder)) {
        for id in ids(text, registry) {
            if let Some(other) = owners.insert(id.clone(), path) {
                complaints.push(Complaint::of_file(path, format!("the id {id} is that of {other} too")));
            }
        }
    }
    if owners.is_empty() {
        complaints.push(Complaint::of_file(registry.folder, format!("no `{}` with an id in it", registry.begin)));
    }
    let page = tree.get(registry.page).map_or("", String::as_str);
    for (id, path) in owners {
        if !has_section(page, &id) {
            complaints.push(Complaint::of_file(path, format!("{id} has no section in {}", registry.page)));
        }
        let names = [id.clone(), camel_case(&id)];
        if !tests.iter().any(|text| names.iter().any(|name| has_word(text, name))) {
            complaints.push(Complaint::of_file(path, format!("no test and no scenario names {id}")));
        }
    }
    complaints
}

/// The strings behind each beginning; the trait's own declaration ends otherwise.
fn ids(text: &str, registry: &Registry) -> Vec<String> {
    let bodies = text.split(registry.begin).skip(1).filter_map(|rest| rest.split(registry.end).next());
    bodies.flat_map(|body| body.split('"').skip(1).step_by(2)).map(ToOwned::to_owned).collect()
}

fn has_section(page: &str, id: &str) -> bool {
    page.lines().filter(|line| line.starts_with('#')).any(|line| line.trim_matches(['#', ' ', '`']) == id)
}

/// `wait-empty` → `WaitEmpty`: tests may name the type.
fn camel_case(id: &str) -> String {
    let mut name = String::new();
    for part in id.split('-') {
        let mut letters = part.chars();
        name.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        name.push_str(letters.as_str());
    }
    name
}

fn has_word(text: &str, word: &str) -> bool {
    let part_of_word = |c: char| c.is_alphanumeric() || c == '-' || c == '_';
    text.match_indices(word).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        let after = text[at + word.len()..].chars().next();
        !before.is_some_and(part_of_word) && !after.is_some_and(part_of_word)
    })
}

/// Test files, test modules inside sources, and scenarios.
fn text_of_tests(tree: &Tree) -> Vec<String> {
    let mut texts = Vec::new();
    for (path, text) in tree {
        if path.starts_with("scenarios/") || (path.ends_with(".rs") && is_test_file(path)) {
            texts.push(text.clone());
        } else if path.ends_with(".rs")
            && !path.starts_with("xtask/")
            && let Some((_, tests)) = text.split_once("#[cfg(test)]")
        {
            texts.push(tests.to_owned());
        }
    }
    texts
}

#[cfg(test)]
mod tests {
    use super::super::tree::{texts, tree_of};
    use super::*;

    const STEP: &str =
        "impl StepKind for A {\n    fn verb(&self) -> &'static str {\n        \"wait-empty\"\n    }\n}\n";
    const SETTING: &str = "pub(super) const VERBS: [&str; 2] = [\"set-noout\", \"unset-noout\"];\n";
    const CHECK: &str = "    const ID: &'static str;\n    const ID: &'static str = \"disk-space\";\n";
    const RULE: &str =
        "    fn id(&self) -> &'static str;\n    fn id(&self) -> &'static str {\n        \"one-node-out\"\n    }\n";

    fn complete() -> Vec<(&'static str, &'static str)> {
        vec![
            ("crates/core/src/steps/prove_empty.rs", STEP),
            ("crates/core/src/checks/disk_space.rs", CHECK),
            ("crates/core/src/invariants/one_node_out.rs", RULE),
            ("docs/steps.md", "## wait-empty\n## set-noout\n## unset-noout\n"),
            ("docs/checks.md", "## `disk-space`\n"),
            ("docs/invariants.md", "### one-node-out\n"),
            ("crates/core/tests/all.rs", "WaitEmpty set-noout unset-noout \"disk-space\" one-node-out"),
            ("crates/core/src/steps/settings/noout.rs", SETTING),
        ]
    }

    #[test]
    fn entries_with_id_section_and_test_pass() {
        assert_eq!(texts(&ids_are_unique_documented_and_tested(&tree_of(&complete()))), [""; 0]);
    }

    #[test]
    fn each_thing_that_is_missing_is_named() {
        let cases = [
            (3, "docs/steps.md", "## set-noout\n## unset-noout\n", "wait-empty has no section in docs/steps.md"),
            (3, "docs/steps.md", "## wait-empty\n## set-noout\n", "unset-noout has no section in docs/steps.md"),
            (
                6,
                "crates/core/tests/all.rs",
                "disk-spaces one-node-out WaitEmpty set-noout unset-noout",
                "no test and no scenario names disk-space",
            ),
            (2, "crates/core/src/invariants/mod.rs", "", "with an id in it"),
        ];
        for (at, path, text, expected) in cases {
            let mut files = complete();
            files[at] = (path, text);
            let complaints = texts(&ids_are_unique_documented_and_tested(&tree_of(&files)));
            assert!(complaints.len() == 1 && complaints[0].contains(expected), "{complaints:?}");
        }
        let mut files = complete();
        files.push(("crates/core/src/checks/other.rs", CHECK));
        let complaints = texts(&ids_are_unique_documented_and_tested(&tree_of(&files)));
        assert!(complaints[0].contains("is that of"), "{complaints:?}");
    }
}
