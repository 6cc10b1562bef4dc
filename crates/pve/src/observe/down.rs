//! Is a node on its way down, or does it ask to be booted?

use quorate_core::observed::WhyUnknown;
use quorate_core::snapshot::GoingDown;

use super::shell::{NodeShell, QUICK};

/// What systemd says of the system as a whole; its status is 0 only for `running`.
const STATE: [&str; 2] = ["systemctl", "is-system-running"];
/// logind keeps a shutdown that is due later in `/run/systemd/shutdown/scheduled`.
const SCHEDULED: [&str; 6] = ["find", "/run/systemd", "-maxdepth", "2", "-name", "scheduled"];
/// Maintainer scripts leave these (update-notifier, unattended-upgrades).
const REQUIRED: [&str; 6] = ["find", "/run", "-maxdepth", "1", "-name", "reboot-required*"];
const REQUIRED_BY: [&str; 2] = ["cat", "/run/reboot-required.pkgs"];

/// Is the system on its way down? Asked at every look: any hand may have sent it there.
pub(super) async fn going_down(shell: &NodeShell<'_>) -> Result<Option<GoingDown>, WhyUnknown> {
    let state = shell.run(&STATE, QUICK).await?;
    match state.stdout.trim() {
        "stopping" => Ok(Some(GoingDown::Now)),
        "initializing" | "starting" | "running" | "degraded" | "maintenance" => {
            let scheduled = shell.ok(&SCHEDULED, QUICK).await?;
            Ok((!scheduled.trim().is_empty()).then_some(GoingDown::Later))
        }
        _ => Err(shell.failed(&STATE, &state)),
    }
}

/// The packages that asked for a reboot, if any did.
pub(super) async fn reboot_required(shell: &NodeShell<'_>) -> Result<Option<Vec<String>>, WhyUnknown> {
    let files = shell.ok(&REQUIRED, QUICK).await?;
    if !files.lines().any(|file| file == "/run/reboot-required") {
        return Ok(None);
    }
    // Their names are a help only: the file may be missing.
    let names = shell.run(&REQUIRED_BY, QUICK).await?;
    let mut names: Vec<String> = names.stdout.lines().map(|name| name.trim().to_owned()).collect();
    names.sort();
    names.dedup();
    names.truncate(MOST_NAMED);
    Ok(Some(names))
}

/// So many packages are named.
const MOST_NAMED: usize = 64;
