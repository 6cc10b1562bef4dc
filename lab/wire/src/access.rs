//! Who sent a request: API tokens, tickets and their CSRF tokens. What a caller may do is the world's access list.
//!
//! It promises PVE's rules for tickets (two hours, five minutes of tolerance, a CSRF token for every change). It
//! does not model second factors or additional realms.

use std::collections::BTreeMap;

use percent_encoding::percent_decode_str;
use quorate_core::ids::NodeName;
use quorate_world::access::Access;
use ring::hmac;

use super::answer::CallRefused;
use super::schema::Release;
use super::text::base64;

/// How long a ticket is valid.
const TICKET_LIFE_S: u64 = 7200;
/// How far ahead of our clock the clock of the node that made a ticket may be.
const TICKET_SKEW_S: u64 = 300;

/// What authentication needs in addition to the world: the key that signs tickets, and each node's certificate.
#[derive(Clone, Debug, Default)]
pub struct Gate {
    /// Signs tickets and CSRF tokens.
    pub ticket_key: [u8; 32],
    /// SHA-256 fingerprint of each node's certificate, as PVE prints it.
    pub fingerprints: BTreeMap<NodeName, String>,
}

/// An authenticated caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// `root@pam`.
    pub user: String,
    /// The token's id without the user: `quorate`.
    pub token: Option<String>,
}

impl Caller {
    /// `root@pam` on the node itself: what a shell is.
    pub fn root() -> Self {
        Self { user: "root@pam".to_owned(), token: None }
    }

    /// The caller as written in task ids and in the access list: `root@pam!quorate`.
    pub fn auth_id(&self) -> String {
        match &self.token {
            Some(token) => format!("{}!{token}", self.user),
            None => self.user.clone(),
        }
    }

    /// Literally root, which no token is.
    pub fn is_root(&self) -> bool {
        self.user == "root@pam" && self.token.is_none()
    }
}

/// What a request carries to prove who sent it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Credentials {
    /// The `Authorization` header.
    pub authorization: Option<String>,
    /// The `Cookie` header.
    pub cookie: Option<String>,
    /// The `CSRFPreventionToken` header.
    pub csrf: Option<String>,
}

impl Credentials {
    /// The credentials of an API token, `user@realm!id` and its secret.
    pub fn token(id: &str, secret: &str) -> Self {
        Self { authorization: Some(format!("PVEAPIToken={id}={secret}")), ..Self::default() }
    }
}

/// Does a request change something? A ticket then needs its CSRF token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Intent {
    /// A read: GET.
    Read,
    /// A change: any other method.
    Change,
}

impl Gate {
    /// Finds out who sent a request.
    pub(crate) fn authenticate(
        &self,
        access: &Access,
        sent: &Credentials,
        intent: Intent,
        now_s: u64,
        release: Release,
    ) -> Result<Caller, CallRefused> {
        // The same text for all reasons since early 2026; before, it named the reason.
        let failed = |reason: &str| {
            let told = if release >= Release::parse("9.1.5") { "Authentication failed!" } else { reason };
            CallRefused::Unauthorized(told.to_owned())
        };
        if let Some(token) = sent.authorization.as_deref().and_then(|header| header.strip_prefix("PVEAPIToken=")) {
            return token_caller(access, token).map_err(|reason| failed(&reason));
        }
        let ticket = sent.authorization.as_deref().and_then(|header| header.strip_prefix("PVEAuthCookie="));
        let ticket = match ticket {
            Some(ticket) => percent_decode(ticket),
            None => cookie(sent.cookie.as_deref().unwrap_or_default(), "PVEAuthCookie")
                .ok_or_else(|| CallRefused::Unauthorized("No ticket".to_owned()))?,
        };
        let user =
            self.ticket_user(access, &ticket, now_s).ok_or_else(|| failed("permission denied - invalid PVE ticket"))?;
        let csrf = sent.csrf.as_deref().is_some_and(|token| self.csrf_is_good(token, &user, now_s));
        if intent == Intent::Change && !csrf {
            return Err(CallRefused::Unauthorized("Permission denied - invalid csrf token".to_owned()));
        }
        Ok(Caller { user, token: None })
    }

    /// `POST /access/ticket`: ticket and CSRF token, if the password, or a ticket in its place, is right.
    pub(crate) fn log_in(&self, access: &Access, user: &str, password: &str, now_s: u64) -> Option<(String, String)> {
        let known = access.users.get(user).filter(|known| known.enabled)?;
        if known.password != password && self.ticket_user(access, password, now_s).as_deref() != Some(user) {
            return None;
        }
        let stamp = format!("PVE:{user}:{now_s:08X}");
        let ticket = format!("{stamp}::{}", self.sign(&stamp));
        let made = format!("{now_s:08X}");
        let csrf = format!("{made}:{}", self.sign(&format!("{made}:{user}")).trim_end_matches('='));
        Some((ticket, csrf))
    }

    fn sign(&self, text: &str) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA256, &self.ticket_key);
        base64(hmac::sign(&key, text.as_bytes()).as_ref())
    }

    fn ticket_user(&self, access: &Access, ticket: &str, now_s: u64) -> Option<String> {
        let (stamp, signature) = ticket.split_once("::")?;
        let mut parts = stamp.split(':');
        let (kind, user, made) = (parts.next()?, parts.next()?, parts.next()?);
        let good = kind == "PVE" && self.sign(stamp) == signature && is_fresh(made, now_s);
        (good && access.users.get(user).is_some_and(|known| known.enabled)).then(|| user.to_owned())
    }

    fn csrf_is_good(&self, token: &str, user: &str, now_s: u64) -> bool {
        token.split_once(':').is_some_and(|(made, signature)| {
            self.sign(&format!("{made}:{user}")).trim_end_matches('=') == signature && is_fresh(made, now_s)
        })
    }
}

/// The error is what older releases say.
fn token_caller(access: &Access, header: &str) -> Result<Caller, String> {
    let no_value = || "no value for API token found".to_owned();
    let (id, secret) = header.split_once('=').ok_or_else(no_value)?;
    let (user, name) = id.split_once('!').ok_or_else(no_value)?;
    let enabled = access.users.get(user).is_some_and(|user| user.enabled);
    let token = access.tokens.get(id).filter(|_| enabled);
    let token = token.ok_or_else(|| format!("no such token '{name}' for user '{user}'"))?;
    if token.secret != secret {
        return Err("invalid token value!".to_owned());
    }
    Ok(Caller { user: user.to_owned(), token: Some(name.to_owned()) })
}

fn is_fresh(made: &str, now_s: u64) -> bool {
    u64::from_str_radix(made, 16).is_ok_and(|made| made <= now_s + TICKET_SKEW_S && now_s <= made + TICKET_LIFE_S)
}

fn cookie(header: &str, name: &str) -> Option<String> {
    let mut pairs = header.split(';').filter_map(|pair| pair.trim().split_once('='));
    pairs.find(|(key, _)| *key == name).map(|(_, value)| percent_decode(value))
}

/// Decodes `%2F`; anything that is not such a sequence stays as it is.
pub(crate) fn percent_decode(text: &str) -> String {
    percent_decode_str(text).decode_utf8_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use quorate_world::access::{Token, User};

    const NOW_S: u64 = 1_795_344_000;

    fn new() -> Release {
        Release::parse("9.1.8")
    }

    fn door() -> (Gate, Access) {
        let mut access = Access::default();
        access.users.insert("root@pam".into(), User { password: "secret".into(), enabled: true });
        let token = Token { user: "root@pam".into(), secret: "s".into(), privsep: false };
        access.tokens.insert("root@pam!quorate".into(), token);
        (Gate { ticket_key: [7; 32], ..Gate::default() }, access)
    }

    #[test]
    fn a_ticket_lets_its_user_read_and_needs_the_csrf_token_to_change_something() {
        let (gate, access) = door();
        let (ticket, csrf) = gate.log_in(&access, "root@pam", "secret", NOW_S).unwrap();
        let cookie = ticket.replace(':', "%3A").replace('/', "%2F").replace('+', "%2B").replace('=', "%3D");
        let mut sent = Credentials { cookie: Some(format!("a=b; PVEAuthCookie={cookie}")), ..Credentials::default() };
        let enter = |sent: &Credentials, intent, now_s| gate.authenticate(&access, sent, intent, now_s, new());
        assert_eq!(enter(&sent, Intent::Read, NOW_S + 7200), Ok(Caller::root()));
        assert!(enter(&sent, Intent::Read, NOW_S + 7201).is_err());
        assert!(enter(&sent, Intent::Change, NOW_S).is_err());
        sent.csrf = Some(csrf);
        assert_eq!(enter(&sent, Intent::Change, NOW_S), Ok(Caller::root()));
        assert!(gate.log_in(&access, "root@pam", "wrong", NOW_S).is_none());
        assert!(gate.log_in(&access, "root@pam", &ticket, NOW_S + 3600).is_some(), "a ticket renews itself");
    }

    #[test]
    fn without_credentials_or_with_wrong_ones_nobody_comes_in() {
        let (gate, access) = door();
        let good = Credentials::token("root@pam!quorate", "s");
        let caller = gate.authenticate(&access, &good, Intent::Change, NOW_S, new()).unwrap();
        assert_eq!(caller.auth_id(), "root@pam!quorate");
        let refusal = gate.authenticate(&access, &Credentials::default(), Intent::Read, NOW_S, new()).unwrap_err();
        assert_eq!(refusal, CallRefused::Unauthorized("No ticket".into()));
        for header in ["PVEAPIToken=root@pam!quorate=1", "PVEAPIToken=", "PVEAuthCookie=PVE:root@pam:00000000::AAAA"] {
            let sent = Credentials { authorization: Some(header.into()), ..Credentials::default() };
            let refusal = gate.authenticate(&access, &sent, Intent::Read, NOW_S, new()).unwrap_err();
            assert_eq!(refusal, CallRefused::Unauthorized("Authentication failed!".into()), "{header}");
        }
        let old = gate.authenticate(
            &access,
            &Credentials::token("root@pam!quorate", "1"),
            Intent::Read,
            NOW_S,
            Release::parse("8.4.1"),
        );
        assert_eq!(old, Err(CallRefused::Unauthorized("invalid token value!".into())));
    }
}
