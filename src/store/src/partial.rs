use std::{
    fs::File,
    io::{self, Read},
    os::unix::fs::FileExt,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard},
};

use ringrift_blob::{Blob, ChunkSet, Digest};
use rustix::fs::{SeekFrom, seek};

use crate::{
    disk::Sink,
    error::{Result, StoreError},
    journal,
    object::Object,
    store::{Inner, Store},
};

/// Chunks that are written before they are synced and then claimed in the journal: 16 MiB of them. So much is fetched again at most
/// after a power cut.
const BATCH: usize = 64;

/// A blob that is being fetched, chunk by chunk in any order, from any thread. Dropped, it stays on the disk and is resumed by the next
/// [`Store::partial`].
#[derive(Debug)]
pub struct Partial {
    store: Store,
    blob: Blob,
    /// `None` once it is finished.
    data: RwLock<Option<Sink>>,
    journal: Sink,
    progress: Mutex<Progress>,
}

#[derive(Debug)]
struct Progress {
    have: ChunkSet,
    /// Written, but not yet claimed in the journal.
    unclaimed: Vec<u32>,
    journal_len: u64,
    finished: Option<Arc<Object>>,
}

impl Store {
    /// Begins to fetch a blob, or goes on with it: what the journal claims is read and verified again. The room for all of it is
    /// reserved first.
    ///
    /// # Errors
    ///
    /// If there is no room, if it is being fetched already, or if its figures do not fit together.
    pub fn partial(&self, blob: &Blob) -> Result<Partial> {
        blob.check().map_err(|source| StoreError::Invalid { what: blob.sha256.to_string(), source })?;
        if !self.0.state().fetching.insert(blob.sha256) {
            return Err(StoreError::InUse(self.0.partial.join(&blob.sha256.to_string())));
        }
        let partial = self.noting_space(self.open_partial(blob));
        if partial.is_err() {
            self.0.state().fetching.remove(&blob.sha256);
        }
        partial
    }

    /// The blobs whose fetch was begun and not finished, those in progress among them.
    pub fn partials(&self) -> Vec<Blob> {
        let names = self.0.partial.list(crate::open::MAX_NAMES).unwrap_or_default();
        let blobs = names.iter().filter_map(|name| {
            let sha256: Digest = name.strip_suffix(".blob")?.parse().ok()?;
            let blob: Blob = self.0.load_file(&self.0.partial, name).ok()??;
            (blob.sha256 == sha256 && blob.check().is_ok()).then_some(blob)
        });
        blobs.collect()
    }

    /// Gives up a fetch that nobody works on, and its bytes. Whether there was one.
    pub fn forget_partial(&self, sha256: &Digest) -> Result<bool> {
        if self.0.state().fetching.contains(sha256) {
            return Err(StoreError::InUse(self.0.partial.join(&sha256.to_string())));
        }
        self.remove_partial(sha256)
    }

    pub(crate) fn remove_partial(&self, sha256: &Digest) -> Result<bool> {
        let folder = &self.0.partial;
        let hex = sha256.to_string();
        let mut any = false;
        for name in [format!("{hex}.have"), hex.clone(), format!("{hex}.blob")] {
            any |= folder.unlink(&name).map_err(StoreError::io("remove", folder.join(&name)))?;
        }
        Ok(any)
    }

    fn open_partial(&self, blob: &Blob) -> Result<Partial> {
        let inner = &self.0;
        let folder = &inner.partial;
        let hex = blob.sha256.to_string();
        let path = folder.join(&hex);
        let have_name = format!("{hex}.have");
        let known = folder.stat(&hex).map_err(StoreError::io("look at", &path))?;
        let resumed = known.is_some_and(|stat| stat.st_size.cast_unsigned() == blob.size);
        if !resumed {
            // One at a time: what is free is asked, and then taken.
            let _one = inner.installing();
            self.remove_partial(&blob.sha256)?;
            self.check_room(blob.size, blob.size)?;
            let reserved = folder.create(&hex, 0o600).and_then(|sink| sink.allocate(blob.size));
            if let Err(error) = reserved {
                self.remove_partial(&blob.sha256)?;
                return Err(match StoreError::io("reserve room for", &path)(error) {
                    StoreError::DiskFull { path, .. } => StoreError::DiskFull { path, needed: blob.size },
                    other => other,
                });
            }
        }
        Inner::save_file(folder, &format!("{hex}.blob"), blob)?;
        let data = folder.open_write(&hex).map_err(StoreError::io("open", &path))?;
        let journal_path = folder.join(&have_name);
        let journal = match folder.open_write(&have_name) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => folder.create(&have_name, 0o600),
            other => other,
        };
        let journal = journal.map_err(StoreError::io("open", &journal_path))?;
        let mut claimed = Vec::new();
        // What cannot be read claims nothing.
        let _ = journal.file().take(journal::max_len(blob.count())).read_to_end(&mut claimed);
        let mut tried = journal::claims(&blob.sha256, blob.count(), &claimed);
        // A process that was killed left more than it had claimed: its last writes are in memory still.
        tried.union(&written(data.file(), blob));
        let have = verified(&data, blob, &tried);
        let partial = Partial {
            store: self.clone(),
            blob: blob.clone(),
            data: RwLock::new(Some(data)),
            journal,
            progress: Mutex::new(Progress { have, unclaimed: Vec::new(), journal_len: 0, finished: None }),
        };
        partial.write_journal_anew().map_err(StoreError::io("write", journal_path))?;
        Ok(partial)
    }
}

/// The chunks that something was written to, as far as the filesystem tells: what was only reserved are holes to it.
fn written(file: &File, blob: &Blob) -> ChunkSet {
    let mut written = ChunkSet::of(blob);
    let mut at = 0;
    while at < blob.size
        && let Ok(data) = seek(file, SeekFrom::Data(at))
        && let Ok(hole) = seek(file, SeekFrom::Hole(data))
    {
        let size = u64::from(blob.chunk_size);
        for chunk in data / size..hole.min(blob.size).div_ceil(size) {
            written.insert(chunk as u32);
        }
        at = hole.max(at + 1);
    }
    written
}

/// Those of the claimed chunks that are on the disk.
fn verified(data: &Sink, blob: &Blob, claimed: &ChunkSet) -> ChunkSet {
    let mut have = ChunkSet::of(blob);
    let mut buffer = Vec::new();
    for chunk in claimed.iter() {
        let range = blob.range(chunk);
        buffer.resize((range.end - range.start) as usize, 0);
        // What cannot be read is fetched again.
        if data.file().read_exact_at(&mut buffer, range.start).is_ok() && blob.verify(chunk, &buffer) {
            have.insert(chunk);
        }
    }
    have
}

impl Partial {
    /// What is being fetched.
    pub fn blob(&self) -> &Blob {
        &self.blob
    }

    /// The chunks that are here. Each was verified by this process.
    pub fn have(&self) -> ChunkSet {
        self.progress().have.clone()
    }

    /// Whether this chunk is here.
    pub fn has(&self, chunk: u32) -> bool {
        self.progress().have.contains(chunk)
    }

    /// Whether every chunk is here.
    pub fn is_complete(&self) -> bool {
        self.progress().have.is_full()
    }

    /// Takes the bytes of a chunk. Whether they are right: if not, nothing is written.
    ///
    /// # Errors
    ///
    /// If the disk is full or fails. The chunk is then not here.
    pub fn write(&self, chunk: u32, bytes: &[u8]) -> Result<bool> {
        if !self.blob.verify(chunk, bytes) {
            return Ok(false);
        }
        if self.has(chunk) {
            return Ok(true);
        }
        let data = self.data();
        // Without a file another thread wrote this chunk, too, and it was the last one.
        let Some(sink) = data.as_ref() else { return Ok(true) };
        let written = sink.write_at(bytes, self.blob.range(chunk).start);
        self.store.noting_space(written.map_err(StoreError::io("write", sink.path())))?;
        drop(data);
        let full_batch = {
            let mut progress = self.progress();
            if progress.have.insert(chunk) {
                progress.unclaimed.push(chunk);
            }
            progress.unclaimed.len() >= BATCH
        };
        if full_batch {
            self.claim()?;
        }
        Ok(true)
    }

    /// Reads a chunk that is here into the buffer. Whether it is here and still right; if it is not right any more it counts as missing
    /// from now on.
    ///
    /// # Errors
    ///
    /// If the disk fails.
    pub fn read(&self, chunk: u32, buffer: &mut Vec<u8>) -> Result<bool> {
        buffer.clear();
        if !self.has(chunk) {
            return Ok(false);
        }
        let range = self.blob.range(chunk);
        buffer.resize((range.end - range.start) as usize, 0);
        let data = self.data();
        let read = match data.as_ref() {
            Some(sink) => sink.file().read_exact_at(buffer, range.start),
            None => self.read_finished(buffer, range.start),
        };
        match read {
            Ok(()) if self.blob.verify(chunk, buffer) => return Ok(true),
            Ok(()) => {}
            Err(error) if crate::store::is_damage(&error) => {}
            Err(error) => return Err(StoreError::io("read", self.path())(error)),
        }
        buffer.clear();
        if data.is_some() {
            self.progress().have.remove(chunk);
        }
        Ok(false)
    }

    /// Makes what is here survive a power cut, and claims it in the journal.
    ///
    /// # Errors
    ///
    /// If the disk is full or fails.
    pub fn claim(&self) -> Result<()> {
        let claimed = std::mem::take(&mut self.progress().unclaimed);
        if claimed.is_empty() {
            return Ok(());
        }
        // First the bytes, then the claim.
        let data = self.data();
        let Some(sink) = data.as_ref() else { return Ok(()) };
        sink.sync().map_err(StoreError::io("sync", sink.path()))?;
        let records: Vec<u8> = claimed.iter().flat_map(|chunk| journal::record(&self.blob.sha256, *chunk)).collect();
        let at = {
            let mut progress = self.progress();
            let at = progress.journal_len;
            progress.journal_len += records.len() as u64;
            at
        };
        let written = self.journal.write_at(&records, at).map_err(StoreError::io("write", self.journal.path()));
        self.store.noting_space(written)
    }

    /// Ends it: every chunk is here, the bytes are synced and get their name.
    ///
    /// Every chunk was verified by this process. That they make up the whole is read once more by [`Store::tend`], and before each
    /// publication.
    ///
    /// # Errors
    ///
    /// If chunks are missing, or the disk fails.
    pub fn finish(&self) -> Result<Arc<Object>> {
        // From here on nobody writes or reads.
        let mut data = self.data.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(object) = &self.progress().finished {
            return Ok(Arc::clone(object));
        }
        let missing = self.progress().have.iter_missing().count() as u32;
        if missing > 0 {
            return Err(StoreError::Incomplete { sha256: self.blob.sha256, missing });
        }
        let object = self.install(&mut data)?;
        let mut progress = self.progress();
        progress.unclaimed.clear();
        progress.finished = Some(Arc::clone(&object));
        drop(progress);
        drop(data);
        // What stays of it is no harm: there is no data that it could claim.
        let _ = self.store.remove_partial(&self.blob.sha256);
        Ok(object)
    }

    fn write_journal_anew(&self) -> io::Result<()> {
        let mut progress = self.progress();
        let records: Vec<u8> =
            progress.have.iter().flat_map(|chunk| journal::record(&self.blob.sha256, chunk)).collect();
        progress.journal_len = records.len() as u64;
        // A cut first: what stood behind would be claimed once more.
        self.journal.truncate(0)?;
        if records.is_empty() { Ok(()) } else { self.journal.write_at(&records, 0) }
    }

    fn install(&self, data: &mut Option<Sink>) -> Result<Arc<Object>> {
        let inner = &self.store.0;
        let hex = self.blob.sha256.to_string();
        let Some(sink) = data.take() else {
            // An earlier attempt failed, but only after it had given the file its name.
            return self.store.fetch(&self.blob.sha256);
        };
        let object = self.store.install(&inner.partial, &hex, sink, self.blob.clone(), false);
        if object.is_err() {
            *data = inner.partial.open_write(&hex).ok();
        }
        self.store.noting_space(object)
    }

    fn read_finished(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let finished = self.progress().finished.clone();
        let read = finished.map_or(Ok(0), |object| object.read_at(buffer, offset))?;
        if read == buffer.len() { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }

    fn path(&self) -> PathBuf {
        self.store.0.partial.join(&self.blob.sha256.to_string())
    }

    fn data(&self) -> RwLockReadGuard<'_, Option<Sink>> {
        self.data.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if self.progress().finished.is_none() {
            // Without it the last chunks are fetched again.
            let _ = self.claim();
        }
        self.store.0.state().fetching.remove(&self.blob.sha256);
    }
}
