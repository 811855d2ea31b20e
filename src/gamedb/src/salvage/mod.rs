//! Making a new database of what can be read of a damaged one.
//!
//! Each table is read by SQLite, from its beginning and from its end up to what is damaged. What lies between is looked for on the pages
//! themselves: a damaged page hides all pages below it, but these are whole.

mod header;
mod orphans;
mod pages;
mod record;
mod scan;
mod tables;
mod target;

use std::path::Path;

use rusqlite::{Connection, OpenFlags, config::DbConfig};
use serde::Serialize;

use self::{
    orphans::Rescue,
    tables::{Object, Table, objects, quoted},
    target::Target,
};
use crate::{
    course::Course,
    error::{DbError, Result, is_damage},
    open::immutable,
    side::Side,
};

/// What was rescued of a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RescuedTable {
    /// Its name.
    pub name: String,
    /// Rows of the new table.
    pub rows: u64,
    /// Those of them that SQLite did not reach any more, found on their pages.
    pub found_on_pages: u64,
    /// Rows that the table's constraints do not allow, kept in `salvaged_NAME`.
    pub set_aside: u64,
    /// Whether SQLite read the whole table: then nothing of it is lost.
    pub whole: bool,
}

/// What was rescued.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Rescued {
    /// The tables.
    pub tables: Vec<RescuedTable>,
    /// Indexes, views and the like that could not be made again, each with the reason.
    pub left_out: Vec<String>,
    /// Pages with rows of which nobody knows the table.
    pub unknown_pages: u64,
    /// Whether the database's header had to be written anew.
    pub new_header: bool,
}

/// Rescues what is in `copy`, which is changed on the way, into the empty file `fresh`. `named` is what the database is called.
pub(crate) fn salvage(copy: &Path, fresh: &Path, named: &Path, course: &mut Course<'_>) -> Result<Rescued> {
    let mut rescued = Rescued { new_header: prepare(copy, named)?, ..Rescued::default() };
    let failed = |error| DbError::sqlite("read", named)(error);
    let mut damaged = immutable(copy).map_err(failed)?;
    course.can_stop(&mut damaged).map_err(failed)?;
    tolerant(&damaged).map_err(failed)?;
    let objects = objects(&damaged).map_err(failed)?;
    let writing = |error| DbError::sqlite("write a new database beside", named)(error);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(fresh, flags).map_err(writing)?;
    course.can_stop(&mut connection).map_err(writing)?;
    let logged = begin(&damaged, &connection).map_err(writing)?;

    let mut targets = Vec::new();
    let mut others = vec![1];
    for object in objects.iter().filter(|object| object.kind == "table") {
        match make(object, &connection).map_err(writing)? {
            Ok(Some(target)) => targets.push(Rescue { target, whole: false, found_on_pages: 0 }),
            Ok(None) => others.push(object.root),
            Err(why) => {
                others.push(object.root);
                rescued.left_out.push(why);
            }
        }
    }
    for table in &mut targets {
        course.at("rescuing rows of", named, 0, 0)?;
        let what = |rows| course.at("rescuing rows of", named, rows, 0);
        table.whole = scan_table(&damaged, &mut table.target, what, named)?;
    }
    if targets.iter().any(|table| !table.whole) {
        rescued.unknown_pages = orphans::rescue(copy, named, &mut targets, &others, course)?;
    }
    rescued.tables = targets
        .into_iter()
        .map(|table| RescuedTable {
            name: table.target.table().name.clone(),
            rows: table.target.rows,
            found_on_pages: table.found_on_pages,
            set_aside: table.target.set_aside,
            whole: table.whole,
        })
        .collect();
    sequences(&damaged, &connection, &objects).map_err(writing)?;
    for kind in ["index", "view", "trigger"] {
        for object in objects.iter().filter(|object| object.kind == kind && !object.sql.is_empty()) {
            course.at("making indexes of", named, 0, 0)?;
            match connection.execute_batch(&object.sql) {
                Ok(()) => {}
                Err(error) if is_fatal(&error) => return Err(writing(error)),
                Err(error) => rescued.left_out.push(format!("{kind} {}: {error}", object.name)),
            }
        }
    }
    connection.execute_batch("COMMIT").map_err(writing)?;
    if logged {
        connection.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(())).map_err(writing)?;
    }
    connection.close().map_err(|(_, error)| writing(error))?;
    Ok(rescued)
}

/// Brings log and journal into the copy, and gives it a header if it has none. Whether it got one.
fn prepare(copy: &Path, named: &Path) -> Result<bool> {
    let beyond = |why: String| DbError::BeyondRepair { path: named.to_owned(), why };
    let mut new_header = false;
    if let Err(error) = settle(copy) {
        if !is_damage(&error) {
            return Err(DbError::sqlite("read", named)(error));
        }
        new_header = header::mend(copy, || settle(copy).is_ok()).map_err(DbError::io("read", named))?;
        if !new_header {
            return Err(beyond(error.to_string()));
        }
    }
    match Side::of(copy) {
        Ok(Side { wal_bytes: 0, hot_journal: false }) => Ok(new_header),
        Ok(_) => Err(beyond("its log cannot be applied".to_owned())),
        Err(error) => Err(DbError::io("read", named)(error)),
    }
}

fn settle(copy: &Path) -> rusqlite::Result<()> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(copy, flags)?;
    tolerant(&connection)?;
    // The first look takes an interrupted transaction back.
    connection.prepare("SELECT 1 FROM sqlite_schema")?.exists([])?;
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
    connection.close().map_err(|(_, error)| error)
}

/// Lets a database be opened whose file is shorter than it should be, or whose list of tables has entries that make no sense.
fn tolerant(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_WRITABLE_SCHEMA, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    Ok(())
}

/// Makes the new database like the old one, and begins the only transaction. Whether the old one had a write-ahead log.
fn begin(damaged: &Connection, fresh: &Connection) -> rusqlite::Result<bool> {
    let number = |name: &str| damaged.query_row(&format!("PRAGMA {name}"), [], |row| row.get::<_, i64>(0));
    let encoding: String = damaged.query_row("PRAGMA encoding", [], |row| row.get(0))?;
    fresh.execute_batch(&format!("PRAGMA encoding = '{encoding}'"))?;
    for name in ["page_size", "auto_vacuum", "user_version", "application_id"] {
        fresh.execute_batch(&format!("PRAGMA {name} = {}", number(name)?))?;
    }
    // It is thrown away if it is not finished; rows without their game are kept, and so is what a CHECK does not allow.
    fresh.execute_batch(
        "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA foreign_keys = OFF;
         PRAGMA ignore_check_constraints = ON; PRAGMA cache_size = -65536; BEGIN",
    )?;
    let mode: String = damaged.query_row("PRAGMA journal_mode", [], |row| row.get(0))?;
    Ok(mode.eq_ignore_ascii_case("wal"))
}

/// Makes a table; `None` for what SQLite makes by itself, and a reason for what cannot be made.
fn make<'c>(object: &Object, fresh: &'c Connection) -> rusqlite::Result<Result<Option<Target<'c>>, String>> {
    if object.name.starts_with("sqlite_") {
        return Ok(Ok(None));
    }
    if object.sql.get(..14).is_some_and(|begin| begin.eq_ignore_ascii_case("CREATE VIRTUAL")) {
        return Ok(Err(format!("table {}: it is a virtual one", object.name)));
    }
    let made = fresh.execute_batch(&object.sql).and_then(|()| Table::of(object, fresh));
    match made.and_then(|table| Target::new(fresh, table)) {
        Ok(target) => Ok(Ok(Some(target))),
        Err(error) if is_fatal(&error) => Err(error),
        Err(error) => Ok(Err(format!("table {}: {error}", object.name))),
    }
}

/// Whether an error is the disk's or a wish to stop, and not the statement's own.
fn is_fatal(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode;
    matches!(
        error.sqlite_error_code(),
        Some(
            ErrorCode::DiskFull | ErrorCode::SystemIoFailure | ErrorCode::OperationInterrupted | ErrorCode::OutOfMemory
        )
    )
}

fn scan_table(
    damaged: &Connection,
    target: &mut Target<'_>,
    mut tell: impl FnMut(u64) -> Result<()>,
    named: &Path,
) -> Result<bool> {
    /// Rows between two looks at the time.
    const ROWS: u64 = 1000;
    let scanned = scan::scan(damaged, target, &mut |rows| {
        if rows.is_multiple_of(ROWS) {
            // What shall stop ends by the connection.
            let _ = tell(rows);
        }
    });
    scanned.map_err(DbError::sqlite("rescue rows of", named))
}

/// Keeps the numbers that AUTOINCREMENT gave away.
fn sequences(damaged: &Connection, fresh: &Connection, objects: &[Object]) -> rusqlite::Result<()> {
    if !objects.iter().any(|object| object.name == "sqlite_sequence") {
        return Ok(());
    }
    let Ok(mut statement) = damaged.prepare("SELECT name, seq FROM sqlite_sequence") else { return Ok(()) };
    let mut rows = statement.raw_query();
    while let Ok(Some(row)) = rows.next() {
        let (Ok(name), Ok(number)) = (row.get::<_, String>(0), row.get::<_, i64>(1)) else { continue };
        let raised = fresh.execute("UPDATE sqlite_sequence SET seq = max(seq, ?2) WHERE name = ?1", (&name, number))?;
        if raised == 0 && fresh.prepare(&format!("SELECT 1 FROM {}", quoted(&name))).is_ok() {
            fresh.execute("INSERT INTO sqlite_sequence (name, seq) VALUES (?1, ?2)", (&name, number))?;
        }
    }
    Ok(())
}
