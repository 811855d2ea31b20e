use std::{
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use ringrift_blob::Digest;
use tar::{Archive, EntryType};

use super::manifest::Manifest;
use crate::{
    course::Course,
    error::{DbError, Result},
    hash::{Hashed, pump},
};

/// The name of the last member.
pub(super) const MANIFEST: &str = "manifest.json";

/// A manifest is at most as large.
const MANIFEST_BYTES: u64 = 64 << 20;

/// An archive that was read from end to end and is what its manifest says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified {
    /// The archive.
    pub path: PathBuf,
    /// Its bytes.
    pub size_bytes: u64,
    /// What is in it.
    pub manifest: Manifest,
}

/// Reads an archive from end to end, and compares every database in it with the manifest.
///
/// # Errors
///
/// If a byte is missing, is another one, or is too much.
pub fn verify(path: &Path, course: &mut Course<'_>) -> Result<Verified> {
    let mut found: Vec<(String, u64, Digest)> = Vec::new();
    let mut manifest = None;
    let bad = |why: String| DbError::BadArchive { path: path.to_owned(), why };
    let walked = walk(path, course, |name, entry, tell| {
        if manifest.is_some() {
            return Err(bad(format!("{name} comes after its manifest")));
        }
        if name == MANIFEST {
            let mut bytes = Vec::new();
            entry.take(MANIFEST_BYTES).read_to_end(&mut bytes).map_err(|error| bad(error.to_string()))?;
            manifest = Some(Manifest::parse(&bytes).map_err(bad)?);
            return Ok(());
        }
        let mut hashed = Hashed::new(io::sink());
        pump((entry, path), (&mut hashed, path), tell)?;
        let (sha256, size) = hashed.finish();
        found.push((name.to_owned(), size, sha256));
        Ok(())
    });
    let size_bytes = match walked {
        Err(DbError::BadArchive { why, .. }) if !found.is_empty() => {
            let names: Vec<&str> = found.iter().map(|(name, ..)| name.as_str()).collect();
            return Err(bad(format!("{why}; before that it has {}", names.join(", "))));
        }
        walked => walked?,
    };
    let manifest = manifest.ok_or_else(|| bad("it has no manifest: it was not finished".to_owned()))?;
    for (at, member) in manifest.databases.iter().enumerate() {
        match found.get(at) {
            Some((name, size, sha256)) if *name == member.name => {
                if (*size, *sha256) != (member.size_bytes, member.sha256) {
                    return Err(bad(format!("{name} has SHA-256 {sha256}, its manifest says {}", member.sha256)));
                }
            }
            _ => return Err(bad(format!("{} is missing", member.name))),
        }
    }
    if let Some((name, ..)) = found.get(manifest.databases.len()) {
        return Err(bad(format!("it has {name}, which its manifest does not know")));
    }
    Ok(Verified { path: path.to_owned(), size_bytes, manifest })
}

/// What is told while a member is read: how many of its bytes are done.
pub(super) type Tell<'t> = &'t mut dyn FnMut(u64) -> Result<()>;

/// Hands out the members of an archive in their order: name, bytes, and whom to tell. How many bytes the archive has.
pub(super) fn walk(
    path: &Path,
    course: &mut Course<'_>,
    mut each: impl FnMut(&str, &mut dyn Read, Tell<'_>) -> Result<()>,
) -> Result<u64> {
    let bad = |error: io::Error| DbError::BadArchive { path: path.to_owned(), why: why(&error) };
    let file = File::open(path).map_err(DbError::io("read", path))?;
    let size = file.metadata().map_err(DbError::io("read", path))?.len();
    let decoder = zstd::Decoder::new(file.try_clone().map_err(DbError::io("read", path))?).map_err(bad)?;
    let mut archive = Archive::new(decoder);
    for entry in archive.entries().map_err(bad)? {
        let mut entry = entry.map_err(bad)?;
        let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        if !matches!(entry.header().entry_type(), EntryType::Regular) {
            return Err(bad(io::Error::other(format!("{name} is no regular file"))));
        }
        let expected = entry.size();
        let mut read = 0;
        // The place in the file, not in the database: one bar for all.
        let mut tell = |done| {
            read = done;
            let at = io::Seek::stream_position(&mut &file).unwrap_or(0);
            course.at("reading", path, at, size)
        };
        let outcome = each(&name, &mut entry, &mut tell);
        match outcome {
            Err(DbError::Io { source, path: of, .. }) if of == path => return Err(bad(source)),
            outcome => outcome?,
        }
        if name != MANIFEST && read < expected && read > 0 {
            return Err(bad(io::ErrorKind::UnexpectedEof.into()));
        }
    }
    // The checksum of the last piece is behind the last member.
    let mut rest = archive.into_inner();
    let excess = io::copy(&mut rest, &mut io::sink()).map_err(bad)?;
    // An archive ends in two blocks of 512 zeroes, of which the reader needs one.
    if excess > 512 { Err(bad(io::Error::other("something follows after its end"))) } else { Ok(size) }
}

fn why(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => "it ends too early".to_owned(),
        _ => error.to_string(),
    }
}
