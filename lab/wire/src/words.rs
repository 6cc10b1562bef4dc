//! A command line as sshd hands it to the login shell, or a script that it passes on: one string, read by the shell's
//! rules.
//!
//! Understood: words, quotes, backslashes, comments, `;`, `&&`, `||`, `|`, `!`, newlines; the redirections `2>&1`,
//! `>/dev/null`, `2>/dev/null`, `</dev/null`, `> FILE`; variables and arguments (`$why`, `${why}`, `$1`, `"$@"`, `$#`,
//! `$?`) and what a command prints (`$(…)`). What else begins with a dollar sign, and backquotes, are errors; globs and
//! compound commands are not understood.

/// A sequence of pipelines, and when each runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Line {
    /// In order.
    pub(crate) parts: Vec<(When, Pipe)>,
}

/// When a pipeline runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum When {
    /// Always.
    Always,
    /// After `&&`.
    AfterSuccess,
    /// After `||`.
    AfterFailure,
}

/// Commands connected by `|`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Pipe {
    /// Does it succeed if its last command fails: `! …`?
    pub(crate) negated: bool,
    /// In order.
    pub(crate) commands: Vec<Simple>,
}

/// One command with its redirections.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Simple {
    /// Assignments, program and arguments.
    pub(crate) words: Vec<Word>,
    /// Where standard output goes.
    pub(crate) stdout: Sink,
    /// Where standard error goes.
    pub(crate) stderr: Sink,
}

/// Where output goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Sink {
    /// To its own stream.
    #[default]
    Own,
    /// Discarded.
    Null,
    /// To the other stream: `2>&1`, `>&2`.
    Other,
    /// Into this file.
    File(Word),
}

/// One word before it is expanded.
pub(crate) type Word = Vec<Piece>;

/// A part of a word.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    /// As it is.
    Text(String),
    /// What a variable or an argument holds: `why`, `1`, `@`, `#`, `?`. Without quotes it is split at blanks.
    Value {
        /// Its name.
        name: String,
        /// Within double quotes?
        quoted: bool,
    },
    /// What a command prints, without the newlines at its end.
    Printed {
        /// The command.
        line: Line,
        /// Within double quotes?
        quoted: bool,
    },
}

/// Redirections to and from nowhere and from stream to stream, and operators between commands. Longest first, so that
/// `&&` is not read as two `&`.
const OPERATORS: [&str; 14] = [
    "2>/dev/null",
    "2> /dev/null",
    ">/dev/null",
    "> /dev/null",
    "</dev/null",
    "2>&1",
    ">&2",
    "1>&2",
    "&&",
    "||",
    ";",
    "|",
    "\n",
    ">",
];

/// Reads a command line or a script; the error is the shell's.
pub(crate) fn parse(text: &str) -> Result<Line, String> {
    Reader { rest: text }.line(false)
}

struct Reader<'a> {
    rest: &'a str,
}

impl Reader<'_> {
    /// Up to the end, or up to the parenthesis that closes a `$(`.
    fn line(&mut self, inside: bool) -> Result<Line, String> {
        let mut parts = vec![(When::Always, Pipe::default())];
        loop {
            self.skip_blanks();
            if self.rest.is_empty() && inside {
                return Err(unterminated(')'));
            }
            if self.rest.is_empty() || (inside && self.taken(")")) {
                break;
            }
            let (_, pipe) = parts.last_mut().expect("there is always a pipeline being read");
            match self.operator(true) {
                Some("|") => pipe.commands.push(Simple::default()),
                Some("&&") => parts.push((When::AfterSuccess, Pipe::default())),
                Some("||") => parts.push((When::AfterFailure, Pipe::default())),
                Some(";" | "\n") => parts.push((When::Always, Pipe::default())),
                Some(">") => {
                    self.skip_blanks();
                    let file = self.word(inside)?;
                    if file.is_empty() {
                        return Err("bash: -c: line 1: syntax error near unexpected token `newline'\n".to_owned());
                    }
                    command(pipe).stdout = Sink::File(file);
                }
                Some(redirection) => redirect(command(pipe), redirection),
                None => {
                    let word = self.word(inside)?;
                    let first = pipe.commands.iter().all(|command| command.words.is_empty());
                    match word.as_slice() {
                        [Piece::Text(mark)] if mark == "!" && first => pipe.negated = !pipe.negated,
                        _ => command(pipe).words.push(word),
                    }
                }
            }
        }
        parts.retain(|(_, pipe)| pipe.commands.iter().any(|command| !command.words.is_empty()));
        Ok(Line { parts })
    }

    /// Blanks, joined lines and comments between words.
    fn skip_blanks(&mut self) {
        loop {
            self.rest = self.rest.trim_start_matches([' ', '\t']);
            if self.rest.starts_with('#') {
                self.rest = self.rest.find('\n').map_or("", |end| &self.rest[end..]);
            } else if !self.taken("\\\n") {
                return;
            }
        }
    }

    fn taken(&mut self, text: &str) -> bool {
        let rest = self.rest.strip_prefix(text);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    /// `2>` is a redirection only where a word would begin: `file2>x` writes the word `file2`.
    fn operator(&mut self, begins_word: bool) -> Option<&'static str> {
        let may = |operator: &&&str| begins_word || !operator.starts_with(|c: char| c.is_ascii_digit());
        let operator = OPERATORS.iter().filter(may).find(|operator| self.rest.starts_with(**operator))?;
        self.rest = &self.rest[operator.len()..];
        Some(operator)
    }

    fn word(&mut self, inside: bool) -> Result<Word, String> {
        let mut word = Word::new();
        while let Some(c) = self.rest.chars().next() {
            let ends = matches!(c, ' ' | '\t' | ';' | '|' | '\n' | '>' | '<' | '&') || (inside && c == ')');
            // A single `&` or `<` is no operator that is understood, and stays in its word.
            if ends && (!matches!(c, '&' | '<') || Reader { rest: self.rest }.operator(false).is_some()) {
                break;
            }
            self.rest = &self.rest[c.len_utf8()..];
            match c {
                '\'' => {
                    let (quoted, after) = self.rest.split_once('\'').ok_or_else(|| unterminated('\''))?;
                    push(&mut word, quoted);
                    self.rest = after;
                }
                '"' => self.double_quoted(&mut word)?,
                '$' => self.dollar(&mut word, false)?,
                '`' => return Err("sh: 1: the lab's shell knows $(…), not backquotes\n".to_owned()),
                '\\' => {
                    let escaped = self.rest.chars().next().unwrap_or('\\');
                    self.rest = self.rest.get(escaped.len_utf8()..).unwrap_or_default();
                    // A backslash before a line's end joins the lines.
                    if escaped != '\n' {
                        push(&mut word, escaped.encode_utf8(&mut [0; 4]));
                    }
                }
                _ => push(&mut word, c.encode_utf8(&mut [0; 4])),
            }
        }
        Ok(word)
    }

    /// Up to the closing quote.
    fn double_quoted(&mut self, word: &mut Word) -> Result<(), String> {
        push(word, "");
        while let Some(c) = self.rest.chars().next() {
            self.rest = &self.rest[c.len_utf8()..];
            match c {
                '"' => return Ok(()),
                '\\' => match self.rest.chars().next() {
                    Some('\n') => self.rest = &self.rest[1..],
                    Some(special @ ('$' | '`' | '"' | '\\')) => {
                        push(word, special.encode_utf8(&mut [0; 4]));
                        self.rest = &self.rest[1..];
                    }
                    _ => push(word, "\\"),
                },
                '$' => self.dollar(word, true)?,
                '`' => return Err("sh: 1: the lab's shell knows $(…), not backquotes\n".to_owned()),
                _ => push(word, c.encode_utf8(&mut [0; 4])),
            }
        }
        Err(unterminated('"'))
    }

    /// What comes after a dollar sign.
    fn dollar(&mut self, word: &mut Word, quoted: bool) -> Result<(), String> {
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        if self.rest.starts_with("((") {
            return Err("sh: 1: the lab's shell does not calculate\n".to_owned());
        }
        if self.taken("(") {
            word.push(Piece::Printed { line: self.line(true)?, quoted });
            return Ok(());
        }
        let braces = self.taken("{");
        let length = match self.rest.chars().next() {
            Some(c) if c.is_ascii_digit() || matches!(c, '@' | '#' | '?') => 1,
            Some(c) if is_name(c) => self.rest.find(|c| !is_name(c)).unwrap_or(self.rest.len()),
            _ => 0,
        };
        let name = self.rest[..length].to_owned();
        self.rest = &self.rest[length..];
        match (braces, name.is_empty()) {
            (true, _) if !self.taken("}") => return Err("sh: 1: Bad substitution\n".to_owned()),
            (true, true) => return Err("sh: 1: Bad substitution\n".to_owned()),
            (false, true) if self.rest.starts_with(['*', '$', '!', '-']) => {
                return Err(format!("sh: 1: the lab's shell does not know ${}\n", &self.rest[..1]));
            }
            (false, true) => push(word, "$"),
            _ => word.push(Piece::Value { name, quoted }),
        }
        Ok(())
    }
}

fn command(pipe: &mut Pipe) -> &mut Simple {
    if pipe.commands.is_empty() {
        pipe.commands.push(Simple::default());
    }
    pipe.commands.last_mut().expect("there is one now")
}

fn redirect(command: &mut Simple, redirection: &str) {
    match redirection {
        "2>/dev/null" | "2> /dev/null" => command.stderr = Sink::Null,
        ">/dev/null" | "> /dev/null" => command.stdout = Sink::Null,
        // `>/dev/null 2>&1` sends both away.
        "2>&1" if command.stdout == Sink::Null => command.stderr = Sink::Null,
        "2>&1" => command.stderr = Sink::Other,
        ">&2" | "1>&2" => command.stdout = Sink::Other,
        _ => {}
    }
}

/// Adds text to a word; an empty one makes a word of nothing, as quotes do.
fn push(word: &mut Word, text: &str) {
    match word.last_mut() {
        Some(Piece::Text(before)) => before.push_str(text),
        _ => word.push(Piece::Text(text.to_owned())),
    }
}

fn unterminated(quote: char) -> String {
    format!("bash: -c: line 1: unexpected EOF while looking for matching `{quote}'\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use quorate_core::command::quote_all;

    fn plain(words: &[Word]) -> Vec<String> {
        let text = |word: &Word| match word.as_slice() {
            [] => String::new(),
            [Piece::Text(text)] => text.clone(),
            other => panic!("{other:?} is to be expanded"),
        };
        words.iter().map(text).collect()
    }

    fn only(text: &str) -> Vec<String> {
        let line = parse(text).unwrap();
        assert_eq!(line.parts.len(), 1, "{text}");
        plain(&line.parts[0].1.commands[0].words)
    }

    #[test]
    fn what_our_own_quoting_wrote_comes_back_as_the_same_arguments() {
        let argv =
            ["dpkg-query", "-W", "-f", "${Package} ${Version} ${db:Status-Abbrev}\\n", "", "a'b; reboot\n", "#x"];
        let argv: Vec<String> = argv.iter().map(|argument| (*argument).to_owned()).collect();
        assert_eq!(only(&quote_all(&argv)), argv);
    }

    #[test]
    fn quotes_backslashes_and_comments_are_read_as_the_shell_does() {
        assert_eq!(only(r#"find /boot -name 'vmlinuz-*' # all kernels"#), ["find", "/boot", "-name", "vmlinuz-*"]);
        assert_eq!(only(r#"echo "a \"b\" \n" c\ d"#), ["echo", r#"a "b" \n"#, "c d"]);
        assert_eq!(only(r#"grep " *$" '$1' a&b"#), ["grep", " *$", "$1", "a&b"]);
        assert_eq!(parse("echo 'a").unwrap_err(), "bash: -c: line 1: unexpected EOF while looking for matching `''\n");
    }

    #[test]
    fn variables_arguments_and_what_commands_print_are_left_to_be_expanded() {
        let line = parse(r#"why="a $(cat "$1" | wc -l)" && ! x "$@" > "$2""#).unwrap();
        let [(_, one), (when, two)] = line.parts.as_slice() else { panic!("{line:?}") };
        let [Piece::Text(name), Piece::Printed { line: inner, quoted: true }] = one.commands[0].words[0].as_slice()
        else {
            panic!("{one:?}")
        };
        assert_eq!((name.as_str(), inner.parts[0].1.commands.len()), ("why=a ", 2));
        let value = |name: &str| Piece::Value { name: name.to_owned(), quoted: true };
        assert_eq!((*when, two.negated), (When::AfterSuccess, true));
        assert_eq!(two.commands[0].words[1][1..], [value("@")]);
        assert_eq!(two.commands[0].stdout, Sink::File(vec![Piece::Text(String::new()), value("2")]));
        for unknown in ["echo ${a%%b}", "echo $((1+1))", "echo `id`", "echo $$", "echo $(id"] {
            assert!(parse(unknown).is_err(), "{unknown}");
        }
    }

    #[test]
    fn lists_pipes_and_redirections_are_told_apart() {
        let line = parse("qm list 2>/dev/null | wc -l && uname -r || true; cat x >/dev/null 2>&1").unwrap();
        let whens: Vec<_> = line.parts.iter().map(|(when, _)| *when).collect();
        assert_eq!(whens, [When::Always, When::AfterSuccess, When::AfterFailure, When::Always]);
        assert_eq!(line.parts[0].1.commands[0].stderr, Sink::Null);
        assert_eq!(plain(&line.parts[0].1.commands[1].words), ["wc", "-l"]);
        let last = &line.parts[3].1.commands[0];
        assert_eq!([&last.stdout, &last.stderr], [&Sink::Null, &Sink::Null]);
    }
}
