mod archive;
mod backup;
mod check;
mod repair;
mod restore;
pub(crate) mod task;
mod verify;

use clap::Subcommand;

pub(crate) use self::backup::machine;
use self::{backup::BackupArgs, check::CheckArgs, repair::RepairArgs, restore::RestoreArgs, verify::VerifyArgs};
use crate::{context::Context, failure::Failure, report::Report};

/// What to do with game databases.
#[derive(Debug, Subcommand)]
pub(crate) enum DbCommand {
    /// Check game databases from end to end: structure, references, tables, version; changes nothing
    ///
    /// A database may be in use: its writer does not wait. Ends with 0 only when all are right; another SQLite file is named and not
    /// judged.
    #[command(after_help = "\
Examples:
  ringriftctl db check                                 all game databases below the current folder
  ringriftctl db check ~/ringrift/ai-service           all of that node
  ringriftctl db check --db data/games/selfplay.db     one, with all findings
  ringriftctl db check --json | jq -r '.databases[] | select(.ok | not) | .path'")]
    Check(CheckArgs),
    /// Rebuild a damaged game database from what can be read of it
    ///
    /// Everything is done on a copy; the disk needs room for the database twice. The new database takes the place of the damaged one
    /// only if it is whole and has no row less; the damaged one is kept beside it. A database in use is left alone.
    #[command(after_help = "\
Examples:
  ringriftctl db repair data/games/selfplay.db --dry-run    what could be rescued
  ringriftctl db repair data/games/selfplay.db")]
    Repair(RepairArgs),
    /// Copy the game databases of this machine into one archive
    ///
    /// Databases may be in use. The archive gets its name when all of it was read again and found right. A backup that was stopped
    /// goes on where it was when the command is repeated. Ends with 0 only when every database is in it and whole.
    #[command(after_help = "\
Examples:
  ringriftctl db backup --output backup_$(date +%Y%m%d).tar.zst
  ringriftctl db backup --output /mnt/backup/gpu-3.tar.zst --root ~/ringrift/ai-service --node gpu-3
  ringriftctl db backup --output b.tar.zst --dry-run    what would be in it")]
    Backup(BackupArgs),
    /// Read an archive of `db backup` from end to end, and compare every database with its digest
    #[command(after_help = "Example:\n  ringriftctl db verify backup_20261127.tar.zst")]
    Verify(VerifyArgs),
    /// Take game databases out of an archive, to where they belong
    ///
    /// The whole archive is verified first. A database that is there is kept under another name; one that is in use is left alone;
    /// one that is the same is not written again. Nothing is written outside of --root.
    #[command(after_help = "\
Examples:
  ringriftctl db restore backup.tar.zst --dry-run               what would happen
  ringriftctl db restore backup.tar.zst --db selfplay.db        one database
  ringriftctl db restore backup.tar.zst --root ~/ringrift/ai-service")]
    Restore(RestoreArgs),
}

pub(crate) async fn run(context: &Context, command: DbCommand) -> Result<Report, Failure> {
    match command {
        DbCommand::Check(args) => check::run(context, args).await,
        DbCommand::Repair(args) => repair::run(context, args).await,
        DbCommand::Backup(args) => backup::run(context, args).await,
        DbCommand::Verify(args) => verify::run(context, args).await,
        DbCommand::Restore(args) => restore::run(context, args).await,
    }
}
