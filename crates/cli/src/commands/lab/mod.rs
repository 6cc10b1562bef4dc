//! `quorate lab`: a cluster that is not there, served on loopback until it is ended.
//!
//! `up` serves it; the other verbs talk to the lab of a directory through its control door. None of them touches any
//! other cluster.

mod door;
mod files;
mod up;

use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;

pub(crate) use files::write_files;
pub(crate) use up::DEMO_POLICY;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, clap::Subcommand)]
enum Verb {
    /// Serve a cluster on loopback until it is interrupted or ended by `lab down`
    Up(up::Args),
    /// Show how the lab's cluster is, in truth
    Status(door::Place),
    /// Show the harm that was done in the lab up to now; exit code 10 if there is any
    Ledger(door::Place),
    /// Let something go wrong, now or later; `lab fault list` names everything
    Fault(door::FaultArgs),
    /// Agree to a guest's downtime, so that the ledger does not count it as harm
    Consent(door::ConsentArgs),
    /// End the lab; exit code 10 if its ledger shows harm
    Down(door::Place),
}

pub(super) async fn perform(args: &Args, context: &Context) -> Result<Exit, Failure> {
    match &args.verb {
        Verb::Up(args) => up::perform(args, context).await,
        Verb::Status(place) => door::status(place, context).await,
        Verb::Ledger(place) => door::ledger(place, context).await,
        Verb::Fault(args) => door::fault(args, context).await,
        Verb::Consent(args) => door::consent(args, context).await,
        Verb::Down(place) => door::down(place, context).await,
    }
}
