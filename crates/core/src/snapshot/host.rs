//! What else a node's operating system reports: advice for the administrator before a run.
//!
//! No step and no rule depends on these readings. A gap here is a warning, not a reason to stop: a node without `dkms`
//! or without a journal can be upgraded.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{Boot, CheckerReport, Disks, NodeNetwork};
use crate::observed::Observed;

/// Advisory readings of one node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HostFacts {
    /// What PVE's own upgrade checker says there; `None` where none is installed.
    pub checker: Observed<Option<CheckerReport>>,
    /// Is the clock kept by a time server (`timedatectl`)?
    pub time_synchronised: Observed<bool>,
    /// Kernel modules that are built on the node itself (`dkms status`), as `name/version`.
    pub dkms_modules: Observed<BTreeSet<String>>,
    /// What corosync complained about in the last day.
    pub corosync_complaints: Observed<CorosyncComplaints>,
    /// Network cards by the names that its network configuration uses.
    pub nics: Observed<Nics>,
    /// Programs that move guests by themselves and are running there: `proxlb`.
    pub movers: Observed<BTreeSet<String>>,
    /// Readings of its boot loader.
    #[serde(default)]
    pub boot: Boot,
    /// What its disks say of themselves.
    #[serde(default)]
    pub disks: Disks,
    /// What its migrations go over.
    #[serde(default)]
    pub network: NodeNetwork,
}

impl HostFacts {
    /// Nothing was read, for this reason.
    pub fn unseen(source: &str, why: &str) -> Self {
        fn gap<T>(source: &str, why: &str) -> Observed<T> {
            Observed::unknown(source, why)
        }
        Self {
            checker: gap(source, why),
            time_synchronised: gap(source, why),
            dkms_modules: gap(source, why),
            corosync_complaints: gap(source, why),
            nics: gap(source, why),
            movers: gap(source, why),
            boot: Boot::unseen(source, why),
            disks: Disks::unseen(source, why),
            network: NodeNetwork::unseen(source, why),
        }
    }
}

#[cfg(any(test, feature = "fixtures"))]
impl HostFacts {
    /// A node on which all is well, for tests.
    pub fn quiet() -> Self {
        use Observed::Known;
        let card = BTreeSet::from(["nic0".to_owned()]);
        Self {
            checker: Known(None),
            time_synchronised: Known(true),
            dkms_modules: Known(BTreeSet::new()),
            corosync_complaints: Known(CorosyncComplaints::default()),
            nics: Known(Nics { used: card.clone(), pinned: card }),
            movers: Known(BTreeSet::new()),
            boot: Boot { root: Known("ext4".to_owned()), kept: Known(None), efi_free_bytes: Known(Some(500 << 20)) },
            disks: Disks::quiet(),
            network: NodeNetwork {
                own: Known(core::net::Ipv4Addr::new(198, 51, 100, 1).into()),
                addresses: Known(Vec::new()),
                ways: Known(std::collections::BTreeMap::new()),
            },
        }
    }
}

impl Default for HostFacts {
    /// For a snapshot that was exported before these were read.
    fn default() -> Self {
        Self::unseen("the exported snapshot", "it was written before this was read")
    }
}

/// Lines of corosync's journal of the last day, counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CorosyncComplaints {
    /// `Retransmit List`: packets that had to be sent again.
    pub retransmits: u32,
    /// `link: N is down`: a link to another member was lost.
    pub links_lost: u32,
    /// `A processor failed, forming new configuration` and `Token has not been received`.
    pub tokens_lost: u32,
}

/// Physical network cards.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nics {
    /// Names that `/etc/network/interfaces` depends on.
    pub used: BTreeSet<String>,
    /// Names that a `.link` file of systemd fixes, so that no kernel changes them.
    pub pinned: BTreeSet<String>,
}

impl Nics {
    /// Names in use that a new kernel or a new systemd may change.
    pub fn loose(&self) -> impl Iterator<Item = &String> {
        self.used.difference(&self.pinned)
    }
}
