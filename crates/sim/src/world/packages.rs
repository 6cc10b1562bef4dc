//! Packages: what the repositories offer, `apt update`, `dist-upgrade` as a transient unit.

use std::collections::BTreeMap;

use quorate_core::ids::{NodeName, UnitName, Upid};
use quorate_core::version::Version;

use super::{World, WorldError};

/// What the repositories offer at this moment to every node.
#[derive(Clone, Debug, Default)]
pub struct Archive {
    /// Newest version of each package.
    pub versions: BTreeMap<String, Version>,
    /// Origin text as apt prints it, by package; `Proxmox:stable` if there is none.
    pub origins: BTreeMap<String, String>,
    /// Packages that metas pull in anew, by the kernel release they bring: `proxmox-kernel-6.17.4-1-pve-signed`.
    pub kernels: BTreeMap<String, Version>,
}

/// One line of `apt-get -s dist-upgrade`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pending {
    /// Package.
    pub name: String,
    /// Installed version; none for a new one.
    pub from: Option<Version>,
    /// Candidate.
    pub to: Version,
    /// Origin.
    pub origin: String,
}

impl World {
    /// `POST /nodes/N/apt/update`.
    pub fn apt_update(&mut self, node: &NodeName, user: &str) -> Result<Upid, WorldError> {
        let _ = (node, user);
        Err(WorldError::die("not yet"))
    }

    /// What `apt-get -s dist-upgrade` on the node would install, from its present lists.
    pub fn pending(&self, node: &NodeName) -> Vec<Pending> {
        let _ = node;
        Vec::new()
    }

    /// `systemd-run --unit=U ... COMMAND`: understands `apt-get ... dist-upgrade`; an existing unit is refused with
    /// systemd's text.
    pub fn systemd_run(
        &mut self,
        node: &NodeName,
        unit: UnitName,
        log_path: Option<String>,
        argv: &[String],
    ) -> Result<(), WorldError> {
        let _ = (node, unit, log_path, argv);
        Err(WorldError::die("not yet"))
    }
}
