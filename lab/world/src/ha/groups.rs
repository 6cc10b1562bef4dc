//! Groups of PVE 8 and how they become rules: in memory the manager always works with rules; it writes them to disk
//! once the whole cluster can read them.
//!
//! Before that, rules cannot be created and groups are what users see (`groups.cfg`); the wire shows one or the other.

use std::collections::BTreeMap;

use quorate_core::version::Version;

use super::{LrmMode, LrmState, Rule, RuleKind};
use crate::World;

/// The first pve-manager that reads `rules.cfg`.
const READS_RULES: &str = "9.0.0~16";
/// How often the master checks whether it can be done.
const LOOK_EVERY_MS: u64 = 60_000;

impl World {
    /// Does every node's installed PVE know rules?
    pub(crate) fn all_nodes_read_rules(&self) -> bool {
        let first = Version::new(READS_RULES);
        self.nodes.values().all(|node| node.installed("pve-manager").is_some_and(|version| *version >= first))
    }

    /// Every configured node online, every LRM idle or active in mode active: not while one is in maintenance.
    fn all_lrms_in_order(&self) -> bool {
        let Some(view) = self.ha.manager.master.as_ref().and_then(|master| self.corosync.views.get(master)) else {
            return false;
        };
        let in_order = |lrm: &super::Lrm| {
            let state = matches!(lrm.state, LrmState::WaitForAgentLock | LrmState::Active);
            lrm.running && lrm.mode == LrmMode::Active && state
        };
        self.nodes.keys().all(|name| view.members.contains(name) && self.ha.lrm.get(name).is_some_and(in_order))
    }

    /// The master writes `rules.cfg` and removes `groups.cfg`, if it can be done now. Tried about once a minute.
    pub(super) fn groups_may_become_rules(&mut self) {
        if self.ha.groups_became_rules || self.now_ms < self.ha.manager.groups_looked_ms + LOOK_EVERY_MS {
            return;
        }
        self.ha.manager.groups_looked_ms = self.now_ms;
        if !self.all_nodes_read_rules() || !self.all_lrms_in_order() {
            return;
        }
        let rename = |(name, rule): (String, Rule)| match rule.kind {
            RuleKind::NodeAffinity { .. } => (format!("ha-group-{name}"), rule),
            RuleKind::KeepTogether | RuleKind::KeepApart => (name, rule),
        };
        let rules: BTreeMap<String, Rule> = std::mem::take(&mut self.ha.rules).into_iter().map(rename).collect();
        self.ha.rules = rules;
        self.ha.groups_became_rules = true;
        self.crm_says("ha groups have been migrated to rules".to_owned());
    }
}
