//! What a disk may hold after the power went: what was synced, and any part of what was not.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use ringrift_store::disk::{Hook, Step};

/// A name in a folder.
#[derive(Clone, PartialEq)]
enum Name {
    File(usize),
    Link(String),
}

#[derive(Clone, Default)]
struct Inode {
    synced: Vec<u8>,
    now: Vec<u8>,
}

/// A disk in memory that follows the steps of a store.
#[derive(Clone, Default)]
pub(crate) struct Disk {
    root: PathBuf,
    inodes: Vec<Inode>,
    synced: BTreeMap<PathBuf, Name>,
    now: BTreeMap<PathBuf, Name>,
}

/// Which part of what was not synced is there.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Lost {
    Everything,
    /// The names are there, the bytes are not: a file of zero length, or of old bytes.
    Bytes,
    Names,
    /// Each name and each 512 bytes by chance.
    Some(u64),
}

impl Disk {
    /// As a folder is.
    pub(crate) fn of(root: &Path) -> Self {
        let mut disk = Self { root: root.to_owned(), ..Self::default() };
        disk.enter(root);
        disk.synced = disk.now.clone();
        disk
    }

    fn enter(&mut self, folder: &Path) {
        for entry in fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let kind = entry.file_type().unwrap();
            if kind.is_dir() {
                self.enter(&entry.path());
            } else if kind.is_symlink() {
                let target = fs::read_link(entry.path()).unwrap().into_os_string().into_string().unwrap();
                self.now.insert(entry.path(), Name::Link(target));
            } else {
                let bytes = fs::read(entry.path()).unwrap();
                self.inodes.push(Inode { synced: bytes.clone(), now: bytes });
                self.now.insert(entry.path(), Name::File(self.inodes.len() - 1));
            }
        }
    }

    /// A hook that follows each step, and keeps the disk as it was before each.
    pub(crate) fn watch(self) -> (Hook, Arc<Mutex<Vec<Self>>>) {
        let history = Arc::new(Mutex::new(vec![self]));
        let steps = Arc::clone(&history);
        let hook = Hook::new(move |step: &Step<'_>| -> io::Result<()> {
            let mut history = steps.lock().unwrap();
            let mut next = history.last().unwrap().clone();
            next.follow(step);
            history.push(next);
            Ok(())
        });
        (hook, history)
    }

    fn file(&mut self, path: &Path) -> &mut Inode {
        let Some(Name::File(inode)) = self.now.get(path) else { panic!("no file {}", path.display()) };
        &mut self.inodes[*inode]
    }

    fn follow(&mut self, step: &Step<'_>) {
        match *step {
            Step::MakeFolder(_) | Step::Chmod(..) => {}
            Step::Create(path) => {
                self.inodes.push(Inode::default());
                self.now.insert(path.to_owned(), Name::File(self.inodes.len() - 1));
            }
            Step::Allocate(path, size) | Step::Truncate(path, size) => self.file(path).now.resize(size as usize, 0),
            Step::Write(path, offset, bytes) => {
                let (start, end) = (offset as usize, offset as usize + bytes.len());
                // A file has its old name while it is written on under the new one.
                let Some(Name::File(inode)) = self.now.get(path) else { return };
                let now = &mut self.inodes[*inode].now;
                now.resize(now.len().max(end), 0);
                now[start..end].copy_from_slice(bytes);
            }
            Step::Clone(from, to) => {
                let bytes = self.file(from).now.clone();
                self.file(to).now = bytes;
            }
            Step::SyncFile(path) => {
                let file = self.file(path);
                file.synced = file.now.clone();
            }
            Step::Rename(from, to) => {
                let name = self.now.remove(from).unwrap();
                self.now.insert(to.to_owned(), name);
            }
            Step::Link(target, path) => {
                self.now.insert(path.to_owned(), Name::Link(target.to_owned()));
            }
            Step::Unlink(path) => {
                self.now.remove(path);
            }
            Step::SyncFolder(folder) => {
                let inside = |path: &Path| path.parent() == Some(folder);
                self.synced.retain(|path, _| !inside(path));
                let now: Vec<_> = self.now.iter().filter(|(path, _)| inside(path)).collect();
                self.synced.extend(now.into_iter().map(|(path, name)| (path.clone(), name.clone())));
            }
        }
    }

    /// Writes down what is left after the power went.
    pub(crate) fn fail(&self, lost: Lost, to: &Path) {
        let mut chance = match lost {
            Lost::Some(seed) => seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1,
            _ => 1,
        };
        let mut coin = || {
            chance ^= chance << 13;
            chance ^= chance >> 7;
            chance ^= chance << 17;
            chance & 1 == 1
        };
        for folder in ["models", "store/objects", "store/facts", "store/partial", "store/aside", "store/tmp"] {
            fs::create_dir_all(to.join(folder)).unwrap();
        }
        let mut names = BTreeMap::new();
        let paths: std::collections::BTreeSet<&PathBuf> = self.synced.keys().chain(self.now.keys()).collect();
        for path in paths {
            let new = match lost {
                Lost::Everything | Lost::Names => false,
                Lost::Bytes => true,
                Lost::Some(_) => coin(),
            };
            let side = if new { &self.now } else { &self.synced };
            side.get(path).map(|name| names.insert(path, name));
        }
        for (path, name) in names {
            let target = to.join(path.strip_prefix(&self.root).unwrap());
            match name {
                Name::Link(link) => std::os::unix::fs::symlink(link, target).unwrap(),
                Name::File(inode) => {
                    let inode = &self.inodes[*inode];
                    let bytes = match lost {
                        Lost::Everything | Lost::Bytes => inode.synced.clone(),
                        Lost::Names => inode.now.clone(),
                        Lost::Some(_) => torn(inode, &mut coin),
                    };
                    fs::write(target, bytes).unwrap();
                }
            }
        }
    }
}

/// Some sectors old, some new.
fn torn(inode: &Inode, coin: &mut impl FnMut() -> bool) -> Vec<u8> {
    if inode.synced == inode.now {
        return inode.now.clone();
    }
    let mut bytes = if coin() { inode.now.clone() } else { inode.synced.clone() };
    let other = if coin() { &inode.now } else { &inode.synced };
    for (sector, other) in bytes.chunks_mut(512).zip(other.chunks(512)) {
        if coin() && sector.len() == other.len() {
            sector.copy_from_slice(other);
        }
    }
    bytes
}
