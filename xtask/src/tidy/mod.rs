//! The house rules as tests, over the text of the project.
//!
//! A rule is a pure function from a [`tree::Tree`] to complaints, each of which names a file, a line where there is
//! one, and what to do. There are no exceptions to be listed: a rule that needs one is wrong.

mod circles;
mod comments;
mod crates;
mod files;
mod links;
mod matches;
mod registries;
mod source;
mod tree;
mod words;

use std::path::Path;

use tree::{Complaint, Tree, read};

const RULES: &[fn(&Tree) -> Vec<Complaint>] = &[
    circles::no_circle_of_files,
    files::not_too_long,
    files::begins_with_its_purpose,
    files::core_is_pure,
    files::nothing_left_to_do,
    crates::each_knows_only_those_before_it,
    links::lead_somewhere,
    matches::no_arm_for_all_other_steps,
    comments::hold_no_example_to_run,
    comments::say_what_public_items_are,
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
