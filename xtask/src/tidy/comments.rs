//! What a doc comment may not be.

use super::tree::{Complaint, Tree, is_test_file, rust};

/// Nothing runs the examples in doc comments: compiling each of them alone took four minutes for none.
pub(super) fn hold_no_example_to_run(tree: &Tree) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for (path, text) in rust(tree) {
        let mut open = false;
        for (index, line) in text.lines().enumerate() {
            let line = line.trim_start();
            let doc = line.strip_prefix("///").or_else(|| line.strip_prefix("//!"));
            let Some(language) = doc.and_then(|doc| doc.trim_start().strip_prefix("```")) else { continue };
            open = !open;
            if open
                && matches!(language.split([',', ' ']).next(), Some("" | "rust" | "should_panic" | "no_run" | "ignore"))
            {
                let what = "an example in a doc comment is run by nothing: write a test, or say that it is ```text";
                complaints.push(Complaint::at(path, index, what));
            }
        }
    }
    complaints
}

/// Public things have a comment: functions, types, traits, constants, modules. A field or a variant needs a comment
/// only where its name does not say it all, so the lint `missing_docs`, which knows no difference, is no help.
pub(super) fn say_what_public_items_are(tree: &Tree) -> Vec<Complaint> {
    const ITEMS: &[&str] = &["fn", "struct", "enum", "trait", "type", "const", "static", "async"];
    let mut complaints = Vec::new();
    for (path, text) in rust(tree).filter(|(path, _)| !is_test_file(path)) {
        let (code, _) = text.split_once("\n#[cfg(test)]\nmod tests {").unwrap_or((text, ""));
        let lines: Vec<&str> = code.lines().map(str::trim).collect();
        for (index, line) in lines.iter().enumerate() {
            let mut words = line.split([' ', '(', '<']);
            let public = words.next() == Some("pub") && words.next().is_some_and(|word| ITEMS.contains(&word));
            if public && !is_documented(&lines[..index]) {
                complaints.push(Complaint::at(path, index, "public, and no comment says what it is"));
            }
        }
    }
    complaints
}

/// Is the last of these lines a doc comment, attributes aside?
fn is_documented(above: &[&str]) -> bool {
    let mut lines = above.iter().rev();
    while let Some(line) = lines.next() {
        if line.ends_with(")]") && !line.starts_with("#[") {
            // An attribute of several lines.
            lines.by_ref().find(|line| line.starts_with("#["));
        } else if !line.starts_with("#[") {
            return line.starts_with("///") || line.starts_with("#!") || line.starts_with("$(#[");
        }
    }
    false
}

/// Articles and the like, which say nothing about the word after them.
const FILLERS: &[&str] = &["a", "an", "the", "its", "this", "of", "which", "all", "every"];

/// A doc comment of one line that only repeats the name below it: `/// The node.` on `node: NodeName`.
///
/// Not among the rules yet: the tree has hundreds of them, to be fixed in one go.
#[cfg_attr(not(test), allow(dead_code, reason = "it becomes a rule once the tree has none left"))]
pub(super) fn do_not_repeat_the_name(tree: &Tree) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for (path, text) in rust(tree) {
        let lines: Vec<&str> = text.lines().map(str::trim).collect();
        for (index, line) in lines.iter().enumerate() {
            let Some(comment) = line.strip_prefix("///") else { continue };
            let of_one_line = [index.wrapping_sub(1), index + 1]
                .iter()
                .all(|other| !lines.get(*other).is_some_and(|line| line.starts_with("///")));
            let below = lines[index + 1..].iter().find(|line| !line.starts_with("#["));
            if of_one_line && below.and_then(|line| name(line)).is_some_and(|name| repeats(comment, name)) {
                complaints.push(Complaint::at(path, index, format!("`{}` only repeats the name", comment.trim())));
            }
        }
    }
    complaints
}

/// The name of an item, a field or a variant.
fn name(line: &str) -> Option<&str> {
    const KEYWORDS: &[&str] = &["const", "enum", "fn", "mod", "static", "struct", "trait", "type", "async", "unsafe"];
    let public = line.strip_prefix("pub").map_or(line, |rest| match rest.strip_prefix('(') {
        Some(rest) => rest.split_once(')').map_or(rest, |(_, rest)| rest),
        None => rest,
    });
    let mut words = public.split(|sign: char| !sign.is_alphanumeric() && sign != '_').filter(|word| !word.is_empty());
    words.find(|word| !KEYWORDS.contains(word))
}

/// Does the comment say nothing but the words of the name?
fn repeats(comment: &str, name: &str) -> bool {
    let mut said = words(comment);
    said.retain(|word| !FILLERS.contains(&word.as_str()));
    let mut of_name = words(name);
    of_name.retain(|word| !FILLERS.contains(&word.as_str()));
    !said.is_empty() && said.iter().all(|word| of_name.iter().any(|own| same(word, own)))
}

/// `nodes` says what `node` says.
fn same(one: &str, other: &str) -> bool {
    one.trim_end_matches('s') == other.trim_end_matches('s')
}

/// Small words of a sentence, of `snake_case` and of `CamelCase`.
fn words(text: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    for sign in text.chars() {
        let own = words.last_mut().expect("there is always one");
        if !sign.is_alphanumeric() {
            words.push(String::new());
        } else if sign.is_uppercase() && own.chars().next_back().is_some_and(char::is_lowercase) {
            words.push(sign.to_lowercase().collect());
        } else {
            own.extend(sign.to_lowercase());
        }
    }
    words.retain(|word| !word.is_empty());
    words
}

#[cfg(test)]
mod tests {
    use super::super::tree::{texts, tree_of};
    use super::*;

    #[test]
    fn an_example_that_nothing_runs_is_found_and_a_drawing_is_none() {
        let text = "/// ```\n/// a();\n/// ```\n//! ```text\n//! a -> b\n//! ```\n/// ```no_run\n/// ```\n";
        assert_eq!(texts(&hold_no_example_to_run(&tree_of(&[("a.rs", text)]))).len(), 2);
    }

    #[test]
    fn a_public_item_without_a_comment_is_found_and_a_field_may_do_without() {
        let bare = "pub fn a() {}\npub struct B {\n    pub c: u8,\n}\npub const D: u8 = 1;\n";
        assert_eq!(texts(&say_what_public_items_are(&tree_of(&[("a.rs", bare)]))).len(), 3);
        let said = "/// Does it.\n#[must_use]\npub fn a() {}\n/// B.\n#[derive(\n    Clone,\n    Debug,\n)]\npub struct B;\n\
                    pub(crate) fn d() {}\n#[cfg(test)]\nmod tests {\n    pub fn e() {}\n}\n";
        assert_eq!(texts(&say_what_public_items_are(&tree_of(&[("a.rs", said)]))), [""; 0]);
    }

    fn repeated(text: &str) -> bool {
        !do_not_repeat_the_name(&tree_of(&[("a.rs", text)])).is_empty()
    }

    #[test]
    fn a_comment_that_only_repeats_the_name_is_found() {
        for text in [
            "/// The node.\npub node: NodeName,\n",
            "/// The guest.\n#[serde(default)]\nguest: GuestId,\n",
            "/// Total votes.\npub(crate) total_votes: u32,\n",
            "/// All its nodes.\nnodes: Vec<Node>,\n",
            "/// A migration mode.\npub enum MigrationMode {\n",
            "/// Reboot.\nReboot(Reboot),\n",
            "/// The title.\nfn title(&self) -> String;\n",
        ] {
            assert!(repeated(text), "{text}");
        }
    }

    #[test]
    fn a_comment_that_says_more_is_left_alone() {
        for text in [
            "/// The node that is drained.\nnode: NodeName,\n",
            "/// In seconds.\ndowntime: u64,\n",
            "/// The node.\n///\n/// More of it.\nnode: NodeName,\n",
            "/// Votes, of all members.\nvotes: u32,\n",
            "/// A node.\nguest: GuestId,\n",
        ] {
            // The third begins a longer comment: its first line is its title.
            assert!(!repeated(text), "{text}");
        }
    }
}
