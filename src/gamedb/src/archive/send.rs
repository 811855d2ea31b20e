//! A database on its way to another machine: its copy is made and checked where it is, and what arrives is compared with what
//! was sent.

use std::{
    fs::{self, File},
    io::{self, BufReader, Read, Write},
    path::Path,
};

use ringrift_blob::Digest;
use tempfile::NamedTempFile;

use super::{
    manifest::{Member, now},
    partial::LEVEL,
    restore::{Restored, Restoring, extract, inside, plan},
};
use crate::{
    check::{Kind, kind},
    claim::Claim,
    copy::copy_to,
    course::Course,
    error::{DbError, Result},
    find::find,
    hash::{Hashed, pump},
    space::temporary,
};

/// A copy of a database that is ready to be sent. It is gone when this is.
#[derive(Debug)]
pub struct Offer {
    /// What it is.
    pub member: Member,
    copy: NamedTempFile,
}

/// Copies the database called `name` below `root`, as of one moment, and checks the copy. The copy lies in `scratch`, or else
/// beside the database, where there is room for it once more.
///
/// # Errors
///
/// If there is no such game database, the disk is full, or it shall stop. One that is damaged is offered as it is.
pub fn offer(root: &Path, name: &str, scratch: Option<&Path>, course: &mut Course<'_>) -> Result<Offer> {
    let root = fs::canonicalize(root).map_err(DbError::io("read", root))?;
    let found = find(&root)?;
    let Some(database) = found.iter().find(|found| found.name == name) else {
        let has: Vec<&str> = found.iter().map(|found| found.name.as_str()).collect();
        return Err(DbError::NoMember { path: root, name: name.to_owned(), has: has.join(", ") });
    };
    let kind = kind(&database.path, course)?;
    if !matches!(kind, Kind::Game | Kind::Unreadable) {
        return Err(DbError::NotAGameDatabase { path: database.path.clone(), what: kind.as_str().to_owned() });
    }
    let beside = match scratch {
        Some(scratch) => scratch.join(database.path.file_name().unwrap_or_default()),
        None => database.path.clone(),
    };
    let copy = temporary(&beside)?;
    let copied_at = now();
    let copied = copy_to(&database.path, copy.path(), course)?;
    Ok(Offer { member: Member::new(name, &copied, copied_at), copy })
}

impl Offer {
    /// Sends its bytes, compressed.
    ///
    /// # Errors
    ///
    /// If nobody takes them, or it shall stop.
    pub fn send(self, to: impl Write, course: &mut Course<'_>) -> Result<()> {
        let path = self.copy.path();
        let (name, size) = (Path::new(&self.member.name), self.member.size_bytes);
        let mut file = File::open(path).map_err(DbError::io("read", path))?;
        let mut encoder = zstd::Encoder::new(to, LEVEL).map_err(DbError::io("send", name))?;
        encoder.include_checksum(true).map_err(DbError::io("send", name))?;
        pump((&mut file, path), (&mut encoder, name), |done| course.at("sending", name, done, size))?;
        encoder.finish().and_then(|mut to| to.flush()).map_err(DbError::io("send", name))
    }
}

/// The bytes of one database as they arrive: no byte more, none less, and no other than was said.
pub(super) struct Arriving<'a, R: Read> {
    from: Hashed<zstd::Decoder<'static, BufReader<R>>>,
    member: &'a Member,
    left: u64,
    course: &'a mut dyn FnMut(u64) -> Result<()>,
    /// Why it ended early: `io::Error` has no room for it.
    failure: Option<DbError>,
}

impl<'a, R: Read> Arriving<'a, R> {
    pub(super) fn new(member: &'a Member, compressed: R, course: &'a mut dyn FnMut(u64) -> Result<()>) -> Result<Self> {
        let decoder = zstd::Decoder::new(compressed).map_err(|error| not_arrived(member, &error.to_string()))?;
        Ok(Self { from: Hashed::new(decoder), member, left: member.size_bytes, course, failure: None })
    }

    /// What it is that failed, if `outcome` is a failure to read it.
    pub(super) fn explain<T>(self, outcome: Result<T>) -> Result<T> {
        match (outcome, self.failure) {
            (Err(_), Some(failure)) => Err(failure),
            (outcome, _) => outcome,
        }
    }

    fn fail(&mut self, failure: DbError) -> io::Error {
        self.failure = Some(failure);
        io::Error::other("it did not arrive")
    }

    /// All that was announced is there: is it that, and is it all?
    fn judge(&mut self) -> Result<(), String> {
        let mut more = [0];
        match self.from.inner_mut().read(&mut more) {
            Ok(0) => {}
            Ok(_) => return Err(format!("more than its {} bytes came", self.member.size_bytes)),
            Err(error) => return Err(error.to_string()),
        }
        let sha256: Digest = self.from.digest();
        if sha256 == self.member.sha256 {
            return Ok(());
        }
        Err(format!("it has SHA-256 {sha256}, and {} was sent", self.member.sha256))
    }
}

impl<R: Read> Read for Arriving<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 {
            return Ok(0);
        }
        let most = buffer.len().min(usize::try_from(self.left).unwrap_or(usize::MAX));
        let count = match self.from.read(&mut buffer[..most]) {
            Ok(0) => {
                let why = format!("{} of its {} bytes are missing", self.left, self.member.size_bytes);
                return Err(self.fail(not_arrived(self.member, &why)));
            }
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Err(error),
            Err(error) => return Err(self.fail(not_arrived(self.member, &error.to_string()))),
        };
        self.left -= count as u64;
        if let Err(stopped) = (self.course)(self.member.size_bytes - self.left) {
            return Err(self.fail(stopped));
        }
        if self.left == 0
            && let Err(why) = self.judge()
        {
            return Err(self.fail(not_arrived(self.member, &why)));
        }
        Ok(count)
    }
}

fn not_arrived(member: &Member, why: &str) -> DbError {
    DbError::NotArrived { name: member.name.clone(), why: why.to_owned() }
}

/// What would become of a database that another machine has, before anything is asked of it.
///
/// # Errors
///
/// If `root` cannot be read.
pub fn rehearse(name: &str, root: &Path) -> Result<Restored> {
    let root = fs::canonicalize(root).map_err(DbError::io("write to", root))?;
    let path = root.join(name);
    let outcome =
        match inside(&path, &root).and_then(|()| if path.exists() { Claim::take(&path).map(Some) } else { Ok(None) }) {
            Ok(there) => Restoring::Would { replaces: there.is_some() },
            Err(error) => Restoring::Refused { reason: error.to_string() },
        };
    Ok(Restored { name: name.to_owned(), path, outcome })
}

/// Puts a database that another machine sends to its place below `root`; the one that is there is kept under another name.
/// Nothing is read of one that is the same, or that would not be put there.
///
/// # Errors
///
/// If it does not arrive as it was announced, the disk is full, or it shall stop.
pub fn receive(member: &Member, compressed: impl Read, root: &Path, course: &mut Course<'_>) -> Result<Restored> {
    if !crate::find::is_name(&member.name) {
        return Err(not_arrived(member, "its name is no place of a game database"));
    }
    let root = fs::canonicalize(root).map_err(DbError::io("write to", root))?;
    let path = root.join(&member.name);
    let outcome = match plan(member, &path, &root, course)? {
        // Out of an archive it may be the best there is; what another node has stays there.
        Restoring::Would { .. } if !member.whole => {
            Restoring::Refused { reason: format!("it is damaged there ({})", member.faults.join("; ")) }
        }
        outcome => outcome,
    };
    let mut restored = Restored { name: member.name.clone(), path, outcome };
    if !matches!(restored.outcome, Restoring::Would { .. }) {
        return Ok(restored);
    }
    let mut tell = |done| course.at("receiving", Path::new(&member.name), done, member.size_bytes);
    let mut arriving = Arriving::new(member, compressed, &mut tell)?;
    let kept = extract(Path::new(&member.name), member, &mut arriving, &restored.path, &mut |_| Ok(()));
    restored.outcome = match arriving.explain(kept) {
        Ok(kept) => Restoring::Restored { kept },
        Err(error @ (DbError::InUse { .. } | DbError::Exists(_))) => Restoring::Refused { reason: error.to_string() },
        Err(error) => return Err(error),
    };
    Ok(restored)
}
