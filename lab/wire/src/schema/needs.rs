//! Who may make a call.

use serde::Deserialize;
use serde_json::Value;

/// Who may make a call.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(from = "Value")]
pub(crate) enum Needs {
    /// Anyone, without a login.
    Nothing,
    /// Any user with a login; lists are filtered by what the caller may see.
    Login,
    /// Literally root@pam, which no token is.
    Root,
    /// These privileges on that path.
    All(String, Vec<String>),
    /// One of these privileges on that path.
    Any(String, Vec<String>),
    /// One of these conditions.
    Or(Vec<Self>),
    /// The caller must be the user that the path names.
    Oneself,
}

impl From<Value> for Needs {
    fn from(value: Value) -> Self {
        let Value::Array(parts) = value else {
            return match value.as_str() {
                Some("world") => Self::Nothing,
                Some("all") => Self::Login,
                _ => Self::Root,
            };
        };
        let words = |value: Option<&Value>| -> Vec<String> {
            let list = value.and_then(Value::as_array).into_iter().flatten();
            list.filter_map(Value::as_str).map(str::to_owned).collect()
        };
        match parts.first().and_then(Value::as_str) {
            Some("or") => Self::Or(parts.into_iter().skip(1).map(Self::from).collect()),
            Some("perm") => {
                let path = parts.get(1).and_then(Value::as_str).unwrap_or("/").to_owned();
                let any = parts.get(3).and_then(Value::as_str) == Some("any");
                let privileges = words(parts.get(2));
                if any { Self::Any(path, privileges) } else { Self::All(path, privileges) }
            }
            Some("userid-param") => Self::Oneself,
            Some("userid-group") => Self::Any("/access/groups".to_owned(), words(parts.get(1))),
            _ => Self::Root,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_schemas_ways_to_say_it_are_read() {
        let all = Needs::All("/".into(), vec!["Sys.Audit".into()]);
        assert_eq!(Needs::from(json!(["perm", "/", ["Sys.Audit"]])), all);
        let any = Needs::Any("/vms/{vmid}".into(), vec!["A".into(), "B".into()]);
        assert_eq!(Needs::from(json!(["perm", "/vms/{vmid}", ["A", "B"], "any", 1])), any);
        assert_eq!(Needs::from(json!(["or", ["perm", "/", ["Sys.Audit"]], ["userid-param", "self"]])), {
            Needs::Or(vec![all, Needs::Oneself])
        });
        assert_eq!([json!("all"), json!("world"), json!("root")].map(Needs::from), {
            [Needs::Login, Needs::Nothing, Needs::Root]
        });
    }
}
