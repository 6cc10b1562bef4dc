//! One file per verb. A verb reads its arguments, calls the libraries, prints, and returns an exit code.

pub(crate) mod ask;
mod attach;
mod begin;
mod config;
pub(crate) mod connect;
mod drain;
mod driver_process;
mod explain;
mod export;
mod follow;
mod from_cluster;
mod guests;
mod init;
mod inspect;
mod log;
pub(crate) mod plan;
pub(crate) mod preflight;
mod recover;
mod report;
pub(crate) mod run;
mod runs;
pub(crate) mod source;
pub(crate) mod status;
mod until;
pub(crate) mod watch;
pub(crate) mod who;

use crate::context::Context;
use crate::exit::Exit;
use crate::failure::Failure;

/// The verbs of `quorate`.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Verb {
    /// First contact: find the nodes, pin their certificates and host keys, check the token, write the configuration
    Init(init::Args),
    /// Show the cluster: nodes, votes, links, guests, HA, Ceph, and what is unknown
    Inspect(source::Args),
    /// Write a snapshot of the cluster to a file, for --from
    Export(export::Args),
    /// Show what prevents the upgrade, and how to fix it
    Preflight(preflight::Args),
    /// Show every step of the upgrade, its cost and the consents it needs
    Plan(plan::Args),
    /// Upgrade the cluster
    Run(run::Args),
    /// Empty a node for work on its hardware, with the rules and the undo of a run; nothing is upgraded
    Drain(drain::Args),
    /// Give back a node that was drained
    Undrain(drain::UndrainArgs),
    /// Show the state of the run
    Status(status::Args),
    /// Watch the run while it goes on
    Attach(attach::Args),
    /// Pause the run at the next safe point
    Pause(ask::PauseArgs),
    /// Consent to what the plan costs, and let the run continue
    Approve(ask::ApproveArgs),
    /// Set back flags, maintenance mode and stopped guests, then end the run
    Abort(ask::AbortArgs),
    /// Continue a paused run, or one whose process has ended
    Resume(ask::ResumeArgs),
    /// Show why quorum is lost, what is at risk, and what you can do
    Recover(recover::Args),
    /// List all runs of the journal
    Runs(runs::Args),
    /// Check the configuration file
    Config(config::Args),
    /// Show what happened, event by event
    Log(log::Args),
    /// Show what the run did and what it cost
    Report(report::Args),
    /// Explain a check, an invariant or a step by its id
    Explain(explain::Args),
    /// Work on a run, as the process that `run` and `resume` start
    #[command(hide = true)]
    Drive(driver_process::Args),
}

/// Performs a verb and returns the exit code.
pub(crate) async fn perform(verb: Verb, context: &Context) -> Result<Exit, Failure> {
    match verb {
        Verb::Init(args) => init::perform(&args, context).await,
        Verb::Inspect(args) => inspect::perform(&args, context).await,
        Verb::Export(args) => export::perform(&args, context).await,
        Verb::Preflight(args) => preflight::perform(&args, context).await,
        Verb::Plan(args) => plan::perform(&args, context).await,
        Verb::Run(args) => run::perform(&args, context).await,
        Verb::Drain(args) => drain::perform(&args, context).await,
        Verb::Undrain(args) => drain::undrain(&args, context).await,
        Verb::Status(args) if args.watch => attach::watch(args.run.as_deref(), context).await,
        Verb::Status(args) => status::perform(&args, context),
        Verb::Attach(args) => attach::perform(&args, context).await,
        Verb::Pause(args) => ask::pause(&args, context),
        Verb::Approve(args) => ask::approve(&args, context).await,
        Verb::Abort(args) => ask::abort(&args, context).await,
        Verb::Resume(args) => ask::resume(&args, context).await,
        Verb::Recover(args) => recover::perform(&args, context).await,
        Verb::Runs(args) => runs::perform(&args, context),
        Verb::Config(args) => config::perform(&args, context),
        Verb::Log(args) => log::perform(&args, context).await,
        Verb::Report(args) => report::perform(&args, context),
        Verb::Explain(args) => explain::perform(&args, context),
        Verb::Drive(args) => driver_process::perform(&args, context).await,
    }
}
