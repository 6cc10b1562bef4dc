//! Packages are upgraded by `apt-get dist-upgrade`, in a transient systemd unit on the node.
//!
//! Detached from us: a dropped connection, a restarted sshd or the end of our own process does not kill dpkg half-way.
//! The unit stays known after its end (`RemainAfterExit`), and its output is kept in a file beside the node's other
//! logs.
//!
//! A node that lost power under dpkg has packages that are half configured, and apt refuses to do anything until
//! `dpkg --configure -a` has finished them. Where dpkg's audit names such packages the unit does that first.

use serde::{Deserialize, Serialize};

use super::{About, Change, Class, Effect, IfImpossible, Limits, OnGuest, OnNode, Profile, StepKind, StepStatus, Undo, Why};
use super::support::{node, node_mut};
use super::why::read;
use crate::command::Command;
use crate::ids::{NodeName, UnitName};
use crate::observed::Observed;
use crate::policy::Deadlines;
use crate::snapshot::{Packages, PendingPackage, Snapshot, UnitOutcome, UnitState, UpgradeUnit};
use crate::version::Version;

/// Upgrades all packages of a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UpgradePackages {
    /// The node.
    pub node: NodeName,
    /// The unit's name: `quorate-upgrade-` and a short id of the run. Ours is found again by this name.
    pub unit: UnitName,
}

impl UpgradePackages {
    /// Seconds for an upgrade of usual size: 50 to 66 on a PVE 9.1 cluster with a mirror nearby.
    pub const ESTIMATE_S: u64 = 120;

    /// The file on the node that keeps the unit's output.
    pub fn log(unit: &UnitName) -> String {
        format!("/var/log/{unit}.log")
    }

    /// The unit's name for the next try: a unit that failed keeps its name until someone clears it.
    fn next_unit(&self, known: Option<&UpgradeUnit>) -> UnitName {
        let tries = known.and_then(|known| {
            let rest = known.unit.as_str().strip_prefix(self.unit.as_str())?;
            Some(rest.strip_prefix('-').map_or(1, |number| number.parse().unwrap_or(1)))
        });
        match tries {
            None => self.unit.clone(),
            Some(tries) => UnitName::new(format!("{}-{}", self.unit, tries + 1)),
        }
    }

    fn set_unit(&self, snapshot: &mut Snapshot, state: UnitState) {
        if let Some(node) = node_mut(snapshot, &self.node) {
            node.upgrade_unit = Observed::Known(Some(UpgradeUnit { unit: self.unit.clone(), state }));
        }
    }

    fn upgraded(&self, snapshot: &mut Snapshot) {
        self.set_unit(snapshot, UnitState::Ended(UnitOutcome::Success));
        let Some(node) = node_mut(snapshot, &self.node) else { return };
        let Some(packages) = node.packages.known_mut() else { return };
        let mut ceph = Vec::new();
        for package in std::mem::take(&mut packages.pending) {
            match package.name.as_str() {
                "ceph-mon" | "ceph-mgr" | "ceph-osd" | "ceph-mds" => ceph.push(package),
                "pve-manager" => {
                    // It restarts PVE's services.
                    node.running_manager = Observed::Known(package.to.clone());
                    node.pve_version = Observed::Known(package.to);
                }
                "pve-qemu-kvm" => node.qemu_version = Observed::Known(package.to),
                "corosync" => node.corosync_version = Observed::Known(package.to),
                name => {
                    if let (Some(release), Some(kernel)) = (kernel_release(name), node.kernel.known_mut()) {
                        kernel.installed.push(release);
                    }
                }
            }
        }
        for package in ceph {
            self.renew_daemons(snapshot, &package);
        }
    }

    /// Daemons of Ceph run the new release from their next start on. Whether that is now or at the reboot, it is on its
    /// way: the rules must see it.
    fn renew_daemons(&self, snapshot: &mut Snapshot, package: &PendingPackage) {
        let Some(ceph) = snapshot.ceph.known_mut().and_then(Option::as_mut) else { return };
        ceph.installed.insert(self.node.clone(), package.to.clone());
        if package.name == "ceph-osd" {
            for osd in ceph.osds.values_mut().filter(|osd| osd.node == self.node) {
                osd.version = Some(package.to.clone());
            }
        }
        let mine = ceph.daemons.iter_mut().filter(|daemon| daemon.node == self.node);
        for daemon in mine.filter(|daemon| package.name == format!("ceph-{}", daemon.kind.word())) {
            daemon.version = Some(package.to.clone());
        }
    }

    fn is_ours(&self, unit: &UpgradeUnit) -> bool {
        unit.unit.as_str().starts_with(self.unit.as_str())
    }

    fn needs(&self, packages: &Packages) -> StepStatus {
        if let Some(gone) = packages.removals.iter().find(|name| *name == "proxmox-ve") {
            return StepStatus::blocked(Why::WouldRemove(self.node.clone(), gone.clone()));
        }
        if packages.locked {
            return StepStatus::blocked(Why::DpkgLocked(self.node.clone()));
        }
        StepStatus::Ready
    }
}

impl StepKind for UpgradePackages {
    fn verb(&self) -> &'static str {
        "upgrade-packages"
    }

    fn title(&self) -> String {
        format!("upgrade the packages of {}", self.node)
    }

    fn profile(&self) -> Profile<'_> {
        Profile {
            about: About::Node(&self.node),
            class: Class::RiskTaking,
            on_node: OnNode::Upgrades,
            on_guest: OnGuest::Nothing,
            consent: None,
            if_impossible: IfImpossible::PlanAgain,
            estimate_s: Self::ESTIMATE_S,
        }
    }

    fn undo(&self) -> Undo {
        Undo::Nothing
    }

    fn status(&self, snapshot: &Snapshot) -> StepStatus {
        let node = match node(snapshot, &self.node) {
            Ok(node) => node,
            Err(why) => return StepStatus::blocked(why),
        };
        let unit = match read(&node.upgrade_unit) {
            Ok(unit) => unit.as_ref().filter(|unit| self.is_ours(unit)),
            Err(why) => return StepStatus::blocked(why),
        };
        if let Some(UpgradeUnit { unit, state: UnitState::Running }) = unit {
            return StepStatus::Running(Why::Unit(unit.clone()));
        }
        let packages = match read(&node.packages) {
            Ok(packages) => packages,
            Err(why) => return StepStatus::blocked(why),
        };
        if packages.pending.is_empty() && packages.broken.is_empty() && !packages.locked {
            return StepStatus::Done;
        }
        self.needs(packages)
    }

    fn command(&self, snapshot: &Snapshot) -> Option<Command> {
        let known = snapshot.nodes.get(&self.node).and_then(|node| node.upgrade_unit.known()?.as_ref());
        let unit = self.next_unit(known);
        let log = Self::log(&unit);
        let output =
            [format!("--property=StandardOutput=append:{log}"), format!("--property=StandardError=append:{log}")];
        let name = format!("--unit={unit}");
        let mut argv = vec!["systemd-run", &name, "--property=RemainAfterExit=yes", "--property=KillMode=process"];
        argv.extend(output.iter().map(String::as_str));
        let packages = snapshot.nodes.get(&self.node).and_then(|node| node.packages.known());
        if packages.is_some_and(|packages| !packages.broken.is_empty()) {
            argv.push(CONFIGURE_FIRST);
        }
        argv.extend([
            "--setenv=DEBIAN_FRONTEND=noninteractive",
            "--setenv=APT_LISTCHANGES_FRONTEND=none",
            "--setenv=NEEDRESTART_MODE=l",
            "--setenv=LC_ALL=C.UTF-8",
            "apt-get",
            "-y",
            "-o",
            "DPkg::Lock::Timeout=300",
            "-o",
            "Dpkg::Options::=--force-confdef",
            "-o",
            "Dpkg::Options::=--force-confold",
            "dist-upgrade",
        ]);
        Some(Command::shell(&self.node, &argv))
    }

    fn limits(&self, deadlines: &Deadlines) -> Limits {
        // One try: what to do about a dpkg that failed is for an administrator to decide. `resume` tries again.
        Limits { deadline_s: deadlines.upgrade_s, settle_s: 20, attempts: 1 }
    }

    fn effect(&self) -> Effect<'_> {
        Effect {
            during: Change::cluster(|snapshot| self.set_unit(snapshot, UnitState::Running)),
            after: Change::cluster(|snapshot| self.upgraded(snapshot)),
            promise: Change::Nothing,
        }
    }
}

/// Finishes what a power loss left half configured; questions about files get the same answers as from apt below.
const CONFIGURE_FIRST: &str = "--property=ExecStartPre=/usr/bin/dpkg --force-confdef --force-confold --configure -a";

/// `6.17.4-1-pve` from `proxmox-kernel-6.17.4-1-pve-signed`; none for any other package.
pub fn kernel_release(package: &str) -> Option<Version> {
    let release = package.strip_prefix("proxmox-kernel-").or_else(|| package.strip_prefix("pve-kernel-"))?;
    let release = release.strip_suffix("-signed").unwrap_or(release);
    release.ends_with("-pve").then(|| Version::new(release))
}

/// Does it bring microcode of processors, which the kernel loads when it boots?
pub fn is_microcode(package: &str) -> bool {
    matches!(package, "amd64-microcode" | "intel-microcode")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_that_failed_keeps_its_name_so_the_next_try_has_another() {
        let step = UpgradePackages { node: "pve1".into(), unit: "quorate-upgrade-ab12".into() };
        let known = |name: &str| UpgradeUnit { unit: name.into(), state: UnitState::Ended(UnitOutcome::Success) };
        assert_eq!(step.next_unit(None).as_str(), "quorate-upgrade-ab12");
        assert_eq!(step.next_unit(Some(&known("quorate-upgrade-ab12"))).as_str(), "quorate-upgrade-ab12-2");
        assert_eq!(step.next_unit(Some(&known("quorate-upgrade-ab12-2"))).as_str(), "quorate-upgrade-ab12-3");
        assert_eq!(step.next_unit(Some(&known("quorate-upgrade-other"))).as_str(), "quorate-upgrade-ab12");
    }

    #[test]
    fn only_a_kernel_package_names_a_kernel() {
        assert_eq!(kernel_release("proxmox-kernel-6.17.4-1-pve-signed").unwrap().as_str(), "6.17.4-1-pve");
        assert_eq!(kernel_release("proxmox-kernel-6.17"), None);
        assert_eq!(kernel_release("proxmox-kernel-helper"), None);
    }
}
