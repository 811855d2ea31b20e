use std::{path::Path, thread, time::Duration};

use ringrift_blob::Digest;
use rusqlite::{
    Connection, OpenFlags,
    backup::{Backup, StepResult},
};

use crate::{
    check::{Check, check_copy},
    course::Course,
    error::{DbError, Result, is_damage},
    hash,
    open::{Stamp, reading, regular},
    schema,
    space::{folder, need, temporary},
};

/// Pages copied between two looks at whether it shall stop.
const PAGES: i32 = 1024;

/// A copy of a database, as it was at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copied {
    /// Bytes of the copy.
    pub size_bytes: u64,
    /// Its digest.
    pub sha256: Digest,
    /// What the copy is.
    pub check: Check,
}

/// Copies a database that may be written to meanwhile, by SQLite's backup interface, and checks the copy before it gets its name.
///
/// # Errors
///
/// If the source is damaged: [`repair`](crate::repair) makes the most of it. If `to` exists. Then there is no file at `to`.
pub fn copy(from: &Path, to: &Path, course: &mut Course<'_>) -> Result<Copied> {
    if to.exists() {
        return Err(DbError::Exists(to.to_owned()));
    }
    let fresh = temporary(to)?;
    let copied = copy_to(from, fresh.path(), course)?;
    if !copied.check.is_whole() {
        let why = format!("the source is damaged too ({})", copied.check.faults().join("; "));
        return Err(DbError::BadCopy { path: from.to_owned(), why });
    }
    fresh.as_file().sync_all().map_err(DbError::io("write", to))?;
    fresh.persist_noclobber(to).map_err(|error| match error.error.kind() {
        std::io::ErrorKind::AlreadyExists => DbError::Exists(to.to_owned()),
        _ => DbError::io("write", to)(error.error),
    })?;
    let folder = folder(to);
    std::fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(DbError::io("sync", folder))?;
    Ok(copied)
}

/// The digest that a copy of a database has, as an archive of `backup` tells it: a database with a write-ahead log has another one itself.
/// The copy is made where temporary files are, and removed.
///
/// # Errors
///
/// As for [`copy`].
pub fn digest_of_copy(from: &Path, course: &mut Course<'_>) -> Result<Digest> {
    let fresh = temporary(&std::env::temp_dir().join(from.file_name().unwrap_or_default()))?;
    Ok(copy_to(from, fresh.path(), course)?.sha256)
}

/// Copies into an empty file that nobody else knows, damaged or not. A damaged source gives a copy that is damaged in the same places.
pub(crate) fn copy_to(from: &Path, to: &Path, course: &mut Course<'_>) -> Result<Copied> {
    let real = regular(from)?;
    let stamp = Stamp::of(&real).map_err(DbError::io("read", from))?;
    need(folder(to), stamp.size() + stamp.side().wal_bytes)?;
    let games = reading(from, course, |connection, course| {
        std::fs::File::create(to).map_err(DbError::io("write", to))?;
        // The first statement fixes the moment that all is read from.
        let games = match schema::games(connection) {
            Ok(games) => Some(games),
            Err(error) if is_damage(&error) || no_such_table(&error) => None,
            Err(error) => return Err(DbError::sqlite("read", from)(error)),
        };
        pages(connection, from, to, course).map_err(|error| error.in_folder(folder(to)))?;
        Ok(games)
    })?;
    let copied = check_copy(to, from, course)?;
    if games.is_some() && copied.games != games {
        let why = format!("it has {:?} games, the source had {games:?}", copied.games);
        return Err(DbError::BadCopy { path: from.to_owned(), why });
    }
    let (sha256, size_bytes) = hash::file(to, from, course)?;
    Ok(Copied { size_bytes, sha256, check: copied })
}

fn no_such_table(error: &rusqlite::Error) -> bool {
    error.to_string().contains("no such table")
}

fn pages(connection: &Connection, from: &Path, to: &Path, course: &mut Course<'_>) -> Result<()> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut target = Connection::open_with_flags(to, flags).map_err(DbError::sqlite("write", to))?;
    // What is not finished is thrown away: it needs no journal, and is synced once, at the end.
    let quick = target.execute_batch("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF");
    quick.map_err(DbError::sqlite("write", to))?;
    let backup = Backup::new(connection, &mut target).map_err(DbError::sqlite("copy", from))?;
    loop {
        let step = backup.step(PAGES).map_err(DbError::sqlite("copy", from))?;
        let progress = backup.progress();
        let page = |count: i32| u64::try_from(count).unwrap_or(0);
        course.at("copying", from, page(progress.pagecount - progress.remaining), page(progress.pagecount))?;
        match step {
            StepResult::Done => return Ok(()),
            StepResult::Busy | StepResult::Locked => thread::sleep(Duration::from_millis(20)),
            _ => {}
        }
    }
}
