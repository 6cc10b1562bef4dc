//! The picture on a terminal, and its keys.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crossterm::event::{Event as Input, EventStream, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use futures_util::StreamExt;
use quorate_core::ids::RunId;
use quorate_core::run::Request;
use quorate_journal::Journal;
use ratatui::DefaultTerminal;

use super::Left;
use super::frame::{Frame, Over, furthest_up};
use super::reading::Reading;
use crate::clock::wall_now;
use crate::commands::who::speaker;
use crate::failure::Failure;
use crate::render::log;

/// How often the journal is read, and the picture drawn.
const EVERY: Duration = Duration::from_millis(500);

/// For how many of these times what came of a key is shown.
const SAID_FOR: u32 = 12;

/// The terminal as it was, however this ends.
struct Restored(DefaultTerminal);

impl Drop for Restored {
    fn drop(&mut self) {
        // A terminal that is gone needs none of it.
        let _ = ratatui::try_restore();
    }
}

/// Draws until the run is over or whoever watches goes.
pub(super) async fn watch(journal: &Journal, run: &RunId, gone: &AtomicBool) -> Result<Left, Failure> {
    let mut reading = Reading::begin(journal, run)?;
    let mut screen = Screen { journal, run, over: Over::Keys, said: None, height: 0 };
    let Ok(terminal) = ratatui::try_init() else { return Ok(Left::Detached) };
    let mut terminal = Restored(terminal);
    let mut keys = EventStream::new();
    loop {
        // A terminal that is closed is no reason to stop anything: the run goes on.
        if screen.draw(&mut terminal.0, &reading).is_err() {
            return Ok(Left::Detached);
        }
        match reading.rests(gone) {
            Some(left @ (Left::RunOver | Left::Paused)) => return Ok(left),
            Some(left) if gone.load(Ordering::Relaxed) => return Ok(left),
            _ => {}
        }
        let left = tokio::select! {
            () = pause() => None,
            input = keys.next() => match input {
                Some(Ok(Input::Key(key))) if key.kind != KeyEventKind::Release => screen.key(key, &reading),
                Some(Ok(_)) => None,
                Some(Err(_)) | None => Some(Left::Detached),
            },
        };
        if let Some(left) = left {
            return Ok(left);
        }
        reading.read_on()?;
    }
}

#[allow(clippy::disallowed_methods, reason = "who watches does so in real time")]
async fn pause() {
    tokio::time::sleep(EVERY).await;
}

/// What lies over the picture, and what is told of the last key.
struct Screen<'a> {
    journal: &'a Journal,
    run: &'a RunId,
    over: Over,
    said: Option<(String, u32)>,
    height: u16,
}

impl Screen<'_> {
    fn draw(&mut self, terminal: &mut DefaultTerminal, reading: &Reading<'_>) -> std::io::Result<()> {
        if let Some((_, times)) = &mut self.said {
            *times = times.saturating_sub(1);
        }
        self.said.take_if(|(_, times)| *times == 0);
        let lines: Vec<String> = match self.over {
            Over::Log(_) => log_lines(reading),
            _ => Vec::new(),
        };
        let picture = reading.picture();
        let said = self.said.as_ref().map(|(said, _)| said.as_str());
        let coloured = std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        let frame = Frame { picture: &picture, over: &self.over, said, log: &lines, coloured };
        let drawn = terminal.draw(|on| frame.paint(on.area(), on.buffer_mut()))?;
        self.height = drawn.area.height;
        Ok(())
    }

    fn key(&mut self, key: KeyEvent, reading: &Reading<'_>) -> Option<Left> {
        let is_ctrl_c = key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL);
        let over = std::mem::take(&mut self.over);
        match (over, key.code) {
            (Over::Menu, _) if is_ctrl_c => return Some(Left::Stop),
            (_, _) if is_ctrl_c => self.over = Over::Menu,
            (Over::Menu, KeyCode::Char('1')) | (Over::Keys, KeyCode::Char('d')) => return Some(Left::Detached),
            (Over::Menu, KeyCode::Char('2')) | (Over::Keys, KeyCode::Char('p')) => {
                self.ask(&Request::PauseAfterNode, "asked to pause when this node is done");
            }
            (Over::Menu, KeyCode::Char('3')) | (Over::Abort, KeyCode::Char('y')) => {
                self.ask(&Request::Abort, "asked to undo what the run changed, and to end it");
            }
            (Over::Menu, KeyCode::Enter | KeyCode::Esc) => {}
            (Over::Menu, _) => self.over = Over::Menu,
            (Over::Keys, KeyCode::Char('P')) => self.ask(&Request::Pause, "asked to pause now"),
            (Over::Keys, KeyCode::Char('r')) if reading.is_paused() => {
                self.ask(&Request::Resume, "asked to resume");
            }
            (Over::Keys, KeyCode::Char('a')) => self.over = Over::Abort,
            (Over::Keys, KeyCode::Char('l')) => self.over = Over::Log(0),
            (Over::Keys, KeyCode::Char('?')) => self.over = Over::Help,
            (Over::Log(up), code) => self.over = scrolled(up, code, log_lines(reading).len(), self.height),
            (Over::Keys | Over::Help | Over::Abort, _) => {}
        }
        None
    }

    /// A row in the journal; the driver handles it at its next turn.
    fn ask(&mut self, request: &Request, words: &str) {
        let said = match self.journal.post_request(self.run, wall_now(), &speaker(), request) {
            Ok(()) => words.to_owned(),
            Err(error) => format!("not asked: {error}"),
        };
        self.said = Some((said, SAID_FOR));
    }
}

fn log_lines(reading: &Reading<'_>) -> Vec<String> {
    log::log(&reading.entries, usize::MAX).as_str().lines().map(str::to_owned).collect()
}

/// Where the log stands after a key; `l`, Esc and `q` lead back.
fn scrolled(up: usize, code: KeyCode, lines: usize, height: u16) -> Over {
    let (most, page) = (furthest_up(lines, height), usize::from(height).saturating_sub(2).max(1));
    let up = match code {
        KeyCode::Up | KeyCode::Char('k') => up + 1,
        KeyCode::Down | KeyCode::Char('j') => up.saturating_sub(1),
        KeyCode::PageUp => up + page,
        KeyCode::PageDown | KeyCode::Char(' ') => up.saturating_sub(page),
        KeyCode::Home => most,
        KeyCode::End => 0,
        KeyCode::Char('l' | 'q') | KeyCode::Esc | KeyCode::Enter => return Over::Keys,
        _ => up,
    };
    Over::Log(up.min(most))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::golden;

    /// Types these keys; what was asked, where the screen stands, and whether it was left.
    fn typed(keys: &[KeyEvent], paused: bool) -> (Vec<Request>, Over, Option<Left>) {
        let (journal, run) = (Journal::in_memory().unwrap(), RunId::new("golden"));
        let pause = quorate_core::run::Pause::Operator { by: "anna".to_owned() };
        let pause = paused.then_some((golden::BEGAN, quorate_core::run::Event::Paused { pause }));
        for (at, event) in golden::events(Some(3)).into_iter().chain(pause) {
            journal.append(&run, at, &event).unwrap();
        }
        let reading = Reading::begin(&journal, &run).unwrap();
        let mut screen = Screen { journal: &journal, run: &run, over: Over::Keys, said: None, height: 24 };
        let left = keys.iter().find_map(|key| screen.key(*key, &reading));
        let asked = journal.pending_requests(&run).unwrap().into_iter().map(|posted| posted.request);
        (asked.collect(), screen.over, left)
    }

    fn key(key: char) -> KeyEvent {
        KeyEvent::from(KeyCode::Char(key))
    }

    fn ctrl_c() -> KeyEvent {
        KeyEvent::new(KeyCode::Char('c'), KeyModifiers::CONTROL)
    }

    #[test]
    fn what_changes_the_run_is_asked_through_the_journal_and_an_abort_only_after_a_question() {
        assert_eq!(typed(&[key('p')], false), (vec![Request::PauseAfterNode], Over::Keys, None));
        assert_eq!(typed(&[key('P')], false), (vec![Request::Pause], Over::Keys, None));
        assert_eq!(typed(&[key('a')], false), (Vec::new(), Over::Abort, None));
        assert_eq!(typed(&[key('a'), key('n')], false), (Vec::new(), Over::Keys, None));
        assert_eq!(typed(&[key('a'), key('y')], false), (vec![Request::Abort], Over::Keys, None));
        assert_eq!(typed(&[key('r')], false), (Vec::new(), Over::Keys, None), "there is nothing to resume");
        assert_eq!(typed(&[key('r')], true), (vec![Request::Resume], Over::Keys, None));
    }

    #[test]
    fn ctrl_c_asks_and_a_second_one_leaves_at_once() {
        assert_eq!(typed(&[ctrl_c()], false), (Vec::new(), Over::Menu, None));
        assert_eq!(typed(&[ctrl_c(), ctrl_c()], false).2, Some(Left::Stop));
        assert_eq!(typed(&[ctrl_c(), key('1')], false), (Vec::new(), Over::Keys, Some(Left::Detached)));
        assert_eq!(typed(&[ctrl_c(), key('2')], false), (vec![Request::PauseAfterNode], Over::Keys, None));
        assert_eq!(typed(&[ctrl_c(), key('3')], false), (vec![Request::Abort], Over::Keys, None));
        assert_eq!(typed(&[ctrl_c(), KeyEvent::from(KeyCode::Enter)], false), (Vec::new(), Over::Keys, None));
        assert_eq!(typed(&[ctrl_c(), key('x')], false), (Vec::new(), Over::Menu, None), "no other key is an answer");
        assert_eq!(typed(&[key('l'), ctrl_c()], false).1, Over::Menu, "wherever one is");
    }

    #[test]
    fn the_log_is_scrolled_within_its_lines_and_left_by_the_key_that_opened_it() {
        let scrolled_by = |code| scrolled(0, code, 100, 24);
        assert_eq!(scrolled_by(KeyCode::Up), Over::Log(1));
        assert_eq!(scrolled_by(KeyCode::Down), Over::Log(0));
        assert_eq!(scrolled_by(KeyCode::Home), Over::Log(77), "one row is for the keys");
        assert_eq!(scrolled(77, KeyCode::PageUp, 100, 24), Over::Log(77));
        assert_eq!(scrolled_by(KeyCode::Char('l')), Over::Keys);
        assert_eq!(scrolled(5, KeyCode::Up, 3, 24), Over::Log(0), "all of it fits");
    }
}
