//! What a person types, line by line, and whether there is one.
//!
//! The lines are read by a thread of their own: a question can be left by a signal, and the end of the program never
//! waits for somebody to type.

use std::io::{BufRead, IsTerminal};
use std::sync::OnceLock;

use tokio::sync::Mutex;
use tokio::sync::mpsc::{Receiver, channel};

use crate::render::page::Page;

/// The lines that were typed and that nobody has taken yet.
static TYPED: OnceLock<Mutex<Receiver<String>>> = OnceLock::new();

/// Is somebody there to be asked?
pub(crate) fn somebody_is_there() -> bool {
    std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// Prints a question and leaves its line open. What was typed before it was asked is no answer to it.
pub(crate) async fn ask(question: &str) {
    let mut typed = typed().lock().await;
    while typed.try_recv().is_ok() {}
    let mut page = Page::default();
    page.line(question);
    page.print_err_open();
}

/// The next line, without blanks around it; none at the end of the input.
pub(crate) async fn line() -> Option<String> {
    typed().lock().await.recv().await.map(|line| line.trim().to_owned())
}

fn typed() -> &'static Mutex<Receiver<String>> {
    TYPED.get_or_init(|| {
        let (sender, receiver) = channel(8);
        std::thread::spawn(move || {
            let lines = std::io::stdin().lock().lines();
            for line in lines.map_while(Result::ok) {
                if sender.blocking_send(line).is_err() {
                    break;
                }
            }
        });
        Mutex::new(receiver)
    })
}
