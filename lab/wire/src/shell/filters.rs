//! The few filters that a person puts after a command: grep, head, tail, wc, sort, uniq.

use super::{Options, Output, Shell};

impl Shell<'_> {
    pub(super) fn filter(&mut self, name: &str, args: &[&str]) -> Option<Output> {
        let lines: Vec<&str> = self.stdin.lines().collect();
        Some(match name {
            "head" | "tail" => {
                let options = Options::parse(args, &["-n"]);
                let bare = args.iter().find_map(|arg| arg.strip_prefix('-')?.parse().ok());
                let count = options.value(&["-n"]).and_then(|count| count.parse().ok()).or(bare).unwrap_or(10);
                match name {
                    "head" => text(lines.into_iter().take(count)),
                    _ => text(lines.iter().skip(lines.len().saturating_sub(count)).copied()),
                }
            }
            "wc" if args.contains(&"-l") => Output::ok(format!("{}\n", lines.len())),
            "wc" => {
                let words = self.stdin.split_whitespace().count();
                Output::ok(format!("{:7} {words:7} {:7}\n", lines.len(), self.stdin.len()))
            }
            "grep" => grep(&lines, args),
            "sort" => {
                let mut lines = lines;
                lines.sort_unstable();
                if args.contains(&"-u") {
                    lines.dedup();
                }
                text(lines.into_iter())
            }
            "uniq" => {
                let mut lines = lines;
                lines.dedup();
                text(lines.into_iter())
            }
            _ => return None,
        })
    }
}

fn text<'a>(lines: impl Iterator<Item = &'a str>) -> Output {
    Output::ok(lines.map(|line| format!("{line}\n")).collect::<String>())
}

/// Plain words only, with `^` in front: no other pattern is understood.
fn grep(lines: &[&str], args: &[&str]) -> Output {
    let options = Options::parse(args, &["-e"]);
    let flag = |flag: char| options.given.iter().any(|(name, _)| !name.starts_with("--") && name.contains(flag));
    let pattern = options.value(&["-e"]).or(options.rest.first().copied()).unwrap_or_default();
    let pattern = if flag('i') { pattern.to_lowercase() } else { pattern.to_owned() };
    let fits = |line: &str| {
        let line = if flag('i') { line.to_lowercase() } else { line.to_owned() };
        let found = match pattern.strip_prefix('^') {
            Some(start) => line.starts_with(start),
            None => line.contains(&pattern),
        };
        found != flag('v')
    };
    let found: Vec<&str> = lines.iter().copied().filter(|line| fits(line)).collect();
    let status = i32::from(found.is_empty());
    let output = match (flag('c'), flag('q')) {
        (_, true) => Output::default(),
        (true, _) => Output::ok(format!("{}\n", found.len())),
        _ => text(found.into_iter()),
    };
    Output { status, ..output }
}
