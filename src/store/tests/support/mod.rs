//! A store in a folder of its own, and what tests do with it.

#![allow(dead_code, reason = "each test uses a part")]
#![allow(clippy::unwrap_used, reason = "a place that cannot be made is a failed test")]

pub(crate) mod journey;
pub(crate) mod power;

use std::{
    path::PathBuf,
    time::{Duration, Instant, SystemTime},
};

use ringrift_blob::{Blob, BlobHasher, Digest, ModelName};
use ringrift_store::{Seams, Store, StoreConfig, StoreEvent, disk::Hook};

pub(crate) struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self { dir: tempfile::tempdir().unwrap() }
    }

    /// In memory where there is such a folder: nothing waits for a disk.
    pub(crate) fn in_memory() -> Self {
        let shm = std::path::Path::new("/dev/shm");
        Self { dir: if shm.is_dir() { tempfile::tempdir_in(shm).unwrap() } else { tempfile::tempdir().unwrap() } }
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.dir.path().to_owned()
    }

    pub(crate) fn config(&self) -> StoreConfig {
        config(self.dir.path())
    }

    pub(crate) fn open(&self) -> Store {
        Store::open(self.config()).unwrap()
    }

    /// A store whose clock is a minute ahead: everything is old enough to be remembered.
    pub(crate) fn open_settled(&self) -> Store {
        Store::open_with(self.config(), settled(Hook::default())).unwrap()
    }

    pub(crate) fn model(&self, name: &str) -> PathBuf {
        self.dir.path().join("models").join(name)
    }

    pub(crate) fn object(&self, sha256: &Digest) -> PathBuf {
        self.dir.path().join("store/objects").join(sha256.to_string())
    }
}

pub(crate) fn config(dir: &std::path::Path) -> StoreConfig {
    StoreConfig {
        min_free: 0,
        scrub_bytes_per_second: 1 << 40,
        ..StoreConfig::new(dir.join("store"), dir.join("models"))
    }
}

pub(crate) fn settled(hook: Hook) -> Seams {
    Seams { hook, now: || SystemTime::now() + Duration::from_mins(1) }
}

pub(crate) fn later(seconds: u64) -> Instant {
    Instant::now() + Duration::from_secs(seconds)
}

/// Bytes that are nowhere the same.
pub(crate) fn bytes(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let word = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    };
    let mut bytes: Vec<u8> = std::iter::repeat_with(word).take(len.div_ceil(8)).flatten().collect();
    bytes.truncate(len);
    bytes
}

pub(crate) fn blob(bytes: &[u8], chunk_size: u32) -> Blob {
    let mut hasher = BlobHasher::new(chunk_size);
    hasher.update(bytes);
    hasher.finish()
}

pub(crate) fn put(store: &Store, bytes: &[u8]) -> Digest {
    let mut upload = store.upload("test");
    std::io::Write::write_all(&mut upload, bytes).unwrap();
    upload.finish(None).unwrap().sha256()
}

pub(crate) fn name(text: &str) -> ModelName {
    text.parse().unwrap()
}

pub(crate) fn drain(events: &mut tokio::sync::broadcast::Receiver<StoreEvent>) -> Vec<StoreEvent> {
    std::iter::from_fn(|| events.try_recv().ok()).collect()
}

/// All bytes of an object, as a reader gets them.
pub(crate) fn read(store: &Store, sha256: &Digest) -> Option<Vec<u8>> {
    let object = store.object(sha256)?;
    let mut bytes = vec![0; object.size() as usize];
    let length = object.read_at(&mut bytes, 0).unwrap();
    assert_eq!(length, bytes.len());
    Some(bytes)
}
