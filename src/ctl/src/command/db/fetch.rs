//! `db restore --from`: one database of another node.

use std::path::{Path, PathBuf};

use ringrift_config::{NodeId, report};
use ringrift_fleet::{Lines, Ssh};
use ringrift_gamedb::{Stop, receive, rehearse};

use super::{
    arriving::Arriving,
    nodes::{Fault, announced, list, skipped},
    restore,
    send::Deed,
    task,
};
use crate::{context::Context, exit::Exit, failure::Failure, fleet, report::Report};

pub(super) async fn run(
    context: &Context,
    program: &Path,
    from: &NodeId,
    db: Option<&str>,
    root: PathBuf,
    dry_run: bool,
) -> Result<Report, Failure> {
    let file = context.hosts()?;
    let host = report::find(&file, from.as_str()).map_err(|unknown| {
        Failure::new(Exit::Failed, unknown.to_string()).advise("`ringriftctl hosts list` shows all.")
    })?;
    if host.ringrift_path.is_none() {
        let why = skipped(host).unwrap_or_default();
        return Err(Failure::new(Exit::Failed, format!("{from}: {why}"))
            .advise(format!("`ringriftctl hosts set {from} ringrift_path=DIR`")));
    }
    let ssh: Ssh = fleet::ssh(program, context).sharing_connections();
    let failed = |fault: Fault| {
        let exit = if fault.state == "unreachable" { Exit::Unreachable } else { Exit::Failed };
        Failure::new(exit, format!("{from}: {}", fault.why)).advise(fault.remedy)
    };
    let listed = list(&ssh, host).await.map_err(failed)?;
    let games: Vec<&str> = listed.iter().filter(|one| one.plan == Deed::Copy).map(|one| one.name.as_str()).collect();
    let name = chosen(from, &games, db)?.to_owned();
    if dry_run {
        let planned =
            task::run(context, move |_| rehearse(&name, &root)).await?.map_err(|error| task::failure(&error))?;
        return Ok(restore::report(context, from.as_str(), &[planned], true));
    }
    let lines = if context.json { Lines::silent() } else { Lines::new("copying there", 1) };
    let (member, session) = {
        let line = lines.begin(from.as_str());
        let announced = tokio::select! {
            announced = announced(&ssh, host, &name, &line) => announced.map_err(failed)?,
            () = task::asked_to_end() => {
                return Err(Failure::new(Exit::Failed, format!("stopped: {name} is left as it was here")));
            }
        };
        line.end(&format!("{name} is copied and checked there"));
        announced
    };
    drop(lines);
    let arriving = Arriving::new(session, Stop::default());
    let restored = task::run(context, move |course| receive(&member, arriving, &root, course)).await?;
    let restored = restored.map_err(|error| task::failure(&error))?;
    Ok(restore::report(context, from.as_str(), &[restored], false))
}

/// The database that is meant, by its path or the end of it.
fn chosen<'a>(from: &NodeId, games: &[&'a str], db: Option<&str>) -> Result<&'a str, Failure> {
    let end = db.map(|db| format!("/{db}"));
    let is_meant = |name: &&&str| match (db, &end) {
        (Some(db), Some(end)) => **name == db || name.ends_with(end.as_str()),
        _ => true,
    };
    let meant: Vec<&&str> = games.iter().filter(is_meant).collect();
    let has = || games.join(", ");
    match (meant.as_slice(), db) {
        ([one], _) => Ok(one),
        ([], _) if games.is_empty() => Err(Failure::new(Exit::Failed, format!("{from} has no game database"))),
        ([], Some(db)) => {
            Err(Failure::new(Exit::Failed, format!("{from} has no game database {db}; it has: {}", has())))
        }
        _ => Err(Failure::new(Exit::Failed, format!("{from} has several game databases: {}", has()))
            .advise("Say which one with --db NAME.")),
    }
}
