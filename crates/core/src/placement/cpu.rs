//! Processors by their features: what one lacks that another has, and which of QEMU's models all of them can give.

use std::collections::BTreeSet;

/// More flags than this are counted, not named.
const MOST_NAMED: usize = 6;

/// QEMU's generic models, the best first, with the flags of /proc/cpuinfo that each adds to the one after it.
const MODELS: [(&str, &[&str]); 4] = [
    ("x86-64-v4", &["avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"]),
    ("x86-64-v3", &["avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "abm", "movbe", "xsave"]),
    ("x86-64-v2-AES", &["aes"]),
    ("x86-64-v2", &["cx16", "lahf_lm", "popcnt", "sse4_1", "sse4_2", "ssse3"]),
];

/// The best generic model that processors with these flags have in common; PVE's default where that is none.
pub fn common_model<'a>(all: impl IntoIterator<Item = &'a BTreeSet<String>>) -> &'static str {
    let all: Vec<&BTreeSet<String>> = all.into_iter().collect();
    let have = |flags: &[&str]| all.iter().all(|cpu| flags.iter().all(|flag| cpu.contains(*flag)));
    let best = (0..MODELS.len()).find(|from| MODELS[*from..].iter().all(|(_, flags)| have(flags)));
    best.map_or("kvm64", |best| MODELS[best].0)
}

/// What the other processor lacks and what it has in addition: `lacks avx512f; has sha_ni besides`.
pub fn difference(here: &BTreeSet<String>, there: &BTreeSet<String>) -> String {
    let named = |flags: Vec<&str>| match flags.len() {
        0..=MOST_NAMED => flags.join(", "),
        more => format!("{} and {} more", flags[..MOST_NAMED].join(", "), more - MOST_NAMED),
    };
    let only = |a: &BTreeSet<String>, b: &BTreeSet<String>| named(a.difference(b).map(String::as_str).collect());
    let (lacks, besides) = (only(here, there), only(there, here));
    match (lacks.is_empty(), besides.is_empty()) {
        (false, false) => format!("lacks {lacks}; has {besides} besides"),
        (false, true) => format!("lacks {lacks}"),
        _ => format!("has {besides} besides"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_model_that_all_processors_have_is_suggested() {
        let flags = |to: usize| -> BTreeSet<String> {
            MODELS[to..].iter().flat_map(|(_, flags)| flags.iter().map(|flag| (*flag).to_owned())).collect()
        };
        assert_eq!(common_model([&flags(0), &flags(1)]), "x86-64-v3");
        assert_eq!(common_model([&flags(0), &flags(2)]), "x86-64-v2-AES");
        assert_eq!(common_model([&flags(3), &flags(0)]), "x86-64-v2");
        assert_eq!(common_model([&BTreeSet::new()]), "kvm64");
        assert_eq!(difference(&flags(2), &flags(3)), "lacks aes");
    }
}
