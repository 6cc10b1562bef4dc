//! What to do with guests that cannot move while they run: at a terminal the operator is asked, and the answer is
//! written to the configuration; elsewhere the lines to add are printed.

use std::io::{BufRead, IsTerminal};
use std::path::Path;

use quorate_core::checks::{Question, config_line, open_questions};
use quorate_core::ids::GuestId;
use quorate_core::policy::{GuestPolicy, Policy};
use quorate_core::snapshot::Snapshot;
use quorate_journal::files;

use crate::config;
use crate::context::{Context, Format};
use crate::failure::Failure;
use crate::render::page::Page;
use crate::render::units::duration;

/// The table in the configuration for the answers.
const TABLE: &str = "[policy.guests]";

/// Asks every open question. True if there were answers: they are now in the policy, and the plan must be made again.
pub(super) fn ask(snapshot: &Snapshot, policy: &mut Policy, context: &Context) -> Result<bool, Failure> {
    let questions = open_questions(snapshot, policy);
    if questions.is_empty() || context.format() == Format::Json {
        return Ok(false);
    }
    if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        lines_to_add(&questions).print_err();
        return Ok(false);
    }
    let mut answers = Vec::new();
    for (place, question) in questions.iter().enumerate() {
        put(question, place + 1, questions.len()).print_err();
        if let Some(answer) = answer(question, &mut std::io::stdin().lock()) {
            answers.push((question.guest, answer));
        }
    }
    if answers.is_empty() {
        return Ok(false);
    }
    policy.guests.extend(answers.iter().copied());
    let mut page = Page::default();
    let path = context.config_path();
    match write(path, &answers)? {
        Written::Yes => page.line(format!("Written to {}.", path.display())),
        Written::No => {
            page.line(format!("Add this to {} by hand, for the next time:", path.display()));
            in_lines(&answers).iter().for_each(|line| page.line(format!("  {line}")));
        }
    }
    page.print_err();
    Ok(true)
}

/// Without a terminal: every line that would help, to choose from.
fn lines_to_add(questions: &[Question]) -> Page {
    let mut page = Page::default();
    page.line("These guests cannot move while they run. Choose what to do with each, in the configuration:");
    page.line(format!("  {TABLE}"));
    for Question { guest, name, why, choices } in questions {
        page.line(format!("  # {guest} {name}: {why}"));
        for choice in choices {
            page.line(format!(
                "  {}   # {}: {}",
                config_line(*guest, choice.policy),
                down(choice.downtime_s),
                choice.what
            ));
        }
        if choices.is_empty() {
            page.line("  # no policy helps: remove the cause");
        }
    }
    page
}

fn down(seconds: u64) -> String {
    if seconds == 0 { "no downtime".to_owned() } else { format!("down ~{}", duration(seconds)) }
}

/// The choices for one guest, numbered; the last is always to leave it alone.
fn words(question: &Question) -> Vec<(GuestPolicy, String)> {
    let choices = question.choices.iter();
    let offered = choices.map(|choice| (choice.policy, format!("{}: {}", down(choice.downtime_s), choice.what)));
    let refuse = "it is left alone, and the upgrade cannot start while it is on a node to be upgraded".to_owned();
    offered.chain([(GuestPolicy::Refuse, refuse)]).collect()
}

fn put(question: &Question, place: usize, of: usize) -> Page {
    let mut page = Page::default();
    page.gap();
    let Question { guest, name, why, .. } = question;
    page.line(format!("{place} of {of}: {guest} {name} cannot move while it runs: {why}"));
    for (number, (policy, what)) in words(question).iter().enumerate() {
        page.line(format!("  {}  {:<9} {what}", number + 1, policy.word()));
    }
    page.line("Which? Type a number or a word; an empty line leaves it open.");
    page
}

/// The answer; none for an empty line or after three invalid answers.
fn answer(question: &Question, input: &mut dyn BufRead) -> Option<GuestPolicy> {
    let choices = words(question);
    for _ in 0..3 {
        let mut line = String::new();
        if !matches!(input.read_line(&mut line), Ok(1..)) || line.trim().is_empty() {
            return None;
        }
        let said = line.trim();
        let by_number = said.parse::<usize>().ok().and_then(|number| choices.get(number.checked_sub(1)?));
        let chosen = by_number.or_else(|| choices.iter().find(|(policy, _)| policy.word() == said));
        if let Some((policy, _)) = chosen {
            return Some(*policy);
        }
        let mut page = Page::default();
        page.line(format!("{said:?} is not one of these: a number from 1 to {}, or a word.", choices.len()));
        page.print_err();
    }
    None
}

fn in_lines(answers: &[(GuestId, GuestPolicy)]) -> Vec<String> {
    answers.iter().map(|(guest, policy)| config_line(*guest, *policy)).collect()
}

/// Were the answers written to the file?
#[derive(Debug, PartialEq, Eq)]
enum Written {
    Yes,
    No,
}

/// Adds the lines to the file and changes nothing else in it. A file that cannot take them is left as it is.
fn write(path: &Path, answers: &[(GuestId, GuestPolicy)]) -> Result<Written, Failure> {
    let Ok(text) = std::fs::read_to_string(path) else { return Ok(Written::No) };
    let Some(new) = with_lines(&text, &in_lines(answers)) else { return Ok(Written::No) };
    if config::parse(path, &new).is_err() {
        return Ok(Written::No);
    }
    let next = "The file was not changed. Add the lines by hand.";
    // The file itself, even if it is named by a link.
    path.canonicalize()
        .and_then(|path| files::replace(&path, &new))
        .map_err(|error| Failure::usage(format!("{} cannot be written: {error}", path.display()), next))?;
    Ok(Written::Yes)
}

/// The text with these lines in its table of guests; none if the file has that as an inline table, `guests = {…}`.
fn with_lines(text: &str, lines: &[String]) -> Option<String> {
    let file: toml::Table = toml::from_str(text).ok()?;
    let has_guests = file.get("policy").and_then(|policy| policy.get("guests")).is_some();
    let header = text.lines().position(|line| line.trim() == TABLE);
    let block = lines.join("\n");
    match header {
        Some(at) => {
            let mut all: Vec<&str> = text.lines().collect();
            all.insert(at + 1, &block);
            Some(all.join("\n") + "\n")
        }
        None if has_guests => None,
        None => Some(format!("{}\n\n{TABLE}\n{block}\n", text.trim_end())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quorate_core::checks::Choice;

    fn question() -> Question {
        let choice = |policy, downtime_s| Choice { policy, downtime_s, what: "…".to_owned() };
        let choices = vec![choice(GuestPolicy::Offline, 79), choice(GuestPolicy::Shutdown, 470)];
        let (name, why) = ("telephony".to_owned(), "hostpci0".to_owned());
        Question { guest: GuestId::vm(116), name, why, choices }
    }

    #[test]
    fn an_answer_is_a_number_or_a_word_and_nonsense_is_asked_again() {
        let said = |text: &str| answer(&question(), &mut text.as_bytes());
        assert_eq!(said("1\n"), Some(GuestPolicy::Offline));
        assert_eq!(said("what?\n9\nshutdown\n"), Some(GuestPolicy::Shutdown));
        assert_eq!(said("3\n"), Some(GuestPolicy::Refuse));
        assert_eq!(said("\n"), None);
        assert_eq!(said("0\n-1\neject\n1\n"), None, "three times is enough");
    }

    #[test]
    fn the_lines_are_added_to_the_table_of_guests_and_nothing_else_changes() {
        let lines = ["\"vm:116\" = \"offline\"".to_owned()];
        let appended = with_lines("[policy]\nfirst = []\n", &lines).unwrap();
        assert_eq!(appended, "[policy]\nfirst = []\n\n[policy.guests]\n\"vm:116\" = \"offline\"\n");
        let file = "# mine\n[policy.guests]\n\"vm:1\" = \"eject\"\n\n[journal]\n";
        let inserted = with_lines(file, &lines).unwrap();
        assert_eq!(inserted, "# mine\n[policy.guests]\n\"vm:116\" = \"offline\"\n\"vm:1\" = \"eject\"\n\n[journal]\n");
        assert_eq!(with_lines("[policy]\nguests = { \"vm:1\" = \"eject\" }\n", &lines), None);
    }

    #[test]
    fn without_a_terminal_every_choice_is_a_line_with_its_downtime() {
        let text = lines_to_add(&[question()]).as_str().to_owned();
        assert!(text.contains("\"vm:116\" = \"offline\"   # down ~1 min 19 s"), "{text}");
        assert!(text.contains("# vm:116 telephony: hostpci0"), "{text}");
    }
}
