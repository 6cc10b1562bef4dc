//! Exit codes. Documented in `docs/guide/exit-codes.md`, which a test compares with this file.

use std::process::ExitCode;

/// How a command ended, for scripts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done as asked.
    Ok = 0,
    /// A bug in Quorate itself.
    Internal = 1,
    /// The command line, the configuration file or an input file is wrong.
    Usage = 2,
    /// Blocking findings forbid the upgrade.
    Blocked = 3,
    /// The plan needs the operator's consent.
    NeedsConsent = 4,
    /// The cluster cannot be reached, does not show what is pinned, or refuses the credentials.
    Cluster = 5,
    /// There is no plan that keeps every rule.
    NoPlan = 6,
    /// The run is paused and waits for the operator.
    Paused = 7,
    /// Another process works on the run already, or none does where one is needed.
    Driver = 8,
    /// The journal cannot be read or written, or holds no run.
    Journal = 9,
    /// The lab's impact report shows harm.
    Harm = 10,
    /// The run was ended by the operator before all nodes were done.
    Aborted = 11,
    /// The cluster has no quorum.
    NoQuorum = 12,
    /// The process was told to stop, and the run is open.
    Stopped = 13,
}

impl Exit {
    /// All exit codes, with the meaning given in the documentation.
    pub(crate) const ALL: &[(Self, &str)] = &[
        (Self::Ok, "Done as asked."),
        (Self::Internal, "A bug in Quorate itself."),
        (Self::Usage, "The command line, the configuration file or an input file is wrong."),
        (Self::Blocked, "Blocking findings forbid the upgrade."),
        (Self::NeedsConsent, "The plan needs the operator's consent."),
        (Self::Cluster, "The cluster cannot be reached, does not show what is pinned, or refuses the credentials."),
        (Self::NoPlan, "There is no plan that keeps every rule."),
        (Self::Paused, "The run is paused and waits for the operator."),
        (Self::Driver, "Another process works on the run already, or none does where one is needed."),
        (Self::Journal, "The journal cannot be read or written, or holds no run."),
        (Self::Harm, "The lab's impact report shows harm."),
        (Self::Aborted, "The run was ended by the operator before all nodes were done."),
        (Self::NoQuorum, "The cluster has no quorum."),
        (Self::Stopped, "The process was told to stop. The run is open: `quorate resume` continues it."),
    ];

    /// The exit status as a number.
    pub(crate) fn code(self) -> u8 {
        self as u8
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_guide_lists_every_exit_code_with_its_meaning_and_no_other() {
        let page = include_str!("../../../docs/guide/exit-codes.md");
        let listed: Vec<&str> = page.lines().filter(|line| line.starts_with("| ") && !line.contains("---")).collect();
        let expected: Vec<String> =
            Exit::ALL.iter().map(|(exit, meaning)| format!("| {} | {meaning} |", exit.code())).collect();
        assert_eq!(listed[1..], expected);
        let codes: Vec<u8> = Exit::ALL.iter().map(|(exit, _)| exit.code()).collect();
        assert_eq!(codes, (0..=13).collect::<Vec<u8>>());
    }
}
