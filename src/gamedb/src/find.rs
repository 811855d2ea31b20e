use std::{
    fs, io,
    path::{Path, PathBuf},
};

use crate::error::{DbError, Result};

const GAMES: &str = "data/games";
const SELFPLAY: &str = "data/selfplay";

/// Folders in folders below `data/selfplay` that are looked into.
const DEPTH: usize = 12;

/// A file where game databases are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Its path below the root, with slashes: the same on every node.
    pub name: String,
    /// Where it is.
    pub path: PathBuf,
}

/// The files below `root` that are where game databases are, by name: `data/games/*.db` and `data/selfplay/**/games.db`. Not each of
/// them needs to be one. Links to folders below `data/selfplay` are not followed.
///
/// # Errors
///
/// If a folder cannot be read.
pub fn find(root: &Path) -> Result<Vec<Found>> {
    let mut found = Vec::new();
    for name in names(&root.join(GAMES))? {
        let (name, path) = (name_of(&root.join(GAMES), &name)?, root.join(GAMES).join(&name));
        if is_database(&name) && path.is_file() {
            found.push(Found { name: format!("{GAMES}/{name}"), path });
        }
    }
    let mut waiting = vec![(root.join(SELFPLAY), SELFPLAY.to_owned(), 0)];
    while let Some((folder, prefix, depth)) = waiting.pop() {
        for name in names(&folder)? {
            let path = folder.join(&name);
            let kind = fs::symlink_metadata(&path).map_err(DbError::io("read", &path))?;
            if kind.is_dir() && depth < DEPTH {
                let name = name_of(&folder, &name)?;
                waiting.push((path, format!("{prefix}/{name}"), depth + 1));
            } else if name == "games.db" && path.is_file() {
                found.push(Found { name: format!("{prefix}/games.db"), path });
            }
        }
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(found)
}

/// Whether a name is one that [`find`] gives: nothing else is restored.
pub(crate) fn is_name(name: &str) -> bool {
    let plain = name.split('/').all(|part| !matches!(part, "" | "." | "..")) && !name.contains(['\\', '\0']);
    let below = |folder: &str| name.strip_prefix(folder).and_then(|rest| rest.strip_prefix('/'));
    let games = below(GAMES).is_some_and(|file| !file.contains('/') && is_database(file));
    let selfplay = below(SELFPLAY).is_some_and(|file| file == "games.db" || file.ends_with("/games.db"));
    plain && (games || selfplay)
}

fn is_database(name: &str) -> bool {
    // `db` alone: SQLite's own files end in -wal and -shm, and those that were set aside in a date.
    Path::new(name).extension().is_some_and(|end| end == "db") && !name.starts_with('.')
}

fn names(folder: &Path) -> Result<Vec<std::ffi::OsString>> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(DbError::io("read", folder)(error)),
    };
    entries.map(|entry| Ok(entry.map_err(DbError::io("read", folder))?.file_name())).collect()
}

fn name_of(folder: &Path, name: &std::ffi::OsStr) -> Result<String> {
    let no_text = || io::Error::new(io::ErrorKind::InvalidFilename, "its name is not UTF-8: rename it");
    name.to_str().map(str::to_owned).ok_or_else(|| DbError::io("name", folder.join(name))(no_text()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn databases_are_found_where_they_belong_and_nowhere_else() {
        let root = tempfile::tempdir().unwrap();
        for file in [
            "data/games/selfplay.db",
            "data/games/hex8.db",
            "data/games/selfplay.db-wal",
            "data/games/selfplay.db.damaged-20261127T000000Z",
            "data/games/.hidden.db",
            "data/games/old/too_deep.db",
            "data/selfplay/games.db",
            "data/selfplay/run-1/a/games.db",
            "data/selfplay/run-1/other.db",
            "data/unified_elo.db",
        ] {
            let path = root.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        // A loop must not be walked.
        std::os::unix::fs::symlink("..", root.path().join("data/selfplay/run-1/up")).unwrap();
        let names: Vec<String> = find(root.path()).unwrap().into_iter().map(|found| found.name).collect();
        assert_eq!(
            names,
            [
                "data/games/hex8.db",
                "data/games/selfplay.db",
                "data/selfplay/games.db",
                "data/selfplay/run-1/a/games.db"
            ]
        );
        assert!(names.iter().all(|name| is_name(name)));
        assert_eq!(find(&root.path().join("none")).unwrap(), []);
    }

    #[test]
    fn a_name_that_leads_elsewhere_is_none() {
        for name in [
            "",
            "/data/games/a.db",
            "data/games/../../etc/a.db",
            "data/games/a/b.db",
            "data/games/",
            "data/games/.db",
            "data/games/a.txt",
            "data/selfplay/../games.db",
            "data/selfplay//games.db",
            "data/selfplay/./games.db",
            "data/selfplay/xgames.db",
            "../data/games/a.db",
            "data/gamesx/a.db",
            "etc/passwd",
        ] {
            assert!(!is_name(name), "{name}");
        }
    }
}
