use std::{fs::File, io, path::Path, sync::Arc};

use ringrift_blob::{Blob, BlobHasher, CHUNK, Digest, MAX_SIZE, ModelName};
use rustix::fs::{OFlags, fstat};

use crate::{
    Identity,
    disk::{Folder, Sink},
    error::{Result, StoreError},
    hash,
    identity::is_regular,
    index::Facts,
    mapping::Mapping,
    object::Object,
    store::{Entry, Inner, Store},
};

impl Store {
    /// Takes a copy of a file into the store. A link is followed; a file that changes while it is read is not taken.
    ///
    /// # Errors
    ///
    /// If it has other bytes than expected, is no regular file, changes, or does not fit.
    pub fn ingest(&self, path: &Path, expected: Option<Digest>) -> Result<Arc<Object>> {
        // Not waiting for a pipe's other end.
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let file = rustix::fs::open(path, flags, rustix::fs::Mode::empty())
            .map_err(|error| StoreError::io("open", path)(error.into()))?;
        self.noting_space(self.ingest_file(&file.into(), path, expected))
    }

    /// Takes a copy of what lies under a name where programs look for models, whoever put it there. Links are not followed.
    pub fn take(&self, name: &ModelName) -> Result<Arc<Object>> {
        let path = self.0.models.join(name.as_str());
        let file = self.0.models.open_read(name.as_str()).map_err(|error| match error.raw_os_error() {
            Some(libc::ELOOP) => StoreError::NotAFile(path.clone()),
            _ => StoreError::io("open", &path)(error),
        })?;
        self.noting_space(self.ingest_file(&file, &path, None))
    }

    pub(crate) fn ingest_file(&self, file: &File, path: &Path, expected: Option<Digest>) -> Result<Arc<Object>> {
        let stat = fstat(file).map_err(|error| StoreError::io("look at", path)(error.into()))?;
        if !is_regular(&stat) {
            return Err(StoreError::NotAFile(path.to_owned()));
        }
        let before = Identity::from(&stat);
        let known = self.0.state().index.digests.get(&before);
        if let Some(found) = known {
            check_digest(path, expected, found)?;
            if let Ok(object) = self.fetch(&found) {
                return Ok(object);
            }
        }
        self.check_room(before.size(), 0)?;
        let read_from = self.0.now();
        let mut upload = self.upload(&path.display().to_string());
        let copied = hash::pieces(file, before.size(), |_, piece| upload.write_piece(piece).map_err(io::Error::other));
        let changing = || StoreError::Changing(path.to_owned());
        if let Err(error) = copied {
            return Err(match error.downcast::<StoreError>() {
                Ok(error) => error,
                Err(error) if matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData) => {
                    changing()
                }
                Err(error) => StoreError::io("read", path)(error),
            });
        }
        if Identity::of(file).map_err(StoreError::io("look at", path))? != before {
            return Err(changing());
        }
        let object = upload.finish(expected)?;
        self.0.state().index.digests.put(before, object.sha256(), read_from);
        Ok(object)
    }

    /// Begins to take bytes from elsewhere. `named` tells in errors which bytes they are.
    pub fn upload(&self, named: &str) -> Upload {
        let hasher = BlobHasher::new(CHUNK);
        Upload { store: self.clone(), named: named.to_owned(), hasher, size: 0, temporary: None }
    }

    /// Gives a whole, verified, temporary file the name of its digest.
    pub(crate) fn install(
        &self,
        from: &Folder,
        name: &str,
        sink: Sink,
        blob: Blob,
        whole: bool,
    ) -> Result<Arc<Object>> {
        let inner = &self.0;
        let sha256 = blob.sha256;
        let hex = sha256.to_string();
        let path = inner.objects.join(&hex);
        sink.sync().map_err(StoreError::io("sync", sink.path()))?;
        let _one = inner.installing();
        if let Ok(object) = self.fetch(&sha256) {
            // Somebody was faster.
            from.unlink(name).map_err(StoreError::io("remove", sink.path()))?;
            return Ok(object);
        }
        from.rename(name, &inner.objects, &hex)
            // Not before: what could not be renamed must stay writable for the next attempt.
            .and_then(|()| sink.chmod(0o444))
            .and_then(|()| inner.objects.sync())
            .map_err(StoreError::io("rename to", &path))?;
        let facts = Facts { blob, verified: None };
        // Without them the object would be read once more after a restart, no more than that.
        self.noting_space(Inner::save_file(&inner.facts, &hex, &facts)).ok();
        // Who can still write to it cannot be told from somebody else: no lease while it is open here.
        drop(sink);
        let entry = Entry { size: facts.blob.size, facts: Some(facts), open: None, verified_at_ms: None, whole };
        inner.state().entries.insert(sha256, entry);
        let mapping = inner.objects.open_read(&hex).and_then(Mapping::new).map_err(StoreError::io("open", &path))?;
        if mapping.had_writers() {
            return Err(StoreError::Changing(path));
        }
        Ok(self.enter(sha256, mapping))
    }

    /// Serves an object that was verified just now.
    fn enter(&self, sha256: Digest, mapping: Arc<Mapping>) -> Arc<Object> {
        let object = Arc::new(Object::new(sha256, mapping));
        let now_ms = self.0.now_ms();
        if let Some(entry) = self.0.state().entries.get_mut(&sha256) {
            entry.open = Some(Arc::clone(&object));
            entry.verified_at_ms = Some(now_ms);
        }
        object
    }
}

/// Bytes on their way into the store. Dropped before [`finish`](Self::finish) it leaves nothing behind.
pub struct Upload {
    store: Store,
    named: String,
    hasher: BlobHasher,
    size: u64,
    temporary: Option<(String, Sink)>,
}

impl Upload {
    /// Bytes taken so far.
    pub fn size(&self) -> u64 {
        self.size
    }

    /// Ends it: syncs, compares, and gives the bytes their name.
    ///
    /// # Errors
    ///
    /// If they are not those expected, none, or do not fit. Then nothing is left of them.
    pub fn finish(mut self, expected: Option<Digest>) -> Result<Arc<Object>> {
        let blob = std::mem::replace(&mut self.hasher, BlobHasher::new(CHUNK)).finish();
        blob.check().map_err(|source| StoreError::Invalid { what: self.named.clone(), source })?;
        check_digest(&self.named, expected, blob.sha256)?;
        let Some((name, sink)) = self.temporary.take() else { return Err(StoreError::Unknown(blob.sha256)) };
        let store = self.store.clone();
        let object = store.noting_space(store.install(&store.0.tmp, &name, sink, blob, true));
        if object.is_err() {
            // It may still be there under this name.
            let _ = store.0.tmp.unlink(&name);
        }
        object
    }

    pub(crate) fn write_piece(&mut self, piece: &[u8]) -> Result<()> {
        let inner = &self.store.0;
        let after = self.size + piece.len() as u64;
        if after > MAX_SIZE {
            let source = ringrift_blob::InvalidBlob::Size(after);
            return Err(StoreError::Invalid { what: self.named.clone(), source });
        }
        // Asked once in 16 MiB: what others write meanwhile may eat into what should stay free, but not all of it.
        if self.size >> 24 != after >> 24 || self.temporary.is_none() {
            self.store.noting_space(self.store.check_room(piece.len() as u64, 0))?;
        }
        if self.temporary.is_none() {
            let name = inner.fresh_name();
            let sink = inner.tmp.create(&name, 0o600).map_err(StoreError::io("create", inner.tmp.join(&name)));
            self.temporary = Some((name, self.store.noting_space(sink)?));
        }
        let Some((_, sink)) = &self.temporary else { return Ok(()) };
        let written = sink.write_at(piece, self.size).map_err(StoreError::io("write", sink.path()));
        self.store.noting_space(written)?;
        self.hasher.update(piece);
        self.size = after;
        Ok(())
    }
}

impl io::Write for Upload {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_piece(bytes).map_err(io::Error::other)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        if let Some((name, _)) = &self.temporary {
            // What stays is removed at the next start.
            let _ = self.store.0.tmp.unlink(name);
        }
    }
}

fn check_digest(what: impl AsRef<Path>, expected: Option<Digest>, found: Digest) -> Result<()> {
    match expected {
        Some(expected) if expected != found => {
            Err(StoreError::WrongDigest { what: what.as_ref().display().to_string(), expected, found })
        }
        _ => Ok(()),
    }
}
