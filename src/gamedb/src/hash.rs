use std::{
    fs::File,
    io::{self, Read, Write},
    path::Path,
};

use ringrift_blob::Digest;
use sha2::{Digest as _, Sha256};

use crate::{
    course::Course,
    error::{DbError, Result},
};

/// Digest and size of a file, which is told of as `named`.
///
/// # Errors
///
/// If it cannot be read, or it shall stop.
pub fn file(path: &Path, named: &Path, course: &mut Course<'_>) -> Result<(Digest, u64)> {
    let mut file = File::open(path).map_err(DbError::io("read", path))?;
    let size = file.metadata().map_err(DbError::io("read", path))?.len();
    let mut hashed = Hashed::new(io::sink());
    pump((&mut file, path), (&mut hashed, path), |done| course.at("hashing", named, done, size))?;
    Ok(hashed.finish())
}

/// Moves all bytes from one to the other in pieces.
pub(crate) fn pump(
    (from, from_path): (&mut dyn Read, &Path),
    (to, to_path): (&mut dyn Write, &Path),
    mut each: impl FnMut(u64) -> Result<()>,
) -> Result<u64> {
    let mut piece = vec![0; 1 << 18];
    let mut done = 0;
    loop {
        match from.read(&mut piece) {
            Ok(0) => return Ok(done),
            Ok(count) => {
                to.write_all(&piece[..count]).map_err(DbError::io("write", to_path))?;
                done += count as u64;
                each(done)?;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(DbError::io("read", from_path)(error)),
        }
    }
}

/// Knows the digest of what went through it.
pub(crate) struct Hashed<W> {
    inner: W,
    sha256: Sha256,
    size: u64,
}

impl<W> Hashed<W> {
    pub(crate) fn new(inner: W) -> Self {
        Self { inner, sha256: Sha256::new(), size: 0 }
    }

    /// The digest of what went through it until now.
    pub(crate) fn digest(&self) -> Digest {
        Digest::from_bytes(self.sha256.clone().finalize().into())
    }

    /// What it reads from or writes to, past it.
    pub(crate) fn inner_mut(&mut self) -> &mut W {
        &mut self.inner
    }

    pub(crate) fn finish(self) -> (Digest, u64) {
        (Digest::from_bytes(self.sha256.finalize().into()), self.size)
    }
}

impl<W: Write> Write for Hashed<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.inner.write(bytes)?;
        self.sha256.update(&bytes[..count]);
        self.size += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(bytes)?;
        self.sha256.update(&bytes[..count]);
        self.size += count as u64;
        Ok(count)
    }
}
