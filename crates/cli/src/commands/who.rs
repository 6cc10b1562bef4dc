//! Who speaks, who drives, and how driving ended.

use quorate_core::ids::DriverId;
use quorate_core::run::{Pause, RunOutcome};
use quorate_engine::Ended;
use quorate_journal::Holder;
use ring::rand::{SecureRandom, SystemRandom};

use crate::exit::Exit;

/// Who makes the request, for the journal: `anna@desk`.
pub(crate) fn speaker() -> String {
    let user = ["SUDO_USER", "USER", "LOGNAME"].iter().find_map(|name| std::env::var(name).ok());
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    format!("{}@{}", user.unwrap_or_else(|| "unknown".to_owned()), host.trim())
}

/// This process, as the one that works on a run: by an id that is drawn anew each time.
pub(crate) fn this_driver() -> Holder {
    let mut number = [0; 8];
    SystemRandom::new().fill(&mut number).expect("the system has random numbers");
    let id = DriverId::drawn(u64::from_ne_bytes(number));
    Holder::this_process(this_process(), id)
}

/// The same in words: `anna@desk, process 7`.
pub(crate) fn this_process() -> String {
    format!("{}, process {}", speaker(), std::process::id())
}

/// The exit code of a process that worked on a run.
pub(crate) fn how_it_ended(ended: &Ended) -> Exit {
    match ended {
        Ended::Over(RunOutcome::Completed | RunOutcome::Recovered) => Exit::Ok,
        Ended::Over(RunOutcome::Aborted | RunOutcome::NothingDone(_)) => Exit::Aborted,
        Ended::Paused(Pause::Drained { .. }) => Exit::Ok,
        Ended::Paused(_) => Exit::Paused,
    }
}
