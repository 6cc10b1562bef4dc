//! A mistake in the configuration file: where it is, and the line itself.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};

use unicode_width::UnicodeWidthStr;

/// One mistake, with its place in the file if it has one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ConfigError {
    path: PathBuf,
    place: Option<Box<Place>>,
    message: String,
    mend: Option<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    /// From 1.
    line: usize,
    /// From 1, in characters.
    column: usize,
    /// The whole line.
    text: String,
    /// Columns of the terminal before what is underlined.
    indent: usize,
    /// Columns to underline.
    width: usize,
}

impl ConfigError {
    /// A mistake without a place in the file.
    pub(crate) fn whole_file(path: &Path, message: impl Into<String>) -> Self {
        Self { path: path.to_owned(), place: None, message: message.into(), mend: None }
    }

    /// A mistake at a range of bytes of the text.
    pub(crate) fn at(path: &Path, text: &str, span: &Range<usize>, message: impl Into<String>) -> Self {
        let start = (0..=span.start.min(text.len())).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
        let before = &text[..start];
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let line_text = text[line_start..].lines().next().unwrap_or("");
        // A tab is printed as one blank.
        let columns = |text: &str| text.replace('\t', " ").width();
        let (ahead, rest) = line_text.split_at((start - line_start).min(line_text.len()));
        let end = (0..=span.len().min(rest.len())).rev().find(|at| rest.is_char_boundary(*at)).unwrap_or(0);
        let place = Place {
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
            text: line_text.to_owned(),
            indent: columns(ahead),
            width: columns(&rest[..end]).max(1),
        };
        Self { path: path.to_owned(), place: Some(Box::new(place)), message: message.into(), mend: None }
    }

    /// The same, with the command that mends it if there is one.
    pub(crate) fn mended_by(self, mend: Option<String>) -> Self {
        Self { mend, ..self }
    }

    /// The command that mends it.
    pub(crate) fn mend(&self) -> Option<&str> {
        self.mend.as_deref()
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        let Some(Place { line, column, text, indent, width }) = self.place.as_deref() else {
            return write!(f, "{path}: {}", self.message);
        };
        // toml prints what it expected on a second line.
        let message = self.message.lines().collect::<Vec<_>>().join("; ");
        let (margin, indent) = (" ".repeat(line.to_string().len()), " ".repeat(*indent));
        writeln!(f, "{path}:{line}:{column}: {message}")?;
        writeln!(f, "{margin} |")?;
        writeln!(f, "{line} | {}", text.replace('\t', " "))?;
        write!(f, "{margin} | {indent}{}", "^".repeat(*width))
    }
}

impl std::error::Error for ConfigError {}
