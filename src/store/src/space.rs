use std::path::Path;

use crate::{
    disk::Folder,
    error::{Result, StoreError},
    event::StoreEvent,
    store::Store,
};

/// Room on the disks of the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// Bytes of the filesystem of the store's folder.
    pub total: u64,
    /// Bytes free for the store there.
    pub free: u64,
    /// Bytes free for the store where programs look for models.
    pub models_free: u64,
    /// Bytes that must stay free.
    pub min_free: u64,
    /// Since the disk was found full and until there is room again: how many bytes were missing at least.
    pub full: Option<u64>,
}

impl Store {
    /// How much room there is.
    pub fn space(&self) -> Result<Space> {
        let inner = &self.0;
        let (total, free) = room(&inner.objects)?;
        let (_, models_free) = room(&inner.models)?;
        let full = inner.state().full;
        Ok(Space { total, free, models_free, min_free: inner.config.min_free, full })
    }

    /// Whether so many bytes fit, here and once more where programs look, with [`min_free`](crate::StoreConfig::min_free) left.
    pub(crate) fn check_room(&self, here: u64, models: u64) -> Result<()> {
        let inner = &self.0;
        let same = same_disk(&inner.objects, &inner.models);
        let (_, free) = room(&inner.objects)?;
        let min_free = inner.config.min_free;
        let wanted = here.saturating_add(if same { models } else { 0 }).saturating_add(min_free);
        if wanted > free {
            return Err(StoreError::DiskFull { path: inner.config.dir.clone(), needed: wanted - free });
        }
        let (_, free) = room(&inner.models)?;
        let wanted = models.saturating_add(min_free);
        if !same && models > 0 && wanted > free {
            return Err(StoreError::DiskFull { path: inner.config.models.clone(), needed: wanted - free });
        }
        Ok(())
    }

    /// Passes a result on, and remembers and tells if it is a full disk.
    pub(crate) fn noting_space<T>(&self, result: Result<T>) -> Result<T> {
        if let Err(StoreError::DiskFull { path, needed }) = &result {
            self.note_full(path, *needed);
        }
        result
    }

    fn note_full(&self, path: &Path, needed: u64) {
        let known = self.0.state().full.replace(needed).is_some();
        if !known {
            self.0.tell(StoreEvent::DiskFull { path: path.to_owned(), needed });
        }
    }

    /// Ends the state of a full disk when what was missing is there.
    pub(crate) fn look_for_room(&self) {
        let Some(needed) = self.0.state().full else { return };
        if self.check_room(needed, needed).is_ok() {
            self.0.state().full = None;
            self.0.tell(StoreEvent::DiskFree);
        }
    }
}

/// All bytes of a filesystem, and those free for this process.
fn room(folder: &Folder) -> Result<(u64, u64)> {
    let stat = rustix::fs::fstatvfs(folder.fd())
        .map_err(|error| StoreError::io("ask for the free space of", folder.path())(error.into()))?;
    Ok((stat.f_frsize.saturating_mul(stat.f_blocks), stat.f_frsize.saturating_mul(stat.f_bavail)))
}

fn same_disk(a: &Folder, b: &Folder) -> bool {
    let dev = |folder: &Folder| rustix::fs::fstat(folder.fd()).map(|stat| stat.st_dev).ok();
    dev(a).is_some() && dev(a) == dev(b)
}
