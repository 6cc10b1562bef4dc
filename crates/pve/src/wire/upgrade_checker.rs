//! `pve8to9 --full`: the lines of PVE's own upgrade checker.
//!
//! The program colours its output even without a terminal, lets texts run over several lines (also blank ones), may
//! begin a text on the line after its level, and ends with status 0 whatever it found. Only the text counts.

use quorate_core::snapshot::{CheckerLevel, CheckerLine, CheckerReport};

/// The most lines that are accepted; a program that prints more is not the checker.
const MOST_LINES: usize = 5_000;

/// Prefix for a line that has none of the checker's known forms.
const NOT_UNDERSTOOD: &str = "not understood: ";

/// Reads the output of `tool`. It must be recognisable as the checker's: one heading and one line with a level.
pub fn parse(tool: &str, output: &str) -> Result<CheckerReport, String> {
    let mut reading = Reading::default();
    for line in without_colours(output).lines().take(MOST_LINES) {
        reading.take(line.trim_end());
    }
    if reading.lines.iter().all(|line| line.text.starts_with(NOT_UNDERSTOOD)) {
        return Err("it printed no line of a checker".to_owned());
    }
    Ok(CheckerReport { tool: tool.to_owned(), lines: reading.lines, finished: reading.finished })
}

#[derive(Default)]
struct Reading {
    lines: Vec<CheckerLine>,
    section: String,
    /// Does an unmarked line belong to the line before it?
    open: bool,
    finished: bool,
}

impl Reading {
    fn take(&mut self, line: &str) {
        if let Some(heading) = line.strip_prefix("= ").and_then(|rest| rest.strip_suffix(" =")) {
            self.section = heading.to_owned();
            self.open = false;
        } else if self.section == "SUMMARY" {
            self.finished |= line.starts_with("TOTAL:");
        } else if let Some((level, text)) = marked(line) {
            self.lines.push(CheckerLine { level, section: self.section.clone(), text: text.trim().to_owned() });
            self.open = true;
        } else if is_progress(line) {
            self.open = false;
        } else if let Some(last) = self.lines.last_mut().filter(|_| self.open && !line.trim().is_empty()) {
            if !last.text.is_empty() {
                last.text.push(' ');
            }
            last.text.push_str(line.trim());
        } else if !line.trim().is_empty() {
            // Kept and shown: what is not recognised is not dropped.
            let text = format!("{NOT_UNDERSTOOD}{}", line.trim());
            self.lines.push(CheckerLine { level: CheckerLevel::Notice, section: self.section.clone(), text });
        }
    }
}

fn marked(line: &str) -> Option<(CheckerLevel, &str)> {
    let (word, text) = line.split_once(':')?;
    let level = match word {
        "PASS" => CheckerLevel::Pass,
        "INFO" => CheckerLevel::Info,
        "SKIP" => CheckerLevel::Skip,
        "NOTICE" => CheckerLevel::Notice,
        "WARN" => CheckerLevel::Warn,
        "FAIL" => CheckerLevel::Fail,
        _ => return None,
    };
    Some((level, text))
}

/// `Checking totem settings..`: announces what comes next, and belongs to no line.
fn is_progress(line: &str) -> bool {
    line.ends_with("..") && line.starts_with(|letter: char| letter.is_ascii_uppercase())
}

/// Without `ESC [ … letter`. An unterminated sequence is dropped with everything after it.
fn without_colours(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        if letter != '\u{1b}' {
            plain.push(letter);
        } else if letters.next() == Some('[') {
            let _end = letters.by_ref().find(|letter| letter.is_ascii_alphabetic());
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(report: &CheckerReport, level: CheckerLevel) -> usize {
        report.lines.iter().filter(|line| line.level == level).count()
    }

    #[test]
    fn the_genuine_output_is_read_to_its_last_line_and_its_own_summary_agrees() {
        // (recording, passed, skipped, warnings, failures) as its own summary counts them.
        let recordings = [
            (include_str!("../../tests/fixtures/pve91/shell/pve8to9-full.txt"), 40, 6, 3, 2),
            (include_str!("../../tests/fixtures/pve91/more-shell/pve8to9-full-on-8.4.txt"), 35, 6, 4, 0),
        ];
        for (text, passed, skipped, warnings, failures) in recordings {
            let (_, _, output) = crate::recorded::program(text).unwrap();
            let report = parse("pve8to9", &output.stdout).unwrap();
            assert!(report.finished);
            assert_eq!(report.target_major(), Some(9));
            let levels = [CheckerLevel::Pass, CheckerLevel::Skip, CheckerLevel::Warn, CheckerLevel::Fail];
            assert_eq!(levels.map(|level| count(&report, level)), [passed, skipped, warnings, failures]);
            // Every line with a level is found, and none is taken for a continuation of another.
            assert!(report.lines.iter().all(|line| !line.text.is_empty() && !line.section.is_empty()));
            for level in ["PASS: ", "INFO: ", "WARN: ", "FAIL: ", "SKIP: ", "NOTICE: "] {
                assert!(report.lines.iter().all(|line| !line.text.contains(level)), "{level}");
            }
        }
    }

    #[test]
    fn no_line_of_any_recording_is_left_over() {
        let recordings = [
            include_str!("../../tests/fixtures/pve91/shell/pve8to9-full.txt"),
            include_str!("../../tests/fixtures/pve91/more-shell/pve8to9-full-on-8.4.txt"),
            include_str!("../../tests/fixtures/pve91/more-shell/pve8to9-full-no-ceph.txt"),
        ];
        for text in recordings {
            let (_, _, output) = crate::recorded::program(text).unwrap();
            let report = parse("pve8to9", &output.stdout).unwrap();
            assert!(report.finished && report.lines.len() > 40);
            let left: Vec<&CheckerLine> =
                report.lines.iter().filter(|line| line.text.starts_with(NOT_UNDERSTOOD)).collect();
            assert!(left.is_empty(), "{left:#?}");
        }
    }

    #[test]
    fn colours_are_removed_and_continued_lines_are_joined() {
        let text = "= CHECKING X =\n\n\u{1b}[32mPASS: fine\u{1b}[0m\n\u{1b}[1m\u{1b}[31mFAIL: \nIt is\n\n  broken\u{1b}[0m\nChecking more..\nstray\n= SUMMARY =\nTOTAL: 2\n";
        let report = parse("pve8to9", text).unwrap();
        let lines: Vec<(CheckerLevel, &str)> =
            report.lines.iter().map(|line| (line.level, line.text.as_str())).collect();
        let stray = (CheckerLevel::Notice, "not understood: stray");
        assert_eq!(lines, [(CheckerLevel::Pass, "fine"), (CheckerLevel::Fail, "It is broken"), stray]);
    }

    #[test]
    fn a_checker_that_died_before_its_summary_is_not_finished_and_another_program_is_refused() {
        assert!(!parse("pve8to9", "= CHECKING X =\nPASS: fine\n").unwrap().finished);
        assert!(parse("pve8to9", "bash: pve8to9: command not found\n").is_err());
    }

    proptest::proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..400)) {
            let _any = parse("pve8to9", &String::from_utf8_lossy(&bytes));
        }

        #[test]
        fn no_mixture_of_its_own_words_makes_it_panic(
            words in proptest::collection::vec(proptest::sample::select(vec![
                "\u{1b}[", "\u{1b}", "PASS:", "FAIL: ", "= SUMMARY =", "= ", " =", "TOTAL:", "\n", "..", "ü",
            ]), 0..40),
        ) {
            let _any = parse("pve8to9", &words.concat());
        }
    }
}
