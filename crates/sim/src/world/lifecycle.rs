//! Starting, stopping and changing guests.

use quorate_core::ids::{GuestId, NodeName, Upid};

use super::{World, WorldError};

impl World {
    /// `POST .../status/start`: `qmstart`/`vzstart`, or `hastart` for an HA resource.
    pub fn guest_start(&mut self, node: &NodeName, id: GuestId, user: &str) -> Result<Upid, WorldError> {
        let _ = (node, id, user);
        Err(WorldError::die("not yet"))
    }

    /// `POST .../status/shutdown`: `qmshutdown`/`vzshutdown`, or `hastop`.
    pub fn guest_shutdown(
        &mut self,
        node: &NodeName,
        id: GuestId,
        timeout_s: u64,
        force_stop: bool,
        user: &str,
    ) -> Result<Upid, WorldError> {
        let _ = (node, id, timeout_s, force_stop, user);
        Err(WorldError::die("not yet"))
    }

    /// `POST .../status/stop`: `qmstop`/`vzstop`, or `hastop`.
    pub fn guest_stop(&mut self, node: &NodeName, id: GuestId, user: &str) -> Result<Upid, WorldError> {
        let _ = (node, id, user);
        Err(WorldError::die("not yet"))
    }

    /// `PUT .../config` for one drive: `ide2=none,media=cdrom` is `set_drive(.., "ide2", "none,media=cdrom")`.
    pub fn guest_set_drive(&mut self, node: &NodeName, id: GuestId, key: &str, value: &str) -> Result<(), WorldError> {
        let _ = (node, id, key, value);
        Err(WorldError::die("not yet"))
    }
}
