//! The few filters that a person puts after a command: grep, cut, head, tail, wc, sort, uniq.

use super::{Options, Output, Shell};

impl Shell<'_> {
    pub(super) fn filter(&mut self, name: &str, args: &[&str]) -> Option<Output> {
        let lines: Vec<&str> = self.stdin.lines().collect();
        Some(match name {
            "head" | "tail" => {
                let options = Options::parse(args, &["-n"]);
                let bare = args.iter().find_map(|arg| arg.strip_prefix('-')?.parse().ok());
                let count = options.value(&["-n"]).and_then(|count| count.parse().ok()).or(bare).unwrap_or(10);
                match name {
                    "head" => text(lines.into_iter().take(count)),
                    _ => text(lines.iter().skip(lines.len().saturating_sub(count)).copied()),
                }
            }
            "wc" if args.contains(&"-l") => Output::ok(format!("{}\n", lines.len())),
            "wc" => {
                let words = self.stdin.split_whitespace().count();
                Output::ok(format!("{:7} {words:7} {:7}\n", lines.len(), self.stdin.len()))
            }
            "grep" => return Some(self.grep(args)),
            "cut" => return Some(self.cut(args)),
            "sort" => {
                let mut lines = lines;
                lines.sort_unstable();
                if args.contains(&"-u") {
                    lines.dedup();
                }
                text(lines.into_iter())
            }
            "uniq" => {
                let mut lines = lines;
                lines.dedup();
                text(lines.into_iter())
            }
            _ => return None,
        })
    }
}

fn text<'a>(lines: impl Iterator<Item = &'a str>) -> Output {
    Output::ok(lines.map(|line| format!("{line}\n")).collect::<String>())
}

/// Does a line fit a basic regular expression? Understood are characters, `.`, `[…]`, `*`, and `^` and `$` at the ends.
fn fits(pattern: &[char], line: &[char], begins: bool) -> bool {
    let pattern = match pattern {
        ['^', rest @ ..] if begins => return fits_here(rest, line),
        pattern => pattern,
    };
    (0..=line.len()).any(|from| fits_here(pattern, &line[from..]))
}

fn fits_here(pattern: &[char], line: &[char]) -> bool {
    let Some((one, rest)) = atom(pattern) else { return true };
    if one == ['$'] && rest.is_empty() {
        return line.is_empty();
    }
    if let ['*', rest @ ..] = rest {
        let most = line.iter().take_while(|c| is_one(one, **c)).count();
        return (0..=most).any(|count| fits_here(rest, &line[count..]));
    }
    line.first().is_some_and(|c| is_one(one, *c)) && fits_here(rest, &line[1..])
}

/// The first character or class of a pattern, and what comes after it.
fn atom(pattern: &[char]) -> Option<(&[char], &[char])> {
    let length = match pattern {
        [] => return None,
        ['\\', _, ..] => 2,
        ['[', inside @ ..] => 2 + inside.iter().skip(1).position(|c| *c == ']').map_or(0, |end| end + 1),
        _ => 1,
    };
    Some(pattern.split_at(length.min(pattern.len())))
}

fn is_one(atom: &[char], c: char) -> bool {
    match atom {
        ['.'] => true,
        ['\\', escaped] => *escaped == c,
        ['[', '^', inside @ .., ']'] => !in_class(inside, c),
        ['[', inside @ .., ']'] => in_class(inside, c),
        other => other == [c],
    }
}

/// `a-z0-9_`
pub(super) fn in_class(class: &[char], c: char) -> bool {
    match class {
        [from, '-', to, rest @ ..] => (*from..=*to).contains(&c) || in_class(rest, c),
        [one, rest @ ..] => *one == c || in_class(rest, c),
        [] => false,
    }
}

impl Shell<'_> {
    /// The lines of a file, or of what comes through the pipe; the error is that of the program.
    fn lines_of(&self, program: &str, path: Option<&str>) -> Result<Vec<String>, Output> {
        let text = match path {
            None => Some(self.stdin.clone()),
            Some(path) => self.read(path),
        };
        let missing = || format!("{program}: {}: No such file or directory\n", path.unwrap_or_default());
        text.map(|text| text.lines().map(str::to_owned).collect()).ok_or_else(|| Output::fail(2, missing()))
    }

    /// Basic regular expressions, and plain words with `-F`.
    fn grep(&self, args: &[&str]) -> Output {
        let options = Options::parse(args, &["-e"]);
        let flag = |flag: char| options.given.iter().any(|(name, _)| !name.starts_with("--") && name.contains(flag));
        if flag('E') || flag('P') {
            return Output::fail(2, "grep: the lab's grep knows basic regular expressions\n");
        }
        let (pattern, files) = match (options.value(&["-e"]), options.rest.as_slice()) {
            (Some(pattern), files) => (pattern, files),
            (None, [pattern, files @ ..]) => (*pattern, files),
            (None, []) => return Output::fail(2, "Usage: grep [OPTION]... PATTERNS [FILE]...\n"),
        };
        let lines = match self.lines_of("grep", files.first().copied()) {
            Ok(lines) => lines,
            Err(_) if flag('s') => Vec::new(),
            Err(output) => return output,
        };
        let case = |text: &str| if flag('i') { text.to_lowercase() } else { text.to_owned() };
        let chars = |text: &str| case(text).chars().collect::<Vec<char>>();
        let found = |line: &String| match flag('F') {
            true => case(line).contains(&case(pattern)),
            false => fits(&chars(pattern), &chars(line), true),
        };
        let found: Vec<&str> = lines.iter().filter(|line| found(line) != flag('v')).map(String::as_str).collect();
        let status = i32::from(found.is_empty());
        let output = match (flag('c'), flag('q')) {
            (_, true) => Output::default(),
            (true, _) => Output::ok(format!("{}\n", found.len())),
            _ => text(found.into_iter()),
        };
        Output { status, ..output }
    }

    /// `cut -d. -f1`: one field of each line; a line without the delimiter is printed whole.
    fn cut(&self, args: &[&str]) -> Output {
        let options = Options::parse(args, &["-d", "-f"]);
        let number =
            options.value(&["-f"]).and_then(|number| number.parse::<usize>().ok()).filter(|number| *number > 0);
        let (Some(number), Some(delimiter)) = (number, options.value(&["-d"])) else {
            return Output::fail(1, "cut: you must specify a list of bytes, characters, or fields\n");
        };
        match self.lines_of("cut", options.rest.first().copied()) {
            Ok(lines) => text(lines.iter().map(|line| match line.contains(delimiter) {
                true => line.split(delimiter).nth(number - 1).unwrap_or_default(),
                false => line,
            })),
            Err(output) => Output { status: 1, ..output },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_fits_a_basic_regular_expression() {
        let fit = |pattern: &str, line: &str| {
            let chars = |text: &str| text.chars().collect::<Vec<char>>();
            fits(&chars(pattern), &chars(line), true)
        };
        assert!(fit("^..w", "lrwxr-xr-x") && !fit("^..w", "lr-xr-xr-x"));
        assert!(fit("^Quorate: *No", "Quorate:          No") && !fit("^Quorate: *No", "Quorate:          Yes"));
        assert!(fit(" [1-9][0-9]* *$", "  101 web  running  2048   32.00 3412      "));
        assert!(!fit(" [1-9][0-9]* *$", "  101 web  stopped  2048   32.00 0         "));
        assert!(fit("a[^b]c", "xadc") && !fit("a[^b]c", "abc") && fit("a\\.b", "a.b") && !fit("a\\.b", "axb"));
    }
}
