//! Signals that tell a process to stop. SIGHUP is none: a terminal that is closed ends nothing.

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch::{Receiver, channel};

use crate::exit::Exit;
use crate::failure::Failure;

/// Counts SIGINT and SIGTERM from the moment that it listens.
#[derive(Clone)]
pub(crate) struct Signals(Receiver<u32>);

impl Signals {
    /// From now on these signals, and SIGHUP, end nothing by themselves.
    pub(crate) fn listen() -> Result<Self, Failure> {
        let (mut interrupt, mut terminate) = (of(SignalKind::interrupt())?, of(SignalKind::terminate())?);
        let mut hang_up = of(SignalKind::hangup())?;
        let (came, seen) = channel(0);
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    Some(()) = interrupt.recv() => came.send_modify(|count| *count += 1),
                    Some(()) = terminate.recv() => came.send_modify(|count| *count += 1),
                    Some(()) = hang_up.recv() => {}
                    else => break,
                }
            }
        });
        Ok(Self(seen))
    }

    /// Ready when so many came.
    pub(crate) async fn stop(mut self, count: u32) {
        if self.0.wait_for(|came| *came >= count).await.is_err() {
            // Nobody listens any more: no signal comes.
            std::future::pending::<()>().await;
        }
    }
}

/// A signal, as a stream.
pub(crate) fn of(kind: SignalKind) -> Result<Signal, Failure> {
    signal(kind).map_err(|error| {
        let happened = format!("signals cannot be received: {error}");
        Failure::new(Exit::Internal, happened, "Nothing was started.", &["Try again."])
    })
}
