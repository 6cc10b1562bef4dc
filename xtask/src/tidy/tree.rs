//! The text of the project, and what a rule says about it.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::Path;

/// Texts of the project by path from its top directory, with `/`.
pub(super) type Tree = BTreeMap<String, String>;

/// One rule that is not kept.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Complaint {
    file: String,
    line: Option<usize>,
    what: String,
}

impl Complaint {
    pub(super) fn of_file(file: &str, what: impl Into<String>) -> Self {
        Self { file: file.to_owned(), line: None, what: what.into() }
    }

    pub(super) fn at(file: &str, index: usize, what: impl Into<String>) -> Self {
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

/// Reads every text below `place`, but what cargo and git keep for themselves.
pub(super) fn read(root: &Path, place: &str, tree: &mut Tree) -> std::io::Result<()> {
    for entry in fs::read_dir(root.join(place))? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = if place.is_empty() { name.clone() } else { format!("{place}/{name}") };
        let kind = entry.file_type()?;
        if matches!(name.as_str(), "target" | ".git") {
            continue;
        }
        if kind.is_dir() {
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
pub(super) fn rust(tree: &Tree) -> impl Iterator<Item = (&str, &str)> {
    tree.iter().filter(|(path, _)| path.ends_with(".rs")).map(|(path, text)| (path.as_str(), text.as_str()))
}

/// A file that contains nothing but tests.
pub(super) fn is_test_file(path: &str) -> bool {
    path.contains("/tests/") || path.ends_with("/tests.rs")
}

/// Lines with code: comments are left out.
pub(super) fn code_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines().enumerate().filter(|(_, line)| !line.trim_start().starts_with("//"))
}

#[cfg(test)]
pub(super) fn tree_of(files: &[(&str, &str)]) -> Tree {
    files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect()
}

#[cfg(test)]
pub(super) fn texts(complaints: &[Complaint]) -> Vec<String> {
    complaints.iter().map(ToString::to_string).collect()
}
