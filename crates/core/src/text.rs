//! Texts for people, in lines.

/// The words of a text in lines of at most `width` characters; a longer word has a line of its own.
pub fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines.last_mut().expect("there is always one");
        if line.is_empty() {
            line.push_str(word);
        } else if line.chars().count() + 1 + word.chars().count() > width {
            lines.push(word.to_owned());
        } else {
            line.push(' ');
            line.push_str(word);
        }
    }
    lines
}

/// So many things are named in one line.
const MOST_NAMED: usize = 30;

/// `vm:101, vm:102`; of very many only the first, and how many more there are.
pub fn listed<T: std::fmt::Display>(things: &std::collections::BTreeSet<T>) -> String {
    let named: Vec<String> = things.iter().take(MOST_NAMED).map(ToString::to_string).collect();
    match things.len().saturating_sub(MOST_NAMED) {
        0 => named.join(", "),
        more => format!("{} and {more} more", named.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::{listed, wrapped};

    #[test]
    fn a_list_names_a_bounded_number_of_things_and_says_how_many_more_there_are() {
        assert_eq!(listed(&[1, 2].into()), "1, 2");
        let many = listed(&(1..=1000).collect());
        assert!(many.ends_with("30 and 970 more"), "{many}");
    }

    #[test]
    fn no_line_is_longer_than_it_may_be_and_no_word_is_lost() {
        assert_eq!(wrapped("one two  three", 7), ["one two", "three"]);
        assert_eq!(wrapped("a longer-than-that b", 6), ["a", "longer-than-that", "b"]);
        assert_eq!(wrapped("", 5), [""]);
    }
}
