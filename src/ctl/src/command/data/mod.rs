mod archive;
mod cleanup;
mod ground;
mod restore;

use clap::Subcommand;

use self::{archive::ArchiveArgs, cleanup::CleanupArgs, restore::RestoreArgs};
use crate::{context::Context, failure::Failure, report::Report};

/// What to do with what is old.
#[derive(Debug, Subcommand)]
pub(crate) enum DataCommand {
    /// Move what is old and replaceable to a trash, and delete what has been there for its grace period
    ///
    /// What would go is listed first, with sizes. Never goes: what some process has open, a canonical model or one that a link leads to, a
    /// file outside of the node's folders, and training data that not enough others are known to have: --manifest says who has what.
    #[command(after_help = CLEANUP_EXAMPLES)]
    Cleanup(CleanupArgs),
    /// Put old game databases into an archive, read it again, and move them to the trash
    ///
    /// A database stays if it is in use, or if it changed while it was copied.
    #[command(after_help = "\
Examples:
  ringriftctl data archive --output old_$(date +%Y%m%d).tar.zst --keep-days 30
  ringriftctl data archive --output old.tar.zst --keep-days 30 --dry-run   what would be in it
  ringriftctl db restore old.tar.zst --db selfplay.db                      take one out again")]
    Archive(ArchiveArgs),
    /// Put back what a cleanup or an archive has moved to the trash
    #[command(after_help = "\
Examples:
  ringriftctl data restore                     what is in the trash
  ringriftctl data restore 20261128T120000Z    put it back")]
    Restore(RestoreArgs),
}

const CLEANUP_EXAMPLES: &str = "\
Examples:
  ringriftctl data cleanup --keep-days 7 --dry-run
  ringriftctl data cleanup --keep-days 7 --manifest backup_20261128.tar.zst
  ringriftctl data cleanup --keep-days 7 --if-needed --yes       for a timer: only what the hosts file's thresholds want
  ringriftctl data cleanup --keep-days 7 --json | jq .bytes";

pub(crate) async fn run(context: &Context, command: DataCommand) -> Result<Report, Failure> {
    match command {
        DataCommand::Cleanup(args) => cleanup::run(context, args).await,
        DataCommand::Archive(args) => archive::run(context, args).await,
        DataCommand::Restore(args) => restore::run(context, &args),
    }
}
