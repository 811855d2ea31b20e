//! Reading a database without changing it, without leaving files beside it, and without making its writer wait.
//!
//! A database with a write-ahead log is read in one transaction: its writer goes on, and the reader sees one moment. One without is read
//! without any lock, and what was read counts only if the file was the same one before and after.
//!
//! POSIX locks belong to a process, and go when it closes any descriptor of the file: in one process a database must not be looked at
//! by this crate while another part of the program has it open to write.

use std::{
    fmt::Write as _,
    fs::{self, File},
    io,
    os::unix::{
        ffi::OsStrExt as _,
        fs::{FileExt as _, MetadataExt as _},
    },
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use rusqlite::{Connection, ErrorCode, OpenFlags};

use crate::{
    course::Course,
    error::{DbError, Result},
    side::{INDEX, Side, beside},
    users::users,
};

/// How often a file that changes is read anew, and how long is waited in between: longer than a small transaction takes.
const ATTEMPTS: u32 = 6;
const PAUSE: Duration = Duration::from_millis(150);

/// How long a lock that a writer holds for a moment is waited for.
const PATIENCE: Duration = Duration::from_secs(10);

/// Asks a database something, whatever tables it has; more than once if it changed meanwhile. Its writer does not wait, and nothing is
/// left beside it.
///
/// # Errors
///
/// If it cannot be read, is written to all the time without a log, or `look` fails.
pub fn read<T>(
    path: &Path,
    course: &mut Course<'_>,
    mut look: impl FnMut(&Connection) -> rusqlite::Result<T>,
) -> Result<T> {
    reading(path, course, |connection, _| look(connection).map_err(DbError::sqlite("read", path)))
}

/// Runs `look` on a connection to a database that cannot change while it runs; more than once if it did.
pub(crate) fn reading<T>(
    path: &Path,
    course: &mut Course<'_>,
    mut look: impl FnMut(&Connection, &mut Course<'_>) -> Result<T>,
) -> Result<T> {
    let real = regular(path)?;
    for attempt in 0..ATTEMPTS {
        if attempt > 0 {
            thread::sleep(PAUSE);
            course.at("waiting for", path, 0, 0)?;
        }
        let before = Stamp::of(&real).map_err(DbError::io("read", path))?;
        if before.side.hot_journal {
            if users(&real).is_empty() && Stamp::of(&real).is_ok_and(|now| now == before) {
                return Err(DbError::HotJournal(path.to_owned()));
            }
            continue;
        }
        if before.side.wal_bytes > 0 {
            let had_index = beside(&real, INDEX).exists();
            let mut connection = connect(&real, OpenFlags::empty()).map_err(DbError::sqlite("open", path))?;
            course.can_stop(&mut connection).map_err(DbError::sqlite("open", path))?;
            connection.execute_batch("BEGIN").map_err(DbError::sqlite("open", path))?;
            let seen = look(&connection, course);
            return match seen {
                Err(DbError::Sqlite { source, .. })
                    if !had_index && source.sqlite_error_code() == Some(ErrorCode::CannotOpen) =>
                {
                    Err(DbError::NoIndex(path.to_owned()))
                }
                seen => seen,
            };
        }
        let mut connection = immutable(&real).map_err(DbError::sqlite("open", path))?;
        course.can_stop(&mut connection).map_err(DbError::sqlite("open", path))?;
        let seen = look(&connection, course);
        drop(connection);
        if matches!(seen, Err(DbError::Stopped(_))) || Stamp::of(&real).is_ok_and(|now| now == before) {
            return seen;
        }
    }
    Err(DbError::Changing(path.to_owned()))
}

/// Where a file really is: SQLite keeps the files beside it there. Not of folders, pipes and devices.
pub(crate) fn regular(path: &Path) -> Result<PathBuf> {
    let real = fs::canonicalize(path).map_err(DbError::io("read", path))?;
    let metadata = real.metadata().map_err(DbError::io("read", path))?;
    if metadata.is_file() { Ok(real) } else { Err(DbError::NotAFile(path.to_owned())) }
}

/// A connection that takes no lock and makes no file, for a file that nobody changes.
pub(crate) fn immutable(path: &Path) -> rusqlite::Result<Connection> {
    let mut uri = String::from("file:");
    for byte in path.as_os_str().as_bytes() {
        match byte {
            b'/' | b'.' | b'-' | b'_' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => uri.push(char::from(*byte)),
            other => {
                // A string takes everything.
                let _ = write!(uri, "%{other:02X}");
            }
        }
    }
    uri.push_str("?immutable=1");
    connect(Path::new(&uri), OpenFlags::SQLITE_OPEN_URI)
}

fn connect(path: &Path, more: OpenFlags) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | more;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(PATIENCE)?;
    Ok(connection)
}

/// What changes when a database is written to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    file: (u64, u64),
    size: u64,
    modified: (i64, i64),
    /// SQLite counts transactions here: a clock that is too coarse does not hide one.
    counter: [u8; 4],
    side: Side,
}

impl Stamp {
    pub(crate) fn of(real: &Path) -> io::Result<Self> {
        let side = Side::of(real)?;
        let file = File::open(real)?;
        let metadata = file.metadata()?;
        let mut counter = [0; 4];
        if metadata.len() >= 28 {
            file.read_exact_at(&mut counter, 24)?;
        }
        Ok(Self {
            file: (metadata.dev(), metadata.ino()),
            size: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            counter,
            side,
        })
    }

    pub(crate) fn size(&self) -> u64 {
        self.size
    }

    pub(crate) fn side(&self) -> Side {
        self.side
    }
}
