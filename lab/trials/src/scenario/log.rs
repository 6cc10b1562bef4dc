//! What a played script writes down.

/// The log: every entry with the time since the beginning.
pub(super) struct Log {
    began_ms: u64,
    text: String,
}

impl Log {
    /// An empty log of a story that starts now.
    pub(super) fn new(began_ms: u64) -> Self {
        Self { began_ms, text: String::new() }
    }

    /// All that was written down.
    pub(super) fn into_text(self) -> String {
        self.text
    }

    /// A line of the script, unchanged.
    pub(super) fn line(&mut self, text: &str) {
        self.text.push_str(&format!("\n{text}\n"));
    }

    /// An entry, with the time.
    pub(super) fn entry(&mut self, at_ms: u64, text: &str) {
        let s = at_ms.saturating_sub(self.began_ms) / 1000;
        self.text.push_str(&format!("{}:{:02}:{:02}  {text}\n", s / 3600, s / 60 % 60, s % 60));
    }

    /// More about the entry above.
    pub(super) fn more(&mut self, text: &str) {
        self.text.push_str(format!("         {text}").trim_end());
        self.text.push('\n');
    }
}
