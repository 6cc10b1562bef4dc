//! The house rules as tests, over the text of the project.
//!
//! A rule is a pure function from a [`Tree`] to complaints, each of which names a file, a line where there is one, and
//! what to do. There are no exceptions to be listed: a rule that needs one is wrong.

mod crates;
mod files;
mod links;
mod registries;
mod words;

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::Path;

/// Texts of the project by path from its top directory, with `/`.
pub(crate) type Tree = BTreeMap<String, String>;

/// One rule that is not kept.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Complaint {
    file: String,
    line: Option<usize>,
    what: String,
}

impl Complaint {
    fn of_file(file: &str, what: impl Into<String>) -> Self {
        Self { file: file.to_owned(), line: None, what: what.into() }
    }

    fn at(file: &str, index: usize, what: impl Into<String>) -> Self {
        Self { file: file.to_owned(), line: Some(index + 1), what: what.into() }
    }
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            Some(line) => write!(f, "{}:{line}: {}", self.file, self.what),
            None => write!(f, "{}: {}", self.file, self.what),
        }
    }
}

const RULES: &[fn(&Tree) -> Vec<Complaint>] = &[
    files::not_too_long,
    files::begins_with_its_purpose,
    files::core_is_pure,
    files::nothing_left_to_do,
    crates::each_knows_only_those_before_it,
    links::lead_somewhere,
    registries::ids_are_unique_documented_and_tested,
    words::nothing_of_this_machine,
];

/// Applies all rules and prints the complaints; true if there are none.
pub(crate) fn run(root: &Path) -> bool {
    let mut tree = Tree::new();
    if let Err(error) = read(root, "", &mut tree) {
        println!("the project cannot be read: {error}");
        return false;
    }
    let mut complaints: Vec<Complaint> = RULES.iter().flat_map(|rule| rule(&tree)).collect();
    let stale = crate::docs::stale(root).into_iter();
    complaints.extend(stale.map(|page| Complaint::of_file(&page, "not what the code says: run `cargo xtask docs`")));
    complaints.sort();
    for complaint in &complaints {
        println!("{complaint}");
    }
    println!("tidy: {} files, {} complaints", tree.len(), complaints.len());
    complaints.is_empty()
}

/// Reads every text below `place`, but what cargo and git keep for themselves.
fn read(root: &Path, place: &str, tree: &mut Tree) -> std::io::Result<()> {
    for entry in fs::read_dir(root.join(place))? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = if place.is_empty() { name.clone() } else { format!("{place}/{name}") };
        let kind = entry.file_type()?;
        if kind.is_dir() && !matches!(name.as_str(), "target" | ".git") {
            read(root, &path, tree)?;
        } else if kind.is_file()
            && let Ok(text) = fs::read_to_string(entry.path())
        {
            tree.insert(path, text);
        }
    }
    Ok(())
}

/// Rust sources of the project.
fn rust(tree: &Tree) -> impl Iterator<Item = (&str, &str)> {
    tree.iter().filter(|(path, _)| path.ends_with(".rs")).map(|(path, text)| (path.as_str(), text.as_str()))
}

/// A file that holds nothing but tests.
fn is_test_file(path: &str) -> bool {
    path.contains("/tests/") || path.ends_with("/tests.rs")
}

/// Lines with code: comments are left out.
fn code_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//"))
}

#[cfg(test)]
fn tree_of(files: &[(&str, &str)]) -> Tree {
    files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect()
}

#[cfg(test)]
fn texts(complaints: &[Complaint]) -> Vec<String> {
    complaints.iter().map(ToString::to_string).collect()
}
