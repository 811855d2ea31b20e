use std::{
    fs::{self, File},
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use serde::Serialize;
use tempfile::TempDir;

use crate::{
    check::{Check, Kind, check, check_copy},
    claim::Claim,
    course::Course,
    error::{DbError, Result},
    salvage::{Rescued, salvage},
    side::{JOURNAL, WAL, beside},
    space::{folder, need},
    swap,
};

/// What a repair did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Repaired {
    /// The database.
    pub path: PathBuf,
    /// What was wrong; `None` if it could not even be looked at.
    pub before: Option<Check>,
    /// What was rescued.
    pub rescued: Rescued,
    /// What the new database is.
    pub after: Check,
    /// Where the damaged one is kept; `None` if nothing was put in its place.
    pub kept: Option<PathBuf>,
}

impl Repaired {
    /// Whether every table could be read to its end.
    pub fn is_complete(&self) -> bool {
        self.rescued.tables.iter().all(|table| table.whole) && self.rescued.left_out.is_empty()
    }
}

/// What comes of a repair.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The new database takes the place of the damaged one.
    Replace,
    /// It is only looked at.
    Rehearse,
}

/// Rebuilds a damaged database from what can be read of it; `None` if nothing is wrong with it. All is done on a copy; the damaged one
/// stays beside it under a name of its own.
///
/// # Errors
///
/// If it is in use, no game database, not damaged, beyond repair, or if the disk has no room for the copy and the new one. Then it stays
/// as it is, and nothing is left behind.
pub fn repair(path: &Path, outcome: Outcome, course: &mut Course<'_>) -> Result<Option<Repaired>> {
    let before = match check(path, course) {
        Ok(check) if check.is_sound() && check.kind == Kind::Game => return Ok(None),
        Ok(check) => {
            repairable(&check)?;
            Some(check)
        }
        // A transaction that was interrupted is taken back in the copy.
        Err(DbError::HotJournal(_)) => None,
        Err(error) => return Err(error),
    };
    let claim = Claim::take(path)?;
    let real = claim.real();
    let work = workshop(real)?;
    let copied = work.path().join("damaged.db");
    take_copy(&claim, path, &copied, course).map_err(|error| error.in_folder(folder(real)))?;
    let fresh = crate::space::temporary(real)?;
    let rescued = salvage(&copied, fresh.path(), path, course).map_err(|error| error.in_folder(folder(real)))?;
    // It takes as much room as the database, and nobody needs it any more.
    drop(work);
    let after = check_copy(fresh.path(), path, course)?;
    judge(path, &rescued, &after, before.as_ref())?;
    let kept = match outcome {
        Outcome::Rehearse => None,
        Outcome::Replace => {
            claim.is_still_ours()?;
            swap::replace(fresh, real, "damaged")?
        }
    };
    Ok(Some(Repaired { path: path.to_owned(), before, rescued, after, kept }))
}

/// Refuses what a rebuild does not make better.
fn repairable(check: &Check) -> Result<()> {
    let path = check.path.clone();
    match check.kind {
        Kind::OtherSqlite => Err(DbError::NotAGameDatabase { path, what: check.kind.as_str().to_owned() }),
        Kind::Empty => Err(DbError::BeyondRepair { path, why: "it has no byte".to_owned() }),
        Kind::Game if check.is_whole() => Err(DbError::NothingToRebuild { path, what: check.faults().join("; ") }),
        Kind::Game | Kind::Unreadable | Kind::NotSqlite => Ok(()),
    }
}

/// A folder for the copy and what SQLite keeps beside it.
fn workshop(real: &Path) -> Result<TempDir> {
    let name = real.file_name().unwrap_or_default().to_string_lossy();
    let made = tempfile::Builder::new().prefix(&format!(".{name}.repair.")).tempdir_in(folder(real));
    made.map_err(DbError::io("make a folder in", folder(real)))
}

fn take_copy(claim: &Claim, path: &Path, to: &Path, course: &mut Course<'_>) -> Result<()> {
    let side = claim.side();
    // The copy, and a new one that is no larger.
    need(folder(to), claim.size().saturating_mul(2) + side.wal_bytes.saturating_mul(2))?;
    let mut done = 0;
    let from = claim.file();
    let mut file = File::create(to).map_err(DbError::io("write", to))?;
    loop {
        /// Bytes between two looks at whether it shall stop. The kernel copies them, where it can without moving any.
        const PIECE: u64 = 64 << 20;
        let moved = io::copy(&mut from.take(PIECE), &mut file).map_err(DbError::io("copy", path))?;
        done += moved;
        course.at("copying", path, done, claim.size())?;
        if moved == 0 {
            break;
        }
    }
    for suffix in [WAL, JOURNAL] {
        match fs::copy(beside(claim.real(), suffix), beside(to, suffix)) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(DbError::io("copy the log of", path)(error)),
        }
    }
    Ok(())
}

/// Refuses a new database that is worse than the old one.
fn judge(path: &Path, rescued: &Rescued, after: &Check, before: Option<&Check>) -> Result<()> {
    let rows: u64 = rescued.tables.iter().map(|table| table.rows + table.set_aside).sum();
    if after.kind == Kind::OtherSqlite || rescued.tables.is_empty() {
        return Err(DbError::NotAGameDatabase { path: path.to_owned(), what: "not a game database".to_owned() });
    }
    if rows == 0 {
        let why = "it has no row that can be read".to_owned();
        return Err(DbError::BeyondRepair { path: path.to_owned(), why });
    }
    let worse = |why: String| Err(DbError::NotBetter { path: path.to_owned(), why });
    if !after.is_whole() {
        return worse(format!("the new database is damaged too ({})", after.faults().join("; ")));
    }
    if let Some(table) = rescued.left_out.iter().find(|what| what.starts_with("table ")) {
        return worse(format!("the new database has not the {table}"));
    }
    let games = rescued.tables.iter().find(|table| table.name == "games");
    let rescued_games = games.map_or(0, |table| table.rows + table.set_aside);
    match before.and_then(|check| check.games) {
        Some(games) if games > rescued_games => {
            worse(format!("the new database has {rescued_games} games, the old one {games}"))
        }
        _ => Ok(()),
    }
}
