//! Files and locks that clients put below `/etc/pve/priv`: the same content in the whole cluster.
//!
//! A directory below `priv/lock` is a lock. Setting its time to 0 requests its release, which is granted once it
//! has not been touched for 120 s (pve-cluster, `memdb_lock_expired`); setting any other time renews it.

use std::collections::BTreeMap;

use quorate_core::ids::NodeName;

use super::World;

/// A lock that is not renewed for longer may be taken away, in milliseconds.
const LOCK_TIMEOUT_MS: u64 = 120_000;

/// Directories below this path are locks.
const LOCKS: &str = "/etc/pve/priv/lock/";

/// What clients put below `/etc/pve/priv`.
pub type Files = BTreeMap<String, File>;

/// A file or directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Its text; none for a directory.
    pub text: Option<String>,
    /// When it was last changed.
    pub changed_ms: u64,
}

/// Why a change failed, in libc's words.
pub type WriteRefused = &'static str;

impl World {
    /// May `/etc/pve` be written on this node? With quorum, unless its pmxcfs has lost corosync or does not run.
    pub fn writable(&self, node: &NodeName) -> bool {
        let alone = self.nodes.get(node).is_none_or(|machine| machine.pmxcfs_alone);
        self.corosync.quorate(node) && !alone && !self.pmxcfs_is_away(node)
    }

    /// Does pmxcfs not run on this node? Then `/etc/pve` is an empty directory.
    pub fn pmxcfs_is_away(&self, node: &NodeName) -> bool {
        self.nodes.get(node).is_some_and(|machine| self.now_ms < machine.pmxcfs_away_until_ms)
    }

    fn need_writable(&self, node: &NodeName) -> Result<(), WriteRefused> {
        if self.pmxcfs_is_away(node) {
            return Err("No such file or directory");
        }
        if self.writable(node) { Ok(()) } else { Err("Permission denied") }
    }

    /// Does what `mkdir` does.
    pub fn pmxcfs_mkdir(&mut self, node: &NodeName, path: &str) -> Result<(), WriteRefused> {
        self.need_writable(node)?;
        if self.files.contains_key(path) {
            return Err("File exists");
        }
        self.files.insert(path.to_owned(), File { text: None, changed_ms: self.now_ms });
        Ok(())
    }

    /// Does what `rmdir` and `rm` do.
    pub fn pmxcfs_remove(&mut self, node: &NodeName, path: &str) -> Result<(), WriteRefused> {
        self.need_writable(node)?;
        self.files.remove(path).map(drop).ok_or("No such file or directory")
    }

    /// Writes a file, replacing its content.
    pub fn pmxcfs_write(&mut self, node: &NodeName, path: &str, text: &str) -> Result<(), WriteRefused> {
        self.need_writable(node)?;
        self.files.insert(path.to_owned(), File { text: Some(text.to_owned()), changed_ms: self.now_ms });
        Ok(())
    }

    /// Does what `mv` does with a file: it takes the place of another one.
    pub fn pmxcfs_rename(&mut self, node: &NodeName, from: &str, to: &str) -> Result<(), WriteRefused> {
        self.need_writable(node)?;
        let file = self.files.remove(from).ok_or("No such file or directory")?;
        self.files.insert(to.to_owned(), file);
        Ok(())
    }

    /// `touch`: a time of 0 on a lock requests its release.
    pub fn pmxcfs_touch(&mut self, node: &NodeName, path: &str, to_zero: bool) -> Result<(), WriteRefused> {
        self.need_writable(node)?;
        let now_ms = self.now_ms;
        let Some(file) = self.files.get_mut(path) else { return Err("No such file or directory") };
        if to_zero && file.text.is_none() && path.starts_with(LOCKS) {
            if now_ms.saturating_sub(file.changed_ms) > LOCK_TIMEOUT_MS {
                self.files.remove(path);
            }
        } else {
            file.changed_ms = now_ms;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster_file::{DEMO, world_from_toml};

    #[test]
    fn a_lock_that_is_renewed_stays_and_one_that_is_not_expires() {
        let mut world = world_from_toml(DEMO, 1).unwrap();
        let (node, lock) = (NodeName::new("pve1"), "/etc/pve/priv/lock/x");
        world.pmxcfs_mkdir(&node, lock).unwrap();
        assert_eq!(world.pmxcfs_mkdir(&NodeName::new("pve2"), lock), Err("File exists"));
        world.advance_to(world.now_ms + 100_000);
        world.pmxcfs_touch(&node, lock, false).unwrap();
        world.advance_to(world.now_ms + 100_000);
        world.pmxcfs_touch(&node, lock, true).unwrap();
        assert_eq!(world.pmxcfs_mkdir(&node, lock), Err("File exists"), "renewed 100 s ago");
        world.advance_to(world.now_ms + 21_000);
        world.pmxcfs_touch(&node, lock, true).unwrap();
        assert_eq!(world.pmxcfs_mkdir(&node, lock), Ok(()), "not renewed for 121 s");
    }
}
