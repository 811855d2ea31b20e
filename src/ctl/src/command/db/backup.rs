use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
};

use clap::Args;
use ringrift_config::NodeId;
use ringrift_gamedb::{BackedUp, Course, DbError, backup};
use serde_json::json;

use super::{
    archive::{contents, databases},
    gather,
    nodes::Nodes,
    send::{Deed, Listed, list},
    task,
};
use crate::{
    bytes::bytes,
    context::Context,
    exit::Exit,
    failure::Failure,
    report::Report,
    table::{Cell, Table, left, right},
};

/// From where to where.
#[derive(Debug, Args)]
pub(crate) struct BackupArgs {
    /// The archive to write, by custom F.tar.zst; never over one that is there
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,

    #[command(flatten)]
    nodes: Nodes,

    /// The node's folder: the one that has data/games and data/selfplay
    #[arg(long, value_name = "DIR", default_value = ".", conflicts_with = "of_nodes")]
    root: PathBuf,

    /// This machine's name in the archive; without it, the one that it has itself
    #[arg(long, value_name = "NAME", env = "RINGRIFT_NODE_ID")]
    name: Option<NodeId>,

    /// Only say what would be in it
    #[arg(long, short = 'n')]
    dry_run: bool,
}

pub(super) async fn run(context: &Context, args: BackupArgs) -> Result<Report, Failure> {
    let BackupArgs { output, nodes, root, name, dry_run } = args;
    if nodes.are_meant() {
        return if dry_run {
            gather::plan(context, &nodes, &output).await
        } else {
            gather::run(context, &nodes, output).await
        };
    }
    let node = name.map_or_else(machine, |node| node.to_string());
    if dry_run {
        let found = task::run(context, move |course| look(&root, &output, course)).await?;
        return Ok(plan(context, &found.map_err(|error| task::failure(&error))?));
    }
    let made = task::run(context, move |course| backup(&root, &node, &output, course)).await?;
    match made {
        Ok(made) => Ok(report(context, &made)),
        Err(error) => Err(failure(&error)),
    }
}

/// What to do about a backup that is not there.
pub(super) fn failure(error: &DbError) -> Failure {
    let failure = task::failure(error);
    match error {
        DbError::Stopped(_) | DbError::DiskFull { .. } => {
            failure.advise("Repeat the command: it goes on behind the last database that is finished.")
        }
        _ => failure,
    }
}

/// What this machine is called.
pub(crate) fn machine() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

fn look(root: &Path, output: &Path, course: &mut Course<'_>) -> Result<Vec<Listed>, DbError> {
    if output.exists() {
        return Err(DbError::Exists(output.to_owned()));
    }
    let listed = list(root, course)?;
    if listed.is_empty() { Err(DbError::NoneFound(root.to_owned())) } else { Ok(listed) }
}

fn plan(context: &Context, listed: &[Listed]) -> Report {
    let mut table = Table::new(&[left("FILE"), left("PLAN"), right("SIZE"), left("NOTE")]);
    for one in listed {
        let cells = [one.name.clone(), one.plan.as_str().to_owned(), bytes(one.size_bytes), one.message.clone()];
        table.row(cells.map(Cell::from).to_vec());
    }
    let size = to_copy(listed);
    let complete = listed.iter().all(|one| one.plan != Deed::Missing);
    let mut text = table.render(context.paint);
    let _ = writeln!(text, "At most {} would be written. Nothing was changed.", bytes(size));
    let json = json!({ "success": complete, "dry_run": true, "files": listed, "size_bytes": size });
    Report::ok(text, json).exit(if complete { Exit::Ok } else { Exit::Failed })
}

/// Bytes of what is copied.
pub(super) fn to_copy(listed: &[Listed]) -> u64 {
    listed.iter().filter(|one| one.plan == Deed::Copy).map(|one| one.size_bytes).sum()
}

pub(super) fn report(context: &Context, made: &BackedUp) -> Report {
    let mut text = contents(context, &made.manifest);
    let count = databases(made.manifest.databases.len());
    let _ = writeln!(
        text,
        "Backed up {count} of {} to {}, {}; all of it was read again.",
        made.manifest.whose(),
        made.path.display(),
        bytes(made.size_bytes)
    );
    if made.resumed > 0 {
        let _ = writeln!(text, "{} of an earlier attempt were not copied again.", databases(made.resumed));
    }
    let complete = made.manifest.is_complete();
    if !complete {
        text.push_str("The backup is not complete: see what is missing or damaged above.\n");
    }
    let json = json!({
        "success": complete,
        "path": made.path,
        "size_bytes": made.size_bytes,
        "resumed": made.resumed,
        "manifest": made.manifest,
    });
    Report::ok(text, json).exit(if complete { Exit::Ok } else { Exit::Failed })
}
