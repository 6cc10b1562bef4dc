//! pve8to9 and pve7to8: the upgrade checkers. Only their text matters; they always end with status 0.
//!
//! Colours are written whether or not a terminal reads them, as the real ones do, unless `NO_COLOR` or
//! `ANSI_COLORS_DISABLED` is set. They check what the world models; everything else is reported as the real tool does
//! on a machine that has nothing of the kind.

use quorate_world::ceph::Ceph;
use quorate_world::node::RecordedChecker;

use super::report::{Level, Report};
use super::{Output, Shell};
use crate::api::address;
use crate::{release, upstream};

/// One upgrade between major releases, and its requirements.
struct Jump {
    to: u32,
    /// The minimum version of proxmox-ve to start from.
    least: &'static str,
    /// Kernel series before the upgrade; those of the new release are all that come after.
    kernels: &'static [&'static str],
    /// Ceph's major release that must run.
    ceph: u32,
    ceph_name: &'static str,
}

const JUMPS: [(&str, Jump); 2] = [
    (
        "pve8to9",
        Jump { to: 9, least: "8.4.0", kernels: &["6.2", "6.5", "6.8", "6.11", "6.14"], ceph: 19, ceph_name: "Squid" },
    ),
    ("pve7to8", Jump { to: 8, least: "7.4-1", kernels: &["5.13", "5.15", "6.2"], ceph: 17, ceph_name: "Quincy" }),
];

impl Shell<'_> {
    pub(super) fn checker(&mut self, name: &str, args: &[&str]) -> Option<Output> {
        let (_, jump) = JUMPS.iter().find(|(tool, _)| *tool == name)?;
        let major = if release(self.here()) >= (9, 0) { 9 } else { 8 };
        // Each release has the tool for the upgrade to it and for the one from it.
        if (name == "pve7to8" && major != 8) || (name == "pve8to9" && major < 8) {
            return None;
        }
        if args.iter().any(|arg| arg.starts_with('-') && *arg != "--full") {
            return Some(Output::fail(255, format!("Unknown option: {}\n", args.join(" ").trim_start_matches('-'))));
        }
        let plain = self.env.iter().any(|name| name == "NO_COLOR" || name == "ANSI_COLORS_DISABLED");
        let mut report = Report::new(plain);
        if let Some(recorded) = &self.here().surroundings.recorded_checker {
            return (recorded.tool == name).then(|| self.recorded(report, recorded));
        }
        let done = major >= jump.to;
        self.check_packages(&mut report, jump, done);
        self.check_cluster(&mut report);
        self.check_ceph(&mut report, jump, done);
        self.check_storages(&mut report);
        self.check_guests(&mut report, done);
        self.check_rest(&mut report, args.contains(&"--full"));
        Some(Output::ok(report.into_text()).takes(std::time::Duration::from_secs(4)))
    }

    /// The same lines again.
    fn recorded(&self, mut report: Report, recorded: &RecordedChecker) -> Output {
        let mut under = None;
        for [section, level, text] in &recorded.lines {
            if under != Some(section) {
                report.section(section);
                under = Some(section);
            }
            report.say(Level::of(level), text);
        }
        let text = if recorded.finished { report.into_text() } else { report.into_unfinished() };
        Output::ok(text).takes(std::time::Duration::from_secs(4))
    }

    fn check_packages(&self, report: &mut Report, jump: &Jump, done: bool) {
        report.section("CHECKING VERSION INFORMATION FOR PVE PACKAGES");
        report.line("Checking for package updates..");
        let pending: Vec<_> = self.world.pending(self.node).into_iter().map(|package| package.name).collect();
        let list = format!("updates for the following packages are available:\n  {}", pending.join(", "));
        report.either(pending.is_empty(), "all packages up-to-date", Level::Warn, &list);
        report.line("\nChecking proxmox-ve package version..");
        let node = self.here();
        let installed = node.installed("proxmox-ve").map_or("0", |version| version.as_str());
        let enough = quorate_core::version::Version::from(installed) >= jump.least.into();
        let (least, to) = (jump.least, jump.to);
        match done {
            true => report.say(Level::Pass, format!("already upgraded to Proxmox VE {to}")),
            false => report.either(
                enough,
                &format!("proxmox-ve package has version >= {least}"),
                Level::Fail,
                &format!("proxmox-ve package is too old, please upgrade to >= {least}!"),
            ),
        }
        report.line("\nChecking running kernel version..");
        let running = node.kernel.running.as_str();
        let series = running.split('.').take(2).collect::<Vec<_>>().join(".");
        match (done, jump.kernels.contains(&series.as_str())) {
            (false, true) => {
                report.say(Level::Pass, format!("running kernel '{running}' is considered suitable for upgrade."))
            }
            (false, false) => report.say(Level::Warn, format!("unexpected running and installed kernel '{running}'.")),
            // The newest opt-in kernel of the old release passes as one of the new: the tool cannot tell them apart.
            (true, old) if !old || jump.kernels.last() == Some(&series.as_str()) => {
                report.say(Level::Pass, format!("running new kernel '{running}' after upgrade."));
            }
            (true, _) => {
                let text =
                    format!("a suitable kernel is intalled, but an unsuitable ({running}) is booted, missing reboot?!");
                report.say(Level::Warn, text);
            }
        }
    }

    fn unit_line(&self, report: &mut Report, unit: &str) {
        let state = self.here().services.get(unit).map_or("inactive", |service| service.active_state.as_str());
        let text = format!("systemd unit '{unit}.service' is in state '{state}'");
        let level = if state == "failed" { Level::Fail } else { Level::Warn };
        report.either(state == "active", &text, level, &text);
    }

    fn check_cluster(&self, report: &mut Report) {
        report.section("CHECKING CLUSTER HEALTH/SETTINGS");
        self.unit_line(report, "pve-cluster");
        self.unit_line(report, "corosync");
        let corosync = &self.world.corosync;
        let quorate = self.world.writable(self.node);
        report.either(
            quorate,
            "Cluster Filesystem is quorate.",
            Level::Fail,
            "Cluster Filesystem readonly, lost quorum?!",
        );
        report.line("\nAnalzying quorum settings and state..");
        let members = corosync.views.get(self.node).map_or(0, |view| view.members.len());
        let away = self.world.nodes.len().saturating_sub(members);
        if away > 0 {
            report.say(Level::Fail, format!("{away} nodes are offline!"));
        }
        let votes: u32 = corosync.votes.values().sum();
        let device = corosync.qdevice.as_ref().map_or(0, |device| device.votes);
        report.say(Level::Info, format!("configured votes - nodes: {votes}"));
        report.say(Level::Info, format!("configured votes - qdevice: {device}"));
        if let Some(view) = corosync.views.get(self.node) {
            report.say(Level::Info, format!("current expected votes: {}", view.expected));
            report.say(Level::Info, format!("current total votes: {}", view.total_votes));
            if view.expected != votes + device {
                report.say(Level::Warn, "expected votes set to non-standard value.");
            }
            if view.total_votes < view.expected {
                report.say(
                    Level::Warn,
                    format!("total votes < expected votes: {} < {}!", view.total_votes, view.expected),
                );
            }
        }
        if votes + device < 3 {
            report.say(Level::Warn, "cluster consists of less than three quorum-providing nodes!");
        }
        report.line("\nChecking nodelist entries..");
        report.say(Level::Pass, "nodelist settings OK");
        report.line("\nChecking totem settings..");
        report.say(Level::Pass, "totem settings OK");
        report.line("");
        report.say(Level::Info, "run 'pvecm status' to get detailed cluster status..");
    }

    fn check_ceph(&self, report: &mut Report, jump: &Jump, done: bool) {
        report.section("CHECKING HYPER-CONVERGED CEPH STATUS");
        let Some(ceph) = &self.world.ceph else {
            report.say(Level::Skip, "no hyper-converged ceph setup detected!");
            return;
        };
        report.say(Level::Info, "hyper-converged ceph setup detected!");
        report.say(Level::Info, "getting Ceph status/health information..");
        let (status, checks) = ceph.health(self.world.now_ms);
        let noout = ceph.flags.contains("noout");
        let only_noout = noout && checks.len() == 1;
        match status {
            "HEALTH_OK" => report.say(Level::Pass, "Ceph health reported as 'HEALTH_OK'."),
            "HEALTH_WARN" if only_noout => {
                report.say(
                    Level::Pass,
                    "Ceph health reported as 'HEALTH_WARN' with a single failing check and 'noout' flag set.",
                );
            }
            other => {
                let text = format!(
                    "Ceph health reported as '{other}'.\n      Use the PVE dashboard or 'ceph -s' to determine the specific \
                     issues and try to resolve them."
                );
                report.say(Level::Warn, text);
            }
        }
        self.check_ceph_versions(report, ceph, jump);
        let flag = if noout {
            "noout' flag set."
        } else {
            "noout' flag not set - recommended to prevent rebalancing during upgrades."
        };
        match (noout, done) {
            (true, false) => report.say(Level::Pass, format!("'{flag}")),
            (false, false) => report.say(Level::Warn, format!("'{flag}")),
            (true, true) => {
                report.say(Level::Warn, "ceph version uniform but 'noout' flag still set.. Did you forget to unset it?")
            }
            (false, true) => {}
        }
        report.say(Level::Info, "checking Ceph config..");
    }

    fn check_ceph_versions(&self, report: &mut Report, ceph: &Ceph, jump: &Jump) {
        report.say(Level::Info, "checking local Ceph version..");
        let installed = self.here().installed("ceph-osd").or(self.here().installed("ceph"));
        let installed = installed.map_or("0", |version| upstream(version.as_str()));
        let major: u32 = installed.split('.').next().and_then(|major| major.parse().ok()).unwrap_or(0);
        let name = jump.ceph_name;
        match major.cmp(&jump.ceph) {
            std::cmp::Ordering::Less => report.say(
                Level::Fail,
                format!(
                    "Hyper-converged Ceph {major} is to old for upgrade!\n      Upgrade Ceph first to {name} following our \
                     how-to:\n      <https://pve.proxmox.com/wiki/Category:Ceph_Upgrade>"
                ),
            ),
            std::cmp::Ordering::Equal => report.say(Level::Pass, format!("found expected Ceph {major} {name} release.")),
            std::cmp::Ordering::Greater => report.say(Level::Warn, format!("found newer Ceph {major} release than expected.")),
        }
        report.say(Level::Info, "getting Ceph daemon versions..");
        let of = |daemons: &std::collections::BTreeMap<String, quorate_world::ceph::Daemon>| {
            daemons.values().map(|daemon| daemon.version.clone()).collect::<std::collections::BTreeSet<_>>()
        };
        let osds = ceph.osds.values().map(|osd| osd.version.clone()).collect();
        let kinds = [("monitor", of(&ceph.mons)), ("manager", of(&ceph.mgrs)), ("MDS", of(&ceph.mdss)), ("OSD", osds)];
        let mut all = std::collections::BTreeSet::new();
        for (kind, versions) in kinds {
            match versions.len() {
                0 => report.say(Level::Skip, format!("unable to determine versions of running Ceph {kind} instances.")),
                1 => report.say(Level::Pass, format!("single running version detected for daemon type {kind}.")),
                _ => report.say(Level::Warn, format!("multiple running versions detected for daemon type {kind}!")),
            }
            all.extend(versions);
        }
        let pass = "single running overall version detected for all Ceph daemon types.";
        report.either(
            all.len() == 1,
            pass,
            Level::Warn,
            "overall version mismatch detected, check 'ceph versions' output for details!",
        );
    }

    fn check_storages(&self, report: &mut Report) {
        report.section("CHECKING CONFIGURED STORAGES");
        for storage in self.world.storages.values().filter(|storage| storage.is_on(self.node)) {
            let active = self.world.reaches(storage, self.node);
            let id = &storage.id;
            let pass = format!("storage '{id}' enabled and active.");
            report.either(active, &pass, Level::Warn, &format!("storage '{id}' enabled but not active!"));
        }
        report.say(Level::Info, "Checking storage content type configuration..");
        report.say(Level::Pass, "no storage content problems found");
        report.say(Level::Pass, "no storage reuses a directory for multiple content types.");
    }

    fn check_guests(&self, report: &mut Report, done: bool) {
        report.section("VIRTUAL GUEST CHECKS");
        let running = self.here().processes.len();
        if done {
            report.say(Level::Skip, "Skipping check for running guests - already upgraded.");
        } else {
            report.say(Level::Info, "Checking for running guests..");
            let text = format!("{running} running guest(s) detected - consider migrating or stopping them.");
            report.either(running == 0, "no running guest detected.", Level::Warn, &text);
        }
        let old = self.world.guests.values().filter(|guest| guest.node == *self.node);
        let old: Vec<_> = old
            .filter(|guest| {
                guest.machine.as_deref().is_some_and(|machine| machine_major(machine).is_some_and(|major| major < 6))
            })
            .map(|guest| guest.id.vmid.to_string())
            .collect();
        report.say(Level::Info, "Checking VM configurations for outdated machine versions");
        let text = format!("VMs with old machine versions, update them before the next release:\n  {}", old.join(", "));
        report.either(old.is_empty(), "All VM machine versions are recent enough", Level::Notice, &text);
    }

    fn check_rest(&self, report: &mut Report, full: bool) {
        report.section("MISCELLANEOUS CHECKS");
        report.say(Level::Info, "Checking common daemon services..");
        for unit in ["pveproxy", "pvedaemon", "pvescheduler", "pvestatd"] {
            self.unit_line(report, unit);
        }
        report.say(Level::Info, "Checking for supported & active NTP service..");
        let clock = self.here().services.get("chrony").is_some_and(|service| service.active_state == "active");
        let none = "No (active) time synchronisation daemon (NTP) detected, but synchronized systems are important, especially \
                    for cluster and/or ceph!";
        report.either(clock, "Detected active time synchronisation unit 'chrony.service'", Level::Warn, none);
        let free_gib = self.here().root_free_bytes >> 30;
        if free_gib < 10 {
            let level = if free_gib < 5 { Level::Warn } else { Level::Notice };
            report.say(
                level,
                format!("Less than {} GB free space on root file system.", if free_gib < 5 { 5 } else { 10 }),
            );
        }
        let (node, ip) = (self.node, address(self.here()));
        report.say(Level::Info, format!("Checking if the local node's hostname '{node}' is resolvable.."));
        report.say(Level::Pass, format!("Resolved node IP '{ip}' configured and active on single interface."));
        let suites: std::collections::BTreeSet<_> = self
            .here()
            .repositories
            .iter()
            .filter(|repository| repository.enabled && repository.path.ends_with(".list"))
            .map(|repository| repository.suite.split('-').next().unwrap_or_default())
            .collect();
        report.say(Level::Info, "Checking if the suite for the Debian security repository is correct..");
        let text = format!("Found mixed old and new package repository suites, fix before upgrading! {suites:?}");
        report.either(suites.len() < 2, "found no suite mismatch", Level::Fail, &text);
        for line in &self.here().surroundings.checker_says {
            let (word, text) = line.split_once(": ").unwrap_or(("INFO", line));
            report.say(Level::of(word), text);
        }
        if full {
            report.say(Level::Skip, "No containers on node detected.");
        }
    }
}

/// `9` of `pc-q35-9.2+pve1`.
fn machine_major(machine: &str) -> Option<u32> {
    machine.rsplit('-').next()?.split('.').next()?.parse().ok()
}
