//! Packages and kernel for a cluster file that does not name any.

use std::collections::BTreeMap;

use serde::Deserialize;
use toml::{Table, Value};

use super::KernelPart;

/// A plain Proxmox VE 9.1.
const PLAIN: &str = include_str!("../../clusters/plain.toml");

/// What a plain node has.
#[derive(Deserialize)]
pub(super) struct Plain {
    /// Packages by name.
    pub(super) installed: BTreeMap<String, String>,
    /// Running kernel.
    pub(super) kernel: KernelPart,
    /// What comes with Ceph.
    pub(super) ceph: PlainCeph,
}

/// What comes with Ceph.
#[derive(Deserialize)]
pub(super) struct PlainCeph {
    /// Packages by name.
    pub(super) installed: BTreeMap<String, String>,
}

/// What a plain node has.
pub(super) fn plain() -> Plain {
    toml::from_str(PLAIN).expect("the plain cluster's file is a part of this program")
}

/// Adds packages, archive and kernel to a file where it has none; those of Ceph only if it has Ceph.
pub(super) fn with_packages(mut file: Table) -> Table {
    let mut plain: Table = toml::from_str(PLAIN).expect("the plain cluster's file is a part of this program");
    let ceph = plain.remove("ceph");
    if let Some(Value::Table(ceph)) = ceph.filter(|_| file.contains_key("ceph")) {
        for (part, packages) in ceph {
            if let (Some(Value::Table(all)), Value::Table(packages)) = (plain.get_mut(&part), packages) {
                all.extend(packages);
            }
        }
    }
    for (part, value) in plain {
        file.entry(part).or_insert(value);
    }
    file
}

#[cfg(test)]
mod tests {
    use crate::cluster_file::ClusterFile;

    #[test]
    fn a_file_without_packages_has_those_of_a_plain_cluster_and_ceph_only_with_ceph() {
        let text = "node = [{ name = 'a', memory_gib = 8, cpus = 4, links = ['10.0.0.1'] }]\n[cluster]\nname = 'x'\n";
        let file = ClusterFile::parse(text).unwrap();
        assert_eq!(file.installed["pve-manager"], "9.1.1");
        assert_eq!(file.archive["pve-manager"], "9.1.4");
        assert_eq!(file.kernel.running, "6.17.2-1-pve");
        assert!(!file.installed.contains_key("ceph"));
        let with_ceph = format!("{text}[ceph]\nrelease = 'squid'\npool = []\n");
        assert!(ClusterFile::parse(&with_ceph).unwrap().installed.contains_key("ceph"));
        let own = format!("{text}[archive]\ncorosync = '4'\n");
        let file = ClusterFile::parse(&own).unwrap();
        assert_eq!((file.archive.len(), file.archive["corosync"].as_str()), (1, "4"), "what the file says is kept");
    }
}
