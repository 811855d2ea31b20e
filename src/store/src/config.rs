use std::{path::PathBuf, time::Duration};

/// Where a [`Store`](crate::Store) keeps what, and how much of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreConfig {
    /// The store's own folder. Nobody else writes there.
    pub dir: PathBuf,
    /// Where programs look for models, and where they leave new ones. It may be a link and lie on another filesystem.
    pub models: PathBuf,
    /// How many versions of a model are kept at most, the one in use among them; never fewer than one.
    pub keep_versions: usize,
    /// How long a version is kept after it was last in use.
    pub keep_for: Duration,
    /// How many bytes a second a scrub reads; 0 for no scrub.
    pub scrub_bytes_per_second: u64,
    /// Bytes of each filesystem that a fetch leaves free for others.
    pub min_free: u64,
}

impl StoreConfig {
    /// Three versions, 7 days, 20 MB/s, 1 GiB free.
    pub fn new(dir: impl Into<PathBuf>, models: impl Into<PathBuf>) -> Self {
        Self {
            dir: dir.into(),
            models: models.into(),
            keep_versions: 3,
            keep_for: Duration::from_hours(7 * 24),
            scrub_bytes_per_second: 20_000_000,
            min_free: 1 << 30,
        }
    }
}
