//! Further readings from a node's operating system, for advice only: none of them stops a run by being missing.

use std::collections::BTreeSet;
use std::time::Duration;

use quorate_core::observed::{Observed, WhyUnknown};
use quorate_core::snapshot::{Boot, CheckerReport, CorosyncComplaints, HostFacts, Nics, Node};

use super::disks;
use super::look::{Depth, Hosts, Look};
use super::node_api::NodeApi;
use super::reader::{Allowed, Wait};
use super::shell::{NO_SUCH_PROGRAM, NodeShell, QUICK};
use crate::ports::{Bound, ShellOutput};
use crate::wire::{boot as wire_boot, host, upgrade_checker};

/// The checker queries every service and, with `--full`, looks into every container: it has a time of its own.
const CHECKER: Allowed = Allowed { wait: Wait::Apart(Duration::from_secs(180)), bound: Bound::USUAL };

/// Checkers that a node may have, the newest first. A release keeps the checker for the upgrade to it.
const CHECKERS: [&str; 2] = ["pve8to9", "pve7to8"];

/// Reads them in a full look and after a boot; between the steps of a run they are taken over.
pub(super) async fn read(shell: &NodeShell<'_>, api: &NodeApi<'_>, old: Option<&Node>, look: &Look<'_>) -> HostFacts {
    if let Some(old) = old.filter(|_| look.depth == Depth::Watch) {
        return old.host.clone();
    }
    match &look.hosts {
        Hosts::Nobody => return HostFacts::unseen("this look", "it was not asked for"),
        Hosts::Only(nodes, rest) if !nodes.contains(shell.node()) => {
            if let Some(known) = rest.nodes.get(shell.node()) {
                return known.host.clone();
            }
        }
        Hosts::All | Hosts::Only(..) => {}
    }
    let (checker, time, dkms, complaints, nics, movers, boot, disks) = tokio::join!(
        checker(shell),
        time_synchronised(shell),
        dkms_modules(shell),
        corosync_complaints(shell),
        nics(shell),
        movers(shell),
        boot(shell),
        disks::read(shell, api)
    );
    HostFacts {
        checker: checker.into(),
        time_synchronised: time.into(),
        dkms_modules: dkms.into(),
        corosync_complaints: complaints.into(),
        nics: nics.into(),
        movers: Observed::from(movers),
        boot,
        disks,
        network: super::ways::not_yet(),
    }
}

async fn checker(shell: &NodeShell<'_>) -> Result<Option<CheckerReport>, WhyUnknown> {
    for tool in CHECKERS {
        let argv = [tool, "--full"];
        let output = shell.run(&argv, CHECKER).await?;
        if output.exit == NO_SUCH_PROGRAM {
            continue;
        }
        // Its status is 0 whatever it found; any other means that it could not even start.
        if !output.succeeded() {
            return Err(shell.failed(&argv, &output));
        }
        return upgrade_checker::parse(tool, &output.stdout).map(Some).map_err(|reason| shell.misread(&argv, reason));
    }
    Ok(None)
}

async fn time_synchronised(shell: &NodeShell<'_>) -> Result<bool, WhyUnknown> {
    const SHOW: [&str; 5] = ["timedatectl", "show", "-p", "NTPSynchronized", "--value"];
    shell
        .parsed(&SHOW, QUICK, |text| match text.trim() {
            "yes" => Ok(true),
            "no" => Ok(false),
            other => Err(format!("it printed {other:?} instead of yes or no")),
        })
        .await
}

async fn dkms_modules(shell: &NodeShell<'_>) -> Result<BTreeSet<String>, WhyUnknown> {
    const STATUS: [&str; 2] = ["dkms", "status"];
    let output = shell.run(&STATUS, QUICK).await?;
    if output.exit == NO_SUCH_PROGRAM {
        Ok(BTreeSet::new())
    } else {
        host_text(shell, &STATUS, output, host::dkms_modules)
    }
}

async fn corosync_complaints(shell: &NodeShell<'_>) -> Result<CorosyncComplaints, WhyUnknown> {
    const JOURNAL: [&str; 7] =
        ["journalctl", "--unit=corosync", "--since=-24h", "--lines=5000", "--output=cat", "--no-pager", "--quiet"];
    let output = shell.run(&JOURNAL, QUICK).await?;
    host_text(shell, &JOURNAL, output, host::corosync_complaints)
}

/// What corosync complained about in the last minute: read with every look.
pub(super) async fn migration_throttle(shell: &NodeShell<'_>) -> Observed<CorosyncComplaints> {
    let since = format!("--since=-{}s", quorate_core::migration_throttle::WINDOW_S);
    let argv = ["journalctl", "--unit=corosync", &since, "--lines=500", "--output=cat", "--no-pager", "--quiet"];
    let read = async {
        let output = shell.run(&argv, QUICK).await?;
        host_text(shell, &argv, output, host::corosync_complaints)
    };
    Observed::from(read.await)
}

async fn nics(shell: &NodeShell<'_>) -> Result<Nics, WhyUnknown> {
    const LINKS: [&str; 5] = ["grep", "-rhs", "^Name=", "/etc/systemd/network", "/usr/local/lib/systemd/network"];
    let interfaces = shell.ok(&["cat", "/etc/network/interfaces"], QUICK).await?;
    // grep exits with 1 if no line matches and with 2 if a folder is missing: both mean that nothing is pinned.
    let links = shell.run(&LINKS, QUICK).await?;
    Ok(host::nics(&interfaces, &links.stdout))
}

async fn movers(shell: &NodeShell<'_>) -> Result<BTreeSet<String>, WhyUnknown> {
    const UNITS: [&str; 6] = ["systemctl", "list-units", "--plain", "--no-legend", "--state=active", "proxlb*"];
    let output = shell.run(&UNITS, QUICK).await?;
    let name = |line: &str| Some(line.split_whitespace().next()?.trim_end_matches(".service").to_owned());
    host_text(shell, &UNITS, output, |text| text.lines().filter_map(name).collect())
}

/// Where its kernels are. On a node that proxmox-boot-tool does not manage, the tool fails: that is fine.
async fn boot(shell: &NodeShell<'_>) -> Boot {
    const STATUS: [&str; 2] = ["proxmox-boot-tool", "status"];
    const SIZES: [&str; 6] = ["lsblk", "-b", "-n", "-r", "-o", "UUID,SIZE"];
    const ROOT: [&str; 5] = ["findmnt", "-n", "-o", "FSTYPE", "/"];
    const EFI: [&str; 4] = ["df", "-B1", "--output=avail,target", "/boot/efi"];
    let (status, root, efi) = tokio::join!(shell.run(&STATUS, QUICK), shell.ok(&ROOT, QUICK), shell.run(&EFI, QUICK));
    let kept = match status {
        Ok(output) if output.succeeded() => match shell.ok(&SIZES, QUICK).await {
            Ok(sizes) => Observed::Known(Some(wire_boot::kept(&output.stdout, &sizes))),
            Err(why) => Observed::Unknown(why),
        },
        Ok(_) => Observed::Known(None),
        Err(why) => Observed::Unknown(why),
    };
    Boot {
        root: root.map(|text| text.trim().to_owned()).into(),
        kept,
        efi_free_bytes: efi.map(|output| wire_boot::efi_free(&output.stdout)).into(),
    }
}

fn host_text<T>(
    shell: &NodeShell<'_>,
    argv: &[&str],
    output: ShellOutput,
    read: impl FnOnce(&str) -> T,
) -> Result<T, WhyUnknown> {
    if output.succeeded() { Ok(read(&output.stdout)) } else { Err(shell.failed(argv, &output)) }
}
