//! One file per verb, but for those that only ask a running lab something: they are in `door`.

mod demo;
mod door;
mod files;
mod up;

use quorate::toolkit::{Exit, Failure, Format};

/// Everything that `quorate-lab` can be asked to do.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Verb {
    /// Upgrade a lab cluster that runs inside this process, from inspect to report
    Demo(demo::Args),
    /// Serve a cluster on loopback until it is interrupted or ended by `quorate-lab down`
    Up(up::Args),
    /// Show how the lab's cluster is, in truth
    Status(door::Place),
    /// Show the harm that was done in the lab up to now; exit code 10 if there is any
    Impact(door::Place),
    /// Let something go wrong, now or later; `quorate-lab fault list` names everything
    Fault(door::FaultArgs),
    /// Agree to a guest's downtime, so that the ledger does not count it as harm
    Consent(door::ConsentArgs),
    /// End the lab; exit code 10 if its ledger shows harm
    Down(door::Place),
}

/// Does it.
pub(crate) async fn perform(verb: &Verb, format: Format) -> Result<Exit, Failure> {
    match verb {
        Verb::Demo(args) => demo::perform(args, format).await,
        Verb::Up(args) => up::perform(args, format).await,
        Verb::Status(place) => door::status(place, format).await,
        Verb::Impact(place) => door::impact(place, format).await,
        Verb::Fault(args) => door::fault(args, format).await,
        Verb::Consent(args) => door::consent(args).await,
        Verb::Down(place) => door::down(place, format).await,
    }
}
