//! Every module of the project: where it is, what it declares and what it imports.

use std::collections::{BTreeMap, BTreeSet};

use super::super::source::{self, Token, after_group, at};
use super::super::tree::{Tree, is_test_file};

/// A module by its crate's name and its path below the crate: `["quorate_core", "planner", "bound"]`.
pub(super) type Path = Vec<String>;

/// A name that a `use` brings into a module.
pub(super) struct Import {
    /// As it is called here; `*` for all of a module.
    pub(super) name: String,
    pub(super) target: Path,
    /// It is in a `pub use`, or a registry macro makes one of it.
    pub(super) hands_on: bool,
}

/// A module with a file of its own, or one inside a file.
pub(super) struct Module {
    pub(super) file: String,
    pub(super) imports: Vec<Import>,
    pub(super) declared: BTreeSet<String>,
    /// Paths of two names or more outside of `use`.
    pub(super) paths: BTreeSet<Path>,
    /// Every word outside of `use`, and without what registry macros are given.
    pub(super) words: BTreeSet<String>,
}

/// Reads the modules of all crates. Files with tests are left out.
pub(super) fn modules(tree: &Tree) -> BTreeMap<Path, Module> {
    let crates = crates(tree);
    let mut modules = BTreeMap::new();
    let mut tests: Vec<Path> = Vec::new();
    for (file, text) in tree.iter().filter(|(file, _)| file.ends_with(".rs") && !is_test_file(file)) {
        let Some(path) = module_path(&crates, file) else { continue };
        let (code, for_tests) = source::code(text);
        let own = for_tests.into_iter().map(|name| [path.as_slice(), &[name]].concat());
        tests.extend(own);
        read_module(&code, file, path, &mut modules);
    }
    modules.retain(|path, _| !tests.iter().any(|test| path.starts_with(test)));
    modules
}

/// Source folders and the names of their crates.
fn crates(tree: &Tree) -> Vec<(String, String)> {
    let manifests = tree.iter().filter_map(|(path, text)| Some((path.strip_suffix("Cargo.toml")?, text)));
    let named = manifests.filter_map(|(folder, text)| {
        let package = text.split_once("[package]")?.1;
        let name = package.lines().find_map(|line| line.strip_prefix("name = \""))?.trim_end_matches('"');
        Some((format!("{folder}src/"), name.replace('-', "_")))
    });
    named.collect()
}

/// `crates/core/src/planner/mod.rs` → `["quorate_core", "planner"]`. A `main.rs` beside a `lib.rs` is like a child of
/// it.
fn module_path(crates: &[(String, String)], file: &str) -> Option<Path> {
    let (folder, name) = crates.iter().find(|(folder, _)| file.starts_with(folder.as_str()))?;
    let inner = file[folder.len()..].trim_end_matches(".rs");
    let inner = inner.strip_suffix("/mod").unwrap_or(inner);
    let parts = inner.split('/').filter(|part| !matches!(*part, "lib" | "main"));
    Some([name.as_str()].into_iter().chain(parts).map(ToOwned::to_owned).collect())
}

/// Reads one file and the modules that are written inside of it.
fn read_module(code: &[Token], file: &str, path: Path, modules: &mut BTreeMap<Path, Module>) {
    let mut module = Module {
        file: file.to_owned(),
        imports: Vec::new(),
        declared: BTreeSet::new(),
        paths: BTreeSet::new(),
        words: BTreeSet::new(),
    };
    let registries = registries(code);
    let mut index = 0;
    while index < code.len() {
        let (word, next) = (at(code, index), at(code, index + 1));
        let first = begins_a_path(code, index);
        if word == "use" && next != "<" && first {
            let public = visibility(code, index);
            index = imports(code, index + 1, &mut Vec::new(), public, &mut module.imports);
        } else if word == "mod" && at(code, index + 2) == "{" {
            let end = after_group(code, index + 2);
            let inner = [path.as_slice(), &[next.to_owned()]].concat();
            read_module(&code[index + 3..end.saturating_sub(1)], file, inner, modules);
            index = end;
        } else if word == "mod" && at(code, index + 2) == ";" {
            index += 3;
        } else if word == "macro_rules" && next == "!" {
            let end = after_group(code, index + 3);
            module.declared.insert(at(code, index + 2).to_owned());
            index = if registries.contains_key(at(code, index + 2)) { end } else { index + 3 };
        } else if let Some(hands_on) = registries.get(word).filter(|_| next == "!") {
            let end = after_group(code, index + 2);
            if *hands_on {
                module.imports.extend(entries(&code[index..end]));
            }
            index = end;
        } else if word == "pub" && next == "(" {
            index = after_group(code, index + 1);
        } else if code[index].is_name() && first {
            let taken = path_at(code, index);
            module.words.insert(word.to_owned());
            index += taken.len() * 2 - 1;
            if taken.len() > 1 {
                module.paths.insert(taken);
            }
            declare(code, index - 1, &mut module.declared);
        } else {
            index += 1;
        }
    }
    // Only a `main.rs` beside a `lib.rs` has the path of another file; it comes second.
    let taken = modules.get(&path).is_some_and(|other| other.file != module.file);
    let path = if taken { [path.as_slice(), &["main".to_owned()]].concat() } else { path };
    modules.insert(path, module);
}

/// Neither the middle of a path nor a field, a method or a lifetime; `..` may come before it.
fn begins_a_path(code: &[Token], index: usize) -> bool {
    let before = |steps: usize| index.checked_sub(steps).map_or("", |place| at(code, place));
    match before(1) {
        "." => before(2) == ".",
        sign => !matches!(sign, "::" | "'"),
    }
}

/// Is the item at this place declared with a `pub`?
fn visibility(code: &[Token], index: usize) -> bool {
    let before = |steps: usize| index.checked_sub(steps).map_or("", |place| at(code, place));
    before(1) == "pub" || before(1) == ")" && (before(4) == "pub" || before(5) == "pub")
}

/// Notes the name of an item behind its keyword.
fn declare(code: &[Token], index: usize, declared: &mut BTreeSet<String>) {
    if matches!(at(code, index), "fn" | "struct" | "enum" | "trait" | "type" | "const" | "static" | "union") {
        declared.insert(at(code, index + 1).to_owned());
    }
}

/// `a::b::c` from here on.
fn path_at(code: &[Token], index: usize) -> Path {
    let mut path = vec![at(code, index).to_owned()];
    let mut next = index + 1;
    while at(code, next) == "::" && code.get(next + 1).is_some_and(Token::is_name) {
        path.push(at(code, next + 1).to_owned());
        next += 2;
    }
    path
}

/// Reads a tree of `use` up to its end, and says where that is.
fn imports(code: &[Token], begun: usize, above: &mut Path, hands_on: bool, found: &mut Vec<Import>) -> usize {
    let depth = above.len();
    let mut index = begun;
    let mut name = None;
    loop {
        match at(code, index) {
            "" | ";" | "," | "}" => break,
            "{" => {
                index += 1;
                while !matches!(at(code, index), "}" | "") {
                    index = imports(code, index, above, hands_on, found);
                    index += usize::from(at(code, index) == ",");
                }
                above.truncate(depth);
                return index + 1;
            }
            "::" => {}
            "as" => {
                index += 1;
                name = Some(at(code, index).to_owned());
            }
            part => above.push(part.to_owned()),
        }
        index += 1;
    }
    let mut target = above.clone();
    if target.len() > 1 && target.last().is_some_and(|last| last == "self") {
        target.pop();
    }
    if let Some(name) = name.or_else(|| target.last().cloned()) {
        found.push(Import { name, target, hands_on });
    }
    above.truncate(depth);
    // The comma or the closing bracket is for the caller; the semicolon ends it all.
    index
}

/// Macros of this file that declare modules, and whether they hand names of them on.
fn registries(code: &[Token]) -> BTreeMap<String, bool> {
    let mut found = BTreeMap::new();
    for index in (0..code.len()).filter(|index| at(code, *index) == "macro_rules") {
        let body = &code[index..after_group(code, index + 3)];
        let has = |first: &str| body.windows(2).any(|pair| pair[0].text == first && pair[1].text == "$");
        if has("mod") {
            found.insert(at(code, index + 2).to_owned(), has("use"));
        }
    }
    found
}

/// `module::Name` in what a registry is given.
fn entries(code: &[Token]) -> Vec<Import> {
    let begins = |index: &usize| code[*index].is_name() && at(code, index + 1) == "::" && at(code, index - 1) != "::";
    let of = |index: usize| {
        let target = path_at(code, index);
        let name = target.last().cloned().unwrap_or_default();
        Import { name, target, hands_on: true }
    };
    (1..code.len()).filter(begins).map(of).collect()
}
