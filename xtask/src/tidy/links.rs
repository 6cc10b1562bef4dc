//! A link from one page to another leads somewhere, down to the heading; one into a source, down to the function.

use super::tree::{Complaint, Tree};

pub(super) fn lead_somewhere(tree: &Tree) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for (path, text) in tree.iter().filter(|(path, _)| path.ends_with(".md")) {
        for (index, target) in links(text) {
            let (file, heading) = target.split_once('#').unwrap_or((target, ""));
            let file = if file.is_empty() { path.clone() } else { beside(path, file) };
            if !exists(tree, &file) {
                complaints.push(Complaint::at(path, index, format!("the link {target} leads to no file")));
            } else if !heading.is_empty() && !tree.get(&file).is_some_and(|text| has(&file, text, heading)) {
                let what = if file.ends_with(".rs") { "function" } else { "heading" };
                complaints.push(Complaint::at(path, index, format!("{file} has no {what} for the link {target}")));
            }
        }
    }
    complaints
}

/// Does the file have that heading, or that function?
fn has(file: &str, text: &str, name: &str) -> bool {
    if file.ends_with(".rs") {
        text.contains(&format!("fn {name}("))
    } else {
        anchors(text).any(|anchor| anchor == name)
    }
}

/// Targets of `[words](target)` outside of blocks of code, without those on the web.
fn links(text: &str) -> impl Iterator<Item = (usize, &str)> {
    prose(text).flat_map(|(index, line)| {
        let targets = line.split("](").skip(1).filter_map(|rest| rest.split_once(')'));
        targets.filter(|(target, _)| !target.contains("://")).map(move |(target, _)| (index, target))
    })
}

fn prose(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut code = false;
    text.lines().enumerate().filter(move |(_, line)| {
        let fence = line.trim_start().starts_with("```");
        code ^= fence;
        !code && !fence
    })
}

/// The path of a link as seen from the page it is on.
fn beside(page: &str, link: &str) -> String {
    let mut parts: Vec<&str> = page.split('/').collect();
    parts.pop();
    for part in link.split('/') {
        match part {
            "." | "" => {}
            ".." => {
                parts.pop();
            }
            name => parts.push(name),
        }
    }
    parts.join("/")
}

/// A text, or a folder of texts.
fn exists(tree: &Tree, path: &str) -> bool {
    let folder = format!("{path}/");
    path.is_empty() || tree.contains_key(path) || tree.keys().any(|file| file.starts_with(&folder))
}

/// The headings of a page as a browser finds them: small letters, hyphens for spaces, no other signs.
fn anchors(page: &str) -> impl Iterator<Item = String> {
    prose(page).filter(|(_, line)| line.starts_with('#')).map(|(_, line)| {
        let title = line.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
        title.chars().filter(|sign| sign.is_alphanumeric() || "-_".contains(*sign)).collect()
    })
}

#[cfg(test)]
mod tests {
    use super::super::tree::{texts, tree_of};
    use super::*;

    #[test]
    fn a_link_to_a_page_or_a_heading_that_is_not_there_is_named() {
        let page = "# Lost quorum\n[all](../README.md) [folder](..) [site](https://example.org/x.md)\n\
                    [gone](b.md)\n[here](#lost-quorum) [not](#won) [there](c.md#who-pays-what)\n\
                    ```\n[code](d.md)\n```\n[test](e.rs#it_holds) [none](e.rs#it)\n";
        let others = [("docs/c.md", "## Who pays, what?\n"), ("README.md", ""), ("docs/e.rs", "fn it_holds() {}")];
        let tree = tree_of(&[&[("docs/a.md", page)][..], &others[..]].concat());
        let expected = [
            "docs/a.md:3: the link b.md leads to no file",
            "docs/a.md:4: docs/a.md has no heading for the link #won",
            "docs/a.md:8: docs/e.rs has no function for the link e.rs#it",
        ];
        assert_eq!(texts(&lead_somewhere(&tree)), expected);
    }
}
