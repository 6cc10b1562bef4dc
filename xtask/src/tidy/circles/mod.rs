//! No circle of files: what a file is built from can be read before it, and taken out without it.
//!
//! A file depends on another if its own code names something that the other defines, in a `use` or by its path, looked
//! up through every `pub use` between the two. What counts, and what does not:
//!
//! - `mod x;`, a `pub use` as such, and the entries of a registry (a macro of the same file that declares modules, as
//!   `steps!`) only make a room of files: they are no dependency of `mod.rs` on the files in it.
//! - A file may work with the modules below it, and these with what it defines: it is the head of their room. Between
//!   rooms, and among the files of one, the arrows go one way.
//! - A `use` in a file with modules below it counts if the file's own code says the name; else it is meant for them.
//! - Tests do not count: they may look at everything.

mod modules;
mod names;

use std::collections::{BTreeMap, BTreeSet};

use super::tree::{Complaint, Tree};
use modules::{Module, Path, modules};
use names::Names;

/// From a file to those that it depends on, with the names that it takes from each.
type Graph = BTreeMap<String, BTreeMap<String, BTreeSet<String>>>;

pub(super) fn no_circle_of_files(tree: &Tree) -> Vec<Complaint> {
    let graph = graph(&modules(tree));
    circles(&graph).iter().map(|circle| complaint(&graph, circle)).collect()
}

fn graph(modules: &BTreeMap<Path, Module>) -> Graph {
    let names = Names { modules };
    let mut graph = Graph::new();
    for (path, module) in modules {
        let parent = modules.keys().any(|other| other.len() > path.len() && other.starts_with(path));
        let imports =
            module.imports.iter().filter(|import| module.words.contains(&import.name) || !import.hands_on && !parent);
        let imported = imports.map(|import| import.target.clone());
        let all_of_another = module.imports.iter().any(|import| import.name == "*");
        let words = module
            .words
            .iter()
            .filter(|word| all_of_another && !module.declared.contains(*word))
            .map(|word| vec![word.clone()]);
        for used in imported.chain(module.paths.iter().cloned()).chain(words) {
            let Some((definer, name)) = names.item(path, &used) else { continue };
            if definer.starts_with(path) {
                continue;
            }
            let file = &modules[&definer].file;
            if *file != module.file {
                graph.entry(module.file.clone()).or_default().entry(file.clone()).or_default().insert(name);
            }
        }
    }
    graph
}

/// Files that can be reached from each other, two or more together.
fn circles(graph: &Graph) -> Vec<BTreeSet<String>> {
    let reached: BTreeMap<&String, BTreeSet<&String>> = graph.keys().map(|file| (file, reached(graph, file))).collect();
    let circle = |(file, others): (&&String, &BTreeSet<&String>)| -> BTreeSet<String> {
        let back = |other: &&&String| reached.get(**other).is_some_and(|further| further.contains(*file));
        others.iter().filter(back).map(|other| (**other).clone()).collect()
    };
    let found: BTreeSet<BTreeSet<String>> = reached.iter().map(circle).filter(|circle| !circle.is_empty()).collect();
    found.into_iter().collect()
}

fn reached<'a>(graph: &'a Graph, file: &String) -> BTreeSet<&'a String> {
    let mut reached = BTreeSet::new();
    let mut open: Vec<&String> = graph.get(file).into_iter().flat_map(BTreeMap::keys).collect();
    while let Some(next) = open.pop() {
        if reached.insert(next) {
            open.extend(graph.get(next).into_iter().flat_map(BTreeMap::keys));
        }
    }
    reached
}

/// Names each dependency inside of the circle, with what ties it.
fn complaint(graph: &Graph, circle: &BTreeSet<String>) -> Complaint {
    let mut what = format!("a circle of {} files:", circle.len());
    for from in circle {
        for (to, names) in graph.get(from).into_iter().flatten().filter(|(to, _)| circle.contains(*to)) {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            what.push_str(&format!("\n    {from} takes {} from {to}", names.join(", ")));
        }
    }
    Complaint::of_file(circle.first().map_or("", String::as_str), what)
}

#[cfg(test)]
mod tests {
    use super::super::tree::{texts, tree_of};
    use super::*;

    const MANIFEST: (&str, &str) = ("crates/a/Cargo.toml", "[package]\nname = \"my-a\"\n");

    fn found(files: &[(&str, &str)]) -> Vec<String> {
        let files: Vec<(&str, &str)> = files.iter().copied().chain([MANIFEST]).collect();
        texts(&no_circle_of_files(&tree_of(&files)))
    }

    #[test]
    fn a_circle_through_a_re_export_is_found_and_the_names_that_tie_it_are_told() {
        let complaints = found(&[
            ("crates/a/src/lib.rs", "mod room;\nmod other;\n"),
            ("crates/a/src/other.rs", "use crate::room::Thing;\npub fn help(_: Thing) {}\n"),
            ("crates/a/src/room/mod.rs", "mod deep;\npub use deep::Inner as Thing;\n"),
            ("crates/a/src/room/deep.rs", "pub struct Inner;\nfn f() { crate::other::help(Inner) }\n"),
        ]);
        let expected = "crates/a/src/other.rs: a circle of 2 files:\n    \
                        crates/a/src/other.rs takes Inner from crates/a/src/room/deep.rs\n    \
                        crates/a/src/room/deep.rs takes help from crates/a/src/other.rs";
        assert_eq!(complaints, [expected]);
    }

    #[test]
    fn a_registry_whose_entries_implement_its_trait_is_no_circle() {
        let registry = "pub trait Kind {}\n\
                        macro_rules! kinds { ($($m:ident :: $n:ident),+) => { $(mod $m; pub use $m::$n;)+ }; }\n\
                        kinds! { one::One }\n\
                        pub use one::LIMIT;\n";
        let one = "use super::Kind;\npub struct One;\nimpl Kind for One {}\npub const LIMIT: u8 = 1;\n";
        let files = |registry: &'static str| {
            [
                ("crates/a/src/lib.rs", "mod kinds;"),
                ("crates/a/src/kinds/mod.rs", registry),
                ("crates/a/src/kinds/one.rs", one),
            ]
        };
        assert_eq!(found(&files(registry)), [""; 0]);

        let works_with_it: &'static str = Box::leak(format!("{registry}fn f() -> u8 {{ LIMIT }}\n").into_boxed_str());
        assert_eq!(found(&files(works_with_it)), [""; 0], "the head of a room works with what is in it");
    }

    #[test]
    fn two_files_of_one_room_that_need_each_other_are_a_circle_and_so_are_two_rooms() {
        let siblings = [
            ("crates/a/src/lib.rs", "mod room;\n"),
            ("crates/a/src/room/mod.rs", "mod one;\nmod two;\n"),
            ("crates/a/src/room/one.rs", "use super::two::Two;\npub struct One;\nfn f(_: Two) {}\n"),
            ("crates/a/src/room/two.rs", "use super::one::One;\npub struct Two;\nfn f(_: One) {}\n"),
        ];
        assert!(found(&siblings)[0].contains("a circle of 2 files"), "{:?}", found(&siblings));
        let rooms = [
            ("crates/a/src/lib.rs", "mod one;\nmod two;\n"),
            ("crates/a/src/one/mod.rs", "mod deep;\npub struct One;\n"),
            ("crates/a/src/one/deep.rs", "use crate::two::Two;\nfn f(_: Two) {}\npub struct Deep;\n"),
            ("crates/a/src/two.rs", "use crate::one::deep::Deep;\npub struct Two;\nfn f(_: Deep) {}\n"),
        ];
        assert!(found(&rooms)[0].contains("a circle of 2 files"), "{:?}", found(&rooms));
    }

    #[test]
    fn paths_of_every_kind_lead_to_the_file_that_defines_the_name() {
        let b = "pub struct B;\n";
        for used in [
            "use super::b::B;",
            "use crate::{b::{self, B}};",
            "fn f() { super::b::B; }",
            "fn f() { let _ = X { ..crate::b::B }; }",
            "use crate::b;\nfn f() { b::B }",
            "use crate::b as c;\nfn f() { c::B }",
            "use super::b::*;\nfn f() -> B { B }",
            "mod inside { fn f() { super::super::b::B } }",
            "use my_a::b::B;",
        ] {
            let b = format!("{b}fn back() {{ crate::a::f() }}\n");
            let files =
                [("crates/a/src/lib.rs", "mod a;\nmod b;\n"), ("crates/a/src/a.rs", used), ("crates/a/src/b.rs", &b)];
            assert_eq!(found(&files).len(), 1, "{used}");
        }
    }

    #[test]
    fn tests_comments_and_hands_on_do_not_tie() {
        let b = "pub struct B;\nfn back() { crate::a::f() }\n";
        for used in [
            "// use crate::b::B;\nfn f() { \"crate::b::B\" }",
            "#[cfg(test)]\nmod tests { use crate::b::B; }",
            "#[cfg(test)]\nuse crate::b::B;",
            "pub use crate::b::B;",
            "use crate::b;",
            "fn f() { x.b::<B>() }",
        ] {
            let files =
                [("crates/a/src/lib.rs", "mod a;\nmod b;\n"), ("crates/a/src/a.rs", used), ("crates/a/src/b.rs", b)];
            assert_eq!(found(&files), [""; 0], "{used}");
        }
        let apart = [
            ("crates/a/src/lib.rs", "mod a;\n#[cfg(test)]\nmod b;\n"),
            ("crates/a/src/a.rs", "use crate::b::B;\npub fn f() {}\n"),
            ("crates/a/src/b.rs", b),
        ];
        assert_eq!(found(&apart), [""; 0]);
    }

    #[test]
    fn names_from_elsewhere_and_names_that_are_handed_round_lead_nowhere() {
        let files = [
            ("crates/a/src/lib.rs", "mod a;\nmod b;\n"),
            ("crates/a/src/a.rs", "use elsewhere::all::*;\npub use super::b::*;\npub fn f() { g::z(); w::v(); }\n"),
            ("crates/a/src/b.rs", "pub use super::a::*;\npub fn f() { f::z(); w::v(); }\n"),
        ];
        assert_eq!(found(&files), [""; 0]);
    }

    #[test]
    fn two_circles_are_two_complaints_and_a_chain_is_none() {
        let complaints = found(&[
            ("crates/a/src/lib.rs", "mod a;\nmod b;\nmod c;\nmod d;\nmod e;\n"),
            ("crates/a/src/a.rs", "pub struct A;\nuse crate::b::B;\n"),
            ("crates/a/src/b.rs", "pub struct B;\nuse crate::a::A;\nuse crate::c::C;\n"),
            ("crates/a/src/c.rs", "pub struct C;\nuse crate::d::D;\n"),
            ("crates/a/src/d.rs", "pub struct D;\nuse crate::c::C;\nuse crate::e::E;\n"),
            ("crates/a/src/e.rs", "pub struct E;\n"),
        ]);
        assert_eq!(complaints.len(), 2, "{complaints:?}");
    }
}
