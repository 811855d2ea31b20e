use std::{
    fs,
    io::Write as _,
    os::unix::fs::MetadataExt as _,
    path::{Component, Path, PathBuf},
};

use ringrift_blob::Digest;
use serde::{Deserialize, Serialize};

use crate::{
    copies::Copies,
    error::CleanupError,
    look::{BESIDE, Item},
    opened::Opened,
    roots::{Kind, Roots},
};

/// The folder, inside of each root's own folder, so that moving there is renaming.
pub(crate) const FOLDER: &str = ".ringrift-trash";

/// What is in a batch, beside the files.
const LIST: &str = "list.json";

/// Where what was cleaned up waits until it is deleted.
#[derive(Debug, Clone)]
pub struct Trash {
    roots: Roots,
}

/// What one cleanup moved out of one root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// When, as in `20261128T120000Z`: its name.
    pub moment: String,
    /// The root.
    pub root: PathBuf,
    /// The files.
    pub files: Vec<Moved>,
}

/// A file in the trash.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moved {
    /// Where it was, below its root.
    pub name: PathBuf,
    /// Bytes.
    pub size_bytes: u64,
    /// Whether others must have it before it is deleted.
    pub training_data: bool,
    /// The digest of the training data that it is or belongs to.
    pub sha256: Option<Digest>,
}

/// What became of the trash.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Emptied {
    /// Files that were deleted.
    pub files: usize,
    /// Their bytes.
    pub bytes: u64,
    /// Files whose time is over, and which stay since nobody says any more that others have them.
    pub kept: Vec<PathBuf>,
}

impl Trash {
    /// That of these roots.
    pub fn of(roots: &Roots) -> Self {
        Self { roots: roots.clone() }
    }

    /// Moves a file with what belongs to it into the batch of this moment. Returns why not, if it is not what was decided about any more.
    ///
    /// # Errors
    ///
    /// If the disk refuses. What was moved is moved back.
    pub fn take(&self, item: &Item, moment: &str) -> Result<Option<&'static str>, CleanupError> {
        let Some(root) = self.roots.folders.keys().find(|root| item.path.starts_with(root)) else {
            return Ok(Some("it is outside the roots"));
        };
        let folder = item.path.parent().unwrap_or(root);
        // Somebody may have put a link in the way since.
        if fs::canonicalize(folder).map_err(CleanupError::io("read", folder))? != folder {
            return Ok(Some("a link leads to it now"));
        }
        let metadata = fs::symlink_metadata(&item.path).map_err(CleanupError::io("read", &item.path))?;
        let all: Vec<&PathBuf> = std::iter::once(&item.path).chain(&item.beside).collect();
        let size: u64 = all.iter().filter_map(|path| fs::symlink_metadata(path).ok()).map(|m| m.len()).sum();
        if !metadata.is_file() || metadata.mtime() as f64 > item.modified || size != item.size_bytes {
            return Ok(Some("it was changed meanwhile"));
        }
        let opened = Opened::now();
        if all.iter().any(|path| opened.has(path)) {
            return Ok(Some("it is in use now"));
        }
        if item.beside.len() != beside(&item.path).len() {
            return Ok(Some("its program has opened it meanwhile"));
        }
        let batch = root.join(FOLDER).join(moment);
        let mut moved = Vec::new();
        let mut listed = read_list(&batch)?;
        for path in all {
            let Ok(name) = path.strip_prefix(root) else { continue };
            let size_bytes = fs::symlink_metadata(path).map_or(0, |metadata| metadata.len());
            listed.push(Moved {
                name: name.to_owned(),
                size_bytes,
                training_data: item.kind == Kind::TrainingData,
                sha256: item.sha256,
            });
            moved.push((path, batch.join(name)));
        }
        // The list comes first: what is in the trash without being listed could not come back.
        write_list(&batch, &listed)?;
        for (i, (from, to)) in moved.iter().enumerate() {
            if let Err(error) = rename_into(from, to) {
                for (from, to) in moved[..i].iter().rev() {
                    fs::rename(to, from).map_err(CleanupError::io("move back", to.clone()))?;
                }
                return Err(CleanupError::io("move to the trash", (*from).clone())(error));
            }
        }
        Ok(None)
    }

    /// Everything that is in it, the oldest first.
    ///
    /// # Errors
    ///
    /// If a folder cannot be read.
    pub fn batches(&self) -> Result<Vec<Batch>, CleanupError> {
        let mut batches = Vec::new();
        for root in self.roots.folders.keys() {
            let folder = root.join(FOLDER);
            let entries = match fs::read_dir(&folder) {
                Ok(entries) => entries,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                Err(error) => return Err(CleanupError::io("read", folder)(error)),
            };
            for entry in entries.flatten() {
                let (Ok(moment), path) = (entry.file_name().into_string(), entry.path()) else { continue };
                // Nothing but what a cleanup has made, which has a moment for a name.
                if at(&moment).is_some() && fs::symlink_metadata(&path).is_ok_and(|metadata| metadata.is_dir()) {
                    let mut files = read_list(&path)?;
                    files.retain(|moved| is_plain(&moved.name) && path.join(&moved.name).symlink_metadata().is_ok());
                    batches.push(Batch { moment, root: root.clone(), files });
                }
            }
        }
        batches.sort_by(|a, b| (&a.moment, &a.root).cmp(&(&b.moment, &b.root)));
        Ok(batches)
    }

    /// Deletes what has been in it for longer than the grace period. Training data goes only if others are known to have it still.
    ///
    /// # Errors
    ///
    /// If the disk refuses.
    pub fn empty(
        &self,
        now: f64,
        grace_seconds: f64,
        copies: &Copies,
        replicas: usize,
    ) -> Result<Emptied, CleanupError> {
        let mut emptied = Emptied::default();
        for batch in self.batches()? {
            if at(&batch.moment).is_none_or(|at| now - at < grace_seconds) {
                continue;
            }
            let folder = batch.root.join(FOLDER).join(&batch.moment);
            let mut left = Vec::new();
            for moved in batch.files {
                let path = folder.join(&moved.name);
                let known = moved.sha256.as_ref().map_or(0, |sha256| copies.of(sha256));
                let is_safe = !moved.training_data || known >= replicas.max(1);
                if !is_safe {
                    emptied.kept.push(path);
                    left.push(moved);
                    continue;
                }
                fs::remove_file(&path).map_err(CleanupError::io("delete", &path))?;
                emptied.files += 1;
                emptied.bytes += moved.size_bytes;
            }
            if left.is_empty() {
                let list = folder.join(LIST);
                fs::remove_file(&list).map_err(CleanupError::io("delete", &list))?;
                remove_empty(&folder);
            } else {
                write_list(&folder, &left)?;
            }
        }
        Ok(emptied)
    }

    /// Puts a batch back to where it was. Returns how many files.
    ///
    /// # Errors
    ///
    /// If there is none of this moment, or a file is where one shall come back to; nothing is moved then.
    pub fn restore(&self, moment: &str) -> Result<usize, CleanupError> {
        let batches: Vec<Batch> = self.batches()?.into_iter().filter(|batch| batch.moment == moment).collect();
        if batches.is_empty() {
            return Err(CleanupError::NoBatch(moment.to_owned()));
        }
        for batch in &batches {
            let taken = batch.files.iter().map(|moved| batch.root.join(&moved.name));
            if let Some(path) = taken.clone().find(|path| path.symlink_metadata().is_ok()) {
                return Err(CleanupError::Occupied(path));
            }
        }
        let mut count = 0;
        for batch in batches {
            let folder = batch.root.join(FOLDER).join(&batch.moment);
            for moved in &batch.files {
                let (from, to) = (folder.join(&moved.name), batch.root.join(&moved.name));
                rename_into(&from, &to).map_err(CleanupError::io("move back", &from))?;
                count += 1;
            }
            let list = folder.join(LIST);
            fs::remove_file(&list).map_err(CleanupError::io("delete", &list))?;
            remove_empty(&folder);
        }
        Ok(count)
    }
}

/// What is beside a file just now.
fn beside(path: &Path) -> Vec<PathBuf> {
    let with = |end: &str| {
        let mut name = path.as_os_str().to_owned();
        name.push(end);
        PathBuf::from(name)
    };
    BESIDE.into_iter().map(with).filter(|path| path.symlink_metadata().is_ok()).collect()
}

fn rename_into(from: &Path, to: &Path) -> std::io::Result<()> {
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder)?;
    }
    if to.symlink_metadata().is_ok() {
        return Err(std::io::ErrorKind::AlreadyExists.into());
    }
    fs::rename(from, to)
}

fn read_list(batch: &Path) -> Result<Vec<Moved>, CleanupError> {
    let path = batch.join(LIST);
    match fs::read(&path) {
        Ok(text) => {
            serde_json::from_slice(&text).map_err(|error| CleanupError::Manifest { path, why: error.to_string() })
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(CleanupError::io("read", path)(error)),
    }
}

fn write_list(batch: &Path, files: &[Moved]) -> Result<(), CleanupError> {
    let (path, fresh) = (batch.join(LIST), batch.join(".list.json.new"));
    let written = || {
        fs::create_dir_all(batch)?;
        let mut file = fs::File::create(&fresh)?;
        file.write_all(&serde_json::to_vec_pretty(files)?)?;
        file.sync_all()?;
        fs::rename(&fresh, &path)
    };
    written().map_err(CleanupError::io("write", &path))
}

/// Folders that have nothing in them any more; any other one stays.
fn remove_empty(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_empty(&entry.path());
        }
    }
    // One that is not empty refuses.
    let _ = fs::remove_dir(folder);
    if let Some(trash) = folder.parent().filter(|parent| parent.file_name().is_some_and(|name| name == FOLDER)) {
        let _ = fs::remove_dir(trash);
    }
}

/// A list that somebody has changed must not lead elsewhere.
fn is_plain(name: &Path) -> bool {
    name.components().all(|part| matches!(part, Component::Normal(_)))
}

/// When a batch was made, seconds since the epoch, by its name.
fn at(moment: &str) -> Option<f64> {
    let at = jiff::civil::DateTime::strptime("%Y%m%dT%H%M%SZ", moment).ok()?;
    jiff::tz::Offset::UTC.to_timestamp(at).ok().map(|at| at.as_second() as f64)
}
