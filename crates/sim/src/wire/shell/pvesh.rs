//! pvesh: the API from the command line, as root, without the network.

use std::fmt::Write as _;

use serde_json::Value;

use super::pve::with_dashes;
use super::{Output, Shell};
use crate::wire::answer::Refusal;
use crate::wire::api::local;

impl Shell<'_> {
    pub(super) fn pvesh(&mut self, args: &[&str]) -> Output {
        let [verb, path, options @ ..] = args else {
            return Output::fail(255, "ERROR: no command specified\n");
        };
        let method = match *verb {
            "get" | "ls" => "GET",
            "create" => "POST",
            "set" => "PUT",
            "delete" => "DELETE",
            other => return Output::fail(255, format!("ERROR: unknown command 'pvesh {other}'\n")),
        };
        let mut call = with_dashes(options, &[]);
        let format = call.take("output-format").unwrap_or_else(|| "text".to_owned());
        for option in ["human-readable", "noborder", "noheader", "quiet"] {
            call.take(option);
        }
        let node = self.node.clone();
        let path = format!("/{}", path.trim_matches('/'));
        match local(self.wire, self.world, &node, method, &path, call) {
            Ok(data) => Output::ok(printed(&data, &format)),
            Err(refusal) => failed(&refusal, method, &path),
        }
    }
}

fn printed(data: &Value, format: &str) -> String {
    match (format, data) {
        (_, Value::Null) => String::new(),
        ("json", data) => format!("{data}\n"),
        ("json-pretty", data) => format!("{data:#}\n"),
        // A plain word is printed as it is; anything else would be a table with borders.
        (_, Value::String(text)) => format!("{text}\n"),
        (_, data) => format!("{data:#}\n"),
    }
}

fn failed(refusal: &Refusal, method: &str, path: &str) -> Output {
    match refusal {
        Refusal::NotImplemented(_) => {
            let verb = match method {
                "GET" => "get",
                "POST" => "create",
                "PUT" => "set",
                _ => "delete",
            };
            Output::fail(255, format!("No '{verb}' handler defined for '{path}'\n"))
        }
        Refusal::Parameters(errors) => {
            let mut text = String::from("400 Parameter verification failed.\n");
            for (name, error) in errors {
                let _ = writeln!(text, "{name}: {}", error.trim_end());
            }
            Output::fail(255, text)
        }
        other => Output::fail(255, format!("{}\n", other.message())),
    }
}
