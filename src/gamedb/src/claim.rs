use std::{
    fs::{self, File},
    os::unix::fs::{FileExt as _, MetadataExt as _},
    path::{Path, PathBuf},
};

use rustix::{
    fs::{FlockOperation, fcntl_lock},
    io::Errno,
};

use crate::{
    error::{DbError, Result},
    open::regular,
    side::Side,
    users::users,
};

/// A database that nobody else has open, kept so: while this lives, SQLite of other processes finds it locked.
///
/// The lock is a POSIX one, as SQLite's are, and ends when this process closes any descriptor of the file: nothing here may open it again.
#[derive(Debug)]
pub(crate) struct Claim {
    path: PathBuf,
    real: PathBuf,
    file: File,
    state: State,
}

/// What changes when somebody writes to it.
#[derive(Debug, PartialEq, Eq)]
struct State {
    file: (u64, u64),
    size: u64,
    modified: (i64, i64),
    side: Side,
    counter: [u8; 4],
}

impl Claim {
    /// Claims it.
    ///
    /// # Errors
    ///
    /// If somebody has it open, or this user may not write to it.
    pub(crate) fn take(path: &Path) -> Result<Self> {
        let real = regular(path)?;
        let users = users(&real);
        if !users.is_empty() {
            return Err(DbError::InUse { path: path.to_owned(), users });
        }
        let file = File::options().read(true).write(true).open(&real).map_err(DbError::io("claim", path))?;
        match fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            // Somebody whose descriptors this user may not see.
            Err(Errno::AGAIN | Errno::ACCESS) => return Err(DbError::InUse { path: path.to_owned(), users }),
            Err(error) => return Err(DbError::io("claim", path)(error.into())),
        }
        let state = State::of(&file, &real).map_err(DbError::io("read", path))?;
        Ok(Self { path: path.to_owned(), real, file, state })
    }

    /// Where it really is.
    pub(crate) fn real(&self) -> &Path {
        &self.real
    }

    /// Its bytes.
    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    pub(crate) fn side(&self) -> Side {
        self.state.side
    }

    pub(crate) fn size(&self) -> u64 {
        self.state.size
    }

    /// Whether it is as it was when it was claimed, and still nobody else's.
    ///
    /// # Errors
    ///
    /// If it is not.
    pub(crate) fn is_still_ours(&self) -> Result<()> {
        let others: Vec<_> = users(&self.real).into_iter().filter(|user| user.pid != std::process::id()).collect();
        let now = State::of(&self.file, &self.real).map_err(DbError::io("read", &self.path))?;
        if others.is_empty() && now == self.state {
            return Ok(());
        }
        Err(DbError::InUse { path: self.path.clone(), users: others })
    }
}

impl State {
    fn of(file: &File, real: &Path) -> std::io::Result<Self> {
        // By name: whether the name still belongs to the file that is open is part of the question.
        let metadata = fs::metadata(real)?;
        let mut counter = [0; 4];
        if metadata.len() >= 28 {
            file.read_exact_at(&mut counter, 24)?;
        }
        Ok(Self {
            file: (metadata.dev(), metadata.ino()),
            size: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            side: Side::of(real)?,
            counter,
        })
    }
}
