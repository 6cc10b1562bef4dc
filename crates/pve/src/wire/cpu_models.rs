//! `/etc/pve/virtual-guest/cpu-models.conf`: CPU models of the cluster's own, and how PVE writes flags.

use std::collections::BTreeSet;

/// A model of the cluster's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CpuModel {
    /// The model of QEMU's that it is based on (`reported-model`).
    pub base: String,
    /// Flags that it adds, by their names in /proc/cpuinfo.
    pub added: BTreeSet<String>,
    /// Flags that it takes away.
    pub removed: BTreeSet<String>,
}

/// The model of this name: a section `cpu-model: NAME` with one indented line for each property.
pub fn find(text: &str, name: &str) -> Option<CpuModel> {
    let is_header = |line: &&str| line.strip_prefix("cpu-model:").is_some_and(|rest| rest.trim() == name);
    let mut lines = text.lines().skip_while(|line| !is_header(line));
    lines.next()?;
    let mut model = CpuModel { base: "kvm64".to_owned(), added: BTreeSet::new(), removed: BTreeSet::new() };
    for line in lines.take_while(|line| line.starts_with([' ', '\t']) || line.trim().is_empty()) {
        match line.trim().split_once(char::is_whitespace) {
            Some(("reported-model", base)) => base.trim().clone_into(&mut model.base),
            Some(("flags", text)) => (model.added, model.removed) = flags(text.trim()),
            _ => {}
        }
    }
    Some(model)
}

/// `+aes;-pcid`: what is added, and what is taken away.
pub fn flags(text: &str) -> (BTreeSet<String>, BTreeSet<String>) {
    let with = |sign: char| text.split(';').filter_map(|flag| flag.trim().strip_prefix(sign)).map(in_cpuinfo).collect();
    (with('+'), with('-'))
}

/// QEMU's name of a flag as /proc/cpuinfo has it.
fn in_cpuinfo(flag: &str) -> String {
    match flag {
        "spec-ctrl" => "ibrs".to_owned(),
        flag => flag.replace(['-', '.'], "_"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_ends_where_the_next_one_begins() {
        let text = "cpu-model: plain\n    hidden 0\n\ncpu-model: avx\n    flags +avx;+sse4.2;-spec-ctrl\n    \
                    reported-model Haswell\n    phys-bits host\n\ncpu-model: last\n    flags +aes\n";
        let avx = find(text, "avx").unwrap();
        assert_eq!(avx.base, "Haswell");
        assert_eq!(
            (Vec::from_iter(avx.added), Vec::from_iter(avx.removed)),
            (vec!["avx".into(), "sse4_2".into()], vec!["ibrs".into()])
        );
        assert_eq!(find(text, "plain").unwrap().base, "kvm64");
        assert_eq!(find(text, "moon"), None);
    }
}
