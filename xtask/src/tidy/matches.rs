//! What depends on the kind of a step is asked of the step itself: no `match` over steps with an arm for all others.
//!
//! With such an arm a new step compiles without anyone having thought of it. Inside `steps/` it is the step that
//! answers.

use super::source::{Token, after_group, at, code};
use super::tree::{Complaint, Tree, is_test_file, rust};

/// Where the steps are.
const STEPS: &str = "crates/core/src/steps/";

pub(super) fn no_arm_for_all_other_steps(tree: &Tree) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    for (path, text) in rust(tree).filter(|(path, _)| !path.starts_with(STEPS) && !is_test_file(path)) {
        let (code, _) = code(text);
        for index in (0..code.len()).filter(|index| at(&code, *index) == "match") {
            if let Some(line) = arm_for_all_others(&code, index) {
                complaints.push(Complaint::at(
                    path,
                    line,
                    "`_ =>` in a match over steps: ask the step, or name them all",
                ));
            }
        }
    }
    complaints
}

/// The line of a `_ =>` in the match that begins here, if another arm names a step.
fn arm_for_all_others(code: &[Token], begun: usize) -> Option<usize> {
    let mut index = begun + 1;
    while !matches!(at(code, index), "{" | ";" | "") {
        index = if matches!(at(code, index), "(" | "[") { after_group(code, index) } else { index + 1 };
    }
    let end = after_group(code, index).saturating_sub(1);
    index += 1;
    let (mut names_a_step, mut all_others) = (false, None);
    while index < end {
        let pattern = index;
        while index < end && at(code, index) != "=>" {
            index += 1;
        }
        let arm = &code[pattern..index];
        names_a_step |= arm.windows(2).any(|pair| pair[0].text == "Step" && pair[1].text == "::");
        if arm.len() == 1 && arm[0].text == "_" {
            all_others = Some(arm[0].line);
        }
        index = after_arm(code, index + 1, end);
    }
    all_others.filter(|_| names_a_step)
}

/// The place after the comma or the block that ends an arm.
fn after_arm(code: &[Token], begun: usize, end: usize) -> usize {
    if at(code, begun) == "{" {
        let next = after_group(code, begun);
        return next + usize::from(at(code, next) == ",");
    }
    let mut index = begun;
    while index < end {
        match at(code, index) {
            "," => return index + 1,
            "(" | "[" | "{" => index = after_group(code, index),
            _ => index += 1,
        }
    }
    end
}

#[cfg(test)]
mod tests {
    use super::super::tree::{texts, tree_of};
    use super::*;

    fn found(text: &str) -> Vec<String> {
        texts(&no_arm_for_all_other_steps(&tree_of(&[("crates/engine/src/a.rs", text)])))
    }

    #[test]
    fn an_arm_for_all_other_steps_is_found_with_its_line() {
        let text = "match step {\n    Step::Migrate(m) if m.live => { a(b, c) }\n    Step::Reboot(_) => f(x, y),\n    _ => 0,\n}\n";
        let expected = "crates/engine/src/a.rs:4: `_ =>` in a match over steps: ask the step, or name them all";
        assert_eq!(found(text), [expected]);
        assert_eq!(
            found("match f(a, b) { Some(Step::Reboot(_)) => 1, None => 2, _ => 3 }").len(),
            1,
            "inside of another value"
        );
        assert_eq!(
            found("match a { A => match s { Step::B(_) => 1, _ => 2 }, B => 3 }").len(),
            1,
            "inside of another match"
        );
    }

    #[test]
    fn other_matches_are_nobodys_business() {
        for text in [
            "match step { Step::A(_) => 1, Step::B(_) => 2 }",
            "match a { A => Step::A(x), _ => Step::B(y) }",
            "match a { A => match s { Step::A(_) => 1 }, _ => 2 }",
            "match a { AtStep::A => 1, _ => 2 }",
            "#[cfg(test)]\nmod tests { fn f() { match s { Step::A(_) => 1, _ => 2 } } }",
        ] {
            assert_eq!(found(text), [""; 0], "{text}");
        }
        let inside = tree_of(&[("crates/core/src/steps/mod.rs", "match s { Step::A(_) => 1, _ => 2 }")]);
        assert_eq!(texts(&no_arm_for_all_other_steps(&inside)), [""; 0]);
    }
}
