use std::{
    io,
    path::{Path, PathBuf},
};

use crate::users::User;

/// Why something was not done to a database or an archive.
#[derive(Debug, thiserror::Error)]
pub enum DbError {
    /// The operating system refused.
    #[error("cannot {deed} {}: {source}", path.display())]
    Io {
        /// What was tried.
        deed: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The disk has no room, or takes no more for another reason.
    #[error("the disk of {} takes no more{}: make room there, or write to another disk", path.display(), needs(*needed))]
    DiskFull {
        /// A file or folder on that disk.
        path: PathBuf,
        /// Bytes that are needed, if that was known beforehand.
        needed: Option<u64>,
    },
    /// SQLite refused.
    #[error("cannot {deed} {}: SQLite says: {source}", path.display())]
    Sqlite {
        /// What was tried.
        deed: &'static str,
        /// On which file.
        path: PathBuf,
        /// What SQLite said.
        source: rusqlite::Error,
    },
    /// It is not a regular file, but a folder, a pipe, a device.
    #[error("{} is not a regular file", .0.display())]
    NotAFile(PathBuf),
    /// Its last transaction was cut off, and only a program that may write can take it back.
    #[error(
        "{} has a transaction that was interrupted (a hot journal): let its program open it once, or run `ringriftctl db repair {}`",
        .0.display(), .0.display()
    )]
    HotJournal(PathBuf),
    /// It has a write-ahead log without its index, in a folder where the index cannot be made.
    #[error("{} has a write-ahead log whose index cannot be made in that folder: copy both files to a folder that you may write to", .0.display())]
    NoIndex(PathBuf),
    /// A writer was quicker, again and again.
    #[error(
        "{} is written to all the time in rollback-journal mode, where a reader would make its writer wait: stop the writer, or switch the database to WAL mode (PRAGMA journal_mode=WAL)",
        .0.display()
    )]
    Changing(PathBuf),
    /// Somebody has it open.
    #[error("{} is in use by {}: stop that first", path.display(), by(users))]
    InUse {
        /// The database.
        path: PathBuf,
        /// Who has it open, as far as this user may see.
        users: Vec<User>,
    },
    /// It is no game database: nothing is done to it.
    #[error("{} is {what}: it is left alone", path.display())]
    NotAGameDatabase {
        /// The file.
        path: PathBuf,
        /// What it is instead.
        what: String,
    },
    /// Every row of it can be read, so that there is nothing to rebuild.
    #[error("{} can be read from end to end, but {what}: rebuilding adds no rows; restore it from a backup if they matter", path.display())]
    NothingToRebuild {
        /// The database.
        path: PathBuf,
        /// What is wrong with it all the same.
        what: String,
    },
    /// Nothing of it could be read.
    #[error("nothing of {} can be read ({why}): it was left as it is; restore it from a backup or from another node", path.display())]
    BeyondRepair {
        /// The database.
        path: PathBuf,
        /// What was tried last.
        why: String,
    },
    /// What was made of it is not good enough to take its place.
    #[error("{} was left as it is: {why}", path.display())]
    NotBetter {
        /// The database.
        path: PathBuf,
        /// What is wrong with the new one.
        why: String,
    },
    /// A copy is not what its source is.
    #[error("the copy of {} is wrong: {why}; it was removed, the original was not touched", path.display())]
    BadCopy {
        /// The source.
        path: PathBuf,
        /// What is wrong with the copy.
        why: String,
    },
    /// A file is in the way.
    #[error("{} is there already: choose another name", .0.display())]
    Exists(PathBuf),
    /// Another backup writes the same archive.
    #[error("{} is being written by another backup: wait for it, or choose another name", .0.display())]
    Writing(PathBuf),
    /// There is no game database.
    #[error("{} has no game database: neither data/games/*.db nor data/selfplay/**/games.db", .0.display())]
    NoneFound(PathBuf),
    /// None of its databases could be copied.
    #[error("nothing of {} is backed up: {why}", path.display())]
    NoneCopied {
        /// The root.
        path: PathBuf,
        /// Why each of them could not.
        why: String,
    },
    /// Of no node came a database.
    #[error("nothing is backed up: {0}")]
    NoneGathered(String),
    /// It is no archive of `db backup`, or a damaged one.
    #[error("{} is not a whole backup: {why}", path.display())]
    BadArchive {
        /// The archive.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// The archive has no such member.
    #[error("{} has no database {name}; it has: {has}", path.display())]
    NoMember {
        /// The archive.
        path: PathBuf,
        /// What was asked for.
        name: String,
        /// What there is.
        has: String,
    },
    /// The archive has several of that name.
    #[error("{} has several databases {name}: say which of {has}", path.display())]
    SeveralMembers {
        /// The archive.
        path: PathBuf,
        /// What was asked for.
        name: String,
        /// What it can mean.
        has: String,
    },
    /// The archive is of several nodes, and nobody said which is meant.
    #[error("{} has databases of {has}: say which node's with --node", path.display())]
    WhichNode {
        /// The archive.
        path: PathBuf,
        /// Whose it has.
        has: String,
    },
    /// The archive has no database of that node.
    #[error("{} has no database of {node}; it has those of: {has}", path.display())]
    NoNode {
        /// The archive.
        path: PathBuf,
        /// Whose were asked for.
        node: String,
        /// Whose it has.
        has: String,
    },
    /// What another machine sent is not what it said that it sends.
    #[error("{name} did not arrive: {why}; nothing of it was kept")]
    NotArrived {
        /// The database.
        name: String,
        /// What is wrong with what came.
        why: String,
    },
    /// A path leads out of the folder that may be written to.
    #[error("{} leads out of {}: nothing is written there", path.display(), root.display())]
    Outside {
        /// The path.
        path: PathBuf,
        /// The folder.
        root: PathBuf,
    },
    /// Somebody wants it to end.
    #[error("stopped before it was done: {} was left as it was", .0.display())]
    Stopped(PathBuf),
}

/// `Result` of this crate.
pub type Result<T, E = DbError> = std::result::Result<T, E>;

impl DbError {
    /// The reason a file operation gave.
    pub(crate) fn io(deed: &'static str, path: impl AsRef<Path>) -> impl FnOnce(io::Error) -> Self {
        move |source| {
            let path = path.as_ref().to_owned();
            match source.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
                    Self::DiskFull { path, needed: None }
                }
                _ => Self::Io { deed, path, source },
            }
        }
    }

    /// The same, naming a folder if the disk there is full: nobody knows the name of a file that is gone.
    pub(crate) fn in_folder(self, folder: &Path) -> Self {
        match self {
            Self::DiskFull { needed, .. } => Self::DiskFull { path: folder.to_owned(), needed },
            other => other,
        }
    }

    /// The reason SQLite gave.
    pub(crate) fn sqlite(deed: &'static str, path: impl AsRef<Path>) -> impl FnOnce(rusqlite::Error) -> Self {
        use rusqlite::{ErrorCode, ffi};
        /// What the disk says when it is full in a way that SQLite does not know: past a quota, past the size that a file may
        /// have.
        const REFUSED: [i32; 3] = [ffi::SQLITE_IOERR_WRITE, ffi::SQLITE_IOERR_FSYNC, ffi::SQLITE_IOERR_TRUNCATE];
        move |source| {
            let path = path.as_ref().to_owned();
            let refused = source.sqlite_error().is_some_and(|error| REFUSED.contains(&error.extended_code));
            match source.sqlite_error_code() {
                Some(ErrorCode::DiskFull) => Self::DiskFull { path, needed: None },
                _ if refused => Self::DiskFull { path, needed: None },
                Some(ErrorCode::OperationInterrupted) => Self::Stopped(path),
                _ => Self::Sqlite { deed, path, source },
            }
        }
    }
}

/// Whether SQLite says that a file is damaged, rather than that something went wrong with reading it.
pub(crate) fn is_damage(error: &rusqlite::Error) -> bool {
    use rusqlite::ErrorCode;
    matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
        // A schema that cannot be parsed comes as a plain error.
        || matches!(error, rusqlite::Error::SqliteFailure(_, Some(text)) if text.contains("malformed"))
}

fn needs(needed: Option<u64>) -> String {
    needed.map(|bytes| format!(" ({bytes} bytes are needed)")).unwrap_or_default()
}

fn by(users: &[User]) -> String {
    if users.is_empty() {
        return "another process".to_owned();
    }
    let named: Vec<String> = users.iter().map(ToString::to_string).collect();
    named.join(", ")
}
