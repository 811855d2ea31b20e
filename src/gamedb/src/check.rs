use std::{
    fs::File,
    io::Read as _,
    path::{Path, PathBuf},
};

use rusqlite::Connection;
use serde::Serialize;

use crate::{
    course::Course,
    error::{DbError, Result, is_damage},
    open::{Stamp, reading, regular},
    schema,
    side::{WAL, beside},
    users::{User, users},
    wal,
};

/// At most so many findings of a kind are told.
pub const MOST_FINDINGS: usize = 50;

/// The first bytes of every SQLite database.
const MAGIC: &[u8; 16] = b"SQLite format 3\0";

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// A game database.
    Game,
    /// A SQLite database of something else. Nothing more is asked of it.
    OtherSqlite,
    /// A SQLite database whose list of tables cannot be read.
    Unreadable,
    /// No SQLite database, or one that lost its beginning.
    NotSqlite,
    /// A file without a byte.
    Empty,
}

impl Kind {
    /// As people say it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Game => "a game database",
            Self::OtherSqlite => "not a game database, but another SQLite file",
            Self::Unreadable => "a SQLite file whose list of tables cannot be read",
            Self::NotSqlite => "not a SQLite file",
            Self::Empty => "empty",
        }
    }
}

/// What was found, up to a limit.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Findings {
    /// The first ones.
    pub found: Vec<String>,
    /// Whether there are more.
    pub more: bool,
}

impl Findings {
    fn push(&mut self, finding: String) {
        if self.found.len() < MOST_FINDINGS {
            self.found.push(finding);
        } else {
            self.more = true;
        }
    }

    /// Whether nothing was found.
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }
}

/// What a database is, and what is wrong with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Check {
    /// The file.
    pub path: PathBuf,
    /// What it is.
    pub kind: Kind,
    /// Bytes of the file itself.
    pub size_bytes: u64,
    /// Bytes of its write-ahead log.
    pub wal_bytes: u64,
    /// Who has it open, as far as this user may see.
    pub in_use_by: Vec<User>,
    /// Games in it; `None` if they cannot be counted.
    pub games: Option<u64>,
    /// The version of its tables.
    pub schema_version: Option<String>,
    /// Tables that every game database has, but not this one.
    pub missing_tables: Vec<&'static str>,
    /// What `PRAGMA integrity_check` found, and what cannot be read at all.
    pub integrity: Findings,
    /// Rows that refer to rows that are not there.
    pub foreign_keys: Findings,
}

impl Check {
    /// Whether all of it can be read.
    pub fn is_whole(&self) -> bool {
        match self.kind {
            Kind::Game => self.integrity.is_empty(),
            Kind::OtherSqlite => true,
            Kind::Unreadable | Kind::NotSqlite | Kind::Empty => false,
        }
    }

    /// Whether nothing is wrong with it. Another SQLite file is never wrong: it is not judged.
    pub fn is_sound(&self) -> bool {
        self.is_whole() && self.faults().is_empty()
    }

    /// What is wrong with it, each in a few words; the details are in the fields.
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        match self.kind {
            Kind::OtherSqlite => return faults,
            Kind::NotSqlite | Kind::Empty => faults.push(self.kind.as_str().to_owned()),
            Kind::Unreadable => faults.push("damaged: its list of tables cannot be read".to_owned()),
            Kind::Game => {}
        }
        if let (Kind::Game, Some(first)) = (self.kind, self.integrity.found.first()) {
            faults.push(format!("damaged: {first}{}", and_more(&self.integrity)));
        }
        if !self.missing_tables.is_empty() {
            faults.push(format!("without the tables {}", self.missing_tables.join(", ")));
        }
        if let Some(first) = self.foreign_keys.found.first() {
            faults.push(format!("{first}{}", and_more(&self.foreign_keys)));
        }
        if self.kind == Kind::Game && self.schema_version.as_deref() != Some(schema::VERSION) && self.is_whole() {
            let found = self.schema_version.as_deref().unwrap_or("none");
            faults.push(format!("its schema version is {found}, not {}", schema::VERSION));
        }
        faults
    }
}

fn and_more(findings: &Findings) -> String {
    match findings.found.len() - 1 {
        0 => String::new(),
        others if findings.more => format!(" (and more than {others} others)"),
        1 => " (and 1 other)".to_owned(),
        others => format!(" (and {others} others)"),
    }
}

/// Checks a file. What is damaged is a finding, not an error.
///
/// # Errors
///
/// If it cannot be read, is interrupted in a transaction, or changes all the time.
pub fn check(path: &Path, course: &mut Course<'_>) -> Result<Check> {
    check_as("checking", path, path, course)
}

/// Checks a copy of `named`, and speaks of that: nobody knows the copy's own name.
pub(crate) fn check_copy(copy: &Path, named: &Path, course: &mut Course<'_>) -> Result<Check> {
    let check = check_as("checking the copy of", copy, named, course)?;
    // The copy is our own.
    Ok(Check { in_use_by: Vec::new(), ..check })
}

fn check_as(doing: &'static str, path: &Path, named: &Path, course: &mut Course<'_>) -> Result<Check> {
    let real = regular(path)?;
    let stamp = Stamp::of(&real).map_err(DbError::io("read", path))?;
    let blank = Check {
        path: named.to_owned(),
        kind: Kind::NotSqlite,
        size_bytes: stamp.size(),
        wal_bytes: stamp.side().wal_bytes,
        in_use_by: users(&real),
        games: None,
        schema_version: None,
        missing_tables: Vec::new(),
        integrity: Findings::default(),
        foreign_keys: Findings::default(),
    };
    if let Some(kind) = kind_by_bytes(&real, &stamp).map_err(DbError::io("read", path))? {
        return Ok(Check { kind, ..blank });
    }
    let mut checked = reading(path, course, |connection, course| {
        course.at(doing, named, 0, 0)?;
        let mut check = blank.clone();
        look(connection, &mut check).map(|()| check)
    })?;
    if checked.kind == Kind::Game && checked.wal_bytes > 0 && checked.in_use_by.is_empty() {
        let frames = wal::frames(&beside(&real, WAL)).map_err(DbError::io("read the write-ahead log of", path))?;
        if frames.cut_off > 0 {
            checked.integrity.push(format!(
                "its write-ahead log is damaged after frame {}: {} frames of later transactions are not read",
                frames.read, frames.cut_off
            ));
        }
    }
    Ok(checked)
}

/// What a file is, by its beginning and its list of tables alone.
///
/// # Errors
///
/// Those of [`check`].
pub fn kind(path: &Path, course: &mut Course<'_>) -> Result<Kind> {
    let real = regular(path)?;
    let stamp = Stamp::of(&real).map_err(DbError::io("read", path))?;
    if let Some(kind) = kind_by_bytes(&real, &stamp).map_err(DbError::io("read", path))? {
        return Ok(kind);
    }
    reading(path, course, |connection, _| match schema::tables(connection) {
        Ok(names) if schema::missing(&names).is_some() => Ok(Kind::Game),
        Ok(_) => Ok(Kind::OtherSqlite),
        Err(error) if is_damage(&error) => Ok(Kind::Unreadable),
        Err(error) => Err(DbError::sqlite("read", path)(error)),
    })
}

/// What a file is that SQLite need not look at.
fn kind_by_bytes(real: &Path, stamp: &Stamp) -> std::io::Result<Option<Kind>> {
    match (stamp.size(), stamp.side().wal_bytes) {
        (0, 0) => Ok(Some(Kind::Empty)),
        // With a log the beginning may be in it alone.
        (0, _) => Ok(None),
        _ if has_magic(real)? => Ok(None),
        _ => Ok(Some(Kind::NotSqlite)),
    }
}

fn has_magic(real: &Path) -> std::io::Result<bool> {
    let mut first = Vec::new();
    File::open(real)?.take(MAGIC.len() as u64).read_to_end(&mut first)?;
    Ok(first == MAGIC)
}

fn look(connection: &Connection, check: &mut Check) -> Result<()> {
    let path = check.path.clone();
    let names = match schema::tables(connection) {
        Ok(names) => names,
        Err(error) if is_damage(&error) => {
            check.kind = Kind::Unreadable;
            check.integrity.push(error.to_string());
            return Ok(());
        }
        Err(error) => return Err(DbError::sqlite("read", path)(error)),
    };
    let Some(missing) = schema::missing(&names) else {
        check.kind = Kind::OtherSqlite;
        return Ok(());
    };
    check.kind = Kind::Game;
    let has_version = !missing.contains(&"schema_metadata");
    check.missing_tables = missing;
    let most = MOST_FINDINGS + 1;
    tolerate(&path, &mut check.integrity, |findings| {
        texts(
            connection,
            &format!("PRAGMA integrity_check({most})"),
            |row| row.get(0),
            |text: String| {
                for line in text.lines().filter(|line| *line != "ok" && !line.starts_with("***")) {
                    findings.push(line.to_owned());
                }
            },
        )
    })?;
    tolerate(&path, &mut check.integrity, |_| {
        check.games = Some(schema::games(connection)?);
        Ok(())
    })?;
    if has_version {
        tolerate(&path, &mut check.integrity, |_| {
            check.schema_version = schema::version(connection)?;
            Ok(())
        })?;
    }
    let mut dangling = Findings::default();
    tolerate(&path, &mut check.integrity, |_| {
        let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?));
        let sql = format!("SELECT \"table\", rowid, parent FROM pragma_foreign_key_check LIMIT {most}");
        texts(connection, &sql, row, |(table, rowid, parent): (String, Option<i64>, String)| {
            let rowid = rowid.map_or_else(|| "a row".to_owned(), |rowid| format!("row {rowid}"));
            dangling.push(format!("{rowid} of {table} refers to a row of {parent} that is not there"));
        })
    })?;
    check.foreign_keys = dangling;
    Ok(())
}

/// Runs a query; that the file is damaged is one more finding.
fn tolerate(
    path: &Path,
    findings: &mut Findings,
    query: impl FnOnce(&mut Findings) -> rusqlite::Result<()>,
) -> Result<()> {
    match query(findings) {
        Ok(()) => Ok(()),
        Err(error) if is_damage(&error) => {
            let text = error.to_string();
            if !findings.found.contains(&text) {
                findings.push(text);
            }
            Ok(())
        }
        Err(error) => Err(DbError::sqlite("check", path)(error)),
    }
}

fn texts<T>(
    connection: &Connection,
    sql: &str,
    row: impl FnMut(&rusqlite::Row<'_>) -> rusqlite::Result<T>,
    mut each: impl FnMut(T),
) -> rusqlite::Result<()> {
    let mut statement = connection.prepare(sql)?;
    for found in statement.query_map([], row)? {
        each(found?);
    }
    Ok(())
}
