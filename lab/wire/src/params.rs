//! Parameters of API calls, read from query, form or JSON. Which values are allowed is up to the schema.
//!
//! A key that occurs more than once, or an array in JSON, becomes one text with commas: PVE reads such lists alike.

use std::collections::BTreeMap;

use serde_json::Value;

use super::access::percent_decode;
use super::answer::CallRefused;
use super::request::ApiRequest;
use super::schema::boolean;

/// Parameters by name, as text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Args(BTreeMap<String, String>);

impl Args {
    /// Parameters from pairs of name and value.
    pub(crate) fn from_pairs<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        Self(pairs.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect())
    }

    /// What a request sends: the query of GET and DELETE, the body of POST and PUT.
    pub(crate) fn of(request: &ApiRequest) -> Result<Self, CallRefused> {
        let mut args = Self::from_form(&request.query);
        let is_json = request.content_type.as_deref().is_some_and(|kind| kind.starts_with("application/json"));
        if is_json && !request.body.is_empty() {
            let body: Value = serde_json::from_slice(&request.body)
                .map_err(|error| CallRefused::failed(format!("invalid json: {error}")))?;
            for (key, value) in body.as_object().into_iter().flatten() {
                args.0.insert(key.clone(), plain(value));
            }
        } else {
            args.0.extend(Self::from_form(&String::from_utf8_lossy(&request.body)).0);
        }
        Ok(args)
    }

    fn from_form(form: &str) -> Self {
        let mut args = Self::default();
        for pair in form.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let value = form_decode(value);
            let all = args.0.entry(form_decode(key)).and_modify(|all| *all = format!("{all},{value}"));
            all.or_insert(value);
        }
        args
    }

    /// A parameter's text.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// A parameter that the schema requires.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.get(name).unwrap_or_default()
    }

    /// The value of a switch; left out means off.
    pub(crate) fn is_on(&self, name: &str) -> bool {
        self.get(name).and_then(boolean) == Some(true)
    }

    /// The value of a switch, if it was given.
    pub(crate) fn switch(&self, name: &str) -> Option<bool> {
        self.get(name).and_then(boolean)
    }

    /// A parameter as a number.
    pub(crate) fn number(&self, name: &str) -> Option<u64> {
        self.get(name)?.parse().ok()
    }

    /// Adds a parameter from the path.
    pub(crate) fn insert(&mut self, name: &str, value: &str) {
        self.0.insert(name.to_owned(), value.to_owned());
    }

    /// Removes a parameter.
    pub(crate) fn take(&mut self, name: &str) -> Option<String> {
        self.0.remove(name)
    }

    /// All parameters, in order of their names.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> + Clone {
        self.0.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Bool(on) => u8::from(*on).to_string(),
        Value::Null => String::new(),
        Value::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join(","),
        other => other.to_string(),
    }
}

fn form_decode(text: &str) -> String {
    percent_decode(&text.replace('+', " "))
}

/// `--online 1 --with-local-disks`, one or two dashes; a switch without a value is on.
pub(crate) fn with_dashes(options: &[&str], more: &[(&str, &str)]) -> Args {
    let mut args = Args::from_pairs(more.iter().copied());
    let mut at = 0;
    while let Some(option) = options.get(at) {
        let name = option.trim_start_matches('-');
        if let Some((name, value)) = name.split_once('=') {
            args.insert(name, value);
        } else {
            match options.get(at + 1).filter(|value| !value.starts_with('-')) {
                Some(value) => {
                    args.insert(name, value);
                    at += 1;
                }
                None => args.insert(name, "1"),
            }
        }
        at += 1;
    }
    args
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn form_and_json_bodies_say_the_same() {
        let mut request = ApiRequest {
            asked: NodeName::from("pve1"),
            method: "POST".into(),
            path: "/x".into(),
            query: String::new(),
            body: b"ide2=none%2Cmedia%3Dcdrom&name=a+b&online=1".to_vec(),
            content_type: Some("application/x-www-form-urlencoded".into()),
            credentials: Default::default(),
        };
        let form = Args::of(&request).unwrap();
        request.body = br#"{"ide2":"none,media=cdrom","name":"a b","online":true}"#.to_vec();
        request.content_type = Some("application/json".into());
        assert_eq!(Args::of(&request).unwrap(), form);
        assert_eq!(form.text("name"), "a b");
    }

    use quorate_core::ids::NodeName;
}
