//! One frame: a picture on so many columns and rows. Whatever the size, the first lines say the most.

use quorate_core::view::RunPhase;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style};
use unicode_width::UnicodeWidthStr;

use super::picture::{Moving, Picture};
use super::rows::{MOST_CHARS, Row, at_most, labelled, packed, wrapped};
use super::table::table;
use super::tone::Tone;
use crate::render::units::{bytes, clock, minutes, second, time_of_day};

/// From so many rows on there is room for empty ones.
const ROOMY: usize = 32;

/// What lies over the picture, or stands in its place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Over {
    /// Nothing: the keys stand below.
    #[default]
    Keys,
    /// What ctrl-C asks.
    Menu,
    /// Is it to be aborted?
    Abort,
    /// What each key does.
    Help,
    /// The log, so many lines up from its end.
    Log(usize),
}

/// Everything that one frame shows.
pub(crate) struct Frame<'a> {
    pub(crate) picture: &'a Picture,
    pub(crate) over: &'a Over,
    /// What came of the last key, for a while.
    pub(crate) said: Option<&'a str>,
    /// All lines of the log; only used where that is shown.
    pub(crate) log: &'a [String],
    /// May it have colours?
    pub(crate) coloured: bool,
}

/// A part of the picture: what it shows in at most so many rows.
struct Section<'a> {
    rows: Box<dyn Fn(usize) -> Vec<Row> + 'a>,
    /// Rows without which it says nothing.
    least: usize,
    /// Rows with which it says all.
    most: usize,
    /// The lower, the sooner it gets its rows.
    rank: usize,
}

impl<'a> Section<'a> {
    fn list(rows: Vec<Row>, least: usize, rank: usize) -> Self {
        let most = rows.len();
        Self { rows: Box::new(move |limit| at_most(&rows, limit)), least: least.min(most), most, rank }
    }
}

impl Frame<'_> {
    /// Paints it.
    pub(crate) fn paint(&self, area: Rect, buffer: &mut Buffer) {
        let area = area.intersection(buffer.area);
        let (width, height) = (usize::from(area.width), usize::from(area.height));
        if width == 0 || height == 0 {
            return;
        }
        for (row, y) in self.rows(width, height).iter().zip(area.top()..area.bottom()) {
            let mut x = area.left();
            for (words, tone) in &row.0 {
                let room = usize::from(area.right().saturating_sub(x));
                (x, _) = buffer.set_stringn(x, y, words, room, style(*tone, self.coloured));
            }
            if row.width() > width {
                buffer.set_string(area.right() - 1, y, "…", style(Tone::Quiet, self.coloured));
            }
        }
    }

    /// Its rows, at most so many.
    fn rows(&self, width: usize, height: usize) -> Vec<Row> {
        let below = self.below(width);
        let room = height.saturating_sub(below.len());
        let mut rows = match self.over {
            Over::Help => HELP.iter().map(|line| Row::of(*line, Tone::Plain)).collect(),
            Over::Log(up) => log(self.log, *up, room),
            Over::Keys | Over::Menu | Over::Abort => self.run(width, room),
        };
        rows.truncate(room);
        rows.resize(room, Row::default());
        rows.extend(below);
        rows.truncate(height);
        rows
    }

    /// What can be done now.
    fn below(&self, width: usize) -> Vec<Row> {
        let said = self.said.map(|said| Row::of(format!(" {said}"), Tone::Busy));
        let keys = match self.over {
            Over::Keys if self.picture.phase == Some(RunPhase::Paused) => {
                vec![Row::of(" r resume  a abort  l log  d detach  ? help", Tone::Quiet)]
            }
            Over::Keys => vec![Row::of(keys(width), Tone::Quiet)],
            Over::Help => vec![Row::of(" any key: back", Tone::Quiet)],
            Over::Log(_) => vec![Row::of(" ↑ ↓ PgUp PgDn Home End   l back", Tone::Quiet)],
            Over::Abort => vec![Row::of(
                " Abort the run: undo what it changed, then end?  y: abort   any other key: go on",
                Tone::Warn,
            )],
            Over::Menu => menu(self.picture, width),
        };
        said.into_iter().chain(keys).collect()
    }

    fn run(&self, width: usize, room: usize) -> Vec<Row> {
        let picture = self.picture;
        let (mut rows, roomy) = (vec![headline(picture, width), bar(picture, width)], room >= ROOMY);
        let sections = self.sections(width, roomy);
        let gaps = if roomy { sections.iter().filter(|section| section.most > 0).count() } else { 0 };
        let granted = grant(&sections, room.saturating_sub(rows.len() + gaps));
        for (section, granted) in sections.iter().zip(granted) {
            let shown = (section.rows)(granted);
            if roomy && !shown.is_empty() {
                rows.push(Row::default());
            }
            rows.extend(shown);
        }
        rows
    }

    fn sections(&self, width: usize, roomy: bool) -> Vec<Section<'_>> {
        let picture = self.picture;
        // One word stands in the first line already.
        let standing = picture.standing.iter().filter(|(words, _)| words.contains(' '));
        let standing = standing.map(|(words, tone)| (words.clone(), *tone));
        let notes = picture.notes.iter().map(|note| (note.clone(), Tone::Plain));
        let notes: Vec<Row> = standing.chain(notes).flat_map(|(words, tone)| wrapped(&words, tone, width)).collect();
        let down = picture.down.iter().map(|down| {
            let tone = if down.is_too_long() { Tone::Bad } else { Tone::Warn };
            Row::of(" DOWN    ", tone).and(down.words(), tone)
        });
        let waiting = picture.waiting.iter().flat_map(|words| labelled(" waits   ", words, Tone::Plain, width));
        let packages =
            picture.packages.iter().map(|line| Row::of(" apt     ", Tone::Busy).and(line.clone(), Tone::Plain));
        let works = picture.works.iter().filter(|_| roomy);
        let works = works.map(|words| Row::of(" driver  ", Tone::Quiet).and(words.clone(), Tone::Quiet));
        let cluster = packed(&picture.cluster_says, width, roomy).into_iter().chain(works);
        let moving = picture.moving.iter().map(|of| moving(of, width)).chain(packages);
        let nodes = picture.nodes.len() + 1;
        vec![
            Section::list(notes, 4, 0),
            Section {
                rows: Box::new(move |limit| table(&picture.nodes, limit, width)),
                least: nodes.min(4),
                most: nodes,
                rank: 2,
            },
            Section::list(cluster.collect(), 1, 3),
            Section::list(moving.collect(), 1, 4),
            Section::list(waiting.collect(), 1, 5),
            Section::list(down.collect(), 2, 1),
            Section { rows: Box::new(|limit| events(picture, limit)), least: 1, most: picture.events.len(), rank: 6 },
        ]
    }
}

/// Rows for each section: first what it must have, then what it would like, the most important first.
fn grant(sections: &[Section<'_>], mut room: usize) -> Vec<usize> {
    let mut granted = vec![0; sections.len()];
    let mut order: Vec<usize> = (0..sections.len()).collect();
    order.sort_by_key(|index| sections[*index].rank);
    for want in [|section: &Section<'_>| section.least, |section: &Section<'_>| section.most] {
        for index in &order {
            let more = want(&sections[*index]).saturating_sub(granted[*index]).min(room);
            granted[*index] += more;
            room -= more;
        }
    }
    granted
}

fn headline(picture: &Picture, width: usize) -> Row {
    let (row, now) = (about(picture), format!("{} ", time_of_day(picture.now)));
    match width.checked_sub(row.width() + now.width()) {
        Some(room) if room >= 2 => row.and(" ".repeat(room) + &now, Tone::Quiet),
        _ => row,
    }
}

/// What, how far, and until when.
fn about(picture: &Picture) -> Row {
    let mut row = Row::of(format!(" {} {}", picture.cluster, picture.run), Tone::Title);
    if let Some((number, of)) = picture.node {
        row = row.and(format!("   node {number}/{of}"), Tone::Title);
    }
    if let Some(percent) = picture.percent {
        row = row.and(format!("   {percent} %"), Tone::Title);
    }
    match (picture.time_left(), &picture.standing) {
        (Some(left), _) => row.and(format!("   {left}"), Tone::Title),
        (None, Some((words, tone))) => {
            row.and(format!("   {}", words.split([':', ' ']).next().unwrap_or_default()), *tone)
        }
        (None, None) => row,
    }
}

fn bar(picture: &Picture, width: usize) -> Row {
    let cells = width.saturating_sub(2);
    let full = cells * usize::from(picture.percent.unwrap_or(0)) / 100;
    let tone = picture.standing.as_ref().map_or(Tone::Good, |(_, tone)| *tone);
    Row::of(" ", Tone::Plain)
        .and("■".repeat(full.min(MOST_CHARS)), tone)
        .and("□".repeat((cells - full).min(MOST_CHARS)), Tone::Quiet)
}

/// ` moving  vm:107 ldap1  hv02→hv04   71 %  11/16 GiB  112 MiB/s  0:08 of ~0:30`.
fn moving(of: &Moving, width: usize) -> Row {
    let row = Row::of(" moving  ", Tone::Busy).and(format!("{}  {}", of.guest, of.way), Tone::Plain);
    let row = match &of.transfer {
        Some(transfer) => {
            let rate = transfer.rate.map(|rate| format!("  {}/s", bytes(rate))).unwrap_or_default();
            let sizes = format!("{} of {}", bytes(transfer.done), bytes(transfer.total));
            row.and(format!("  {} %  {sizes}{rate}", transfer.percent()), Tone::Plain)
        }
        None => row,
    };
    let planned = of.planned_s.map(|planned_s| format!(" of ~{}", clock(planned_s))).unwrap_or_default();
    let time = format!("  {}{planned}", clock(of.for_s));
    if row.width() + time.width() <= width { row.and(time, Tone::Quiet) } else { row }
}

fn events(picture: &Picture, limit: usize) -> Vec<Row> {
    let from = picture.events.len().saturating_sub(limit);
    let each = picture.events[from..]
        .iter()
        .map(|(at, words, tone)| Row::of(format!(" {}  ", second(*at)), Tone::Quiet).and(words.clone(), *tone));
    each.collect()
}

/// Rows of a log up to so many lines before its end.
fn log(lines: &[String], up: usize, room: usize) -> Vec<Row> {
    let end = lines.len().saturating_sub(up).max(room.min(lines.len()));
    lines[end.saturating_sub(room)..end].iter().map(|line| Row::of(line.clone(), Tone::Plain)).collect()
}

/// The last line that can be reached, in lines up from the end.
pub(crate) fn furthest_up(lines: usize, height: u16) -> usize {
    lines.saturating_sub(usize::from(height).saturating_sub(1))
}

fn keys(width: usize) -> &'static str {
    if width >= 72 {
        " p pause after this node  P pause now  a abort  l log  d detach  ? help"
    } else {
        " p P pause  a abort  l log  d detach  ? help"
    }
}

fn menu(picture: &Picture, width: usize) -> Vec<Row> {
    let is = picture.not_as_it_was().unwrap_or_else(|| "everything that the run set is set back".to_owned());
    let current = picture.nodes.iter().find(|row| row.is_current);
    let time = current.and_then(|row| row.left_s).map(|left_s| format!(" (~{})", minutes(left_s))).unwrap_or_default();
    let current = current.map_or("this node", |row| row.name.as_str());
    let choices = [
        "1 go on in the background".to_owned(),
        format!("2 finish {current}, then pause{time}"),
        "3 undo and stop".to_owned(),
        "Enter: go on".to_owned(),
        "ctrl-C: leave".to_owned(),
    ];
    let choices = choices.map(|choice| vec![(choice, Tone::Title)]);
    let is = wrapped(&format!("Now: {is}."), Tone::Warn, width).into_iter().take(4);
    is.chain(packed(&choices, width, false)).collect()
}

fn style(tone: Tone, coloured: bool) -> Style {
    let style = match tone {
        Tone::Title | Tone::Bad => Style::new().add_modifier(Modifier::BOLD),
        Tone::Quiet => Style::new().add_modifier(Modifier::DIM),
        Tone::Plain | Tone::Good | Tone::Busy | Tone::Warn => Style::new(),
    };
    match tone {
        Tone::Good if coloured => style.fg(Color::Green),
        Tone::Busy if coloured => style.fg(Color::Cyan),
        Tone::Warn if coloured => style.fg(Color::Yellow),
        Tone::Bad if coloured => style.fg(Color::Red),
        _ => style,
    }
}

const HELP: [&str; 15] = [
    "",
    " p       pause after this node: it is finished, and no other one is begun",
    " P       pause now: what is under way ends, and nothing new is begun",
    " r       resume a run that is paused",
    " a       abort: undo what the run changed, and end it",
    " l       the whole log",
    " d       detach: the run goes on; `quorate attach` shows it again",
    " ctrl-C  says what is not as it was, and asks",
    "",
    " expected   this run brings it about, and takes it back",
    " unknown    it could not be read; nothing is concluded from it",
    " ~          an estimate: the plan's, corrected by what was measured in this run",
    " waits      what the run waits for",
    " DOWN       by this run: how long so far, and how long was agreed to",
    "",
];
