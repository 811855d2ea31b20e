//! What this process itself takes from the host: files and sockets that it keeps open.

use std::{collections::BTreeSet, fs, path::Path};

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
    /// TCP sockets that the other side has closed, and this one not yet (`CLOSE_WAIT`): many of them are a leak.
    pub close_wait: u64,
}

impl Open {
    /// Of this process.
    ///
    /// # Errors
    ///
    /// If `/proc` is not there.
    pub fn now() -> std::io::Result<Self> {
        Self::read(Path::new("/proc/self"))
    }

    fn read(process: &Path) -> std::io::Result<Self> {
        let mut open = Self { files_limit: getrlimit(Resource::Nofile).current, ..Self::default() };
        let mut sockets = BTreeSet::new();
        for descriptor in fs::read_dir(process.join("fd"))? {
            open.files += 1;
            // A descriptor that was closed meanwhile is one less, and no error.
            let Ok(target) = fs::read_link(descriptor?.path()) else { continue };
            sockets.extend(target.to_str().and_then(socket_inode));
        }
        // The one that lists them.
        open.files = open.files.saturating_sub(1);
        open.sockets = sockets.len() as u64;
        for table in ["net/tcp", "net/tcp6"] {
            // Without IPv6 there is no second table.
            let text = fs::read_to_string(process.join(table)).unwrap_or_default();
            let waiting = text.lines().skip(1).filter_map(close_wait_inode);
            open.close_wait += waiting.filter(|inode| sockets.contains(inode)).count() as u64;
        }
        Ok(open)
    }
}

/// `socket:[4711]`, as the kernel names them.
fn socket_inode(target: &str) -> Option<u64> {
    target.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

/// The inode of a line of `/proc/net/tcp` (proc(5)) whose state is `CLOSE_WAIT`.
fn close_wait_inode(line: &str) -> Option<u64> {
    const CLOSE_WAIT: &str = "08";
    let mut fields = line.split_whitespace();
    let state = fields.nth(3)?;
    let inode = fields.nth(5)?;
    (state == CLOSE_WAIT).then(|| inode.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use std::{
        net::{TcpListener, TcpStream},
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
    fn only_lines_of_the_state_count() {
        let line = |state: &str| {
            format!(
                "   1: 0100007F:1F90 0100007F:D2F0 {state} 00000000:00000000 00:00000000 00000000     0        0 4711 1 0"
            )
        };
        assert_eq!(close_wait_inode(&line("08")), Some(4711));
        assert_eq!(close_wait_inode(&line("01")), None);
        assert_eq!(close_wait_inode("  sl  local_address"), None);
        assert_eq!((socket_inode("socket:[12]"), socket_inode("/dev/null")), (Some(12), None));
    }
}
