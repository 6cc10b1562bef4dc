//! The versions at both ends of a move.

use quorate_core::ids::NodeName;

use super::World;
use super::migration::{Migration, Mode};

impl World {
    /// Notes a running VM that goes to an older release.
    pub(crate) fn note_direction(&mut self, m: &Migration) {
        if m.mode != Mode::Live {
            return;
        }
        let version = |node: &NodeName, package: &str| self.nodes.get(node).and_then(|n| n.installed(package)).cloned();
        let from = self.guests.get(&m.guest).and_then(|guest| guest.running_qemu.clone());
        let older_qemu = version(&m.target, "pve-qemu-kvm") < from;
        let release = |node| version(node, "pve-manager").map(|v| release_of(v.as_str()));
        let older_pve = release(&m.target) < release(&m.source);
        if older_qemu || older_pve {
            self.impact.backward_moves += 1;
            self.impact.moments.backward.push((self.now_ms, m.guest));
            let text = format!("{} went back to an older release: {} to {}", m.guest, m.source, m.target);
            self.impact.event(self.now_ms, text);
        }
    }
}

/// The version in a machine type, as numbers: `10.1` of `pc-i440fx-10.1+pve0`.
pub(super) fn machine_number(machine: &str) -> (u32, u32) {
    let number = machine.rsplit('-').next().unwrap_or_default().split('+').next().unwrap_or_default();
    release_of(number)
}

/// Major and minor number of a version.
fn release_of(version: &str) -> (u32, u32) {
    let mut parts = version.split(['.', '-']).map(|part| part.parse().unwrap_or(0));
    (parts.next().unwrap_or(0), parts.next().unwrap_or(0))
}
