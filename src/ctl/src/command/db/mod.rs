mod archive;
mod arriving;
mod backup;
mod check;
mod elsewhere;
mod fetch;
mod gather;
mod nodes;
mod repair;
mod restore;
mod send;
pub(crate) mod task;
mod verify;

use clap::Subcommand;

pub(crate) use self::backup::machine;
use self::{
    backup::BackupArgs, check::CheckArgs, repair::RepairArgs, restore::RestoreArgs, send::SendArgs, verify::VerifyArgs,
};
use crate::{context::Context, exit::Exit, failure::Failure};

/// What to do with game databases.
#[derive(Debug, Subcommand)]
pub(crate) enum DbCommand {
    /// Check game databases from end to end: structure, references, tables, version; changes nothing
    ///
    /// A database may be in use: its writer does not wait. Ends with 0 only when all are right; another SQLite file is named
    /// and not judged. With --all-nodes or --node, each node checks its own, over SSH.
    #[command(after_help = "\
Examples:
  ringriftctl db check                                 all game databases below the current folder
  ringriftctl db check ~/ringrift/ai-service           all of that node
  ringriftctl db check --db data/games/selfplay.db     one, with all findings
  ringriftctl db check --all-nodes                     those of every node, each below its ringrift_path
  ringriftctl db check --node 'gpu-*'
  ringriftctl db check --json | jq -r '.databases[] | select(.ok | not) | .path'")]
    Check(CheckArgs),
    /// Rebuild a damaged game database from what can be read of it
    ///
    /// Everything is done on a copy; the disk needs room for the database twice. The new database takes the place of the
    /// damaged one only if it is whole and has no row less; the damaged one is kept beside it. A database in use is left
    /// alone.
    #[command(after_help = "\
Examples:
  ringriftctl db repair data/games/selfplay.db --dry-run    what could be rescued
  ringriftctl db repair data/games/selfplay.db")]
    Repair(RepairArgs),
    /// Copy the game databases of this machine, or of many nodes, into one archive
    ///
    /// Databases may be in use. The archive gets its name when all of it was read again and found right. A backup that was
    /// stopped goes on where it was when the command is repeated. Ends with 0 only when every database is in it and whole.
    /// With --all-nodes or --node, each node copies and checks its own and sends them over SSH; a node that is missing is
    /// named.
    #[command(after_help = "\
Examples:
  ringriftctl db backup --output backup_$(date +%Y%m%d).tar.zst
  ringriftctl db backup --output /mnt/backup/gpu-3.tar.zst --root ~/ringrift/ai-service --name gpu-3
  ringriftctl db backup --output /mnt/backup/all.tar.zst --all-nodes
  ringriftctl db backup --output b.tar.zst --dry-run    what would be in it")]
    Backup(BackupArgs),
    /// Read an archive of `db backup` from end to end, and compare every database with its digest
    #[command(after_help = "Example:\n  ringriftctl db verify backup_20261127.tar.zst")]
    Verify(VerifyArgs),
    /// Take game databases out of an archive, or one from another node, to where they belong
    ///
    /// The whole archive is verified first; what comes from a node is copied and checked there, and compared with that when
    /// it has come. A database that is there is kept under another name; one that is in use is left alone; one that is the
    /// same is not written again. Nothing is written outside of --root.
    #[command(after_help = "\
Examples:
  ringriftctl db restore backup.tar.zst --dry-run               what would happen
  ringriftctl db restore backup.tar.zst --db selfplay.db        one database
  ringriftctl db restore backup.tar.zst --root ~/ringrift/ai-service
  ringriftctl db restore all.tar.zst --node gpu-3 --root ~/ringrift/ai-service
  ringriftctl db restore --from gpu-3 --db selfplay.db          as it is on that node now")]
    Restore(RestoreArgs),
    /// List or send the game databases of this machine; run by `check`, `backup` and `restore` on other nodes
    #[command(hide = true)]
    Send(SendArgs),
}

pub(crate) async fn run(context: &Context, command: DbCommand) -> Result<Exit, Failure> {
    let report = match command {
        DbCommand::Check(args) => check::run(context, args).await?,
        DbCommand::Repair(args) => repair::run(context, args).await?,
        DbCommand::Backup(args) => backup::run(context, args).await?,
        DbCommand::Verify(args) => verify::run(context, args).await?,
        DbCommand::Restore(args) => restore::run(context, args).await?,
        DbCommand::Send(args) => return send::run(context, args).await,
    };
    report.print(context.json)?;
    Ok(report.exit)
}
