//! Users, tokens, roles and ACL entries: data for the wire's privilege checks, and their evaluation.

use std::collections::{BTreeMap, BTreeSet};

/// Who may do what.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// Users (`root@pam`) and their passwords.
    pub users: BTreeMap<String, User>,
    /// Tokens by full name, `root@pam!upgrader`.
    pub tokens: BTreeMap<String, Token>,
    /// Roles as sets of privileges.
    pub roles: BTreeMap<String, BTreeSet<String>>,
    /// ACL entries.
    pub acl: Vec<AclEntry>,
}

/// A user.
#[derive(Clone, Debug)]
pub struct User {
    /// Password, in the clear: this is a simulation.
    pub password: String,
    /// May log in?
    pub enabled: bool,
}

/// An API token.
#[derive(Clone, Debug)]
pub struct Token {
    /// Its owner.
    pub user: String,
    /// The secret.
    pub secret: String,
    /// Rights are the intersection of its own and its owner's?
    pub privsep: bool,
}

/// One ACL entry.
#[derive(Clone, Debug)]
pub struct AclEntry {
    /// `/`, `/vms`, `/nodes/pve1`.
    pub path: String,
    /// User or token.
    pub who: String,
    /// Role.
    pub role: String,
    /// For all below, too?
    pub propagate: bool,
}

impl Access {
    /// Privileges of a user or token on a path, each with its propagate flag. `root@pam` itself has all of them.
    pub fn privileges(&self, who: &str, path: &str) -> BTreeMap<String, bool> {
        if let Some(token) = self.tokens.get(who) {
            let owner = self.privileges(&token.user, path);
            if !token.privsep {
                return owner;
            }
            let own = self.from_acl(who, path);
            return own.into_iter().filter(|(privilege, _)| owner.contains_key(privilege)).collect();
        }
        if who == "root@pam" {
            return self.roles.values().flatten().map(|privilege| (privilege.clone(), true)).collect();
        }
        self.from_acl(who, path)
    }

    /// Has `who` this privilege on `path`?
    pub fn allows(&self, who: &str, path: &str, privilege: &str) -> bool {
        self.privileges(who, path).contains_key(privilege)
    }

    /// The entries on the longest matching path win, as in PVE; an entry further up counts if it propagates.
    fn from_acl(&self, who: &str, path: &str) -> BTreeMap<String, bool> {
        let covers = |entry: &AclEntry| {
            let inside = entry.path == "/" || path.strip_prefix(&entry.path).is_some_and(|rest| rest.starts_with('/'));
            entry.who == who && (entry.path == path || (inside && entry.propagate))
        };
        let best = self.acl.iter().filter(|e| covers(e)).map(|e| e.path.len()).max();
        let mut found = BTreeMap::new();
        for entry in self.acl.iter().filter(|e| covers(e) && Some(e.path.len()) == best) {
            for privilege in self.roles.get(&entry.role).into_iter().flatten() {
                found.insert(privilege.clone(), entry.propagate);
            }
        }
        found
    }
}
