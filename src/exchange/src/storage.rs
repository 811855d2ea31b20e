use std::fmt;
use std::sync::Arc;

use ringrift_blob::{Blob, ChunkSet, Digest};

/// Where blobs lie on this node. All calls come from the blocking pool.
///
/// [`ringrift_store::Store`] is the one that a node has.
pub trait Storage: Send + Sync + 'static {
    /// What is here of a blob; room is reserved for the rest.
    ///
    /// # Errors
    ///
    /// If there is no room, or the disk fails.
    fn open(&self, blob: &Blob) -> Result<Opened, StorageError>;

    /// Removes what was fetched of a blob that is not whole, not open and no longer wanted.
    fn discard(&self, sha256: &Digest);
}

/// What is here of a blob.
pub enum Opened {
    /// All of it.
    Whole(Arc<dyn Supply>),
    /// Some of it.
    Part(Arc<dyn Part>),
}

/// Where the chunks of one blob are read.
pub trait Supply: Send + Sync + 'static {
    /// Fills `into`, which has the chunk's length.
    ///
    /// # Errors
    ///
    /// If the chunk is not here any longer, or the disk fails.
    fn read(&self, chunk: u32, into: &mut [u8]) -> std::io::Result<()>;
}

/// Where the chunks of one blob go.
pub trait Sink: fmt::Debug + Send + Sync + 'static {
    /// Verifies a chunk and stores it.
    fn put(&self, chunk: u32, bytes: &[u8]) -> Put;
}

/// A blob that is being fetched. What is here of it can be read already.
pub trait Part: Sink + Supply {
    /// What is here and verified.
    fn have(&self) -> ChunkSet;

    /// Makes it whole: all chunks are here.
    ///
    /// # Errors
    ///
    /// If the whole is not what its digest says, there is no room, or the disk fails.
    fn finish(&self) -> Result<Arc<dyn Supply>, StorageError>;

    /// Nobody wants it any longer: what was fetched is removed when the last handle to it goes.
    fn abandon(&self);
}

/// What became of a chunk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Put {
    /// It is right and on disk.
    Stored,
    /// It is not what was asked for.
    Wrong,
    /// It could not be stored.
    NotStored(StorageError),
}

/// Why a blob cannot be stored.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StorageError {
    /// The disk has no room for it. The fetch goes on when there is.
    #[error("{0}")]
    NoSpace(String),
    /// The chunks are right and the whole is not, or the blob is described in two ways: no fetch can help.
    #[error("{0}")]
    Contradiction(String),
    /// Anything else. It is tried again.
    #[error("{0}")]
    Failed(String),
}
