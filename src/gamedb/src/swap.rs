//! Putting a new database where an old one is, so that at every moment all bytes of the old one have a name.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use jiff::Timestamp;
use tempfile::NamedTempFile;

use crate::{
    error::{DbError, Result},
    side::{INDEX, JOURNAL, WAL, beside},
    space::folder,
};

/// Files that belong to a database: a new one must not find the log or journal of the old one, or SQLite would write it into it.
const BESIDE: [&str; 3] = [WAL, JOURNAL, INDEX];

/// Puts `fresh` at `real`. What is there is kept as `NAME.WHY-TIME`, with the files that SQLite keeps beside it; where it is kept is
/// returned.
pub(crate) fn replace(fresh: NamedTempFile, real: &Path, why: &str) -> Result<Option<PathBuf>> {
    let folder = folder(real);
    let was_there = real.exists();
    dress(fresh.as_file(), if was_there { real } else { folder }, !was_there).map_err(DbError::io("write", real))?;
    fresh.as_file().sync_all().map_err(DbError::io("write", real))?;

    let kept = was_there || BESIDE.iter().any(|suffix| beside(real, suffix).exists());
    let kept = if kept { Some(free_name(real, why)) } else { None };
    if let Some(kept) = &kept {
        keep(real, kept, was_there).map_err(DbError::io("set aside", real))?;
        sync(folder)?;
    }
    if let Err(error) = fresh.persist(real) {
        if let Some(kept) = &kept {
            // As it was, as far as the disk lets us; nothing is lost if it does not.
            let _ = put_back(real, kept);
        }
        return Err(DbError::io("write", real)(error.error));
    }
    sync(folder)?;
    Ok(kept)
}

/// Gives a database another name, first as one more name: the old one stays until the new file takes it over.
fn keep(real: &Path, kept: &Path, was_there: bool) -> io::Result<()> {
    if was_there && fs::hard_link(real, kept).is_err() {
        // A filesystem without links.
        fs::rename(real, kept)?;
    }
    for suffix in BESIDE {
        match fs::rename(beside(real, suffix), beside(kept, suffix)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                let _ = put_back(real, kept);
                return Err(error);
            }
            _ => {}
        }
    }
    Ok(())
}

fn put_back(real: &Path, kept: &Path) -> io::Result<()> {
    for suffix in BESIDE {
        if beside(kept, suffix).exists() {
            fs::rename(beside(kept, suffix), beside(real, suffix))?;
        }
    }
    if kept.exists() {
        // Of two names of one file rename(2) removes none.
        fs::rename(kept, real)?;
        if kept.exists() {
            fs::remove_file(kept)?;
        }
    }
    Ok(())
}

fn free_name(real: &Path, why: &str) -> PathBuf {
    let now = Timestamp::now().strftime("%Y%m%dT%H%M%SZ");
    let names = (1..).map(|count| match count {
        1 => beside(real, &format!(".{why}-{now}")),
        count => beside(real, &format!(".{why}-{now}-{count}")),
    });
    let mut free = names.filter(|name| !name.exists() && BESIDE.iter().all(|suffix| !beside(name, suffix).exists()));
    free.next().unwrap_or_else(|| beside(real, why))
}

/// Gives a file the owner and the mode of another one, or those that fit a folder: a program of another user must be able to go on.
fn dress(file: &File, like: &Path, like_folder: bool) -> io::Result<()> {
    let like = fs::metadata(like)?;
    let mode = if like_folder { like.mode() & 0o666 } else { like.mode() & 0o7777 };
    file.set_permissions(fs::Permissions::from_mode(mode))?;
    let own = file.metadata()?;
    if (own.uid(), own.gid()) != (like.uid(), like.gid()) {
        let (uid, gid) = (rustix::fs::Uid::from_raw(like.uid()), rustix::fs::Gid::from_raw(like.gid()));
        match rustix::fs::fchown(file, Some(uid), Some(gid)) {
            // Only root gives files away; who may replace the file may own it.
            Err(rustix::io::Errno::PERM) | Ok(()) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

fn sync(folder: &Path) -> Result<()> {
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(DbError::io("sync", folder))
}
