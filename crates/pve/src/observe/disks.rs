//! What a node's disks say of themselves. Nothing here is changed: no disk is tested, only asked.

use quorate_core::observed::WhyUnknown;
use quorate_core::snapshot::{Disk, DiskPath, Disks, MdArray, ZfsPool};

use super::node_api::NodeApi;
use super::shell::{NO_SUCH_PROGRAM, NodeShell, QUICK};
use crate::wire::disks as wire;
use crate::wire::lenient::List;
use crate::wire::node;

/// All of it.
pub(super) async fn read(shell: &NodeShell<'_>, api: &NodeApi<'_>) -> Disks {
    const ROOT: [&str; 5] = ["findmnt", "-n", "-o", "SOURCE", "/"];
    let root = |text: &str| Ok(text.trim().to_owned());
    let (root, pools, arrays, smart, paths) =
        tokio::join!(shell.parsed(&ROOT, QUICK, root), pools(shell), arrays(shell), smart(api), paths(shell));
    Disks { root: root.into(), pools: pools.into(), arrays: arrays.into(), smart: smart.into(), paths: paths.into() }
}

async fn pools(shell: &NodeShell<'_>) -> Result<Vec<ZfsPool>, WhyUnknown> {
    const STATUS: [&str; 3] = ["zpool", "status", "-x"];
    let output = shell.run(&STATUS, QUICK).await?;
    // Without the module there is no pool that the node uses.
    if output.exit == NO_SUCH_PROGRAM || output.stderr.contains("modules are not loaded") {
        return Ok(Vec::new());
    }
    if !output.succeeded() {
        return Err(shell.failed(&STATUS, &output));
    }
    // `no pools available` is printed as a complaint by some releases.
    let said = if output.stdout.trim().is_empty() { &output.stderr } else { &output.stdout };
    wire::pools(said).map_err(|reason| shell.misread(&STATUS, reason))
}

/// The file is there only where the kernel's RAID is in use.
async fn arrays(shell: &NodeShell<'_>) -> Result<Vec<MdArray>, WhyUnknown> {
    const MDSTAT: [&str; 2] = ["cat", "/proc/mdstat"];
    let output = shell.run(&MDSTAT, QUICK).await?;
    match output.succeeded() {
        true => Ok(wire::arrays(&output.stdout)),
        false if output.stderr.contains("No such file") => Ok(Vec::new()),
        false => Err(shell.failed(&MDSTAT, &output)),
    }
}

async fn smart(api: &NodeApi<'_>) -> Result<Vec<Disk>, WhyUnknown> {
    let list = api.get::<List<node::Disk>>("disks/list").await?;
    let disk = |disk: node::Disk| Disk {
        device: disk.devpath.0,
        model: disk.model.0,
        serial: disk.serial.0,
        health: disk.health.map(|health| health.0).unwrap_or_default(),
    };
    Ok(list.0.into_iter().map(disk).collect())
}

async fn paths(shell: &NodeShell<'_>) -> Result<Vec<DiskPath>, WhyUnknown> {
    const PATHS: [&str; 6] = ["multipathd", "show", "paths", "raw", "format", "%m %d %T"];
    let output = shell.run(&PATHS, QUICK).await?;
    if output.exit == NO_SUCH_PROGRAM {
        return Ok(Vec::new());
    }
    if !output.succeeded() {
        return Err(shell.failed(&PATHS, &output));
    }
    wire::paths(&output.stdout).map_err(|reason| shell.misread(&PATHS, reason))
}
