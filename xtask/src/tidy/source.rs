//! Rust source as a row of words and signs, without comments, contents of strings, and tests.
//!
//! Rules that look at names need no more than this: `a::b` is three tokens wherever it occurs. What a macro makes of
//! its arguments is not known here.

/// One word or sign, and the line it is on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) text: String,
    pub(super) line: usize,
}

impl Token {
    pub(super) fn is_name(&self) -> bool {
        self.text.starts_with(|sign: char| sign.is_alphabetic() || sign == '_')
    }
}

/// The code of a file without what is there for tests only, and the modules that are declared for tests only.
pub(super) fn code(text: &str) -> (Vec<Token>, Vec<String>) {
    without_tests(tokens(text))
}

/// The text of the token at this place, or nothing.
pub(super) fn at(tokens: &[Token], index: usize) -> &str {
    tokens.get(index).map_or("", |token| token.text.as_str())
}

/// The place after the bracket that closes the one at `open`; the end if there is none.
pub(super) fn after_group(tokens: &[Token], open: usize) -> usize {
    let mut depth = 0_usize;
    for (index, token) in tokens.iter().enumerate().skip(open) {
        match token.text.as_str() {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => depth = depth.saturating_sub(1),
            _ => {}
        }
        if depth == 0 {
            return index + 1;
        }
    }
    tokens.len()
}

/// What a piece of a source is.
enum Piece {
    Nothing,
    Quoted,
    Sign,
}

/// Words, numbers, `::`, `=>` and single signs. A string or a letter in quotes is one token `""`.
pub(super) fn tokens(text: &str) -> Vec<Token> {
    let mut found = Vec::new();
    let mut line = 0;
    let mut rest = text;
    while !rest.is_empty() {
        let (piece, length) = next(rest);
        let (own, after) = rest.split_at(length);
        match piece {
            Piece::Nothing => {}
            Piece::Quoted => found.push(Token { text: "\"\"".to_owned(), line }),
            Piece::Sign => found.push(Token { text: own.to_owned(), line }),
        }
        line += own.matches('\n').count();
        rest = after;
    }
    found
}

/// What comes next, and how many bytes it takes.
fn next(rest: &str) -> (Piece, usize) {
    let in_word = |sign: char| sign.is_alphanumeric() || sign == '_';
    let first = rest.chars().next().map_or(0, char::len_utf8);
    if rest.starts_with(char::is_whitespace) {
        (Piece::Nothing, first)
    } else if rest.starts_with("//") {
        (Piece::Nothing, rest.find('\n').unwrap_or(rest.len()))
    } else if rest.starts_with("/*") {
        (Piece::Nothing, rest.find("*/").map_or(rest.len(), |at| at + 2))
    } else if let Some(length) = raw_string(rest) {
        (Piece::Quoted, length)
    } else if rest.starts_with('"') || rest.starts_with("b\"") {
        (Piece::Quoted, string(rest))
    } else if let Some(length) = letter(rest) {
        (Piece::Quoted, length)
    } else if rest.starts_with("::") || rest.starts_with("=>") {
        (Piece::Sign, 2)
    } else if rest.starts_with(in_word) {
        (Piece::Sign, rest.find(|sign| !in_word(sign)).unwrap_or(rest.len()))
    } else {
        (Piece::Sign, first)
    }
}

fn string(rest: &str) -> usize {
    let mut escaped = false;
    let open = rest.find('"').unwrap_or(0) + 1;
    for (at, sign) in rest.char_indices().skip_while(|(at, _)| *at < open) {
        match sign {
            '\\' => escaped = !escaped,
            '"' if !escaped => return at + 1,
            _ => escaped = false,
        }
    }
    rest.len()
}

/// `r"…"`, `br#"…"#`: none if no such string begins here.
fn raw_string(rest: &str) -> Option<usize> {
    let inner = rest.strip_prefix("br").or_else(|| rest.strip_prefix('r'))?;
    let hashes = inner.len() - inner.trim_start_matches('#').len();
    let body = inner[hashes..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    let begun = rest.len() - body.len();
    Some(body.find(&end).map_or(rest.len(), |at| begun + at + end.len()))
}

/// `'a'` and `'\n'`; none for `'life`.
fn letter(rest: &str) -> Option<usize> {
    let inner = rest.strip_prefix('\'')?;
    let sign = inner.chars().next()?;
    if sign == '\\' {
        return inner.get(2..)?.find('\'').map(|at| at + 4);
    }
    inner[sign.len_utf8()..].starts_with('\'').then_some(sign.len_utf8() + 2)
}

/// Leaves out each item behind `#[cfg(test)]`, and names the modules among them that have a file of their own.
fn without_tests(tokens: Vec<Token>) -> (Vec<Token>, Vec<String>) {
    let is_mark = |index: usize| {
        ["#", "[", "cfg", "(", "test", ")", "]"].iter().enumerate().all(|(n, word)| at(&tokens, index + n) == *word)
    };
    let (mut kept, mut files) = (Vec::new(), Vec::new());
    let mut index = 0;
    while index < tokens.len() {
        if !is_mark(index) {
            kept.push(tokens[index].clone());
            index += 1;
            continue;
        }
        let begun = index + 7;
        index = after_item(&tokens, begun);
        let item = &tokens[begun..index];
        let module = item.iter().position(|token| token.text == "mod").map(|place| at(item, place + 1).to_owned());
        files.extend(module.filter(|_| item.last().is_some_and(|token| token.text == ";")));
    }
    (kept, files)
}

/// The place after the item that begins here: after its `;` or its `{…}`.
fn after_item(tokens: &[Token], begun: usize) -> usize {
    let mut index = begun;
    while index < tokens.len() {
        match at(tokens, index) {
            ";" | "," => return index + 1,
            "{" => {
                let use_tree = at(tokens, index.saturating_sub(1)) == "::";
                index = after_group(tokens, index);
                if !use_tree {
                    return index;
                }
            }
            "(" | "[" => index = after_group(tokens, index),
            "}" => return index,
            _ => index += 1,
        }
    }
    index
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(text: &str) -> String {
        let (code, _) = code(text);
        code.iter().map(|token| token.text.as_str()).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn comments_and_contents_of_strings_are_left_out() {
        assert_eq!(words("// a::b\nx::y /* c\n */ z"), "x :: y z");
        assert_eq!(
            words(r##"f("a::b \" c", r#"d "e" "#, b"g", '"', '\'', '\u{1f}') h"##),
            r#"f ( "" , "" , "" , "" , "" , "" ) h"#
        );
        assert_eq!(words("fn f<'a>(x: &'a str) {}"), "fn f < ' a > ( x : & ' a str ) { }");
    }

    #[test]
    fn lines_are_counted_over_strings_and_comments_of_many_lines() {
        let tokens = tokens("/* a\n b */ \"c\n d\"\ne");
        assert_eq!(tokens.iter().map(|token| token.line).collect::<Vec<_>>(), [1, 3]);
    }

    #[test]
    fn what_is_for_tests_is_left_out_and_its_files_are_named() {
        let text = "use a::b;\n#[cfg(test)]\nuse c::{d, e};\n#[cfg(test)]\nmod apart;\n\
                    fn f() {}\n#[cfg(test)]\nmod tests {\n    fn g() { h(); }\n}\nfn i() {}\n";
        assert_eq!(words(text), "use a :: b ; fn f ( ) { } fn i ( ) { }");
        assert_eq!(code(text).1, ["apart"]);
    }
}
