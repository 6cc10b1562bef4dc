//! How the shell itself works: lists, pipelines, variables, expansion, and the builtins that change its course.

use std::collections::BTreeMap;
use std::mem;

use super::{Output, Shell, is_assignment};
use crate::words::{Line, Piece, Pipe, Simple, Sink, When, Word, parse};

/// What one shell process has: gone with it.
#[derive(Clone, Debug)]
pub(super) struct Process {
    /// `$0`, `$1`, ….
    arguments: Vec<String>,
    variables: BTreeMap<String, String>,
    /// The status of the last pipeline: `$?`.
    status: i32,
    /// It has ended: by `exit`, or because a program took its place.
    over: bool,
}

impl Process {
    pub(super) fn new(arguments: Vec<String>) -> Self {
        let variables = BTreeMap::from([("HOME".to_owned(), "/root".to_owned())]);
        Self { arguments, variables, status: 0, over: false }
    }
}

impl Shell<'_> {
    pub(super) fn list(&mut self, line: &Line) -> Output {
        let mut all = Output::default();
        for (when, pipe) in &line.parts {
            let runs = match when {
                When::Always => true,
                When::AfterSuccess => all.status == 0,
                When::AfterFailure => all.status != 0,
            };
            if runs && !self.process.over {
                let part = self.pipe(pipe);
                all.stdout.push_str(&part.stdout);
                all.stderr.push_str(&part.stderr);
                all.delay += part.delay;
                all.status = part.status;
                all.follows = part.follows;
                self.process.status = part.status;
            }
        }
        all
    }

    /// A pipeline: its status is that of its last command. Each of several commands is a process of its own.
    fn pipe(&mut self, pipe: &Pipe) -> Output {
        let mut all = Output::default();
        for command in &pipe.commands {
            self.stdin = mem::take(&mut all.stdout);
            let output = match pipe.commands.len() {
                1 => self.simple(command),
                _ => self.beside(|shell| shell.simple(command)),
            };
            all.status = output.status;
            all.delay += output.delay;
            all.follows = output.follows;
            all.stdout = output.stdout;
            all.stderr.push_str(&output.stderr);
        }
        if pipe.negated {
            all.status = i32::from(all.status == 0);
        }
        all
    }

    /// In a process of its own: what it sets, and that it ends, is nothing to this one.
    fn beside<T>(&mut self, act: impl FnOnce(&mut Self) -> T) -> T {
        let kept = self.process.clone();
        let result = act(self);
        self.process = kept;
        result
    }

    fn simple(&mut self, command: &Simple) -> Output {
        let mut printed = Output::default();
        let set = command.words.iter().take_while(|word| name_set(word).is_some()).count();
        let (assignments, rest) = command.words.split_at(set);
        let argv: Vec<String> = rest.iter().flat_map(|word| self.expand(word, &mut printed)).collect();
        for word in assignments {
            let value = self.value(word, &mut printed);
            let (name, value) = value.split_once('=').expect("an assignment has an equals sign");
            match argv.is_empty() {
                true => drop(self.process.variables.insert(name.to_owned(), value.to_owned())),
                false => self.env.push(name.to_owned()),
            }
        }
        // An assignment alone has the status of the command that it took its value from.
        let output =
            if argv.is_empty() { Output { status: printed.status, ..Output::default() } } else { self.run(&argv) };
        let output = self.redirected(command, output, &mut printed);
        Output { stderr: printed.stderr + &output.stderr, delay: printed.delay + output.delay, ..output }
    }

    /// A builtin that changes the course of this shell, or any other program.
    fn run(&mut self, argv: &[String]) -> Output {
        let count = |default: i32| argv.get(1).map_or(Some(default), |text| text.parse().ok());
        match argv[0].as_str() {
            "exit" => {
                self.process.over = true;
                Output { status: count(self.process.status).unwrap_or(2), ..Output::default() }
            }
            "exec" if argv.len() > 1 => {
                let output = self.program(&argv[1..]);
                self.process.over = true;
                output
            }
            "exec" => Output::default(),
            "shift" => {
                let arguments = &mut self.process.arguments;
                match count(1)
                    .and_then(|count| usize::try_from(count).ok())
                    .filter(|count| *count < arguments.len().max(1))
                {
                    Some(count) => {
                        arguments.drain(1..=count);
                        Output::default()
                    }
                    None => {
                        self.process.over = true;
                        Output::fail(2, "sh: 1: shift: can't shift that many\n")
                    }
                }
            }
            _ => self.program(argv),
        }
    }

    fn redirected(&mut self, command: &Simple, mut output: Output, printed: &mut Output) -> Output {
        let (stdout, stderr) = (mem::take(&mut output.stdout), mem::take(&mut output.stderr));
        match &command.stdout {
            Sink::Own => output.stdout.push_str(&stdout),
            Sink::Other => output.stderr.push_str(&stdout),
            Sink::Null => {}
            Sink::File(path) => {
                let path = self.value(path, printed);
                if let Err(text) = self.write(&path, &stdout) {
                    return Output::fail(2, text);
                }
            }
        }
        match &command.stderr {
            Sink::Own => output.stderr.push_str(&stderr),
            Sink::Other => output.stdout.push_str(&stderr),
            Sink::Null | Sink::File(_) => {}
        }
        output
    }

    /// `sh -c SCRIPT NAME ARGUMENTS…`.
    pub(super) fn nested(&mut self, args: &[&str]) -> Output {
        let position = args.iter().position(|arg| arg.starts_with('-') && arg.contains('c'));
        let Some((at, script)) = position.and_then(|at| Some((at, args.get(at + 1)?))) else {
            return Output::fail(127, format!("bash: {}: No such file or directory\n", args.join(" ")));
        };
        let given = args[at + 2..].iter().map(|arg| (*arg).to_owned()).collect();
        match parse(script) {
            Ok(line) => self.beside(|shell| {
                shell.process = Process::new(given);
                shell.list(&line)
            }),
            Err(stderr) => Output::fail(2, stderr),
        }
    }

    /// The fields that a word becomes. What commands in it print to standard error, and what they take, is added.
    fn expand(&mut self, word: &Word, printed: &mut Output) -> Vec<String> {
        let mut fields: Vec<String> = Vec::new();
        // Does what comes next belong to the last field?
        let mut open = false;
        for piece in word {
            let (text, quoted) = match piece {
                // The quotes around `"$@"` make no field of their own.
                Piece::Text(text) if text.is_empty() && word.len() > 1 => continue,
                Piece::Text(text) => (text.clone(), true),
                Piece::Value { name, .. } if name == "@" => {
                    for (number, argument) in self.process.arguments.iter().skip(1).enumerate() {
                        add(&mut fields, open || number > 0, number > 0, argument);
                        open = true;
                    }
                    continue;
                }
                Piece::Value { name, quoted } => (self.variable(name), *quoted),
                Piece::Printed { line, quoted } => (self.printed(line, printed), *quoted),
            };
            if quoted {
                add(&mut fields, open, false, &text);
                open = true;
                continue;
            }
            for (number, part) in text.split_whitespace().enumerate() {
                let apart = number > 0 || text.starts_with(char::is_whitespace);
                add(&mut fields, open, apart, part);
                open = true;
            }
            open &= !text.ends_with(char::is_whitespace);
        }
        fields
    }

    /// A word as one text: in an assignment and behind a redirection nothing is split.
    fn value(&mut self, word: &Word, printed: &mut Output) -> String {
        let mut value = String::new();
        for piece in word {
            match piece {
                Piece::Text(text) => value.push_str(text),
                Piece::Value { name, .. } => value.push_str(&self.variable(name)),
                Piece::Printed { line, .. } => value.push_str(&self.printed(line, printed)),
            }
        }
        value
    }

    /// What a variable holds; one that was never set holds nothing.
    fn variable(&self, name: &str) -> String {
        let Process { arguments, variables, status, .. } = &self.process;
        match (name, name.parse::<usize>()) {
            ("@", _) => arguments.get(1..).unwrap_or_default().join(" "),
            ("#", _) => arguments.len().saturating_sub(1).to_string(),
            ("?", _) => status.to_string(),
            (_, Ok(number)) => arguments.get(number).cloned().unwrap_or_default(),
            _ => variables.get(name).cloned().unwrap_or_default(),
        }
    }

    fn printed(&mut self, line: &Line, printed: &mut Output) -> String {
        let stdin = mem::take(&mut self.stdin);
        let output = self.beside(|shell| shell.list(line));
        self.stdin = stdin;
        printed.status = output.status;
        printed.stderr.push_str(&output.stderr);
        printed.delay += output.delay;
        output.stdout.trim_end_matches('\n').to_owned()
    }
}

/// The variable that a word sets, if it is an assignment: what comes before the equals sign is written out.
fn name_set(word: &Word) -> Option<&str> {
    let Some(Piece::Text(text)) = word.first() else { return None };
    is_assignment(text).then(|| text.split_once('=').map_or("", |(name, _)| name))
}

/// Adds text to the last field, or as a new one.
fn add(fields: &mut Vec<String>, open: bool, apart: bool, text: &str) {
    match fields.last_mut() {
        Some(last) if open && !apart => last.push_str(text),
        _ => fields.push(text.to_owned()),
    }
}
