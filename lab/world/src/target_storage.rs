//! `targetstorage` of a move: which storage of the target takes the volumes of which storage of the source, for storages
//! that are not shared (pve-common `parse_idmap`, qemu-server, pve-container).

use std::collections::BTreeMap;

use quorate_core::ids::{GuestKind, NodeName, StorageId};

use super::store::Storage;
use super::{World, WorldError};

/// A map of storages as it is written in a call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TargetStorage {
    /// `1`: each storage is itself.
    pub identity: bool,
    /// `here:there`.
    pub entries: BTreeMap<StorageId, StorageId>,
    /// One for all others.
    pub default: Option<StorageId>,
}

impl TargetStorage {
    /// From `a:b,c:d`, one storage for all, or `1`. Ids are checked with this.
    pub fn parse(text: &str, id: impl Fn(&str) -> Result<(), String>) -> Result<Self, String> {
        let mut map = Self::default();
        for entry in text.split([',', ';', ' ', '\0']).filter(|entry| !entry.is_empty()) {
            let checked = |name: &str| match id(name) {
                Ok(()) => Ok(StorageId::new(name)),
                Err(why) => Err(format!("entry '{entry}' contains invalid ID - {why}\n")),
            };
            match entry
                .split_once(':')
                .filter(|(here, there)| !here.is_empty() && !there.is_empty() && !there.contains(':'))
            {
                _ if entry == "1" => map.identity = true,
                Some((here, there)) => {
                    if map.entries.insert(checked(here)?, checked(there)?).is_some() {
                        return Err(format!("duplicate mapping for source '{here}'\n"));
                    }
                }
                None => {
                    if map.default.replace(checked(entry)?).is_some() {
                        return Err("default target ID can only be provided once\n".to_owned());
                    }
                }
            }
        }
        if map.identity && (map.default.is_some() || !map.entries.is_empty()) {
            return Err("identity mapping cannot be combined with other mappings\n".to_owned());
        }
        Ok(map)
    }

    /// Storages that it names on the target.
    pub fn targets(&self) -> impl Iterator<Item = &StorageId> {
        self.entries.values().chain(&self.default)
    }

    /// Where volumes of a storage go; shared ones stay.
    pub(crate) fn of<'a>(&'a self, storage: &'a Storage) -> &'a StorageId {
        let other = self.entries.get(&storage.id).or(self.default.as_ref());
        other.filter(|_| !storage.shared).unwrap_or(&storage.id)
    }
}

impl World {
    /// A storage that exists and may be used on a node.
    pub fn storage_enabled(&self, id: &StorageId, node: &NodeName) -> Result<&Storage, WorldError> {
        let storage = self.storages.get(id).ok_or_else(|| WorldError::die(format!("storage '{id}' does not exist")))?;
        match () {
            () if storage.disabled => Err(WorldError::die(format!("storage '{id}' is disabled"))),
            () if !storage.is_on(node) => {
                Err(WorldError::die(format!("storage '{id}' is not available on node '{node}'")))
            }
            () => Ok(storage),
        }
    }

    /// May a storage that a map names take volumes of such a guest?
    pub fn storage_takes(&self, id: &StorageId, kind: GuestKind) -> Result<(), WorldError> {
        let (content, what) = match kind {
            GuestKind::Vm => ("images", "vm images"),
            GuestKind::Ct => ("rootdir", "CT rootdirs"),
        };
        let storage = self.storages.get(id);
        match storage.is_some_and(|storage| storage.content.iter().any(|known| known == content)) {
            true => Ok(()),
            false => Err(WorldError::die(format!("storage '{id}' does not support {what}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<TargetStorage, String> {
        TargetStorage::parse(text, |id| if id.contains('!') { Err("bad".to_owned()) } else { Ok(()) })
    }

    #[test]
    fn a_map_is_pairs_one_for_all_or_the_identity() {
        let map = parse("a:b,c:d").unwrap();
        assert_eq!(map.targets().map(StorageId::as_str).collect::<Vec<_>>(), ["b", "d"]);
        assert_eq!(parse("x").unwrap().default, Some(StorageId::new("x")));
        assert!(parse("1").unwrap().identity);
        assert_eq!(parse("a:b,a:c").unwrap_err(), "duplicate mapping for source 'a'\n");
        assert_eq!(parse("a,b").unwrap_err(), "default target ID can only be provided once\n");
        assert_eq!(parse("1,a:b").unwrap_err(), "identity mapping cannot be combined with other mappings\n");
        assert_eq!(parse("a:b!").unwrap_err(), "entry 'a:b!' contains invalid ID - bad\n");
    }
}
