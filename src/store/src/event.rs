use std::path::PathBuf;

use ringrift_blob::{Digest, ModelName};

/// What the store noticed by itself. Each is worth a line in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreEvent {
    /// The bytes of an object changed on the disk. They are no longer served; fetch them again.
    Rot {
        /// What they were.
        sha256: Digest,
        /// Where they lie now; `None` when the file could not be moved or is gone.
        aside: Option<PathBuf>,
    },
    /// Somebody opened an object of the store for writing. It is not served until its bytes were read again.
    Disturbed {
        /// Which one.
        sha256: Digest,
    },
    /// The published file no longer had its bytes, though nobody wrote to it. It was published again.
    Repaired {
        /// Which one.
        name: ModelName,
        /// Its bytes.
        sha256: Digest,
    },
    /// Somebody else put other bytes under this name and is done writing. They stay as they are; `Store::take` reads them.
    Changed {
        /// Which one.
        name: ModelName,
        /// Bytes of the new file.
        size: u64,
    },
    /// A published file is gone, and the store did not remove it.
    Missing {
        /// Which one.
        name: ModelName,
    },
    /// There is no room for what was to be stored.
    DiskFull {
        /// A file or folder on that disk.
        path: PathBuf,
        /// Bytes that are missing at least.
        needed: u64,
    },
    /// There is room again.
    DiskFree,
    /// A version was removed by count or age.
    Removed {
        /// Which one.
        sha256: Digest,
        /// Its bytes.
        size: u64,
    },
    /// A file of the store itself was damaged and was set up anew.
    Forgotten {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
}
