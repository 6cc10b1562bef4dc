//! Secrets that this process has read, and a text without them.
//!
//! A package's output, an error of PVE or a log of SSH may repeat what it was told; what comes from outside is kept in
//! the journal, shown, and written to logs. So every transport cleans what it has received before it hands it on, and
//! the log before it is written. A secret belongs to the process and not to one connection: the log is opened before
//! the configuration is read.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{PoisonError, RwLock};

use serde_json::Value;

use crate::ports::{ApiData, ApiError, ShellError, ShellOutput};

/// What stands in the place of a secret.
const HIDDEN: &str = "(secret)";

/// A shorter secret would match ordinary words; PVE's secrets are UUIDs.
const HIDDEN_FROM: usize = 8;

/// Secrets, each in every form in which it may come back.
#[derive(Default)]
pub struct Secrets {
    /// Forms by their first byte.
    forms: RwLock<BTreeMap<u8, BTreeSet<Vec<u8>>>>,
}

impl Secrets {
    /// None yet.
    pub const fn new() -> Self {
        Self { forms: RwLock::new(BTreeMap::new()) }
    }

    /// Those that this process has read.
    pub fn of_this_process() -> &'static Self {
        static READ: Secrets = Secrets::new();
        &READ
    }

    /// From now on each line of this text is a secret.
    pub fn learn(&self, text: &str) {
        let lines = text.lines().map(str::trim);
        // `-----BEGIN OPENSSH PRIVATE KEY-----` is none.
        let secret = lines.filter(|line| line.len() >= HIDDEN_FROM && !line.starts_with("-----"));
        let mut known = self.forms.write().unwrap_or_else(PoisonError::into_inner);
        for form in secret.flat_map(forms) {
            known.entry(form[0]).or_default().insert(form);
        }
    }

    /// The text with each secret in it replaced: as it is, URL-encoded as a whole or in part, in base64 whatever stands
    /// before it, and broken into lines.
    pub fn clean<'a>(&self, text: &'a str) -> Cow<'a, str> {
        let known = self.forms.read().unwrap_or_else(PoisonError::into_inner);
        if known.is_empty() {
            return Cow::Borrowed(text);
        }
        let (bytes, mut cleaned, mut kept, mut at) = (text.as_bytes(), String::new(), 0, 0);
        while at < bytes.len() {
            let rest = &bytes[at..];
            let possible = [rest[0], unit(rest).0].into_iter().filter_map(|first| known.get(&first)).flatten();
            let Some(length) = possible.filter_map(|form| found(rest, form)).max() else {
                at += 1;
                continue;
            };
            // A form begins and ends where a character does.
            cleaned.push_str(&text[kept..at]);
            cleaned.push_str(HIDDEN);
            at += length;
            kept = at;
        }
        if kept == 0 {
            return Cow::Borrowed(text);
        }
        cleaned.push_str(&text[kept..]);
        Cow::Owned(cleaned)
    }

    fn cleaned(&self, text: String) -> String {
        match self.clean(&text) {
            Cow::Borrowed(_) => text,
            Cow::Owned(cleaned) => cleaned,
        }
    }

    /// What the API answered.
    pub(super) fn clean_api(&self, result: Result<ApiData, ApiError>) -> Result<ApiData, ApiError> {
        let text = |text: String| self.cleaned(text);
        result.map(|data| self.clean_json(data)).map_err(|error| match error {
            ApiError::Unreachable(reason) => ApiError::Unreachable(text(reason)),
            ApiError::Fingerprint { .. } | ApiError::Expired { .. } => error,
            ApiError::Unauthorized { node, reason } => ApiError::Unauthorized { node, reason: text(reason) },
            ApiError::Forbidden { reason } => ApiError::Forbidden { reason: text(reason) },
            ApiError::Refused { status, reason, errors } => {
                let errors = errors.into_iter().map(text).collect();
                ApiError::Refused { status, reason: text(reason), errors }
            }
            ApiError::InDoubt { node, reason } => ApiError::InDoubt { node, reason: text(reason) },
        })
    }

    /// What a program printed.
    pub(super) fn clean_shell(&self, result: Result<ShellOutput, ShellError>) -> Result<ShellOutput, ShellError> {
        let text = |text: String| self.cleaned(text);
        let clean = |output: ShellOutput| ShellOutput {
            exit: output.exit,
            stdout: text(output.stdout),
            stderr: text(output.stderr),
        };
        result.map(clean).map_err(|error| match error {
            ShellError::Unreachable { node, reason } => ShellError::Unreachable { node, reason: text(reason) },
            ShellError::Unauthorized { node, reason } => ShellError::Unauthorized { node, reason: text(reason) },
            ShellError::InDoubt { node, reason } => ShellError::InDoubt { node, reason: text(reason) },
            ShellError::HostKey { .. } | ShellError::TooLong { .. } => error,
        })
    }

    fn clean_json(&self, value: Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.cleaned(text)),
            Value::Array(values) => values.into_iter().map(|value| self.clean_json(value)).collect(),
            Value::Object(map) => {
                map.into_iter().map(|(key, value)| (self.cleaned(key), self.clean_json(value))).collect()
            }
            other => other,
        }
    }
}

/// As it is, and as it is in base64: a third of a secret's bytes each begin a group of four letters there, so what
/// stands before it decides which of three texts it becomes. Letters that it shares with its neighbours are left out.
fn forms(secret: &str) -> Vec<Vec<u8>> {
    let mut forms = vec![secret.as_bytes().to_vec()];
    for before in 0..3 {
        let bytes: Vec<u8> = std::iter::repeat_n(0, before).chain(secret.bytes()).collect();
        let letters = &base64(&bytes)[(before * 8).div_ceil(6)..bytes.len() * 8 / 6];
        let for_urls = letters.iter().map(|letter| match letter {
            b'+' => b'-',
            b'/' => b'_',
            other => *other,
        });
        forms.push(for_urls.collect());
        forms.push(letters.to_vec());
    }
    forms
}

/// Six bits a letter, without padding.
fn base64(bytes: &[u8]) -> Vec<u8> {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bit = |at: usize| bytes.get(at / 8).map_or(0, |byte| usize::from(byte >> (7 - at % 8) & 1));
    let letter = |at: usize| LETTERS[(at * 6..at * 6 + 6).fold(0, |letter, at| letter << 1 | bit(at))];
    (0..(bytes.len() * 8).div_ceil(6)).map(letter).collect()
}

/// Does the text begin with this form? Then how much of the text it is.
fn found(text: &[u8], form: &[u8]) -> Option<usize> {
    let (mut at, mut done) = (0, 0);
    while done < form.len() {
        let rest = text.get(at..).filter(|rest| !rest.is_empty())?;
        let (meant, width) = unit(rest);
        if meant == form[done] {
            (at, done) = (at + width, done + 1);
        } else if rest[0] == form[done] {
            (at, done) = (at + 1, done + 1);
        } else if done > 0 && matches!(meant, b'\n' | b'\r') {
            at += width;
        } else {
            return None;
        }
    }
    Some(at)
}

/// The first byte of what is meant, `%2F` for a slash, and its width. The text is not empty.
fn unit(text: &[u8]) -> (u8, usize) {
    let digit = |at: usize| text.get(at).and_then(|byte| char::from(*byte).to_digit(16));
    match (text[0], digit(1), digit(2)) {
        (b'%', Some(high), Some(low)) => (u8::try_from(high * 16 + low).unwrap_or(b'%'), 3),
        (byte, ..) => (byte, 1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "01234567-89ab-cdef-0123-456789abcdef";

    fn knowing(secret: &str) -> Secrets {
        let secrets = Secrets::new();
        secrets.learn(secret);
        secrets
    }

    #[test]
    fn a_secret_is_found_as_it_is_and_url_encoded_and_across_lines() {
        let secrets = knowing(TOKEN);
        let all: String = TOKEN.bytes().map(|byte| format!("%{byte:02x}")).collect();
        let (one, other) = TOKEN.split_at(20);
        for text in [TOKEN, &TOKEN.replace('-', "%2D"), &all, &format!("{one}\r\n{other}")] {
            assert_eq!(secrets.clean(&format!("é {text}, 100%")), "é (secret), 100%");
        }
        for harmless in ["01234567-89ab", "%", "%2", "", "%30%31 percent", "x\n"] {
            assert!(matches!(secrets.clean(harmless), Cow::Borrowed(_)), "{harmless}");
        }
    }

    #[test]
    fn a_secret_in_base64_is_found_at_every_place() {
        for secret in [TOKEN, "ÿÿÿ>>>???~~~ûûû"] {
            let secrets = knowing(secret);
            for before in ["", "a", "ab", "abc", "PVEAPIToken=root@pam!x="] {
                for after in ["", "\n", "ab", "abc"] {
                    let text = String::from_utf8(base64(format!("{before}{secret}{after}").as_bytes())).unwrap();
                    for text in [text.replace('+', "-").replace('/', "_"), text.replace('+', "%2B"), text] {
                        let cleaned = secrets.clean(&text);
                        // What is left of the secret is less than a byte at each end.
                        let left = cleaned.len() - HIDDEN.len();
                        let others = (before.len() * 8).div_ceil(6) + (after.len() * 8).div_ceil(6) + 3;
                        assert!(cleaned.contains(HIDDEN) && left <= others, "{text} gives {cleaned}");
                    }
                }
            }
        }
        assert_eq!(base64(b"Man"), b"TWFu");
        assert_eq!(base64(b"Ma"), b"TWE");
    }

    #[test]
    fn each_line_of_a_key_is_a_secret_and_its_frame_is_none() {
        let secrets = knowing("-----BEGIN OPENSSH PRIVATE KEY-----\nb3BlbnNzaC1rZXkt\nQUJDREVGR0g=\n-----END-----\n");
        assert_eq!(
            secrets.clean("x QUJDREVGR0g= -----BEGIN OPENSSH PRIVATE KEY-----"),
            "x (secret) -----BEGIN OPENSSH PRIVATE KEY-----"
        );
        assert_eq!(knowing("run").clean("no run"), "no run", "a word is not a secret");
    }

    #[test]
    fn nothing_that_a_transport_hands_on_holds_a_secret() {
        let secrets = knowing(TOKEN);
        let text = || format!("so {TOKEN}");
        let (mut api, mut shell) = (Vec::new(), Vec::new());
        let mut map = serde_json::Map::new();
        map.insert(text(), Value::Array(vec![Value::String(text()), 1.into()]));
        api.push(Ok(Value::Object(map)));
        api.push(Err(ApiError::Unreachable(text())));
        api.push(Err(ApiError::Unauthorized { node: "a".into(), reason: text() }));
        api.push(Err(ApiError::Forbidden { reason: text() }));
        api.push(Err(ApiError::Refused { status: 500, reason: text(), errors: vec![text()] }));
        api.push(Err(ApiError::InDoubt { node: "a".into(), reason: text() }));
        shell.push(Ok(ShellOutput { exit: crate::ports::Exit::Status(0), stdout: text(), stderr: text() }));
        shell.push(Err(ShellError::Unreachable { node: "a".into(), reason: text() }));
        shell.push(Err(ShellError::Unauthorized { node: "a".into(), reason: text() }));
        shell.push(Err(ShellError::InDoubt { node: "a".into(), reason: text() }));
        let all = api.into_iter().map(|one| format!("{:?}", secrets.clean_api(one)));
        for shown in all.chain(shell.into_iter().map(|one| format!("{:?}", secrets.clean_shell(one)))) {
            assert!(shown.contains("so (secret)") && !shown.contains(TOKEN), "{shown}");
        }
    }
}
