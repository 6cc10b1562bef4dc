//! The driver's lock in the cluster itself: a file in /etc/pve, which every node has.

use quorate_core::observed::{Observed, WhyUnknown};
use quorate_core::snapshot::DriverLock;

use super::membership::Membership;
use super::reader::{Reader, shell_source};
use super::shell::{NodeShell, QUICK};
use crate::wire::lenient;

/// Where the lock is kept: only root may read it, and it is replicated.
pub const DRIVER_LOCK_FILE: &str = "/etc/pve/priv/quorate-driver.json";

const READ: [&str; 2] = ["cat", DRIVER_LOCK_FILE];

/// Reads the lock from the first node that answers.
pub(super) async fn read(reader: &Reader<'_>, membership: &Membership) -> Observed<Option<DriverLock>> {
    let mut why = WhyUnknown::new(READ.join(" "), "no node could be asked");
    for node in membership.names.iter().filter(|node| !membership.is_offline(node)) {
        let shell = NodeShell::new(reader, node);
        match shell.run(&READ, QUICK).await {
            Ok(output) if output.succeeded() => {
                let lock = lenient::read_text(&output.stdout);
                return lock.map(Some).map_err(|reason| WhyUnknown::new(shell_source(node, &READ), reason)).into();
            }
            Ok(output) if output.stderr.contains("No such file") => return Observed::Known(None),
            Ok(output) => why = shell.failed(&READ, &output),
            Err(unreachable) => why = unreachable,
        }
    }
    Observed::Unknown(why)
}
