//! Whatever a name contains, a shell makes one argument of it, and exactly the one that was meant.

#![allow(clippy::disallowed_methods, reason = "a real shell is asked")]

use std::process::Command;

use proptest::prelude::*;
use quorate_core::command::quote_all;

/// What a real shell hands to a program, argument by argument.
fn seen_by_a_program(line: &str) -> Vec<Vec<u8>> {
    let script = format!("set -- {line}; for argument in \"$@\"; do printf '%s\\0' \"$argument\"; done");
    let output = Command::new("sh").args(["-c", &script]).output().unwrap();
    assert!(output.status.success(), "{line:?}: {}", String::from_utf8_lossy(&output.stderr));
    let mut arguments: Vec<Vec<u8>> = output.stdout.split(|byte| *byte == 0).map(<[u8]>::to_vec).collect();
    arguments.pop();
    arguments
}

/// Characters that mean something to a shell, a terminal or a page, and letters between them.
fn hostile() -> impl Strategy<Value = String> {
    let signs = prop::sample::select(vec![
        "'", "\"", "`", "$(", ")", ";", "&", "|", "<", ">", "\n", "\r", "\t", " ", "\\", "*", "?", "[", "]", "~", "#",
        "!", "=", "{", "}", "-", "--", "\x1b[2J", "\u{9b}", "\u{202e}", "é", "日", "a", "Z", "0", "$HOME", "reboot",
        "%s", "<script>",
    ]);
    prop::collection::vec(signs, 0..12).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn a_command_line_arrives_argument_by_argument_as_it_was_meant(arguments in prop::collection::vec(hostile(), 1..5)) {
        let seen = seen_by_a_program(&quote_all(&arguments));
        let meant: Vec<Vec<u8>> = arguments.iter().map(|argument| argument.clone().into_bytes()).collect();
        prop_assert_eq!(seen, meant);
    }
}
