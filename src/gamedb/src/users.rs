//! Who has a file open. Locks tell only of transactions under way: a program that waits between two of them holds none.

use std::{
    fmt, fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use serde::Serialize;

/// A process that has a database open.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct User {
    /// Its number.
    pub pid: u32,
    /// Its name, as the kernel has it.
    pub name: String,
}

impl fmt::Display for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (pid {})", self.name, self.pid)
    }
}

/// At most so many are told.
const MOST: usize = 16;

/// Every process that has the database or its write-ahead log open, as far as this user may see: root sees all.
pub fn users(path: &Path) -> Vec<User> {
    let mut wal = path.as_os_str().to_owned();
    wal.push("-wal");
    let wanted: Vec<(u64, u64)> =
        [path.to_owned(), PathBuf::from(wal)].iter().filter_map(|path| identity(path)).collect();
    let mut found = Vec::new();
    if wanted.is_empty() {
        return found;
    }
    for process in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = process.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let open = fs::read_dir(process.path().join("fd")).into_iter().flatten().flatten();
        if open.filter_map(|fd| identity(&fd.path())).any(|file| wanted.contains(&file)) {
            let name = fs::read_to_string(process.path().join("comm")).unwrap_or_default();
            found.push(User { pid, name: name.trim_end().to_owned() });
            if found.len() == MOST {
                break;
            }
        }
    }
    found
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    let metadata = fs::metadata(path).ok()?;
    metadata.is_file().then(|| (metadata.dev(), metadata.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_a_file_open_is_found_until_it_is_closed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let file = fs::File::create(&path).unwrap();
        let found = users(&path);
        assert_eq!(found.iter().map(|user| user.pid).collect::<Vec<_>>(), [std::process::id()]);
        assert!(!found[0].name.is_empty());
        drop(file);
        assert_eq!(users(&path), []);
        assert_eq!(users(&folder.path().join("none.db")), []);
    }

    #[test]
    fn a_database_whose_log_is_open_is_in_use() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        fs::write(&path, "x").unwrap();
        let _log = fs::File::create(folder.path().join("a.db-wal")).unwrap();
        assert_eq!(users(&path).len(), 1);
    }
}
