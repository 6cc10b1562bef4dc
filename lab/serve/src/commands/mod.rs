//! One file per verb, except for those that only send a request to a running lab: they are in `door`.

mod demo;
mod door;
mod files;
mod up;

use quorate::toolkit::{Exit, Failure, Format};

/// The verbs of `quorate-lab`.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Verb {
    /// Upgrade a lab cluster that runs inside this process, from inspect to report
    Demo(demo::Args),
    /// Serve a cluster on loopback until it is interrupted or ended by `quorate-lab down`
    Up(up::Args),
    /// Show the true state of the lab's cluster
    Status(door::Place),
    /// Show the impact report: the harm done in the lab up to now; exit code 10 if there is any
    #[command(name = "ledger")]
    Impact(door::Place),
    /// Inject a fault, now or later; `quorate-lab fault list` shows all of them
    Fault(door::FaultArgs),
    /// Agree to a guest's downtime, so that the impact report does not count it as harm
    Consent(door::ConsentArgs),
    /// End the lab; exit code 10 if its impact report shows harm
    Down(door::Place),
}

/// Performs a verb and returns the exit code.
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
