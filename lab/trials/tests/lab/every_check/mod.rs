//! Every check fires in one state of the world and is silent in another, through every layer in between: the
//! lab's answers on the wire, the parsers, the snapshot. A check without a row in `rows` is red.

pub(crate) mod rows;

#[allow(dead_code, reason = "each program of tests uses its part of what they share")]
use crate::common;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use quorate_core::checks::{self, Finding};
use quorate_core::invariants;
use quorate_core::policy::Policy;
use quorate_engine::{Refreshed, refresh, stale};
use quorate_pve::observe::{Hosts, Look, observe};
use quorate_trials::ports::SimPorts;
use quorate_world::World;

use rows::{ROWS, Row, node};

/// The demo cluster once it knows what there is to install.
fn with_fresh_lists() -> World {
    let sim = SimPorts::new(Arc::new(Mutex::new(common::demo())));
    let refreshed = common::block_on(async {
        let ports = sim.ports();
        refresh(&ports, &stale(&observe(&ports, Look { hosts: Hosts::Nobody, ..Look::full() }).await)).await
    });
    assert_eq!(refreshed, Refreshed { nodes: 3, ..Refreshed::default() });
    sim.world().clone()
}

/// What every check finds in this world.
fn found(change: fn(&mut World, &mut Policy)) -> Vec<Finding> {
    let (mut world, mut policy) = (with_fresh_lists(), common::policy());
    change(&mut world, &mut policy);
    let known_nodes = world.nodes.keys().cloned().collect();
    let sim = SimPorts::new(Arc::new(Mutex::new(world)));
    let look = Look { known_nodes, ..Look::full() };
    let ports = sim.ports();
    checks::run_all(&common::block_on(observe(&ports, look)), &policy, checks::Asked::BeforeARun)
}

fn hits(findings: &[Finding], row: &Row) -> bool {
    findings.iter().any(|finding| finding.check == row.check && finding.problem.contains(row.words))
}

#[test]
fn every_check_fires_in_its_world_and_is_silent_in_the_healthy_one() {
    let with_rows: BTreeSet<&str> = ROWS.iter().map(|row| row.check).collect();
    let all: BTreeSet<&str> = checks::ALL.iter().map(|check| check.id).collect();
    let without: Vec<&&str> = all.difference(&with_rows).collect();
    assert!(without.is_empty(), "no world in which these fire: {without:?}");
    let rules = invariants::ALL.iter().map(|rule| rule.id());
    let known = all.iter().copied().chain(rules).collect();
    assert!(with_rows.is_subset(&known), "rows of no check and no rule: {:?}", with_rows.difference(&known));

    let healthy = found(|_, _| {});
    let mut wrong = Vec::new();
    for row in ROWS {
        if hits(&healthy, row) {
            wrong.push(format!("{} says {:?} of the healthy cluster", row.check, row.words));
        }
        let findings = found(row.change);
        if !hits(&findings, row) {
            let own: Vec<_> = findings.iter().filter(|finding| finding.check == row.check).collect();
            wrong.push(format!("{} does not say {:?}; it says {own:#?}", row.check, row.words));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Known problems of 8 to 9 that only PVE's checker sees: each of its lines is a finding.
#[test]
fn each_line_of_pves_checker_about_known_trouble_is_a_finding() {
    const LINES: [&str; 16] = [
        "FAIL: systemd-boot meta-package installed, this will cause issues on upgrade",
        "WARN: System booted in uefi mode but grub-efi-amd64 meta-package not installed",
        "WARN: Removable bootloader found at '/boot/efi/EFI/BOOT/BOOTX64.efi', but GRUB packages not set up to update it!",
        "WARN: Deprecated config '/etc/sysctl.conf' contains settings - move them to a dedicated file",
        "FAIL: Found at least one container which does not support unified cgroup v2: 204",
        "WARN: Found legacy 'lxc.cgroup' keys, which will be ignored: 203",
        "FAIL: existing custom role with VM.Monitor privilege",
        "FAIL: GlusterFS support removed, storage 'gluster'",
        "WARN: Found guest volumes with autoactivation enabled on shared LVM storage",
        "FAIL: thin_check_options is set in /etc/lvm/lvm.conf",
        "FAIL: external RBD storage without keyring option",
        "FAIL: maxfiles is set in vzdump.conf",
        "FAIL: found unknown notification sections",
        "FAIL: not enough free space for the new RRD format",
        "FAIL: legacy IPAM DB is not empty",
        "WARN: The matching CPU microcode package 'intel-microcode' could not be found!",
    ];
    let findings = found(|world, _| {
        node(world, "pve2").surroundings.checker_says = LINES.map(str::to_owned).to_vec();
    });
    for line in LINES {
        let told =
            findings.iter().filter(|finding| finding.check == "upgrade-checker" && finding.problem.contains(line));
        let severities: Vec<_> = told.map(|finding| finding.severity).collect();
        // The demo's nodes are at 9 already: the checker looks back there, and warns at most.
        assert_eq!(severities, [checks::Severity::Warning], "{line}");
    }
}
