#![expect(clippy::doc_markdown, reason = "these comments are help texts: people would see the backticks")]

mod distribute;
mod follow;
mod list;
mod over_ssh;
mod promote;
mod remove;
mod rollback;
mod scope;
mod upkeep;
mod validate;
mod verify;
mod which;

use clap::Subcommand;

use self::{
    distribute::DistributeArgs, list::HistoryArgs, promote::PromoteArgs, remove::RemoveArgs, rollback::RollbackArgs,
    scope::Scope, upkeep::GcArgs, validate::ValidateArgs, verify::VerifyArgs,
};
use crate::{context::Context, failure::Failure, report::Report};

/// What to do with models.
#[derive(Debug, Subcommand)]
pub(crate) enum ModelsCommand {
    /// Show every promoted model, and on how many nodes it is
    #[command(after_help = "\
Examples:
  ringriftctl models list
  ringriftctl models list --json | jq -r '.models[] | select(.distribution.state != \"complete\") | .name'")]
    List,
    /// Make a file the model of its name on every node
    ///
    /// The file is checked and hashed here, uploaded to the node at --api, and promoted. From then on the cluster does the rest:
    /// each node fetches what it lacks from the others, and hashes all of it before programs see it. Other programs go on reading
    /// the version before until then.
    #[command(after_help = "\
Examples:
  ringriftctl models promote best.pth --config hex8_2p --elo 1612
  ringriftctl models promote models/canonical_hex8_2p.pth        its name says which it is
  ringriftctl models promote best.pth --config hex8_2p --wait    in a script: ends with 0 when every node has it")]
    Promote(PromoteArgs),
    /// See to it once more that every node has what was promoted
    ///
    /// Nodes do that by themselves. This starts a new attempt after one that failed, and waits for it.
    #[command(after_help = "\
Examples:
  ringriftctl models distribute --all-canonical
  ringriftctl models distribute --model canonical_hex8_2p.pth --host gpu-3
  ringriftctl models distribute --model hex8_2p --force    every node hashes its copy again
  ringriftctl models distribute --all-canonical --host old-box --over-ssh    a host that runs no daemon")]
    Distribute(DistributeArgs),
    /// Hash the files of a node, or of all nodes, and compare with what was promoted
    ///
    /// Every byte is read again; nothing that a node believes about its files counts. A file that is wrong is replaced by the node
    /// itself, and told of here. Ends with 0 only when all are right.
    #[command(after_help = "\
Examples:
  ringriftctl models verify                        the files of the node at --api
  ringriftctl models verify --all-nodes
  ringriftctl models verify --model hex8_2p --host gpu-3")]
    Verify(VerifyArgs),
    /// Check files on this machine: structure, size, digest; asks no daemon, changes nothing
    #[command(after_help = "\
Examples:
  ringriftctl models validate best.pth
  ringriftctl models validate models/*.pth    and compares with their .sha256 files")]
    Validate(ValidateArgs),
    /// Make the links ringrift_best_* of a node right
    ///
    /// Nodes do that whenever a model changes. This repairs links that somebody else changed.
    #[command(after_help = "\
Examples:
  ringriftctl models link
  ringriftctl models link --all-nodes")]
    Link(Scope),
    /// Show the versions of models, and which of them can be brought back without a file
    #[command(after_help = "\
Examples:
  ringriftctl models history
  ringriftctl models history hex8_2p")]
    History(HistoryArgs),
    /// Make an earlier version current again
    ///
    /// Nodes keep the last versions: no bytes move to those that have it.
    #[command(after_help = "\
Examples:
  ringriftctl models rollback hex8_2p                  to the version before
  ringriftctl models rollback hex8_2p --to 3f2a91c0    to one of `models history`")]
    Rollback(RollbackArgs),
    /// Take a model's name away on every node
    ///
    /// The file, its .sha256 file and its link go; a file that a program wrote there meanwhile is moved aside. Nodes keep the bytes as
    /// an old version for a week; the history of the name is forgotten.
    #[command(after_help = "\
Examples:
  ringriftctl models remove hex8_2p
  ringriftctl models remove experiment.pth --yes    in a script")]
    Remove(RemoveArgs),
    /// Remove stored versions that nothing needs from a node
    ///
    /// Nodes do that by count and age. The current versions, and those that a rollback may need, always stay.
    #[command(after_help = "\
Examples:
  ringriftctl models gc --dry-run --all-nodes    what would go
  ringriftctl models gc --host gpu-3")]
    Gc(GcArgs),
}

pub(crate) async fn run(context: &Context, command: ModelsCommand) -> Result<Report, Failure> {
    match command {
        ModelsCommand::List => list::list(context).await,
        ModelsCommand::History(args) => list::history(context, &args).await,
        ModelsCommand::Promote(args) => promote::run(context, args).await,
        ModelsCommand::Distribute(args) => distribute::run(context, args).await,
        ModelsCommand::Verify(args) => verify::run(context, args).await,
        ModelsCommand::Validate(args) => Ok(validate::run(context, &args)),
        ModelsCommand::Link(scope) => upkeep::link(context, &scope).await,
        ModelsCommand::Rollback(args) => rollback::run(context, args).await,
        ModelsCommand::Remove(args) => remove::run(context, args).await,
        ModelsCommand::Gc(args) => upkeep::gc(context, &args).await,
    }
}
