//! Does a process work on a run, since when, and when was it last heard of?

use quorate_core::ids::{RunId, UnixMs};
use quorate_journal::Journal;
use serde_json::{Value, json};

use super::units::{duration, moment};
use crate::clock::wall_now;
use crate::failure::Failure;

/// A driver renews its lease three times as often.
const SILENT_S: u64 = 60;

/// What the journal shows of the process that works on a run.
pub(crate) struct Standing {
    /// The process, and since when.
    pub(crate) works: Option<Works>,
    /// The last sign of life of the process that worked on it last.
    pub(crate) last_sign: Option<(String, UnixMs)>,
    /// Now, by the wall clock.
    pub(crate) now: UnixMs,
}

/// A process that works on a run.
pub(crate) struct Works {
    pub(crate) holder: String,
    pub(crate) since: UnixMs,
    pub(crate) renewed: UnixMs,
    /// It is stopped, and has this number.
    pub(crate) stopped: Option<u32>,
}

impl Standing {
    /// Reads it.
    pub(crate) fn of(journal: &Journal, run: &RunId) -> Result<Self, Failure> {
        let now = wall_now();
        let last = journal.last_lease()?.filter(|lease| lease.run == *run);
        let last_sign = last.map(|lease| (lease.holder.text, lease.renewed));
        let works = journal.driver(now)?.filter(|lease| lease.run == *run).map(|lease| Works {
            since: lease.since,
            renewed: lease.renewed,
            stopped: lease.is_stopped().then_some(lease.holder.pid),
            holder: lease.holder.text,
        });
        Ok(Self { works, last_sign, now })
    }

    /// The process that works on the run, in words.
    pub(crate) fn holder(&self) -> Option<&str> {
        self.works.as_ref().map(|works| works.holder.as_str())
    }

    /// For people: who, since when, the last sign of life, and what is odd about it.
    pub(crate) fn lines(&self) -> Vec<String> {
        let heard =
            |at: UnixMs| format!("its last sign of life was {} ago, at {}", duration(self.now.since_s(at)), moment(at));
        let Some(Works { holder, since, renewed, .. }) = &self.works else {
            return vec![match &self.last_sign {
                Some((holder, at)) => format!("nobody works on it; {holder} was the last, {}", heard(*at)),
                None => "nobody works on it; the last process that did has left it".to_owned(),
            }];
        };
        let line = format!("{holder} works on it since {}; {}", moment(*since), heard(*renewed));
        std::iter::once(line).chain(self.oddities()).collect()
    }

    /// What is odd about the process that works on the run: empty if nothing is.
    pub(crate) fn oddities(&self) -> Vec<String> {
        match &self.works {
            Some(Works { stopped: Some(pid), .. }) => vec![format!(
                "that process is STOPPED (SIGSTOP, ctrl-Z): it does nothing and keeps others out. `kill -CONT {pid}` lets \
                 it continue; `kill -KILL {pid}` ends it, then `quorate resume` continues the run"
            )],
            Some(Works { renewed, .. }) if self.now.since_s(*renewed) > SILENT_S => vec![
                "it may hang: if it stays silent, end that process, then `quorate resume` continues the run".to_owned(),
            ],
            _ => Vec::new(),
        }
    }

    /// For scripts.
    pub(crate) fn json(&self) -> Value {
        let works = self.works.as_ref();
        let last_sign = works.map(|works| works.renewed).or(self.last_sign.as_ref().map(|(_, at)| *at));
        json!({
            "works": works.is_some(), "since": works.map(|works| works.since), "last-sign-of-life": last_sign,
            "stopped": works.is_some_and(|works| works.stopped.is_some()),
        })
    }
}
