//! `quorate explain ID`: explains a check, a safety rule, a step or a reason for no plan. Checks and rules contain
//! their own texts; those of steps and reasons are sections of the documentation.

use quorate_core::checks;
use quorate_core::invariants::{self, RuleId};
use quorate_core::text::wrapped;
use serde_json::json;

use crate::context::{Context, Format};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::render::page::{Page, print_json};

/// The hand-written pages with a section per id; `cargo xtask tidy` checks that none is missing.
const PAGES: &[(&str, &str)] = &[
    ("step", include_str!("../../../../docs/steps.md")),
    ("reason for no plan", include_str!("../../../../docs/plan.md")),
];

/// Fits a terminal of usual width.
const WIDTH: usize = 100;

/// Not the id of anything, but just as useful to look up.
const EXIT_CODES: &str = "exit-codes";

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The id, as shown in findings, plans and the log; or `exit-codes`
    id: String,
}

pub(super) fn perform(args: &Args, context: &Context) -> Result<Exit, Failure> {
    if args.id == EXIT_CODES {
        exit_codes(context);
        return Ok(Exit::Ok);
    }
    let found = texts(&args.id);
    if found.is_empty() {
        return Err(unknown(&args.id));
    }
    for (kind, text) in found {
        match context.format() {
            Format::Text => {
                let mut page = Page::default();
                page.line(format!("{} ({kind})", args.id));
                page.gap();
                text.lines().for_each(|line| page.line(line));
                page.print();
            }
            Format::Json => print_json(&json!({ "id": args.id, "is": kind, "text": text })),
        }
    }
    Ok(Exit::Ok)
}

/// The texts for an id, with what kind of thing it is. `disk-space/root-full` is explained with its check.
fn texts(id: &str) -> Vec<(&'static str, String)> {
    let (id, _) = id.split_once('/').unwrap_or((id, ""));
    let check = checks::by_id(id).map(|check| ("check", paragraphs(&check.paragraphs())));
    let rule = id.parse::<RuleId>().ok().map(|rule| ("invariant", paragraphs(&rule.paragraphs())));
    let sections =
        PAGES.iter().filter_map(|(kind, page)| Some((*kind, section(page, id)?.join("\n").trim().to_owned())));
    check.into_iter().chain(rule).chain(sections).collect()
}

fn paragraphs(texts: &[String]) -> String {
    texts.iter().map(|text| wrapped(text, WIDTH).join("\n")).collect::<Vec<_>>().join("\n\n")
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

/// The id in a heading.
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
    let checks = checks::ALL.iter().map(|check| check.id).chain(invariants::ALL.iter().map(|rule| rule.id()));
    let headings = PAGES.iter().flat_map(|(_, page)| page.lines().filter_map(heading));
    let ids = checks.chain(headings).filter(|id| id.chars().all(|c| c.is_ascii_lowercase() || c == '-'));
    let ids: Vec<&str> = ids.collect();
    Failure::usage(format!("there is no check, rule or step called {id}"), &format!("Known ids: {}.", ids.join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_check_and_rule_is_explained_by_its_own_text() {
        let ids = checks::ALL.iter().map(|check| check.id).chain(invariants::ALL.iter().map(|rule| rule.id()));
        for id in ids {
            let [(_, text)] = &texts(id)[..] else { panic!("{id} does not have exactly one text") };
            assert!(text.len() > 100 && text.lines().all(|line| line.chars().count() <= WIDTH), "{text}");
        }
        assert_eq!(texts("disk-space/root-full"), texts("disk-space"));
        assert_eq!(texts("plan-immovable")[0].0, "reason for no plan");
        assert_eq!(texts("reboot")[0].0, "step");
    }

    #[test]
    fn a_section_ends_at_the_next_heading() {
        let page = "# Steps\n\n## `migrate`\n\nMoves.\n\nOne guest.\n\n## reboot\nBoots.\n";
        assert_eq!(section(page, "migrate"), Some(vec!["", "Moves.", "", "One guest."]));
        assert_eq!(section(page, "reboot"), Some(vec!["Boots."]));
        assert_eq!(section(page, "moves"), None);
    }
}
