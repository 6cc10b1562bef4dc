//! The report of an upgrade checker: lines with a level and its colour, and the summary that counts them.

use std::fmt::Write as _;

/// Severity of a line.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Level {
    Pass,
    Info,
    Skip,
    Notice,
    Warn,
    Fail,
}

impl Level {
    /// By its word; anything else is for information.
    pub(super) fn of(word: &str) -> Self {
        let all = [Self::Pass, Self::Skip, Self::Notice, Self::Warn, Self::Fail];
        all.into_iter().find(|level| level.word() == word).unwrap_or(Self::Info)
    }

    fn word(self) -> &'static str {
        match self {
            Self::Pass => "PASS",
            Self::Info => "INFO",
            Self::Skip => "SKIP",
            Self::Notice => "NOTICE",
            Self::Warn => "WARN",
            Self::Fail => "FAIL",
        }
    }

    fn colour(self) -> &'static str {
        match self {
            Self::Pass => "\x1b[32m",
            Self::Notice => "\x1b[1m",
            Self::Warn => "\x1b[33m",
            Self::Fail => "\x1b[1;31m",
            Self::Info | Self::Skip => "",
        }
    }
}

pub(super) struct Report {
    text: String,
    /// A report without colours.
    plain: bool,
    counts: [u32; 5],
}

impl Report {
    pub(super) fn new(plain: bool) -> Self {
        Self { text: String::new(), plain, counts: [0; 5] }
    }

    /// The text with the summary at its end.
    pub(super) fn into_text(mut self) -> String {
        self.summary();
        self.text
    }

    /// The text as it is when the tool dies before its summary.
    pub(super) fn into_unfinished(self) -> String {
        self.text
    }

    pub(super) fn section(&mut self, name: &str) {
        let _ = write!(self.text, "{}= {name} =\n\n", if self.text.is_empty() { "" } else { "\n" });
    }

    pub(super) fn line(&mut self, text: &str) {
        let _ = writeln!(self.text, "{text}");
    }

    pub(super) fn say(&mut self, level: Level, text: impl AsRef<str>) {
        let (colour, reset) = if self.plain { ("", "") } else { (level.colour(), "\x1b[0m") };
        let _ = write!(self.text, "{colour}{}: {}\n{reset}", level.word(), text.as_ref());
        if let Some(count) =
            [Level::Pass, Level::Skip, Level::Notice, Level::Warn, Level::Fail].iter().position(|known| *known == level)
        {
            self.counts[count] += 1;
        }
    }

    /// Adds one of two lines, by the result of a check.
    pub(super) fn either(&mut self, good: bool, pass: &str, otherwise: Level, text: &str) {
        match good {
            true => self.say(Level::Pass, pass),
            false => self.say(otherwise, text),
        }
    }

    fn summary(&mut self) {
        self.section("SUMMARY");
        let [pass, skip, _, warn, fail] = self.counts;
        let total: u32 = self.counts.iter().sum();
        let paint = |colour: &str, text: String| match self.plain {
            true => text,
            false => format!("{colour}{text}\x1b[0m"),
        };
        let mut text = format!("TOTAL:    {total}\n");
        text += &paint("\x1b[32m", format!("PASSED:   {pass}\n"));
        text += &format!("SKIPPED:  {skip}\n");
        text += &paint("\x1b[33m", format!("WARNINGS: {warn}\n"));
        text += &paint("\x1b[1;31m", format!("FAILURES: {fail}\n"));
        if warn + fail > 0 {
            let colour = if fail > 0 { "\x1b[1;31m" } else { "\x1b[33m" };
            let attention = "\nATTENTION: Please check the output for detailed information!\n".to_owned();
            text += &paint(colour, attention);
        }
        if fail > 0 {
            let again = "Try to solve the problems one at a time and then run this checklist tool again.\n".to_owned();
            text += &paint("\x1b[1;31m", again);
        }
        self.text += &text;
    }
}
