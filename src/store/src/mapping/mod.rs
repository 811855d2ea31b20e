#![allow(unsafe_code)]
//! Files as memory, for reading by the kernel alone.
//!
//! A [`Mapping`] gives addresses to the bytes of a file so that they can pass through any code that hands slices on. Nobody in user space
//! may touch them: were the file cut, that would end the process with SIGBUS. Who writes to a socket asks [`locate`] whether a slice
//! lies in a mapping, and then has [`Mapping::send`] move the bytes inside the kernel, where a cut file is an error.

pub(crate) mod lease;
mod registry;

use std::{
    fs::File,
    io,
    ops::Range,
    os::{
        fd::{AsFd, BorrowedFd},
        unix::fs::FileExt,
    },
    sync::{
        Arc, Weak,
        atomic::{AtomicBool, Ordering},
    },
};

use memmap2::Mmap;

use self::lease::Lease;
pub use self::registry::locate;
use crate::Identity;

/// The most bytes that one [`Mapping::send`] moves: what is moved between two looks at the file.
pub const MAX_SEND: usize = 2 << 20;

/// A file, open and mapped.
#[derive(Debug)]
pub struct Mapping {
    map: Mmap,
    file: File,
    identity: Identity,
    lease: Lease,
    /// Once it was seen changed it stays so.
    broken: AtomicBool,
}

impl Mapping {
    /// Maps all of a file that is open for reading only.
    ///
    /// # Errors
    ///
    /// If it has no bytes, or the system refuses.
    pub(crate) fn new(file: File) -> io::Result<Arc<Self>> {
        // The lease first: what is seen after it stays true.
        let lease = lease::take_patiently(&file);
        Self::with(file, lease)
    }

    /// From now on nothing of it is sent or read: its bytes were found wrong.
    pub(crate) fn condemn(&self) {
        self.broken.store(true, Ordering::Release);
    }

    /// Maps a file that is not the store's own: nobody shall wait before he writes to it.
    pub(crate) fn unleased(file: File) -> io::Result<Arc<Self>> {
        Self::with(file, Lease::Unsupported)
    }

    fn with(file: File, lease: Lease) -> io::Result<Arc<Self>> {
        let identity = Identity::of(&file)?;
        // SAFETY: the bytes may change or vanish underneath, against which no mapping of a file is safe, so none of them is ever read
        // through it: `as_ref` hands out addresses, which `send` exchanges for the file and an offset.
        let map = unsafe { Mmap::map(&file)? };
        let mapping = Arc::new(Self { map, file, identity, lease, broken: AtomicBool::new(false) });
        registry::enter(&mapping);
        Ok(mapping)
    }

    /// The file as it was when it was mapped.
    pub fn identity(&self) -> Identity {
        self.identity
    }

    /// Whether somebody had it open for writing when it was mapped.
    pub(crate) fn had_writers(&self) -> bool {
        self.lease == Lease::Writers
    }

    /// Bytes.
    pub fn size(&self) -> u64 {
        self.map.len() as u64
    }

    /// Whether the bytes are surely those that were there when it was mapped. While the kernel lets nobody write that is certain; where it
    /// gives no such lease, or somebody waits for its end, the file's size and times must be the same.
    pub fn unchanged(&self) -> bool {
        if self.broken.load(Ordering::Acquire) {
            return false;
        }
        let same = match self.lease {
            Lease::Held => lease::undisturbed(&self.file),
            Lease::Writers | Lease::Unsupported => Identity::of(&self.file).is_ok_and(|now| now == self.identity),
        };
        if !same {
            self.broken.store(true, Ordering::Release);
        }
        same
    }

    /// Moves bytes to a socket inside the kernel: at most `length`, at most [`MAX_SEND`]. How many it took.
    ///
    /// # Errors
    ///
    /// `WouldBlock` when the socket is full; `UnexpectedEof` when the file was cut; `InvalidData` when it was written to. After the last
    /// two the connection must be closed: what was announced cannot be sent.
    pub fn send(&self, socket: impl AsFd, offset: u64, length: usize) -> io::Result<usize> {
        self.check()?;
        let mut at = offset;
        let rest = usize::try_from(self.size().saturating_sub(offset)).unwrap_or(usize::MAX);
        let sent = rustix::fs::sendfile(socket, &self.file, Some(&mut at), length.min(rest).min(MAX_SEND))?;
        if sent == 0 && length > 0 {
            self.broken.store(true, Ordering::Release);
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the file was cut while it was sent"));
        }
        self.check()?;
        Ok(sent)
    }

    /// Reads bytes as they were when it was mapped. How many there were; fewer than asked for only at the end.
    ///
    /// # Errors
    ///
    /// `InvalidData` when the file was written to or cut, also if that happened while it was read.
    pub fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let rest = usize::try_from(self.size().saturating_sub(offset)).unwrap_or(usize::MAX);
        let length = buffer.len().min(rest);
        let read = self.file.read_exact_at(&mut buffer[..length], offset);
        self.check()?;
        read.map(|()| length)
    }

    /// Asks the kernel to read ahead, so that a later [`send`](Self::send) does not wait for the disk.
    pub fn prefetch(&self, offset: u64, length: u64) {
        let length = std::num::NonZeroU64::new(length);
        // Advice only: without it the bytes come later.
        let _ = rustix::fs::fadvise(&self.file, offset, length, rustix::fs::Advice::WillNeed);
    }

    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    fn check(&self) -> io::Result<()> {
        if self.unchanged() {
            return Ok(());
        }
        Err(io::Error::new(io::ErrorKind::InvalidData, "the file was changed while it was served"))
    }

    fn addresses(&self) -> Range<usize> {
        let start = self.map.as_ptr().addr();
        start..start + self.map.len()
    }
}

impl AsFd for Mapping {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // Before the addresses are given back: they may soon belong to others.
        registry::leave(self);
    }
}

/// What keeps the addresses of a slice valid.
pub(crate) struct Addresses {
    pub(crate) mapping: Arc<Mapping>,
    /// Within the mapping.
    pub(crate) range: Range<usize>,
}

impl AsRef<[u8]> for Addresses {
    fn as_ref(&self) -> &[u8] {
        &self.mapping.map[self.range.clone()]
    }
}

type Entry = Weak<Mapping>;

#[cfg(test)]
mod tests {
    use std::{
        io::Write,
        os::unix::{fs::OpenOptionsExt, net::UnixStream},
    };

    use super::*;

    /// As on a filesystem that gives no lease.
    fn mapped(bytes: &[u8]) -> (tempfile::NamedTempFile, Arc<Mapping>) {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(bytes).unwrap();
        let mapping = Mapping::unleased(File::open(file.path()).unwrap()).unwrap();
        (file, mapping)
    }

    #[test]
    fn without_a_lease_a_cut_file_is_an_error_too() {
        let (file, mapping) = mapped(&[7; 9000]);
        let (socket, _peer) = UnixStream::pair().unwrap();
        assert_eq!(mapping.send(&socket, 0, 4096).unwrap(), 4096);
        file.as_file().set_len(4096).unwrap();
        assert_eq!(mapping.send(&socket, 4096, 4096).unwrap_err().kind(), io::ErrorKind::InvalidData);
        assert!(mapping.read_at(&mut [0; 10], 0).is_err());
        assert!(!mapping.unchanged());
    }

    #[test]
    fn without_a_lease_a_file_written_to_is_an_error_for_good() {
        let (mut file, mapping) = mapped(&[7; 9000]);
        let (socket, _peer) = UnixStream::pair().unwrap();
        assert!(mapping.unchanged());
        // A coarse clock may give two changes one time; the size tells then.
        file.write_all(&[8; 10]).unwrap();
        assert_eq!(mapping.send(&socket, 0, 4096).unwrap_err().kind(), io::ErrorKind::InvalidData);
        file.as_file().set_len(9000).unwrap();
        assert!(!mapping.unchanged() && mapping.read_at(&mut [0; 10], 0).is_err());
    }

    #[test]
    fn a_file_that_is_cut_between_the_look_and_the_sending_ends_in_an_error() {
        // The kernel's side of the promise: it sends nothing, and nobody gets a signal.
        let (file, mapping) = mapped(&[7; 9000]);
        let (socket, _peer) = UnixStream::pair().unwrap();
        file.as_file().set_len(0).unwrap();
        let mut at = 0;
        assert_eq!(rustix::fs::sendfile(&socket, &mapping.file, Some(&mut at), 4096).unwrap(), 0);
    }

    #[test]
    fn a_lease_tells_of_writers_and_keeps_others_waiting() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), [1; 100]).unwrap();
        let reader = File::open(file.path()).unwrap();
        assert_eq!(lease::has_writers(&reader), Some(true));
        let path = file.into_temp_path();
        let until = std::time::Instant::now() + std::time::Duration::from_secs(10);
        // Another test that starts a process may hold a copy of the file for an instant.
        while lease::has_writers(&reader) != Some(false) {
            assert!(std::time::Instant::now() < until);
            std::thread::yield_now();
        }
        let mapping = Mapping::new(File::open(&path).unwrap()).unwrap();
        assert!(mapping.unchanged());
        let refused = std::fs::OpenOptions::new().write(true).custom_flags(libc::O_NONBLOCK).open(&path);
        assert_eq!(refused.unwrap_err().kind(), io::ErrorKind::WouldBlock);
        assert!(!mapping.unchanged());
    }
}
