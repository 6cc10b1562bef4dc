//! Does the login shell print text of its own, beside what programs print?

/// What stands beside the boot's id: text that the login shell prints in every session. The id alone is exactly known in
/// its form, so this is seen before anything else is read.
pub(super) fn greeting(stdout: &str) -> Option<String> {
    const SHOWN: usize = 80;
    let is_id = |text: &str| text.len() == 36 && text.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-');
    if is_id(stdout.trim()) {
        return None;
    }
    let lines = stdout.lines().map(str::trim).filter(|line| !line.is_empty() && !is_id(line));
    Some(lines.take(1).flat_map(str::chars).take(SHOWN).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_beside_the_id_is_found_wherever_it_stands_and_the_id_alone_is_none() {
        const ID: &str = "6a0f2f5c-0000-4000-a000-000000000001";
        assert_eq!(greeting(&format!("{ID}\n")), None);
        for (stdout, text) in [
            (format!("Welcome to pve2!\n{ID}\n"), "Welcome to pve2!"),
            (format!("{ID}\nBye\n"), "Bye"),
            (format!("hi {ID}\n"), &format!("hi {ID}")),
            (format!("hi{ID}\n"), &format!("hi{ID}")),
        ] {
            assert_eq!(greeting(&stdout).as_deref(), Some(text), "{stdout:?}");
        }
        assert_eq!(greeting(&"x".repeat(1000)).unwrap().len(), 80);
    }
}
