//! What this process itself takes from the host: files and sockets that it keeps open.

use std::{fs, io, path::Path};

use rustix::process::{Resource, getrlimit};
use serde::Serialize;

/// What this process has open.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Open {
    /// File descriptors.
    pub files: u64,
    /// How many it may have; `None` if there is no limit.
    pub files_limit: Option<u64>,
    /// Those that are sockets.
    pub sockets: u64,
    /// Sockets that the other side has closed, and this one not yet (TCP's `CLOSE_WAIT`): many of them are a leak.
    pub close_wait: u64,
}

impl Open {
    /// Of this process.
    ///
    /// # Errors
    ///
    /// If `/proc` is not there.
    pub fn now() -> io::Result<Self> {
        Self::read(Path::new("/proc/self"))
    }

    fn read(process: &Path) -> io::Result<Self> {
        let mut open = Self { files_limit: getrlimit(Resource::Nofile).current, ..Self::default() };
        let mut sockets = Vec::new();
        for descriptor in fs::read_dir(process.join("fd"))? {
            open.files += 1;
            let descriptor = descriptor?;
            // A descriptor that was closed meanwhile is one less, and no error.
            let Ok(target) = fs::read_link(descriptor.path()) else { continue };
            if target.to_str().is_some_and(|target| target.starts_with("socket:")) {
                sockets.extend(descriptor.file_name().to_str().and_then(|number| number.parse::<i32>().ok()));
            }
        }
        // The one that lists them.
        open.files = open.files.saturating_sub(1);
        open.sockets = sockets.len() as u64;
        open.close_wait = close_wait(&sockets)?;
        Ok(open)
    }
}

/// How many of these sockets the other side has closed and this one has not.
///
/// The kernel is asked about these alone. `/proc/net/tcp` says the same, but walks through a table with a place for every connection
/// that the machine could have: ten milliseconds on one that has 24 GiB, a tenth of what an idle daemon used.
#[allow(
    unsafe_code,
    reason = "rustix wants descriptors that cannot be closed meanwhile; these can, which is an answer like any other"
)]
fn close_wait(sockets: &[i32]) -> io::Result<u64> {
    let mut asked: Vec<_> =
        sockets.iter().map(|fd| libc::pollfd { fd: *fd, events: libc::POLLRDHUP, revents: 0 }).collect();
    // SAFETY: the kernel writes `revents` of so many entries, which are there until it returns.
    let answer = unsafe { libc::poll(asked.as_mut_ptr(), asked.len() as libc::nfds_t, 0) };
    if answer < 0 {
        return Err(io::Error::last_os_error());
    }
    // POLLHUP: this side has said that it has no more, too.
    let left = |socket: &&libc::pollfd| socket.revents & (libc::POLLRDHUP | libc::POLLHUP) == libc::POLLRDHUP;
    Ok(asked.iter().filter(left).count() as u64)
}

#[cfg(test)]
mod tests {
    use std::{
        net::{Shutdown, TcpListener, TcpStream},
        os::fd::AsRawFd as _,
        time::{Duration, Instant},
    };

    use super::*;

    #[test]
    fn a_connection_that_the_other_side_has_closed_is_counted_until_it_is_closed_here() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let here = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (there, _) = listener.accept().unwrap();
        let before = Open::now().unwrap();
        assert!(before.sockets >= 3 && before.files > before.sockets, "{before:?}");
        assert!(before.files_limit.is_some_and(|limit| limit > before.files), "{before:?}");
        drop(there);
        // Other tests of this process may have sockets too: one more is what is sure.
        let deadline = Instant::now() + Duration::from_secs(10);
        while Open::now().unwrap().close_wait <= before.close_wait {
            assert!(Instant::now() < deadline, "{:?}", Open::now());
            std::thread::yield_now();
        }
        drop(here);
    }

    #[test]
    fn a_connection_that_both_sides_have_ended_is_not_waited_for() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let here = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (there, _) = listener.accept().unwrap();
        let waits = || close_wait(&[here.as_raw_fd(), listener.as_raw_fd()]).unwrap();
        assert_eq!(waits(), 0);
        drop(there);
        let deadline = Instant::now() + Duration::from_secs(10);
        while waits() == 0 {
            assert!(Instant::now() < deadline);
            std::thread::yield_now();
        }
        here.shutdown(Shutdown::Write).unwrap();
        assert_eq!(waits(), 0);
    }
}
