//! Packages: what the repositories offer, `apt update`, `dist-upgrade` as a transient unit.

use std::collections::{BTreeMap, BTreeSet};

use quorate_core::ids::{NodeName, UnitName, Upid};
use quorate_core::version::Version;

use super::events::Event;
use super::node::{Unit, UnitState};
use super::{World, WorldError};

/// What the repositories offer at this moment to every node.
#[derive(Clone, Debug, Default)]
pub struct Archive {
    /// Newest version of each package.
    pub versions: BTreeMap<String, Version>,
    /// Origin text as apt prints it, by package; `Proxmox:stable` if there is none.
    pub origins: BTreeMap<String, String>,
    /// New packages that others pull in, kernels above all: `proxmox-kernel-6.17.4-1-pve-signed`.
    pub kernels: BTreeMap<String, Version>,
}

/// One line of `apt-get -s dist-upgrade`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pending {
    /// Name of the package.
    pub name: String,
    /// Installed version; none for a new one.
    pub from: Option<Version>,
    /// Candidate version.
    pub to: Version,
    /// Origin, as apt prints it.
    pub origin: String,
}

/// What apt says while another process holds dpkg's lock.
const LOCKED: &str = "Could not get lock /var/lib/dpkg/lock-frontend. It is held by process";
/// What an upgrade needs on `/` while it runs.
const SPACE_NEEDED_BYTES: u64 = 1 << 30;
/// What a package adds to `/`, and what a kernel adds to `/` (its modules) and to `/boot`.
const PACKAGE_BYTES: u64 = 10 << 20;
const KERNEL_BYTES: u64 = 600 << 20;
const KERNEL_BOOT_BYTES: u64 = 180 << 20;
/// How long `DPkg::Lock::Timeout=300` waits.
const LOCK_WAIT_MS: u64 = 300_000;

impl World {
    /// `POST /nodes/N/apt/update`.
    pub fn apt_update(&mut self, node: &NodeName, user: &str) -> Result<Upid, WorldError> {
        let upid = self.new_task(node, "aptupdate", "", user);
        self.task_says(&upid, "starting apt-get update");
        self.events.at(self.now_ms + 6_000, Event::AptUpdated(upid.clone()));
        Ok(upid)
    }

    pub(crate) fn on_apt_updated(&mut self, upid: &Upid) {
        let Some(node) = self.tasks.all.get(upid).filter(|task| task.end.is_none()).map(|task| task.node.clone())
        else {
            return;
        };
        if self.armed.take_mirror_stale(&node) {
            return self.keeps_old_lists(&node, upid);
        }
        if self.armed.take_apt_update_fail(&node) {
            self.task_says(upid, "Err:1 http://download.proxmox.com/debian/pve trixie InRelease");
            self.task_says(upid, "E: Some index files failed to download.");
            return self.end_task(upid, "command 'apt-get update' failed: exit code 100");
        }
        let mut lists = self.archive.versions.clone();
        lists.extend(self.archive.kernels.clone());
        if let Some(machine) = self.nodes.get_mut(&node) {
            for (name, version) in &machine.packages.installed {
                lists.entry(name.clone()).or_insert_with(|| version.clone());
            }
            machine.packages.lists = lists;
        }
        if let Some(uri) = self.repository_refused(&node) {
            self.task_says(upid, format!("Err:2 {uri} trixie InRelease"));
            self.task_says(upid, "  401  Unauthorized");
            self.task_says(upid, format!("E: Failed to fetch {uri}/dists/trixie/InRelease  401  Unauthorized"));
            self.task_says(upid, format!("E: The repository '{uri} trixie InRelease' is not signed."));
            return self.end_task(upid, "command 'apt-get update' failed: exit code 100");
        }
        if let Some(machine) = self.nodes.get_mut(&node) {
            machine.packages.lists_at_ms = self.now_ms;
        }
        for line in ["Hit:1 http://deb.debian.org/debian trixie InRelease", "Reading package lists..."] {
            self.task_says(upid, line);
        }
        self.end_task(upid, "OK");
    }

    /// `dpkg --configure -a`: finishes what was interrupted. False if another process holds the lock.
    pub fn dpkg_configure(&mut self, node: &NodeName) -> bool {
        let Some(machine) = self.nodes.get_mut(node).filter(|machine| machine.packages.locked_by.is_none()) else {
            return false;
        };
        machine.packages.interrupted = false;
        machine.packages.broken.clear();
        true
    }

    /// What `apt-get -s dist-upgrade` on the node would install, from its present lists.
    pub fn pending(&self, node: &NodeName) -> Vec<Pending> {
        let Some(machine) = self.nodes.get(node) else { return Vec::new() };
        let mut pending = self.newer_than(&machine.packages.installed, &machine.packages.lists);
        let packages = &machine.packages;
        pending.retain(|package| !packages.held.contains(&package.name) && !packages.kept.contains(&package.name));
        pending
    }

    /// What is held although the lists offer something newer, and what else apt keeps back.
    pub fn kept_back(&self, node: &NodeName) -> Vec<String> {
        let Some(packages) = self.nodes.get(node).map(|machine| &machine.packages) else { return Vec::new() };
        let newer = self.newer_than(&packages.installed, &packages.lists).into_iter().map(|package| package.name);
        let held = newer.filter(|name| packages.held.contains(name));
        held.chain(packages.kept.iter().cloned()).collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// Would an `apt update` and a dist-upgrade change anything?
    pub fn is_behind_archive(&self, node: &NodeName) -> bool {
        let Some(machine) = self.nodes.get(node) else { return false };
        let mut offered = self.archive.versions.clone();
        offered.extend(self.archive.kernels.clone());
        !self.newer_than(&machine.packages.installed, &offered).is_empty()
    }

    fn newer_than(&self, installed: &BTreeMap<String, Version>, lists: &BTreeMap<String, Version>) -> Vec<Pending> {
        let line = |(name, to): (&String, &Version)| {
            let from = installed.get(name);
            let wanted = from.map_or_else(|| self.archive.kernels.contains_key(name), |from| to > from);
            let origin = self.archive.origins.get(name).map_or("Proxmox VE:stable", String::as_str);
            let pending =
                Pending { name: name.clone(), from: from.cloned(), to: to.clone(), origin: origin.to_owned() };
            wanted.then_some(pending)
        };
        lists.iter().filter_map(line).collect()
    }

    /// `systemd-run --unit=U ... COMMAND`: understands `apt-get ... dist-upgrade`; an existing unit is refused with
    /// systemd's text.
    pub fn systemd_run(
        &mut self,
        node: &NodeName,
        unit: UnitName,
        log_path: Option<String>,
        argv: &[String],
    ) -> Result<(), WorldError> {
        let pid = self.new_pid(node);
        let now_ms = self.now_ms;
        let machine = self.nodes.get_mut(node).ok_or_else(|| WorldError::NoSuchNode(node.to_string()))?;
        if machine.units.contains_key(&unit) {
            let text = format!(
                "Failed to start transient service unit: Unit {unit}.service was already loaded or has a fragment file."
            );
            return Err(WorldError::die(text));
        }
        let upgrade = argv.iter().any(|word| word.ends_with("apt-get"))
            && argv.iter().any(|word| word == "dist-upgrade" || word == "full-upgrade");
        let state = if upgrade { UnitState::Running } else { UnitState::Exited(127) };
        let boots = machine.boots;
        let answers_itself = argv.iter().any(|word| word.contains("--force-conf"));
        let job = Unit { name: unit.clone(), log_path, started_ms: now_ms, pid, answers_itself, state };
        machine.units.insert(unit.clone(), job);
        if upgrade {
            self.events.at(now_ms + 1_500, Event::UnitStep(node.clone(), unit, boots, 0));
        }
        Ok(())
    }

    fn unit_says(&mut self, node: &NodeName, unit: &UnitName, line: impl Into<String>) {
        let Some(machine) = self.nodes.get_mut(node) else { return };
        if let Some(path) = machine.units.get(unit).and_then(|unit| unit.log_path.clone()) {
            machine.unit_logs.entry(path).or_default().push(line.into());
        }
    }

    fn unit_ends(&mut self, node: &NodeName, unit: &UnitName, status: i32) {
        let Some(machine) = self.nodes.get_mut(node) else { return };
        let mine = machine.units.get(unit).map(|unit| unit.pid);
        if machine.packages.locked_by == mine {
            machine.packages.locked_by = None;
        }
        if let Some(unit) = machine.units.get_mut(unit) {
            unit.state = UnitState::Exited(status);
        }
    }

    /// Step 0 takes the lock and reads the lists, step 1 and on install one package each, the one after ends it.
    pub(crate) fn on_unit_step(&mut self, node: &NodeName, unit: &UnitName, boots: u32, step: usize) {
        let Some(machine) = self.nodes.get(node).filter(|m| m.boots == boots && m.is_up()) else { return };
        let Some(job) = machine.units.get(unit).filter(|job| job.state == UnitState::Running).cloned() else { return };
        if step == 0 {
            return self.upgrade_begins(node, &job, boots);
        }
        let Some(next) = self.pending(node).into_iter().next() else {
            self.unit_says(node, unit, "Processing triggers for libc-bin (2.41-12) ...");
            if let Some(packages) = self.nodes.get_mut(node).map(|machine| &mut machine.packages) {
                packages.broken.clear();
                let removed = std::mem::take(&mut packages.removals);
                packages.installed.retain(|name, _| !removed.contains(name));
            }
            return self.unit_ends(node, unit, 0);
        };
        if step == 1 && self.armed.take_mirror_lost(node) {
            for line in [
                "E: Failed to fetch http://download.proxmox.com/debian/pve/dists/trixie  Could not connect to download.proxmox.com:80",
                "E: Unable to fetch some archives, maybe run apt-get update or try with --fix-missing?",
            ] {
                self.unit_says(node, unit, line);
            }
            return self.unit_ends(node, unit, 100);
        }
        if self.nodes.get(node).is_some_and(|machine| machine.root_free_bytes < SPACE_NEEDED_BYTES) {
            let line = "E: You don't have enough free space in /var/cache/apt/archives/.";
            self.unit_says(node, unit, line);
            return self.unit_ends(node, unit, 100);
        }
        if self.armed.take_apt_asks(node, &next.name) && !self.answer_question(node, &job, &next.name) {
            return;
        }
        let kernel = next.name.starts_with("proxmox-kernel-") && next.name.ends_with("-signed");
        if kernel && self.nodes.get(node).is_some_and(|machine| machine.boot_free_bytes < KERNEL_BOOT_BYTES) {
            self.unit_says(node, unit, format!("update-initramfs: failed for {}: No space left on device", next.name));
            return self.upgrade_fails(node, unit, &next.name);
        }
        if self.armed.take_postinst_hangs(node, &next.name) {
            self.unit_says(node, unit, format!("Setting up {} ({}) ...", next.name, next.to));
            if let Some(machine) = self.nodes.get_mut(node) {
                machine.packages.broken.push(next.name);
            }
            // No next step: it never ends.
            return;
        }
        if let Some(package) = self.armed.take_apt_fail(node, &next.name) {
            return self.upgrade_fails(node, unit, &package);
        }
        self.install(node, unit, &next);
        let pause_ms = self.upgrade_pause_ms(node);
        self.events.at(self.now_ms + pause_ms, Event::UnitStep(node.clone(), unit.clone(), boots, step + 1));
    }

    /// A changed configuration file: dpkg keeps the old one if told to; otherwise it asks, and nothing can answer.
    fn answer_question(&mut self, node: &NodeName, job: &Unit, package: &str) -> bool {
        let file = format!("/etc/{package}.conf");
        self.unit_says(node, &job.name, format!("Configuration file '{file}'"));
        self.unit_says(node, &job.name, " ==> Modified (by you or by a script) since installation.");
        self.unit_says(node, &job.name, " ==> Package distributor has shipped an updated version.");
        if job.answers_itself {
            self.unit_says(node, &job.name, " ==> Keeping old config file as default.");
            return true;
        }
        let prompt = format!("*** {package}.conf (Y/I/N/O/D/Z) [default=N] ? dpkg: error processing package {package}");
        self.unit_says(node, &job.name, format!("{prompt} (--configure):"));
        self.unit_says(node, &job.name, " end of file on stdin at conffile prompt");
        self.upgrade_fails(node, &job.name, package);
        false
    }

    /// Two to three minutes for a usual point release.
    fn upgrade_pause_ms(&mut self, node: &NodeName) -> u64 {
        let usual = self.speed.package_ms;
        let heavy = if self.pending(node).len() > 60 { usual.min(1_500) } else { usual };
        self.rng.between(heavy, heavy + heavy / 2)
    }

    fn upgrade_begins(&mut self, node: &NodeName, job: &Unit, boots: u32) {
        let holder = self.nodes.get(node).and_then(|machine| machine.packages.locked_by);
        if let Some(holder) = holder.filter(|pid| *pid != job.pid) {
            let waited_ms = self.now_ms.saturating_sub(job.started_ms);
            if waited_ms >= LOCK_WAIT_MS {
                self.unit_says(node, &job.name, format!("E: {LOCKED} {holder} (apt-get)"));
                return self.unit_ends(node, &job.name, 100);
            }
            if waited_ms < 6_000 {
                self.unit_says(node, &job.name, format!("Waiting for cache lock: {LOCKED} {holder} (apt-get)..."));
            }
            return self.events.at(self.now_ms + 5_000, Event::UnitStep(node.clone(), job.name.clone(), boots, 0));
        }
        if let Some(machine) = self.nodes.get_mut(node) {
            machine.packages.locked_by = Some(job.pid);
        }
        // A unit whose ExecStartPre is `dpkg --configure -a` has already run it.
        if self.nodes.get(node).is_some_and(|machine| machine.packages.interrupted) {
            let line = "E: dpkg was interrupted, you must manually run 'dpkg --configure -a' to correct the problem.";
            self.unit_says(node, &job.name, line);
            return self.unit_ends(node, &job.name, 100);
        }
        let pending = self.pending(node);
        let new = pending.iter().filter(|p| p.from.is_none()).count();
        let upgraded = pending.len() - new;
        for line in ["Reading package lists...", "Building dependency tree...", "Reading state information..."] {
            self.unit_says(node, &job.name, line);
        }
        self.unit_says(node, &job.name, "Calculating upgrade...");
        let line = format!("{upgraded} upgraded, {new} newly installed, 0 to remove and 0 not upgraded.");
        self.unit_says(node, &job.name, line);
        self.events.at(self.now_ms + self.speed.download_ms, Event::UnitStep(node.clone(), job.name.clone(), boots, 1));
    }

    fn install(&mut self, node: &NodeName, unit: &UnitName, pending: &Pending) {
        let Pending { name, from, to, .. } = pending;
        match from {
            Some(from) => self.unit_says(node, unit, format!("Unpacking {name} ({to}) over ({from}) ...")),
            None => self.unit_says(node, unit, format!("Unpacking {name} ({to}) ...")),
        }
        self.unit_says(node, unit, format!("Setting up {name} ({to}) ..."));
        if let Some(machine) = self.nodes.get_mut(node) {
            machine.surroundings.recorded_checker = None;
            machine.packages.installed.insert(name.clone(), to.clone());
            machine.root_free_bytes = machine.root_free_bytes.saturating_sub(PACKAGE_BYTES);
            let kernel = name.strip_prefix("proxmox-kernel-").and_then(|rest| rest.strip_suffix("-signed"));
            if let Some(release) = kernel {
                machine.kernel.installed.push(Version::new(release.to_owned()));
                machine.root_free_bytes = machine.root_free_bytes.saturating_sub(KERNEL_BYTES);
                machine.boot_free_bytes = machine.boot_free_bytes.saturating_sub(KERNEL_BOOT_BYTES);
            }
        }
        for service in restarted_by(name) {
            self.restart_service(node, service);
        }
    }

    fn upgrade_fails(&mut self, node: &NodeName, unit: &UnitName, package: &str) {
        for line in [
            format!("dpkg: error processing package {package} (--configure):"),
            format!(" installed {package} package post-installation script subprocess returned error exit status 1"),
            "Errors were encountered while processing:".to_owned(),
            format!(" {package}"),
            "E: Sub-process /usr/bin/dpkg returned an error code (1)".to_owned(),
        ] {
            self.unit_says(node, unit, line);
        }
        if let Some(machine) = self.nodes.get_mut(node) {
            machine.packages.broken.push(package.to_owned());
        }
        self.unit_ends(node, unit, 100);
    }

    /// `systemctl kill` of an upgrade that runs: dpkg is interrupted.
    pub fn kill_upgrade(&mut self, node: &NodeName, unit: &UnitName) {
        let Some(machine) = self.nodes.get_mut(node) else { return };
        if machine.units.get(unit).is_some_and(|unit| unit.state == UnitState::Running) {
            machine.packages.interrupted = true;
            self.unit_ends(node, unit, 143);
        }
    }

    /// The machine goes down while dpkg runs: this is harm, and leaves a package half configured.
    pub(crate) fn interrupted_upgrade(&mut self, node: &NodeName) {
        let Some(machine) = self.nodes.get(node) else { return };
        let at_work = machine.units.values().any(|unit| unit.state == UnitState::Running);
        let Some(next) = self.pending(node).into_iter().next().filter(|_| at_work) else { return };
        if let Some(machine) = self.nodes.get_mut(node) {
            machine.packages.broken.push(next.name.clone());
            machine.packages.interrupted = true;
        }
        let text = format!("{node} went down while dpkg was at work on {}", next.name);
        self.impact.rule_broken(self.now_ms, "upgrade-interrupted", node.as_str(), &text);
    }
}

/// Services that a package's maintainer scripts restart.
fn restarted_by(package: &str) -> &'static [&'static str] {
    match package {
        "corosync" => &["corosync"],
        "pve-manager" => &["pveproxy"],
        "pve-ha-manager" => &["pve-ha-lrm", "pve-ha-crm"],
        _ => &[],
    }
}
