//! Faults that wait for an event: the next boot, the next move, the next package.

use quorate_core::ids::{GuestId, NodeName};

use super::faults::FaultKind;

/// Faults that wait for an event.
#[derive(Clone, Debug, Default)]
pub struct Armed {
    /// In the order they were armed.
    pub waiting: Vec<FaultKind>,
}

/// What a fault does to a move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MigrationOutcome {
    /// The move makes no progress.
    Hang,
    /// The move fails when this share of the memory is copied.
    Fail(u8),
    /// The guest moves, and the task reports failure.
    Lie,
}

/// Counts one use; true while uses are left.
fn again(times: &mut u32) -> bool {
    *times = times.saturating_sub(1);
    *times > 0
}

impl Armed {
    /// Takes the first waiting fault that `pick` recognises; `pick` says whether it stays armed.
    fn take<T>(&mut self, mut pick: impl FnMut(&mut FaultKind) -> Option<(T, bool)>) -> Option<T> {
        let found = self.waiting.iter_mut().enumerate().find_map(|(index, fault)| Some((index, pick(fault)?)));
        let (index, (value, stays)) = found?;
        if !stays {
            self.waiting.remove(index);
        }
        Some(value)
    }

    pub(crate) fn take_boot_slow(&mut self, node: &NodeName) -> Option<u64> {
        self.take(|fault| match fault {
            FaultKind::BootSlow { node: n, seconds } if n == node => Some((*seconds, false)),
            _ => None,
        })
    }

    pub(crate) fn take_shutdown_hangs(&mut self, node: &NodeName) -> Option<u64> {
        self.take(|fault| match fault {
            FaultKind::ShutdownHangs { node: n, seconds } if n == node => Some((*seconds, false)),
            _ => None,
        })
    }

    pub(crate) fn take_postinst_hangs(&mut self, node: &NodeName, name: &str) -> bool {
        let found = self.take(|fault| match fault {
            FaultKind::PostinstHangs { node: n, package } if n == node && package == name => Some(((), false)),
            _ => None,
        });
        found.is_some()
    }

    pub(crate) fn take_mirror_lost(&mut self, node: &NodeName) -> bool {
        let found = self.take(|fault| match fault {
            FaultKind::MirrorLost { node: n, times } if n == node => Some(((), again(times))),
            _ => None,
        });
        found.is_some()
    }

    pub(crate) fn take_mirror_stale(&mut self, node: &NodeName) -> bool {
        let found = self.take(|fault| match fault {
            FaultKind::MirrorStale { node: n, times } if n == node => Some(((), again(times))),
            _ => None,
        });
        found.is_some()
    }

    pub(crate) fn take_boot_never(&mut self, node: &NodeName) -> bool {
        let found = self.take(|fault| match fault {
            FaultKind::BootNever { node: n } if n == node => Some(((), false)),
            _ => None,
        });
        found.is_some()
    }

    pub(crate) fn take_boot_old_kernel(&mut self, node: &NodeName) -> bool {
        let found = self.take(|fault| match fault {
            FaultKind::BootOldKernel { node: n } if n == node => Some(((), false)),
            _ => None,
        });
        found.is_some()
    }

    pub(crate) fn take_boot_renames_nics(&mut self, node: &NodeName) -> bool {
        let found = self.take(|fault| match fault {
            FaultKind::BootRenamesNics { node: n } if n == node => Some(((), false)),
            _ => None,
        });
        found.is_some()
    }

    pub(crate) fn take_apt_asks(&mut self, node: &NodeName, name: &str) -> bool {
        let found = self.take(|fault| match fault {
            FaultKind::AptAsks { node: n, package } if n == node && package == name => Some(((), false)),
            _ => None,
        });
        found.is_some()
    }

    pub(crate) fn take_replication_fail(&mut self, id: GuestId) -> bool {
        let found = self.take(|fault| match fault {
            FaultKind::ReplicationFail { guest, times } if *guest == id => Some(((), again(times))),
            _ => None,
        });
        found.is_some()
    }

    pub(crate) fn take_apt_update_fail(&mut self, node: &NodeName) -> bool {
        let found = self.take(|fault| match fault {
            FaultKind::AptUpdateFail { node: n, times } if n == node => Some(((), again(times))),
            _ => None,
        });
        found.is_some()
    }

    pub(crate) fn take_apt_fail(&mut self, node: &NodeName, name: &str) -> Option<String> {
        self.take(|fault| match fault {
            FaultKind::AptFail { node: n, package, times } if n == node && package == name => {
                Some((package.clone(), again(times)))
            }
            _ => None,
        })
    }

    pub(crate) fn take_migration_outcome(&mut self, id: GuestId) -> Option<MigrationOutcome> {
        let meant = |guest: &Option<GuestId>| guest.is_none_or(|guest| guest == id);
        self.take(|fault| match fault {
            FaultKind::MigrationFail { guest, percent, times } if meant(guest) => {
                Some((MigrationOutcome::Fail(*percent), again(times)))
            }
            FaultKind::MigrationHang { guest, times } if meant(guest) => Some((MigrationOutcome::Hang, again(times))),
            FaultKind::MigrationLies { guest } if meant(guest) => Some((MigrationOutcome::Lie, false)),
            _ => None,
        })
    }
}
