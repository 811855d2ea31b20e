use std::{
    fs::File,
    os::fd::AsFd,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use rustix::fs::{FileType, Stat, fstat};
use serde::{Deserialize, Serialize};

/// How old a change must be before a digest is remembered for it. Two writes within one tick of a filesystem's clock leave the same
/// times; 2 s is the coarsest tick in use (FAT).
pub const SETTLED: Duration = Duration::from_secs(2);

/// Which file, in which state: whoever changes its bytes changes one of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Identity {
    dev: u64,
    ino: u64,
    size: u64,
    /// Nanoseconds since 1970.
    mtime: i64,
    ctime: i64,
}

impl Identity {
    /// Of an open file.
    pub fn of(file: &File) -> std::io::Result<Self> {
        Ok(Self::from(&fstat(file.as_fd())?))
    }

    /// Bytes.
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// When its bytes were last written, in milliseconds since 1970.
    pub const fn modified_ms(&self) -> u64 {
        if self.mtime < 0 { 0 } else { self.mtime.cast_unsigned() / 1_000_000 }
    }

    /// Whether it is the same file, not written since. Another mode or owner does not matter.
    pub const fn has_bytes_of(&self, other: &Self) -> bool {
        self.dev == other.dev && self.ino == other.ino && self.size == other.size && self.mtime == other.mtime
    }

    /// Whether its last change was so long before `now` that a later one must show. A change in the future is never settled.
    pub fn settled(&self, now: SystemTime) -> bool {
        let now = now.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_nanos() as i64);
        now.saturating_sub(self.ctime.max(self.mtime)) >= SETTLED.as_nanos() as i64
    }
}

impl From<&Stat> for Identity {
    fn from(stat: &Stat) -> Self {
        let nanos = |seconds: i64, nanos: i64| seconds.saturating_mul(1_000_000_000).saturating_add(nanos);
        Self {
            dev: stat.st_dev,
            ino: stat.st_ino,
            size: stat.st_size.max(0).cast_unsigned(),
            mtime: nanos(stat.st_mtime, stat.st_mtime_nsec.cast_signed()),
            ctime: nanos(stat.st_ctime, stat.st_ctime_nsec.cast_signed()),
        }
    }
}

/// Whether it is a file with bytes.
pub(crate) fn is_regular(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile
}
