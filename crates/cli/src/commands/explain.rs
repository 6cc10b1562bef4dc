//! `quorate explain ID`: what a check, an invariant, a step or a refusal is for. The text is that of the documentation.

use serde_json::json;

use crate::context::{Context, Format};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::render::page::{Page, print_json};

/// The pages with a section per id; `cargo xtask tidy` sees to it that none is missing.
const PAGES: &[(&str, &str)] = &[
    ("check", include_str!("../../../../docs/checks.md")),
    ("invariant", include_str!("../../../../docs/invariants.md")),
    ("step", include_str!("../../../../docs/steps.md")),
    ("reason for no plan", include_str!("../../../../docs/plan.md")),
];

/// Not an id of anything, but asked for as often.
const EXIT_CODES: &str = "exit-codes";

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The id, as it stands in findings, plans and the log; or `exit-codes`
    id: String,
}

pub(super) fn perform(args: &Args, context: &Context) -> Result<Exit, Failure> {
    if args.id == EXIT_CODES {
        exit_codes(context);
        return Ok(Exit::Ok);
    }
    let found: Vec<(&str, Vec<&str>)> =
        PAGES.iter().filter_map(|(kind, page)| Some((*kind, section(page, &args.id)?))).collect();
    if found.is_empty() {
        return Err(unknown(&args.id));
    }
    for (kind, lines) in found {
        match context.format() {
            Format::Text => {
                let mut page = Page::default();
                page.line(format!("{} ({kind})", args.id));
                lines.iter().for_each(|line| page.line(line));
                page.print();
            }
            Format::Json => print_json(&json!({ "id": args.id, "is": kind, "text": lines.join("\n").trim() })),
        }
    }
    Ok(Exit::Ok)
}

fn exit_codes(context: &Context) {
    let mut page = Page::default();
    for (exit, meaning) in Exit::ALL {
        match context.format() {
            Format::Text => page.line(format!("{:>3}  {meaning}", exit.code())),
            Format::Json => print_json(&json!({ "exit": exit.code(), "meaning": meaning })),
        }
    }
    page.print();
}

/// The id that a heading is about.
fn heading(line: &str) -> Option<&str> {
    line.starts_with('#').then(|| line.trim_matches(['#', ' ', '`']))
}

/// The lines below the heading, up to the next one.
fn section<'a>(page: &'a str, id: &str) -> Option<Vec<&'a str>> {
    let mut lines = page.lines().skip_while(|line| heading(line) != Some(id));
    lines.next()?;
    let lines: Vec<&str> = lines.take_while(|line| heading(line).is_none()).collect();
    let end = lines.iter().rposition(|line| !line.is_empty()).map_or(0, |last| last + 1);
    Some(lines[..end].to_vec())
}

fn unknown(id: &str) -> Failure {
    let ids = PAGES.iter().flat_map(|(_, page)| page.lines().filter_map(heading));
    let ids: Vec<&str> = ids.filter(|id| id.chars().all(|c| c.is_ascii_lowercase() || c == '-')).collect();
    Failure::usage(format!("nothing is called {id}"), &format!("These are: {}.", ids.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_check_and_rule_is_explained() {
        let checks = quorate_core::checks::ALL.iter().map(|check| check.id());
        let rules = quorate_core::invariants::ALL.iter().map(|rule| rule.id());
        for id in checks.chain(rules) {
            let found = PAGES.iter().find_map(|(_, page)| section(page, id));
            let says = |lines: Vec<&str>| lines.iter().any(|line| !line.is_empty());
            assert!(found.is_some_and(says), "`quorate explain {id}` has nothing to say");
        }
    }

    #[test]
    fn a_section_ends_at_the_next_heading() {
        let page = "# Steps\n\n## `migrate`\n\nMoves.\n\nOne guest.\n\n## reboot\nBoots.\n";
        assert_eq!(section(page, "migrate"), Some(vec!["", "Moves.", "", "One guest."]));
        assert_eq!(section(page, "reboot"), Some(vec!["Boots."]));
        assert_eq!(section(page, "moves"), None);
    }
}
