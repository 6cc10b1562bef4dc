//! The crates stand in one line; each knows only those before it.

use super::tree::{Complaint, Tree};

const LINE: &[&str] = &["core", "journal", "pve", "engine", "sim", "cli"];

/// Reads the `[dependencies]` of each crate. What tests use (`[dev-dependencies]`) is free: the engine is tested
/// against the simulator that comes after it.
pub(super) fn each_knows_only_those_before_it(tree: &Tree) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for (place, name) in LINE.iter().enumerate() {
        let path = format!("crates/{name}/Cargo.toml");
        let Some(text) = tree.get(&path) else {
            complaints.push(Complaint::of_file(&path, "is missing: the line of crates in xtask names it"));
            continue;
        };
        let mut section = "";
        for (index, line) in text.lines().enumerate() {
            if line.starts_with('[') {
                section = line.trim();
                continue;
            }
            let Some(used) = line.strip_prefix("quorate-").filter(|_| section == "[dependencies]") else { continue };
            let used: String = used.chars().take_while(char::is_ascii_lowercase).collect();
            if !LINE[..place].contains(&used.as_str()) {
                let what = format!("{name} uses {used}; the order is {}", LINE.join(" → "));
                complaints.push(Complaint::at(&path, index, what));
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
    fn a_crate_that_uses_a_later_one_is_named_and_its_tests_may() {
        let paths: Vec<String> = LINE.iter().map(|name| format!("crates/{name}/Cargo.toml")).collect();
        let mut files: Vec<(&str, &str)> = paths.iter().map(|path| (path.as_str(), "[dependencies]\n")).collect();
        files[2].1 = "[dependencies]\nquorate-core = { workspace = true }\nquorate-sim = { workspace = true }\n";
        files[3].1 = "[dependencies]\n[dev-dependencies]\nquorate-sim = { workspace = true }\n";
        let complaints = texts(&each_knows_only_those_before_it(&tree_of(&files)));
        assert_eq!(complaints.len(), 1, "{complaints:?}");
        assert!(complaints[0].starts_with("crates/pve/Cargo.toml:3: pve uses sim"), "{complaints:?}");
    }
}
