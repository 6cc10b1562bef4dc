//! From a name to the file that defines it, through every `use` on the way.

use std::collections::BTreeMap;

use super::modules::{Import, Module, Path};

/// All modules, to be asked what a name means where it is used.
pub(super) struct Names<'a> {
    pub(super) modules: &'a BTreeMap<Path, Module>,
}

/// What a path leads to.
enum Meaning {
    /// A module as such.
    Module(Path),
    /// Something that is declared in this module.
    Item(Path, String),
}

/// No chain of `use` is longer than this; a longer one is a loop.
const MOST_STEPS: usize = 20;

impl Names<'_> {
    /// The module and the name of the item that this path leads to, as seen from a module; none for a module as such,
    /// for a name of this very place, and for what is not of this project.
    pub(super) fn item(&self, from: &Path, path: &[String]) -> Option<(Path, String)> {
        match self.meaning(from, path, MOST_STEPS)? {
            Meaning::Item(module, name) => Some((module, name)),
            Meaning::Module(_) => None,
        }
    }

    fn meaning(&self, from: &Path, path: &[String], steps: usize) -> Option<Meaning> {
        let steps = steps.checked_sub(1)?;
        let (first, rest) = path.split_first()?;
        match first.as_str() {
            "crate" => self.walk(from[..1].to_vec(), rest, steps),
            "self" => self.walk(from.clone(), rest, steps),
            "super" => {
                let mut above = from.clone();
                above.pop();
                if rest.first().is_some_and(|next| next == "super") {
                    return self.meaning(&above, rest, steps);
                }
                self.walk(above, rest, steps)
            }
            "Self" => None,
            name => {
                let child = [from.as_slice(), &[name.to_owned()]].concat();
                if self.modules.contains_key(&child) && (!rest.is_empty() || !self.declares(from, name)) {
                    return self.walk(child, rest, steps);
                }
                let root = vec![name.to_owned()];
                if self.modules.contains_key(&root) {
                    return self.walk(root, rest, steps);
                }
                self.imported(from, name, rest, steps)
            }
        }
    }

    /// From a module down along a path.
    fn walk(&self, at: Path, path: &[String], steps: usize) -> Option<Meaning> {
        let module = self.modules.get(&at)?;
        let Some((name, rest)) = path.split_first() else { return Some(Meaning::Module(at)) };
        let child = [at.as_slice(), std::slice::from_ref(name)].concat();
        let imported = module.imports.iter().any(|import| import.name == *name);
        let is_item = rest.is_empty() && (imported || module.declared.contains(name));
        if self.modules.contains_key(&child) && !is_item {
            return self.walk(child, rest, steps);
        }
        if !module.declared.contains(name)
            && let Some(meaning) = self.imported(&at, name, rest, steps)
        {
            return Some(meaning);
        }
        // A macro may have declared it: then it is of this module all the same.
        Some(Meaning::Item(at, name.clone()))
    }

    /// A name that a `use` of this module brings, by itself or with all of another module.
    fn imported(&self, at: &Path, name: &str, rest: &[String], steps: usize) -> Option<Meaning> {
        let module = self.modules.get(at)?;
        let steps = steps.checked_sub(1)?;
        if let Some(import) = module.imports.iter().find(|import| import.name == name) {
            // A `use` of what is called the same and comes from elsewhere, as `use serde;`, leads nowhere in here.
            let other = import.target != [name.to_owned()];
            return other.then(|| self.meaning(at, &[import.target.as_slice(), rest].concat(), steps))?;
        }
        let globs = module.imports.iter().filter(|import| import.name == "*");
        let from = |glob: &Import| {
            let (_, of) = glob.target.split_last()?;
            let Meaning::Module(other) = self.meaning(at, of, steps)? else { return None };
            self.declares(&other, name).then(|| self.walk(other, &[&[name.to_owned()], rest].concat(), steps))?
        };
        globs.filter_map(from).next()
    }

    /// Is this name declared or handed on there?
    fn declares(&self, module: &Path, name: &str) -> bool {
        self.modules.get(module).is_some_and(|module| {
            module.declared.contains(name) || module.imports.iter().any(|import| import.hands_on && import.name == name)
        })
    }
}
