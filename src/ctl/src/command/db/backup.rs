use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
};

use clap::Args;
use ringrift_config::NodeId;
use ringrift_gamedb::{BackedUp, Course, DbError, Found, Kind, backup, find, kind};
use serde_json::json;

use super::{
    archive::{contents, databases},
    task,
};
use crate::{
    bytes::bytes,
    context::Context,
    exit::Exit,
    failure::Failure,
    report::Report,
    table::{Table, left, right},
};

/// From where to where.
#[derive(Debug, Args)]
pub(crate) struct BackupArgs {
    /// The archive to write, by custom F.tar.zst; never over one that is there
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,

    /// The node's folder: the one that has data/games and data/selfplay
    #[arg(long, value_name = "DIR", default_value = ".")]
    root: PathBuf,

    /// The node's name in the archive; without it, this machine's
    #[arg(long, value_name = "NAME", env = "RINGRIFT_NODE_ID")]
    node: Option<NodeId>,

    /// Only say what would be in it
    #[arg(long, short = 'n')]
    dry_run: bool,
}

pub(super) async fn run(context: &Context, args: BackupArgs) -> Result<Report, Failure> {
    let BackupArgs { output, root, node, dry_run } = args;
    let node = node.map_or_else(machine, |node| node.to_string());
    if dry_run {
        let found = task::run(context, move |course| look(&root, &output, course)).await?;
        return Ok(plan(context, &found.map_err(|error| task::failure(&error))?));
    }
    let made = task::run(context, move |course| backup(&root, &node, &output, course)).await?;
    match made {
        Ok(made) => Ok(report(context, &made)),
        Err(error @ (DbError::Stopped(_) | DbError::DiskFull { .. })) => {
            Err(task::failure(&error)
                .advise("Repeat the command: it goes on behind the last database that is finished."))
        }
        Err(error) => Err(task::failure(&error)),
    }
}

/// What this machine is called.
pub(crate) fn machine() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// A file that a backup would look at: its size, and what it is or why that is not known.
type Seen = (Found, u64, Result<Kind, DbError>);

fn look(root: &Path, output: &Path, course: &mut Course<'_>) -> Result<Vec<Seen>, DbError> {
    if output.exists() {
        return Err(DbError::Exists(output.to_owned()));
    }
    let found = find(root)?;
    if found.is_empty() {
        return Err(DbError::NoneFound(root.to_owned()));
    }
    let mut seen = Vec::new();
    for one in found {
        let size = one.path.metadata().map_or(0, |metadata| metadata.len());
        let kind = match kind(&one.path, course) {
            Err(error @ DbError::Stopped(_)) => return Err(error),
            kind => kind,
        };
        seen.push((one, size, kind));
    }
    Ok(seen)
}

fn plan(context: &Context, seen: &[Seen]) -> Report {
    let mut table = Table::new(&[left("FILE"), left("PLAN"), right("SIZE"), left("NOTE")]);
    let (mut files, mut size, mut complete) = (Vec::new(), 0, true);
    for (one, bytes_of, kind) in seen {
        let (deed, note) = match kind {
            Ok(Kind::Game) => ("copy", String::new()),
            Ok(Kind::Unreadable) => ("copy", Kind::Unreadable.as_str().to_owned()),
            Ok(kind @ (Kind::OtherSqlite | Kind::Empty)) => ("leave", kind.as_str().to_owned()),
            Ok(kind @ Kind::NotSqlite) => ("MISSING", kind.as_str().to_owned()),
            Err(error) => ("MISSING", error.to_string()),
        };
        complete &= deed != "MISSING";
        if deed == "copy" {
            size += bytes_of;
        }
        table.row(vec![one.name.as_str().into(), deed.into(), bytes(*bytes_of).into(), note.clone().into()]);
        files.push(json!({ "name": one.name, "plan": deed.to_lowercase(), "size_bytes": bytes_of, "message": note }));
    }
    let mut text = table.render(context.paint);
    let _ = writeln!(text, "At most {} would be written. Nothing was changed.", bytes(size));
    let json = json!({ "success": complete, "dry_run": true, "files": files, "size_bytes": size });
    Report::ok(text, json).exit(if complete { Exit::Ok } else { Exit::Failed })
}

fn report(context: &Context, made: &BackedUp) -> Report {
    let mut text = contents(context, &made.manifest);
    let count = databases(made.manifest.databases.len());
    let _ = writeln!(
        text,
        "Backed up {count} of {} to {}, {}; all of it was read again.",
        made.manifest.node,
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
