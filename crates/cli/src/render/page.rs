//! The only way to the terminal. Guest names, task messages and logs come from outside: a control character in them
//! could forge lines, hide text or control the terminal. Nothing that goes through here can.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};

/// Characters of a line; more than any text of ours has, and than anyone reads.
const MOST_CHARS: usize = 4000;

/// Lines of text, each one clean and of bounded length.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page(String);

impl Page {
    /// Adds one line; line breaks inside are made visible like every other control character.
    pub fn line(&mut self, text: impl AsRef<str>) {
        self.0.push_str(clean(&bounded(text.as_ref())).trim_end());
        self.0.push('\n');
    }

    /// Adds an empty line.
    pub fn gap(&mut self) {
        self.0.push('\n');
    }

    /// Adds another page.
    pub(crate) fn page(&mut self, other: &Self) {
        self.0.push_str(&other.0);
    }

    /// The text.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Prints to standard output. A reader that has gone away (`| head`) is not an error.
    pub fn print(&self) {
        to_stdout(self.as_str());
    }

    /// Prints to standard error.
    pub fn print_err(&self) {
        let _ = write_all(io::stderr().lock(), self.as_str());
    }

    /// Prints to standard error, and leaves the last line open for an answer.
    pub(crate) fn print_err_open(&self) {
        let _ = write_all(io::stderr().lock(), &format!("{} ", self.as_str().trim_end()));
    }
}

/// Prints one JSON value on one line.
pub fn print_json(value: &impl serde::Serialize) {
    let text = serde_json::to_string(value).expect("what we print is plain data and always serialises");
    to_stdout(&(clean_json(&text) + "\n"));
}

/// Prints a line of JSON that this program has written elsewhere.
pub(crate) fn print_line(json: &str) {
    to_stdout(&(clean_json(json) + "\n"));
}

/// Whoever read standard output has gone away.
static UNREAD: AtomicBool = AtomicBool::new(false);

/// Does anybody still read standard output? For what would print on and on.
pub(crate) fn is_read() -> bool {
    !UNREAD.load(Ordering::Relaxed)
}

fn to_stdout(text: &str) {
    if !write_all(io::stdout().lock(), text) {
        UNREAD.store(true, Ordering::Relaxed);
    }
}

/// If this fails, there is nowhere left to report it.
fn write_all(mut to: impl Write, text: &str) -> bool {
    to.write_all(text.as_bytes()).and_then(|()| to.flush()).is_ok()
}

/// The text, or its beginning and how much more there is.
pub(crate) fn bounded(text: &str) -> Cow<'_, str> {
    shortened(text, MOST_CHARS)
}

/// The text, or so many characters of it and how many more there are.
pub(crate) fn shortened(text: &str, most: usize) -> Cow<'_, str> {
    match text.char_indices().nth(most) {
        None => Cow::Borrowed(text),
        Some((end, _)) => {
            let more = text[end..].chars().count();
            Cow::Owned(format!("{}… ({more} more characters)", &text[..end]))
        }
    }
}

/// Makes everything visible that a terminal would act on: `\x1b`, `\u{202e}`.
pub(crate) fn clean(text: &str) -> String {
    let mut cleaned = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => cleaned.push_str("\\n"),
            '\r' => cleaned.push_str("\\r"),
            '\t' => cleaned.push(' '),
            c if u32::from(c) < 0x100 && c.is_control() => {
                let _ = write!(cleaned, "\\x{:02x}", u32::from(c));
            }
            c if is_invisible(c) => {
                let _ = write!(cleaned, "\\u{{{:x}}}", u32::from(c));
            }
            c => cleaned.push(c),
        }
    }
    cleaned
}

/// JSON itself escapes the control characters below space; the others only ever occur inside strings.
fn clean_json(text: &str) -> String {
    let mut cleaned = String::with_capacity(text.len());
    for c in text.chars() {
        if c.is_control() || is_invisible(c) {
            let mut units = [0; 2];
            for unit in c.encode_utf16(&mut units) {
                let _ = write!(cleaned, "\\u{unit:04x}");
            }
        } else {
            cleaned.push(c);
        }
    }
    cleaned
}

/// Characters that change the order or the look of others without being seen themselves.
pub(super) fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_escape_sequences_line_breaks_and_bidi_controls_stays_one_visible_line() {
        let mut page = Page::default();
        page.line("vm:101 web\x1b[2J\r\n\u{9b}31mok\u{202e}kcab\u{7f}");
        assert_eq!(page.as_str(), "vm:101 web\\x1b[2J\\r\\n\\x9b31mok\\u{202e}kcab\\x7f\n");
    }

    #[test]
    fn letters_of_all_scripts_and_arrows_stay() {
        assert_eq!(clean("pve1 → Größe 日本 ✓"), "pve1 → Größe 日本 ✓");
    }

    #[test]
    fn json_with_hidden_characters_means_the_same_after_cleaning() {
        let value = serde_json::json!({ "name": "a\u{9b}\u{202e}\u{e0041}\x1b" });
        let text = clean_json(&value.to_string());
        assert!(text.is_ascii(), "{text}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&text).unwrap(), value);
    }
}
