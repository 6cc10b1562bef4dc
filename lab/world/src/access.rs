//! Users, tokens, roles and ACL entries: data for the wire's privilege checks, and their evaluation.

use std::collections::{BTreeMap, BTreeSet};

use crate::cluster_file::ClusterFile;

/// PVE's built-in roles, as `GET /access/roles` of 9.1 returns them.
const ROLES: &[(&str, &str)] = &[
    (
        "Administrator",
        "Datastore.Allocate,Datastore.AllocateSpace,Datastore.AllocateTemplate,Datastore.Audit, \
         Group.Allocate,Mapping.Audit,Mapping.Modify,Mapping.Use,Permissions.Modify,Pool.Allocate, \
         Pool.Audit,Realm.Allocate,Realm.AllocateUser,SDN.Allocate,SDN.Audit,SDN.Use,Sys.AccessNetwork, \
         Sys.Audit,Sys.Console,Sys.Incoming,Sys.Modify,Sys.PowerMgmt,Sys.Syslog,User.Modify,VM.Allocate, \
         VM.Audit,VM.Backup,VM.Clone,VM.Config.CDROM,VM.Config.CPU,VM.Config.Cloudinit,VM.Config.Disk, \
         VM.Config.HWType,VM.Config.Memory,VM.Config.Network,VM.Config.Options,VM.Console, \
         VM.GuestAgent.Audit,VM.GuestAgent.FileRead,VM.GuestAgent.FileSystemMgmt,VM.GuestAgent.FileWrite, \
         VM.GuestAgent.Unrestricted,VM.Migrate,VM.PowerMgmt,VM.Replicate,VM.Snapshot, \
         VM.Snapshot.Rollback",
    ),
    (
        "PVEAdmin",
        "Datastore.Allocate,Datastore.AllocateSpace,Datastore.AllocateTemplate,Datastore.Audit, \
         Group.Allocate,Mapping.Audit,Mapping.Use,Pool.Allocate,Pool.Audit,Realm.AllocateUser, \
         SDN.Allocate,SDN.Audit,SDN.Use,Sys.Audit,Sys.Console,Sys.Syslog,User.Modify,VM.Allocate, \
         VM.Audit,VM.Backup,VM.Clone,VM.Config.CDROM,VM.Config.CPU,VM.Config.Cloudinit,VM.Config.Disk, \
         VM.Config.HWType,VM.Config.Memory,VM.Config.Network,VM.Config.Options,VM.Console, \
         VM.GuestAgent.Audit,VM.GuestAgent.FileRead,VM.GuestAgent.FileSystemMgmt,VM.GuestAgent.FileWrite, \
         VM.GuestAgent.Unrestricted,VM.Migrate,VM.PowerMgmt,VM.Replicate,VM.Snapshot, \
         VM.Snapshot.Rollback",
    ),
    ("PVEAuditor", "Datastore.Audit,Mapping.Audit,Pool.Audit,SDN.Audit,Sys.Audit,VM.Audit,VM.GuestAgent.Audit"),
    (
        "PVEVMAdmin",
        "VM.Allocate,VM.Audit,VM.Backup,VM.Clone,VM.Config.CDROM,VM.Config.CPU,VM.Config.Cloudinit, \
         VM.Config.Disk,VM.Config.HWType,VM.Config.Memory,VM.Config.Network,VM.Config.Options,VM.Console, \
         VM.GuestAgent.Audit,VM.GuestAgent.FileRead,VM.GuestAgent.FileSystemMgmt,VM.GuestAgent.FileWrite, \
         VM.GuestAgent.Unrestricted,VM.Migrate,VM.PowerMgmt,VM.Replicate,VM.Snapshot, \
         VM.Snapshot.Rollback",
    ),
    (
        "PVEVMUser",
        "VM.Audit,VM.Backup,VM.Config.CDROM,VM.Config.Cloudinit,VM.Console,VM.GuestAgent.Audit, \
         VM.GuestAgent.FileRead,VM.GuestAgent.FileSystemMgmt,VM.GuestAgent.FileWrite,VM.PowerMgmt",
    ),
    ("PVESysAdmin", "Sys.Audit,Sys.Console,Sys.Syslog"),
    ("PVEDatastoreAdmin", "Datastore.Allocate,Datastore.AllocateSpace,Datastore.AllocateTemplate,Datastore.Audit"),
    ("PVEDatastoreUser", "Datastore.AllocateSpace,Datastore.Audit"),
    ("NoAccess", ""),
];

/// Users and their permissions.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// Users (`root@pam`) and their passwords.
    pub users: BTreeMap<String, User>,
    /// Tokens by full name, `root@pam!upgrader`.
    pub tokens: BTreeMap<String, Token>,
    /// Roles by name, each a set of privileges.
    pub roles: BTreeMap<String, BTreeSet<String>>,
    /// Access control entries.
    pub acl: Vec<AclEntry>,
}

/// A user account.
#[derive(Clone, Debug)]
pub struct User {
    /// Password, in the clear: this is a simulation.
    pub password: String,
    /// May the user log in?
    pub enabled: bool,
}

/// An API token.
#[derive(Clone, Debug)]
pub struct Token {
    /// The user it belongs to.
    pub user: String,
    /// The token's secret.
    pub secret: String,
    /// Are its rights limited to the intersection of its own and its owner's?
    pub privsep: bool,
}

/// One ACL entry.
#[derive(Clone, Debug)]
pub struct AclEntry {
    /// `/`, `/vms`, `/nodes/pve1`.
    pub path: String,
    /// User or token.
    pub who: String,
    /// Role granted on the path.
    pub role: String,
    /// Does it also apply to everything below the path?
    pub propagate: bool,
}

/// The token that every world has.
pub const TOKEN: &str = "root@pam!quorate";
/// Secret of that token. There is nothing to protect.
pub const TOKEN_SECRET: &str = "5f0c7a52-0d0e-4e0c-9a51-6d1f3c2b7a10";
/// The password of root@pam.
pub const ROOT_PASSWORD: &str = "quorate";

impl Access {
    /// PVE's own roles, root@pam with a password and a token with its owner's rights, and the file's tokens.
    pub fn standard(file: &ClusterFile) -> Self {
        let split = |privileges: &str| {
            privileges.split(',').map(str::trim).filter(|p| !p.is_empty()).map(str::to_owned).collect()
        };
        let mut access = Self {
            roles: ROLES.iter().map(|(role, privileges)| ((*role).to_owned(), split(privileges))).collect(),
            ..Self::default()
        };
        access.users.insert("root@pam".to_owned(), User { password: ROOT_PASSWORD.to_owned(), enabled: true });
        let token = Token { user: "root@pam".to_owned(), secret: TOKEN_SECRET.to_owned(), privsep: false };
        access.tokens.insert(TOKEN.to_owned(), token);
        for part in &file.tokens {
            let user = part.name.split('!').next().unwrap_or_default().to_owned();
            access.users.entry(user.clone()).or_insert(User { password: part.secret.clone(), enabled: true });
            let token = Token { user: user.clone(), secret: part.secret.clone(), privsep: true };
            access.tokens.insert(part.name.clone(), token);
            for who in [user, part.name.clone()] {
                access.acl.push(AclEntry { path: "/".to_owned(), who, role: part.role.clone(), propagate: true });
            }
        }
        access
    }

    /// Privileges of a user or token on a path, each with its propagate flag. `root@pam` itself has all of them.
    pub fn privileges(&self, who: &str, path: &str) -> BTreeMap<&str, bool> {
        if let Some(token) = self.tokens.get(who) {
            let owner = self.privileges(&token.user, path);
            if !token.privsep {
                return owner;
            }
            let own = self.by_acl(who, path);
            return own.into_iter().filter(|(privilege, _)| owner.contains_key(privilege)).collect();
        }
        if who == "root@pam" {
            return self.everything().into_iter().flatten().map(|privilege| (privilege.as_str(), true)).collect();
        }
        self.by_acl(who, path)
    }

    /// Does `who` have this privilege on `path`?
    pub fn allows(&self, who: &str, path: &str, privilege: &str) -> bool {
        let token = self.tokens.get(who);
        match token {
            Some(token) if !token.privsep => self.allows(&token.user, path, privilege),
            // Called for each guest and storage of every list: no map is built for callers that may do everything.
            None if who == "root@pam" => self.everything().is_some_and(|all| all.contains(privilege)),
            _ => self.privileges(who, path).contains_key(privilege),
        }
    }

    /// Every privilege: the administrator's role has them all.
    fn everything(&self) -> Option<&BTreeSet<String>> {
        self.roles.get("Administrator")
    }

    /// The entries on the longest matching path win, as in PVE; an entry further up counts if it propagates.
    fn by_acl(&self, who: &str, path: &str) -> BTreeMap<&str, bool> {
        let covers = |entry: &AclEntry| {
            let inside = entry.path == "/" || path.strip_prefix(&entry.path).is_some_and(|rest| rest.starts_with('/'));
            entry.who == who && (entry.path == path || (inside && entry.propagate))
        };
        let best = self.acl.iter().filter(|e| covers(e)).map(|e| e.path.len()).max();
        let mut found = BTreeMap::new();
        for entry in self.acl.iter().filter(|e| covers(e) && Some(e.path.len()) == best) {
            for privilege in self.roles.get(&entry.role).into_iter().flatten() {
                found.insert(privilege.as_str(), entry.propagate);
            }
        }
        found
    }
}
