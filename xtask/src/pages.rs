//! Pages of the documentation that are made from the code: `cargo xtask docs` writes them, and the house rules say
//! which of them is stale. A generator is one line here.

use std::path::Path;

use crate::{docs, lab_differences, view_picture};

struct Generator {
    write: fn(&Path) -> std::io::Result<()>,
    /// What is not as it would be written now, for a developer.
    stale: fn(&Path) -> Vec<String>,
}

const GENERATORS: &[Generator] = &[
    Generator { write: docs::write, stale: docs::stale },
    Generator { write: lab_differences::write, stale: lab_differences::stale },
    Generator { write: view_picture::write, stale: view_picture::stale },
];

/// Writes all of them; true if that went well.
pub(crate) fn write(root: &Path) -> bool {
    let failed = |generator: &Generator| (generator.write)(root).err();
    let errors: Vec<_> = GENERATORS.iter().filter_map(failed).collect();
    for error in &errors {
        eprintln!("{error}");
    }
    errors.is_empty()
}

/// One line for each page that is stale.
pub(crate) fn stale(root: &Path) -> Vec<String> {
    GENERATORS.iter().flat_map(|generator| (generator.stale)(root)).collect()
}
