//! `/access`: users, tokens, roles, ACL entries and realms; `/pools`, of which the lab has none.

use std::collections::BTreeSet;

use quorate_world::access::{AclEntry, Token, User};
use ring::digest;
use serde_json::{Map, Value, json};

use super::{Call, Route, route};
use crate::answer::{CallRefused, Reply, object};
use crate::text::hex;

pub(super) const ROUTES: &[Route] = &[
    route("GET", "/access/users", users),
    route("POST", "/access/users", add_user),
    route("GET", "/access/users/{userid}", user),
    route("DELETE", "/access/users/{userid}", remove_user),
    route("GET", "/access/users/{userid}/token", tokens),
    route("GET", "/access/users/{userid}/token/{tokenid}", token),
    route("POST", "/access/users/{userid}/token/{tokenid}", add_token),
    route("DELETE", "/access/users/{userid}/token/{tokenid}", remove_token),
    route("GET", "/access/groups", none),
    route("GET", "/access/domains", domains),
    route("GET", "/access/roles", roles),
    route("POST", "/access/roles", add_role),
    route("GET", "/access/roles/{roleid}", role),
    route("DELETE", "/access/roles/{roleid}", remove_role),
    route("GET", "/access/acl", acl),
    route("PUT", "/access/acl", change_acl),
    route("GET", "/pools", pools),
    route("GET", "/pools/{poolid}", pool),
];

const LOCK: &str = "file-user_cfg";

fn none(_: &mut Call<'_>) -> Result<Reply, CallRefused> {
    Ok(json!([]).into())
}

/// Users that the caller may see: all with the privilege, otherwise only itself.
fn sees_others(call: &Call<'_>) -> bool {
    call.may("/access", &["User.Modify", "Sys.Audit"])
}

fn realm(user: &str) -> &str {
    user.rsplit('@').next().unwrap_or("pam")
}

fn user_entry(userid: &str, known: &User) -> Map<String, Value> {
    object(json!({"userid": userid, "enable": u8::from(known.enabled), "expire": 0, "realm-type": realm(userid)}))
}

fn users(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    let all = sees_others(call);
    let enabled = call.args.switch("enabled");
    let list = call.world.access.users.iter().filter(|(userid, known)| {
        (all || **userid == call.caller.user) && enabled.is_none_or(|enabled| enabled == known.enabled)
    });
    let full = call.args.is_on("full");
    let list = list.map(|(userid, known)| {
        let mut entry = user_entry(userid, known);
        if full {
            entry.insert("groups".into(), json!(""));
            entry.insert("tokens".into(), token_list(call, userid));
        }
        Value::Object(entry)
    });
    Ok(list.collect::<Value>().into())
}

fn named_user(call: &Call<'_>) -> Result<String, CallRefused> {
    let userid = call.args.text("userid");
    match call.world.access.users.contains_key(userid) {
        true => Ok(userid.to_owned()),
        false => Err(CallRefused::failed(format!("no such user ('{userid}')"))),
    }
}

fn user(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    let userid = named_user(call)?;
    let tokens: Map<_, _> = own_tokens(call, &userid).map(|(id, token)| (id.to_owned(), token_entry(token))).collect();
    let enabled = call.world.access.users[&userid].enabled;
    Ok(json!({"enable": u8::from(enabled), "expire": 0, "groups": [], "tokens": tokens}).into())
}

fn add_user(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    let userid = call.args.text("userid").to_owned();
    call.locks(LOCK).map_err(|refusal| prefixed("create user failed", &refusal))?;
    if !["pam", "pve"].contains(&realm(&userid)) {
        let text = format!("create user failed: domain '{}' does not exist", realm(&userid));
        return Err(CallRefused::failed(text));
    }
    if call.world.access.users.contains_key(&userid) {
        return Err(CallRefused::failed(format!("create user failed: user '{userid}' already exists")));
    }
    // Without a password no login is possible: this is a text that no client can send.
    let password = call.args.get("password").map_or_else(|| "\0".to_owned(), str::to_owned);
    let enabled = call.args.switch("enable").unwrap_or(true);
    call.world.access.users.insert(userid, User { password, enabled });
    Ok(Value::Null.into())
}

fn prefixed(what: &str, refusal: &CallRefused) -> CallRefused {
    CallRefused::failed(format!("{what}: {}", refusal.message()))
}

fn remove_user(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    let userid = named_user(call)?;
    call.locks(LOCK).map_err(|refusal| prefixed("delete user failed", &refusal))?;
    let access = &mut call.world.access;
    access.users.remove(&userid);
    access.tokens.retain(|_, token| token.user != userid);
    access.acl.retain(|entry| entry.who != userid && !entry.who.starts_with(&format!("{userid}!")));
    Ok(Value::Null.into())
}

/// Tokens of a user by their short names.
fn own_tokens<'a>(call: &'a Call<'_>, userid: &'a str) -> impl Iterator<Item = (&'a str, &'a Token)> {
    let of_user = call.world.access.tokens.iter().filter(move |(_, token)| token.user == userid);
    of_user.map(|(id, token)| (id.split('!').nth(1).unwrap_or_default(), token))
}

fn token_entry(token: &Token) -> Value {
    json!({"expire": 0, "privsep": u8::from(token.privsep)})
}

fn token_list(call: &Call<'_>, userid: &str) -> Value {
    let list = own_tokens(call, userid).map(|(id, token)| {
        let mut entry = object(token_entry(token));
        entry.insert("tokenid".into(), json!(id));
        Value::Object(entry)
    });
    list.collect()
}

fn tokens(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    let userid = named_user(call)?;
    Ok(token_list(call, &userid).into())
}

fn full_token_id(call: &Call<'_>) -> String {
    format!("{}!{}", call.args.text("userid"), call.args.text("tokenid"))
}

fn named_token(call: &Call<'_>) -> Result<String, CallRefused> {
    let id = full_token_id(call);
    match call.world.access.tokens.contains_key(&id) {
        true => Ok(id),
        false => {
            let (user, token) = (call.args.text("userid"), call.args.text("tokenid"));
            Err(CallRefused::failed(format!("no such token '{token}' for user '{user}'")))
        }
    }
}

fn token(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    let id = named_token(call)?;
    Ok(token_entry(&call.world.access.tokens[&id]).into())
}

/// The only answer that ever holds the secret.
fn add_token(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    let user = named_user(call)?;
    let id = full_token_id(call);
    call.locks(LOCK)?;
    if call.world.access.tokens.contains_key(&id) {
        return Err(CallRefused::parameter("tokenid", "Token already exists."));
    }
    let hash = hex(digest::digest(&digest::SHA256, format!("{id} {}", call.world.now_ms).as_bytes()).as_ref());
    let parts = [&hash[..8], &hash[8..12], &hash[12..16], &hash[16..20], &hash[20..32]];
    let secret = parts.join("-");
    let privsep = call.args.switch("privsep").unwrap_or(true);
    call.world.access.tokens.insert(id.clone(), Token { user, secret: secret.clone(), privsep });
    let info = json!({"expire": "0", "privsep": u8::from(privsep).to_string()});
    Ok(json!({"full-tokenid": id, "info": info, "value": secret}).into())
}

fn remove_token(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    let id = named_token(call)?;
    call.locks(LOCK)?;
    call.world.access.tokens.remove(&id);
    call.world.access.acl.retain(|entry| entry.who != id);
    Ok(Value::Null.into())
}

fn domains(_: &mut Call<'_>) -> Result<Reply, CallRefused> {
    Ok(json!([
        {"realm": "pam", "type": "pam", "comment": "Linux PAM standard authentication"},
        {"realm": "pve", "type": "pve", "comment": "Proxmox VE authentication server"},
    ])
    .into())
}

/// PVE's built-in roles; all others are user-defined.
fn is_special(role: &str) -> bool {
    role.starts_with("PVE") || matches!(role, "Administrator" | "NoAccess")
}

fn roles(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    let list = call.world.access.roles.iter().map(|(role, privileges)| {
        let privileges: Vec<&str> = privileges.iter().map(String::as_str).collect();
        json!({"roleid": role, "special": u8::from(is_special(role)), "privs": privileges.join(",")})
    });
    Ok(list.collect::<Value>().into())
}

fn role(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    let name = call.args.text("roleid");
    let found = call.world.access.roles.get(name);
    let found = found.ok_or_else(|| CallRefused::failed(format!("role '{name}' does not exist")))?;
    let held: Map<_, _> = found.iter().map(|privilege| (privilege.clone(), json!(1))).collect();
    Ok(Value::Object(held).into())
}

fn add_role(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    let name = call.args.text("roleid").to_owned();
    call.locks(LOCK)?;
    if call.world.access.roles.contains_key(&name) {
        return Err(CallRefused::failed(format!("create role failed: role '{name}' already exists")));
    }
    let known: BTreeSet<&String> = call.world.access.roles.values().flatten().collect();
    let wanted = call.args.text("privs").split([',', ' ', ';']).filter(|privilege| !privilege.is_empty());
    let wanted: BTreeSet<String> = wanted.map(str::to_owned).collect();
    if let Some(stranger) = wanted.iter().find(|privilege| !known.contains(privilege)) {
        return Err(CallRefused::parameter("privs", format!("invalid format - invalid privilege '{stranger}'\n")));
    }
    call.world.access.roles.insert(name, wanted);
    Ok(Value::Null.into())
}

fn remove_role(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    let name = call.args.text("roleid").to_owned();
    call.locks(LOCK)?;
    if is_special(&name) {
        return Err(CallRefused::failed(format!("delete role failed: auto-generated role '{name}' cannot be deleted")));
    }
    if call.world.access.roles.remove(&name).is_none() {
        return Err(CallRefused::failed(format!("delete role failed: role '{name}' does not exist")));
    }
    call.world.access.acl.retain(|entry| entry.role != name);
    Ok(Value::Null.into())
}

fn acl(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    let list = call.world.access.acl.iter().filter(|entry| call.may(&entry.path, &["Permissions.Modify", "Sys.Audit"]));
    let list = list.map(|entry| {
        let kind = if entry.who.contains('!') { "token" } else { "user" };
        json!({
            "path": entry.path, "type": kind, "ugid": entry.who, "roleid": entry.role,
            "propagate": u8::from(entry.propagate),
        })
    });
    Ok(list.collect::<Value>().into())
}

fn change_acl(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    call.locks(LOCK)?;
    let split = |text: &str| -> Vec<String> {
        text.split([',', ' ', ';']).filter(|part| !part.is_empty()).map(str::to_owned).collect()
    };
    let path = call.args.text("path").to_owned();
    let roles = split(call.args.text("roles"));
    if let Some(stranger) = roles.iter().find(|role| !call.world.access.roles.contains_key(*role)) {
        return Err(CallRefused::failed(format!("ACL update failed: no such role '{stranger}'")));
    }
    let users = split(call.args.text("users"));
    if let Some(stranger) = users.iter().find(|user| !call.world.access.users.contains_key(*user)) {
        return Err(CallRefused::failed(format!("ACL update failed: no such user '{stranger}'")));
    }
    let tokens = split(call.args.text("tokens"));
    if let Some(stranger) = tokens.iter().find(|token| !call.world.access.tokens.contains_key(*token)) {
        return Err(CallRefused::failed(format!("ACL update failed: no such token '{stranger}'")));
    }
    let propagate = call.args.switch("propagate").unwrap_or(true);
    let (remove, acl) = (call.args.is_on("delete"), &mut call.world.access.acl);
    for who in users.iter().chain(&tokens) {
        for role in &roles {
            acl.retain(|entry| (&entry.path, &entry.who, &entry.role) != (&path, who, role));
            if !remove {
                acl.push(AclEntry { path: path.clone(), who: who.clone(), role: role.clone(), propagate });
            }
        }
    }
    Ok(Value::Null.into())
}

fn pools(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    match call.args.get("poolid") {
        Some(name) => Err(no_pool(name)),
        None => Ok(json!([]).into()),
    }
}

fn pool(call: &mut Call<'_>) -> Result<Reply, CallRefused> {
    Err(no_pool(call.args.text("poolid")))
}

fn no_pool(name: &str) -> CallRefused {
    CallRefused::failed(format!("pool '{name}' does not exist"))
}
