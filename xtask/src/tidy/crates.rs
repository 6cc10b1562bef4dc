//! The crates are in one order, each knows only those before it: first what is shipped as `quorate`, then the lab. So
//! the product knows nothing of the lab, not even in its tests.

use super::tree::{Complaint, Tree};

/// Folder and package.
const LINE: &[(&str, &str)] = &[
    ("crates/core", "quorate-core"),
    ("crates/journal", "quorate-journal"),
    ("crates/pve", "quorate-pve"),
    ("crates/engine", "quorate-engine"),
    ("crates/cli", "quorate"),
    ("lab/world", "quorate-world"),
    ("lab/wire", "quorate-wire"),
    ("lab/serve", "quorate-lab"),
    ("lab/trials", "quorate-trials"),
];

/// These fake a cluster: with what reads and drives one they must not share a mistake.
const APART: &[&str] = &["lab/world", "lab/wire"];
const NOT_FOR_THEM: &[&str] = &["quorate-journal", "quorate-pve", "quorate-engine", "quorate"];

/// Reads the dependencies of each crate, those of its tests too.
pub(super) fn each_knows_only_those_before_it(tree: &Tree) -> Vec<Complaint> {
    let mut complaints = unlisted(tree);
    for (place, (folder, package)) in LINE.iter().enumerate() {
        let path = format!("{folder}/Cargo.toml");
        let Some(text) = tree.get(&path) else {
            complaints.push(Complaint::of_file(&path, "is missing: the line of crates in xtask names it"));
            continue;
        };
        for (index, used) in ours(text) {
            let apart = APART.contains(folder) && NOT_FOR_THEM.contains(&used);
            let before = used == *package || LINE[..place].iter().any(|(_, other)| *other == used);
            if apart || !before {
                complaints.push(Complaint::at(
                    &path,
                    index,
                    format!("{package} may not know {used}: {}", order(folder)),
                ));
            }
        }
    }
    complaints
}

fn order(folder: &str) -> String {
    if APART.contains(&folder) {
        return "of the product it may use quorate-core only".to_owned();
    }
    let names: Vec<&str> = LINE.iter().map(|(_, package)| *package).collect();
    format!("the order is {}", names.join(" → "))
}

/// Crates of the two folders that the line does not name: nothing would check them.
fn unlisted(tree: &Tree) -> Vec<Complaint> {
    let manifests = tree.keys().filter_map(|path| Some((path, path.strip_suffix("/Cargo.toml")?)));
    let crates = manifests.filter(|(_, folder)| folder.starts_with("crates/") || folder.starts_with("lab/"));
    let unlisted = crates.filter(|(_, folder)| LINE.iter().all(|(listed, _)| listed != folder));
    unlisted.map(|(path, _)| Complaint::of_file(path, "is not in the line of crates in xtask")).collect()
}

/// Crates of this project that a manifest names as a dependency of any kind, and in which line.
fn ours(manifest: &str) -> Vec<(usize, &str)> {
    let mut ours = Vec::new();
    let mut in_dependencies = false;
    for (index, line) in manifest.lines().enumerate() {
        if line.starts_with('[') {
            in_dependencies = line.trim().trim_end_matches(']').ends_with("dependencies");
        } else if in_dependencies && line.starts_with("quorate") {
            ours.push((index, line.split(['.', '=', ' ']).next().unwrap_or_default()));
        }
    }
    ours
}

#[cfg(test)]
mod tests {
    use super::super::tree::{texts, tree_of};
    use super::*;

    /// What is said if one crate's manifest ends with these lines.
    fn said(folder: &str, lines: &str) -> Vec<String> {
        let paths: Vec<String> = LINE.iter().map(|(folder, _)| format!("{folder}/Cargo.toml")).collect();
        let text = |path: &str| if path == format!("{folder}/Cargo.toml") { lines.to_owned() } else { String::new() };
        let files: Vec<(&str, String)> = paths.iter().map(|path| (path.as_str(), text(path))).collect();
        let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (*path, text.as_str())).collect();
        texts(&each_knows_only_those_before_it(&tree_of(&files)))
    }

    #[test]
    fn a_crate_that_uses_a_later_one_is_named() {
        let complaints =
            said("crates/pve", "[dependencies]\nquorate-core = { workspace = true }\nquorate-engine = \"1\"\n");
        assert_eq!(complaints.len(), 1, "{complaints:?}");
        assert!(complaints[0].starts_with("crates/pve/Cargo.toml:3: quorate-pve may not know quorate-engine"));
        let itself = "[dev-dependencies]\nquorate-core = { path = \".\" }\n";
        assert_eq!(said("crates/core", itself), [""; 0], "a crate's tests may ask for a feature of it");
    }

    #[test]
    fn the_product_knows_nothing_of_the_lab_not_even_in_its_tests() {
        for section in ["[dependencies]", "[dev-dependencies]", "[target.'cfg(unix)'.dependencies]"] {
            let complaints = said("crates/cli", &format!("{section}\nquorate-world.workspace = true\n"));
            assert!(complaints.len() == 1 && complaints[0].contains("quorate may not know quorate-world"), "{section}");
        }
        assert_eq!(said("lab/serve", "[dependencies]\nquorate = { workspace = true }\n"), [""; 0]);
    }

    #[test]
    fn the_world_and_its_outside_know_only_the_core_of_the_product() {
        let complaints = said("lab/wire", "[dependencies]\nquorate-world = \"1\"\nquorate-pve = \"1\"\n");
        assert!(complaints.len() == 1 && complaints[0].contains("quorate-core only"), "{complaints:?}");
    }

    #[test]
    fn a_crate_that_is_not_in_the_line_is_named() {
        let mut tree = tree_of(&[("lab/more/Cargo.toml", ""), ("research/planner/Cargo.toml", "")]);
        for (folder, _) in LINE {
            tree.insert(format!("{folder}/Cargo.toml"), String::new());
        }
        assert_eq!(texts(&each_knows_only_those_before_it(&tree)).len(), 1);
    }
}
