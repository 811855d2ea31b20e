//! Disks in memory that do what disks do: lose what was not synced, take no more, and fail in the middle of a commit.

use std::{
    cell::RefCell,
    collections::BTreeMap,
    io::{Error, ErrorKind, Result},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};

use rand::{RngExt, rngs::StdRng};
use redb::StorageBackend;

thread_local! {
    /// The disks of this thread's test, by the directories that they are mounted at.
    static MOUNTED: RefCell<BTreeMap<PathBuf, Disk>> = const { RefCell::new(BTreeMap::new()) };
}

/// What is lost on its own when the power goes, bytes.
const SECTOR: usize = 512;

/// The disk at a directory, if the test has one there.
pub(crate) fn at(dir: &Path) -> Option<Disk> {
    MOUNTED.with_borrow(|mounted| mounted.get(dir).cloned())
}

/// A disk with one file.
#[derive(Debug, Clone, Default)]
pub(crate) struct Disk(Arc<Mutex<Platter>>);

#[derive(Debug, Default)]
struct Platter {
    /// What a power cut leaves.
    synced: Vec<u8>,
    /// What a reader sees.
    seen: Vec<u8>,
    unsynced: Vec<Write>,
    full: bool,
    /// After so many more operations the disk does nothing any more: the power goes in the middle of a commit.
    dies_after: Option<u32>,
    /// Who opened the file before this grew no longer has it.
    life: u32,
    lag: Duration,
}

#[derive(Debug)]
enum Write {
    Bytes(usize, Vec<u8>),
    Length(usize),
}

impl Disk {
    /// A disk at this directory, on which a commit takes up to `lag`.
    pub(crate) fn mount(dir: &Path, lag: Duration) -> Self {
        let disk = Self::default();
        disk.platter().lag = lag;
        MOUNTED.with_borrow_mut(|mounted| mounted.insert(dir.to_owned(), disk.clone()));
        disk
    }

    /// Forgets the disk at this directory, if there is one.
    pub(crate) fn unmount(dir: &Path) {
        // A runtime that ends with its thread may drop a cluster after this.
        let _ = MOUNTED.try_with(|mounted| mounted.borrow_mut().remove(dir));
    }

    /// How long a commit takes at most.
    pub(crate) fn lag(&self) -> Duration {
        self.platter().lag
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.platter().seen.is_empty()
    }

    /// Opens the file.
    pub(crate) fn open(&self) -> impl StorageBackend {
        OpenFile { disk: self.clone(), life: self.platter().life }
    }

    /// Whether it takes no more bytes.
    pub(crate) fn set_full(&self, full: bool) {
        self.platter().full = full;
    }

    /// Lets it do so many more operations, and none after them.
    pub(crate) fn dies_after(&self, operations: u32) {
        self.platter().dies_after = Some(operations);
    }

    /// The process that had the file open is gone. Of what was not synced the system still writes all.
    pub(crate) fn left(&self) {
        let mut platter = self.platter();
        platter.life += 1;
        platter.dies_after = None;
    }

    /// The power was cut: of what was not synced any part is there, sector by sector.
    pub(crate) fn lost_power(&self, rng: &mut StdRng) {
        self.left();
        let mut platter = self.platter();
        for write in std::mem::take(&mut platter.unsynced) {
            match write {
                Write::Length(length) if rng.random() => platter.synced.resize(length, 0),
                Write::Length(_) => {}
                Write::Bytes(at, bytes) => {
                    for (n, sector) in bytes.chunks(SECTOR).enumerate() {
                        if rng.random() {
                            put(&mut platter.synced, at + n * SECTOR, sector);
                        }
                    }
                }
            }
        }
        platter.seen = platter.synced.clone();
    }

    /// Nothing is on it any more.
    pub(crate) fn wipe(&self) {
        let mut platter = self.platter();
        let (life, lag) = (platter.life + 1, platter.lag);
        *platter = Platter { life, lag, ..Platter::default() };
    }

    fn platter(&self) -> MutexGuard<'_, Platter> {
        self.0.lock().unwrap()
    }
}

fn put(file: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    if file.len() < at + bytes.len() {
        file.resize(at + bytes.len(), 0);
    }
    file[at..at + bytes.len()].copy_from_slice(bytes);
}

#[derive(Debug)]
struct OpenFile {
    disk: Disk,
    life: u32,
}

impl OpenFile {
    fn platter(&self) -> Result<MutexGuard<'_, Platter>> {
        let mut platter = self.disk.platter();
        let works = match &mut platter.dies_after {
            None => true,
            Some(0) => false,
            Some(left) => {
                *left -= 1;
                true
            }
        };
        if works && platter.life == self.life { Ok(platter) } else { Err(Error::other("the disk does not answer")) }
    }
}

impl StorageBackend for OpenFile {
    fn len(&self) -> Result<u64> {
        Ok(self.platter()?.seen.len() as u64)
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> Result<()> {
        let platter = self.platter()?;
        let at = offset as usize;
        let bytes = platter.seen.get(at..at + out.len()).ok_or(ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(bytes);
        Ok(())
    }

    fn set_len(&self, len: u64) -> Result<()> {
        let mut platter = self.platter()?;
        if platter.full && len as usize > platter.seen.len() {
            return Err(ErrorKind::StorageFull.into());
        }
        platter.seen.resize(len as usize, 0);
        platter.unsynced.push(Write::Length(len as usize));
        Ok(())
    }

    fn sync_data(&self) -> Result<()> {
        let mut platter = self.platter()?;
        for write in std::mem::take(&mut platter.unsynced) {
            match write {
                Write::Length(length) => platter.synced.resize(length, 0),
                Write::Bytes(at, bytes) => put(&mut platter.synced, at, &bytes),
            }
        }
        Ok(())
    }

    fn write(&self, offset: u64, data: &[u8]) -> Result<()> {
        let mut platter = self.platter()?;
        if platter.full {
            return Err(ErrorKind::StorageFull.into());
        }
        put(&mut platter.seen, offset as usize, data);
        platter.unsynced.push(Write::Bytes(offset as usize, data.to_vec()));
        Ok(())
    }
}
