#![allow(unsafe_code)]
//! The kernel's read lease on a file (fcntl(2), `F_SETLEASE`): while it is held nobody can have the file open for writing. Who tries to
//! open or cut it waits until the lease is given up, at most `/proc/sys/fs/lease-break-time` (45 s), and the holder can see that
//! somebody waits. That is the proof that bytes are unchanged which no timestamp gives.

use std::{fs::File, os::fd::AsRawFd, time::Duration};

// Of <linux/fcntl.h>; libc has only some of them on some targets.
const F_SETSIG: libc::c_int = 10;
const F_SETLEASE: libc::c_int = 1024;
const F_GETLEASE: libc::c_int = 1025;

/// What asking for a lease came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Lease {
    /// It is held until the file is closed.
    Held,
    /// Somebody has the file open for writing.
    Writers,
    /// This filesystem gives none, or the file is another user's.
    Unsupported,
}

/// As [`take`], waiting a little for writers: a process that starts another one holds all its files twice for an instant.
pub(crate) fn take_patiently(file: &File) -> Lease {
    for _ in 0..50 {
        match take(file) {
            Lease::Writers => std::thread::sleep(Duration::from_millis(1)),
            answer => return answer,
        }
    }
    take(file)
}

/// Asks for a read lease on a file that is open for reading only.
pub(crate) fn take(file: &File) -> Lease {
    // The kernel's default signal for "somebody waits", SIGIO, would end the process. SIGURG is ignored unless somebody asked for it;
    // the state is polled instead.
    if fcntl(file, F_SETSIG, libc::SIGURG) < 0 {
        return Lease::Unsupported;
    }
    if fcntl(file, F_SETLEASE, libc::F_RDLCK) == 0 {
        return Lease::Held;
    }
    match std::io::Error::last_os_error().raw_os_error() {
        Some(libc::EAGAIN) => Lease::Writers,
        _ => Lease::Unsupported,
    }
}

/// Whether the lease is held and nobody waits for its end.
pub(crate) fn undisturbed(file: &File) -> bool {
    fcntl(file, F_GETLEASE, 0) == libc::F_RDLCK
}

/// Whether somebody has the file open for writing; `None` where the kernel does not tell.
pub(crate) fn has_writers(file: &File) -> Option<bool> {
    match take(file) {
        Lease::Held => {
            fcntl(file, F_SETLEASE, libc::F_UNLCK);
            Some(false)
        }
        Lease::Writers => Some(true),
        Lease::Unsupported => None,
    }
}

fn fcntl(file: &File, command: libc::c_int, argument: libc::c_int) -> libc::c_int {
    // SAFETY: the descriptor is open as long as `file` is borrowed, and these commands take an integer, no pointer.
    unsafe { libc::fcntl(file.as_raw_fd(), command, argument) }
}
