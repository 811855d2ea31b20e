//! The files that SQLite keeps beside a database: the write-ahead log, its index, and the rollback journal.

use std::{
    ffi::OsString,
    fs::File,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

/// What is after a database's own name.
pub(crate) const WAL: &str = "-wal";
pub(crate) const INDEX: &str = "-shm";
pub(crate) const JOURNAL: &str = "-journal";

/// What SQLite keeps beside a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Side {
    /// Bytes of the write-ahead log. More than 0: transactions that are not in the database's own file.
    pub(crate) wal_bytes: u64,
    /// Whether a rollback journal tells of a transaction that is under way, or was interrupted.
    pub(crate) hot_journal: bool,
}

impl Side {
    /// Reads it.
    pub(crate) fn of(path: &Path) -> io::Result<Self> {
        let wal_bytes = match beside(path, WAL).metadata() {
            Ok(metadata) => metadata.len(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
            Err(error) => return Err(error),
        };
        Ok(Self { wal_bytes, hot_journal: is_hot(&beside(path, JOURNAL))? })
    }
}

/// The name of a file beside a database.
pub(crate) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path.as_os_str());
    name.push(suffix);
    name.into()
}

/// In journal mode PERSIST a journal that nobody needs has a header of zeroes.
fn is_hot(journal: &Path) -> io::Result<bool> {
    let mut header = [0; 8];
    match File::open(journal).and_then(|mut file| file.read_exact(&mut header)) {
        Ok(()) => Ok(header != [0; 8]),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::UnexpectedEof) => Ok(false),
        Err(error) => Err(error),
    }
}
