use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsStr,
    fs,
    os::unix::{ffi::OsStrExt as _, fs::MetadataExt as _},
    path::{Path, PathBuf},
};

use ringrift_blob::Digest;
use ringrift_gamedb::{Course, digest_of_copy, kind};
use serde::Serialize;

use crate::{
    copies::Copies,
    error::CleanupError,
    opened::Opened,
    roots::{Kind, Roots},
    trash,
};

/// A file, with all that belongs to it and goes where it goes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Item {
    /// Where it is.
    pub path: PathBuf,
    /// Its path below the node's folder, or its whole path if it is not below it.
    pub name: String,
    /// What it is for.
    pub kind: Kind,
    /// Bytes, of all of it.
    pub size_bytes: u64,
    /// When any of it was last written to, seconds since the epoch.
    pub modified: f64,
    /// A database's log, index and journal; a model's checksum.
    pub beside: Vec<PathBuf>,
    /// Whether some process has any of it open.
    pub in_use: bool,
    /// Whether a link leads to it, or it has a second name.
    pub linked: bool,
    /// Its digest, once somebody has asked for it; a database with a log has none, since its bytes are not all of it.
    pub sha256: Option<Digest>,
}

/// Folders in folders that are looked into.
const DEPTH: usize = 16;

/// What SQLite and the models' tools keep beside a file.
pub(crate) const BESIDE: [&str; 4] = ["-wal", "-shm", "-journal", ".sha256"];

/// Everything below the roots. Links are not followed: what a link leads to is where it is, or is none of ours.
///
/// # Errors
///
/// If a folder cannot be read: half a picture is none.
pub fn look(roots: &Roots, opened: &Opened) -> Result<Vec<Item>, CleanupError> {
    let mut found = BTreeMap::new();
    let mut targets = BTreeSet::new();
    for (folder, kind) in &roots.folders {
        walk(folder, *kind, &mut found, &mut targets)?;
    }
    // A file belongs to another one if its name is the other's with something behind it.
    let mut belongs: BTreeMap<PathBuf, Vec<PathBuf>> = BTreeMap::new();
    for path in found.keys() {
        let text = path.as_os_str().as_encoded_bytes();
        let owner = BESIDE.iter().find_map(|end| text.strip_suffix(end.as_bytes()));
        let owner = owner.map(|bytes| PathBuf::from(OsStr::from_bytes(bytes)));
        if let Some(owner) = owner.filter(|owner| found.contains_key(owner)) {
            belongs.entry(owner).or_default().push(path.clone());
        }
    }
    let owned: BTreeSet<PathBuf> = belongs.values().flatten().cloned().collect();
    let mut items = Vec::new();
    for (path, (kind, metadata)) in &found {
        if owned.contains(path) {
            continue;
        }
        let beside = belongs.remove(path).unwrap_or_default();
        let all = || std::iter::once(path).chain(&beside);
        let facts = all().filter_map(|path| found.get(path)).map(|(_, metadata)| metadata);
        let linked = all().any(|path| targets.contains(path)) || metadata.nlink() > 1;
        items.push(Item {
            name: name(&roots.node, path),
            kind: *kind,
            size_bytes: facts.clone().map(fs::Metadata::len).sum(),
            modified: facts.map(|metadata| metadata.mtime() as f64).fold(0.0, f64::max),
            in_use: all().any(|path| opened.has(path)),
            linked,
            sha256: None,
            path: path.clone(),
            beside,
        });
    }
    Ok(items)
}

/// The digests under which others may be known to have a file: its own, and for a game database that of a copy. Reads all of it, unless nobody
/// is known to have anything. A database with a log or a journal that is not empty has none: its bytes are not all of it, and a copy of them
/// elsewhere would be one of less.
pub fn digests(item: &Item, copies: &Copies, wanted: usize, course: &mut Course<'_>) -> Vec<Digest> {
    let unfinished = |path: &PathBuf| {
        let name = path.to_string_lossy();
        (name.ends_with("-wal") || name.ends_with("-journal")) && path.metadata().map_or(true, |m| m.len() > 0)
    };
    if copies.is_empty() || item.beside.iter().any(unfinished) {
        return Vec::new();
    }
    // What cannot be read has no digest, and stays.
    let Ok((own, _)) = ringrift_gamedb::digest(&item.path, &item.path, course) else { return Vec::new() };
    if copies.of(&own) >= wanted || !kind(&item.path, course).is_ok_and(|kind| kind == ringrift_gamedb::Kind::Game) {
        return vec![own];
    }
    std::iter::once(own).chain(digest_of_copy(&item.path, course)).collect()
}

fn name(node: &Path, path: &Path) -> String {
    path.strip_prefix(node).unwrap_or(path).to_string_lossy().into_owned()
}

type Found = BTreeMap<PathBuf, (Kind, fs::Metadata)>;

fn walk(root: &Path, kind: Kind, found: &mut Found, targets: &mut BTreeSet<PathBuf>) -> Result<(), CleanupError> {
    let mut waiting = vec![(root.to_owned(), 0)];
    while let Some((folder, depth)) = waiting.pop() {
        for entry in fs::read_dir(&folder).map_err(CleanupError::io("read", &folder))? {
            let path = entry.map_err(CleanupError::io("read", &folder))?.path();
            let metadata = match fs::symlink_metadata(&path) {
                Ok(metadata) => metadata,
                // Gone meanwhile.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                Err(error) => return Err(CleanupError::io("read", &path)(error)),
            };
            if metadata.is_symlink() {
                targets.extend(fs::canonicalize(&path));
            } else if metadata.is_dir() {
                if depth < DEPTH && path.file_name().is_none_or(|name| name != trash::FOLDER) {
                    waiting.push((path, depth + 1));
                }
            } else if metadata.is_file() {
                found.insert(path, (kind, metadata));
            }
        }
    }
    Ok(())
}
