//! An archive that is not finished: `F.partial`, and beside it in `F.partial.json` how far it is certain.

use std::{
    fs::{self, File},
    io::{self, Seek as _, SeekFrom, Write},
    path::{Path, PathBuf},
};

use rustix::{
    fs::{FlockOperation, flock},
    io::Errno,
};
use serde::{Deserialize, Serialize};
use tar::{Builder, Header};

use super::manifest::Member;
use crate::{
    error::{DbError, Result},
    side::beside,
    space::{folder, temporary},
};

/// The default of the zstd program.
pub(super) const LEVEL: i32 = 3;

/// What is finished of an archive.
#[derive(Debug, Serialize, Deserialize)]
struct Journal {
    node: String,
    root: PathBuf,
    /// Bytes that are certain.
    end: u64,
    databases: Vec<Member>,
}

/// An archive that is being written.
pub(super) struct Partial {
    path: PathBuf,
    journal_path: PathBuf,
    journal: Journal,
    tar: Builder<Frames>,
    /// Given back last.
    lock: Lock,
}

/// The lock of the file. It is given back, and not only closed: a program that this process is about to start shares it until it runs.
struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        let _ = flock(&self.0, FlockOperation::Unlock);
    }
}

impl Partial {
    /// Begins one, or goes on with one of the same databases.
    pub(super) fn open(output: &Path, node: &str, root: &Path) -> Result<Self> {
        let (path, journal_path) = (beside(output, ".partial"), beside(output, ".partial.json"));
        let options = File::options().read(true).write(true).create(true).truncate(false).open(&path);
        let file = options.map_err(DbError::io("write", &path))?;
        let lock = Lock(file.try_clone().map_err(DbError::io("lock", &path))?);
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::AGAIN) => return Err(DbError::Writing(output.to_owned())),
            Err(error) => return Err(DbError::io("lock", &path)(error.into())),
        }
        let begun: Option<Journal> = fs::read(&journal_path).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let size = file.metadata().map_err(DbError::io("read", &path))?.len();
        let same = begun.filter(|begun| begun.node == node && begun.root == root && begun.end <= size);
        let journal = same.unwrap_or_else(|| Journal {
            node: node.to_owned(),
            root: root.to_owned(),
            end: 0,
            databases: Vec::new(),
        });
        // What a crash left behind the last whole member.
        let mut end = &file;
        let cut = file.set_len(journal.end).and_then(|()| end.seek(SeekFrom::End(0)));
        cut.map_err(DbError::io("write", &path))?;
        Ok(Self { tar: Builder::new(Frames { file, encoder: None }), path, journal_path, journal, lock })
    }

    /// The databases that are in it.
    pub(super) fn databases(&self) -> &[Member] {
        &self.journal.databases
    }

    /// Adds a database. It is in it for good when this is done; if this fails, nothing of it is.
    pub(super) fn add(&mut self, member: Member, from: impl io::Read) -> Result<()> {
        if let Err(error) = self.append(&member.name, member.size_bytes, from) {
            self.cut_back()?;
            return Err(error);
        }
        let end = self.tar.get_mut().cut().map_err(DbError::io("write", &self.path))?;
        self.journal.databases.push(member);
        self.journal.end = end;
        self.save()
    }

    /// Writes the last member and the end; where the whole archive is now.
    pub(super) fn finish(mut self, name: &str, bytes: &[u8]) -> Result<PathBuf> {
        self.append(name, bytes.len() as u64, bytes)?;
        let written = self.tar.into_inner().and_then(|mut frames| frames.cut());
        written.map_err(DbError::io("write", &self.path))?;
        drop(self.lock);
        Ok(self.path)
    }

    /// Removes what is of no use to a later attempt.
    pub(super) fn give_up(self) {
        if self.journal.databases.is_empty() {
            let _ = fs::remove_file(&self.path);
            let _ = fs::remove_file(&self.journal_path);
        }
    }

    /// Takes away what is behind the last whole member.
    fn cut_back(&mut self) -> Result<()> {
        let failed = |error| DbError::io("write", &self.path)(error);
        let file = self.tar.get_ref().file.try_clone().map_err(failed)?;
        let frames = Frames { file: file.try_clone().map_err(failed)?, encoder: None };
        // The old one writes an end of archive when it is dropped, which must not stay either.
        drop(std::mem::replace(&mut self.tar, Builder::new(frames)));
        let mut end = &file;
        let cut = file.set_len(self.journal.end).and_then(|()| end.seek(SeekFrom::End(0)));
        cut.map(|_| ()).map_err(DbError::io("write", &self.path))
    }

    fn append(&mut self, name: &str, size: u64, from: impl io::Read) -> Result<()> {
        let mut header = Header::new_gnu();
        header.set_size(size);
        header.set_mode(0o644);
        // The manifest has the times; the same databases make the same bytes.
        header.set_mtime(0);
        self.tar.append_data(&mut header, name, from).map_err(DbError::io("write", &self.path))
    }

    fn save(&self) -> Result<()> {
        let path = &self.journal_path;
        let mut fresh = temporary(path)?;
        let text =
            serde_json::to_vec_pretty(&self.journal).map_err(io::Error::from).map_err(DbError::io("write", path))?;
        fresh.write_all(&text).and_then(|()| fresh.as_file().sync_all()).map_err(DbError::io("write", path))?;
        fresh.persist(path).map_err(|error| DbError::io("write", path)(error.error))?;
        let folder = folder(path);
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(DbError::io("sync", folder))
    }
}

/// Compresses what is written in pieces that can be read one after the other, so that a file may end after any of them.
struct Frames {
    file: File,
    encoder: Option<zstd::Encoder<'static, File>>,
}

impl Frames {
    /// Ends a piece; how many bytes there are now, all of them on the disk.
    fn cut(&mut self) -> io::Result<u64> {
        if let Some(encoder) = self.encoder.take() {
            encoder.finish()?;
        }
        self.file.sync_all()?;
        self.file.stream_position()
    }
}

impl Write for Frames {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.encoder.is_none() {
            let mut encoder = zstd::Encoder::new(self.file.try_clone()?, LEVEL)?;
            encoder.include_checksum(true)?;
            self.encoder = Some(encoder);
        }
        match &mut self.encoder {
            Some(encoder) => encoder.write(bytes),
            None => Ok(0),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        self.encoder.as_mut().map_or(Ok(()), Write::flush)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::{DbError, Partial};

    #[test]
    fn a_program_that_is_being_started_does_not_keep_the_lock_of_an_archive() {
        let folder = tempfile::tempdir().unwrap();
        let output = folder.path().join("b.tar.zst");
        let open = || Partial::open(&output, "gpu-1", Path::new("/"));
        let first = open().unwrap();
        // As a child has it from its fork until it runs its program.
        let shared = first.lock.0.try_clone().unwrap();
        assert!(matches!(open(), Err(DbError::Writing(_))));
        drop(first);
        open().unwrap();
        drop(shared);
    }
}
