//! The store of this node, as [`Storage`].

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ringrift_blob::{Blob, ChunkSet, Digest};
use ringrift_store::{Object, Partial, Store, StoreError};

use crate::storage::{Opened, Part, Put, Sink, Storage, StorageError, Supply};

impl Storage for Store {
    fn open(&self, blob: &Blob) -> Result<Opened, StorageError> {
        if let Some(object) = self.object(&blob.sha256) {
            return Ok(Opened::Whole(Arc::new(Whole { object, blob: blob.clone() })));
        }
        let partial = self.partial(blob).map_err(reason)?;
        Ok(Opened::Part(Arc::new(StorePart {
            partial: Some(partial),
            blob: blob.clone(),
            store: self.clone(),
            abandoned: AtomicBool::new(false),
        })))
    }

    fn discard(&self, sha256: &Digest) {
        if let Err(error) = self.forget_partial(sha256) {
            tracing::warn!("what was fetched of {sha256} stays on the disk: {error}");
        }
    }
}

/// A blob that is here.
struct Whole {
    object: Arc<Object>,
    blob: Blob,
}

impl Supply for Whole {
    fn read(&self, chunk: u32, into: &mut [u8]) -> io::Result<()> {
        let read = self.object.read_at(into, self.blob.range(chunk).start)?;
        if read == into.len() { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }
}

/// A blob that is being fetched.
#[derive(Debug)]
struct StorePart {
    /// Taken when this is dropped.
    partial: Option<Partial>,
    blob: Blob,
    store: Store,
    abandoned: AtomicBool,
}

impl StorePart {
    fn partial(&self) -> io::Result<&Partial> {
        self.partial.as_ref().ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl Sink for StorePart {
    fn put(&self, chunk: u32, bytes: &[u8]) -> Put {
        let Ok(partial) = self.partial() else { return Put::Stored };
        match partial.write(chunk, bytes) {
            Ok(true) => Put::Stored,
            Ok(false) => Put::Wrong,
            Err(error) => Put::NotStored(reason(error)),
        }
    }
}

impl Supply for StorePart {
    fn read(&self, chunk: u32, into: &mut [u8]) -> io::Result<()> {
        let mut bytes = Vec::with_capacity(into.len());
        let here = self.partial()?.read(chunk, &mut bytes).map_err(io::Error::other)?;
        if !here || bytes.len() != into.len() {
            return Err(io::Error::other("it is no longer what was verified"));
        }
        into.copy_from_slice(&bytes);
        Ok(())
    }
}

impl Part for StorePart {
    fn have(&self) -> ChunkSet {
        self.partial().map_or_else(|_| ChunkSet::new(self.blob.count()), Partial::have)
    }

    fn finish(&self) -> Result<Arc<dyn Supply>, StorageError> {
        let partial = self.partial().map_err(|error| StorageError::Failed(error.to_string()))?;
        let object = partial.finish().map_err(reason)?;
        Ok(Arc::new(Whole { object, blob: self.blob.clone() }))
    }

    fn abandon(&self) {
        self.abandoned.store(true, Ordering::Relaxed);
    }
}

impl Drop for StorePart {
    fn drop(&mut self) {
        // The store removes nothing that somebody still writes to.
        drop(self.partial.take());
        if self.abandoned.load(Ordering::Relaxed) {
            self.store.discard(&self.blob.sha256);
        }
    }
}

fn reason(error: StoreError) -> StorageError {
    let text = error.to_string();
    match error {
        error if error.is_disk_full() => StorageError::NoSpace(text),
        StoreError::WrongDigest { .. } | StoreError::OtherChunks(_) | StoreError::Invalid { .. } => {
            StorageError::Contradiction(text)
        }
        _ => StorageError::Failed(text),
    }
}
