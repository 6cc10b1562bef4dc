//! Software on a node: versions, kernels, pending updates, and our own upgrade unit.

use std::collections::{BTreeMap, BTreeSet};

use quorate_core::ids::{NodeName, UnitName};
use quorate_core::observed::{Observed, WhyUnknown};
use quorate_core::snapshot::{Kernel, Node, Packages, PendingPackage, UnitOutcome, UnitState, UpgradeUnit};
use quorate_core::version::Version;

use super::reader::{node_path, shell_source};
use super::shell::{DATE, LIST, NodeShell, QUICK, SLOW, date};
use crate::ports::{Exit, ShellOutput};
use crate::wire::lenient::List;
use crate::wire::node::PackageVersion;
use crate::wire::systemctl::UnitLine;
use crate::wire::{apt, dpkg, kernels, systemctl};

/// Our own upgrades, and Debian's.
const UNITS: [&str; 18] = [
    "systemctl",
    "show",
    "quorate-upgrade*",
    "apt-daily-upgrade.service",
    "-p",
    "Id",
    "-p",
    "LoadState",
    "-p",
    "ActiveState",
    "-p",
    "SubState",
    "-p",
    "Result",
    "-p",
    "ExecMainCode",
    "-p",
    "ExecMainStatus",
];
const QUERY: [&str; 4] = ["dpkg-query", "-W", "-f", r"${Package} ${Version} ${db:Status-Abbrev}\n"];
const SIMULATE: [&str; 3] = ["apt-get", "-s", "dist-upgrade"];
const FUSER: [&str; 2] = ["fuser", "/var/lib/dpkg/lock-frontend"];

/// The same question to util-linux, for a node without psmisc.
const LSLOCKS: [&str; 5] = ["lslocks", "--noheadings", "--notruncate", "--output", "PATH"];

/// Debian's own upgrades: at work while it is active, also between two of its locks.
const UNATTENDED: &str = "apt-daily-upgrade";

/// What was read about a node's software.
pub(super) struct Readings {
    pub(super) versions: Versions,
    pub(super) kernel: Observed<Kernel>,
    pub(super) packages: Observed<Packages>,
    pub(super) unit: Observed<Option<UpgradeUnit>>,
}

/// Versions of the packages that matter for order and migration.
#[derive(Clone, Debug)]
pub(super) struct Versions {
    pub(super) pve_manager: Observed<Version>,
    pub(super) qemu: Observed<Version>,
    pub(super) corosync: Observed<Version>,
}

/// Reads them. Without a close look they are taken over from before, unless our upgrade unit has changed since.
pub(super) async fn read(shell: &NodeShell<'_>, node: &NodeName, old: Option<&Node>, anew: bool) -> Readings {
    let units = shell.parsed(&UNITS, QUICK, systemctl::parse_show).await;
    let locked = dpkg_at_work(shell, node, &units).await;
    let unit: Observed<Option<UpgradeUnit>> = read_unit(shell, node, units).await.into();
    let at_work = matches!(&unit, Observed::Known(Some(UpgradeUnit { state: UnitState::Running, .. })));
    let unit_changed = old.is_none_or(|old| old.upgrade_unit != unit);
    let packages = match old.map(|old| &old.packages) {
        // While dpkg is at work, any answer is outdated at once: what was pending before is kept, and dpkg is busy.
        Some(Observed::Known(before)) if at_work => Observed::Known(before.clone()),
        before => super::look::keep_or(before, anew || unit_changed, async { read_packages(shell).await.into() }).await,
    };
    // Whoever is at work on the packages of a node: that is asked at every look.
    let packages = match (packages, locked) {
        (Observed::Known(packages), Ok(locked)) => Observed::Known(Packages { locked: locked || at_work, ..packages }),
        (Observed::Known(_), Err(why)) => Observed::Unknown(why),
        (unknown, _) => unknown,
    };
    let kernel = super::look::keep_or(old.map(|old| &old.kernel), anew || unit_changed, async {
        read_kernel(shell).await.into()
    })
    .await;
    let versions = match old.filter(|_| !anew && !unit_changed) {
        Some(old) => Versions {
            pve_manager: old.pve_version.clone(),
            qemu: old.qemu_version.clone(),
            corosync: old.corosync_version.clone(),
        },
        None => read_versions(shell, node).await,
    };
    Readings { versions, kernel, packages, unit }
}

async fn read_versions(shell: &NodeShell<'_>, node: &NodeName) -> Versions {
    let installed = shell.parsed(&QUERY, LIST, dpkg::parse_query).await;
    let version = |name: &str| match &installed {
        Err(why) => Observed::Unknown(why.clone()),
        Ok(installed) => match installed.versions.get(name) {
            Some(version) => Observed::Known(Version::new(version.clone())),
            None => Observed::unknown(shell_source(node, &QUERY), format!("{name} is not installed")),
        },
    };
    Versions { pve_manager: version("pve-manager"), qemu: version("pve-qemu-kvm"), corosync: version("corosync") }
}

/// The same from `GET /nodes/N/apt/versions`.
pub(super) fn versions_from_api(listed: Result<List<PackageVersion>, WhyUnknown>, node: &NodeName) -> Versions {
    let version = |name: &str| match &listed {
        Err(why) => Observed::Unknown(why.clone()),
        Ok(list) => {
            let installed = |entry: &&PackageVersion| {
                entry.package.0 == name && entry.current_state.as_ref().is_some_and(|state| state.0 == "Installed")
            };
            let found = list.0.iter().find(installed).and_then(|entry| entry.old_version.as_ref());
            match found {
                Some(version) => Observed::Known(Version::new(version.0.clone())),
                None => {
                    let source = format!("GET {}", node_path(node, "apt/versions"));
                    Observed::unknown(source, format!("{name} is not installed"))
                }
            }
        }
    };
    Versions { pve_manager: version("pve-manager"), qemu: version("pve-qemu-kvm"), corosync: version("corosync") }
}

async fn read_kernel(shell: &NodeShell<'_>) -> Result<Kernel, WhyUnknown> {
    const FIND: [&str; 6] = ["find", "/boot", "-maxdepth", "1", "-name", "vmlinuz-*"];
    let files = |text: &str| {
        let found = kernels::parse_files(text);
        if found.is_empty() { Err("no kernel in /boot".to_owned()) } else { Ok(found) }
    };
    let (running, installed, pins) = tokio::join!(
        shell.ok(&["uname", "-r"], QUICK),
        shell.parsed(&FIND, QUICK, files),
        shell.run(&["proxmox-boot-tool", "kernel", "list"], QUICK)
    );
    // A node without the tool, or not managed by it, has no pins of this kind; a lost connection is different.
    let pins =
        pins.map(
            |output| if output.succeeded() { kernels::parse_pins(&output.stdout) } else { kernels::Pins::default() },
        )?;
    let mut installed: Vec<Version> = installed?.into_iter().map(Version::new).collect();
    installed.sort();
    Ok(Kernel {
        running: Version::new(running?.trim()),
        installed,
        pinned: pins.pinned.map(Version::new),
        next_boot: pins.next_boot.map(Version::new),
    })
}

async fn read_packages(shell: &NodeShell<'_>) -> Result<Packages, WhyUnknown> {
    // PVE writes it after each refresh that succeeds. (apt leaves no such trace: where nothing was new, no file of its
    // own is touched.)
    const STAT: [&str; 4] = ["stat", "-c", "%Y", "/var/lib/pve-manager/pkgupdates"];
    let (simulation, audit, listed, today, installed) = tokio::join!(
        shell.parsed(&SIMULATE, SLOW, apt::parse),
        shell.run(&["dpkg", "--audit"], QUICK),
        shell.run(&STAT, QUICK),
        shell.parsed(&DATE, QUICK, date),
        shell.parsed(&QUERY, LIST, dpkg::parse_query),
    );
    let (simulation, installed) = (simulation?, installed?);
    let listed = listed?;
    let listed_s: Option<u64> = listed.stdout.trim().parse().ok().filter(|_| listed.succeeded());
    let today = today?;
    let pending = simulation.installs.into_iter().map(|install| PendingPackage {
        name: install.name,
        from: install.from.map(Version::new),
        to: Version::new(install.to),
        origin: install.origin,
    });
    Ok(Packages {
        pending: pending.collect(),
        removals: simulation.removals,
        kept_back: simulation.kept_back,
        held: installed.held,
        installed: installed.versions.into_iter().map(|(name, version)| (name, Version::new(version))).collect(),
        // dpkg --audit exits with 1 when it has something to report.
        broken: dpkg::parse_audit(&audit?.stdout),
        // By the node's own clock, which set the file's time too: ours may be an hour off.
        lists_age_s: listed_s.map(|listed| today.seconds().saturating_sub(listed)),
        locked: false,
    })
}

/// Leaves installed versions out that no other node is compared by: what is pending nowhere and the same everywhere.
pub(super) fn keep_comparable<'a>(nodes: impl Iterator<Item = &'a mut Node>) {
    let mut nodes: Vec<&mut Packages> = nodes.filter_map(|node| node.packages.known_mut()).collect();
    let mut compared: BTreeSet<String> = BTreeSet::new();
    let mut seen: BTreeMap<String, Version> = BTreeMap::new();
    for packages in &nodes {
        compared.extend(packages.pending.iter().map(|pending| pending.name.clone()));
        for (name, version) in &packages.installed {
            if seen.entry(name.clone()).or_insert_with(|| version.clone()) != version {
                compared.insert(name.clone());
            }
        }
    }
    nodes.iter_mut().for_each(|packages| packages.installed.retain(|name, _| compared.contains(name)));
}

/// Is dpkg or apt at work, by whoever's hand?
async fn dpkg_at_work(
    shell: &NodeShell<'_>,
    node: &NodeName,
    units: &Result<Vec<UnitLine>, WhyUnknown>,
) -> Result<bool, WhyUnknown> {
    let runs = |unit: &UnitLine| unit.name == UNATTENDED && matches!(unit.active.as_str(), "active" | "activating");
    if units.as_ref().map_err(Clone::clone)?.iter().any(runs) {
        return Ok(true);
    }
    is_locked(shell, node, shell.run(&FUSER, QUICK).await?).await
}

/// Does a process hold dpkg's lock?
async fn is_locked(shell: &NodeShell<'_>, node: &NodeName, told: ShellOutput) -> Result<bool, WhyUnknown> {
    match told.exit {
        Exit::Status(0) => Ok(true),
        // fuser's status for "no process"; its complaints (no such file: it was never held) come with the same status.
        Exit::Status(1) => Ok(false),
        Exit::Status(127) => Ok(dpkg::holds_lock(&shell.ok(&LSLOCKS, QUICK).await?)),
        _ => Err(WhyUnknown::new(shell_source(node, &FUSER), shell.failed(&FUSER, &told).reason)),
    }
}

async fn read_unit(
    shell: &NodeShell<'_>,
    node: &NodeName,
    units: Result<Vec<UnitLine>, WhyUnknown>,
) -> Result<Option<UpgradeUnit>, WhyUnknown> {
    let Some(newest) = newest(units?) else { return Ok(None) };
    let state = match newest.active.as_str() {
        "active" if newest.sub == "exited" => outcome(shell, &newest).await?,
        "active" | "activating" | "reloading" | "deactivating" => UnitState::Running,
        "failed" | "inactive" => outcome(shell, &newest).await?,
        other => return Err(WhyUnknown::new(shell_source(node, &UNITS), format!("unit state {other:?}"))),
    };
    Ok(Some(UpgradeUnit { unit: UnitName::new(newest.name), state }))
}

/// The relevant unit: one that runs, else the one with the highest number. Names without a unit are left out.
fn newest(units: Vec<UnitLine>) -> Option<UnitLine> {
    let known = units.into_iter().filter(|unit| unit.load != "not-found" && unit.name.starts_with("quorate-upgrade"));
    known.max_by_key(|unit| {
        let runs = unit.active == "activating" || (unit.active == "active" && unit.sub != "exited");
        (runs, unit.number(), unit.name.clone())
    })
}

async fn outcome(shell: &NodeShell<'_>, unit: &UnitLine) -> Result<UnitState, WhyUnknown> {
    if unit.result == "success" && unit.main_status == 0 {
        return Ok(UnitState::Ended(UnitOutcome::Success));
    }
    let how = match unit.main_code {
        1 => format!("exit status {}", unit.main_status),
        2 | 3 => format!("signal {}", unit.main_status),
        _ => unit.result.clone(),
    };
    // The log helps the operator; if it cannot be read, that does not change how the unit ended.
    let log = format!("/var/log/{}.log", unit.name);
    let tail = shell.ok(&["tail", "-n", "20", &log], QUICK).await.unwrap_or_default();
    Ok(UnitState::Ended(UnitOutcome::Failed { how, tail: tail.lines().map(str::to_owned).collect() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(name: &str, active: &str, sub: &str) -> UnitLine {
        let text = format!("Id={name}.service\nLoadState=loaded\nActiveState={active}\nSubState={sub}\n");
        systemctl::parse_show(&text).unwrap().remove(0)
    }

    #[test]
    fn of_several_tries_the_newest_counts_by_number_and_not_by_text() {
        let tries = ["quorate-upgrade-ab", "quorate-upgrade-ab-10", "quorate-upgrade-ab-9"];
        let units = tries.iter().map(|name| unit(name, "failed", "failed")).collect();
        assert_eq!(newest(units).unwrap().name, "quorate-upgrade-ab-10");
        let units =
            vec![unit("quorate-upgrade-ab-2", "failed", "failed"), unit("quorate-upgrade-cd", "active", "running")];
        assert_eq!(newest(units).unwrap().name, "quorate-upgrade-cd");
    }
}
