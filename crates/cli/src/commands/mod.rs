//! One file per verb. A verb reads its arguments, calls the libraries, prints, and says how it ended.

pub(crate) mod ask;
pub(crate) mod connect;
mod explain;
mod export;
mod guests;
mod init;
mod inspect;
mod log;
pub(crate) mod plan;
pub(crate) mod preflight;
mod recover;
mod report;
pub(crate) mod run;
pub(crate) mod source;
pub(crate) mod status;
pub(crate) mod watch;

use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;

/// Everything that `quorate` can be asked to do.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Verb {
    /// First contact: find the nodes, pin what they show, check the token, write the configuration
    Init(init::Args),
    /// Show the cluster: nodes, votes, links, guests, HA, Ceph, and what is not known
    Inspect(source::Args),
    /// Write a snapshot to a file, for --from
    Export(export::Args),
    /// Show what is in the way of a run, and how to mend it
    Preflight(preflight::Args),
    /// Show every step of a run, its cost and the consents that it needs
    Plan(plan::Args),
    /// Upgrade the cluster
    Run(run::Args),
    /// Show where the run stands
    Status(status::Args),
    /// Let the run stand still at the next safe point
    Pause(ask::PauseArgs),
    /// Agree to costs, and let the run go on
    Approve(ask::ApproveArgs),
    /// Pay back what is owed to the cluster, and end the run
    Abort(ask::AbortArgs),
    /// Let the run go on; take it up if nobody drives it
    Resume(ask::ResumeArgs),
    /// Tell why there is no quorum, what that threatens, and what can be done
    Recover(recover::Args),
    /// Show what happened, event by event
    Log(log::Args),
    /// Show what the run did and what it cost
    Report(report::Args),
    /// Explain a check, an invariant or a step by its id
    Explain(explain::Args),
}

/// Does it.
pub(crate) async fn perform(verb: Verb, context: &Context) -> Result<Exit, Failure> {
    match verb {
        Verb::Init(args) => init::perform(&args, context).await,
        Verb::Inspect(args) => inspect::perform(&args, context).await,
        Verb::Export(args) => export::perform(&args, context).await,
        Verb::Preflight(args) => preflight::perform(&args, context).await,
        Verb::Plan(args) => plan::perform(&args, context).await,
        Verb::Run(args) => run::perform(&args, context).await,
        Verb::Status(args) => status::perform(&args, context),
        Verb::Pause(args) => ask::pause(&args, context),
        Verb::Approve(args) => ask::approve(&args, context).await,
        Verb::Abort(args) => ask::abort(&args, context).await,
        Verb::Resume(args) => ask::resume(&args, context).await,
        Verb::Recover(args) => recover::perform(&args, context).await,
        Verb::Log(args) => log::perform(&args, context),
        Verb::Report(args) => report::perform(&args, context),
        Verb::Explain(args) => explain::perform(&args, context),
    }
}
