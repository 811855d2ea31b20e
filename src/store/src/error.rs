use std::{
    io,
    path::{Path, PathBuf},
};

use ringrift_blob::{Digest, InvalidBlob, ModelName};

/// Why the store did not do something.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The operating system refused.
    #[error("cannot {deed} {}: {source}", path.display())]
    Io {
        /// What was tried.
        deed: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The disk has no room, or would have less left than must stay free.
    #[error("no room on the disk of {}: {needed} more bytes are needed; free some, or move the folder", path.display())]
    DiskFull {
        /// A file or folder on that disk.
        path: PathBuf,
        /// Bytes that are missing at least.
        needed: u64,
    },
    /// Another process has it open.
    #[error("{} is in use by another process: two stores cannot share a folder", .0.display())]
    InUse(PathBuf),
    /// It is not a file with bytes, but a folder, a link, a pipe.
    #[error("{} is not a regular file", .0.display())]
    NotAFile(PathBuf),
    /// Somebody writes to it.
    #[error("{} changes while it is read: try again when its writer is done", .0.display())]
    Changing(PathBuf),
    /// Other bytes than were asked for.
    #[error("{what} has SHA-256 {found}, not {expected}: it was not taken")]
    WrongDigest {
        /// Which bytes.
        what: String,
        /// What they should be.
        expected: Digest,
        /// What they are.
        found: Digest,
    },
    /// It cannot be a model.
    #[error("{what}: {source}")]
    Invalid {
        /// Which bytes.
        what: String,
        /// Why.
        source: InvalidBlob,
    },
    /// It is not here, or not whole.
    #[error("{0} is not in the store")]
    Unknown(Digest),
    /// The bytes on the disk are no longer those of this digest. They were set aside.
    #[error("{0} was damaged on the disk: it was set aside, and must be fetched again")]
    Rotten(Digest),
    /// Chunks are missing.
    #[error("{sha256} is not whole: {missing} chunks are missing")]
    Incomplete {
        /// Which bytes.
        sha256: Digest,
        /// How many chunks.
        missing: u32,
    },
    /// Its chunks are not those of another fetch of the same bytes.
    #[error("{0} is already fetched with other chunks: one of the two lists is wrong")]
    OtherChunks(Digest),
    /// The name belongs to a sidecar or a link.
    #[error(
        "{0} cannot be published: names that end in .sha256, .tmp or .aside, and ringrift_best_*, belong to the store"
    )]
    ReservedName(ModelName),
    /// It was stopped.
    #[error("stopped before it was done")]
    Stopped,
}

/// `Result` of the store.
pub type Result<T, E = StoreError> = std::result::Result<T, E>;

impl StoreError {
    /// Whether the reason is a full disk.
    pub fn is_disk_full(&self) -> bool {
        matches!(self, Self::DiskFull { .. })
    }

    /// The reason a file operation gave.
    pub(crate) fn io(deed: &'static str, path: impl AsRef<Path>) -> impl FnOnce(io::Error) -> Self {
        move |source| {
            let path = path.as_ref().to_owned();
            match source.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::DiskFull { path, needed: 1 },
                _ => Self::Io { deed, path, source },
            }
        }
    }
}
