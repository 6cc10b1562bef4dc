//! A command line as sshd hands it to the login shell: one string, split by the shell's rules.
//!
//! Understood: words, quotes, backslashes, comments, `VAR=x` in front, `;`, `&&`, `||`, `|`, newlines, and the
//! redirections `2>&1`, `>/dev/null`, `2>/dev/null`, `</dev/null`, `> FILE`, and a script's arguments `$1`, `$2`, ….
//! Other variables, globs, loops and substitutions are not: `$` and `*` stay as they are.

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
pub(crate) type Pipe = Vec<Simple>;

/// One command with its redirections.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Simple {
    /// Program and arguments.
    pub(crate) argv: Vec<String>,
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
    File(String),
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Token {
    Word(String),
    Operator(&'static str),
}

/// Longest first, so that `&&` is not read as two `&`.
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

/// Splits a command line; the error is bash's.
pub(crate) fn parse(text: &str) -> Result<Line, String> {
    parse_script(text, &[])
}

/// Splits a script with its arguments, the first of which is its name: `$0`.
pub(crate) fn parse_script(text: &str, arguments: &[&str]) -> Result<Line, String> {
    let mut parts = vec![(When::Always, vec![Simple::default()])];
    let mut tokens = tokens(text, arguments)?.into_iter();
    while let Some(token) = tokens.next() {
        let (_, pipe) = parts.last_mut().expect("there is always a pipeline being read");
        let command = pipe.last_mut().expect("there is always a command being read");
        match token {
            Token::Word(word) => command.argv.push(word),
            Token::Operator("2>/dev/null" | "2> /dev/null") => command.stderr = Sink::Null,
            Token::Operator(">/dev/null" | "> /dev/null") => command.stdout = Sink::Null,
            Token::Operator("</dev/null") => {}
            // `>/dev/null 2>&1` sends both away.
            Token::Operator("2>&1") if command.stdout == Sink::Null => command.stderr = Sink::Null,
            Token::Operator("2>&1") => command.stderr = Sink::Other,
            Token::Operator(">&2" | "1>&2") => command.stdout = Sink::Other,
            Token::Operator(">") => match tokens.next() {
                Some(Token::Word(file)) => command.stdout = Sink::File(file),
                _ => return Err("bash: -c: line 1: syntax error near unexpected token `newline'\n".to_owned()),
            },
            Token::Operator("|") => pipe.push(Simple::default()),
            Token::Operator("&&") => parts.push((When::AfterSuccess, vec![Simple::default()])),
            Token::Operator("||") => parts.push((When::AfterFailure, vec![Simple::default()])),
            Token::Operator(_) => parts.push((When::Always, vec![Simple::default()])),
        }
    }
    parts.retain(|(_, pipe)| pipe.iter().any(|command| !command.argv.is_empty()));
    Ok(Line { parts })
}

fn tokens(text: &str, arguments: &[&str]) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut word: Option<String> = None;
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if word.is_none() && c == '#' {
            rest = rest.find('\n').map_or("", |end| &rest[end..]);
            continue;
        }
        let starts_word = word.is_none();
        let may_begin = matches!(c, '0'..='9' | '<' | '>' | '&' | '|' | ';' | '\n');
        let operator = OPERATORS.iter().filter(|_| may_begin).find(|operator| {
            // `2>` is a redirection only where a word would begin: `file2>x` writes the word `file2`.
            rest.starts_with(**operator) && (starts_word || !operator.starts_with(|c: char| c.is_ascii_digit()))
        });
        if let Some(operator) = operator {
            tokens.extend(word.take().map(Token::Word));
            tokens.push(Token::Operator(operator));
            rest = &rest[operator.len()..];
            continue;
        }
        rest = &rest[c.len_utf8()..];
        match c {
            ' ' | '\t' => tokens.extend(word.take().map(Token::Word)),
            '\'' => {
                let (inside, after) = rest.split_once('\'').ok_or_else(|| unterminated('\''))?;
                word.get_or_insert_default().push_str(inside);
                rest = after;
            }
            '"' => rest = double_quoted(rest, arguments, word.get_or_insert_default())?,
            '$' => rest = dollar(rest, arguments, word.get_or_insert_default()),
            '\\' => {
                let escaped = rest.chars().next().unwrap_or('\\');
                rest = rest.get(escaped.len_utf8()..).unwrap_or_default();
                // A backslash before a line's end joins the lines.
                if escaped != '\n' {
                    word.get_or_insert_default().push(escaped);
                }
            }
            _ => word.get_or_insert_default().push(c),
        }
    }
    tokens.extend(word.map(Token::Word));
    Ok(tokens)
}

/// Reads up to the closing quote and returns what comes after it.
fn double_quoted<'a>(mut rest: &'a str, arguments: &[&str], word: &mut String) -> Result<&'a str, String> {
    while let Some(c) = rest.chars().next() {
        rest = &rest[c.len_utf8()..];
        match c {
            '"' => return Ok(rest),
            '\\' => match rest.chars().next() {
                Some(special @ ('$' | '`' | '"' | '\\')) => {
                    word.push(special);
                    rest = &rest[1..];
                }
                _ => word.push('\\'),
            },
            '$' => rest = dollar(rest, arguments, word),
            _ => word.push(c),
        }
    }
    Err(unterminated('"'))
}

/// `$1` is an argument if there are any; every other `$` stays. Returns what comes after it.
fn dollar<'a>(rest: &'a str, arguments: &[&str], word: &mut String) -> &'a str {
    let number = rest.chars().next().and_then(|c| c.to_digit(10)).filter(|_| !arguments.is_empty());
    match number {
        Some(number) => {
            word.push_str(arguments.get(number as usize).copied().unwrap_or_default());
            &rest[1..]
        }
        None => {
            word.push('$');
            rest
        }
    }
}

fn unterminated(quote: char) -> String {
    format!("bash: -c: line 1: unexpected EOF while looking for matching `{quote}'\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use quorate_core::command::quote_all;

    fn only(text: &str) -> Vec<String> {
        let line = parse(text).unwrap();
        assert_eq!(line.parts.len(), 1, "{text}");
        line.parts[0].1[0].argv.clone()
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
        assert_eq!(parse("echo 'a").unwrap_err(), "bash: -c: line 1: unexpected EOF while looking for matching `''\n");
    }

    #[test]
    fn a_scripts_arguments_stand_where_it_names_them_and_output_can_go_into_a_file() {
        let line = parse_script(r#"printf %s "$1" > "$2""#, &["sh", "{\"a\": 'b'}", "/etc/pve/x"]).unwrap();
        let command = &line.parts[0].1[0];
        assert_eq!(command.argv, ["printf", "%s", "{\"a\": 'b'}"]);
        assert_eq!(command.stdout, Sink::File("/etc/pve/x".into()));
        assert_eq!(only("echo \"$HOME\" '$1'"), ["echo", "$HOME", "$1"]);
    }

    #[test]
    fn lists_pipes_and_redirections_are_told_apart() {
        let line = parse("qm list 2>/dev/null | wc -l && uname -r || true; cat x >/dev/null 2>&1").unwrap();
        let whens: Vec<_> = line.parts.iter().map(|(when, _)| *when).collect();
        assert_eq!(whens, [When::Always, When::AfterSuccess, When::AfterFailure, When::Always]);
        assert_eq!(line.parts[0].1[0].stderr, Sink::Null);
        assert_eq!(line.parts[0].1[1].argv, ["wc", "-l"]);
        let last = &line.parts[3].1[0];
        assert_eq!([&last.stdout, &last.stderr], [&Sink::Null, &Sink::Null]);
    }
}
