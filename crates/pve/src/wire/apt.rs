//! `apt-get -s dist-upgrade`: what an upgrade would do.

/// What apt would do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Simulation {
    /// `Inst` lines.
    pub installs: Vec<Install>,
    /// `Remv` lines: names.
    pub removals: Vec<String>,
    /// What is "kept back".
    pub kept_back: Vec<String>,
}

/// One `Inst` line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Install {
    /// Name of the package.
    pub name: String,
    /// Installed version; none for a new package.
    pub from: Option<String>,
    /// New version.
    pub to: String,
    /// `Proxmox VE:stable`.
    pub origin: String,
}

/// Reads the output. It must show that apt finished: without the summary line, none of the lines counts.
pub fn parse(output: &str) -> Result<Simulation, String> {
    let mut simulation = Simulation::default();
    let mut summary = false;
    let mut kept_back = false;
    for line in output.lines() {
        if let Some(names) = line.strip_prefix("  ").filter(|_| kept_back) {
            simulation.kept_back.extend(names.split_whitespace().map(str::to_owned));
            continue;
        }
        // A heading; the names follow, indented.
        kept_back = line == "The following packages have been kept back:";
        if let Some(rest) = line.strip_prefix("Inst ") {
            let install = parse_install(rest).ok_or_else(|| format!("apt-get printed {line:?}"))?;
            simulation.installs.push(install);
        } else if let Some(rest) = line.strip_prefix("Remv ") {
            let name = rest.split_whitespace().next().ok_or_else(|| format!("apt-get printed {line:?}"))?;
            simulation.removals.push(name.to_owned());
        } else if line.contains(" upgraded, ") && line.contains(" newly installed") {
            summary = true;
        }
    }
    if !summary {
        return Err("apt-get did not print its summary (N upgraded, N newly installed, …)".to_owned());
    }
    simulation.installs.sort_by(|a, b| a.name.cmp(&b.name));
    simulation.removals.sort();
    simulation.kept_back.sort();
    Ok(simulation)
}

/// `name [old] (new Origin:suite, Origin:suite [arch]) []`; the part in square brackets is missing for new packages.
fn parse_install(rest: &str) -> Option<Install> {
    let (name, rest) = rest.split_once(' ')?;
    let (before, inside) = rest.split_once('(')?;
    let from = before.trim().strip_prefix('[').and_then(|text| text.strip_suffix(']')).map(str::to_owned);
    let inside = inside.split(')').next()?;
    let (to, origin) = inside.split_once(' ').unwrap_or((inside, ""));
    let origin = origin.rsplit_once('[').map_or(origin, |(origin, _arch)| origin).trim();
    if name.is_empty() || to.is_empty() {
        return None;
    }
    Some(Install { name: name.to_owned(), from, to: to.to_owned(), origin: origin.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_removal_of_the_meta_package_is_seen() {
        let text = "Remv proxmox-ve [9.1.0]\n0 upgraded, 0 newly installed, 1 to remove and 0 not upgraded.\n";
        assert_eq!(parse(text).unwrap().removals, ["proxmox-ve"]);
    }

    #[test]
    fn what_is_kept_back_is_read_with_its_continuation_and_nothing_else() {
        let text = "Calculating upgrade...\nThe following packages have been kept back:\n  pve-qemu-kvm ceph-osd\n  tar\n\
                    The following packages will be upgraded:\n  bash\n1 upgraded, 0 newly installed, 0 to remove and 3 not upgraded.\n";
        assert_eq!(parse(text).unwrap().kept_back, ["ceph-osd", "pve-qemu-kvm", "tar"]);
    }

    #[test]
    fn an_output_without_summary_is_an_error_and_not_an_empty_list() {
        assert!(parse("Reading package lists...\nE: Could not get lock\n").is_err());
        assert!(parse("").is_err());
    }
}
