use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
};

use clap::Args;
use ringrift_gamedb::{Check, Course, DbError, Kind, check, find};
use serde_json::{Value, json};

use super::{elsewhere, nodes::Nodes, task};
use crate::{
    bytes::bytes,
    context::Context,
    exit::Exit,
    failure::Failure,
    paint::Tone,
    report::Report,
    table::{Cell, Table, left, right},
};

/// Which databases.
#[derive(Debug, Args)]
pub(crate) struct CheckArgs {
    /// Databases, or folders of nodes: those that have data/games and data/selfplay; without any, the current folder
    #[arg(value_name = "PATH", conflicts_with = "of_nodes")]
    paths: Vec<PathBuf>,

    /// One database
    #[arg(long, value_name = "FILE", conflicts_with = "paths")]
    db: Option<PathBuf>,

    #[command(flatten)]
    nodes: Nodes,
}

/// What became of the check of one file.
type Checked = (PathBuf, Result<Check, DbError>);

pub(super) async fn run(context: &Context, args: CheckArgs) -> Result<Report, Failure> {
    if args.nodes.are_meant() {
        return elsewhere::run(context, &args.nodes, args.db.as_deref()).await;
    }
    let paths = match args.db {
        Some(file) => vec![file],
        None if args.paths.is_empty() => vec![PathBuf::from(".")],
        None => args.paths,
    };
    let files = files(&paths).map_err(|error| task::failure(&error))?;
    let count = files.len();
    let checked = task::run(context, move |course| check_each(files, course)).await?;
    Ok(report(context, &checked, count - checked.len()))
}

/// The files that are meant: a folder stands for the databases of its node.
fn files(paths: &[PathBuf]) -> Result<Vec<PathBuf>, DbError> {
    let mut files = Vec::new();
    for path in paths {
        if path.is_dir() {
            let found = find(path)?;
            if found.is_empty() {
                return Err(DbError::NoneFound(path.clone()));
            }
            let is_here = path == Path::new(".");
            files.extend(found.into_iter().map(|one| if is_here { one.name.into() } else { one.path }));
        } else {
            files.push(path.clone());
        }
    }
    Ok(files)
}

/// Up to the end, or to the wish to stop.
fn check_each(files: Vec<PathBuf>, course: &mut Course<'_>) -> Vec<Checked> {
    let mut checked = Vec::new();
    for path in files {
        match check(&path, course) {
            Err(DbError::Stopped(_)) => break,
            outcome => checked.push((path, outcome)),
        }
    }
    checked
}

fn report(context: &Context, checked: &[Checked], not_reached: usize) -> Report {
    let mut table = Table::new(&[left("FILE"), left("RESULT"), right("GAMES"), right("SIZE"), left("NOTE")]);
    let mut list: Vec<Value> = Vec::new();
    let mut sound = not_reached == 0;
    for (path, outcome) in checked {
        let (result, games, size, note) = match outcome {
            Ok(check) => row(check),
            Err(error) => (Cell::toned(NOT_CHECKED, Tone::Bad), String::new(), String::new(), error.to_string()),
        };
        let ok = outcome.as_ref().is_ok_and(Check::is_sound);
        sound &= ok;
        table.row(vec![path.display().to_string().into(), result, games.into(), size.into(), note.clone().into()]);
        let mut one = outcome.as_ref().map_or_else(|_| json!({ "path": path }), |check| json!(check));
        one["ok"] = ok.into();
        one["message"] = note.into();
        list.push(one);
    }
    let mut text = if checked.is_empty() { String::new() } else { table.render(context.paint) };
    if let [(path, Ok(check))] = checked {
        text.push_str(&details(path, check));
    }
    if not_reached > 0 {
        let _ = writeln!(text, "Stopped: {not_reached} of {} files were not checked.", checked.len() + not_reached);
    }
    let json = json!({ "success": sound, "not_checked": not_reached, "databases": list });
    Report::ok(text, json).exit(if sound { Exit::Ok } else { Exit::Failed })
}

/// The result of a file that was not checked to its end.
pub(super) const NOT_CHECKED: &str = "NOT CHECKED";

fn row(check: &Check) -> (Cell, String, String, String) {
    let result = match check.kind {
        Kind::OtherSqlite => Cell::from("other"),
        _ if check.is_sound() => Cell::toned("ok", Tone::Good),
        _ => Cell::toned("WRONG", Tone::Bad),
    };
    let games = check.games.map_or_else(|| "-".to_owned(), |games| games.to_string());
    let mut notes = check.faults();
    if check.kind == Kind::OtherSqlite {
        notes.push("not a game database: not judged".to_owned());
    }
    if check.wal_bytes > 0 {
        notes.push(format!("log of {}", bytes(check.wal_bytes)));
    }
    if !check.in_use_by.is_empty() {
        let users: Vec<String> = check.in_use_by.iter().map(ToString::to_string).collect();
        notes.push(format!("in use by {}", users.join(", ")));
    }
    (result, games, bytes(check.size_bytes), notes.join("; "))
}

/// All findings, for who asks about one file.
fn details(path: &Path, check: &Check) -> String {
    let mut text = String::new();
    for findings in [&check.integrity, &check.foreign_keys] {
        if findings.found.len() > 1 {
            for finding in &findings.found {
                let _ = writeln!(text, "  {finding}");
            }
            if findings.more {
                text.push_str("  and more\n");
            }
        }
    }
    if !check.is_whole() && check.kind != Kind::Empty {
        let _ = writeln!(text, "To rebuild it: ringriftctl db repair {}", path.display());
    }
    text
}
