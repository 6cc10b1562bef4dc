//! What is sent to the cluster, as data: a dry run prints it, each transport's interpreter sends it.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::ids::NodeName;

/// HTTP method of an API call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    /// Reads something.
    Get,
    /// Starts or creates.
    Post,
    /// Changes something.
    Put,
    /// Removes something.
    Delete,
}

impl Method {
    /// As it is written in the request line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
        }
    }
}

/// One command, complete.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Command {
    /// A call of the PVE API; any node may serve it.
    Api {
        /// The call's HTTP method.
        method: Method,
        /// Below `/api2/json`: `/nodes/pve1/qemu/101/migrate`.
        path: String,
        /// Parameters in order.
        params: Vec<(String, String)>,
    },
    /// A program on one node, by argument vector; quoting is the transport's business.
    Shell {
        /// The node on which it runs.
        node: NodeName,
        /// Program and arguments.
        argv: Vec<String>,
    },
}

impl Command {
    /// An API call.
    pub fn api(method: Method, path: impl Into<String>, params: &[(&str, &str)]) -> Self {
        let params = params.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        Self::Api { method, path: path.into(), params }
    }

    /// A program on a node.
    pub fn shell(node: &NodeName, argv: &[&str]) -> Self {
        Self::Shell { node: node.clone(), argv: argv.iter().map(|arg| (*arg).to_owned()).collect() }
    }
}

/// Quotes one argument for a POSIX shell: the only place where that is done.
pub fn quote(argument: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=+:,./@%".contains(c);
    if !argument.is_empty() && argument.chars().all(plain) {
        return argument.to_owned();
    }
    format!("'{}'", argument.replace('\'', r"'\''"))
}

/// Quotes a whole argument vector for a POSIX shell.
pub fn quote_all(argv: &[String]) -> String {
    argv.iter().map(|argument| quote(argument)).collect::<Vec<_>>().join(" ")
}

/// As an administrator would type it on a node: `pvesh create …` or the command line after `node#`.
impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Api { method, path, params } => {
                let verb = match method {
                    Method::Get => "get",
                    Method::Post => "create",
                    Method::Put => "set",
                    Method::Delete => "delete",
                };
                write!(f, "pvesh {verb} {}", quote(path))?;
                for (key, value) in params {
                    write!(f, " --{key} {}", quote(value))?;
                }
                Ok(())
            }
            Self::Shell { node, argv } => write!(f, "{node}# {}", quote_all(argv)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_argument_with_a_quote_or_a_newline_stays_one_argument() {
        assert_eq!(quote("vm-101"), "vm-101");
        assert_eq!(quote(""), "''");
        assert_eq!(quote("a'b; reboot\n"), "'a'\\''b; reboot\n'");
    }

    #[test]
    fn an_api_call_prints_as_pvesh() {
        let call = Command::api(Method::Post, "/nodes/pve1/qemu/101/migrate", &[("target", "pve2"), ("online", "1")]);
        assert_eq!(call.to_string(), "pvesh create /nodes/pve1/qemu/101/migrate --target pve2 --online 1");
    }
}
