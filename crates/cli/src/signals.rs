//! Signals that tell a process to stop. For one that works on a run SIGHUP is none: a terminal that is closed ends nothing.

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch::{Receiver, channel};

use crate::exit::Exit;
use crate::failure::Failure;

/// Counts the signals from the moment that it listens.
#[derive(Clone)]
pub(crate) struct Signals(Receiver<u32>);

impl Signals {
    /// SIGINT and SIGTERM. From now on these, and SIGHUP, end nothing by themselves.
    pub(crate) fn listen() -> Result<Self, Failure> {
        Self::counting(false)
    }

    /// The same with SIGHUP: a terminal that is gone answers no question.
    pub(crate) fn while_asking() -> Result<Self, Failure> {
        Self::counting(true)
    }

    fn counting(hang_ups: bool) -> Result<Self, Failure> {
        let (mut interrupt, mut terminate) = (of(SignalKind::interrupt())?, of(SignalKind::terminate())?);
        let mut hang_up = of(SignalKind::hangup())?;
        let (came, seen) = channel(0);
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    Some(()) = interrupt.recv() => came.send_modify(|count| *count += 1),
                    Some(()) = terminate.recv() => came.send_modify(|count| *count += 1),
                    Some(()) = hang_up.recv() => came.send_modify(|count| *count += u32::from(hang_ups)),
                    else => break,
                }
            }
        });
        Ok(Self(seen))
    }

    /// The work, unless a signal came or comes before it is done.
    pub(crate) async fn unless<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            () = self.clone().stop(1) => None,
            done = work => Some(done),
        }
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
