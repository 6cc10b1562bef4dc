//! pvesh: the API from the command line, as root, without the network.

use std::fmt::Write as _;

use serde_json::Value;

use super::{Output, Shell};
use crate::answer::CallRefused;
use crate::api::{children, local};
use crate::params::with_dashes;
use crate::release;

impl Shell<'_> {
    pub(super) fn pvesh(&mut self, args: &[&str]) -> Output {
        let [verb, path, options @ ..] = args else {
            return Output::fail(255, "ERROR: no command specified\n");
        };
        let method = match *verb {
            "ls" => return self.pvesh_ls(path),
            "get" => "GET",
            "create" => "POST",
            "set" => "PUT",
            "delete" => "DELETE",
            other => return Output::fail(255, format!("ERROR: unknown command 'pvesh {other}'\n")),
        };
        let mut call = with_dashes(options, &[]);
        let format = call.take("output-format").unwrap_or_else(|| "text".to_owned());
        if !["text", "json", "json-pretty", "yaml"].contains(&format.as_str()) {
            let words = "text, json, json-pretty, yaml";
            let text = format!("value '{format}' does not have a value in the enumeration '{words}'");
            return Output::fail(255, format!("400 Parameter verification failed.\noutput-format: {text}\n"));
        }
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

impl Shell<'_> {
    /// What is below a path, and which verbs each entry has: `Drwc`.
    fn pvesh_ls(&mut self, path: &str) -> Output {
        let path = format!("/{}", path.trim_matches('/'));
        match children(&path, release(self.here())) {
            Some(lines) => Output::ok(lines.concat()),
            None => Output::fail(255, format!("No 'ls' handler defined for '{path}'\n")),
        }
    }
}

fn printed(data: &Value, format: &str) -> String {
    match (format, data) {
        (_, Value::Null) => String::new(),
        ("json", data) => format!("{data}\n"),
        ("json-pretty", data) => format!("{}\n", pretty(data, 0)),
        ("yaml", data) => format!("---\n{}", yaml(data, 0)),
        // A plain word is printed as it is.
        (_, Value::String(text)) => format!("{text}\n"),
        (_, data @ (Value::Array(_) | Value::Object(_))) => table(data),
        (_, data) => format!("{data}\n"),
    }
}

/// Three blanks for each level, and a blank before the colon: Perl's way.
fn pretty(data: &Value, depth: usize) -> String {
    let (outer, inner) = ("   ".repeat(depth), "   ".repeat(depth + 1));
    match data {
        Value::Array(items) if !items.is_empty() => {
            let items: Vec<_> = items.iter().map(|item| format!("{inner}{}", pretty(item, depth + 1))).collect();
            format!("[\n{}\n{outer}]", items.join(",\n"))
        }
        Value::Object(keys) if !keys.is_empty() => {
            let keys = keys
                .iter()
                .map(|(key, value)| format!("{inner}{} : {}", Value::from(key.as_str()), pretty(value, depth + 1)));
            format!("{{\n{}\n{outer}}}", keys.collect::<Vec<_>>().join(",\n"))
        }
        other => other.to_string(),
    }
}

fn yaml(data: &Value, depth: usize) -> String {
    let indent = "  ".repeat(depth);
    let inside = |value: &Value| match value {
        Value::Array(items) if items.is_empty() => " []\n".to_owned(),
        Value::Object(keys) if keys.is_empty() => " {}\n".to_owned(),
        Value::Array(_) | Value::Object(_) => format!("\n{}", yaml(value, depth + 1)),
        plain => format!(" {}\n", cell(plain)),
    };
    match data {
        Value::Array(items) => items.iter().map(|item| format!("{indent}-{}", inside(item))).collect(),
        Value::Object(keys) => keys.iter().map(|(key, value)| format!("{indent}{key}:{}", inside(value))).collect(),
        plain => format!("{indent}{}\n", cell(plain)),
    }
}

fn cell(value: &Value) -> String {
    value.as_str().map_or_else(|| if value.is_null() { String::new() } else { value.to_string() }, str::to_owned)
}

/// With borders; an object is shown as rows of key and value.
pub(super) fn table(data: &Value) -> String {
    let (columns, rows): (Vec<String>, Vec<Vec<String>>) = match data {
        Value::Array(items) => {
            let mut columns: Vec<String> =
                items.iter().filter_map(Value::as_object).flat_map(|item| item.keys().cloned()).collect();
            columns.sort();
            columns.dedup();
            let rows =
                items.iter().map(|item| columns.iter().map(|column| cell(&item[column.as_str()])).collect()).collect();
            (columns, rows)
        }
        Value::Object(keys) => {
            let rows = keys.iter().map(|(key, value)| vec![key.clone(), cell(value)]).collect();
            (vec!["key".to_owned(), "value".to_owned()], rows)
        }
        plain => return format!("{}\n", cell(plain)),
    };
    let width = |at: usize| {
        let cells = rows.iter().map(|row: &Vec<String>| row[at].chars().count());
        cells.chain([columns[at].chars().count()]).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns.len()).map(width).collect();
    let rule = |left: char, fill: char, middle: char, right: char| {
        let parts: Vec<String> = widths.iter().map(|width| fill.to_string().repeat(width + 2)).collect();
        format!("{left}{}{right}\n", parts.join(&middle.to_string()))
    };
    let line = |cells: &[String]| {
        let padded = |(cell, width): (&String, &usize)| {
            format!(" {cell}{} ", " ".repeat(width.saturating_sub(cell.chars().count())))
        };
        let cells: Vec<String> = cells.iter().zip(&widths).map(padded).collect();
        format!("│{}│\n", cells.join("│"))
    };
    let mut text = rule('┌', '─', '┬', '┐') + &line(&columns) + &rule('╞', '═', '╪', '╡');
    for (at, row) in rows.iter().enumerate() {
        if at > 0 {
            text += &rule('├', '─', '┼', '┤');
        }
        text += &line(row);
    }
    text + &rule('└', '─', '┴', '┘')
}

fn failed(refusal: &CallRefused, method: &str, path: &str) -> Output {
    match refusal {
        CallRefused::NotImplemented(_) => {
            let verb = match method {
                "GET" => "get",
                "POST" => "create",
                "PUT" => "set",
                _ => "delete",
            };
            Output::fail(255, format!("No '{verb}' handler defined for '{path}'\n"))
        }
        CallRefused::Parameters(errors) => {
            let mut text = String::from("400 Parameter verification failed.\n");
            for (name, error) in errors {
                let _ = writeln!(text, "{name}: {}", error.trim_end());
            }
            Output::fail(255, text)
        }
        other => Output::fail(255, format!("{}\n", other.message())),
    }
}
