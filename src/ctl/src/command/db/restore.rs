use std::path::PathBuf;

use clap::Args;
use ringrift_config::NodeId;
use ringrift_gamedb::{DbError, Outcome, Restored, Restoring, Wanted, restore};
use serde_json::json;

use super::{fetch, task};
use crate::{
    context::Context,
    exit::Exit,
    failure::Failure,
    paint::Tone,
    report::Report,
    table::{Cell, Table, left},
};

/// From where to where.
#[derive(Debug, Args)]
pub(crate) struct RestoreArgs {
    /// The archive
    #[arg(value_name = "ARCHIVE", required_unless_present = "from", conflicts_with = "from")]
    archive: Option<PathBuf>,

    /// Fetch one database from this node of the hosts file, over SSH, as it is there now
    #[arg(long, value_name = "NODE")]
    from: Option<NodeId>,

    /// One database: its path in the archive or on the node, or the end of it
    #[arg(long, value_name = "NAME")]
    db: Option<String>,

    /// Of an archive of several nodes: whose databases
    #[arg(long, value_name = "NODE", env = "RINGRIFT_NODE_ID", conflicts_with = "from")]
    node: Option<NodeId>,

    /// The node's folder: the one that has, or shall have, data/games and data/selfplay
    #[arg(long, value_name = "DIR", default_value = ".")]
    root: PathBuf,

    /// Only say what would happen
    #[arg(long, short = 'n')]
    dry_run: bool,

    /// The ssh to use with --from
    #[arg(long, value_name = "PROGRAM", env = "RINGRIFT_SSH", default_value = "ssh")]
    ssh: PathBuf,
}

pub(super) async fn run(context: &Context, args: RestoreArgs) -> Result<Report, Failure> {
    let RestoreArgs { archive, from, db, node, root, dry_run, ssh } = args;
    let archive = match (archive, from) {
        (Some(archive), _) => archive,
        (None, Some(from)) => return fetch::run(context, &ssh, &from, db.as_deref(), root, dry_run).await,
        (None, None) => unreachable!("one of them is required"),
    };
    let outcome = if dry_run { Outcome::Rehearse } else { Outcome::Replace };
    let done = task::run(context, move |course| {
        let wanted = Wanted { node: node.as_ref().map(NodeId::as_str), database: db.as_deref() };
        restore(&archive, &root, wanted, outcome, course)
    });
    let done = done.await?;
    let (manifest, restored) = done.map_err(|error| match &error {
        DbError::Stopped(_) | DbError::DiskFull { .. } => {
            task::failure(&error).advise("Repeat the command: what is restored already is not written again.")
        }
        _ => task::failure(&error),
    })?;
    Ok(report(context, &manifest.whose(), &restored, dry_run))
}

/// What became of databases of a node.
pub(super) fn report(context: &Context, node: &str, restored: &[Restored], dry_run: bool) -> Report {
    let refused = restored.iter().any(|one| matches!(one.outcome, Restoring::Refused { .. }));
    let json = json!({ "success": !refused, "dry_run": dry_run, "node": node, "databases": restored });
    let exit = if refused { Exit::Failed } else { Exit::Ok };
    Report::ok(table(context, restored), json).exit(exit)
}

fn table(context: &Context, restored: &[Restored]) -> String {
    let mut table = Table::new(&[left("DATABASE"), left("RESULT"), left("NOTE")]);
    for one in restored {
        let (result, note) = match &one.outcome {
            Restoring::Restored { kept: Some(kept) } => {
                (Cell::toned("restored", Tone::Good), format!("the one before is kept as {}", kept.display()))
            }
            Restoring::Restored { kept: None } => (Cell::toned("restored", Tone::Good), String::new()),
            Restoring::Same => (Cell::toned("same", Tone::Good), "was there already".to_owned()),
            Restoring::Would { replaces: true } => {
                (Cell::from("would be restored"), "the one that is there would be kept".to_owned())
            }
            Restoring::Would { replaces: false } => (Cell::from("would be restored"), String::new()),
            Restoring::Refused { reason } => (Cell::toned("NOT RESTORED", Tone::Bad), reason.clone()),
        };
        table.row(vec![one.name.as_str().into(), result, note.into()]);
    }
    table.render(context.paint)
}
