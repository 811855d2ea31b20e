use std::{
    fs,
    io::Read,
    path::{Path, PathBuf},
};

use serde::Serialize;

use super::{
    manifest::{Manifest, Member},
    read::{Tell, verify, walk},
};
use crate::{
    claim::Claim,
    course::Course,
    error::{DbError, Result},
    hash::{self, Hashed, pump},
    open::regular,
    repair::Outcome,
    side::Side,
    space::{folder, need, temporary},
    swap,
};

/// What became of one database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Restoring {
    /// It is there now.
    Restored {
        /// Where the one that was there is kept.
        kept: Option<PathBuf>,
    },
    /// It was there already, byte for byte.
    Same,
    /// It would be restored.
    Would {
        /// Whether there is one, which would be kept.
        replaces: bool,
    },
    /// It was left as it was.
    Refused {
        /// Why.
        reason: String,
    },
}

/// One database of a restore.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Restored {
    /// The database in the archive.
    pub name: String,
    /// Where it belongs.
    pub path: PathBuf,
    /// What became of it.
    #[serde(flatten)]
    pub outcome: Restoring,
}

/// Which databases of an archive are meant; by default all.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Wanted<'a> {
    /// In an archive of several nodes: those of this one. Without it, the archive may have databases of one alone.
    pub node: Option<&'a str>,
    /// The one of this name: its path in the archive, or the end of it.
    pub database: Option<&'a str>,
}

/// Takes databases out of an archive, to where they belong below `root`. The whole archive is verified before anything is
/// written. A database that is there is kept under another name; one that is the same is left as it is, so that a restore
/// that was stopped goes on where it was.
///
/// # Errors
///
/// If the archive is not whole, has no such database, the disk is full, or it shall stop. That a single database cannot be
/// replaced, since it is in use or lies elsewhere, is no error but [`Restoring::Refused`].
pub fn restore(
    archive: &Path,
    root: &Path,
    wanted: Wanted<'_>,
    outcome: Outcome,
    course: &mut Course<'_>,
) -> Result<(Manifest, Vec<Restored>)> {
    let root = fs::canonicalize(root).map_err(DbError::io("write to", root))?;
    let manifest = verify(archive, course)?.manifest;
    let wanted = select(archive, &manifest, wanted)?;
    let mut restored: Vec<Restored> = Vec::new();
    let mut todo: Vec<&Member> = Vec::new();
    for member in wanted {
        let path = root.join(manifest.place(member).1);
        let state = plan(member, &path, &root, course)?;
        let later = matches!(state, Restoring::Would { .. }) && outcome == Outcome::Replace;
        if later {
            todo.push(member);
        }
        restored.push(Restored { name: member.name.clone(), path, outcome: state });
    }
    if !todo.is_empty() {
        walk(archive, course, |name, entry, tell| {
            let Some(member) = todo.iter().find(|member| member.name == name) else { return Ok(()) };
            let Some(one) = restored.iter_mut().find(|one| one.name == name) else { return Ok(()) };
            one.outcome = match extract(archive, member, entry, &one.path, tell) {
                Ok(kept) => Restoring::Restored { kept },
                Err(error @ (DbError::Stopped(_) | DbError::DiskFull { .. } | DbError::BadArchive { .. })) => {
                    return Err(error);
                }
                Err(error) => Restoring::Refused { reason: error.to_string() },
            };
            Ok(())
        })?;
    }
    Ok((manifest, restored))
}

fn select<'m>(archive: &Path, manifest: &'m Manifest, wanted: Wanted<'_>) -> Result<Vec<&'m Member>> {
    let path = archive.to_owned();
    let all: Vec<&Member> = manifest
        .databases
        .iter()
        .filter(|member| wanted.node.is_none_or(|node| manifest.nodes.is_empty() || manifest.place(member).0 == node))
        .collect();
    let names = |members: &[&Member]| members.iter().map(|member| member.name.as_str()).collect::<Vec<_>>().join(", ");
    if let Some(node) = wanted.node.filter(|_| all.is_empty()) {
        return Err(DbError::NoNode { path, node: node.to_owned(), has: nodes(manifest).join(", ") });
    }
    if let Some(only) = wanted.database {
        let end = format!("/{only}");
        let is_meant = |member: &&&Member| member.name == only || member.name.ends_with(&end);
        let meant: Vec<&Member> = all.iter().filter(is_meant).copied().collect();
        let name = only.to_owned();
        return match meant.len() {
            1 => Ok(meant),
            0 => Err(DbError::NoMember { path, name, has: names(&all) }),
            _ => Err(DbError::SeveralMembers { path, name, has: names(&meant) }),
        };
    }
    match nodes(manifest).as_slice() {
        [_, _, ..] if wanted.node.is_none() => Err(DbError::WhichNode { path, has: nodes(manifest).join(", ") }),
        _ => Ok(all),
    }
}

/// The nodes that have databases in it.
fn nodes(manifest: &Manifest) -> Vec<&str> {
    let mut nodes: Vec<&str> = manifest.databases.iter().map(|member| manifest.place(member).0).collect();
    nodes.sort_unstable();
    nodes.dedup();
    nodes
}

/// What would become of a database.
pub(super) fn plan(member: &Member, path: &Path, root: &Path, course: &mut Course<'_>) -> Result<Restoring> {
    let refused = |reason: String| Ok(Restoring::Refused { reason });
    if let Err(error) = inside(path, root) {
        return refused(error.to_string());
    }
    if !path.exists() {
        return Ok(Restoring::Would { replaces: false });
    }
    let Ok(real) = regular(path) else { return refused(DbError::NotAFile(path.to_owned()).to_string()) };
    // With a log it is not what its own bytes say.
    if Side::of(&real).map_err(DbError::io("read", path))? == Side::default() {
        let (sha256, _) = hash::file(path, path, course)?;
        if sha256 == member.sha256 {
            return Ok(Restoring::Same);
        }
    }
    if !member.whole {
        return refused(format!("it is damaged in the archive ({})", member.faults.join("; ")));
    }
    match Claim::take(path) {
        Ok(_) => Ok(Restoring::Would { replaces: true }),
        Err(error) => refused(error.to_string()),
    }
}

/// Whether a path stays below the root, links and all.
pub(super) fn inside(path: &Path, root: &Path) -> Result<()> {
    for part in path.ancestors().take_while(|part| *part != root) {
        match fs::canonicalize(part) {
            Ok(real) if real.starts_with(root) => return Ok(()),
            Ok(_) => return Err(DbError::Outside { path: part.to_owned(), root: root.to_owned() }),
            // A link that leads nowhere yet would lead a new file there.
            Err(_) if part.is_symlink() => {
                return Err(DbError::Outside { path: part.to_owned(), root: root.to_owned() });
            }
            Err(_) => {}
        }
    }
    Ok(())
}

/// Writes a database to its place, if its bytes are those that are expected; where the one before is kept.
pub(super) fn extract(
    archive: &Path,
    member: &Member,
    entry: &mut dyn Read,
    path: &Path,
    tell: Tell<'_>,
) -> Result<Option<PathBuf>> {
    fs::create_dir_all(folder(path)).map_err(DbError::io("make", folder(path)))?;
    need(folder(path), member.size_bytes)?;
    let claim = if path.exists() { Some(Claim::take(path)?) } else { None };
    let mut fresh = temporary(path)?;
    let mut hashed = Hashed::new(fresh.as_file_mut());
    pump((entry, archive), (&mut hashed, path), tell).map_err(|error| error.in_folder(folder(path)))?;
    let (sha256, size) = hashed.finish();
    if (sha256, size) != (member.sha256, member.size_bytes) {
        let why = format!("{} changed while it was read", member.name);
        return Err(DbError::BadArchive { path: archive.to_owned(), why });
    }
    match claim {
        Some(claim) => {
            claim.is_still_ours()?;
            swap::replace(fresh, claim.real(), "before-restore")
        }
        None if path.exists() => Err(DbError::Exists(path.to_owned())),
        None => swap::replace(fresh, path, "before-restore"),
    }
}
