//! Nothing of the machine that the project was written on: no path, no package mirror.

use super::tree::{Complaint, Tree};

/// Beginnings of paths that exist on one machine only. Put together here, so that this file does not contain them.
const PATHS: &[&str] = &[
    concat!("/wo", "rk/"),
    concat!("/tmp/ba", "sh"),
    concat!("/tmp/tar", "get"),
    concat!("/root/.car", "go"),
    concat!("/home/run", "ner"),
];

/// Where packages come from; anything else in the lock file is a mirror that others cannot reach.
const PUBLIC_INDEX: &str = "registry+https://github.com/rust-lang/crates.io-index";

pub(super) fn nothing_of_this_machine(tree: &Tree) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for (path, text) in tree {
        for (index, line) in text.lines().enumerate() {
            for word in PATHS.iter().filter(|word| has_path(line, word)) {
                complaints.push(Complaint::at(path, index, format!("`{word}`: a path of one machine")));
            }
            let source = line.trim().strip_prefix("source = \"").filter(|_| path == "Cargo.lock");
            if source.is_some_and(|source| source.trim_end_matches('"') != PUBLIC_INDEX) {
                complaints.push(Complaint::at(path, index, "a package that does not come from the public index"));
            }
            if path.starts_with(".cargo/") && (line.contains("[source") || line.contains("[registr")) {
                complaints.push(Complaint::at(path, index, "a package mirror belongs in your own configuration"));
            }
        }
    }
    complaints
}

/// Does a path begin here? `a/work/b` contains one that begins elsewhere.
fn has_path(line: &str, path: &str) -> bool {
    let inside = |c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '/' | '}' | ')');
    line.match_indices(path).any(|(at, _)| !line[..at].chars().next_back().is_some_and(inside))
}

#[cfg(test)]
mod tests {
    use super::super::tree::{texts, tree_of};
    use super::*;

    #[test]
    fn a_path_and_a_mirror_of_one_machine_are_found() {
        let path = format!("see {}main/README.md", PATHS[0]);
        let inside = format!("a{}b", PATHS[0]);
        let lock = format!("source = \"{PUBLIC_INDEX}\"\nsource = \"registry+https://mirror.example/index\"\n");
        let tree = tree_of(&[
            ("README.md", path.as_str()),
            ("docs/a.md", inside.as_str()),
            ("Cargo.lock", lock.as_str()),
            (".cargo/config.toml", "[source.mirror]\n"),
        ]);
        let complaints = texts(&nothing_of_this_machine(&tree));
        assert_eq!(complaints.len(), 3, "{complaints:?}");
        assert!(complaints[1].starts_with("Cargo.lock:2"), "{complaints:?}");
    }
}
