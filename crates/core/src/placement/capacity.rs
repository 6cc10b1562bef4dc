//! Memory and processors: what a guest needs and what a node can offer.

use crate::ids::GuestKind;
use crate::policy::Policy;
use crate::snapshot::{Cpu, Guest, Memory};

/// What a VM takes beside its configured memory: QEMU's own heap, disk and network buffers, display memory. 100 to 200
/// MiB are usual; page tables come on top, see [`footprint_bytes`].
pub const VM_OVERHEAD_BYTES: u64 = 256 << 20;

/// What a container takes beside its limit: its monitor process. The limit itself covers the kernel's share.
pub const CT_OVERHEAD_BYTES: u64 = 16 << 20;

/// Page tables of a VM: 8 bytes for each page of 4 KiB, on the host.
const PAGE_TABLE_SHARE: u64 = 512;

/// Memory that a running guest may take on its node: configured, not used, plus overhead.
pub fn footprint_bytes(guest: &Guest) -> u64 {
    let overhead = match guest.id.kind {
        GuestKind::Vm => VM_OVERHEAD_BYTES + guest.memory_bytes / PAGE_TABLE_SHARE,
        GuestKind::Ct => CT_OVERHEAD_BYTES,
    };
    guest.memory_bytes.saturating_add(overhead)
}

/// How much the host's own share may grow between a plan and its last step without a step being refused: by an eighth,
/// but not by more than this.
const HOST_MAY_GROW_BYTES: u64 = 512 << 20;

/// Memory of a node that guests may take. What stays free of them is the headroom of the policy, or what the host
/// itself uses, whichever is more: a target that cannot hold both starts no guest.
pub fn usable_bytes(memory: &Memory, policy: &Policy) -> u64 {
    let percent = 100 - u64::from(policy.headroom_percent.min(100));
    (memory.total_bytes / 100 * percent).min(memory.total_bytes.saturating_sub(memory.host_bytes))
}

/// The same for a plan, which is made hours before its last step and must not fail for a cache that has grown a little.
pub fn plannable_bytes(memory: &Memory, policy: &Policy) -> u64 {
    let grown_bytes = (memory.host_bytes / 8).min(HOST_MAY_GROW_BYTES);
    let host_bytes = memory.host_bytes.saturating_add(grown_bytes);
    usable_bytes(&Memory { host_bytes, ..*memory }, policy)
}

/// Virtual processors that the running guests of a node may have.
pub fn usable_cpus(cpu: &Cpu, limit_percent: u32) -> u64 {
    u64::from(cpu.count) * u64::from(limit_percent) / 100
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headroom_is_taken_from_the_whole_and_never_underflows() {
        let memory = Memory { total_bytes: 100 << 30, used_bytes: 0, host_bytes: 0 };
        let policy = |headroom_percent| Policy { headroom_percent, ..Policy::default() };
        assert_eq!(usable_bytes(&memory, &policy(0)) >> 30, 100);
        assert_eq!(usable_bytes(&memory, &policy(10)) >> 30, 90);
        assert_eq!(usable_bytes(&memory, &policy(200)), 0);
    }

    #[test]
    fn the_hosts_own_share_stays_free_of_guests_where_it_is_more_than_the_headroom() {
        let memory = |host_gib: u64| Memory { total_bytes: 100 << 30, used_bytes: 0, host_bytes: host_gib << 30 };
        let policy = Policy { headroom_percent: 10, ..Policy::default() };
        assert_eq!(usable_bytes(&memory(9), &policy) >> 30, 90);
        assert_eq!(usable_bytes(&memory(20), &policy) >> 30, 80);
        assert_eq!(usable_bytes(&memory(200), &policy), 0);
        assert_eq!(plannable_bytes(&memory(9), &policy), usable_bytes(&memory(9), &policy));
        assert_eq!(usable_bytes(&memory(20), &policy) - plannable_bytes(&memory(20), &policy), HOST_MAY_GROW_BYTES);
    }
}
