//! What a local resource manager writes about itself: state, mode, results, current work. Types only.

use std::collections::BTreeMap;

use quorate_core::ids::GuestId;

use super::ServiceState;

/// A local resource manager and its `lrm_status`.
#[derive(Clone, Debug)]
pub struct Lrm {
    /// Is the daemon running?
    pub running: bool,
    /// What it does now.
    pub state: LrmState,
    /// How it treats its services.
    pub mode: LrmMode,
    /// When it last wrote.
    pub timestamp_ms: u64,
    /// Last successful round with the agent lock: what the watchdog counts from.
    pub watchdog_fed_ms: u64,
    /// Until when its agent lock is held if it vanishes.
    pub lock_until_ms: u64,
    /// Rounds in a row without any service here.
    pub idle_rounds: u32,
    /// Results by uid.
    pub results: BTreeMap<String, LrmResult>,
    /// Current work by uid.
    pub workers: BTreeMap<String, Worker>,
    /// The daemon is stopping, and waits until the master has frozen its services.
    pub leaving: Option<Leaving>,
}

/// An orderly stop of the daemon in progress.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leaving {
    /// When the stop was requested.
    pub since_ms: u64,
    /// Is it started again (a restart, as in a package upgrade)?
    pub returns: bool,
}

/// A piece of an LRM's work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Worker {
    /// The service concerned.
    pub sid: GuestId,
    /// What the worker waits for.
    pub stage: WorkStage,
}

/// What a worker waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WorkStage {
    /// For the guest's start.
    Starting,
    /// For the guest's stop.
    Stopping,
    /// For the end of a move.
    Moving,
}

/// What a worker reported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LrmResult {
    /// The service concerned.
    pub sid: GuestId,
    /// State it worked for.
    pub state: ServiceState,
    /// 0 success, 1 error, 2 try again, 3 wrong node.
    pub exit_code: i32,
}

/// LRM states.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LrmState {
    /// `wait_for_agent_lock`.
    WaitForAgentLock,
    /// `active`.
    Active,
    /// `maintenance`.
    Maintenance,
    /// `lost_agent_lock`.
    LostAgentLock,
}

impl LrmState {
    /// As in lrm_status.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::WaitForAgentLock => "wait_for_agent_lock",
            Self::Active => "active",
            Self::Maintenance => "maintenance",
            Self::LostAgentLock => "lost_agent_lock",
        }
    }
}

/// LRM modes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LrmMode {
    /// `active`.
    Active,
    /// `maintenance`.
    Maintenance,
    /// `restart`.
    Restart,
    /// `shutdown`.
    Shutdown,
    /// `disarm`.
    Disarm,
}

impl LrmMode {
    /// As in lrm_status.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Maintenance => "maintenance",
            Self::Restart => "restart",
            Self::Shutdown => "shutdown",
            Self::Disarm => "disarm",
        }
    }
}
