//! `dpkg-query -W -f '${Package} ${Version} ${db:Status-Abbrev}\n'` and `dpkg --audit`.

use std::collections::BTreeMap;

/// Installed packages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Installed {
    /// Each with its version.
    pub versions: BTreeMap<String, String>,
    /// Those that are held.
    pub held: Vec<String>,
}

/// Installed packages with their version. Packages that are removed or half-installed are left out.
pub fn parse_query(output: &str) -> Result<Installed, String> {
    let mut installed = Installed::default();
    for line in output.lines().filter(|line| !line.trim().is_empty()) {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            // `ii` installed, `hi` installed and held; a third letter names an error.
            [name, version, state @ ("ii" | "hi")] => {
                installed.versions.insert((*name).to_owned(), (*version).to_owned());
                if *state == "hi" {
                    installed.held.push((*name).to_owned());
                }
            }
            [_, ..] if words.len() <= 4 => {}
            _ => return Err(format!("dpkg-query printed {line:?}")),
        }
    }
    if installed.versions.is_empty() {
        return Err("dpkg-query named no installed package".to_owned());
    }
    Ok(installed)
}

/// Packages that `dpkg --audit` complains about. Empty output means none.
///
/// Prose at the margin, one package per indented line (` pve-manager  Proxmox Virtual Environment …`).
pub fn parse_audit(output: &str) -> Vec<String> {
    let mut broken: Vec<String> = output
        .lines()
        .filter(|line| line.starts_with(' '))
        .filter_map(|line| line.split_whitespace().next())
        .map(str::to_owned)
        .collect();
    // Something was printed, but in another layout: that is still a complaint.
    if broken.is_empty() {
        broken.extend(output.lines().map(str::trim).find(|line| !line.is_empty()).map(str::to_owned));
    }
    broken.sort();
    broken.dedup();
    broken
}

/// Does `lslocks --output PATH` list a lock of dpkg or apt?
pub fn holds_lock(paths: &str) -> bool {
    paths.lines().any(|path| path.trim().starts_with("/var/lib/dpkg/lock"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_of_dpkg_is_found_among_others() {
        assert!(holds_lock("/run/lock/x\n/var/lib/dpkg/lock-frontend\n"));
        assert!(!holds_lock("/run/lock/x\n/var/lib/lxc/lock\n"));
        assert!(!holds_lock(""));
    }

    #[test]
    fn a_half_configured_package_is_not_installed_and_audit_names_it() {
        let text = "corosync 3.1.10-pve2 ii \npve-manager 9.1.9 iF \nold-thing  rc \nceph-osd 19.2.2-pve1 hi \n";
        let installed = parse_query(text).unwrap();
        assert_eq!(installed.versions.keys().collect::<Vec<_>>(), ["ceph-osd", "corosync"]);
        assert_eq!(installed.held, ["ceph-osd"]);
        let audit = "The following packages are only half configured, probably due to problems\n\
                     configuring them the first time.\n pve-manager          Proxmox Virtual Environment Tools\n\n";
        assert_eq!(parse_audit(audit), ["pve-manager"]);
        assert!(parse_audit("").is_empty());
        assert_eq!(parse_audit("something is wrong"), ["something is wrong"]);
    }
}
