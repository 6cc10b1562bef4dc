//! Rows of words, each word in its tone: made, wrapped and packed.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::cluster::Said;
use super::tone::Tone;
use crate::render::page::{clean, shortened};

/// Characters of a text that are looked at: no terminal is wider.
pub(super) const MOST_CHARS: usize = 500;

/// A line: words, each in its tone.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Row(pub(super) Vec<(String, Tone)>);

impl Row {
    pub(super) fn of(words: impl Into<String>, tone: Tone) -> Self {
        Self::default().and(words, tone)
    }

    /// Names and texts of others are cleaned here, where all words come through.
    pub(super) fn and(mut self, words: impl Into<String>, tone: Tone) -> Self {
        let words = words.into();
        self.0.push((clean(&shortened(&words, MOST_CHARS)), tone));
        self
    }

    pub(super) fn width(&self) -> usize {
        let width: usize = self.0.iter().map(|(words, _)| words.width()).sum();
        // What is empty at the end needs no room.
        let end = self.0.last().map_or("", |(words, _)| words);
        width - (end.len() - end.trim_end_matches(' ').len())
    }
}

/// The first rows, and how many more there are.
pub(super) fn at_most(rows: &[Row], limit: usize) -> Vec<Row> {
    if rows.len() <= limit {
        return rows.to_vec();
    }
    let Some(shown) = limit.checked_sub(1) else { return Vec::new() };
    let more = Row::of(format!(" and {} more", rows.len() - shown), Tone::Quiet);
    if shown == 0 { rows[..1].to_vec() } else { rows[..shown].iter().cloned().chain([more]).collect() }
}

/// A line for each subject, or as many in a line as there is room for; one that is too long goes on in the next.
pub(super) fn packed(says: &[Said], width: usize, roomy: bool) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    for said in says {
        let mut lines = lines_of(said, width.saturating_sub(1)).into_iter();
        let Some(first) = lines.next() else { continue };
        match rows.last_mut().filter(|row| !roomy && row.width() + 3 + first.width() < width) {
            Some(row) => {
                row.0.push(("   ".to_owned(), Tone::Plain));
                row.0.extend(first.0);
            }
            None => rows.push(indented(1, first)),
        }
        rows.extend(lines.map(|line| indented(3, line)));
    }
    rows
}

/// One subject, broken only between its parts.
fn lines_of(said: &Said, width: usize) -> Vec<Row> {
    let mut lines: Vec<Row> = Vec::new();
    for (words, tone) in said {
        let part = Row::of(words.clone(), *tone);
        match lines.last_mut().filter(|line| line.width() + 3 + part.width() <= width) {
            Some(line) => {
                line.0.push((", ".to_owned(), *tone));
                line.0.extend(part.0);
            }
            None => {
                if let Some(line) = lines.last_mut() {
                    line.0.push((",".to_owned(), *tone));
                }
                lines.push(part);
            }
        }
    }
    lines
}

fn indented(columns: usize, row: Row) -> Row {
    Row(Row::of(" ".repeat(columns), Tone::Plain).0.into_iter().chain(row.0).collect())
}

/// Words in rows of their own, broken between words.
pub(super) fn wrapped(words: &str, tone: Tone, width: usize) -> Vec<Row> {
    labelled(" ", words, tone, width)
}

/// The same behind a label, and further rows below the first word.
pub(super) fn labelled(label: &str, words: &str, tone: Tone, width: usize) -> Vec<Row> {
    let room = width.saturating_sub(label.width()).max(8);
    let text = clean(&shortened(words, 4 * MOST_CHARS));
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ').flat_map(|word| pieces(word, room)) {
        match lines.last_mut().filter(|line| line.width() + 1 + word.width() <= room) {
            Some(line) => *line = format!("{line} {word}"),
            None => lines.push(word),
        }
    }
    let indent = " ".repeat(label.width());
    let label = |index: usize| if index == 0 { label.to_owned() } else { indent.clone() };
    lines.into_iter().enumerate().map(|(index, line)| Row::of(label(index), tone).and(line, tone)).collect()
}

/// A word that is longer than a row, in pieces.
fn pieces(word: &str, room: usize) -> Vec<String> {
    let (mut pieces, mut width) = (vec![String::new()], 0);
    for c in word.chars() {
        width += c.width().unwrap_or(0);
        if width > room {
            pieces.push(String::new());
            width = c.width().unwrap_or(0);
        }
        if let Some(piece) = pieces.last_mut() {
            piece.push(c);
        }
    }
    pieces
}
