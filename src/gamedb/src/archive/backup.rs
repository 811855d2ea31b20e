use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

use super::{
    manifest::{Absent, Manifest, Member, now},
    partial::Partial,
    read::{MANIFEST, verify},
};
use crate::{
    check::{Kind, kind},
    copy::copy_to,
    course::Course,
    error::{DbError, Result},
    find::{Found, find},
    side::beside,
    space::{folder, temporary},
};

/// A backup that was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BackedUp {
    /// The archive.
    pub path: PathBuf,
    /// Its bytes.
    pub size_bytes: u64,
    /// What is in it.
    pub manifest: Manifest,
    /// How many of the databases an earlier attempt had finished.
    pub resumed: usize,
}

/// Copies all game databases below `root` into a new archive at `output`, which gets its name when all of it was read again
/// and found right. Databases may be in use. One that is damaged is taken as it is, and told of; one that cannot be copied is
/// missing, and told of.
///
/// An attempt that ends early leaves `OUTPUT.partial`; the next one of the same root and node goes on behind its last whole
/// database.
///
/// # Errors
///
/// If there is no game database, `output` exists, the disk is full, or it shall stop.
pub fn backup(root: &Path, node: &str, output: &Path, course: &mut Course<'_>) -> Result<BackedUp> {
    backup_some(root, node, output, |_| true, course)
}

/// The same of some of the databases.
///
/// # Errors
///
/// As for [`backup`].
pub fn backup_some(
    root: &Path,
    node: &str,
    output: &Path,
    wanted: impl Fn(&Found) -> bool,
    course: &mut Course<'_>,
) -> Result<BackedUp> {
    if output.exists() {
        return Err(DbError::Exists(output.to_owned()));
    }
    let root = fs::canonicalize(root).map_err(DbError::io("read", root))?;
    let mut found = find(&root)?;
    found.retain(wanted);
    if found.is_empty() {
        return Err(DbError::NoneFound(root));
    }
    let mut partial = Partial::open(output, node, &root)?;
    let resumed = partial.databases().len();
    let (missing, others) = match fill(&mut partial, &found, output, course) {
        Ok((missing, _)) if partial.databases().is_empty() => {
            partial.give_up();
            let whys: Vec<String> = missing.into_iter().map(|one| format!("{}: {}", one.name, one.reason)).collect();
            return Err(if whys.is_empty() {
                DbError::NoneFound(root)
            } else {
                DbError::NoneCopied { path: root, why: whys.join("; ") }
            });
        }
        Ok(absent) => absent,
        Err(error) => {
            partial.give_up();
            return Err(error);
        }
    };
    let manifest = Manifest::new(node, partial.databases().to_vec(), missing, others);
    seal(partial, manifest, output, resumed, course)
}

/// Ends an archive, reads all of it again, and gives it its name.
pub(super) fn seal(
    partial: Partial,
    manifest: Manifest,
    output: &Path,
    resumed: usize,
    course: &mut Course<'_>,
) -> Result<BackedUp> {
    let text = serde_json::to_vec_pretty(&manifest).map_err(io::Error::from).map_err(DbError::io("write", output))?;
    let whole = partial.finish(MANIFEST, &text)?;
    let verified = verify(&whole, course);
    if let Err(DbError::BadArchive { why, .. }) = verified {
        // The next attempt must not go on with bytes that are wrong.
        let _ = fs::remove_file(&whole);
        let _ = fs::remove_file(beside(output, ".partial.json"));
        return Err(DbError::BadArchive { path: output.to_owned(), why });
    }
    let size_bytes = verified?.size_bytes;
    if output.exists() {
        return Err(DbError::Exists(output.to_owned()));
    }
    fs::rename(&whole, output).map_err(DbError::io("write", output))?;
    let _ = fs::remove_file(beside(output, ".partial.json"));
    let folder = folder(output);
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(DbError::io("sync", folder))?;
    Ok(BackedUp { path: output.to_owned(), size_bytes, manifest, resumed })
}

/// What is missing in an archive, and what does not belong into it.
type AbsentOnes = (Vec<Absent>, Vec<Absent>);

fn fill(partial: &mut Partial, found: &[Found], output: &Path, course: &mut Course<'_>) -> Result<AbsentOnes> {
    let (mut missing, mut others) = (Vec::new(), Vec::new());
    for database in found {
        if partial.databases().iter().any(|member| member.name == database.name) {
            continue;
        }
        let absent = |reason: String| Absent { name: database.name.clone(), reason };
        match take(partial, database, output, course) {
            Ok(None) => {}
            Ok(Some(kind)) if matches!(kind, Kind::OtherSqlite | Kind::Empty) => {
                others.push(absent(kind.as_str().to_owned()));
            }
            Ok(Some(kind)) => missing.push(absent(kind.as_str().to_owned())),
            Err(error @ (DbError::Stopped(_) | DbError::DiskFull { .. })) => return Err(error),
            Err(error) => missing.push(absent(error.to_string())),
        }
    }
    Ok((missing, others))
}

/// Adds one; what it is, if it was not added.
fn take(partial: &mut Partial, database: &Found, output: &Path, course: &mut Course<'_>) -> Result<Option<Kind>> {
    let kind = kind(&database.path, course)?;
    if !matches!(kind, Kind::Game | Kind::Unreadable) {
        return Ok(Some(kind));
    }
    let copy = temporary(output)?;
    let copied_at = now();
    let copied = copy_to(&database.path, copy.path(), course)?;
    let member = Member::new(&database.name, &copied, copied_at);
    let file = File::open(copy.path()).map_err(DbError::io("read", copy.path()))?;
    let mut failure = None;
    let size = member.size_bytes;
    let told = Told {
        inner: file,
        done: 0,
        tell: |done| course.at("packing", &database.path, done, size),
        failure: &mut failure,
    };
    let added = partial.add(member, told);
    match failure {
        Some(failure) => Err(failure),
        None => added.map(|()| None),
    }
}

/// Tells how much of a file was read.
struct Told<'a, F> {
    inner: File,
    done: u64,
    tell: F,
    /// Why reading ended: `io::Error` has no room for it.
    failure: &'a mut Option<DbError>,
}

impl<F: FnMut(u64) -> Result<()>> io::Read for Told<'_, F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.done += count as u64;
        (self.tell)(self.done).map_err(|failure| {
            *self.failure = Some(failure);
            io::Error::other("it shall stop")
        })?;
        Ok(count)
    }
}
