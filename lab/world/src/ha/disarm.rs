//! HA disarmed (PVE 9.2): no watchdog, no moves, no recovery, until it is armed again.
//!
//! The master freezes the services, every LRM releases its lock and its watchdog, then HA is disarmed. Until `arm-ha`
//! it accepts no command; a lost node is not fenced, and its services are not recovered.

use quorate_core::ids::{GuestId, NodeName};

use super::{HaCommand, LrmMode, LrmState, ServiceState};
use crate::{World, WorldError};

/// What happens to the resources meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResourceMode {
    /// They stay as they are, and refuse commands.
    Freeze,
    /// They behave like guests outside HA.
    Ignore,
}

impl ResourceMode {
    /// Its name as in `resource-mode`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Freeze => "freeze",
            Self::Ignore => "ignore",
        }
    }

    /// Reads the name.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Freeze, Self::Ignore].into_iter().find(|mode| mode.as_str() == text)
    }
}

/// HA is disarmed, or about to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Disarm {
    /// What happens to the resources meanwhile.
    pub mode: ResourceMode,
    /// Have all LRMs released their watchdogs?
    pub complete: bool,
}

impl World {
    /// `ha-manager crm-command disarm-ha MODE`, `POST /cluster/ha/status/disarm-ha`.
    ///
    /// # Errors
    /// Without quorum the queue cannot be written.
    pub fn ha_disarm(&mut self, node: &NodeName, mode: ResourceMode) -> Result<(), WorldError> {
        self.ha_lock(node)?;
        self.ha.queue.push(HaCommand::Disarm(mode));
        Ok(())
    }

    /// `ha-manager crm-command arm-ha`, `POST /cluster/ha/status/arm-ha`.
    ///
    /// # Errors
    /// Without quorum the queue cannot be written.
    pub fn ha_arm(&mut self, node: &NodeName) -> Result<(), WorldError> {
        self.ha_lock(node)?;
        self.ha.queue.push(HaCommand::Arm);
        Ok(())
    }

    /// The master's round while HA is disarmed: freezes what is at rest, and waits for the LRMs.
    pub(super) fn disarmed_round(&mut self) {
        let Some(disarm) = self.ha.manager.disarm else { return };
        for sid in self.ha.manager.services.keys().copied().collect::<Vec<_>>() {
            self.disarm_service(sid, disarm.mode);
        }
        let members = self.ha.manager.master.as_ref().and_then(|master| self.corosync.views.get(master));
        let present = |name: &&NodeName| members.is_some_and(|view| view.members.contains(*name));
        let released = self.nodes.keys().filter(present).filter_map(|name| self.ha.lrm.get(name));
        let mut released = released.filter(|lrm| lrm.running);
        if !disarm.complete && released.all(|lrm| lrm.state == LrmState::WaitForAgentLock) {
            self.ha.manager.disarm = Some(Disarm { complete: true, ..disarm });
            self.crm_says("all LRMs disarmed, releasing the watchdog".to_owned());
        }
    }

    fn disarm_service(&mut self, sid: GuestId, mode: ResourceMode) {
        let Some(service) = self.ha.manager.services.get(&sid).cloned() else { return };
        let moving = matches!(service.state, ServiceState::Migrate | ServiceState::Relocate);
        if moving {
            self.moving_round(sid, &service, true);
        } else if mode == ResourceMode::Freeze
            && matches!(service.state, ServiceState::Started | ServiceState::RequestStart)
        {
            self.set_service_state(sid, ServiceState::Freeze, None);
        }
    }

    /// Does this LRM release its lock because HA is disarmed? It finishes its current work first.
    pub(super) fn lrm_disarms(&self, node: &NodeName) -> bool {
        self.ha.lrm.get(node).is_some_and(|lrm| lrm.mode == LrmMode::Disarm && lrm.workers.is_empty())
    }

    /// Is HA disarmed so that its resources behave like guests outside HA?
    pub(crate) fn ha_ignores_all(&self) -> bool {
        self.ha.manager.disarm.is_some_and(|disarm| disarm.mode == ResourceMode::Ignore && disarm.complete)
    }
}
