//! What the operator allows and prefers. Comes from the configuration file; the planner reads nothing else of it.

mod between_nodes;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::ids::{GuestId, NodeName, StorageId};
use crate::snapshot::{Guest, MigrationFacts, Snapshot};

pub use between_nodes::{BetweenNodes, PauseBetween};

/// The operator's preferences for a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Policy {
    /// Nodes to upgrade first, in this order.
    pub first: Vec<NodeName>,
    /// Nodes to upgrade last, in this order. The node that Quorate itself depends on belongs here.
    pub last: Vec<NodeName>,
    /// Part of a node's memory that stays free of guests, in percent of the total.
    pub headroom_percent: u8,
    /// Virtual processors that the running guests of a node may have, in percent of its processors: 400 is four to one.
    /// None means no limit.
    pub cpu_limit_percent: Option<u32>,
    /// Nodes that are kept free of guests outside of a run: they come first, take guests during it, and are empty again
    /// at the end.
    pub spare: Vec<NodeName>,
    /// Where guests are at the end.
    pub end: End,
    /// How far the fullest and the emptiest node may be apart at a balanced end, in percentage points.
    pub balance_points: u8,
    /// What happens meanwhile when a node reboots.
    pub overlap: Overlap,
    /// Migrations at the same time; see [`Policy::parallel`].
    pub parallel_migrations: Option<u8>,
    /// Speed of the migration network of a node, in bytes per second, if it is known.
    pub link_bytes_per_s: Option<u64>,
    /// What happens to stopped guests of a node.
    pub stopped_guests: StoppedGuests,
    /// When a node is rebooted.
    pub reboot: RebootWhen,
    /// What is done with guests that cannot move, by guest.
    pub guests: BTreeMap<GuestId, GuestPolicy>,
    /// What happens to local disks of guests that move.
    pub local_disks: LocalDisks,
    /// Local storages that take each other's place: a guest with disks on one goes to any node that has another of the
    /// same group, and its disks with it. Each node has at most one of a group.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub storage_map: Vec<BTreeSet<StorageId>>,
    /// How much longer than planned a guest may be down before the run asks again, in percent of the plan's estimate.
    pub downtime_margin_percent: u32,
    /// What the operator has agreed to beforehand.
    pub consents: BTreeSet<ConsentKind>,
    /// Findings that the operator accepts.
    pub waive: Vec<Waiver>,
    /// Upper limits for waiting, in seconds.
    pub deadlines: Deadlines,
    /// Assumed speed of one migration, in bytes per second, for forecasts of time.
    pub migration_bytes_per_s: u64,
    /// What happens between two nodes.
    pub between_nodes: BetweenNodes,
}

/// Tags on guests that say the same as the configuration, for clusters in which guests have owners of their own. What
/// the configuration says about a guest takes precedence.
pub mod tags {
    /// Not touched at all.
    pub const SKIP: &str = "quorate-skip";
    /// As [`super::GuestPolicy::Shutdown`].
    pub const SHUTDOWN: &str = "quorate-shutdown";
    /// As [`super::GuestPolicy::Hibernate`].
    pub const HIBERNATE: &str = "quorate-hibernate";
    /// As [`super::GuestPolicy::Offline`].
    pub const OFFLINE: &str = "quorate-offline";
    /// As [`super::GuestPolicy::Eject`].
    pub const EJECT: &str = "quorate-eject";
    /// As [`super::GuestPolicy::Copy`].
    pub const COPY: &str = "quorate-copy";
    /// As [`super::GuestPolicy::Refuse`].
    pub const REFUSE: &str = "quorate-refuse";
    /// Its node is upgraded among the last.
    pub const LAST: &str = "quorate-last";
}

impl Policy {
    /// What is done with a guest if it cannot move: as the configuration says, or else its tag.
    pub fn of(&self, guest: &Guest) -> Option<GuestPolicy> {
        let tagged = |tag: &str| guest.tags.contains(tag);
        let by_tag = match () {
            () if tagged(tags::REFUSE) => Some(GuestPolicy::Refuse),
            () if tagged(tags::SHUTDOWN) => Some(GuestPolicy::Shutdown),
            () if tagged(tags::HIBERNATE) => Some(GuestPolicy::Hibernate),
            () if tagged(tags::OFFLINE) => Some(GuestPolicy::Offline),
            () if tagged(tags::EJECT) => Some(GuestPolicy::Eject),
            () if tagged(tags::COPY) => Some(GuestPolicy::Copy),
            () => None,
        };
        self.guests.get(&guest.id).copied().or(by_tag)
    }

    /// May it be taken down in this way if it cannot move while it runs? Never where a tag says not to touch it.
    pub fn allows(&self, guest: &Guest, way: GuestPolicy) -> bool {
        self.of(guest) == Some(way) && !guest.tags.contains(tags::SKIP)
    }

    /// One name for all storages that take each other's place with this one.
    pub fn one_name<'a>(&'a self, id: &'a StorageId) -> &'a StorageId {
        let group = self.storage_map.iter().find(|group| group.contains(id));
        group.and_then(|group| group.first()).unwrap_or(id)
    }

    /// Does a run with it allocate volumes: copies under the name of another storage, or the state of a guest?
    pub fn allocates_volumes(&self, snapshot: &Snapshot) -> bool {
        let hibernates = |guest: &Guest| self.of(guest) == Some(GuestPolicy::Hibernate);
        !self.storage_map.is_empty() || snapshot.guests.values().any(hibernates)
    }

    /// Are local disks of this guest copied when it moves while it runs?
    pub fn copies_disks_of(&self, guest: &Guest) -> bool {
        self.local_disks == LocalDisks::Copy || self.of(guest) == Some(GuestPolicy::Copy)
    }

    /// The same for a drain. Whatever bears on a boot of the node is asked, since its administrator may boot it. Guests
    /// go home once it is given back, unless the operator wants the nodes filled alike: it would stay empty otherwise.
    #[must_use]
    pub fn for_a_drain(mut self) -> Self {
        self.reboot = RebootWhen::Always;
        if self.end == End::Anywhere {
            self.end = End::Home;
        }
        self
    }

    /// Does a guest that does not run leave a node that is upgraded, as far as its policy goes?
    pub fn moves_stopped(&self, guest: &Guest) -> bool {
        let on_shared = |facts: &MigrationFacts| facts.local_disks.is_empty() && facts.local_mounts.is_empty();
        match self.stopped_guests {
            StoppedGuests::Leave => false,
            StoppedGuests::Move => !guest.template,
            StoppedGuests::Usable => guest.lock.is(&None) && guest.migration.known().is_some_and(on_shared),
        }
    }

    /// How long a guest may be down in all if this much is planned, in seconds.
    pub fn with_margin_s(&self, planned_s: u64) -> u64 {
        planned_s.saturating_add(planned_s.saturating_mul(u64::from(self.downtime_margin_percent)) / 100)
    }

    /// Nodes that are upgraded last: those of guests with the tag, then those of the configuration.
    pub fn last_nodes(&self, snapshot: &Snapshot) -> Vec<NodeName> {
        let tagged = snapshot.guests.values().filter(|guest| guest.tags.contains(tags::LAST)).map(|guest| &guest.node);
        let tagged: BTreeSet<&NodeName> =
            tagged.filter(|node| !self.first.contains(node) && !self.last.contains(node)).collect();
        tagged.into_iter().chain(&self.last).cloned().collect()
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            first: Vec::new(),
            last: Vec::new(),
            headroom_percent: 5,
            cpu_limit_percent: None,
            spare: Vec::new(),
            end: End::Anywhere,
            balance_points: 10,
            overlap: Overlap::None,
            parallel_migrations: None,
            link_bytes_per_s: None,
            stopped_guests: StoppedGuests::Leave,
            reboot: RebootWhen::Needed,
            guests: BTreeMap::new(),
            local_disks: LocalDisks::Copy,
            storage_map: Vec::new(),
            downtime_margin_percent: 100,
            consents: BTreeSet::new(),
            waive: Vec::new(),
            deadlines: Deadlines::default(),
            migration_bytes_per_s: 500 * 1024 * 1024,
            between_nodes: BetweenNodes::default(),
        }
    }
}

impl Policy {
    /// Migrations at the same time: as many as the operator says; else as many as fill the link, and one more, which
    /// bridges the pauses of the others; two if the link is not known. More would send dirty pages again and again.
    pub fn parallel(&self) -> usize {
        let by_link = |link: u64| link.div_ceil(self.migration_bytes_per_s.max(1)).saturating_add(1).min(32);
        let chosen = self.parallel_migrations.map(u64::from).or_else(|| self.link_bytes_per_s.map(by_link));
        usize::try_from(chosen.unwrap_or(2).max(1)).unwrap_or(usize::MAX)
    }
}

/// Where guests are at the end of a run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum End {
    /// Wherever the fewest moves leave them.
    #[default]
    Anywhere,
    /// Spread so that all nodes are about equally full.
    Balanced,
    /// Where they were at the beginning.
    Home,
}

/// What happens meanwhile when a node is upgraded and reboots.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Overlap {
    /// Nothing else.
    #[default]
    None,
    /// Guests of the next node begin to leave it, to nodes other than the one that is away.
    Reboot,
}

/// What happens to stopped guests of a node that is upgraded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StoppedGuests {
    /// They stay where they are.
    Leave,
    /// They are moved too (offline), where they can be.
    Move,
    /// Those with all volumes on shared storages leave meanwhile, templates too, and come home once their node is back:
    /// so they can be started and cloned all the time.
    Usable,
}

/// When a node is rebooted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RebootWhen {
    /// If something is installed, or comes with the upgrade, that runs only after a boot: a kernel, Ceph, microcode.
    Needed,
    /// Always, also without a new kernel.
    Always,
}

/// What happens to local disks of guests that move.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LocalDisks {
    /// They are copied.
    Copy,
    /// They stay: their guest cannot move while it runs, unless its own policy is [`GuestPolicy::Copy`].
    Stay,
}

/// What is done with a guest that cannot be migrated while it runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GuestPolicy {
    /// Shut down for the reboot of its node only, and started again there.
    Shutdown,
    /// Hibernated for the reboot of its node: its memory is written to a storage, and it goes on from there. VMs only.
    Hibernate,
    /// Shut down, moved, and started on the target; local disks are copied meanwhile.
    Offline,
    /// The CD image is ejected, then the guest is migrated, and the image is put back where that can be.
    Eject,
    /// Its local disks are copied, whatever [`Policy::local_disks`] says.
    Copy,
    /// Not touched: the run is refused while it is in the way.
    Refuse,
}

impl GuestPolicy {
    /// How it is written in the configuration.
    pub fn word(self) -> &'static str {
        match self {
            Self::Shutdown => "shutdown",
            Self::Hibernate => "hibernate",
            Self::Offline => "offline",
            Self::Eject => "eject",
            Self::Copy => "copy",
            Self::Refuse => "refuse",
        }
    }
}

/// A kind of cost that needs the operator's consent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ConsentKind {
    /// Containers are restarted when they move: seconds of downtime each.
    RestartContainers,
    /// Guests with [`GuestPolicy::Shutdown`] are down while their node is upgraded.
    ShutdownGuests,
    /// Guests with [`GuestPolicy::Hibernate`] are away while their node is upgraded.
    HibernateGuests,
    /// Guests with [`GuestPolicy::Offline`] are shut down, moved and started again.
    MoveOffline,
    /// CD images are ejected. They are put back at the end where that can be, and named where it cannot.
    EjectMedia,
}

/// The operator's statement that a finding is accepted. Which findings may be waived is decided by their checks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Waiver {
    /// The check: `other-movers`.
    pub check: String,
    /// What the finding is about, as it is shown: `pve1`, `vm:101`, `cluster`; none means any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// Words from the finding's text, for a check that reports several things; none means any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Why; never empty.
    pub reason: String,
}

impl Waiver {
    /// From `CHECK=REASON` or `CHECK:SUBJECT=REASON`.
    ///
    /// # Errors
    /// What is wrong with it, and how it is written.
    pub fn parse(text: &str) -> Result<Self, String> {
        let form =
            "a waiver is written CHECK=REASON or CHECK:SUBJECT=REASON, as in other-movers:pve1='ignores our guests'";
        let (what, reason) = text.split_once('=').ok_or(form)?;
        let (check, subject) = what.split_once(':').map_or((what, None), |(check, subject)| (check, Some(subject)));
        Ok(Self {
            check: check.trim().to_owned(),
            subject: subject.map(|subject| subject.trim().to_owned()),
            text: None,
            reason: reason.trim().to_owned(),
        })
    }
}

impl std::fmt::Display for Waiver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.check)?;
        if let Some(subject) = &self.subject {
            write!(f, ":{subject}")?;
        }
        if let Some(text) = &self.text {
            write!(f, " ({text})")?;
        }
        Ok(())
    }
}

/// Upper limits for waiting, in seconds. When one has passed, the run pauses with a diagnosis.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
pub struct Deadlines {
    /// For the migration of one guest.
    pub migration_s: u64,
    /// For the package upgrade of one node.
    pub upgrade_s: u64,
    /// From the reboot command until the node's shell answers again.
    pub boot_s: u64,
    /// From there until quorum, links, services and storages are back.
    pub rejoin_s: u64,
    /// Until Ceph is clean again.
    pub ceph_clean_s: u64,
    /// Until HA is idle again.
    pub ha_s: u64,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self { migration_s: 3600, upgrade_s: 3600, boot_s: 1200, rejoin_s: 600, ceph_clean_s: 3600, ha_s: 600 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_migrations_run_at_once_as_fill_the_link_and_one_more() {
        let policy = |parallel_migrations, link_bytes_per_s| Policy {
            parallel_migrations,
            link_bytes_per_s,
            migration_bytes_per_s: 600_000_000,
            ..Policy::default()
        };
        assert_eq!(policy(None, None).parallel(), 2, "nothing is known");
        assert_eq!(policy(None, Some(1_250_000_000)).parallel(), 4, "10 Gbit/s, 600 MB/s each");
        assert_eq!(policy(None, Some(125_000_000)).parallel(), 2, "1 Gbit/s");
        assert_eq!(policy(Some(3), Some(1_250_000_000)).parallel(), 3, "as the operator says");
        assert_eq!(policy(Some(0), None).parallel(), 1);
    }
}
