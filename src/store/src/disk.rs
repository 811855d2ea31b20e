//! Every change that the store makes to a disk goes through here: one step each, by name inside an open folder, so that no name
//! leads out of it, and so that a test can stop at any step, refuse it, or write it down and replay what a power cut leaves.

use std::{
    ffi::OsStr,
    fmt,
    fs::File,
    io::{self, Read},
    os::{
        fd::{AsFd, OwnedFd},
        unix::fs::{DirBuilderExt, FileExt},
    },
    path::{Path, PathBuf},
    sync::Arc,
};

use rustix::{
    fs::{AtFlags, CWD, FallocateFlags, Mode, OFlags, Stat, fallocate, openat, renameat, statat, symlinkat, unlinkat},
    io::Errno,
};

/// A change to a disk that is about to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step<'a> {
    /// A folder is made.
    MakeFolder(&'a Path),
    /// An empty file is made.
    Create(&'a Path),
    /// Room is reserved; the file grows to this size.
    Allocate(&'a Path, u64),
    /// A file is cut.
    Truncate(&'a Path, u64),
    /// Bytes are written at an offset.
    Write(&'a Path, u64, &'a [u8]),
    /// All bytes of one file are written to another, empty one.
    Clone(&'a Path, &'a Path),
    /// The permission bits are set.
    Chmod(&'a Path, u32),
    /// The bytes of a file are made to survive a power cut.
    SyncFile(&'a Path),
    /// A file gets another name, over what had that name.
    Rename(&'a Path, &'a Path),
    /// A symbolic link is made: target, name.
    Link(&'a str, &'a Path),
    /// A name is removed.
    Unlink(&'a Path),
    /// The names in a folder are made to survive a power cut.
    SyncFolder(&'a Path),
}

/// Sees each step before it is made, and may refuse it.
#[derive(Clone, Default)]
pub struct Hook(Option<Arc<HookFn>>);

type HookFn = dyn Fn(&Step<'_>) -> io::Result<()> + Send + Sync;

impl Hook {
    /// Calls this before each step.
    pub fn new(hook: impl Fn(&Step<'_>) -> io::Result<()> + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(hook)))
    }

    /// What it says about a step.
    pub fn before(&self, step: &Step<'_>) -> io::Result<()> {
        self.0.as_ref().map_or(Ok(()), |hook| hook(step))
    }
}

impl fmt::Debug for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "hook" } else { "no hook" })
    }
}

/// A folder that stays the same one whatever happens to its path.
#[derive(Debug)]
pub(crate) struct Folder {
    fd: OwnedFd,
    path: PathBuf,
    hook: Hook,
}

impl Folder {
    /// Opens the folder, and makes it first if need be.
    pub(crate) fn open(path: &Path, mode: u32, hook: &Hook) -> io::Result<Self> {
        if !path.exists() {
            hook.before(&Step::MakeFolder(path))?;
            std::fs::DirBuilder::new().recursive(true).mode(mode).create(path)?;
        }
        let fd = openat(CWD, path, OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
        Ok(Self { fd, path: path.to_owned(), hook: hook.clone() })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn fd(&self) -> &OwnedFd {
        &self.fd
    }

    pub(crate) fn join(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    /// A new file that nobody had before.
    pub(crate) fn create(&self, name: &str, mode: u32) -> io::Result<Sink> {
        let path = self.join(name);
        self.hook.before(&Step::Create(&path))?;
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let file = openat(&self.fd, checked(name)?, flags, Mode::from_raw_mode(mode))?;
        Ok(Sink { file: file.into(), path, hook: self.hook.clone() })
    }

    /// A file to be written on.
    pub(crate) fn open_write(&self, name: &str) -> io::Result<Sink> {
        let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let file = openat(&self.fd, checked(name)?, flags, Mode::empty())?;
        Ok(Sink { file: file.into(), path: self.join(name), hook: self.hook.clone() })
    }

    /// A file to be read: never what a link points to, and never waiting for a pipe's other end.
    pub(crate) fn open_read(&self, name: &str) -> io::Result<File> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC | OFlags::NONBLOCK;
        Ok(openat(&self.fd, checked(name)?, flags, Mode::empty())?.into())
    }

    /// What is under the name itself, link or not; `None` for nothing.
    pub(crate) fn stat(&self, name: &str) -> io::Result<Option<Stat>> {
        match statat(&self.fd, checked(name)?, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(stat)),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    pub(crate) fn rename(&self, from: &str, to: &Self, name: &str) -> io::Result<()> {
        self.hook.before(&Step::Rename(&self.join(from), &to.join(name)))?;
        Ok(renameat(&self.fd, checked(from)?, &to.fd, checked(name)?)?)
    }

    pub(crate) fn link(&self, target: &str, name: &str) -> io::Result<()> {
        self.hook.before(&Step::Link(target, &self.join(name)))?;
        Ok(symlinkat(target, &self.fd, checked(name)?)?)
    }

    /// Where a link points to; `None` for anything else.
    pub(crate) fn read_link(&self, name: &str) -> Option<String> {
        rustix::fs::readlinkat(&self.fd, checked(name).ok()?, Vec::new()).ok()?.into_string().ok()
    }

    /// Removes a name; whether it was there.
    pub(crate) fn unlink(&self, name: &str) -> io::Result<bool> {
        self.hook.before(&Step::Unlink(&self.join(name)))?;
        match unlinkat(&self.fd, checked(name)?, AtFlags::empty()) {
            Ok(()) => Ok(true),
            Err(Errno::NOENT) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    pub(crate) fn chmod(&self, name: &str, mode: u32) -> io::Result<()> {
        self.hook.before(&Step::Chmod(&self.join(name), mode))?;
        // Only of a file that is no link: who opens it follows none.
        Ok(rustix::fs::fchmod(self.open_read(name)?, Mode::from_raw_mode(mode))?)
    }

    pub(crate) fn sync(&self) -> io::Result<()> {
        self.hook.before(&Step::SyncFolder(&self.path))?;
        Ok(rustix::fs::fsync(&self.fd)?)
    }

    /// All bytes of a small file; `None` when there is none.
    pub(crate) fn read(&self, name: &str, max: u64) -> io::Result<Option<Vec<u8>>> {
        let file = match self.open_read(name) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut bytes = Vec::new();
        file.take(max + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > max {
            return Err(io::Error::other(format!("it is larger than {max} bytes")));
        }
        Ok(Some(bytes))
    }

    /// A small file whose old bytes stay until all the new ones are on the disk. The rename itself lasts after [`sync`](Self::sync).
    pub(crate) fn replace(&self, name: &str, fresh: &str, bytes: &[u8], mode: u32) -> io::Result<()> {
        if self.stat(fresh)?.is_some() {
            self.unlink(fresh)?;
        }
        let file = self.create(fresh, mode)?;
        file.write_at(bytes, 0)?;
        file.sync()?;
        self.rename(fresh, self, name)
    }

    /// Names in it, at most so many.
    pub(crate) fn list(&self, max: usize) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in rustix::fs::Dir::read_from(&self.fd)? {
            if names.len() == max {
                break;
            }
            if let Ok(name) = entry?.file_name().to_str()
                && !matches!(name, "." | "..")
            {
                names.push(name.to_owned());
            }
        }
        names.sort_unstable();
        Ok(names)
    }
}

/// One component of a path: nothing that leads elsewhere.
fn checked(name: &str) -> io::Result<&OsStr> {
    let plain = !name.is_empty() && !matches!(name, "." | "..") && !name.contains(['/', '\0']);
    plain.then(|| OsStr::new(name)).ok_or_else(|| io::Error::from(io::ErrorKind::InvalidFilename))
}

/// A file that is being written.
#[derive(Debug)]
pub(crate) struct Sink {
    file: File,
    path: PathBuf,
    hook: Hook,
}

impl Sink {
    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    pub(crate) fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.hook.before(&Step::Write(&self.path, offset, bytes))?;
        self.file.write_all_at(bytes, offset)
    }

    /// Reserves room, so that no later write finds the disk full. A filesystem that cannot gets the size alone.
    pub(crate) fn allocate(&self, size: u64) -> io::Result<()> {
        self.hook.before(&Step::Allocate(&self.path, size))?;
        match fallocate(self.file.as_fd(), FallocateFlags::empty(), 0, size) {
            Ok(()) => Ok(()),
            Err(Errno::OPNOTSUPP | Errno::NOSYS) => self.file.set_len(size),
            Err(error) => Err(error.into()),
        }
    }

    /// All bytes of another file, shared where the filesystem can and else copied by the kernel.
    pub(crate) fn clone_from(&self, source: &File, named: &Path, size: u64) -> io::Result<()> {
        self.hook.before(&Step::Clone(named, &self.path))?;
        if rustix::fs::ioctl_ficlone(self.file.as_fd(), source.as_fd()).is_ok() {
            return Ok(());
        }
        let (mut from, mut to) = (0, 0);
        while from < size {
            let piece = usize::try_from((size - from).min(64 << 20)).unwrap_or(64 << 20);
            match rustix::fs::copy_file_range(source, Some(&mut from), self.file.as_fd(), Some(&mut to), piece) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(_) | Err(Errno::INTR) => {}
                Err(Errno::XDEV | Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => {
                    return self.copy_rest(source, from, size);
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Between filesystems that the kernel does not copy between.
    fn copy_rest(&self, source: &File, mut at: u64, size: u64) -> io::Result<()> {
        let mut buffer = vec![0; crate::hash::PIECE];
        while at < size {
            let piece = &mut buffer[..((size - at) as usize).min(crate::hash::PIECE)];
            source.read_exact_at(piece, at)?;
            self.file.write_all_at(piece, at)?;
            at += piece.len() as u64;
        }
        Ok(())
    }

    pub(crate) fn truncate(&self, size: u64) -> io::Result<()> {
        self.hook.before(&Step::Truncate(&self.path, size))?;
        self.file.set_len(size)
    }

    pub(crate) fn chmod(&self, mode: u32) -> io::Result<()> {
        self.hook.before(&Step::Chmod(&self.path, mode))?;
        Ok(rustix::fs::fchmod(self.file.as_fd(), Mode::from_raw_mode(mode))?)
    }

    pub(crate) fn sync(&self) -> io::Result<()> {
        self.hook.before(&Step::SyncFile(&self.path))?;
        self.file.sync_all()
    }
}
