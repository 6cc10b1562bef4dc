//! Every folder of `scenarios/` is played, and its logs must come out as they are there, byte for byte.
//!
//! `UPDATE=1` rewrites the logs; a person then reads the difference.

#![allow(clippy::disallowed_methods, reason = "files are what scenarios are made of")]

use std::path::{Path, PathBuf};

use quorate_trials::scenario::Scenario;

fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../scenarios")
}

fn folders() -> Vec<PathBuf> {
    let mut folders: Vec<PathBuf> = std::fs::read_dir(top()).unwrap().map(|entry| entry.unwrap().path()).collect();
    folders.retain(|path| path.is_dir());
    folders.sort();
    // One story alone: SCENARIO=two-nodes-rebooted-at-once.
    if let Ok(only) = std::env::var("SCENARIO") {
        folders.retain(|path| path.ends_with(&only));
    }
    folders
}

/// The first line in which two texts differ, for a message.
fn difference(expected: &str, played: &str) -> String {
    let mut lines = expected.lines().zip(played.lines()).enumerate();
    match lines.find(|(_, (expected, played))| expected != played) {
        Some((index, (expected, played))) => {
            format!("line {}:\n  expected: {expected}\n  played:   {played}", index + 1)
        }
        None => format!("{} lines were expected, {} were played", expected.lines().count(), played.lines().count()),
    }
}

/// Plays the scripts of a folder; what is not as its log says.
fn wrong(folder: &Path) -> Vec<String> {
    let scenario = Scenario::read(folder).unwrap_or_else(|error| panic!("{error}"));
    let mut wrong = Vec::new();
    for script in scenario.scripts() {
        let played = scenario.play(script).unwrap_or_else(|error| panic!("{error}"));
        let file = Scenario::log_of(script);
        if std::env::var_os("UPDATE").is_some() {
            std::fs::write(&file, &played.log).unwrap();
        }
        let expected = std::fs::read_to_string(&file).unwrap_or_default();
        if expected != played.log {
            let name = format!("{}/{}", scenario.name, file.file_name().unwrap().to_string_lossy());
            wrong.push(format!("{name}, {}", difference(&expected, &played.log)));
        }
    }
    wrong
}

#[test]
fn every_scenario_ends_as_its_log_says() {
    let folders = folders();
    let wrong: Vec<String> = std::thread::scope(|scope| {
        let playing: Vec<_> = folders.iter().map(|folder| scope.spawn(|| wrong(folder))).collect();
        playing.into_iter().flat_map(|one| one.join().expect("a scenario that cannot be played says why")).collect()
    });
    assert!(wrong.is_empty(), "{}\nIf that is meant: UPDATE=1, and read the difference.", wrong.join("\n"));
}

/// The pair proves that the impact report can be red and is not always: carelessness by hand, care by Quorate.
#[test]
fn what_does_harm_by_hand_does_none_with_quorate() {
    let mut pairs = 0;
    for folder in folders().iter().filter(|folder| folder.join("quorate.txt").exists()) {
        let end = |log: &str| {
            let text = std::fs::read_to_string(folder.join(log)).unwrap();
            let line =
                text.lines().find(|line| line.starts_with("The impact report is ")).unwrap_or_default().to_owned();
            (text, line)
        };
        let (by_hand, outcome) = end("expected.log");
        assert_eq!(outcome, "The impact report is RED.", "{}: {by_hand}", folder.display());
        let (by_quorate, outcome) = end("quorate.log");
        assert_eq!(outcome, "The impact report is clean.", "{}: {by_quorate}", folder.display());
        let ends = by_quorate.contains("quorate: completed") || by_quorate.contains("quorate: refused");
        assert!(ends || by_quorate.contains("quorate: PAUSED"), "{}: it says how it ended", folder.display());
        pairs += 1;
    }
    assert!(pairs >= 8 || std::env::var_os("SCENARIO").is_some(), "{pairs} pairs");
}

#[test]
fn every_scenario_says_what_it_is_about_and_is_in_the_list() {
    let list = std::fs::read_to_string(top().join("README.md")).unwrap();
    for folder in folders() {
        let name = folder.file_name().unwrap().to_string_lossy().into_owned();
        let readme = std::fs::read_to_string(folder.join("README.md")).unwrap_or_default();
        assert!(readme.starts_with("# ") && readme.lines().count() >= 3, "{name}/README.md says what happens and why");
        assert!(list.contains(&format!("[{name}]({name}/README.md)")), "{name} is not in scenarios/README.md");
        assert!(folder.join("script.txt").exists(), "{name} has no script.txt");
    }
}

/// What the guide shows of a scenario, by the mark around it.
const TOLD: [(&str, &str, &str); 2] = [
    ("docs/guide/recover.md", "story", "a-second-node-fails-during-the-first-ones-reboot"),
    ("docs/guide/recover.md", "lowered", "votes-lowered-for-nodes-that-are-off"),
];

/// A line of a log without its time.
fn timeless(line: &str) -> &str {
    line.split_once("  ")
        .filter(|(time, _)| time.ends_with(|end: char| end.is_ascii_digit()))
        .map_or(line, |(_, it)| it)
}

/// The piece of a log from the block's first line to its last, whenever these were.
fn piece_of(log: &str, block: &str) -> Option<String> {
    let (first, last) = (timeless(block.lines().next()?), timeless(block.lines().last()?));
    let from: Vec<&str> = log.lines().skip_while(|line| timeless(line) != first).collect();
    let end = from.iter().position(|line| timeless(line) == last)?;
    Some(from[..=end].iter().map(|line| format!("{line}\n")).collect())
}

#[test]
fn what_the_guide_shows_of_a_scenario_is_in_its_log() {
    for (page, mark, scenario) in TOLD {
        let log = std::fs::read_to_string(top().join(scenario).join("expected.log")).unwrap();
        let page = top().join("..").join(page);
        let text = std::fs::read_to_string(&page).unwrap();
        let (before, rest) = text.split_once(&format!("<!-- {mark}:begin -->\n```\n")).expect("the start of the block");
        let (block, after) = rest.split_once(&format!("```\n<!-- {mark}:end -->")).expect("the end of the block");
        let piece = piece_of(&log, block).unwrap_or_else(|| panic!("{scenario} has no such piece:\n{block}"));
        if std::env::var_os("UPDATE").is_some() {
            let anew = format!("{before}<!-- {mark}:begin -->\n```\n{piece}```\n<!-- {mark}:end -->{after}");
            std::fs::write(&page, anew).unwrap();
        }
        let wrong = format!("{}\nIf that is meant: UPDATE=1, and read the difference.", difference(block, &piece));
        assert!(block == piece || std::env::var_os("UPDATE").is_some(), "{mark} in {}: {wrong}", page.display());
    }
}
