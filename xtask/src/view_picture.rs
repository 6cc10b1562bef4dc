//! `docs/guide/view.svg`: a frame of the live view as a picture, from the golden file that a test holds the view to.

#![allow(clippy::disallowed_methods, reason = "a picture of the documentation is what this writes")]

use std::fmt::Write as _;
use std::path::Path;

const FRAME: &str = "crates/cli/src/live/snapshots/rebooting-80.snap";
const PICTURE: &str = "docs/guide/view.svg";

/// Columns of the frame.
const COLUMNS: usize = 80;

/// Width of a character in tenths of the picture's units.
const WIDE_TENTHS: usize = 78;

/// Height of a line.
const HIGH: usize = 17;

/// Words that have a colour of their own in the view.
const COLOURED: &[(&str, &str)] =
    &[("REBOOTING", "#e5c07b"), ("DOWN", "#e06c75"), ("■", "#98c379"), (" done ", "#98c379")];

fn picture(frame: &str) -> String {
    // The frame is behind the second `---` of the golden file.
    let lines: Vec<&str> = frame.splitn(3, "---\n").nth(2).unwrap_or_default().lines().collect();
    let (width, height) = (COLUMNS * WIDE_TENTHS / 10 + 20, lines.len() * HIGH + 20);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" font-family=\"monospace\" \
         font-size=\"13\" fill=\"#d7dae0\" role=\"img\" aria-label=\"The live view of a run\">\n\
         <rect width=\"{width}\" height=\"{height}\" rx=\"6\" fill=\"#1e2127\"/>\n"
    );
    for (row, line) in lines.iter().enumerate() {
        let colour = COLOURED.iter().find(|(word, _)| line.contains(word)).map_or("#d7dae0", |(_, colour)| colour);
        let text = line.replace('&', "&amp;").replace('<', "&lt;");
        let _ = writeln!(
            svg,
            "<text x=\"10\" y=\"{}\" fill=\"{colour}\" xml:space=\"preserve\">{text}</text>",
            10 + (row + 1) * HIGH - 4
        );
    }
    svg + "</svg>\n"
}

fn made(root: &Path) -> std::io::Result<String> {
    Ok(picture(&std::fs::read_to_string(root.join(FRAME))?))
}

/// Writes it.
pub(crate) fn write(root: &Path) -> std::io::Result<()> {
    std::fs::write(root.join(PICTURE), made(root)?)
}

/// It is not what the golden file shows.
pub(crate) fn stale(root: &Path) -> Vec<String> {
    let is_fresh = made(root).ok().is_some_and(|made| std::fs::read_to_string(root.join(PICTURE)).ok() == Some(made));
    if is_fresh { Vec::new() } else { vec![PICTURE.to_owned()] }
}
